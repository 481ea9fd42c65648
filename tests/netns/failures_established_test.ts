/** Failures that end an open connection: brought about, known by name, and healed. */

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { constant } from "../../recover/backoff.ts";
import { classify } from "../../recover/classify.ts";
import { dial } from "../../recover/dial.ts";
import { dialMemory } from "../../recover/dial_memory.ts";
import { heartbeat } from "../../recover/heartbeat.ts";
import { retry } from "../../recover/retry.ts";
import { eventually } from "../_child.ts";
import { Conversation, patient } from "../_conversation.ts";
import { connectionsOf, echo, hear, provoke, socketsTo, thrown } from "./_provoke.ts";
import { ADDRESS, type Far, type Host, type TwoHosts } from "./_two_hosts.ts";

const { v4 } = ADDRESS.server;

const bytes = new TextEncoder().encode("x");

/** Has the kernel of a host destroy its connections to or from a port. */
async function destroy(lab: TwoHosts, host: Host, port: number): Promise<void> {
  await lab.run(host, "ss", "-K", host === "client" ? "dport" : "sport", "=", `:${port}`);
}

/** Starts the echo server again, at the port where it was. */
function startAgain(lab: TwoHosts, { port }: Far): Promise<Far> {
  return lab.serve({ fault: { fault: { type: "echo" }, hostname: "::", port } });
}

/** Writes until that fails, and gives the error and how many writes succeeded before. */
async function writeOn(conn: Deno.Conn): Promise<{ readonly error: Deno.errors.BrokenPipe; count: number }> {
  let count = 0;
  let error: unknown;
  await eventually("a write to fail", async () => {
    error = await conn.write(bytes).then(() => undefined, (error) => error);
    count += error === undefined ? 1 : 0;
    return error !== undefined;
  });
  assertInstanceOf(error, Deno.errors.BrokenPipe);
  assertEquals((error as { readonly code?: string }).code, "EPIPE");
  return { error, count };
}

provoke(
  "reset-by-peer: reading fails, then writing; retry() repeats only what may happen twice",
  async ({ lab, far, network }) => {
    const { port } = far;
    using conn = await Deno.connect({ hostname: v4, port });
    assertEquals(await echo(conn, "before"), "before");
    const reading = thrown(hear(conn));
    await destroy(lab, "server", port);
    const error = await reading;
    assertInstanceOf(error, Deno.errors.ConnectionReset);
    assertEquals(error.code, "ECONNRESET");
    for (const operation of ["read", "request"] as const) {
      const { scenario, where, retry, sent } = classify(error, { operation, network: network.state });
      assertEquals([scenario, where, retry, sent], ["reset-by-peer", "remote", "later", "maybe"]);
    }
    assertEquals((await writeOn(conn)).count, 0);

    // An order that the server carries out, and cannot confirm the first time.
    let orders = 0;
    const order = async (idempotent: boolean): Promise<string | null> => {
      const policy = retry({ network, idempotent, operation: "request", backoff: constant(10) });
      return await policy.execute(async ({ signal, attempt }) => {
        using conn = (await dial(`${v4}:${port}`, { network, signal, memory: dialMemory() })).conn;
        assertEquals(await echo(conn, "order"), "order");
        orders++;
        const next = attempt === 0 ? destroy(lab, "server", port) : conn.write(bytes);
        const [confirmed] = await Promise.all([hear(conn), next]);
        return confirmed;
      });
    };
    assertInstanceOf(await thrown(order(false)), Deno.errors.ConnectionReset);
    assertEquals(orders, 1, "what must not happen twice was not repeated");
    assertEquals(await order(true), "x");
    assertEquals(orders, 3);
    assertEquals(await connectionsOf(far), 4);
  },
);

provoke(
  "aborted-locally: reading fails though the server is well, retry() connects again at once",
  async ({ lab, far, network }) => {
    const { port } = far;
    using conn = await Deno.connect({ hostname: v4, port });
    assertEquals(await echo(conn, "before"), "before");
    const reading = thrown(hear(conn));
    await destroy(lab, "client", port);
    const error = await reading;
    assertInstanceOf(error, Deno.errors.ConnectionAborted);
    assertEquals(error.code, "ECONNABORTED");
    const { scenario, where, retry: when } = classify(error, { operation: "read", network: network.state });
    assertEquals([scenario, where, when], ["aborted-locally", "local", "now"]);
    assertEquals((await writeOn(conn)).count, 0);

    // A back-off of an hour, which nobody waits for.
    const policy = retry({ network, idempotent: true, backoff: constant(3_600_000) });
    const next: string[] = [];
    using _failure = policy.on("failure", (event) => next.push(`${event.failure.scenario} ${event.next}`));
    const answer = await policy.execute(async ({ signal, attempt }) => {
      using conn = (await dial(`${v4}:${port}`, { network, signal, memory: dialMemory() })).conn;
      const answer = await echo(conn, "hello");
      if (attempt > 0) return answer;
      await Promise.all([hear(conn), destroy(lab, "client", port)]);
      return "no failure";
    });
    assertEquals([answer, next], ["hello", ["aborted-locally now"]]);
  },
);

provoke(
  "end-without-goodbye: a killed server looks like a good end, an explicit last word shows the loss",
  async ({ lab, far, network }) => {
    const { port } = far;
    using conn = await Deno.connect({ hostname: v4, port });
    assertEquals(await echo(conn, "before"), "before");

    // The remedy runs beside it: nothing has ended well before the last word came back.
    const inTheMiddle = Promise.withResolvers<void>();
    const killed = Promise.withResolvers<void>();
    const policy = patient(network);
    const lost: (string | null)[] = [];
    using _failure = policy.on("failure", ({ failure }) => lost.push(failure.scenario));
    const talking = policy.execute(async ({ signal }) => {
      using conn = (await dial(`${v4}:${port}`, { network, signal, memory: dialMemory() })).conn;
      assertEquals(await echo(conn, "hello"), "hello");
      inTheMiddle.resolve();
      await killed.promise;
      const last = await echo(conn, "BYE\n");
      if (last === "BYE\n") return last;
      const failure = new Deno.errors.UnexpectedEof("Cannot read the answer: it ended in the middle");
      assertEquals(classify(failure, { operation: "read" }).scenario, "end-without-goodbye");
      throw failure;
    });
    await inTheMiddle.promise;

    const reading = hear(conn);
    await far.kill();
    assertEquals(await reading, null, "to the reader it is an end like any other");
    const { error, count } = await writeOn(conn);
    assert(count >= 1, "the first write after the end succeeds");
    const { scenario, kind, sent } = classify(error, { operation: "write", network: network.state });
    assertEquals([scenario, kind, sent], ["end-without-goodbye", "reset", "maybe"]);

    killed.resolve();
    const again = await startAgain(lab, far);
    assertEquals(await talking, "BYE\n");
    assert(lost.length >= 1, "the loss was seen");
    assertEquals(await connectionsOf(again), 1);
  },
);

provoke(
  "peer-rebooted: nothing tells until somebody writes, a heartbeat asks while there is nothing to say",
  async ({ lab, far, network }) => {
    const { port } = far;
    const plain = await Deno.connect({ hostname: v4, port });
    using _plain = plain;
    using guarded = new Conversation(await Deno.connect({ hostname: v4, port }));
    await Promise.all([echo(plain, "before"), guarded.ask()]);
    // The power fails: nothing gets out any more, and what was in memory is gone.
    const silence = await lab.silence();
    await far.kill();
    await eventually("the server's sockets to be gone", async () => {
      await lab.run("server", "ss", "-K", "state", "all", "sport", "=", `:${port}`);
      return await lab.run("server", "ss", "-Htan", "sport", "=", `:${port}`) === "";
    });
    const again = await startAgain(lab, far);
    await silence.heal();
    assertEquals(await socketsTo(lab, port), ["ESTAB", "ESTAB"], "to the client both are well");

    const dead = Promise.withResolvers<string>();
    using beat = heartbeat({ ping: () => guarded.ask(), interval: 50, timeout: 10_000, network });
    using _dead = beat.on("dead", ({ error }) => dead.resolve(error.reason));
    assertEquals(await dead.promise, "reset");
    assertEquals(await socketsTo(lab, port), ["ESTAB"], "the other one still does not know");

    assertEquals(await plain.write(bytes), 1);
    const error = await thrown(hear(plain));
    assertInstanceOf(error, Deno.errors.ConnectionReset);
    // The error is that of any reset: only who was silent before knows more.
    const { scenario, retry } = classify(error, { operation: "read", network: network.state });
    assertEquals([scenario, retry], ["reset-by-peer", "later"]);
    assertEquals((await writeOn(plain)).count, 0);

    using conn = (await dial(`${v4}:${port}`, { network, memory: dialMemory() })).conn;
    assertEquals(await echo(conn, "anew"), "anew");
    assertEquals(await connectionsOf(again), 1);
  },
);

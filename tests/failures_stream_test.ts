// runs alone: it compares times.
/** Open connections that stall, are refused halfway, or begin slowly: brought about, known by name, and healed. */

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { classify } from "../recover/classify.ts";
import { dial } from "../recover/dial.ts";
import { dialMemory } from "../recover/dial_memory.ts";
import { timeout, TimeoutError } from "../recover/timeout.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { startFaultServer } from "../testing/fault_server.ts";
import { eventually } from "./_child.ts";
import { requires, scale } from "./_require.ts";

/** What a promise rejects with. */
async function thrown(promise: Promise<unknown>): Promise<Error & { readonly code?: string }> {
  const value = await promise.then((value) => ({ value }), (error) => error);
  assertInstanceOf(value, Error);
  return value;
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await conn.write(rest));
}

Deno.test({
  name:
    "reader-stalled: a write never returns and nothing fails, a limit drops the consumer and serves the others",
  ...requires({ os: ["linux"], tools: ["ss"] }),
  async fn() {
    await using server = await startFaultServer({ fault: { type: "never-read" } });
    const address = { hostname: server.hostname, port: server.port };
    const plain = await Deno.connect(address);
    const chunk = new Uint8Array(64 * 1024);
    let taken = 0;
    let failed = false;
    const writing = (async () => {
      while (true) taken += await plain.write(chunk);
    })().catch((error) => {
      failed = true;
      return error;
    });
    // The kernel asks from time to time whether there is room, as long as the other end's machine lives.
    await eventually("the window to be closed", async () => {
      const { stdout } = await new Deno.Command("ss", {
        args: ["-Htno", "dport", "=", `:${server.port}`],
      }).output();
      return new TextDecoder().decode(stdout).includes("timer:(persist");
    });
    assert(taken > 0);

    const dropped = await Deno.connect(address);
    const policy = timeout(500);
    const error = await thrown((async () => {
      for (let sent = 0; sent <= 64 * taken; sent += chunk.length) {
        await policy.execute(({ signal }) => {
          signal.addEventListener("abort", () => dropped.close(), { once: true });
          return writeAll(dropped, chunk);
        });
      }
    })());
    assertInstanceOf(error, TimeoutError);
    const { scenario, where, sent } = classify(error, { operation: "write" });
    assertEquals([scenario, where, sent], ["reader-stalled", "remote", "maybe"]);
    const before = taken;

    server.setFault({ type: "echo" });
    using next = (await dial(`${server.hostname}:${server.port}`)).conn;
    await next.write(chunk.subarray(0, 10));
    assertEquals(await next.read(new Uint8Array(100)), 10);
    assertEquals([taken, failed], [before, false], "without a limit the write is still under way");
    plain.close();
    assertInstanceOf(await writing, Deno.errors.Interrupted);
  },
});

Deno.test("early-reply: the upload fails, and who reads on has the answer all the same", async () => {
  await using server = await startFaultServer({ fault: { type: "early-reply", text: "too much" } });
  const address = { hostname: server.hostname, port: server.port };
  // More than the buffers between hold, so that it is still under way when the answer comes.
  const upload = new Uint8Array(32 * 1024 * 1024);
  for (let n = 0; n < scale(20); n++) {
    using plain = await Deno.connect(address);
    const error = await thrown(writeAll(plain, upload));
    assertInstanceOf(error, Deno.errors.BrokenPipe);
    const { scenario, sent, code } = classify(error, { operation: "request" });
    assertEquals([scenario, sent, code], ["early-reply", "maybe", "EPIPE"]);

    // The remedy: the same, and the error is judged when all was read.
    using conn = (await dial(`${server.hostname}:${server.port}`)).conn;
    const sending = writeAll(conn, upload).then(() => null, (error: unknown) => error);
    const buffer = new Uint8Array(1000);
    let answer = "";
    for (let length = await conn.read(buffer); length !== null;) {
      answer += new TextDecoder().decode(buffer.subarray(0, length));
      length = await conn.read(buffer).catch(() => null);
    }
    assertInstanceOf(await sending, Deno.errors.BrokenPipe);
    assertEquals(answer, "too much");
  }
});

Deno.test("tls-first-round-trip: the first exchange is slow, over a connection by dial() it is as fast as the next", async () => {
  const authority = await makeTestAuthority();
  await using server = await startFaultServer({ fault: { type: "echo" }, tls: await authority.issue() });
  const { hostname, port } = server;
  const caCerts = [authority.cert];
  const memory = dialMemory();
  const ways = {
    plain: () => Deno.connectTls({ hostname, port, caCerts }),
    dial: async () =>
      (await dial(`${hostname}:${port}`, { transport: "tls", tls: { caCerts }, memory })).conn,
  };
  const times: Record<keyof typeof ways, { first: number[]; next: number[] }> = {
    plain: { first: [], next: [] },
    dial: { first: [], next: [] },
  };
  // By turns, so that a slow moment of the machine hits both.
  for (let n = 0; n < scale(11); n++) {
    for (const way of ["plain", "dial"] as const) {
      using conn = await ways[way]();
      times[way].first.push(await exchange(conn));
      times[way].next.push(await exchange(conn));
    }
  }
  const plain = { first: median(times.plain.first), next: median(times.plain.next) };
  const dialled = { first: median(times.dial.first), next: median(times.dial.next) };
  console.log("milliseconds:", JSON.stringify({ plain, dialled }));
  assert(plain.first >= 5 * plain.next, "the first exchange is slow");
  assert(plain.first >= 5 * dialled.first, "by dial() it is not");
});

/** How many milliseconds it takes to send some bytes and to have them back. */
async function exchange(conn: Deno.Conn): Promise<number> {
  const began = performance.now();
  await conn.write(new Uint8Array(100));
  assertEquals(await conn.read(new Uint8Array(1000)), 100);
  return performance.now() - began;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

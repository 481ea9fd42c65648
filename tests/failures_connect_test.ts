/** Failures to connect that need no network of their own: brought about, known by name, and healed. */

import { connect as nodeConnect } from "node:net";
import { assert, assertEquals, assertInstanceOf, assertMatch } from "@std/assert";
import { constant } from "../recover/backoff.ts";
import { breaker } from "../recover/breaker.ts";
import { BreakerOpenError } from "../recover/breaker_open_error.ts";
import { classify } from "../recover/classify.ts";
import { retry } from "../recover/retry.ts";
import { RetryError } from "../recover/retry_error.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { type FaultServer, startFaultServer } from "../testing/fault_server.ts";
import { requires } from "./_require.ts";

const hostname = "127.0.0.1";

/** A port of this machine on which nobody listens. */
function closedPort(): number {
  using listener = Deno.listen({ hostname, port: 0 });
  return listener.addr.port;
}

/** Sends a word, and gives what comes back. */
async function echo(conn: Deno.Conn): Promise<string> {
  await conn.write(new TextEncoder().encode("hello"));
  const buffer = new Uint8Array(100);
  return new TextDecoder().decode(buffer.subarray(0, await conn.read(buffer) ?? 0));
}

/** What a call throws. */
async function thrown(promise: Promise<unknown>): Promise<Error & { readonly code?: string }> {
  const value = await promise.then((value) => ({ value }), (error) => error);
  if (value instanceof Error) return value;
  throw new Error(`Expected a failure, got ${Deno.inspect(value)}`);
}

Deno.test({
  name: "port-closed: every way to connect is refused at once, retry() connects when the server is there",
  ...requires({ os: ["linux"] }),
  async fn() {
    const port = closedPort();
    const plain = await thrown(Deno.connect({ hostname, port }));
    assertInstanceOf(plain, Deno.errors.ConnectionRefused);
    const byNode = await thrown(
      new Promise((resolve, reject) => {
        const socket = nodeConnect({ host: hostname, port });
        socket.on("error", reject).on("connect", () => resolve(socket.destroy()));
      }),
    );
    assertEquals([plain.code, byNode.code], ["ECONNREFUSED", "ECONNREFUSED"]);
    const fetched = await thrown(fetch(`http://${hostname}:${port}/`));
    assertEquals([fetched.name, fetched.message, fetched.code], ["TypeError", "fetch failed", undefined]);
    assertMatch((fetched.cause as Error).message, /Connection refused \(os error 111\)/);
    for (const error of [plain, byNode, fetched]) {
      const { scenario, kind, where, retry: when, sent, code } = classify(error, { operation: "connect" });
      assertEquals([scenario, kind, where], ["port-closed", "refused", "remote"]);
      assertEquals([when, sent, code], ["later", "no", "ECONNREFUSED"]);
    }

    const policy = retry({ operation: "connect", maxAttempts: 100, backoff: constant(10) });
    let server: Promise<FaultServer> | undefined;
    using _failures = policy.on("failure", ({ attempt }) => {
      // It starts while somebody tries for the third time.
      if (attempt === 2) server = startFaultServer({ hostname, port, fault: { type: "echo" } });
    });
    using conn = await policy.execute(({ signal }) => Deno.connect({ hostname, port, signal }));
    await using started = await server;
    assert(started);
    assertEquals([await echo(conn), started.connections], ["hello", 1]);
  },
});

Deno.test({
  name: "port-closed: a breaker leaves a server alone that stays away, and finds it when it is back",
  ...requires({ os: ["linux"] }),
  async fn() {
    const port = closedPort();
    let attempts = 0;
    const connect = ({ signal }: { readonly signal: AbortSignal }): Promise<Deno.TcpConn> => {
      attempts++;
      return Deno.connect({ hostname, port, signal });
    };
    const clock = new FakeClock();
    const circuit = breaker({ consecutive: 3, coolDown: 1000, clock });
    for (let n = 0; n < 3; n++) {
      assertEquals(classify(await thrown(circuit.execute(connect))).scenario, "port-closed");
    }
    for (let n = 0; n < 10; n++) assertInstanceOf(await thrown(circuit.execute(connect)), BreakerOpenError);
    assertEquals(attempts, 3, "no attempt while it is open");

    // Without a breaker all attempts are spent on it.
    const policy = retry({ operation: "connect", maxAttempts: 4, backoff: constant(1) });
    const spent = await thrown(policy.execute(connect));
    assertInstanceOf(spent, RetryError);
    assertEquals([spent.attempts, spent.failure?.scenario], [4, "port-closed"]);

    await using server = await startFaultServer({ hostname, port, fault: { type: "echo" } });
    assertInstanceOf(await thrown(circuit.execute(connect)), BreakerOpenError);
    assertEquals(server.connections, 0);
    await clock.tickAsync(1000);
    using conn = await circuit.execute(connect);
    assertEquals([await echo(conn), server.connections], ["hello", 1]);
  },
});

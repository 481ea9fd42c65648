/** The runtime's way to lose a socket, made certain. */

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";

/**
 * Calls a connection off in the very moment in which it is made. `Deno.connect()` then throws the socket away unseen, once
 * in some thousand times; here it does so each time, and the socket has to be closed all the same.
 *
 * @param connect What connects by means of `Deno.connect()`.
 */
export async function assertNoSocketLost(connect: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const runtime = Deno as { connect: (options: Deno.ConnectOptions) => Promise<Deno.TcpConn> };
  const original = runtime.connect;
  const made = Promise.withResolvers<void>();
  let closed = 0;
  runtime.connect = async ({ signal }) => {
    try {
      await made.promise;
      return { close: () => closed++ } as unknown as Deno.TcpConn;
    } finally {
      signal?.throwIfAborted();
    }
  };
  const stop = new AbortController();
  const reason = new Error("too late");
  try {
    const connecting = connect(stop.signal);
    made.resolve();
    stop.abort(reason);
    assertStrictEquals(await assertRejects(() => connecting), reason);
  } finally {
    runtime.connect = original;
  }
  assertEquals(closed, 1);
}

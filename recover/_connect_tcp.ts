/** `Deno.connect()` that leaves no socket when it is called off. */

import { closeQuietly } from "./_connections.ts";
import { afterMicrotasks } from "./_microtasks.ts";

/**
 * Connects by TCP.
 *
 * @param hostname The address, or a name that the system looks up.
 * @param port The port.
 * @param signal Calls it off.
 * @returns The connection.
 * @throws The signal's reason.
 */
export async function connectTcp(hostname: string, port: number, signal: AbortSignal): Promise<Deno.TcpConn> {
  signal.throwIfAborted();
  const own = new AbortController();
  // The runtime drops, and never closes, a socket whose connection was just made when the signal fires: one was left in
  // some 5000 attempts. A few microtasks later the promise of such a connection has been fulfilled, and it is closed here.
  const abort = (): void => afterMicrotasks(() => own.abort(signal.reason));
  signal.addEventListener("abort", abort, { once: true });
  try {
    const conn = await Deno.connect({ hostname, port, signal: own.signal });
    if (!signal.aborted) return conn;
    closeQuietly(conn);
    throw signal.reason;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

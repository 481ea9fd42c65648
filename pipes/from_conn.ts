/** Pipes over connections that somebody else has opened. */

import { connLink } from "./_conn_link.ts";
import { checkNetworkOptions } from "./_network_keeper.ts";
import { makePipe } from "./_make_pipe.ts";
import type { PipeOptions } from "./_base_pipe.ts";
import type { TcpPipe, TlsPipe, UnixPipe } from "./pipe.ts";
import { tcpLinkOptions } from "./_tcp_transport.ts";

/** What {@linkcode pipeFromConn} takes. */
export interface PipeFromConnOptions extends PipeOptions {
  /**
   * Whether the connection belongs to the pipe now, which closes it in the end. Otherwise the end of the pipe leaves it as it
   * is; a read that was under way by then still takes what comes next, so end such a pipe when nobody waits for a message.
   *
   * @default {true}
   */
  readonly owned?: boolean;
}

/** The pipe that a connection becomes. */
export type PipeOfConn<C> = C extends Deno.TlsConn ? TlsPipe
  : C extends Deno.TcpConn ? TcpPipe
  : C extends Deno.UnixConn ? UnixPipe
  : TcpPipe | TlsPipe | UnixPipe;

/**
 * Makes a pipe of a connection of the runtime: what `Deno.connect`, `Deno.connectTls` and `Deno.listen` give.
 *
 * Nobody else may read from it or write to it from then on. Of TLS, the handshake is waited for. Needs no permission.
 *
 * @param conn The connection.
 * @param options Framing and limits of the pipe, and whom the connection belongs to.
 * @returns The pipe.
 * @throws What went wrong with the handshake; the connection is left to its owner then.
 *
 * @example
 * ```ts
 * import { lines, pipeFromConn } from "@holdfast/net/pipes";
 * import { assertEquals } from "@std/assert";
 *
 * const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const client = await Deno.connect({ port: (listener.addr as Deno.NetAddr).port });
 * await using pipe = await pipeFromConn(await listener.accept(), { framing: lines() });
 * await client.write(new TextEncoder().encode("one\ntwo\n"));
 * assertEquals(new TextDecoder().decode(await pipe.recv() ?? undefined), "one");
 * client.close();
 * listener.close();
 * ```
 */
export async function pipeFromConn<C extends Deno.TcpConn | Deno.TlsConn | Deno.UnixConn>(
  conn: C,
  options: PipeFromConnOptions = {},
): Promise<PipeOfConn<C>> {
  checkNetworkOptions(options);
  const link = connLink(conn, { ...tcpLinkOptions(options), owned: options.owned ?? true });
  await link.ready?.();
  return makePipe(link, options) as unknown as PipeOfConn<C>;
}

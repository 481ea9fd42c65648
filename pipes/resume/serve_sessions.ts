/** Serving sessions: by a URL of its own, or mounted in a server of the application. */

import { parsePipeUrl, splitResume } from "../address.ts";
import { checkNetworkOptions } from "../_network_keeper.ts";
import type { ListenOptions } from "../listen.ts";
import { serverSetup } from "./_server_setup.ts";
import { SessionListener } from "./_session_listener.ts";
import type { SessionServer } from "./session_server.ts";

/**
 * Serves sessions that outlive their connections: `resume+tcp://host:port`, `resume+tls://host:port`, `resume+unix:/path`, and
 * with the transports of `@holdfast/net/pipes/ws` `resume+ws://` and `resume+wss://`.
 *
 * What the clients' connections go through is not seen by the pipes that are handed out: they are suspended, and go on. A
 * session is lost only when its client has not come back for `session.expiry` milliseconds, when it was given up for want of
 * memory, or when either end says so.
 *
 * Without `session.seal` TCP and WebSocket protect nothing: who can read or change the path can read and change the bytes.
 * Such sessions are for this machine and its private networks, others are refused unless `session.plain` says otherwise. Over
 * TLS, clients that ask for no session are refused as well, or get ordinary pipes with `resume: "prefer"`.
 *
 * Needs the permissions that {@linkcode listen} needs.
 *
 * @param url Where; `null` where all connections come by {@linkcode SessionServer.upgrade}.
 * @param options Framing and limits of the pipes, how to listen, and what the sessions are like.
 * @returns The server.
 * @throws {PipeError} With code `"listen"` when it could not be done; its `failure` says why.
 * @throws {PermissionError} When the runtime does not allow it.
 * @throws {TypeError} When the URL or an option makes no sense.
 * @throws {RangeError} When a number makes none.
 *
 * @example
 * ```ts
 * import { connect } from "@holdfast/net/pipes";
 * import { serveSessions } from "@holdfast/net/pipes/resume";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await serveSessions("resume+tcp://127.0.0.1:0");
 * await using pipe = await connect(server.url);
 * for await (const session of server) {
 *   await session.send("welcome");
 *   assertEquals(new TextDecoder().decode(await pipe.recv() ?? undefined), "welcome");
 *   await Promise.all([session.close(), pipe.close()]);
 *   break;
 * }
 * ```
 */
export async function serveSessions(
  url: string | URL | null,
  options: ListenOptions = {},
): Promise<SessionServer> {
  const { prefix = true, rest = null } = url === null ? {} : splitResume(url);
  if (!prefix) throw new TypeError(`Cannot serve sessions: the URL must begin with resume+, got "${rest}"`);
  const place = rest === null ? null : parsePipeUrl(rest, "listen");
  checkNetworkOptions(options);
  options.signal?.throwIfAborted();
  return await SessionListener.start(place, serverSetup(place, options));
}

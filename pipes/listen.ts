/** Listening: a URL becomes a server whose connections are pipes. */

import type { NetworkView } from "../internal/network_view.ts";
import { parsePipeUrl, splitResume } from "./address.ts";
import type { PipeOptions } from "./_base_pipe.ts";
import { checkNetworkOptions } from "./_network_keeper.ts";
import type { PipeOf } from "./pipe.ts";
import { PipeListener } from "./_pipe_listener.ts";
import type { SessionServerOptions } from "./resume/session_server_options.ts";
import type { PipeServer } from "./server.ts";
import type { PipeTransport } from "./_transport.ts";
import type { UdpListenOptions } from "./udp_options.ts";

/** How a server proves who it is. */
export interface PipeServerTlsOptions {
  /** Its certificate, and those between it and the authority, in PEM. */
  readonly cert: string;
  /** The private key in PEM. */
  readonly key: string;
  /** The application protocols spoken (ALPN), best first. */
  readonly alpnProtocols?: readonly string[];
  /**
   * What does the work: the runtime's own TLS, which is faster and needs `--allow-ffi` for the C library, or else answers may
   * come 40 ms late; or that of Node's part, which cannot tell an end that somebody has cut short from a regular one.
   * {@linkcode PipeServer.report} says which it became.
   *
   * @default {"auto"} The runtime's own where it can be had without delay and without asking anybody.
   */
  readonly by?: "auto" | "native" | "node:tls";
}

/** What {@linkcode listen} takes. */
export interface ListenOptions extends PipeOptions {
  /** Calls the listening off, and closes the server when aborted later. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Where on this machine, instead of the URL's host: everywhere; at its private addresses and the loopback, those of a
   * home or company network; at the loopback only; at the addresses named.
   *
   * @default the URL's host; everywhere where it has none
   */
  readonly on?: "all" | "local" | "loopback" | readonly string[];
  /**
   * The network, for example a watcher: addresses that come are listened on, those that are missing at first are waited for.
   *
   * @default {undefined} What is there at the beginning counts.
   */
  readonly network?: NetworkView;
  /** Who it is, for `tls:` and `wss:`. */
  readonly tls?: PipeServerTlsOptions;
  /**
   * Whether small messages go out at once (`TCP_NODELAY`).
   *
   * @default {true}
   */
  readonly noDelay?: boolean;
  /**
   * How many connections may be open. Keep it well below the limit of open files (`ulimit -n`).
   *
   * @default {Infinity}
   */
  readonly maxConnections?: number;
  /**
   * How many connections may be open from one address, a /64 in IPv6; those above are closed at once.
   *
   * @default {Infinity}
   */
  readonly maxPerAddress?: number;
  /**
   * What happens to a connection above `maxConnections`: it waits in the system's queue, or is closed so that the client
   * knows.
   *
   * @default {"wait"}
   */
  readonly whenFull?: "wait" | "shed";
  /**
   * How many milliseconds a client has for its TLS handshake.
   *
   * @default {10_000}
   */
  readonly handshakeTimeout?: number;
  /** What `udp:` can be told besides. */
  readonly udp?: UdpListenOptions;
  /** What sessions are told, which are served by URLs that begin with `resume+`. */
  readonly session?: SessionServerOptions;
  /**
   * Whether clients that ask for no session are refused, or get an ordinary pipe, where the URL begins with `resume+`. Only over
   * TLS and WebSocket can that be told.
   *
   * @default {"require"}
   */
  readonly resume?: "require" | "prefer";
  /** Further ways to carry pipes. They come before the built-in ones. */
  readonly transports?: readonly PipeTransport[];
}

/**
 * Listens on a URL: `tcp://host:port`, `tls://host:port`, `unix:/path`, `memory:name`. Port 0 is any that is free; a missing
 * host, as in `tcp://:8080`, is everywhere, in both families.
 *
 * No more than a few connections are accepted ahead of who asks for pipes: who is slow holds back those who come.
 * The listening survives a process without descriptors, connections that are broken off and, with `network`, addresses that
 * come and go. A Unix socket that a dead server has left behind is replaced.
 *
 * Over UDP all peers share one socket. The first datagram of a peer makes a pipe, `udp` says how many there may be, and for how
 * long one may be quiet. A peer that is closed and sends again is a new one. Closing the server frees the port when the last
 * of its pipes is closed. A socket for everywhere answers from the address that the route has, which on machines with several
 * may not be the one that was asked: there `on: "local"`, with a socket per address, is the better choice.
 *
 * Needs the permission `net` for the addresses; for Unix sockets `read` and `write` of the path, and `net` for `unix:/path`;
 * for UDP the addresses of the peers as well, for they are sent to.
 *
 * @param url Where.
 * @param options Framing and limits of the pipes, and how to listen.
 * @returns The server.
 * @throws {PipeError} With code `"listen"` when it could not be done; its `failure` says why.
 * @throws {PermissionError} When the runtime does not allow it.
 * @throws {TypeError} When the URL or an option makes no sense.
 *
 * @example
 * ```ts
 * import { connect, listen } from "@holdfast/net/pipes";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await listen("tcp://127.0.0.1:0");
 * await using pipe = await connect(server.url);
 * for await (const accepted of server) {
 *   await accepted.send("welcome");
 *   await accepted.close();
 *   break;
 * }
 * assertEquals(await new Response(pipe.readable).text(), "welcome");
 * ```
 */
export async function listen<U extends string | URL>(
  url: U,
  options: ListenOptions = {},
): Promise<PipeServer<PipeOf<U>>> {
  if (splitResume(url).prefix) {
    // Only who has sessions loads them.
    const { serveSessions } = await import("./resume/serve_sessions.ts");
    return await serveSessions(url, options) as unknown as PipeServer<PipeOf<U>>;
  }
  const place = parsePipeUrl(url, "listen");
  checkNetworkOptions(options);
  options.signal?.throwIfAborted();
  return await PipeListener.start<PipeOf<U>>(place, options);
}

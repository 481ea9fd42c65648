/**
 * Pipes over WebSocket, with backpressure: `ws:` and `wss:`. On a subpath of its own, so that nobody fetches `npm:ws` who
 * does not import it; the runtime's own WebSocket takes in without bound what nobody reads.
 *
 * ```ts
 * import { connect, listen } from "@holdfast/net/pipes/ws";
 *
 * await using server = await listen("ws://127.0.0.1:0/chat");
 * await using pipe = await connect(server.url, { webSocket: { heartbeat: {} } });
 * await pipe.send("hello");
 * ```
 *
 * @module
 */

import { connect as connectAny, type ConnectOptions } from "./connect.ts";
import { listen as listenAny, type ListenOptions } from "./listen.ts";
import type { PipeOf } from "./pipe.ts";
import type { PipeServer } from "./server.ts";
import type { PipeTransport } from "./_transport.ts";
import type { WebSocketConnectOptions, WebSocketListenOptions } from "./web_socket_options.ts";
import { wsTransport } from "./_ws_transport.ts";

export {
  type AdoptedWebSocketOptions,
  type NodeWebSocket,
  pipeFromWebSocket,
  type UpgradedPipe,
  upgradePipe,
  type UpgradePipeOptions,
} from "./web_socket.ts";
export { WebSocketCloseError } from "./web_socket_close_error.ts";
export type {
  WebSocketConnectOptions,
  WebSocketHeartbeatOptions,
  WebSocketListenOptions,
  WebSocketOptions,
  WebSocketRequest,
} from "./web_socket_options.ts";

/** What {@linkcode connect} takes. */
export interface WebSocketPipeOptions extends ConnectOptions {
  /** What `ws:` and `wss:` can be told besides. */
  readonly webSocket?: WebSocketConnectOptions;
}

/** What {@linkcode listen} takes. */
export interface WebSocketServerOptions extends ListenOptions {
  /** What `ws:` and `wss:` can be told besides. */
  readonly webSocket?: WebSocketListenOptions;
}

/**
 * Makes what carries `ws:` and `wss:`, for the option `transports` of whatever connects or listens.
 *
 * @param options What pipes over WebSocket can be told besides.
 * @returns The transport.
 *
 * @example
 * ```ts
 * import { connect, listen } from "@holdfast/net/pipes";
 * import { webSocket } from "@holdfast/net/pipes/ws";
 * import { assertEquals } from "@std/assert";
 *
 * const transports = [webSocket({ maxPayload: 1024 })];
 * await using server = await listen("ws://127.0.0.1:0", { transports });
 * await using pipe = await connect(server.url, { transports });
 * await pipe.send("hello");
 * for await (const accepted of server) {
 *   assertEquals(new TextDecoder().decode(await accepted.recv() ?? undefined), "hello");
 *   await accepted.close();
 *   break;
 * }
 * ```
 */
export function webSocket(options: WebSocketConnectOptions & WebSocketListenOptions = {}): PipeTransport {
  return wsTransport(options);
}

/**
 * Connects to a URL of `ws:` or `wss:`, and to all others as that of `@holdfast/net/pipes` does.
 *
 * All addresses of a name are raced until one has answered the request for a WebSocket, so one that accepts connections and
 * is silent does not win. Redirects are not followed. Each message is one of WebSocket's, and one that is given as text is
 * sent as text. The other end is held back while nobody reads. The goodbyes 1000 and 1001, and one without a code, are the
 * end of the pipe; any other is a loss, with a {@linkcode WebSocketCloseError} as its `cause`. There is no closing of one
 * direction alone.
 *
 * Needs the permission `net`.
 *
 * @param url Where to.
 * @param options Limits of the pipe, and how to connect.
 * @returns The pipe.
 * @throws {PipeError} With code `"connect"` when it could not be done; its `failure` says why.
 * @throws {PermissionError} When the runtime does not allow it.
 * @throws {TypeError} When the URL or an option makes no sense.
 *
 * @example
 * ```ts
 * import { connect, listen } from "@holdfast/net/pipes/ws";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await listen("ws://127.0.0.1:0");
 * await using pipe = await connect(server.url);
 * for await (const accepted of server) {
 *   await accepted.send("welcome");
 *   await accepted.close();
 *   break;
 * }
 * assertEquals(new TextDecoder().decode(await pipe.recv() ?? undefined), "welcome");
 * assertEquals(await pipe.recv(), null);
 * ```
 */
export async function connect<U extends string | URL>(
  url: U,
  options: WebSocketPipeOptions = {},
): Promise<PipeOf<U>> {
  const { webSocket: own = {}, transports = [], ...rest } = options;
  return await connectAny(url, { ...rest, transports: [...transports, wsTransport(own)] });
}

/**
 * Listens on a URL of `ws:` or `wss:`, and on all others as that of `@holdfast/net/pipes` does.
 *
 * Clients have to ask for the path of the URL; others get 404, and those who want no WebSocket 426. The request has to come
 * within `handshakeTimeout`.
 *
 * Needs the permission `net` for the addresses.
 *
 * @param url Where.
 * @param options Limits of the pipes, and how to listen.
 * @returns The server.
 * @throws {PipeError} With code `"listen"` when it could not be done; its `failure` says why.
 * @throws {PermissionError} When the runtime does not allow it.
 * @throws {TypeError} When the URL or an option makes no sense.
 *
 * @example
 * ```ts
 * import { listen } from "@holdfast/net/pipes/ws";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await listen("ws://127.0.0.1:0", { webSocket: { protocols: ["chat"] } });
 * const browser = new WebSocket(server.url, "chat");
 * browser.onopen = () => browser.send("hello");
 * for await (const pipe of server) {
 *   assertEquals(pipe.protocol, "chat");
 *   assertEquals(new TextDecoder().decode(await pipe.recv() ?? undefined), "hello");
 *   await pipe.close();
 *   break;
 * }
 * ```
 */
export async function listen<U extends string | URL>(
  url: U,
  options: WebSocketServerOptions = {},
): Promise<PipeServer<PipeOf<U>>> {
  const { webSocket: own = {}, transports = [], ...rest } = options;
  return await listenAny(url, { ...rest, transports: [...transports, wsTransport(own)] });
}

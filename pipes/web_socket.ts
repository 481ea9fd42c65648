/** Pipes over WebSockets that somebody else has opened: the runtime's, `npm:ws`'s, or a request that a server has got. */

import type { HostAddress } from "./address.ts";
import { makePipe } from "./_make_pipe.ts";
import type { WebSocketPipe } from "./pipe.ts";
import type { PipeOptions } from "./_pipe_options.ts";
import { checkNumber } from "../recover/_check.ts";
import { asksForWebSocket, upgradeRequest, webSocketAddress } from "./_upgrade_request.ts";
import { WebSocketLink } from "./_web_socket_link.ts";
import { checkWebSocketOptions, type WebSocketOptions } from "./web_socket_options.ts";
import { type NodeWebSocket, WsLink } from "./_ws_link.ts";

export type { NodeWebSocket };

/** What {@linkcode pipeFromWebSocket} takes. */
export interface AdoptedWebSocketOptions extends PipeOptions {
  /** What pipes over WebSocket can be told besides; `readAhead` and `heartbeat` are for a WebSocket of `npm:ws`. */
  readonly webSocket?: Pick<WebSocketOptions, "binary" | "readAhead" | "heartbeat" | "closeTimeout">;
  /**
   * How many bytes may wait for a reader on a WebSocket of the runtime, which takes in all that comes. More than that end
   * the pipe with a {@linkcode PipeError} of code `"queue-full"`.
   *
   * @default {16 * 1024 * 1024}
   */
  readonly maxUnread?: number;
  /**
   * Our end, as the pipe shows it.
   *
   * @default not known: no name, and port 0
   */
  readonly localAddress?: HostAddress;
  /**
   * The other end, as the pipe shows it.
   *
   * @default the URL of the WebSocket, where it has one
   */
  readonly remoteAddress?: HostAddress;
}

/** What {@linkcode upgradePipe} takes. */
export interface UpgradePipeOptions extends AdoptedWebSocketOptions {
  /**
   * The subprotocols that the server speaks, best first; a client that offers none of them gets none.
   *
   * @default {[]}
   */
  readonly protocols?: readonly string[];
  /**
   * After how many milliseconds without a sign of life the runtime asks the client for one, and again as many until it gives
   * up; 0 for never. Counted in whole seconds.
   *
   * @default {30_000}
   */
  readonly idleTimeout?: number;
  /** What `Deno.serve` tells of the request besides: where it came from. */
  readonly info?: { readonly remoteAddr: Deno.Addr };
}

/** What {@linkcode upgradePipe} gives. */
export interface UpgradedPipe {
  /** What the handler of the request has to return. */
  readonly response: Response;
  /** The pipe; what is sent waits until the response is. */
  readonly pipe: WebSocketPipe;
}

/**
 * Makes a pipe of a WebSocket, which belongs to the pipe from then on.
 *
 * Give it before its first message can have come: in the turn in which it was made, or in which its server told of it. One of
 * `npm:ws` is held back while nobody reads. One of the runtime cannot be: it takes in what comes, and the pipe ends when
 * `maxUnread` bytes wait; nor can it be cut, so aborting says goodbye with code 4000.
 *
 * @param socket The WebSocket; one of `npm:ws` must be open.
 * @param options Limits of the pipe, and the addresses.
 * @returns The pipe.
 * @throws {TypeError} When an option makes no sense for this WebSocket.
 *
 * @example
 * ```ts
 * import { pipeFromWebSocket } from "@holdfast/net/pipes/ws";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
 *   const { socket, response } = Deno.upgradeWebSocket(request);
 *   socket.onmessage = ({ data }) => socket.send(data);
 *   return response;
 * });
 * await using pipe = pipeFromWebSocket(new WebSocket(`ws://127.0.0.1:${server.addr.port}`));
 * await pipe.send("hello");
 * assertEquals(new TextDecoder().decode(await pipe.recv() ?? undefined), "hello");
 * ```
 */
export function pipeFromWebSocket(
  socket: WebSocket | NodeWebSocket,
  options: AdoptedWebSocketOptions = {},
): WebSocketPipe {
  return adopt(socket, options);
}

/**
 * Makes a pipe of a request that a server of the runtime (`Deno.serve`) has got.
 *
 * It is a pipe over the runtime's own WebSocket, with the limits that {@linkcode pipeFromWebSocket} tells of.
 *
 * @param request The request.
 * @param options Limits of the pipe, subprotocols, and where the request came from.
 * @returns The pipe, and the response that lets it begin.
 * @throws {TypeError} When the request asks for no WebSocket.
 *
 * @example
 * ```ts
 * import { connect, upgradePipe } from "@holdfast/net/pipes/ws";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request, info) => {
 *   const { response, pipe } = upgradePipe(request, { info });
 *   pipe.on("message", ({ data }) => pipe.send(data));
 *   return response;
 * });
 * await using pipe = await connect(`ws://127.0.0.1:${server.addr.port}`);
 * await pipe.send("hello");
 * assertEquals(new TextDecoder().decode(await pipe.recv() ?? undefined), "hello");
 * ```
 */
export function upgradePipe(request: Request, options: UpgradePipeOptions = {}): UpgradedPipe {
  const { protocols = [], idleTimeout, info, ...rest } = options;
  if (!asksForWebSocket(request)) throw new TypeError("Cannot upgrade: the request asks for no WebSocket");
  const { socket, response, protocol, ...ends } = upgradeRequest(request, { protocols, idleTimeout, info });
  return { response, pipe: adopt(socket, { ...ends, ...rest }, protocol) };
}

/** Makes a pipe of a WebSocket; the runtime does not tell a server which subprotocol was agreed on. */
function adopt(
  socket: WebSocket | NodeWebSocket,
  options: AdoptedWebSocketOptions,
  protocol?: string,
): WebSocketPipe {
  const { webSocket = {}, maxUnread = 16 * 1024 * 1024, clock, network } = options;
  const checked = checkWebSocketOptions("make a pipe", webSocket);
  checkNumber("make a pipe", "maxUnread", maxUnread);
  const remoteAddress = options.remoteAddress ?? webSocketAddress((socket as WebSocket).url);
  const localAddress = options.localAddress ?? { transport: remoteAddress.transport, hostname: "", port: 0 };
  const common = { ...checked, localAddress, remoteAddress, maxUnread, clock, network };
  if (!("terminate" in socket)) {
    if (webSocket.heartbeat) {
      throw new TypeError(
        "Cannot make a pipe: heartbeat needs a WebSocket that can ping, and the runtime's cannot",
      );
    }
    return pipeOf(new WebSocketLink(socket, { ...common, protocol }), options);
  }
  if (socket.readyState !== 1) {
    throw new TypeError(
      `Cannot make a pipe: the WebSocket must be open, got readyState ${socket.readyState}`,
    );
  }
  const link = new WsLink(common);
  link.attach(socket);
  return pipeOf(link, options);
}

function pipeOf(link: WsLink | WebSocketLink, options: PipeOptions): WebSocketPipe {
  return makePipe(link, options) as unknown as WebSocketPipe;
}

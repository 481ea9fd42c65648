/** Carries `ws:` and `wss:` over whatever carries `tcp:` and `tls:`. */

import type { HostAddress, PipeUrl } from "./address.ts";
import type { ConnectOptions } from "./connect.ts";
import type { Dialer, Link, LinkListener } from "./_link.ts";
import { linkStream } from "./_link_stream.ts";
import type { ListenOptions } from "./listen.ts";
import type { PipeTransport } from "./_transport.ts";
import { transportOf } from "./_transports.ts";
import { checkWebSocketOptions } from "./web_socket_options.ts";
import type { WebSocketConnectOptions, WebSocketListenOptions } from "./web_socket_options.ts";
import { openWs, type WsRequest } from "./_ws_client.ts";
import { wsLibrary } from "./_ws_library.ts";
import { type NodeWebSocket, WsLink } from "./_ws_link.ts";
import { WsServer } from "./_ws_server.ts";

/** The longest message of what a protocol of ours is carried by (docs/PROTOCOLS.md): nobody has proven anything before it. */
const CARRIED = 1024 * 1024;

/**
 * Makes a way to carry `ws:` and `wss:`.
 *
 * @param options What pipes over WebSocket are told besides.
 */
export function wsTransport(options: WebSocketConnectOptions & WebSocketListenOptions): PipeTransport {
  return {
    schemes: ["ws", "wss"],
    dial: (url, rest) => dialerOf(url, rest, options),
    offering: (protocol) => {
      const { protocols = [], maxPayload = CARRIED } = options;
      return wsTransport({ ...options, protocols: [protocol, ...protocols], maxPayload });
    },
    listen: (url, rest) => listenOn(url, rest, options),
  };
}

function dialerOf(url: PipeUrl, options: ConnectOptions, ws: WebSocketConnectOptions): Dialer {
  const place = withHost(url);
  const headers = checkedHeaders(ws.headers ?? {});
  const request: WsRequest = { ...checkWebSocketOptions("connect", ws), url: place, headers };
  const { network, clock, transports, tls } = options;
  const upgrade = async (link: Link, signal: AbortSignal): Promise<Link> => {
    const { socket, stream } = await openWs(link, request, signal);
    const addresses = addressesOf(link, place.transport);
    const upgraded = new WsLink({ ...request, ...addresses, cause: () => stream.errored, network, clock });
    upgraded.attach(socket);
    return upgraded;
  };
  // What comes of HTTP/2 would not understand the request.
  const below = { ...options, ...(place.transport === "wss" ? { tls: { ...HTTP1, ...tls } } : {}) };
  const dial = transportOf(place.below.transport, transports).dial(place.below, below, upgrade);
  return async ({ signal }) => {
    const link = await dial({ signal });
    return link instanceof WsLink ? link : await upgrade(link, signal);
  };
}

const HTTP1 = { alpnProtocols: ["http/1.1"] } as const;

async function listenOn(
  url: PipeUrl,
  options: ListenOptions,
  ws: WebSocketListenOptions,
): Promise<LinkListener> {
  const { path, transport, below } = withHost(url);
  const checked = checkWebSocketOptions("listen", ws);
  const server = new WsServer(await wsLibrary(), { ...checked, path, allow: ws.allow });
  const listener = await transportOf(below.transport, options.transports).listen(below, options);
  const { network, clock } = options;
  return {
    ...(listener.report ? { report: listener.report } : {}),
    addresses: listener.addresses.map((address) => ofWs(address, transport)),
    accept: async () => {
      const link = await listener.accept();
      if (!link) return null;
      const addresses = addressesOf(link, transport);
      const stream = linkStream(link);
      const open = async (): Promise<NodeWebSocket> => {
        await link.ready?.();
        return await server.upgrade(stream, addresses.remoteAddress);
      };
      const common = { ...checked, ...addresses, network, clock };
      return new WsLink({ ...common, cause: () => stream.errored, open, giveUp: () => stream.destroy() });
    },
    close: () => listener.close(),
  };
}

interface Place extends HostAddress {
  readonly transport: "ws" | "wss";
  readonly path: string;
  /** What carries it. */
  readonly below: HostAddress & { readonly transport: "tcp" | "tls"; readonly path: "/" };
}

function withHost(url: PipeUrl): Place {
  if (url.transport !== "ws" && url.transport !== "wss") {
    throw new TypeError(`Cannot use ${url.transport}: this carries ws: and wss: only`);
  }
  const { transport, hostname, port, path } = url;
  const below = { hostname, port, path: "/", transport: transport === "ws" ? "tcp" : "tls" } as const;
  return { transport, hostname, port, path: path.startsWith("/") ? path : `/${path}`, below };
}

function ofWs(address: object, transport: "ws" | "wss"): HostAddress {
  const { hostname = "", port = 0 } = address as Partial<HostAddress>;
  return { transport, hostname, port };
}

function addressesOf(
  { localAddress, remoteAddress }: Link,
  transport: "ws" | "wss",
): { readonly localAddress: HostAddress; readonly remoteAddress: HostAddress } {
  return { localAddress: ofWs(localAddress, transport), remoteAddress: ofWs(remoteAddress, transport) };
}

function checkedHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const [name, value] of Object.entries(headers)) {
    try {
      new Headers([[name, value]]);
    } catch (error) {
      throw new TypeError(`Cannot connect: a header cannot be sent, ${JSON.stringify(name)}`, {
        cause: error,
      });
    }
  }
  return headers;
}

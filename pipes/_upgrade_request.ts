/** Makes a WebSocket of a request that a server of the runtime has got. */

import { checkNumber } from "../recover/_check.ts";
import type { HostAddress } from "./address.ts";

/** What is known of a request besides. */
export interface UpgradeRequestOptions {
  /** The subprotocols that the server speaks, best first. */
  readonly protocols: readonly string[];
  /** After how many milliseconds of silence the runtime asks for a sign of life; 0 for never. @default {30_000} */
  readonly idleTimeout?: number | undefined;
  /** What `Deno.serve` tells of the request. */
  readonly info?: { readonly remoteAddr: Deno.Addr } | undefined;
}

/** A WebSocket to be. */
export interface UpgradedRequest {
  /** The WebSocket; it opens when the response has left. */
  readonly socket: WebSocket;
  /** What the handler has to return. */
  readonly response: Response;
  /** The subprotocol that was agreed on. */
  readonly protocol: string | undefined;
  /** Our end, as the client knows it. */
  readonly localAddress: HostAddress;
  /** The other end. */
  readonly remoteAddress: HostAddress;
}

/** Whether a request asks for a WebSocket. */
export function asksForWebSocket(request: Request): boolean {
  return request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

/** The subprotocols that a request offers. */
export function offeredProtocols(request: Request): readonly string[] {
  return (request.headers.get("sec-websocket-protocol") ?? "").split(",").map((one) => one.trim());
}

/**
 * Makes a WebSocket of a request.
 *
 * @param request The request, which asks for one.
 * @param options What is known of it besides.
 */
export function upgradeRequest(request: Request, options: UpgradeRequestOptions): UpgradedRequest {
  const { protocols, idleTimeout = 30_000, info } = options;
  checkNumber("upgrade", "idleTimeout", idleTimeout);
  const offered = offeredProtocols(request);
  const protocol = protocols.find((one) => offered.includes(one));
  const list = request.headers.get("sec-websocket-protocol") ?? "";
  if (protocol !== undefined && !list.split(", ").includes(protocol)) {
    // The runtime (2.9) takes the list apart where a blank follows the comma, and not every client writes one.
    const headers = new Headers(request.headers);
    headers.set("sec-websocket-protocol", offered.join(", "));
    Object.defineProperty(request, "headers", { value: headers, configurable: true });
  }
  const localAddress = webSocketAddress(request.url);
  // The runtime knows it only until the request is upgraded.
  const { remoteAddr } = info ?? {};
  const from = remoteAddr && "hostname" in remoteAddr ? remoteAddr : { hostname: "", port: 0 };
  const remoteAddress = { transport: localAddress.transport, hostname: from.hostname, port: from.port };
  const { socket, response } = Deno.upgradeWebSocket(request, {
    idleTimeout: Math.ceil(idleTimeout / 1000),
    ...(protocol === undefined ? {} : { protocol }),
  });
  return { socket, response, protocol, localAddress, remoteAddress };
}

/** The end that a URL of a WebSocket, or of the request for one, names. */
export function webSocketAddress(url: string | undefined): HostAddress {
  const { protocol, hostname, port } = URL.parse(url ?? "") ?? { protocol: "ws:", hostname: "", port: "0" };
  const transport = protocol === "wss:" || protocol === "https:" ? "wss" : "ws";
  const number = port === "" ? (transport === "wss" ? 443 : 80) : Number(port);
  return { transport, hostname: hostname.replace(/^\[(.*)\]$/, "$1"), port: number };
}

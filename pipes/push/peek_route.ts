/** Where a connection wants to go, read off its first bytes. All of it is pure. */

import { type Http1Route, type Http2Route, peekHttp } from "./_peek_http.ts";
import { peekProxy, type ProxyRoute } from "./_peek_proxy.ts";
import { peekTls, type TlsRoute } from "./_peek_tls.ts";

/** Where a connection wants to go. */
export type PeekedRoute = TlsRoute | Http1Route | Http2Route | ProxyRoute;

/** What {@linkcode peekRoute} makes of the first bytes: a route; `"more"` of them; or what it never will know. */
export type Peeked = PeekedRoute | "more" | "unknown";

/** The most first bytes that are looked at. */
export const MAX_PEEK: number = 16 * 1024;

/**
 * Reads where a connection wants to go off its first bytes: a TLS ClientHello, the head of an HTTP/1 request, the preface of
 * HTTP/2, or a header of the PROXY protocol.
 *
 * A route comes out when all of what it is read from is there and right: a head with two hosts or a ClientHello cut into
 * strange records is no route that another server would take otherwise. Names are those of hosts, in lower case, without a dot
 * at the end. They are what a stranger says: good for choosing who gets the connection, not for trusting it.
 *
 * A PROXY header comes as a route of its own; it says how long it is, and what follows can be looked at in the same way. Only
 * take one from those who are known to send it: anybody can write one.
 *
 * @param bytes The first bytes of a connection, as many as have come.
 * @returns The route; `"more"` while it could still become one; `"unknown"` when it cannot, or not within 16 KiB.
 *
 * @example
 * ```ts
 * import { peekRoute } from "@holdfast/net/pipes/push";
 * import { assertEquals } from "@std/assert";
 *
 * const head = new TextEncoder().encode("GET /news HTTP/1.1\r\nHost: Example.org:8080\r\n\r\n");
 * assertEquals(peekRoute(head), {
 *   kind: "http",
 *   name: "example.org",
 *   port: 8080,
 *   method: "GET",
 *   target: "/news",
 *   version: "1.1",
 * });
 * assertEquals(peekRoute(head.subarray(0, 20)), "more");
 * assertEquals(peekRoute(new TextEncoder().encode("SSH-2.0-OpenSSH_9.2\r\n")), "unknown");
 * ```
 */
export function peekRoute(bytes: Uint8Array): Peeked {
  const seen = bytes.subarray(0, MAX_PEEK);
  let more = false;
  for (const parse of [peekTls, peekHttp, peekProxy]) {
    const peeked = parse(seen);
    if (typeof peeked === "object") return peeked;
    more ||= peeked === "more";
  }
  return more && bytes.length < MAX_PEEK ? "more" : "unknown";
}

/** Which process gets a connection, by its first bytes. Pure. */

import { hostName } from "./_host_name.ts";
import { type PeekedRoute, peekRoute } from "./peek_route.ts";
import type { ProxyRoute } from "./_peek_proxy.ts";

/** The process that gets a connection: the path of its Unix socket, or several of which any will do. */
export type RouteTarget = string | readonly string[];

/** Names, and who gets the connections that ask for them. */
export type RouteTable = Readonly<Record<string, RouteTarget>>;

/** Who gets which connections. */
export interface PushRoutes {
  /**
   * By a protocol that the client of TLS offers (ALPN), `"acme-tls/1"` for example. Looked at before the names, in the order of
   * the client's wishes.
   */
  readonly alpn?: RouteTable;
  /** By the name of the server that the client of TLS asks for; `"*.example.org"` stands for one label. */
  readonly sni?: RouteTable;
  /** By the host of a request of HTTP/1 without TLS; `"*.example.org"` stands for one label. */
  readonly host?: RouteTable;
  /**
   * By what a header of the PROXY protocol says the client connected to: `"192.0.2.1:443"`, `"192.0.2.1"`, or the name of the
   * authority. Anybody can write such a header: use it behind a proxy alone. A header that leads nowhere is looked
   * behind, for what the client itself says.
   */
  readonly proxy?: RouteTable;
}

/** What was seen of a connection. */
export interface SeenRoute {
  /** What the client says. */
  readonly route: PeekedRoute | "unknown";
  /** The header of the PROXY protocol before that, `null` where there is none. It travels with the connection. */
  readonly proxy: ProxyRoute | null;
  /** Who gets it, `null` where no route leads anywhere. */
  readonly target: RouteTarget | null;
}

/**
 * Puts routes into the form that they are looked up in.
 *
 * @throws {RangeError} When a name is none.
 */
export function checkRoutes(routes: PushRoutes): PushRoutes {
  const names = (kind: "sni" | "host"): RouteTable => {
    const table: Record<string, RouteTarget> = {};
    for (const [name, target] of Object.entries(routes[kind] ?? {})) {
      const rest = hostName(name.replace(/^\*\./, "").replace(/^\[(.*)\]$/, "$1"));
      if (rest === null && !(kind === "host" && name.includes(":"))) {
        throw new RangeError(`Cannot route by ${kind}: "${name}" is no name of a host`);
      }
      table[rest === null ? name.toLowerCase() : name.startsWith("*.") ? `*.${rest}` : rest] = target;
    }
    return table;
  };
  return { ...routes, sni: names("sni"), host: names("host") };
}

/**
 * Chooses by the first bytes of a connection.
 *
 * @param bytes They, as many as have come.
 * @param routes What {@linkcode checkRoutes} made of the routes.
 * @param maxBytes How many of them may be looked at.
 * @returns What was seen, or `"more"` while it could still become a route.
 */
export function chooseRoute(bytes: Uint8Array, routes: PushRoutes, maxBytes: number): SeenRoute | "more" {
  const over = bytes.length >= maxBytes;
  const seen = bytes.subarray(0, maxBytes);
  const first = enough(peekRoute(seen), over);
  if (first === "more") return "more";
  if (first === "unknown" || first.kind !== "proxy") {
    return { route: first, proxy: null, target: targetOf(first, routes) };
  }
  const target = targetOf(first, routes);
  if (target !== null) return { route: "unknown", proxy: first, target };
  const inner = enough(peekRoute(seen.subarray(first.length)), over);
  if (inner === "more") return "more";
  // A header behind a header is nobody's.
  const known = inner !== "unknown" && inner.kind !== "proxy" ? inner : "unknown";
  return { route: known, proxy: first, target: targetOf(known, routes) };
}

function enough<T>(peeked: T | "more", over: boolean): T | "more" | "unknown" {
  return peeked === "more" && over ? "unknown" : peeked;
}

function targetOf(route: PeekedRoute | "unknown", routes: PushRoutes): RouteTarget | null {
  if (route === "unknown" || route.kind === "http2") return null;
  if (route.kind === "proxy") {
    const { destination, name } = route;
    const keys = destination === null || "path" in destination ? [] : placesOf(destination);
    return lookUp(routes.proxy, name === null ? keys : [...keys, name]);
  }
  const { name } = route;
  const names = name === null ? [] : [name, name.replace(/^[^.]+/, "*")];
  if (route.kind === "http") return lookUp(routes.host, names);
  return lookUp(routes.alpn, route.alpn) ?? lookUp(routes.sni, names);
}

function placesOf(
  { hostname, port }: { readonly hostname: string; readonly port: number },
): readonly string[] {
  return [`${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`, hostname];
}

/** What a stranger sends is the key, so nothing but the table's own counts. */
function lookUp(table: RouteTable | undefined, keys: readonly string[]): RouteTarget | null {
  const key = keys.find((key) => table && Object.hasOwn(table, key));
  return key === undefined ? null : table?.[key] ?? null;
}

/** Which proxy a pipe goes through: read from what the caller gave, or from the environment. */

import type { Need } from "../internal/permissions.ts";
import { withPermission } from "../internal/permissions.ts";
import { isLoopback, networkOf, parseIp } from "../internal/ip.ts";
import type { PipeUrl } from "./address.ts";
import type { ProxyLogin } from "./_proxy_exchange.ts";

/** How a proxy is spoken with. */
export type ProxyScheme = "http" | "https" | "socks5" | "socks5h";

/** A proxy. */
export interface ProxyAddress {
  /** How it is spoken with. */
  readonly scheme: ProxyScheme;
  /** Its name or address, without brackets. */
  readonly hostname: string;
  /** Its port. */
  readonly port: number;
  /** Who asks. */
  readonly login: ProxyLogin | null;
}

/** What can go through a proxy. */
type Proxied = Extract<PipeUrl, { readonly path: string; readonly hostname: string }>;

const PORTS: Readonly<Record<ProxyScheme, number>> = { http: 80, https: 443, socks5: 1080, socks5h: 1080 };

/** The variables that are read, the first that is set of each pair (as curl(1) does). */
const VARIABLES = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"] as const;

/**
 * Finds the proxy for a place.
 *
 * @param place Where to.
 * @param proxy What the caller gave.
 * @returns The proxy, or `null` where there is to be none.
 * @throws {TypeError} When the option makes no sense, or the place cannot be reached through any; no message shows a password.
 * @throws {PermissionError} When the environment may not be read.
 */
export function proxyFor(place: PipeUrl, proxy: string | URL | null | undefined): ProxyAddress | null {
  if (proxy === null || proxy === undefined) return null;
  const isProxied = place.transport !== "udp" && "hostname" in place;
  if (proxy !== "system") {
    const address = parseProxy(proxy);
    if (isProxied) return address;
    throw new TypeError(
      `Cannot connect: proxy is for tcp:, tls:, ws: and wss:, and ${place.transport}: knows none`,
    );
  }
  // What does not go by TCP goes as it would without.
  if (!isProxied) return null;
  const needs = VARIABLES.map((variable): Need => ({ name: "env", variable }));
  return withPermission(
    "read the proxy of the system",
    needs,
    () => systemProxy(place, (name) => Deno.env.get(name)),
  );
}

/**
 * Reads a proxy's URL.
 *
 * @param proxy As the caller gave it.
 * @throws {TypeError} When it is none; the message does not show it, as a password may be in it.
 */
export function parseProxy(proxy: string | URL): ProxyAddress {
  const fail = (why: string): TypeError =>
    new TypeError(
      `Cannot use the proxy: ${why}, as in http://HOST:PORT or socks5h://USER:PASSWORD@HOST:PORT`,
    );
  const text = String(proxy);
  const url = URL.parse(text);
  const scheme = SCHEMES.find((one) => `${one}:` === url?.protocol);
  if (!url || !text.includes("://")) throw fail("it must be a URL");
  if (!scheme) {
    throw fail(
      `its scheme must be one of ${SCHEMES.join(", ")}, got ${JSON.stringify(url.protocol.slice(0, 32))}`,
    );
  }
  const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (hostname === "" || !/^[\w.:-]+$/.test(hostname)) throw fail("a host must follow the scheme");
  if (!/^\/?$/.test(url.pathname) || url.search !== "" || url.hash !== "") {
    throw fail("nothing may follow the port");
  }
  // The standard port of a scheme is left out of a URL.
  const port = url.port === "" ? PORTS[scheme] : Number(url.port);
  if (port === 0) throw fail("the port must be 1 to 65535");
  return { scheme, hostname, port, login: loginOf(url, scheme, fail) };
}

const SCHEMES: readonly ProxyScheme[] = ["http", "https", "socks5", "socks5h"];

function loginOf(url: URL, scheme: ProxyScheme, fail: (why: string) => TypeError): ProxyLogin | null {
  if (url.username === "" && url.password === "") return null;
  let login: ProxyLogin;
  try {
    login = { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  } catch {
    throw fail("its user or password is not percent-encoded");
  }
  const both = [login.user, login.password];
  if (both.some((one) => /\p{Cc}/u.test(one))) throw fail("its user or password has control characters");
  // RFC 7617 section 2: the first colon ends the user. RFC 1929 section 2: each has one byte for its length.
  if (scheme.startsWith("http") && login.user.includes(":")) throw fail("its user must not have a colon");
  if (scheme.startsWith("socks") && both.some((one) => new TextEncoder().encode(one).length > 255)) {
    throw fail("its user and password must have at most 255 bytes each");
  }
  return login;
}

/** Writes a proxy as messages show it: without user and password. */
export function formatProxy({ scheme, hostname, port }: ProxyAddress): string {
  return `${scheme}://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/**
 * Finds the proxy that the environment names for a place.
 *
 * @param place Where to.
 * @param get Reads a variable.
 */
export function systemProxy(
  place: Pick<Proxied, "hostname" | "port">,
  get: (name: string) => string | undefined,
): ProxyAddress | null {
  const first = (...names: readonly (typeof VARIABLES)[number][]): string =>
    names.map((name) => get(name)?.trim()).find((value) => value) ?? "";
  const value = first("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY");
  if (value === "" || isLocal(place.hostname) || isExempt(place, first("no_proxy", "NO_PROXY"))) return null;
  return parseProxy(value.includes("://") ? value : `http://${value}`);
}

/** A proxy's idea of this machine is another one. */
function isLocal(hostname: string): boolean {
  const bytes = parseIp(hostname);
  return bytes ? isLoopback(bytes) : /^(.*\.)?localhost\.?$/i.test(hostname);
}

/** Whether a list of names, addresses and networks, each with a port or without, has the place; `*` has all. */
function isExempt({ hostname, port }: Pick<Proxied, "hostname" | "port">, list: string): boolean {
  const name = hostname.replace(/%.*$/, "").replace(/\.$/, "").toLowerCase();
  const address = parseIp(name);
  return list.toLowerCase().split(/[\s,]+/).some((item) => {
    if (item === "" || item === "*") return item === "*";
    const [, literal, plain = "", number] = /^(?:\[([^\]]*)\]|([^:]*|.*:.*:.*?))(?::(\d+))?$/.exec(item) ??
      [];
    if (number !== undefined && Number(number) !== port) return false;
    const [host = "", prefix] = (literal ?? plain).split("/");
    const own = parseIp(host);
    if (address || own) return address !== null && own !== null && isIn(address, own, prefix);
    const suffix = host.replace(/^\*?\./, "").replace(/\.$/, "");
    return suffix !== "" && (name === suffix || name.endsWith(`.${suffix}`));
  });
}

function isIn(address: Uint8Array, network: Uint8Array, prefix: string | undefined): boolean {
  const bits = prefix === undefined ? 8 * network.length : Number(prefix);
  if (address.length !== network.length || !(bits >= 0 && bits <= 8 * network.length)) return false;
  return networkOf(address, bits).toHex() === networkOf(network, bits).toHex();
}

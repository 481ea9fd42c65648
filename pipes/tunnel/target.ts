/** Where a tunnel leads: a host and a port, written in one way only, so that two of them can be compared. */

import { formatIp, parseIp } from "../../internal/ip.ts";

/** A host and a port. */
export interface TunnelTarget {
  /** A name in lower case, or an IP address in its canonical form, without brackets. */
  readonly hostname: string;
  /** 1 to 65535; of an address to listen on, 0 for any that is free. */
  readonly port: number;
}

/** The most characters that a host can have: what a greeting has room for. */
export const MAX_HOST = 251;

/**
 * Reads `HOST:PORT`; an IPv6 address stands in brackets.
 *
 * @param text For example `"db.internal:5432"` or `"[::1]:22"`.
 * @param use What it is for: a target has a host and a port that is not 0; an address to listen on may do without.
 * @returns The target, in canonical form.
 * @throws {TypeError} Where it is none.
 *
 * @example
 * ```ts
 * import { parseTarget } from "@holdfast/net/pipes/tunnel";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseTarget("DB.internal.:5432"), { hostname: "db.internal", port: 5432 });
 * assertEquals(parseTarget("[0:0::1]:22"), { hostname: "::1", port: 22 });
 * ```
 */
export function parseTarget(text: string, use: "connect" | "listen" = "connect"): TunnelTarget {
  const fail = (why: string): TypeError =>
    new TypeError(`Cannot read "${text.slice(0, 300).replace(/\p{Cc}/gu, "?")}": ${why}`);
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  if (!match) throw fail("it is not HOST:PORT, with an IPv6 address in brackets");
  const [, literal, name = "", digits = ""] = match;
  const port = Number(digits);
  if (port > 65_535 || port === 0 && use === "connect") {
    throw fail(`the port must be ${use === "connect" ? 1 : 0} to 65535`);
  }
  if (literal === undefined && name === "" && use === "listen") return { hostname: "", port };
  const hostname = literal === undefined ? canonicalHost(name) : literalHost(literal);
  if (hostname === null) throw fail(`"${literal ?? name}" is not a host`);
  return { hostname, port };
}

/**
 * Writes a target as it is read.
 *
 * @param target The target.
 */
export function formatTarget({ hostname, port }: TunnelTarget): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/**
 * A host in the one form in which hosts are compared.
 *
 * @param text A name or an IP address; anything may be in it.
 * @returns The host, or `null` where it is none.
 */
export function canonicalHost(text: string): string | null {
  const bytes = parseIp(text);
  if (bytes) return formatIp(bytes);
  const name = text.toLowerCase().replace(/\.$/, "");
  if (name.length > MAX_HOST || !/^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/.test(name)) return null;
  // Resolvers take such "names" for addresses (inet_aton: 127.1, 0x7f000001), which no rule would recognise.
  return /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/.test(name) ? null : name;
}

function literalHost(text: string): string | null {
  return text.includes(":") ? canonicalHost(text) : null;
}

/** What is dialled, read from what the caller gave. */

import { parseIp } from "../internal/ip.ts";
import { isLinkLocal6 } from "./_address_sort.ts";
import { checkNumber } from "./_check.ts";

/** What a caller may give: a text like `host:port` or `[2001:db8::1]:443`, or both by name. */
export type DialTarget = string | { readonly hostname: string; readonly port: number };

/** A target that makes sense. */
export interface ParsedTarget {
  /** The name, or the address with its zone, without brackets. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
  /** Whether the hostname is an address, which nobody has to look up. */
  readonly isAddress: boolean;
  /** Both as one text. */
  readonly text: string;
}

/**
 * Reads a target.
 *
 * @param target What the caller gave.
 * @throws {TypeError} When it is no target.
 * @throws {RangeError} When its port is none.
 */
export function parseTarget(target: DialTarget): ParsedTarget {
  if (typeof target !== "string" && typeof target?.hostname !== "string") throw notATarget(target);
  const { hostname, port } = typeof target === "string" ? split(target) : target;
  const name = hostname.replace(/^\[(.*)\]$/, "$1");
  if (!/^[^\s[\]/@]+$/.test(name) || name.length > 255) {
    throw new TypeError(`Cannot dial: a host name or IP address is needed, got ${JSON.stringify(hostname)}`);
  }
  checkNumber("dial", "port", port, { from: 1, to: 65_535, whole: true });
  const [address = "", zone] = name.split("%");
  const isAddress = parseIp(address) !== null;
  if (!isAddress && name.includes(":")) {
    throw new TypeError(`Cannot dial: ${JSON.stringify(name)} is neither a host name nor an IP address`);
  }
  if (isAddress && isLinkLocal6(address) && !zone) {
    throw new TypeError(
      `Cannot dial ${name}: a link-local address is on every link, add the interface's name, as in "${name}%eth0"`,
    );
  }
  const text = name.includes(":") ? `[${name}]:${port}` : `${name}:${port}`;
  return { hostname: name, port, isAddress, text };
}

function split(target: string): { hostname: string; port: number } {
  const [, hostname, port] = /^(\[[^\]]*\]|[^:]*):(\d{1,5})$/.exec(target) ?? [];
  if (hostname !== undefined) return { hostname, port: Number(port) };
  throw notATarget(target);
}

function notATarget(target: unknown): TypeError {
  return new TypeError(
    `Cannot dial: the target must be "host:port", "[address]:port" or { hostname, port }, got ${
      JSON.stringify(target)
    }`,
  );
}

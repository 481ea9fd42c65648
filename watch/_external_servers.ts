/** STUN servers as people write them, and where they are. */

import { HoldfastError, PermissionError } from "../internal/errors.ts";
import { formatIp, parseIp } from "../internal/ip.ts";
import { flagsOf } from "../internal/permissions.ts";
import type { Endpoint } from "./_stun.ts";
import type { Family } from "./state.ts";

/** A server of the options. */
export interface ServerName {
  /** As it was written. */
  readonly text: string;
  /** Name or address, without brackets. */
  readonly host: string;
  /** The UDP port. */
  readonly port: number;
  /** The family of a host that is an address. */
  readonly literal: Family | null;
}

const DEFAULT_PORT = 3478;

/**
 * Reads `host`, `host:port`, `stun:host:port` (RFC 7064), with IPv6 addresses in brackets where a port follows.
 *
 * @param text What somebody wrote.
 * @returns Its parts; an address in canonical form.
 * @throws {TypeError} For anything else.
 */
export function parseServer(text: string): ServerName {
  const fail = (why: string): never => {
    throw new TypeError(`Cannot read STUN server "${text}": ${why}`);
  };
  const rest = text.replace(/^stun:/i, "");
  if (/^(stuns|turns?):/i.test(rest)) fail("only stun: servers over UDP can be asked");
  const bare = parseIp(rest);
  if (bare) return { text, host: formatIp(bare), port: DEFAULT_PORT, literal: bare.length === 4 ? 4 : 6 };
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(rest);
  if (!match) fail("it is not host, host:port or [IPv6 address]:port");
  const [, bracketed, name = "", port = String(DEFAULT_PORT)] = match ?? [];
  if (Number(port) < 1 || Number(port) > 65_535) fail(`the port must be 1 to 65535, got ${port}`);
  const address = parseIp(bracketed ?? name);
  if (bracketed !== undefined && address?.length !== 16) fail(`"${bracketed}" is not an IPv6 address`);
  if (address) {
    return { text, host: formatIp(address), port: Number(port), literal: address.length === 4 ? 4 : 6 };
  }
  if (!isHostName(name)) fail(`"${name}" is not a host name`);
  return { text, host: name, port: Number(port), literal: null };
}

/**
 * Finds where a server is.
 *
 * @param server The server.
 * @param family The family wanted.
 * @returns The first address of that family, or `null` if it has none.
 * @throws {PermissionError} When the runtime does not let us look the name up.
 * @throws {HoldfastError} With code `"unresolved"` when the look-up fails.
 */
export async function locate(server: ServerName, family: Family): Promise<Endpoint | null> {
  const { host, port, literal } = server;
  if (literal !== null) return literal === family ? { family, address: host, port } : null;
  const { lookup } = await import("node:dns/promises");
  try {
    const { address } = await lookup(host, { family });
    const bytes = parseIp(address);
    return bytes && { family, address: formatIp(bytes), port };
  } catch (cause) {
    const { code = "failed" } = cause as { readonly code?: string };
    // The runtime's refusal arrives as a plain error code.
    if (code === "EPERM") {
      throw new PermissionError(`look up "${host}"`, flagsOf([{ name: "net", host }]), cause);
    }
    throw new HoldfastError(`Cannot look up "${host}": ${code}`, {
      code: "unresolved",
      operation: "look up",
      cause,
    });
  }
}

/** RFC 1123 names; one whose last label looks like a number would be taken for an address in an old notation. */
function isHostName(name: string): boolean {
  const labels = name.replace(/\.$/, "").split(".");
  return name.length <= 253 &&
    labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label)) &&
    !/^(\d+|0x[0-9a-f]*)$/i.test(labels.at(-1) ?? "");
}

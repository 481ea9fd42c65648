/** What a proxy says first: a header of the PROXY protocol, version 1 or 2 (haproxy.org, proxy-protocol.txt). Pure. */

import { formatIp, parseIp } from "../../internal/ip.ts";
import { hostName } from "./_host_name.ts";

/** One end of a connection that came through a proxy. */
export type ProxiedAddress =
  | {
    /** What it is. */
    readonly transport: "tcp" | "udp";
    /** The address. */
    readonly hostname: string;
    /** The port. */
    readonly port: number;
  }
  | {
    /** What it is. */
    readonly transport: "unix";
    /** The path; empty where the socket has none. */
    readonly path: string;
  };

/** A proxy, and whom it speaks for. */
export interface ProxyRoute {
  /** What it is. */
  readonly kind: "proxy";
  /** The name of the host that the client asked for, where the proxy says it (version 2, PP2_TYPE_AUTHORITY). */
  readonly name: string | null;
  /** The version of the header. */
  readonly version: 1 | 2;
  /** The client; `null` where the proxy speaks for itself, or does not know. */
  readonly source: ProxiedAddress | null;
  /** Where the client connected to; `null` likewise. */
  readonly destination: ProxiedAddress | null;
  /** How many bytes the header has; what the client says begins behind it. */
  readonly length: number;
}

const MAX_V1 = 107;
const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const AUTHORITY = 2;

type Result = ProxyRoute | "more" | "unknown";

/**
 * Reads a header of the PROXY protocol. Checksums are not looked at.
 *
 * @param bytes The first bytes of a connection.
 * @returns The route; `"more"` while it is not all there; `"unknown"` when it is none.
 */
export function peekProxy(bytes: Uint8Array): Result {
  const seen = bytes.subarray(0, SIGNATURE.length);
  return seen.every((byte, at) => byte === SIGNATURE[at]) ? readV2(bytes) : readV1(bytes);
}

function readV1(bytes: Uint8Array): Result {
  const text = String.fromCharCode(...bytes.subarray(0, MAX_V1));
  if (!text.startsWith("PROXY ".slice(0, text.length))) return "unknown";
  const end = text.indexOf("\r\n");
  if (end < 0) return bytes.length < MAX_V1 ? "more" : "unknown";
  const [, family = "", ...fields] = text.slice(0, end).split(" ");
  const header = { kind: "proxy", name: null, version: 1, length: end + 2 } as const;
  // Whatever else stands there is to be ignored.
  if (family === "UNKNOWN") return { ...header, source: null, destination: null };
  const size = family === "TCP4" ? 4 : family === "TCP6" ? 16 : 0;
  if (fields.length !== 4) return "unknown";
  const [from = "", to = "", fromPort = "", toPort = ""] = fields;
  const source = textAddress(from, fromPort, size);
  const destination = textAddress(to, toPort, size);
  return source && destination ? { ...header, source, destination } : "unknown";
}

function textAddress(host: string, port: string, size: number): ProxiedAddress | null {
  const address = parseIp(host);
  if (address?.length !== size || !/^(?:0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65_535) return null;
  return { transport: "tcp", hostname: formatIp(address), port: Number(port) };
}

/** How the addresses of version 2 are laid out, by family. */
const SIZES: Readonly<Record<number, number>> = { 0: 0, 1: 4, 2: 16, 3: 108 };

function readV2(bytes: Uint8Array): Result {
  const [command, kind, high, low] = bytes.subarray(SIGNATURE.length, 16);
  if (command !== undefined && command !== 0x20 && command !== 0x21) return "unknown";
  if (kind !== undefined && (kind >> 4 > 3 || (kind & 15) > 2)) return "unknown";
  if (kind === undefined || high === undefined || low === undefined) return "more";
  const length = 16 + (high << 8 | low);
  if (bytes.length < length) return "more";
  const body = bytes.subarray(16, length);
  const header = { kind: "proxy", version: 2, length } as const;
  // The proxy itself (LOCAL), or protocols that nobody knows: the rest is to be ignored.
  const family = (kind & 15) === 0 ? 0 : kind >> 4;
  if (command === 0x20 || family === 0) return { ...header, name: null, source: null, destination: null };
  const size = SIZES[family] ?? 0;
  const ports = family === 3 ? 0 : 2;
  const used = 2 * (size + ports);
  if (body.length < used) return "unknown";
  const address = (n: 0 | 1): ProxiedAddress => {
    const place = body.subarray(n * size, (n + 1) * size);
    if (family === 3) return { transport: "unix", path: pathOf(place) };
    const [upper = 0, lower = 0] = body.subarray(2 * size + 2 * n);
    const transport = (kind & 15) === 2 ? "udp" : "tcp";
    return { transport, hostname: formatIp(place), port: upper << 8 | lower };
  };
  const name = authorityIn(body.subarray(used));
  return name === undefined ? "unknown" : { ...header, name, source: address(0), destination: address(1) };
}

/** A path ends with its first zero byte, unless it begins with one (an abstract socket of Linux). */
function pathOf(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes);
  const end = text.indexOf("\0", 1);
  const path = end < 0 ? text : text.slice(0, end);
  return path === "\0" ? "" : path;
}

/** The authority among the additions behind the addresses; `undefined` when they are broken. */
function authorityIn(additions: Uint8Array): string | null | undefined {
  let name: string | null = null;
  for (let at = 0; at < additions.length;) {
    const [type, high, low] = additions.subarray(at, at + 3);
    if (high === undefined || low === undefined) return undefined;
    const end = at + 3 + (high << 8 | low);
    if (end > additions.length) return undefined;
    if (type === AUTHORITY) {
      const authority = hostName(new TextDecoder().decode(additions.subarray(at + 3, end)));
      if (authority === null || name !== null) return undefined;
      name = authority;
    }
    at = end;
  }
  return name;
}

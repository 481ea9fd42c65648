/** What the client of a tunnel says first: what this session is for. See docs/PROTOCOLS.md, "Tunnel". */

import { canonicalHost, MAX_HOST, type TunnelTarget } from "./target.ts";

/** What a session is for. */
export type Greeting =
  | {
    /** A connection to a target, the server's own choice where there is none; `answer` asks for a byte when it stands. */
    readonly type: "connect" | "answer";
    readonly target: TunnelTarget | null;
  }
  | {
    /** Whether a connection to the target would be allowed. */
    readonly type: "check";
    readonly target: TunnelTarget | null;
  }
  | {
    /** The server shall listen there, and tell of those who come. */
    readonly type: "listen";
    readonly target: TunnelTarget;
  }
  | {
    /** One of those who came. */
    readonly type: "take";
    readonly token: Uint8Array;
  };

/** The version of all this. */
const VERSION = 1;

/** Their numbers. */
const TYPES = ["connect", "answer", "check", "listen", "take"] as const;

/** How many bytes name somebody who came. */
export const TOKEN = 16;

/**
 * Writes a greeting: version u8, type u8, and a port u16 with a host in ASCII, or a token.
 *
 * @param greeting What the session is for.
 */
export function encodeGreeting(greeting: Greeting): Uint8Array {
  const head = [VERSION, TYPES.indexOf(greeting.type)];
  if (greeting.type === "take") return Uint8Array.of(...head, ...greeting.token);
  if (!greeting.target) return Uint8Array.from(head);
  const { hostname, port } = greeting.target;
  return Uint8Array.of(...head, port >> 8, port & 0xff, ...new TextEncoder().encode(hostname));
}

/**
 * Reads a greeting.
 *
 * @param bytes Whatever a client has sent.
 * @returns What it is for, or `null` where it is none, or not of this version.
 */
export function decodeGreeting(bytes: Uint8Array): Greeting | null {
  const [version, number = -1, high = 0, low = 0] = bytes;
  const type = TYPES[number];
  if (version !== VERSION || type === undefined) return null;
  if (type === "take") {
    return bytes.length === 2 + TOKEN ? { type, token: bytes.slice(2) } : null;
  }
  if (bytes.length === 2) return type === "listen" ? null : { type, target: null };
  const text = bytes.subarray(4);
  if (bytes.length < 4 || text.length > MAX_HOST || text.some((byte) => byte > 0x7e || byte < 0x21)) {
    return null;
  }
  const name = String.fromCharCode(...text);
  const port = high * 256 + low;
  if (type === "listen") {
    const hostname = name === "" ? "" : canonicalHost(name);
    return hostname === null ? null : { type, target: { hostname, port } };
  }
  const hostname = canonicalHost(name);
  // One target has one spelling: what is compared is what is connected to.
  return hostname === null || hostname !== name || port === 0 ? null : { type, target: { hostname, port } };
}

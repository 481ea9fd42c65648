/** What a TLS client says first: the ClientHello (RFC 8446 section 4.1.2), however it is cut into records. Pure. */

import { hostName } from "./_host_name.ts";

/** A TLS client, and whom it wants to talk to. */
export interface TlsRoute {
  /** What it is. */
  readonly kind: "tls";
  /**
   * The server's name (RFC 6066), or `null` where the client says none. With Encrypted Client Hello it is the name of the
   * outer server.
   */
  readonly name: string | null;
  /** The protocols the client offers (ALPN, RFC 7301), best first; names that are no text are left out. */
  readonly alpn: readonly string[];
}

const [HANDSHAKE, CLIENT_HELLO] = [22, 1];
const [SERVER_NAME, ALPN] = [0, 16];

/** The longest record in clear text (RFC 8446 section 5.1). */
const MAX_RECORD = 2 ** 14;

/**
 * Reads a ClientHello.
 *
 * @param bytes The first bytes of a connection.
 * @returns The route; `"more"` while it is not all there; `"unknown"` when it is none.
 */
export function peekTls(bytes: Uint8Array): TlsRoute | "more" | "unknown" {
  const handshake = unwrap(bytes);
  if (typeof handshake === "string") return handshake;
  try {
    return readHello(new Reader(handshake));
  } catch (error) {
    if (error instanceof Malformed) return "unknown";
    throw error;
  }
}

/** The body of the first handshake message, put together from its records. */
function unwrap(bytes: Uint8Array): Uint8Array | "more" | "unknown" {
  const parts: number[] = [];
  for (let at = 0;;) {
    const [type, major, minor, high, low] = bytes.subarray(at, at + 5);
    if (type === undefined) return "more";
    // The version of the record says nothing (RFC 8446 appendix D), except that there is no other major one.
    if (type !== HANDSHAKE || (major ?? 3) !== 3 || (minor ?? 0) > 4) return "unknown";
    if (high === undefined || low === undefined) return "more";
    const length = high << 8 | low;
    // Empty fragments of a handshake are forbidden.
    if (length === 0 || length > MAX_RECORD) return "unknown";
    at += 5;
    for (const byte of bytes.subarray(at, at + length)) parts.push(byte);
    if (parts.length > 0 && parts[0] !== CLIENT_HELLO) return "unknown";
    const [, upper, middle, lower] = parts;
    if (upper !== undefined && middle !== undefined && lower !== undefined) {
      const size = upper << 16 | middle << 8 | lower;
      if (size > MAX_RECORD) return "unknown";
      if (parts.length >= 4 + size) return Uint8Array.from(parts.slice(4, 4 + size));
    }
    at += length;
  }
}

/** Something in a ClientHello that must not be. */
class Malformed extends Error {
  override name = "Malformed";
}

/** Takes what is counted out of some bytes. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Whether there is nothing left. */
  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Malformed();
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  number(size: 1 | 2): number {
    return this.take(size).reduce((sum, byte) => sum << 8 | byte, 0);
  }

  /** Bytes with their count in front of them. */
  counted(size: 1 | 2): Reader {
    return new Reader(this.take(this.number(size)));
  }

  rest(): Uint8Array {
    return this.take(this.#bytes.length - this.#at);
  }
}

function readHello(hello: Reader): TlsRoute {
  if (hello.number(2) >> 8 !== 3) throw new Malformed();
  hello.take(32); // random
  if (hello.counted(1).rest().length > 32) throw new Malformed(); // session id
  const suites = hello.counted(2).rest().length;
  if (suites === 0 || suites % 2 !== 0) throw new Malformed();
  if (hello.counted(1).rest().length === 0) throw new Malformed(); // compression methods
  // Before TLS 1.3 there may be no extensions at all.
  const extensions = hello.done ? hello : hello.counted(2);
  if (!hello.done) throw new Malformed();
  const seen = new Set<number>();
  let name: string | null = null;
  let alpn: readonly string[] = [];
  while (!extensions.done) {
    const type = extensions.number(2);
    const data = extensions.counted(2);
    // Which of two would count is anybody's guess.
    if (seen.has(type)) throw new Malformed();
    seen.add(type);
    if (type === SERVER_NAME) name = readName(data);
    else if (type === ALPN) alpn = readProtocols(data);
  }
  return { kind: "tls", name, alpn };
}

function readName(data: Reader): string {
  const names = data.counted(2);
  // There is one kind of names only, and of each kind no more than one name (RFC 6066 section 3).
  const isHostName = names.number(1) === 0;
  const name = hostName(latin1(names.counted(2).rest()));
  if (!isHostName || name === null || !names.done || !data.done) throw new Malformed();
  return name;
}

function readProtocols(data: Reader): readonly string[] {
  const list = data.counted(2);
  if (list.done || !data.done) throw new Malformed();
  const names: string[] = [];
  while (!list.done) {
    const name = list.counted(1).rest();
    if (name.length === 0) throw new Malformed();
    if (isText(name) && !isGrease(name)) names.push(latin1(name));
  }
  return names;
}

function isText(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte > 0x20 && byte < 0x7f);
}

/** What clients put in so that nobody relies on the list (RFC 8701). */
function isGrease([first = 0, second, ...rest]: Uint8Array): boolean {
  return (first & 15) === 10 && first === second && rest.length === 0;
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

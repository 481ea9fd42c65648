/** A session as bytes in a store: its secrets, its state, and what its application has left. */

import { createCipheriv, createDecipheriv } from "node:crypto";
import type { SessionFacts } from "./_session_entry.ts";
import { ascii, concat, isSame, KEY_LENGTH, randomBytes, sha256 } from "./_keys.ts";

/** All that another process needs. */
export interface SavedSession {
  /** What is known from the first. */
  readonly facts: SessionFacts;
  /** Which carrier was the last one. */
  readonly epoch: number;
  /** How many bytes the application has got. */
  readonly handed: number;
  /** Whether the application has closed it, and only its last bytes have to arrive. */
  readonly closing: boolean;
  /** Whether the end of our direction was written behind `unsent`. */
  readonly ended: boolean;
  /** What was read, and the application has not got. */
  readonly unread: Uint8Array;
  /** What was written, and the session has not taken. */
  readonly unsent: Uint8Array;
  /** What the application has left. */
  readonly state: Uint8Array;
  /** The session at heart. */
  readonly core: Uint8Array;
}

const OPEN = Uint8Array.of(0x48, 0x46, 0x53, 0x53, 1, 0);
const SEALED = Uint8Array.of(0x48, 0x46, 0x53, 0x53, 1, 1);
const [DIGEST, NONCE, TAG] = [32, 12, 16];
const SECRECY = ["plain", "tls", "sealed"] as const;

/** Checks the key that snapshots are encrypted with. */
export function checkSnapshotKey(key: Uint8Array | undefined): void {
  if (key === undefined || key.length === KEY_LENGTH) return;
  throw new TypeError(`Cannot encrypt snapshots: the key must have ${KEY_LENGTH} bytes, got ${key.length}`);
}

/**
 * Writes a session.
 *
 * @param saved The session.
 * @param name Where it is kept, which is bound to it.
 * @param key What it is encrypted with; without one, whoever reads it can take the session over.
 */
export function encodeSaved(saved: SavedSession, name: string, key: Uint8Array | undefined): Uint8Array {
  const { facts, epoch, handed, closing, ended, unread, unsent, state, core } = saved;
  const { terms, client, secrecy, peer, greeting, id, clientKey, serverKey } = facts;
  const numbers = new DataView(new ArrayBuffer(24));
  for (const [n, value] of [epoch, terms.window, terms.expiry, terms.keepalive].entries()) {
    numbers.setUint32(4 * n, value);
  }
  numbers.setBigUint64(16, BigInt(handed));
  const flags = SECRECY.indexOf(secrecy) | (closing ? 4 : 0) | (ended ? 8 : 0) | (client ? 16 : 0);
  const parts = [greeting, new TextEncoder().encode(peer), unread, unsent, state, core];
  const plain = concat(
    ...[id, clientKey, serverKey, client ?? new Uint8Array(KEY_LENGTH), Uint8Array.of(flags)],
    ...[new Uint8Array(numbers.buffer), ...parts.flatMap((part) => [lengthOf(part), part])],
  );
  if (!key) return concat(OPEN, plain, sha256(OPEN, ascii(name), plain));
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: TAG });
  cipher.setAAD(concat(SEALED, ascii(name)), { plaintextLength: plain.length });
  return concat(SEALED, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag());
}

/**
 * Reads a session.
 *
 * @param bytes Any bytes.
 * @param name Where they were kept.
 * @param key What they are encrypted with, if they are.
 * @throws {SyntaxError} If they are no such session.
 */
export function decodeSaved(bytes: Uint8Array, name: string, key: Uint8Array | undefined): SavedSession {
  const reader = new Reader(opened(bytes, name, key));
  const [id, clientKey, serverKey] = [reader.take(16), reader.take(KEY_LENGTH), reader.take(KEY_LENGTH)];
  const client = reader.take(KEY_LENGTH);
  const [flags = 0] = reader.take(1);
  const secrecy = SECRECY[flags & 3];
  if (secrecy === undefined || flags > 31) throw broken("unknown flags");
  const [epoch, window, expiry, keepalive] = [reader.u32(), reader.u32(), reader.u32(), reader.u32()];
  const handed = reader.u32() * 2 ** 32 + reader.u32();
  const greeting = reader.part();
  const peer = new TextDecoder().decode(reader.part());
  const [unread, unsent, state, core] = [reader.part(), reader.part(), reader.part(), reader.part()];
  reader.end();
  return {
    facts: {
      ...{ id, clientKey, serverKey, greeting, peer, secrecy, terms: { window, expiry, keepalive } },
      client: (flags & 16) === 0 ? null : client,
    },
    ...{ epoch, handed, unread, unsent, state, core },
    closing: (flags & 4) !== 0,
    ended: (flags & 8) !== 0,
  };
}

/** The plain bytes, of which somebody who knew the key or the checksum has made all. */
function opened(bytes: Uint8Array, name: string, key: Uint8Array | undefined): Uint8Array {
  const head = bytes.subarray(0, OPEN.length);
  if (isSame(head, OPEN)) {
    if (key) throw broken("it is not encrypted, and should be");
    const end = Math.max(OPEN.length, bytes.length - DIGEST);
    const plain = bytes.slice(OPEN.length, end);
    if (isSame(sha256(OPEN, ascii(name), plain), bytes.subarray(end))) return plain;
    throw broken("the checksum is wrong");
  }
  if (!isSame(head, SEALED)) throw broken("it is none, or of another version");
  if (!key) throw broken("it is encrypted, and no key was given");
  const from = SEALED.length + NONCE;
  const end = Math.max(from, bytes.length - TAG);
  try {
    const nonce = bytes.subarray(SEALED.length, from);
    const decipher = createDecipheriv("chacha20-poly1305", key, nonce, { authTagLength: TAG });
    decipher.setAAD(concat(SEALED, ascii(name)), { plaintextLength: end - from });
    decipher.setAuthTag(bytes.subarray(end));
    return concat(decipher.update(bytes.subarray(from, end)), decipher.final());
  } catch {
    // What the library says tells nothing.
    throw broken("it was encrypted with another key, or changed");
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take(length: number): Uint8Array {
    const part = this.#bytes.slice(this.#at, this.#at + length);
    if (part.length < length) throw broken("it is too short");
    this.#at += length;
    return part;
  }

  u32(): number {
    return new DataView(this.take(4).buffer).getUint32(0);
  }

  part(): Uint8Array {
    return this.take(this.u32());
  }

  end(): void {
    if (this.#at < this.#bytes.length) throw broken("it is too long");
  }
}

function lengthOf({ length }: Uint8Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, length);
  return new Uint8Array(view.buffer);
}

function broken(why: string): SyntaxError {
  return new SyntaxError(`Cannot restore a session: ${why}`);
}

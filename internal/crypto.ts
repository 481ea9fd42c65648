/**
 * The cryptography of our protocols, synchronous: X25519, Ed25519, SHA-256, HMAC and HKDF of `node:crypto`.
 *
 * Web Crypto has the same primitives, but each call is a turn of the event loop and costs several times as much for
 * small inputs; a handshake must give its answer at once.
 */

import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  sign,
  timingSafeEqual,
  verify,
} from "node:crypto";
import { Buffer } from "node:buffer";

/** Gives random bytes; tests and vectors give chosen ones. */
export type RandomBytes = (length: number) => Uint8Array;

/** A pair of keys for one agreement. */
export interface AgreementPair {
  /** The public half, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The private half, which never leaves the process. */
  readonly privateKey: KeyObject;
}

/** How many bytes a key, a nonce, a hash and a proof have. */
export const KEY_LENGTH = 32;

/** How many bytes an Ed25519 signature has. */
export const SIGNATURE_LENGTH = 64;

/** Random bytes of the runtime. */
export function randomBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

/**
 * Makes an X25519 pair.
 *
 * @param secret The private key, 32 random bytes.
 */
export function agreementPair(secret: Uint8Array): AgreementPair {
  const privateKey = importPrivate(X25519_PRIVATE, secret);
  return { privateKey, publicKey: exportPublic(privateKey) };
}

/**
 * What two ends have in common: X25519 (RFC 7748).
 *
 * @param privateKey The own private key.
 * @param publicKey The other end's public key, 32 bytes.
 * @returns 32 bytes, or `null` where the public key is of low order: the result would be all zeros, whoever asks.
 */
export function agree(privateKey: KeyObject, publicKey: Uint8Array): Uint8Array | null {
  const other = importPublic(X25519_PUBLIC, publicKey);
  let shared: Uint8Array;
  try {
    shared = plain(diffieHellman({ privateKey, publicKey: other }));
  } catch {
    // OpenSSL refuses such a key by itself; there is nothing else that can go wrong with 32 bytes.
    return null;
  }
  return shared.some((byte) => byte !== 0) ? shared : null;
}

/**
 * The public key of an Ed25519 seed (RFC 8032).
 *
 * @param seed The private key, 32 bytes.
 */
export function signingPublicKey(seed: Uint8Array): Uint8Array {
  return exportPublic(importPrivate(ED25519_PRIVATE, seed));
}

/**
 * Signs by Ed25519.
 *
 * @param seed The private key, 32 bytes.
 * @param message What is signed.
 * @returns 64 bytes.
 */
export function signMessage(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return plain(sign(null, message, importPrivate(ED25519_PRIVATE, seed)));
}

/**
 * Whether a signature is the one of a key's owner.
 *
 * @param publicKey 32 bytes.
 * @param message What was signed.
 * @param signature 64 bytes.
 */
export function verifyMessage(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(null, message, importPublic(ED25519_PUBLIC, publicKey), signature);
  } catch {
    // 32 bytes that are no point of the curve: nobody can have signed with them.
    return false;
  }
}

/** SHA-256 of some pieces, one after the other. */
export function sha256(...pieces: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece);
  return plain(hash.digest());
}

/** HMAC-SHA-256 (RFC 2104). */
export function hmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  return plain(createHmac("sha256", key).update(message).digest());
}

/** The first half of HKDF with SHA-256 (RFC 5869): it is HMAC with the salt as its key. */
export function hkdfExtract(salt: Uint8Array, key: Uint8Array): Uint8Array {
  return hmac(salt, key);
}

/** The second half of HKDF with SHA-256 (RFC 5869) for 32 bytes, which are one block. */
export function hkdfExpand(root: Uint8Array, info: string): Uint8Array {
  return hmac(root, concat(ascii(info), Uint8Array.of(1)));
}

/** Whether two values of one length are the same, in a time that does not tell where they differ. */
export function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Some bytes, one after the other. */
export function concat(...pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** A label as bytes. */
export function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

// The DER of a raw key is a fixed beginning and the key (RFC 8410 sections 4 and 7).
const X25519_PRIVATE = Uint8Array.fromHex("302e020100300506032b656e04220420");
const X25519_PUBLIC = Uint8Array.fromHex("302a300506032b656e032100");
const ED25519_PRIVATE = Uint8Array.fromHex("302e020100300506032b657004220420");
const ED25519_PUBLIC = Uint8Array.fromHex("302a300506032b6570032100");

function importPrivate(prefix: Uint8Array, secret: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([prefix, secret]), format: "der", type: "pkcs8" });
}

function importPublic(prefix: Uint8Array, key: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([prefix, key]), format: "der", type: "spki" });
}

function exportPublic(privateKey: KeyObject): Uint8Array {
  const spki = createPublicKey(privateKey as never).export({ format: "der", type: "spki" });
  return plain(spki.subarray(spki.length - KEY_LENGTH));
}

/** A plain array with memory of its own: a `Buffer` may share its memory, and prints and compares differently. */
function plain(buffer: Uint8Array): Uint8Array {
  return Uint8Array.from(buffer);
}

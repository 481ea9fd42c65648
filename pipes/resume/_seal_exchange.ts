/** The beginning of a sealed carrier: its keys, and who is at its ends; docs/PROTOCOLS.md, "Sealed carriers". */

import type { ClientSeal, SealIdentity, ServerSeal } from "./_handshake.ts";
import { HandshakeSyntaxError } from "./_handshake_frames.ts";
import {
  ascii,
  concat,
  hkdfExpand,
  hkdfExtract,
  KEY_LENGTH,
  sha256,
  SIGNATURE_LENGTH,
  signMessage,
  verifyMessage,
} from "./_keys.ts";

/** What both ends of a sealed carrier know, and nobody else. */
export interface SealSecrets {
  /** The key of what the client sends. */
  readonly clientKey: Uint8Array;
  /** The key of what the server sends. */
  readonly serverKey: Uint8Array;
  /** Names this carrier in signatures and proofs. */
  readonly binding: Uint8Array;
}

/** What a {@linkcode decodeIdentity} found: nobody in particular, the owner of a key, or a signature that is not right. */
export type ShownIdentity = Uint8Array | null | "forged";

/**
 * The secrets of a sealed carrier.
 *
 * @param hello What was sent in the open: client preface, client key, server preface, server key.
 * @param agreed What both keys have in common.
 * @param sharedKey The key that both ends were told, if any.
 */
export function sealSecrets(
  hello: readonly Uint8Array[],
  agreed: Uint8Array,
  sharedKey: Uint8Array | undefined,
): SealSecrets {
  const salt = sha256(ascii("holdfast seal 1"), ...hello);
  const root = hkdfExtract(salt, sharedKey ? concat(agreed, sharedKey) : agreed);
  return {
    clientKey: hkdfExpand(root, "holdfast seal 1 client key"),
    serverKey: hkdfExpand(root, "holdfast seal 1 server key"),
    binding: hkdfExpand(root, "holdfast seal 1 binding"),
  };
}

/**
 * Says who an end is: what its first record holds.
 *
 * @param role Which end.
 * @param identity Its key, or nothing for nobody in particular.
 * @param binding That of the carrier.
 */
export function encodeIdentity(
  role: "client" | "server",
  identity: SealIdentity | undefined,
  binding: Uint8Array,
): Uint8Array {
  if (!identity) return Uint8Array.of(0);
  const signature = signMessage(identity.seed, signed(role, binding));
  return concat(Uint8Array.of(1), identity.publicKey, signature);
}

/**
 * Reads who an end is.
 *
 * @param role Which end.
 * @param record What its first record holds.
 * @param binding That of the carrier.
 * @throws {HandshakeSyntaxError} Where it is no identity at all.
 */
export function decodeIdentity(
  role: "client" | "server",
  record: Uint8Array,
  binding: Uint8Array,
): ShownIdentity {
  const kind = record[0];
  if (kind === 0 && record.length === 1) return null;
  if (kind !== 1 || record.length !== 1 + KEY_LENGTH + SIGNATURE_LENGTH) {
    throw new HandshakeSyntaxError(`the first record is no identity: kind ${kind}, ${record.length} bytes`);
  }
  const key = record.slice(1, 1 + KEY_LENGTH);
  const isRight = verifyMessage(key, signed(role, binding), record.subarray(1 + KEY_LENGTH));
  return isRight ? key : "forged";
}

/**
 * Checks what a client was given.
 *
 * @throws {TypeError} Where a key is none, or the server is known by nothing.
 */
export function checkClientSeal(seal: ClientSeal): void {
  checkKeys(seal.sharedKey, seal.identity?.seed, seal.identity?.publicKey, ...seal.serverKeys ?? []);
  if (!seal.sharedKey && !seal.serverKeys) {
    throw new TypeError("Cannot seal: neither a shared key nor a key of the server was given to know it by");
  }
}

/**
 * Checks what a server was given.
 *
 * @throws {TypeError} Where a key is none, clients would know the server by nothing, or anybody would be let in.
 */
export function checkServerSeal(seal: ServerSeal): void {
  checkKeys(seal.sharedKey, seal.identity?.seed, seal.identity?.publicKey);
  if (seal.sharedKey) return;
  if (!seal.identity) {
    throw new TypeError("Cannot seal: neither a shared key nor a key of the server was given");
  }
  if (!seal.admit) throw new TypeError("Cannot seal: without a shared key it must be said who is let in");
}

function checkKeys(...keys: readonly (Uint8Array | undefined)[]): void {
  const wrong = keys.find((key) => key && key.length !== KEY_LENGTH);
  if (wrong) {
    throw new TypeError(`Cannot seal with a key of ${wrong.length} bytes: it must have ${KEY_LENGTH}`);
  }
}

/** The role is in what is signed, so that no end's signature can be shown as the other's. */
function signed(role: string, binding: Uint8Array): Uint8Array {
  return concat(ascii(`holdfast seal 1 ${role}`), binding);
}

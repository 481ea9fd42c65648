/** The encryption of packets, synchronous: AES-256-GCM, and AES of one block for what stands in the open. */

import { createCipheriv, createDecipheriv } from "node:crypto";
import { concat } from "../internal/crypto.ts";

/** How many bytes longer a ciphertext is. */
export const TAG_LENGTH = 16;

/** How many bytes a block of AES has. */
export const BLOCK_LENGTH = 16;

/**
 * Encrypts by AES-256-GCM.
 *
 * @param key 32 bytes.
 * @param nonce 12 bytes, never twice with one key.
 * @param data What is authenticated besides.
 * @param plaintext What is encrypted.
 * @returns The ciphertext and the tag.
 */
export function sealBytes(
  key: Uint8Array,
  nonce: Uint8Array,
  data: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(data);
  const ciphertext = cipher.update(plaintext);
  return concat(ciphertext, cipher.final(), cipher.getAuthTag());
}

/**
 * Decrypts what {@linkcode sealBytes} gave.
 *
 * @returns `null` where it is anything else, or was encrypted with another key, nonce or data.
 */
export function openBytes(
  key: Uint8Array,
  nonce: Uint8Array,
  data: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | null {
  if (sealed.length < TAG_LENGTH) return null;
  const end = sealed.length - TAG_LENGTH;
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_LENGTH });
  decipher.setAAD(data);
  decipher.setAuthTag(sealed.subarray(end));
  const plaintext = decipher.update(sealed.subarray(0, end));
  try {
    return concat(plaintext, decipher.final());
  } catch {
    // The tag does not fit; nothing else can go wrong with lengths that are right.
    return null;
  }
}

/** Encrypts one block by AES-256. */
export function sealBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-256-ecb", key, null);
  cipher.setAutoPadding(false);
  return concat(cipher.update(block), cipher.final());
}

/** Decrypts one block by AES-256. */
export function openBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  const decipher = createDecipheriv("aes-256-ecb", key, null);
  decipher.setAutoPadding(false);
  return concat(decipher.update(block), decipher.final());
}

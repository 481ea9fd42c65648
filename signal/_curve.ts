/** What an Ed25519 key is for X25519, so that one key is enough to sign and to agree. */

import { createHash } from "node:crypto";
import { type AgreementPair, agreementPair } from "../internal/crypto.ts";

/** The X25519 pair of an Ed25519 seed: the scalar that Ed25519 signs with (RFC 8032 section 5.1.5). */
export function agreementPairOf(seed: Uint8Array): AgreementPair {
  return agreementPair(Uint8Array.from(createHash("sha512").update(seed).digest().subarray(0, 32)));
}

/**
 * The X25519 public key that belongs to an Ed25519 one: u = (1 + y) / (1 - y) (RFC 7748 section 4.1).
 *
 * @param publicKey 32 bytes.
 * @returns 32 bytes, or `null` where the key is not one: its y is not below the prime, is 1 (then there is no u), or
 * belongs to no point of the curve.
 */
export function agreementKeyOf(publicKey: Uint8Array): Uint8Array | null {
  const y = littleEndian(publicKey) & ~(1n << 255n);
  if (publicKey.length !== 32 || y >= PRIME || y === 1n || !isOnCurve(y)) return null;
  const u = (1n + y) * inverse(mod(1n - y)) % PRIME;
  return Uint8Array.fromHex(u.toString(16).padStart(64, "0")).reverse();
}

const PRIME = 2n ** 255n - 19n;

/** The constant of the curve, d (RFC 8032 section 5.1). */
const D = mod(-121665n * inverse(121666n));

/** Whether x² = (y² - 1) / (dy² + 1) has a root: Euler's criterion. */
function isOnCurve(y: bigint): boolean {
  const square = y * y % PRIME;
  // A fraction is a square exactly where the product of its parts is one.
  const product = mod(square - 1n) * (D * square % PRIME + 1n) % PRIME;
  return product === 0n || power(product, (PRIME - 1n) / 2n) === 1n;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = result * base % PRIME;
    base = base * base % PRIME;
  }
  return result;
}

/** By Euclid's extended algorithm; public keys are no secret, so its time may tell about them. */
function inverse(value: bigint): bigint {
  let [a, b] = [value, PRIME];
  let [x, y] = [1n, 0n];
  while (a !== 0n) {
    const quotient = b / a;
    [a, b] = [b - quotient * a, a];
    [x, y] = [y - quotient * x, x];
  }
  return mod(y);
}

function mod(value: bigint): bigint {
  return (value % PRIME + PRIME) % PRIME;
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytes.toReversed().toHex() || "0"}`);
}

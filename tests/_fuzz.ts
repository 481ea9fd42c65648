/** Hostile input made of recorded input: a generator with a seed, mutations, and a bound on time. */

import { assert } from "@std/assert";
import { seed } from "./_require.ts";

/** A generator with a seed (xorshift32): the same numbers on every machine. */
export class Random {
  #state: number;

  /** @param seed Any integer. */
  constructor(seed: number) {
    // Neighbouring seeds begin far apart, and 0 would stay 0.
    this.#state = Math.imul(seed ^ 0x5bd1e995, 0x9e3779b1) >>> 0 || 1;
  }

  /** 0 to `limit` - 1. */
  below(limit: number): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return this.#state % limit;
  }

  /** One of some values. */
  one<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }

  /** Some bytes. */
  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

/** Numbers that lengths, counts and indexes go wrong at. */
const NUMBERS = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 20, 127, 128, 253, 254, 255];

/**
 * Changes bytes: cut off, bits turned, lengths and other numbers overwritten, pieces put in, taken out, doubled or brought
 * from another input.
 *
 * @param random Where chance comes from.
 * @param input What is changed; it stays as it is.
 * @param others Where pieces come from.
 */
export function mutate(random: Random, input: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
  let bytes = input.slice();
  for (let left = random.one([1, 1, 1, 2, 3, 5]); left > 0; left--) {
    const at = random.below(bytes.length + 1);
    const piece = random.one([1, 2, 4, 4, 8, 16, 64]);
    bytes = random.one([
      () => bytes.slice(0, at),
      () => bytes.map((byte, n) => n === at ? byte ^ (1 << random.below(8)) : byte),
      () => bytes.map((byte, n) => n === at ? random.one(NUMBERS) : byte),
      // Most lengths and types stand at even places, little-endian.
      () => bytes.map((byte, n) => n === (at & ~1) ? random.one(NUMBERS) : n === (at | 1) ? 0 : byte),
      () => Uint8Array.of(...bytes.subarray(0, at), ...random.bytes(piece), ...bytes.subarray(at)),
      () => Uint8Array.of(...bytes.subarray(0, at), ...bytes.subarray(at + piece)),
      () => Uint8Array.of(...bytes.subarray(0, at), ...bytes.subarray(Math.max(0, at - piece))),
      () => {
        const other = random.one(others);
        const from = random.below(other.length + 1) & ~3;
        return Uint8Array.of(
          ...bytes.subarray(0, at & ~3),
          ...other.subarray(from, from + 64),
          ...bytes.subarray(at),
        );
      },
    ])();
  }
  return bytes;
}

/**
 * Puts something odd into one place of some JSON, takes the place away, or doubles it.
 *
 * @param random Where chance comes from.
 * @param value What is changed; it stays as it is.
 * @param odd Values that stand where others are expected.
 */
export function spoil(random: Random, value: unknown, odd: readonly unknown[]): unknown {
  const isList = Array.isArray(value);
  const keys = typeof value === "object" && value !== null ? Object.keys(value) : [];
  if (keys.length === 0 || random.below(6) === 0) return random.one(odd);
  const key = random.one(keys);
  const inside = value as Record<string, unknown>;
  switch (random.below(8)) {
    case 0:
      return isList
        ? value.filter((_, n) => n !== Number(key))
        : Object.fromEntries(Object.entries(inside).filter(([other]) => other !== key));
    case 1:
      return isList ? [...value, random.one(value)] : { ...inside, [random.one(keys)]: inside[key] };
    default: {
      const changed = spoil(random, inside[key], odd);
      return isList ? value.with(Number(key), changed) : { ...inside, [key]: changed };
    }
  }
}

/**
 * Feeds inputs to a parser, and counts how it ended by the names that `run` gives.
 *
 * An error that `run` lets through names the seed and the input; so does an input that takes longer than a second.
 *
 * @param count How many inputs.
 * @param make Makes one.
 * @param run Parses it, and says how that ended.
 * @returns How often each end came up.
 */
export function fuzz<T>(
  count: number,
  make: (random: Random) => T,
  run: (input: T) => string,
): Map<string, number> {
  const start = seed();
  const random = new Random(start);
  const ends = new Map<string, number>();
  for (let n = 0; n < count; n++) {
    const input = make(random);
    const before = performance.now();
    let end: string;
    try {
      end = run(input);
    } catch (error) {
      throw new Error(`seed ${start}, input ${n}: ${show(input)}`, { cause: error });
    }
    const took = performance.now() - before;
    assert(took < 1000, `seed ${start}, input ${n} took ${took} ms: ${show(input)}`);
    ends.set(end, (ends.get(end) ?? 0) + 1);
  }
  return ends;
}

function show(input: unknown): string {
  const plain = (value: unknown): unknown =>
    value instanceof Uint8Array ? value.toHex() : typeof value === "bigint" ? `${value}` : value;
  return JSON.stringify(plain(input), (_, value) => plain(value));
}

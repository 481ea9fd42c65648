/** Framing straight into the memory that is written, for the framers that can: it makes nothing for a message. */

import type { Framer } from "./framing.ts";

/** Memory that is filled from the front. */
export interface Filling {
  /** The memory. */
  readonly bytes: Uint8Array;
  /** How much of it is used. */
  readonly used: number;
}

/** How messages are framed in place. The decoders of such a framer keep copies only, and nothing of what they are given. */
export interface InPlace {
  /** How many bytes stand before and after a message together. */
  readonly overhead: number;
  /**
   * Puts a message with what stands before and after it behind what is used already; there is room.
   *
   * @throws {RangeError} When the message cannot be framed.
   */
  put(data: Uint8Array, into: Filling): void;
}

const known = new WeakMap<Framer, InPlace>();

/** Says how a framer does it, and returns that framer. */
export function inPlace(framer: Framer, how: InPlace): Framer {
  known.set(framer, how);
  return framer;
}

/** How a framer does it; undefined for those of the application. */
export function inPlaceOf(framer: Framer): InPlace | undefined {
  return known.get(framer);
}

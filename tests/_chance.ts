/** Chance for simulations, the same each time. */

import { Random } from "./_fuzz.ts";
import { seed } from "./_require.ts";

/**
 * A source of numbers from 0 to 1, as `Math.random` is one.
 *
 * @param which Which of many.
 */
export function chance(which: number): () => number {
  const random = new Random(seed() * 1_000_003 + which);
  return () => random.below(2 ** 31) / 2 ** 31;
}

/** Chance that is the same each time. */

/**
 * Makes a source of numbers from 0 to below 1, as `Math.random` is one.
 *
 * @param seed Where it begins; the same numbers come from the same seed.
 */
export function seeded(seed: number): () => number {
  // A counter whose bits are mixed: it never gets stuck, whatever the seed.
  let state = Math.trunc(seed) | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let bits = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
    return ((bits ^ (bits >>> 15)) >>> 0) / 2 ** 32;
  };
}

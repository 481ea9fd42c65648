/** The nearest known word to a mistyped one. */

/**
 * The word nearest to what was typed, if any is near enough to be meant.
 *
 * Near enough is one edit for each three characters, and one at least; the beginning of a word is near as well.
 *
 * @param typed What was typed.
 * @param known The words to choose from.
 * @returns The nearest, or `undefined`.
 */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  if (typed.length < 2) return undefined;
  const ranked = known
    .map((word) => ({ word, distance: editDistance(typed.toLowerCase(), word) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  if (best && best.distance <= Math.max(1, Math.floor(Math.min(typed.length, 30) / 3))) return best.word;
  return known.find((word) => word.startsWith(typed.toLowerCase()));
}

/**
 * How many characters must be inserted, removed, replaced or swapped with their neighbour to make one word of another
 * (optimal string alignment).
 *
 * @param a One word.
 * @param b The other.
 * @returns The number of edits.
 */
export function editDistance(a: string, b: string): number {
  // Far longer than any word we know: not worth the square of its length.
  if (Math.abs(a.length - b.length) > 30) return Math.abs(a.length - b.length);
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(at(row, j - 1) + 1, at(last, j) + 1, at(last, j - 1) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, at(beforeLast, j - 2) + 1);
      }
      row.push(cost);
    }
    [beforeLast, last] = [last, row];
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}

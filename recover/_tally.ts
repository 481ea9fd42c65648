/** When a breaker has seen enough. */

/** Counts how calls end. */
export interface Tally {
  /** Whether there is nothing in it that matters. */
  readonly empty: boolean;
  /** Counts a success, at a time in milliseconds. */
  succeeded(now: number): void;
  /**
   * Counts a failure.
   *
   * @param now The time in milliseconds.
   * @returns Whether that was one too many.
   */
  failed(now: number): boolean;
}

/** One too many are so many failures without a success between them. */
export function consecutiveTally(limit: number): Tally {
  let failures = 0;
  return {
    get empty() {
      return failures === 0;
    },
    succeeded: () => void (failures = 0),
    failed: () => ++failures >= limit,
  };
}

/** How {@linkcode ratioTally} counts. */
export interface RatioTallyOptions {
  /** The part of failures that is too much, above 0 to 1. */
  readonly ratio: number;
  /** How many calls there must be before that is judged. */
  readonly samples: number;
  /** How far back calls are counted, in milliseconds. */
  readonly window: number;
}

interface Slice {
  readonly number: number;
  total: number;
  failed: number;
}

/** The window moves on by a tenth of it at a time. */
const SLICES = 10;

/** One too many are so many failures of all calls within a time. */
export function ratioTally({ ratio, samples, window }: RatioTallyOptions): Tally {
  let slices: Slice[] = [];
  const count = (now: number, failed: 0 | 1): void => {
    const number = Math.floor(now * SLICES / window);
    let slice = slices.at(-1);
    if (slice?.number !== number) {
      slices = slices.filter((old) => old.number > number - SLICES);
      slices.push(slice = { number, total: 0, failed: 0 });
    }
    slice.total++;
    slice.failed += failed;
  };
  const sum = (field: "total" | "failed"): number => slices.reduce((all, slice) => all + slice[field], 0);
  return {
    get empty() {
      return slices.length === 0;
    },
    succeeded: (now) => count(now, 0),
    failed: (now) => {
      count(now, 1);
      const total = sum("total");
      return total >= samples && sum("failed") >= ratio * total;
    },
  };
}

/** A budget for extra attempts, so that retries and hedges cannot become the outage. */

import { type Clock, systemClock } from "../internal/clock.ts";

/** Allows extra attempts in proportion to the first ones; share one object between all policies that call one service. */
export interface RetryBudget {
  /** Counts a first attempt. */
  deposit(): void;
  /**
   * Asks for an extra attempt.
   *
   * @returns Whether there is one left; if so, it is taken.
   */
  withdraw(): boolean;
  /** How many extra attempts are left now; a part of one is not enough. */
  readonly balance: number;
}

/** What {@linkcode budget} takes. */
export interface BudgetOptions {
  /**
   * How many extra attempts are allowed per first attempt.
   *
   * @default {0.2}
   */
  readonly ratio?: number;
  /**
   * How many extra attempts are allowed in each window however few first attempts there are, so that a quiet client may
   * retry at all.
   *
   * @default {3}
   */
  readonly min?: number;
  /**
   * How far back attempts are counted, in milliseconds.
   *
   * @default {10_000}
   */
  readonly window?: number;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** The window moves on by a tenth of it at a time. */
const SLOTS = 10;

/**
 * Makes a budget: within a window, extra attempts are at most a fifth of the first ones, or three where that is more.
 *
 * @param options Ratio, minimum and window.
 * @returns The budget, full.
 * @throws {RangeError} When a number is negative or none at all, or the window is empty.
 *
 * @example
 * ```ts
 * import { budget } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * const shared = budget({ ratio: 0.1, min: 1 });
 * for (let i = 0; i < 20; i++) shared.deposit();
 * assertEquals([shared.withdraw(), shared.withdraw(), shared.withdraw()], [true, true, false]);
 * ```
 */
export function budget(options: BudgetOptions = {}): RetryBudget {
  const { ratio = 0.2, min = 3, window = 10_000, clock = systemClock } = options;
  if (!(ratio >= 0 && min >= 0 && window > 0 && window < Infinity)) {
    const given = `ratio ${ratio}, min ${min}, window ${window}`;
    throw new RangeError(
      `Cannot make a retry budget: numbers from 0 and a finite window needed, got ${given}`,
    );
  }
  return new WindowBudget(ratio, min, window / SLOTS, clock);
}

class WindowBudget implements RetryBudget {
  readonly #ratio: number;
  readonly #min: number;
  readonly #slotTime: number;
  readonly #clock: Clock;
  /** First and extra attempts of each slot, a ring. */
  readonly #firsts = new Float64Array(SLOTS);
  readonly #extras = new Float64Array(SLOTS);
  #firstSum = 0;
  #extraSum = 0;
  /** The number of the current slot, counted from the beginning of time. */
  #slot: number;

  constructor(ratio: number, min: number, slotTime: number, clock: Clock) {
    this.#ratio = ratio;
    this.#min = min;
    this.#slotTime = slotTime;
    this.#clock = clock;
    this.#slot = Math.floor(clock.monotonic() / slotTime);
  }

  get balance(): number {
    this.#turn();
    return Math.max(0, Math.max(this.#min, this.#ratio * this.#firstSum) - this.#extraSum);
  }

  deposit(): void {
    this.#add(this.#firsts);
    this.#firstSum++;
  }

  withdraw(): boolean {
    if (this.balance < 1) return false;
    this.#add(this.#extras);
    this.#extraSum++;
    return true;
  }

  #add(counts: Float64Array): void {
    const index = this.#turn();
    counts[index] = (counts[index] ?? 0) + 1;
  }

  /** Forgets what has left the window; gives the index of the current slot. */
  #turn(): number {
    const slot = Math.floor(this.#clock.monotonic() / this.#slotTime);
    for (let next = Math.max(this.#slot + 1, slot - SLOTS + 1); next <= slot; next++) {
      const index = next % SLOTS;
      this.#firstSum -= this.#firsts[index] ?? 0;
      this.#extraSum -= this.#extras[index] ?? 0;
      this.#firsts[index] = this.#extras[index] = 0;
    }
    this.#slot = slot;
    return slot % SLOTS;
  }
}

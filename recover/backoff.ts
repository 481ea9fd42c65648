/** Back-off as pure data: how long to wait before the next attempt, and how chance spreads it. */

import { backoffDelay } from "../internal/backoff.ts";
import { checkFunction, checkWord } from "./_check.ts";

/**
 * How chance changes a wait of `d` milliseconds: `full` takes 0 to `d`, `equal` takes `d / 2` to `d`, `none` takes `d`.
 *
 * Without it, clients that failed together come back together.
 */
export type BackoffJitter = "full" | "equal" | "none";

/** How long to wait before the next attempt, as data: see {@linkcode delayOf}. */
export type Backoff =
  | {
    /** Waits that are multiplied each time. */
    readonly type: "exponential";
    /** The first wait in milliseconds. */
    readonly initial: number;
    /** The longest wait in milliseconds. */
    readonly max: number;
    /** What each wait is multiplied by. */
    readonly factor: number;
    /** How chance changes a wait; `decorrelated` takes `initial` to three times the wait before, up to `max`. */
    readonly jitter: BackoffJitter | "decorrelated";
  }
  | {
    /** Waits that grow by the same step each time. */
    readonly type: "linear";
    /** The first wait in milliseconds. */
    readonly initial: number;
    /** What each wait is longer by, in milliseconds. */
    readonly step: number;
    /** The longest wait in milliseconds. */
    readonly max: number;
    /** How chance changes a wait. */
    readonly jitter: BackoffJitter;
  }
  | {
    /** The same wait each time. */
    readonly type: "constant";
    /** The wait in milliseconds. */
    readonly delay: number;
    /** How chance changes a wait. */
    readonly jitter: BackoffJitter;
  }
  | {
    /** Waits that a function tells. */
    readonly type: "custom";
    /** Tells the wait in milliseconds from its number (from 0) and the wait before it (0 for the first). */
    readonly delay: (attempt: number, previous: number) => number;
  };

/** What {@linkcode exponential} takes. */
export interface ExponentialOptions {
  /**
   * The first wait in milliseconds.
   *
   * @default {250}
   */
  readonly initial?: number;
  /**
   * The longest wait in milliseconds.
   *
   * @default {15_000}
   */
  readonly max?: number;
  /**
   * What each wait is multiplied by, from 1.
   *
   * @default {2}
   */
  readonly factor?: number;
  /**
   * How chance changes a wait; `decorrelated` takes `initial` to three times the wait before, up to `max`.
   *
   * @default {"full"}
   */
  readonly jitter?: BackoffJitter | "decorrelated";
}

/** What {@linkcode linear} takes. */
export interface LinearOptions {
  /**
   * The first wait in milliseconds.
   *
   * @default {250}
   */
  readonly initial?: number;
  /**
   * What each wait is longer by, in milliseconds.
   *
   * @default {250}
   */
  readonly step?: number;
  /**
   * The longest wait in milliseconds.
   *
   * @default {15_000}
   */
  readonly max?: number;
  /**
   * How chance changes a wait.
   *
   * @default {"full"}
   */
  readonly jitter?: BackoffJitter;
}

const JITTERS: readonly BackoffJitter[] = ["full", "equal", "none"];

/**
 * Waits that double each time, with full jitter unless told otherwise.
 *
 * @param options Start, limit, growth and jitter.
 * @returns The back-off.
 * @throws {RangeError} When a number is negative or none at all, or the factor below 1.
 *
 * @example
 * ```ts
 * import { delayOf, exponential } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * const backoff = exponential({ initial: 100, max: 1000, jitter: "none" });
 * assertEquals([0, 1, 2, 3, 4].map((attempt) => delayOf(backoff, attempt)), [100, 200, 400, 800, 1000]);
 * ```
 */
export function exponential(options: ExponentialOptions = {}): Backoff {
  const { initial = 250, max = 15_000, factor = 2, jitter = "full" } = options;
  checkWord("back off", "jitter", jitter, [...JITTERS, "decorrelated"]);
  backoffDelay(0, { initial, max, factor });
  return { type: "exponential", initial, max, factor, jitter };
}

/**
 * Waits that grow by the same step each time, with full jitter unless told otherwise.
 *
 * @param options Start, step, limit and jitter.
 * @returns The back-off.
 * @throws {RangeError} When a number is negative or none at all.
 *
 * @example
 * ```ts
 * import { delayOf, linear } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * const backoff = linear({ initial: 100, step: 50, max: 180, jitter: "none" });
 * assertEquals([0, 1, 2].map((attempt) => delayOf(backoff, attempt)), [100, 150, 180]);
 * ```
 */
export function linear(options: LinearOptions = {}): Backoff {
  const { initial = 250, step = 250, max = 15_000, jitter = "full" } = options;
  check({ initial, step, max });
  checkWord("back off", "jitter", jitter, JITTERS);
  return { type: "linear", initial, step, max, jitter };
}

/**
 * The same wait each time, without jitter unless told otherwise.
 *
 * @param delay The wait in milliseconds.
 * @param jitter How chance changes it.
 * @returns The back-off.
 * @throws {RangeError} When the wait is negative or no number.
 *
 * @example
 * ```ts
 * import { constant, delayOf } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(delayOf(constant(500), 7), 500);
 * ```
 */
export function constant(delay: number, jitter: BackoffJitter = "none"): Backoff {
  check({ delay });
  checkWord("back off", "jitter", jitter, JITTERS);
  return { type: "constant", delay, jitter };
}

/**
 * Waits that a function tells.
 *
 * @param delay Tells the wait in milliseconds from its number (from 0) and the wait before it (0 for the first).
 * @returns The back-off.
 *
 * @example
 * ```ts
 * import { custom, delayOf } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * const backoff = custom((attempt) => [50, 500][attempt] ?? 5000);
 * assertEquals(delayOf(backoff, 1), 500);
 * ```
 */
export function custom(delay: (attempt: number, previous: number) => number): Backoff {
  checkFunction("back off", "delay", delay);
  return { type: "custom", delay };
}

/**
 * Tells one wait of a back-off.
 *
 * @param backoff The back-off.
 * @param attempt Which wait, from 0: the one before the second attempt.
 * @param previous The wait before this one in milliseconds, 0 for the first.
 * @param random Where chance comes from, 0 to 1.
 * @returns Milliseconds.
 * @throws {RangeError} When a function of the application told no wait.
 *
 * @example
 * ```ts
 * import { delayOf, exponential } from "@holdfast/net/recover";
 * import { assert } from "@std/assert";
 *
 * const delay = delayOf(exponential(), 3);
 * assert(delay >= 0 && delay <= 2000);
 * ```
 */
export function delayOf(
  backoff: Backoff,
  attempt: number,
  previous: number = 0,
  random: () => number = Math.random,
): number {
  switch (backoff.type) {
    case "exponential": {
      const { initial, max, jitter } = backoff;
      if (jitter !== "decorrelated") return jittered(backoffDelay(attempt, backoff), jitter, random);
      const lowest = Math.min(initial, max);
      const highest = Math.min(max, 3 * Math.max(lowest, previous));
      // Rounding must not lead beyond the limit.
      return Math.min(highest, lowest + random() * (highest - lowest));
    }
    case "linear":
      return jittered(
        Math.min(backoff.max, backoff.initial + attempt * backoff.step),
        backoff.jitter,
        random,
      );
    case "constant":
      return jittered(backoff.delay, backoff.jitter, random);
    case "custom": {
      const delay = backoff.delay(attempt, previous);
      check({ delay });
      return delay;
    }
  }
}

function jittered(delay: number, jitter: BackoffJitter, random: () => number): number {
  if (jitter === "none") return delay;
  return delay * (jitter === "full" ? random() : (1 + random()) / 2);
}

function check(numbers: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(numbers)) {
    if (!(value >= 0)) throw new RangeError(`Cannot back off: ${name} must be a number from 0, got ${value}`);
  }
}

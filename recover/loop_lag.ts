/** How late the event loop is. */

import { type Clock, systemClock, type Timer } from "../internal/clock.ts";
import { checkNumber } from "./_check.ts";
import { Samples } from "./_samples.ts";

/** What {@linkcode loopLag} takes. */
export interface LoopLagOptions {
  /**
   * How often it is measured, in milliseconds.
   *
   * @default {500}
   */
  readonly interval?: number;
  /**
   * How many measurements are kept.
   *
   * @default {120}
   */
  readonly samples?: number;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** A meter of the event loop's lag; all figures in milliseconds. */
export interface LoopLag extends Disposable {
  /** How late its last timer was, or how late the next one is by now. */
  readonly current: number;
  /** The greatest lag among the measurements kept. */
  readonly max: number;
  /**
   * Tells what a part of the measurements kept does not exceed.
   *
   * @param part The part in per cent, 0 to 100.
   * @returns Milliseconds, 0 where nothing was measured yet.
   */
  percentile(part: number): number;
}

/**
 * Measures how late timers are: work that blocks the event loop, a machine without time to spare.
 *
 * It does not keep the process alive, and runs until it is disposed.
 *
 * @param options How often, and how many measurements are kept.
 * @returns The meter.
 * @throws {RangeError} When a number is out of range.
 *
 * @example
 * ```ts
 * import { loopLag } from "@holdfast/net/recover";
 * import { FakeClock } from "@holdfast/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const clock = new FakeClock();
 * using lag = loopLag({ clock });
 * clock.tick(5000);
 * assertEquals([lag.current, lag.max, lag.percentile(99)], [0, 0, 0]);
 * ```
 */
export function loopLag(options: LoopLagOptions = {}): LoopLag {
  const { interval = 500, samples = 120, clock = systemClock } = options;
  checkNumber("measure the event loop's lag", "interval", interval, { above: true });
  checkNumber("measure the event loop's lag", "samples", samples, { from: 1, whole: true });
  return new Meter(interval, samples, clock);
}

class Meter implements LoopLag {
  readonly #interval: number;
  readonly #clock: Clock;
  readonly #samples: Samples;
  #last = 0;
  #due = 0;
  #timer: Timer;

  constructor(interval: number, samples: number, clock: Clock) {
    this.#interval = interval;
    this.#clock = clock;
    this.#samples = new Samples(samples);
    this.#timer = this.#arm();
  }

  get current(): number {
    return Math.max(this.#last, this.#clock.monotonic() - this.#due);
  }

  get max(): number {
    return this.#samples.quantile(1);
  }

  percentile(part: number): number {
    checkNumber("tell a percentile", "part", part, { to: 100 });
    return this.#samples.quantile(part / 100);
  }

  [Symbol.dispose](): void {
    this.#timer.cancel();
    // Nobody measures any more, so nothing gets later.
    this.#due = Infinity;
  }

  #arm(): Timer {
    this.#due = this.#clock.monotonic() + this.#interval;
    return this.#clock.after(this.#interval, () => {
      // A timer may fire a fraction of a millisecond early.
      this.#last = Math.max(0, this.#clock.monotonic() - this.#due);
      this.#samples.add(this.#last);
      this.#timer = this.#arm();
    });
  }
}

/** Sleep, seen by the clocks: the wall clock goes on while the monotonic one stands still. */

import type { Clock, Timer } from "../internal/clock.ts";

/** How often the clocks are compared, in milliseconds. */
const TICK = 10_000;

/** A shorter sleep is not told, in milliseconds. */
const LEAST = 10_000;

/** Compares clocks, and tells when the machine has slept. */
export class WakeDetector implements Disposable {
  readonly #clock: Clock;
  readonly #sleepClock: () => number;
  readonly #onWake: (slept: number) => void;
  #asleep: number;
  #timer: Timer;

  /**
   * @param clock Source of time.
   * @param onWake Called with the milliseconds slept.
   * @param sleepClock Milliseconds spent asleep since some moment. Where the system has no such clock, the wall clock
   * less the monotonic one stands in for it; a wall clock set forward by hand then looks like sleep.
   */
  constructor(
    clock: Clock,
    onWake: (slept: number) => void,
    sleepClock: () => number = () => clock.now() - clock.monotonic(),
  ) {
    this.#clock = clock;
    this.#onWake = onWake;
    this.#sleepClock = sleepClock;
    this.#asleep = sleepClock();
    this.#timer = this.#arm();
  }

  /** Compares now; called on every hint as well, as a machine that wakes has something to say at once. */
  check(): void {
    const slept = this.#sleepClock() - this.#asleep;
    this.#asleep += slept;
    if (slept > LEAST) this.#onWake(Math.round(slept));
  }

  /** Stops comparing. */
  [Symbol.dispose](): void {
    this.#timer.cancel();
  }

  #arm(): Timer {
    return this.#clock.after(TICK, () => {
      this.#timer = this.#arm();
      this.check();
    });
  }
}

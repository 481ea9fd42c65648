/** A clock of a process that stands still: time passes, and no timer fires. */

import type { Clock } from "../internal/clock.ts";
import { FakeClock } from "../testing/fake_clock.ts";

/** A fake clock that can be made to stand still while time passes. */
export class StallingClock extends FakeClock implements Clock {
  #stalled = 0;

  override now(): number {
    return super.now() + this.#stalled;
  }

  override monotonic(): number {
    return super.monotonic() + this.#stalled;
  }

  /** Lets time pass in which nothing runs: what becomes due fires after it, late, as after a stall or `SIGSTOP`. */
  stall(milliseconds: number): void {
    this.#stalled += milliseconds;
  }
}

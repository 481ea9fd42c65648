/** Notices that the machine slept, that the process stood still, or that somebody set the clock. */

import { type Clock, systemClock, type Timer } from "../internal/clock.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { checkNumber } from "./_check.ts";
import { checkFunctions, checkNetwork } from "./_check_shape.ts";
import { Listeners } from "./_listeners.ts";

/** What {@linkcode suspendWatchdog} takes. */
export interface SuspendWatchdogOptions {
  /**
   * How often the clocks are compared, in milliseconds.
   *
   * @default {1000}
   */
  readonly interval?: number;
  /**
   * How much the clocks may differ from what was expected, in milliseconds.
   *
   * @default {2000}
   */
  readonly threshold?: number;
  /**
   * Tells how many milliseconds the machine has slept since some moment. With it, a clock set forward is told apart from
   * sleep; without it, it is taken for sleep.
   *
   * @default {undefined}
   */
  readonly sleepClock?: () => number;
  /**
   * The network, which is told to look again on wake.
   *
   * @default {undefined}
   */
  readonly network?: NetworkView;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** The process goes on after a time in which it did not run: whatever it was connected to may be gone. */
export interface SuspendWakeEvent {
  /** The tag. */
  readonly type: "wake";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** For how many milliseconds it did not run. */
  readonly slept: number;
  /**
   * How that showed: the monotonic clock was `asleep` like the machine, or it went on while the process `stalled` (frozen,
   * in a debugger, its event loop blocked, or asleep on a system whose monotonic clock goes on).
   */
  readonly reason: "asleep" | "stalled";
}

/** Somebody has set the wall clock: what was computed with it is off. */
export interface ClockJumpEvent {
  /** The tag. */
  readonly type: "clockjump";
  /** When, in milliseconds since 1970, by the clock as it is now. */
  readonly at: number;
  /** By how many milliseconds; negative is back. */
  readonly by: number;
}

/** What a watchdog tells. */
export type SuspendEvent = SuspendWakeEvent | ClockJumpEvent;

/** A watchdog for sleep, stalls and clocks that jump. */
export interface SuspendWatchdog extends Disposable {
  /** Compares the clocks now; for when there is a hint that something has happened. */
  check(): void;
  /**
   * Calls a handler for each event of one type.
   *
   * @param type The type of event.
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  on<T extends SuspendEvent["type"]>(
    type: T,
    handler: (event: SuspendEvent & { readonly type: T }) => void,
  ): Disposable;
}

/**
 * Compares the wall clock with the monotonic one each second, and tells when the process did not run for a while or the
 * wall clock was set.
 *
 * On Linux and macOS the monotonic clock stands still while the machine sleeps. On Windows, and where only the process is
 * frozen, both go on. It does not keep the process alive, and runs until it is disposed.
 *
 * @param options How often, how exactly, and the network to tell.
 * @returns The watchdog.
 * @throws {RangeError} When a number is out of range.
 *
 * @example
 * ```ts
 * import { suspendWatchdog } from "@holdfast/net/recover";
 * import { FakeClock } from "@holdfast/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const clock = new FakeClock();
 * using watchdog = suspendWatchdog({ clock });
 * const slept: number[] = [];
 * using _ = watchdog.on("wake", (event) => slept.push(event.slept));
 * clock.jump(3_600_000); // the machine sleeps for an hour
 * clock.tick(1000);
 * assertEquals(slept, [3_600_000]);
 * ```
 */
export function suspendWatchdog(options: SuspendWatchdogOptions = {}): SuspendWatchdog {
  const { interval = 1000, threshold = 2000, sleepClock } = options;
  checkNumber(WATCH, "interval", interval, { above: true });
  checkNumber(WATCH, "threshold", threshold, { above: true });
  checkFunctions(WATCH, { sleepClock });
  checkNetwork(WATCH, options.network);
  return new Watchdog(interval, threshold, options);
}

const WATCH = "watch for sleep";

interface Reading {
  readonly wall: number;
  readonly monotonic: number;
  readonly asleep: number | undefined;
}

class Watchdog implements SuspendWatchdog {
  readonly #interval: number;
  readonly #threshold: number;
  readonly #options: SuspendWatchdogOptions;
  readonly #clock: Clock;
  readonly #listeners = new Listeners<SuspendEvent>();
  #last: Reading;
  /** When the next tick is due, on the monotonic clock. */
  #due: number;
  #timer: Timer;

  constructor(interval: number, threshold: number, options: SuspendWatchdogOptions) {
    this.#interval = interval;
    this.#threshold = threshold;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#last = this.#read();
    this.#due = this.#last.monotonic + interval;
    this.#timer = this.#arm();
  }

  check(): void {
    const before = this.#last;
    const now = this.#last = this.#read();
    const ahead = now.wall - before.wall - (now.monotonic - before.monotonic);
    const asleep = now.asleep !== undefined && before.asleep !== undefined
      ? now.asleep - before.asleep
      : Math.max(0, ahead);
    const jumped = ahead - asleep;
    const late = now.monotonic - this.#due;
    // Told once: what comes after is late by less.
    if (late > 0) this.#due = now.monotonic;
    if (Math.abs(jumped) > this.#threshold) this.#jump(jumped);
    if (asleep > this.#threshold) this.#wake(asleep + Math.max(0, late), "asleep");
    else if (late > this.#threshold) this.#wake(late, "stalled");
  }

  on<T extends SuspendEvent["type"]>(
    type: T,
    handler: (event: SuspendEvent & { readonly type: T }) => void,
  ): Disposable {
    return this.#listeners.on(type, handler as (event: SuspendEvent) => void);
  }

  [Symbol.dispose](): void {
    this.#timer.cancel();
  }

  #read(): Reading {
    const clock = this.#clock;
    return { wall: clock.now(), monotonic: clock.monotonic(), asleep: this.#options.sleepClock?.() };
  }

  #arm(): Timer {
    return this.#clock.after(this.#interval, () => {
      this.#timer = this.#arm();
      this.check();
      this.#due = this.#last.monotonic + this.#interval;
    });
  }

  #wake(slept: number, reason: SuspendWakeEvent["reason"]): void {
    this.#options.network?.wake();
    this.#listeners.tell(() => ({ type: "wake", at: this.#last.wall, slept: Math.round(slept), reason }));
  }

  #jump(by: number): void {
    this.#listeners.tell(() => ({ type: "clockjump", at: this.#last.wall, by: Math.round(by) }));
  }
}

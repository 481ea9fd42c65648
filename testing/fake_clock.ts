/** A clock that moves only when a test says so. */

import type { Clock, Timer } from "../internal/clock.ts";

/** How a {@linkcode FakeClock} begins. */
export interface FakeClockOptions {
  /**
   * The wall clock in the beginning, in milliseconds since 1970.
   *
   * @default {0}
   */
  readonly now?: number;
}

interface Entry {
  readonly due: number;
  readonly callback: () => void;
}

/** Taken at import, so that time faked by other means does not stop {@linkcode FakeClock.tickAsync}. */
const { setTimeout } = globalThis;

/**
 * A {@linkcode Clock} for tests: time passes in {@linkcode FakeClock.tick} and nowhere else.
 *
 * @example
 * ```ts
 * import { FakeClock } from "@holdfast/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const clock = new FakeClock();
 * const fired: number[] = [];
 * clock.after(100, () => fired.push(clock.monotonic()));
 * clock.tick(99);
 * assertEquals(fired, []);
 * clock.tick(1);
 * assertEquals(fired, [100]);
 *
 * clock.jump(3_600_000); // the machine slept for an hour: only the wall clock has moved
 * assertEquals(clock.monotonic(), 100);
 * assertEquals(clock.now(), 3_600_100);
 * ```
 */
export class FakeClock implements Clock {
  #monotonic = 0;
  /** What the wall clock is ahead of the monotonic one. */
  #ahead: number;
  readonly #timers = new Set<Entry>();

  /**
   * Makes a clock that stands still.
   *
   * @param options What time it is in the beginning.
   */
  constructor(options: FakeClockOptions = {}) {
    this.#ahead = options.now ?? 0;
  }

  /** Wall clock in milliseconds since 1970. */
  now(): number {
    return this.#monotonic + this.#ahead;
  }

  /** Monotonic clock in milliseconds, from 0. */
  monotonic(): number {
    return this.#monotonic;
  }

  /** How many timers wait to fire. Each pending iteration or wait of the toolkit holds one, too. */
  get pending(): number {
    return this.#timers.size;
  }

  /**
   * Calls back once, in the tick that reaches that time.
   *
   * @param milliseconds How long to wait, on the monotonic clock.
   * @param callback What to call.
   * @returns The timer. It never keeps the process alive: nobody but the test moves this clock.
   */
  after(milliseconds: number, callback: () => void): Timer {
    const entry = { due: this.#monotonic + Math.max(0, milliseconds), callback };
    this.#timers.add(entry);
    return { cancel: () => void this.#timers.delete(entry) };
  }

  /**
   * Lets time pass: each timer fires at its own time, those of one time in the order they were set.
   *
   * @param milliseconds How much time passes.
   */
  tick(milliseconds: number): void {
    const end = this.#monotonic + milliseconds;
    while (this.#fireNext(end));
    this.#monotonic = end;
  }

  /**
   * Like {@linkcode FakeClock.tick}, and lets all promise callbacks run before, between and after the timers.
   *
   * @param milliseconds How much time passes.
   * @returns Resolves when everything due has fired and what follows from it by promises alone has happened.
   */
  async tickAsync(milliseconds: number): Promise<void> {
    const end = this.#monotonic + milliseconds;
    do await settled(); while (this.#fireNext(end));
    this.#monotonic = end;
  }

  /**
   * Moves the wall clock alone, as a sleeping machine or a corrected clock does.
   *
   * @param milliseconds How far; negative goes back.
   */
  jump(milliseconds: number): void {
    this.#ahead += milliseconds;
  }

  #fireNext(end: number): boolean {
    let next: Entry | undefined;
    for (const entry of this.#timers) {
      if (entry.due <= end && (next === undefined || entry.due < next.due)) next = entry;
    }
    if (next === undefined) return false;
    this.#timers.delete(next);
    this.#monotonic = next.due;
    next.callback();
    return true;
  }
}

/** A timer of the runtime fires when no promise callback is left to run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Time for simulations: runs from timer to timer as fast as the machine can, and counts what is left. */

import { setImmediate } from "node:timers";
import type { Clock, Timer } from "../internal/clock.ts";

interface Entry {
  readonly due: number;
  readonly callback: () => void;
}

/** A clock that jumps to the next timer once nothing else is left to do. */
export class VirtualTime implements Clock {
  #now = 0;
  readonly #timers = new Set<Entry>();

  /** How many timers wait to fire. */
  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  after(milliseconds: number, callback: () => void): Timer {
    const entry = { due: this.#now + Math.max(0, milliseconds), callback };
    this.#timers.add(entry);
    return { cancel: () => void this.#timers.delete(entry) };
  }

  /** Lets time pass until some moment, or until no timer is left; between timers all promise callbacks run. */
  async run(until: number = Infinity): Promise<void> {
    do await this.settle(); while (this.step(until));
    if (until < Infinity) this.#now = Math.max(this.#now, until);
  }

  /** Lets all promise callbacks run; no time passes. */
  settle(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** Fires the next timer that is due by some moment, and nothing else; tells whether there was one. */
  step(until: number = Infinity): boolean {
    let next: Entry | undefined;
    for (const entry of this.#timers) {
      if (entry.due <= until && entry.due < (next?.due ?? Infinity)) next = entry;
    }
    if (!next) return false;
    this.#timers.delete(next);
    this.#now = next.due;
    next.callback();
    return true;
  }
}

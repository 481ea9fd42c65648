/** Those who wait to be handed out, one by one, to one reader. */

import { type Clock, holdProcess } from "../../internal/clock.ts";

/** A queue with one reader. */
export class Handout<T> {
  readonly #clock: Clock;
  readonly #items: T[] = [];
  #waiter: (() => void) | undefined;
  #reading = false;
  #ended: { readonly error?: Error } | undefined;

  /** @param clock Source of time; who waits keeps the process alive. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many wait. */
  get size(): number {
    return this.#items.length;
  }

  /** Whether somebody reads. */
  get reading(): boolean {
    return this.#reading;
  }

  /** Takes one more. */
  push(item: T): void {
    this.#items.push(item);
    this.#wake();
  }

  /** Nobody comes any more; those that wait are handed out all the same. */
  end(error?: Error): void {
    this.#ended ??= error ? { error } : {};
    this.#wake();
  }

  /** Nobody comes any more; gives those that nobody has got. */
  clear(): readonly T[] {
    this.end();
    return this.#items.splice(0);
  }

  /** Hands them out, until the end. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<T, void, void> {
    if (this.#reading) throw new TypeError("Cannot accept: the server has a reader already");
    this.#reading = true;
    try {
      for (;;) {
        const next = this.#items.shift();
        if (next !== undefined) yield next;
        else if (this.#ended?.error) throw this.#ended.error;
        else if (this.#ended) return;
        else {
          using _hold = holdProcess(this.#clock);
          await new Promise<void>((resolve) => this.#waiter = resolve);
        }
      }
    } finally {
      this.#reading = false;
    }
  }

  #wake(): void {
    this.#waiter?.();
    this.#waiter = undefined;
  }
}

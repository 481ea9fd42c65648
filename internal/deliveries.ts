/** Deliveries: things that must reach their one consumer, in order, none dropped. */

import { type Clock, holdProcess, systemClock } from "./clock.ts";

/** How a {@linkcode Deliveries} behaves. */
export interface DeliveriesOptions {
  /**
   * How many deliveries may lie ready before the sender has to wait.
   *
   * @default {16}
   */
  readonly capacity?: number;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/**
 * A bounded queue with one consumer at a time; a second one throws, as with a locked stream.
 *
 * Senders that await {@linkcode Deliveries.push} keep it bounded: at most `capacity` deliveries and one more per sender.
 */
export class Deliveries<T> implements AsyncIterable<T> {
  readonly #capacity: number;
  readonly #clock: Clock;
  readonly #queue: T[] = [];
  readonly #senders: (() => void)[] = [];
  readonly #waiters: Waiter<T>[] = [];
  /** Stands for the one reader there is. */
  #lock: symbol | undefined;
  #end: End | undefined;

  /**
   * Makes an empty queue.
   *
   * @param options The capacity.
   */
  constructor(options: DeliveriesOptions = {}) {
    const { capacity = 16, clock = systemClock } = options;
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError(`Cannot make deliveries: capacity must be a whole number from 1, got ${capacity}`);
    }
    this.#capacity = capacity;
    this.#clock = clock;
  }

  /** Whether somebody reads: from the beginning of an iteration to its end. */
  get locked(): boolean {
    return this.#lock !== undefined;
  }

  /**
   * Hands something over, or queues it.
   *
   * @param item What to deliver.
   * @returns Resolves when there is room for the next one: waiting for it is the backpressure.
   * @throws {TypeError} When the deliveries have ended.
   */
  async push(item: T): Promise<void> {
    if (this.#end) throw new TypeError("Cannot deliver: the deliveries have ended");
    const waiter = this.#waiters.shift();
    if (waiter) {
      waiter.hold[Symbol.dispose]();
      return waiter.resolve({ done: false, value: item });
    }
    this.#queue.push(item);
    if (this.#queue.length >= this.#capacity) {
      await new Promise<void>((resolve) => this.#senders.push(resolve));
    }
  }

  /**
   * Ends the deliveries: what is queued is still delivered, and no sender waits any longer.
   *
   * @param error Thrown to the consumer after the last delivery, if given.
   */
  end(error?: unknown): void {
    if (this.#end) return;
    this.#end = error === undefined ? {} : { error };
    this.#releaseSenders();
    if (this.#waiters.length > 0) this.#unlock(this.#end);
  }

  /**
   * Takes the only reader's place, until the deliveries have ended or `return()` is called (as leaving a `for await`
   * does). What is queued then waits for the next reader.
   *
   * @throws {TypeError} When somebody reads already.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<T, void, void> & AsyncDisposable {
    if (this.#lock) throw new TypeError("Cannot read deliveries: somebody else reads them already");
    const lock = this.#lock = Symbol("reader");
    const done: IteratorResult<T, void> = { done: true, value: undefined };
    // Not a generator: the `return()` of one that waits would itself wait for the next delivery.
    const iterator = {
      next: () => this.#lock === lock ? this.#next() : Promise.resolve(done),
      return: () => {
        if (this.#lock === lock) this.#unlock({});
        return Promise.resolve(done);
      },
      [Symbol.asyncIterator]: () => iterator,
      [Symbol.asyncDispose]: async () => void await iterator.return(),
    };
    return iterator;
  }

  #next(): Promise<IteratorResult<T, void>> {
    if (this.#queue.length > 0) {
      const value = this.#queue.shift() as T;
      if (this.#queue.length < this.#capacity) this.#releaseSenders();
      return Promise.resolve({ done: false, value });
    }
    const hold = holdProcess(this.#clock);
    // The runtime runs promise callbacks within the first timer of a process, and they may have delivered something.
    if (this.#queue.length > 0) {
      hold[Symbol.dispose]();
      return this.#next();
    }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject, hold });
      if (this.#end) this.#unlock(this.#end);
    });
  }

  /** Lets another reader in, and tells those who wait how it ended: `for await` does not call `return()` then. */
  #unlock(end: End): void {
    this.#lock = undefined;
    for (const { resolve, reject, hold } of this.#waiters.splice(0)) {
      hold[Symbol.dispose]();
      if ("error" in end) reject(end.error);
      else resolve({ done: true, value: undefined });
    }
  }

  /** All at once: each may deliver one more, and none is left behind by one that is quicker. */
  #releaseSenders(): void {
    for (const release of this.#senders.splice(0)) release();
  }
}

interface End {
  readonly error?: unknown;
}

interface Waiter<T> {
  readonly resolve: (result: IteratorResult<T, void>) => void;
  readonly reject: (reason: unknown) => void;
  readonly hold: Disposable;
}

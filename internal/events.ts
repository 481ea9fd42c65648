/** Events for any number of consumers: bounded queues, and one resync instead of a silent gap. */

import { type Clock, holdProcess, systemClock } from "./clock.ts";
import { type Logger, logUncaught } from "./log.ts";

/** Anything with a tag. */
export interface Tagged {
  /** What happened. */
  readonly type: string;
}

/** The member of a union that has a tag among its own; one interface may stand for several tags. */
export type EventOf<E extends Tagged, T extends E["type"]> = E extends { readonly type: infer U }
  ? T extends U ? E & { readonly type: T } : never
  : never;

/** How a {@linkcode Broadcast} treats its consumers. */
export interface BroadcastOptions<E extends Tagged> {
  /**
   * How many events may wait for one consumer.
   *
   * @default {1024}
   */
  readonly capacity?: number;
  /**
   * Makes the event that a consumer gets in place of those it was too slow for. It is called when the consumer comes
   * for it, so it carries the state of that moment.
   */
  readonly resync: () => E;
  /**
   * Where a handler's error goes.
   *
   * @default {undefined} The process-wide logger, or the console where there is none.
   */
  readonly logger?: Logger | undefined;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/**
 * One sender, any number of consumers; each gets every event published since it began, or one resync in place of a gap.
 *
 * A pending iteration keeps the process alive; handlers do not.
 */
export class Broadcast<E extends Tagged> implements AsyncIterable<E> {
  readonly #options: BroadcastOptions<E>;
  readonly #consumers = new Set<Consumer<E>>();
  readonly #handlers = new Set<Handler<E>>();
  #ended = false;

  /**
   * Makes a broadcast without consumers.
   *
   * @param options The queue length and what stands in for lost events.
   */
  constructor(options: BroadcastOptions<E>) {
    const { capacity = 1024 } = options;
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError(
        `Cannot make a broadcast: capacity must be a whole number from 1, got ${capacity}`,
      );
    }
    this.#options = { ...options, capacity };
  }

  /** Hands an event to every consumer; without effect after {@linkcode Broadcast.end}. */
  publish(event: E): void {
    if (this.#ended) return;
    for (const consumer of this.#consumers) consumer.offer(event);
    for (const handler of [...this.#handlers]) {
      // One that an earlier handler has just taken away is not called any more.
      if (this.#handlers.has(handler)) this.#call(handler, event);
    }
  }

  /**
   * Calls a handler for each event of one type, at once and in the order of registration. A handler that throws, or
   * returns a promise that rejects, harms nobody else and is reported.
   *
   * @param type The type.
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  on<T extends E["type"]>(type: T, handler: (event: EventOf<E, T>) => void): Disposable {
    return this.subscribe((event) => {
      if (event.type === type) return handler(event as EventOf<E, T>);
    });
  }

  /**
   * Calls a handler for every event, as {@linkcode Broadcast.on} does for those of one type.
   *
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  subscribe(handler: (event: E) => void): Disposable {
    // Wrapped, so that the same function registered twice is two registrations.
    const entry: Handler<E> = (event) => handler(event);
    if (!this.#ended) this.#handlers.add(entry);
    return { [Symbol.dispose]: () => void this.#handlers.delete(entry) };
  }

  /** Ends every iteration, after what is queued, and lets go of all handlers. */
  end(): void {
    this.#ended = true;
    for (const consumer of this.#consumers) consumer.end();
    this.#consumers.clear();
    this.#handlers.clear();
  }

  /** Begins an iteration: what is published from now on is queued for it, until it is left. */
  [Symbol.asyncIterator](): AsyncIterableIterator<E, void, void> & AsyncDisposable {
    const consumer: Consumer<E> = new Consumer(this.#options, () => this.#consumers.delete(consumer));
    if (this.#ended) consumer.end();
    else this.#consumers.add(consumer);
    return consumer;
  }

  #call(handler: Handler<E>, event: E): void {
    const report = (error: unknown): void =>
      logUncaught(this.#options.logger, `Uncaught error in a handler of "${event.type}"`, error);
    try {
      const result = handler(event);
      if (result instanceof Promise) result.catch(report);
    } catch (error) {
      report(error);
    }
  }
}

/** An async function will do as a handler, so there may be a promise to look after. */
type Handler<E> = (event: E) => unknown;

interface Waiter<E> {
  readonly resolve: (result: IteratorResult<E, void>) => void;
  readonly hold: Disposable;
}

class Consumer<E extends Tagged> implements AsyncIterableIterator<E, void, void>, AsyncDisposable {
  readonly #capacity: number;
  readonly #resync: () => E;
  readonly #clock: Clock;
  readonly #leave: () => void;
  readonly #waiters: Waiter<E>[] = [];
  #queue: E[] = [];
  /** Set when the queue overflowed: everything is dropped until the consumer comes for its resync. */
  #lost = false;
  #ended = false;

  constructor(options: BroadcastOptions<E>, leave: () => void) {
    const { capacity = 1024, resync, clock = systemClock } = options;
    this.#capacity = capacity;
    this.#resync = resync;
    this.#clock = clock;
    this.#leave = leave;
  }

  offer(event: E): void {
    const waiter = this.#waiters.shift();
    if (waiter) return settle(waiter, { done: false, value: event });
    if (this.#lost) return;
    if (this.#queue.length < this.#capacity) {
      this.#queue.push(event);
      return;
    }
    this.#queue = [];
    this.#lost = true;
  }

  end(): void {
    this.#ended = true;
    for (const waiter of this.#waiters.splice(0)) settle(waiter, { done: true, value: undefined });
  }

  async next(): Promise<IteratorResult<E, void>> {
    const result = this.#take();
    if (result) return result;
    const hold = holdProcess(this.#clock);
    // The runtime runs promise callbacks within the first timer of a process, and they may have published something.
    const meanwhile = this.#take();
    if (meanwhile) hold[Symbol.dispose]();
    return meanwhile ?? await new Promise((resolve) => this.#waiters.push({ resolve, hold }));
  }

  #take(): IteratorResult<E, void> | undefined {
    if (this.#lost) {
      const value = this.#resync();
      this.#lost = false;
      return { done: false, value };
    }
    const event = this.#queue.shift();
    if (event !== undefined) return { done: false, value: event };
    return this.#ended ? { done: true, value: undefined } : undefined;
  }

  return(): Promise<IteratorResult<E, void>> {
    this.#leave();
    this.#queue = [];
    this.#lost = false;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

function settle<E>(waiter: Waiter<E>, result: IteratorResult<E, void>): void {
  waiter.hold[Symbol.dispose]();
  waiter.resolve(result);
}

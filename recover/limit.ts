/** A limit to how many calls run at once (bulkhead). */

import { type Clock, holdProcess, systemClock } from "../internal/clock.ts";
import { HoldfastError } from "../internal/errors.ts";
import { checkNumber } from "./_check.ts";
import { Listeners } from "./_listeners.ts";
import type { Failure } from "./failure.ts";
import type { Attempt, ExecuteOptions, Policy } from "./policy.ts";

/** What {@linkcode limit} takes. */
export interface LimitOptions {
  /** How many calls may run at once, from 1. */
  readonly concurrency: number;
  /**
   * How many more may wait for their turn, in the order they came.
   *
   * @default {0}
   */
  readonly queue?: number;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** A call was turned away. */
export interface LimitEvent {
  /** The tag. */
  readonly type: "full";
  /** When, in milliseconds since 1970. */
  readonly at: number;
}

/** A policy that limits how many calls run at once. */
export interface LimitPolicy extends Policy {
  /** How many run now. */
  readonly running: number;
  /** How many wait for their turn. */
  readonly queued: number;
  /**
   * Calls a handler whenever a call was turned away.
   *
   * @param type The type of event.
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  on(type: "full", handler: (event: LimitEvent) => void): Disposable;
}

/** There was no room for a call, which was not begun; its `code` is `"limit-full"`. */
export class LimitFullError extends HoldfastError {
  /** The class's name. */
  override name = "LimitFullError";
  /** What {@linkcode classify} says of it: nothing was sent. */
  readonly failure: Failure;

  /**
   * Makes an error.
   *
   * @param concurrency How many calls run.
   * @param queue How many wait.
   */
  constructor(concurrency: number, queue: number) {
    super(`Cannot begin another call: ${concurrency} run and ${queue} wait already`, {
      code: "limit-full",
      operation: "begin another call",
    });
    this.failure = {
      scenario: null,
      kind: "exhausted",
      where: "local",
      retry: "later",
      sent: "no",
      hint: "Make fewer calls at once, or let more of them run or wait",
      code: null,
      retryAfter: null,
      error: this,
    };
  }
}

/**
 * Makes a policy that lets so many calls run at once. Others wait for their turn, in the order they came; one too many is
 * turned away with a {@linkcode LimitFullError}. A caller who gives up leaves the queue at once.
 *
 * A queued call keeps the process alive.
 *
 * @param options How many may run, and how many may wait.
 * @returns The policy.
 * @throws {RangeError} When a number is out of range.
 *
 * @example
 * ```ts
 * import { limit } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * const policy = limit({ concurrency: 2, queue: 100 });
 * let running = 0;
 * let most = 0;
 * const call = () =>
 *   policy.execute(async () => {
 *     most = Math.max(most, ++running);
 *     await Promise.resolve();
 *     running--;
 *   });
 * await Promise.all([call(), call(), call(), call()]);
 * assertEquals(most, 2);
 * ```
 */
export function limit(options: LimitOptions): LimitPolicy {
  const { concurrency, queue = 0, clock = systemClock } = options;
  checkNumber("make a limit", "concurrency", concurrency, { from: 1, whole: true });
  checkNumber("make a limit", "queue", queue, { whole: true });
  return new Bulkhead(concurrency, queue, clock);
}

class Bulkhead implements LimitPolicy {
  readonly #concurrency: number;
  readonly #queue: number;
  readonly #clock: Clock;
  readonly #listeners = new Listeners<LimitEvent>();
  /** Lets one in, the first to come first. */
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(concurrency: number, queue: number, clock: Clock) {
    this.#concurrency = concurrency;
    this.#queue = queue;
    this.#clock = clock;
  }

  get running(): number {
    return this.#running;
  }

  get queued(): number {
    return this.#waiting.size;
  }

  on(type: "full", handler: (event: LimitEvent) => void): Disposable {
    return this.#listeners.on(type, handler);
  }

  async execute<T>(
    work: (attempt: Attempt) => T | PromiseLike<T>,
    options: ExecuteOptions = {},
  ): Promise<T> {
    const { signal = new AbortController().signal, attempt = 0 } = options;
    if (signal.aborted) throw signal.reason;
    if (this.#running < this.#concurrency) this.#running++;
    else await this.#turn(signal);
    try {
      // Its turn may have come in the same moment in which the caller gave up.
      signal.throwIfAborted();
      return await work({ signal, attempt });
    } finally {
      this.#leave();
    }
  }

  /** Waits for a place, which then is taken already. */
  #turn(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // First of all: the first timer of a test lets pending callbacks run, and one of them may leave a place.
    const hold = holdProcess(this.#clock);
    if (this.#running < this.#concurrency) {
      hold[Symbol.dispose]();
      this.#running++;
      resolve();
      return promise;
    }
    if (this.#waiting.size >= this.#queue) {
      hold[Symbol.dispose]();
      this.#listeners.tell(() => ({ type: "full", at: this.#clock.now() }));
      reject(new LimitFullError(this.#concurrency, this.#queue));
      return promise;
    }
    const settled = (): void => {
      this.#waiting.delete(enter);
      signal.removeEventListener("abort", givenUp);
      hold[Symbol.dispose]();
    };
    const enter = (): void => {
      settled();
      resolve();
    };
    const givenUp = (): void => {
      settled();
      reject(signal.reason);
    };
    this.#waiting.add(enter);
    signal.addEventListener("abort", givenUp, { once: true });
    return promise;
  }

  /** Hands the place on, or gives it back. */
  #leave(): void {
    const [next] = this.#waiting;
    if (next) next();
    else this.#running--;
  }
}

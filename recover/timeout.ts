/** A time limit for each attempt. */

import { type Clock, systemClock } from "../internal/clock.ts";
import { HoldfastError } from "../internal/errors.ts";
import { checkNumber, checkWord } from "./_check.ts";
import { Listeners } from "./_listeners.ts";
import type { Attempt, ExecuteOptions, Policy } from "./policy.ts";

/** What {@linkcode timeout} takes besides the limit. */
export interface TimeoutOptions {
  /**
   * What becomes of work that goes on after its signal was aborted: `aggressive` does not wait for it any longer (what it
   * still gives is dropped), `cooperative` does, and takes its value if it comes to one after all.
   *
   * @default {"aggressive"}
   */
  readonly mode?: "aggressive" | "cooperative";
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** The time was up. */
export interface TimeoutEvent {
  /** The tag. */
  readonly type: "timeout";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** The limit in milliseconds. */
  readonly limit: number;
}

/** A policy that limits time. */
export interface TimeoutPolicy extends Policy {
  /**
   * Calls a handler whenever the time was up.
   *
   * @param type The type of event.
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  on(type: "timeout", handler: (event: TimeoutEvent) => void): Disposable;
}

/** Work took longer than it was given; its `code` is `"timeout"`. */
export class TimeoutError extends HoldfastError {
  /** The class's name. */
  override name = "TimeoutError";
  /** The limit in milliseconds. */
  readonly limit: number;

  /**
   * Makes an error.
   *
   * @param limit The limit in milliseconds.
   * @param cause What the work threw when it was told to stop.
   */
  constructor(limit: number, cause?: unknown) {
    super(`Cannot finish in time: ${limit} ms have passed`, {
      code: "timeout",
      operation: "finish in time",
      cause,
    });
    this.limit = limit;
  }
}

/**
 * Makes a policy that gives each run of a function a time limit: when it is over, the signal of the attempt is aborted and
 * the caller gets a {@linkcode TimeoutError}, whether the function obeys or not.
 *
 * A timer that fires late shows that the whole process stood still, and an answer may be there already, unread. Then the
 * work gets one more turn of the event loop before it is judged.
 *
 * A pending run keeps the process alive.
 *
 * @param limit Milliseconds.
 * @param options Whether to wait for work that does not obey, and the clock.
 * @returns The policy.
 * @throws {RangeError} When the limit is not above 0.
 *
 * @example
 * ```ts
 * import { timeout, TimeoutError } from "@holdfast/net/recover";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * assertEquals(await timeout(5000).execute(() => "in time"), "in time");
 * await assertRejects(() => timeout(1).execute(() => new Promise(() => {})), TimeoutError);
 * ```
 */
export function timeout(limit: number, options: TimeoutOptions = {}): TimeoutPolicy {
  const { mode = "aggressive", clock = systemClock } = options;
  checkNumber("make a timeout", "limit", limit, { above: true });
  checkWord("make a timeout", "mode", mode, ["aggressive", "cooperative"]);
  const listeners = new Listeners<TimeoutEvent>();
  const rules: Rules = {
    limit,
    waits: mode === "cooperative",
    clock,
    expired: () => listeners.tell(() => ({ type: "timeout", at: clock.now(), limit })),
  };
  return {
    execute: (work, options) => run(rules, work, options),
    on: (type, handler) => listeners.on(type, handler),
  };
}

/** A timer this much too late, in milliseconds, shows that the event loop stood still. */
const LATE = 20;

interface Rules {
  readonly limit: number;
  readonly waits: boolean;
  readonly clock: Clock;
  readonly expired: () => void;
}

function run<T>(
  { limit, waits, clock, expired }: Rules,
  work: (attempt: Attempt) => T | PromiseLike<T>,
  { signal: caller, attempt = 0 }: ExecuteOptions = {},
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  if (caller?.aborted) {
    reject(caller.reason);
    return promise;
  }
  const own = new AbortController();
  const due = clock.monotonic() + limit;
  let judgement: TimeoutError | undefined;
  const settled = (): void => {
    timer.cancel();
    caller?.removeEventListener("abort", cancelled);
  };
  const stop = (reason: unknown): void => {
    settled();
    // Before the work is told, which may throw something else at once.
    if (!waits) reject(reason);
    own.abort(reason);
  };
  const cancelled = (): void => stop(caller?.reason);
  const judge = (): void => {
    expired();
    stop(judgement = new TimeoutError(limit));
  };
  let timer = clock.after(limit, () => {
    if (clock.monotonic() - due <= LATE) judge();
    else timer = clock.after(0, judge, { ref: true });
  }, { ref: true });
  caller?.addEventListener("abort", cancelled, { once: true });
  Promise.try(work, { signal: own.signal, attempt }).then((value) => {
    settled();
    resolve(value);
  }, (error) => {
    settled();
    reject(judgement && error !== judgement ? new TimeoutError(limit, error) : error);
  });
  return promise;
}

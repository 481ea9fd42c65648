/** A second attempt beside one that takes long: the first answer wins. */

import { type Clock, systemClock, type Timer } from "../internal/clock.ts";
import { logUncaught } from "../internal/log.ts";
import { checkNumber, shown } from "./_check.ts";
import { checkBudget, checkFunctions } from "./_check_shape.ts";
import { Listeners } from "./_listeners.ts";
import { Samples } from "./_samples.ts";
import type { RetryBudget } from "./budget.ts";
import { classify as defaultClassify } from "./classify.ts";
import type { Failure } from "./failure.ts";
import type { Attempt, ExecuteOptions, Policy } from "./policy.ts";

/** What {@linkcode hedge} takes. */
export interface HedgeOptions {
  /**
   * That the work may be done twice, which only the caller can know: nobody can take back what a slower attempt has
   * done already.
   */
  readonly idempotent: true;
  /**
   * How long an attempt may take before another one is started beside it: milliseconds, or what that part of the last
   * first attempts did not exceed, `"p95"` for 95 %.
   *
   * @default {"p95"}
   */
  readonly delay?: number | `p${number}`;
  /**
   * The delay in milliseconds as long as fewer than ten attempts are known to take a part of.
   *
   * @default {1000}
   */
  readonly initialDelay?: number;
  /**
   * How many extra attempts there may be.
   *
   * @default {1}
   */
  readonly maxHedges?: number;
  /**
   * What limits the extra attempts of all calls together. Share one object with `retry()`.
   *
   * @default {undefined} They are not limited.
   */
  readonly budget?: RetryBudget;
  /**
   * Whether each call is a deposit into the budget. Within a `retry()` that has the same budget it must not be, as that
   * makes the deposit.
   *
   * @default {undefined} It is, unless another policy is around it.
   */
  readonly deposit?: boolean;
  /**
   * Called with what an attempt gives that has lost and did not obey its signal, to close it for instance.
   *
   * @default {() => {}}
   */
  readonly discard?: (value: unknown) => void;
  /**
   * Knows failures by name: what can never succeed is not tried again.
   *
   * @default {classify}
   */
  readonly classify?: (error: unknown) => Failure;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** An extra attempt begins. */
export interface HedgeEvent {
  /** The tag. */
  readonly type: "hedge";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** Which extra attempt it is, from 1. */
  readonly hedge: number;
  /** Why: those before are slow, or the last of them has failed. */
  readonly reason: "slow" | "failed";
}

/** A policy that starts another attempt beside a slow one. */
export interface HedgePolicy extends Policy {
  /** The delay there would be now, in milliseconds. */
  readonly delay: number;
  /**
   * Calls a handler whenever an extra attempt begins.
   *
   * @param type The type of event.
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  on(type: "hedge", handler: (event: HedgeEvent) => void): Disposable;
}

/**
 * Makes a policy that starts another attempt beside one that takes long, or in place of one that has failed. The first
 * success wins, and the others are aborted.
 *
 * A call fails when all of its attempts have: with what the only one threw, or with an `AggregateError` of what all of
 * them threw. The attempts count on from the number that the call was given.
 *
 * @param options That the work is idempotent, when to start another attempt, and how many.
 * @returns The policy.
 * @throws {TypeError} When `idempotent` is not `true`.
 * @throws {RangeError} When a number is out of range.
 *
 * @example
 * ```ts
 * import { hedge } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * const policy = hedge({ idempotent: true, delay: 10 });
 * // The first attempt hangs, the second answers.
 * const answer = policy.execute(({ attempt }) => attempt === 0 ? new Promise(() => {}) : "second");
 * assertEquals(await answer, "second");
 * ```
 */
export function hedge(options: HedgeOptions): HedgePolicy {
  const { delay = "p95", initialDelay = 1000, maxHedges = 1, budget, clock = systemClock } = options;
  const { discard = () => {}, classify = defaultClassify, deposit } = options;
  if (options.idempotent !== true) {
    const got = shown(options.idempotent);
    throw new TypeError(`Cannot ${MAKE}: idempotent must be true, as work may be done twice, got ${got}`);
  }
  checkNumber(MAKE, "initialDelay", initialDelay);
  checkNumber(MAKE, "maxHedges", maxHedges, { from: 1, whole: true });
  checkFunctions(MAKE, { discard, classify });
  checkBudget(MAKE, budget);
  const listeners = new Listeners<HedgeEvent>();
  const pace = paceOf(delay, initialDelay);
  const rules: Rules = { pace, maxHedges, budget, deposit, discard, classify, clock, listeners };
  return {
    get delay() {
      return pace.delay;
    },
    execute: (work, options) => race(rules, work, options),
    on: (type, handler) => listeners.on(type, handler),
  };
}

const MAKE = "make a hedge";

/** How many durations are remembered, how many are needed, and after how many the delay is computed again. */
const REMEMBERED = 128;
const NEEDED = 10;
const REFRESH = 10;

interface Pace {
  readonly delay: number;
  /** Learns how long a first attempt has taken (so far, where it was not waited for). */
  learn(duration: number): void;
}

function paceOf(delay: number | `p${number}`, initialDelay: number): Pace {
  if (typeof delay === "number") {
    checkNumber(MAKE, "delay", delay);
    return { delay, learn: () => {} };
  }
  const part = /^p\d/.test(delay) ? Number(delay.slice(1)) / 100 : NaN;
  if (!(part > 0 && part < 1)) {
    const expected = `milliseconds or a part such as "p95"`;
    throw new RangeError(`Cannot ${MAKE}: delay must be ${expected}, got ${shown(delay)}`);
  }
  const samples = new Samples(REMEMBERED);
  let known = 0;
  const pace = {
    delay: initialDelay,
    learn(duration: number) {
      samples.add(duration);
      if (++known >= NEEDED && known % REFRESH === 0) pace.delay = samples.quantile(part);
    },
  };
  return pace;
}

interface Rules {
  readonly pace: Pace;
  readonly maxHedges: number;
  readonly budget: RetryBudget | undefined;
  readonly deposit: boolean | undefined;
  readonly discard: (value: unknown) => void;
  readonly classify: (error: unknown) => Failure;
  readonly clock: Clock;
  readonly listeners: Listeners<HedgeEvent>;
}

function race<T>(
  { pace, maxHedges, budget, deposit, discard, classify, clock, listeners }: Rules,
  work: (attempt: Attempt) => T | PromiseLike<T>,
  { signal: caller, attempt }: ExecuteOptions = {},
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  if (caller?.aborted) {
    reject(caller.reason);
    return promise;
  }
  if (deposit ?? attempt === undefined) budget?.deposit();
  const began = clock.monotonic();
  const running = new Set<AbortController>();
  const errors: unknown[] = [];
  let started = 0;
  let over = false;
  let timer: Timer | undefined;
  const finish = (reason?: unknown): void => {
    over = true;
    timer?.cancel();
    caller?.removeEventListener("abort", calledOff);
    for (const other of running) other.abort(reason);
  };
  const calledOff = (): void => {
    reject(caller?.reason);
    finish(caller?.reason);
  };
  const another = (reason: "slow" | "failed"): boolean => {
    if (started > maxHedges || budget?.withdraw() === false) return false;
    timer?.cancel();
    listeners.tell(() => ({ type: "hedge", at: clock.now(), hedge: started, reason }));
    // Whoever listens may have called it off.
    if (!over) start();
    return true;
  };
  const won = (own: AbortController, value: T): void => {
    running.delete(own);
    if (over) return discard(value);
    pace.learn(clock.monotonic() - began);
    resolve(value);
    finish();
  };
  const lost = (own: AbortController, error: unknown): void => {
    running.delete(own);
    if (over) return;
    errors.push(error);
    const { retry } = classify(error);
    if (retry !== "never" && another("failed")) return;
    if (running.size > 0) return;
    reject(errors.length === 1 ? error : new AggregateError(errors, allFailed(errors.length)));
    finish();
  };
  /** A function of the application threw, which must neither be lost nor hold up the call. */
  const broken = (error: unknown): void => {
    if (over) return logUncaught(undefined, `Uncaught error in the option "discard" of a hedge`, error);
    reject(error);
    finish(error);
  };
  const start = (): void => {
    const own = new AbortController();
    running.add(own);
    const call = { signal: own.signal, attempt: (attempt ?? 0) + started++ };
    Promise.try(work, call).then((value) => won(own, value), (error) => lost(own, error)).catch(broken);
    if (!over && started <= maxHedges) {
      timer = clock.after(pace.delay, () => void another("slow"), { ref: true });
    }
  };
  caller?.addEventListener("abort", calledOff, { once: true });
  start();
  return promise;
}

function allFailed(count: number): string {
  return `Cannot succeed by hedging: all ${count} attempts have failed`;
}

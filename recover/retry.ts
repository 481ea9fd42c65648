/** Tries again when that makes sense: not while there is no network, and at once when it is back. */

import { type Clock, systemClock } from "../internal/clock.ts";
import type { EventOf } from "../internal/events.ts";
import type { Logger } from "../internal/log.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { checkNumber } from "./_check.ts";
import { checkBackoff, checkBudget, checkFunctions, checkNetwork } from "./_check_shape.ts";
import { LONGEST_REQUEST } from "./_leave_alone.ts";
import { Listeners } from "./_listeners.ts";
import { Pacer } from "./_pacer.ts";
import { type RetryRules, RetryRun } from "./_retry_run.ts";
import { type Backoff, exponential } from "./backoff.ts";
import type { RetryBudget } from "./budget.ts";
import { classify as knownFailure, type ClassifyContext } from "./classify.ts";
import type { Failure, FailureOperation } from "./failure.ts";
import type { Attempt, ExecuteOptions, Policy } from "./policy.ts";
import type { RetryEvent } from "./retry_event.ts";

/** What {@linkcode retry} takes. */
export interface RetryOptions {
  /**
   * How many attempts there may be, the first one included; `Infinity` is fine. Those that failed while there was no
   * network do not count, given `network`.
   *
   * @default {5}
   */
  readonly maxAttempts?: number;
  /**
   * How long to wait between attempts.
   *
   * @default {exponential()}
   */
  readonly backoff?: Backoff;
  /**
   * How long after the beginning the last attempt may start, in milliseconds; the time runs also while there is no network.
   * A running attempt is not cut off: that is what `timeout()` is for. Without `network`, a wait that would last longer is
   * not begun.
   *
   * @default {Infinity}
   */
  readonly deadline?: number;
  /**
   * Limits the extra attempts of all who share it. Attempts are free that follow one that failed for want of a network:
   * nobody was bothered by it.
   *
   * @default {undefined} No limit.
   */
  readonly budget?: RetryBudget | undefined;
  /**
   * The network: a watcher, or `browserNetwork()`. Without a default route it counts as offline, so leave it out for what
   * needs none: a server on this machine, or in a network without a router.
   *
   * @default {undefined} Nothing is known of the network; what only a change of it can help is tried again like anything
   * else.
   */
  readonly network?: NetworkView | undefined;
  /**
   * Says what a thrown value is.
   *
   * @default {classify}
   */
  readonly classify?: (error: unknown, context: ClassifyContext) => Failure;
  /**
   * What the function does; helps to tell what failed.
   *
   * @default {undefined}
   */
  readonly operation?: FailureOperation | undefined;
  /**
   * Whether what is sent may arrive twice. If not, a failure after which it may have arrived is the end.
   *
   * @default {false}
   */
  readonly idempotent?: boolean;
  /**
   * Decides whether a failure is worth another attempt, instead of the failure's own `retry`. It does not allow to send
   * twice what is not `idempotent`.
   *
   * @default {undefined}
   */
  readonly retryIf?: ((failure: Failure) => boolean) | undefined;
  /**
   * Waits until the network is ready for use: asked when it came back, and after failures that only a change can help. What
   * it throws is not the end: the attempt is made all the same.
   *
   * @default {undefined} The network counts as ready as soon as it is there.
   */
  readonly ready?: ((signal: AbortSignal) => Promise<void>) | undefined;
  /**
   * How long readiness is waited for, in milliseconds.
   *
   * @default {3000}
   */
  readonly gateLimit?: number;
  /**
   * Over how many milliseconds the attempts are spread that the network's return causes.
   *
   * @default {200}
   */
  readonly wakeSpread?: number;
  /**
   * How long to believe that there is no network before trying all the same, in milliseconds.
   *
   * @default {30_000}
   */
  readonly safetyPoll?: number;
  /**
   * The longest time for which the other end may ask to be left alone, in milliseconds.
   *
   * @default {300_000}
   */
  readonly maxRetryAfter?: number;
  /**
   * Where chance comes from, 0 to 1.
   *
   * @default {Math.random}
   */
  readonly random?: () => number;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
  /**
   * Where it is said that the network was not ready in time.
   *
   * @default {undefined} The process-wide logger.
   */
  readonly logger?: Logger | undefined;
}

/** A policy that tries again. */
export interface RetryPolicy extends Policy {
  /**
   * Calls a handler for each event of one type. One that throws harms nobody else and is reported.
   *
   * @param type The type.
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  on<T extends RetryEvent["type"]>(type: T, handler: (event: EventOf<RetryEvent, T>) => void): Disposable;
  /** Ends all waiting: whoever waits makes the next attempt now, also without a network. */
  wake(): void;
}

/**
 * Makes a policy that runs a function again when it failed and another attempt makes sense.
 *
 * Whether and when it does, the {@linkcode Failure} says. One that cannot succeed (`retry: "never"`), and one after which
 * what was sent may have arrived already, is thrown as it is; see `idempotent`. When attempts, time or budget are used up,
 * a {@linkcode RetryError} is thrown; only a first and only attempt's error is thrown as it is.
 *
 * Given `network`, no attempt is made while there is none, but for one every 30 seconds, as events can be missed. When it
 * is back, whoever waits makes an attempt within 200 milliseconds, in the middle of a back-off, too; under flapping at most
 * every two seconds, and less and less. Only where the other end asked to be left alone, that time is waited out.
 *
 * @param options How often, how long, and what to know.
 * @returns The policy; any number of runs may share it.
 * @throws {TypeError} When an option is not what it should be.
 * @throws {RangeError} When a number makes no sense.
 *
 * @example
 * ```ts
 * import { constant, retry } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * const policy = retry({ maxAttempts: 3, backoff: constant(10) });
 * const result = await policy.execute(({ attempt }) => {
 *   if (attempt < 2) throw new Deno.errors.ConnectionRefused("nobody listens yet");
 *   return `attempt ${attempt}`;
 * });
 * assertEquals(result, "attempt 2");
 * ```
 */
export function retry(options: RetryOptions = {}): RetryPolicy {
  return new Retry(rulesOf(options));
}

class Retry implements RetryPolicy {
  readonly #rules: RetryRules;

  constructor(rules: RetryRules) {
    this.#rules = rules;
  }

  async execute<T>(
    work: (attempt: Attempt) => T | PromiseLike<T>,
    { signal = new AbortController().signal }: ExecuteOptions = {},
  ): Promise<T> {
    signal.throwIfAborted();
    const { pacer, budget, listeners, clock } = this.#rules;
    const begun = clock.monotonic();
    if (!pacer.online) return await new RetryRun(this.#rules, work, signal, begun).begin();
    const mark = pacer.mark();
    budget?.deposit();
    listeners.tell(() => ({ type: "attempt", at: clock.now(), attempt: 0 }));
    // What follows is the whole price of a success.
    try {
      return await work({ signal, attempt: 0 });
    } catch (error) {
      return await new RetryRun(this.#rules, work, signal, begun).recover(error, mark);
    }
  }

  on<T extends RetryEvent["type"]>(type: T, handler: (event: EventOf<RetryEvent, T>) => void): Disposable {
    return this.#rules.listeners.on(type, handler);
  }

  wake(): void {
    this.#rules.pacer.wake();
  }
}

const MAKE = "make a retry";

function rulesOf(options: RetryOptions): RetryRules {
  const { maxAttempts = 5, deadline = Infinity, maxRetryAfter = LONGEST_REQUEST, wakeSpread = 200 } = options;
  const { gateLimit = 3000, safetyPoll = 30_000, random = Math.random, clock = systemClock } = options;
  const check = (name: string, value: number, range = {}): void => void checkNumber(MAKE, name, value, range);
  if (maxAttempts !== Infinity) check("maxAttempts", maxAttempts, { from: 1, whole: true });
  if (deadline !== Infinity) check("deadline", deadline);
  for (const [name, value] of Object.entries({ maxRetryAfter, wakeSpread, gateLimit })) check(name, value);
  check("safetyPoll", safetyPoll, { above: true });
  const { network, ready, logger, operation, budget, retryIf, classify = knownFailure } = options;
  checkFunctions(MAKE, { ready, retryIf, classify, random });
  checkNetwork(MAKE, network);
  checkBudget(MAKE, budget);
  checkBackoff(MAKE, "backoff", options.backoff);
  return {
    maxAttempts,
    deadline,
    maxRetryAfter,
    wakeSpread,
    random,
    clock,
    network,
    operation,
    budget,
    retryIf,
    gated: ready !== undefined,
    backoff: options.backoff ?? exponential(),
    classify,
    idempotent: options.idempotent ?? false,
    pacer: new Pacer({ network, ready, gateLimit, wakeSpread, safetyPoll, random, clock, logger }),
    listeners: new Listeners(),
  };
}

/** One run of a function under a retry, from its first failure on (or from the beginning, where there is no network). */

import type { Clock } from "../internal/clock.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { BackoffCounter } from "./_backoff_counter.ts";
import { isRequest } from "./_leave_alone.ts";
import type { Listeners } from "./_listeners.ts";
import { mostSent } from "./_most_sent.ts";
import type { PaceMark, Pacer, PauseOptions } from "./_pacer.ts";
import type { Backoff } from "./backoff.ts";
import type { RetryBudget } from "./budget.ts";
import type { ClassifyContext } from "./classify.ts";
import type { Failure, FailureOperation } from "./failure.ts";
import type { Attempt } from "./policy.ts";
import { RetryError, type RetryErrorOptions } from "./retry_error.ts";
import type { RetryEvent, RetryFailureEvent, RetryGiveUpEvent } from "./retry_event.ts";

/** The options of a retry, complete, and what its runs share. */
export interface RetryRules {
  readonly maxAttempts: number;
  readonly deadline: number;
  readonly maxRetryAfter: number;
  readonly wakeSpread: number;
  readonly random: () => number;
  readonly clock: Clock;
  readonly network: NetworkView | undefined;
  readonly operation: FailureOperation | undefined;
  readonly budget: RetryBudget | undefined;
  readonly retryIf: ((failure: Failure) => boolean) | undefined;
  /** Whether there is a gate. */
  readonly gated: boolean;
  readonly backoff: Backoff;
  readonly classify: (error: unknown, context: ClassifyContext) => Failure;
  readonly idempotent: boolean;
  readonly pacer: Pacer;
  readonly listeners: Listeners<RetryEvent>;
}

/** How many of the errors are kept. */
const KEPT_ERRORS = 10;

/** How to go on after a failure. */
interface Plan {
  readonly next: Exclude<RetryFailureEvent["next"], "give-up">;
  readonly delay: number;
}

/** One run. */
export class RetryRun<T> {
  readonly #rules: RetryRules;
  readonly #work: (attempt: Attempt) => T | PromiseLike<T>;
  readonly #signal: AbortSignal;
  /** On the monotonic clock. */
  readonly #deadline: number;
  /** When the current attempt began, or the run, on the monotonic clock. */
  #begun: number;
  readonly #counter: BackoffCounter;
  readonly #errors: unknown[] = [];
  /** How many attempts have begun and ended, and how many of them count. */
  #attempts = 0;
  #counted = 0;
  /** The last failure; its `sent` is that of all attempts together. */
  #failure: Failure | null = null;
  /** Whether an attempt was made without any wait already. */
  #hurried = false;

  /** Prepares a run that began at some moment of the monotonic clock. */
  constructor(
    rules: RetryRules,
    work: (attempt: Attempt) => T | PromiseLike<T>,
    signal: AbortSignal,
    begun: number,
  ) {
    this.#rules = rules;
    this.#work = work;
    this.#signal = signal;
    this.#deadline = begun + rules.deadline;
    this.#begun = begun;
    this.#counter = new BackoffCounter(rules.backoff, rules.network, rules.random);
  }

  /** Waits for the network before the first attempt. */
  async begin(): Promise<T> {
    await this.#pause({ delay: 0 });
    return await this.#go();
  }

  /** Goes on after the first attempt has failed. */
  async recover(error: unknown, mark: PaceMark): Promise<T> {
    await this.#failed(error, mark);
    return await this.#go();
  }

  async #go(): Promise<T> {
    const { pacer, budget, clock } = this.#rules;
    for (;;) {
      const attempt = this.#attempts;
      this.#begun = clock.monotonic();
      const mark = pacer.mark();
      this.#counter.begin();
      if (attempt === 0) budget?.deposit();
      this.#tell((at) => ({ type: "attempt", at, attempt }));
      try {
        const value = await this.#work({ signal: this.#signal, attempt });
        if (attempt > 0) this.#tell((at) => ({ type: "success", at, attempt }));
        return value;
      } catch (error) {
        await this.#failed(error, mark);
      }
    }
  }

  /** Waits until the next attempt may begin, or throws. */
  async #failed(error: unknown, mark: PaceMark): Promise<void> {
    this.#signal.throwIfAborted();
    const failure = this.#classify(error);
    const attempt = this.#attempts++;
    const { network, pacer, gated } = this.#rules;
    const offline = network !== undefined && !(mark.state?.online && pacer.online);
    const counted = !(offline && failure.kind === "offline");
    if (counted) this.#counted++;
    this.#failure = { ...failure, sent: mostSent([failure.sent, this.#failure?.sent ?? "no"]) };
    this.#errors.push(error);
    if (this.#errors.length > KEPT_ERRORS) this.#errors.shift();
    this.#counter.failed(failure.kind);

    const told = { type: "failure", attempt, failure, counted } as const;
    const plan = this.#plan(failure, mark);
    const end = this.#endOf(failure, plan, counted);
    if (end) {
      this.#tell((at) => ({ ...told, at, next: "give-up", delay: null }));
      this.#giveUp(end);
    }
    const { next, delay } = plan;
    this.#tell((at) => ({ ...told, at, next, delay: next === "change" ? null : delay }));
    const gate = gated && failure.retry === "after-change";
    await this.#pause({ delay, gate, whole: isRequest(failure), since: mark });
  }

  #classify(error: unknown): Failure {
    const { classify, operation, network, clock } = this.#rules;
    return classify(error, { operation, network: network?.state, elapsed: clock.monotonic() - this.#begun });
  }

  #plan({ retry, retryAfter }: Failure, mark: PaceMark): Plan {
    const { maxRetryAfter, wakeSpread, random, network, gated, pacer } = this.#rules;
    if (retryAfter !== null) {
      const asked = Math.min(retryAfter, maxRetryAfter);
      // Never earlier than asked, and not all at once who were asked the same.
      const delay = asked + random() * Math.max(wakeSpread, asked / 10);
      return { next: "retry-after", delay: Math.max(delay, this.#counter.next()) };
    }
    if (retry === "now" && !this.#hurried) {
      this.#hurried = true;
      return { next: "now", delay: 0 };
    }
    // Something may have happened unseen while the attempt was under way; then the next event may be long in coming.
    if (retry === "after-change" && network && !gated && !pacer.stirred(mark)) {
      return { next: "change", delay: Infinity };
    }
    return { next: "back-off", delay: this.#counter.next() };
  }

  /** Why there is no other attempt, if there is none. */
  #endOf(failure: Failure, { delay }: Plan, counted: boolean): RetryGiveUpEvent["reason"] | undefined {
    const { retryIf, idempotent, maxAttempts, budget, network, clock } = this.#rules;
    if (!(retryIf ? retryIf(failure) : failure.retry !== "never")) return "never";
    if (failure.sent !== "no" && !idempotent) return "sent";
    if (counted && this.#counted >= maxAttempts) return "retries-exhausted";
    // Without a network nothing can cut the wait short, so there is no point in beginning it.
    if (this.#deadline - clock.monotonic() <= (network ? 0 : delay)) return "deadline";
    if (counted && budget && !budget.withdraw()) return "budget";
    return undefined;
  }

  #giveUp(reason: RetryGiveUpEvent["reason"]): never {
    const failure = this.#failure;
    const attempts = this.#attempts;
    this.#tell((at) => ({ type: "giveup", at, reason, failure, attempts }));
    const alone = reason === "retries-exhausted" && attempts === 1;
    if (failure && (reason === "never" || reason === "sent" || alone)) throw failure.error;
    const { operation, deadline } = this.#rules;
    const code = reason as RetryErrorOptions["code"];
    throw new RetryError({ code, operation, deadline, failure, attempts, errors: this.#errors });
  }

  async #pause(options: PauseOptions): Promise<void> {
    const { pacer } = this.#rules;
    let entered = false;
    const end = await pacer.pause({
      ...options,
      signal: this.#signal,
      deadline: this.#deadline,
      enter: (state) => {
        if (state.type === "backing-off") return;
        entered = true;
        this.#tell((at) => ({ ...state, at }));
      },
    });
    if (end === "deadline") {
      this.#giveUp("deadline");
    }
    if (entered) this.#tell((at) => ({ type: "resumed", at, reason: end }));
    if (end === "network" && !pacer.flapping) this.#counter.resume();
  }

  #tell(make: (at: number) => RetryEvent): void {
    const { listeners, clock } = this.#rules;
    listeners.tell(() => make(clock.now()));
  }
}

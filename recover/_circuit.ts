/** One circuit of a breaker: closed, open or half-open. Time is told, nothing waits. */

import { LONGEST_REQUEST } from "./_leave_alone.ts";
import type { Tally } from "./_tally.ts";
import { type Backoff, delayOf } from "./backoff.ts";
import type { Failure } from "./failure.ts";

/** How a circuit behaves. */
export interface CircuitRules {
  /** Counts while it is closed. */
  readonly tally: () => Tally;
  /** How long it stays open. */
  readonly coolDown: Backoff;
  /** How many trials have to succeed. */
  readonly halfOpen: number;
  /** Source of chance. */
  readonly random: () => number;
}

/** What a circuit remembers of why, and how often in a row, it has opened. */
interface Opening {
  readonly failure: Failure;
  readonly round: number;
  readonly coolDown: number;
  /** The end of the cool-down, or when trials that have not ended are given up. */
  readonly until: number;
}

/** What a circuit does, replaced as a whole. */
export type CircuitState =
  | { readonly type: "closed"; readonly tally: Tally }
  | { readonly type: "open" } & Opening
  | { readonly type: "half-open"; readonly trial: Pass; readonly running: number; readonly succeeded: number }
    & Opening;

/** What a call is let in with; those of one half-open time have the same. */
export type Pass = object;

/** What may happen to a circuit. */
export type CircuitChange = "open" | "halfopen" | "close" | null;

/** The pass while it is closed. */
export const CLOSED: Pass = {};

/** The state machine; all times in milliseconds of one clock. */
export class Circuit {
  readonly #rules: CircuitRules;
  #state: CircuitState;

  constructor(rules: CircuitRules) {
    this.#rules = rules;
    this.#state = { type: "closed", tally: rules.tally() };
  }

  get state(): CircuitState {
    return this.#state;
  }

  /** Whether it knows nothing that a new one would not know. */
  get empty(): boolean {
    return this.#state.type === "closed" && this.#state.tally.empty;
  }

  /** Lets a call in, or not; `change` is what that did to the circuit. */
  enter(now: number): { readonly pass: Pass | null; readonly change: CircuitChange } {
    const state = this.#state;
    if (state.type === "closed") return { pass: CLOSED, change: null };
    if (state.type === "half-open" && state.running + state.succeeded < this.#rules.halfOpen) {
      this.#state = { ...state, running: state.running + 1 };
      return { pass: state.trial, change: null };
    }
    if (now < state.until) return { pass: null, change: null };
    // Trials that have not come back for a whole cool-down are given up, or nobody would ever be let in again.
    const trial = {};
    const { failure, round, coolDown } = state;
    const until = now + coolDown;
    this.#state = { type: "half-open", trial, running: 1, succeeded: 0, failure, round, coolDown, until };
    return { pass: trial, change: state.type === "open" ? "halfopen" : null };
  }

  /** A call has succeeded. */
  succeeded(pass: Pass, now: number): CircuitChange {
    const state = this.#state;
    if (state.type === "closed" && pass === CLOSED) state.tally.succeeded(now);
    if (state.type !== "half-open" || state.trial !== pass) return null;
    const succeeded = state.succeeded + 1;
    if (succeeded < this.#rules.halfOpen) {
      this.#state = { ...state, succeeded, running: state.running - 1 };
      return null;
    }
    this.#state = { type: "closed", tally: this.#rules.tally() };
    return "close";
  }

  /** A call has failed, and that counts. */
  failed(pass: Pass, now: number, failure: Failure): CircuitChange {
    const state = this.#state;
    if (state.type === "closed" && pass === CLOSED && state.tally.failed(now)) {
      return this.#open(now, failure, 0, 0);
    }
    if (state.type === "half-open" && state.trial === pass) {
      return this.#open(now, failure, state.round + 1, state.coolDown);
    }
    return null;
  }

  /** A call has ended in a way that tells nothing. */
  left(pass: Pass): void {
    const state = this.#state;
    if (state.type !== "half-open" || state.trial !== pass) return;
    this.#state = { ...state, running: state.running - 1 };
  }

  #open(now: number, failure: Failure, round: number, previous: number): CircuitChange {
    const delay = delayOf(this.#rules.coolDown, round, previous, this.#rules.random);
    const coolDown = Math.max(delay, Math.min(failure.retryAfter ?? 0, LONGEST_REQUEST));
    this.#state = { type: "open", failure, round, coolDown, until: now + coolDown };
    return "open";
  }
}

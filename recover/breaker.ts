/** A circuit breaker for each network: who keeps failing is left alone for a while. */

import type { Clock } from "../internal/clock.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { type BreakerRules, breakerRules } from "./_breaker_rules.ts";
import { Circuit, type CircuitChange, CLOSED, type Pass } from "./_circuit.ts";
import { Listeners } from "./_listeners.ts";
import type { Backoff } from "./backoff.ts";
import type { BreakerEvent, BreakerState } from "./breaker_event.ts";
import { BreakerOpenError } from "./breaker_open_error.ts";
import type { Failure } from "./failure.ts";
import { networkKey } from "./network_key.ts";
import type { Attempt, ExecuteOptions, Policy } from "./policy.ts";

/** What {@linkcode breaker} takes. */
export interface BreakerOptions {
  /**
   * How many failures in a row open it.
   *
   * @default {5}
   */
  readonly consecutive?: number;
  /**
   * Which part of all calls within `window` has to fail to open it, above 0 to 1. In place of `consecutive`.
   *
   * @default {undefined}
   */
  readonly ratio?: number;
  /**
   * How many calls there must have been within `window` before `ratio` is judged.
   *
   * @default {20}
   */
  readonly samples?: number;
  /**
   * How far back calls are counted for `ratio`, in milliseconds.
   *
   * @default {10_000}
   */
  readonly window?: number;
  /**
   * How long it stays open: milliseconds, or a back-off that tells the time for each opening in a row. What the other end
   * asks for counts where it is longer, up to five minutes.
   *
   * @default {exponential({ initial: 5000, max: 60_000, jitter: "equal" })}
   */
  readonly coolDown?: number | Backoff;
  /**
   * How many trials there are after that, and have to succeed, before it closes. Others are turned away meanwhile.
   *
   * @default {1}
   */
  readonly halfOpen?: number;
  /**
   * The network. With it there is one breaker for each network, and failures while it is offline (without a
   * default route) do not count.
   *
   * @default {undefined}
   */
  readonly network?: NetworkView;
  /**
   * Names what a call depends on, such as its host; there is one breaker for each name.
   *
   * @default {undefined} One for all calls.
   */
  readonly key?: (attempt: Attempt) => string;
  /**
   * How many breakers are remembered, networks times keys; the one not used for longest is forgotten first.
   *
   * @default {32} 1024 with `key`.
   */
  readonly remember?: number;
  /**
   * Decides whether a failure counts.
   *
   * @default {({ where }) => where === "remote" || where === "path"}
   */
  readonly counts?: (failure: Failure) => boolean;
  /**
   * Knows failures by name.
   *
   * @default {classify}
   */
  readonly classify?: (error: unknown) => Failure;
  /**
   * Source of chance for the back-off, from 0 to 1.
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
}

/** A policy that leaves alone who keeps failing. */
export interface Breaker extends Policy {
  /** What it does with calls of the network there is now. */
  readonly state: BreakerState;
  /**
   * Tells the state for one of the names that the option `key` gives.
   *
   * @param key The name.
   * @returns What it does with calls of that name, in the network there is now.
   */
  stateOf(key: string): BreakerState;
  /** Turns all calls away until {@linkcode Breaker.reset} is called. */
  isolate(): void;
  /** Forgets all it has learnt: calls go through again. */
  reset(): void;
  /**
   * Calls a handler whenever it opens, lets trials through, or closes.
   *
   * @param type The type of event.
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  on<T extends BreakerEvent["type"]>(
    type: T,
    handler: (event: BreakerEvent & { readonly type: T }) => void,
  ): Disposable;
}

/**
 * Makes a circuit breaker: after too many failures calls are turned away with a {@linkcode BreakerOpenError}, without a
 * try, until a while has passed and a trial succeeds.
 *
 * Only failures of the other end or of the way to it count: not what the caller called off, nor what this machine or the
 * call itself is to blame for. Given `network`, each network has a breaker of its own. One that opened in the old network
 * does not punish the new one, and is still open when the old one returns within its time.
 *
 * @param options When it opens, for how long, and what it depends on.
 * @returns The policy.
 * @throws {TypeError} When `consecutive` and `ratio` are both given.
 * @throws {RangeError} When a number is out of range.
 *
 * @example
 * ```ts
 * import { breaker, BreakerOpenError } from "@holdfast/net/recover";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const policy = breaker({ consecutive: 2, coolDown: 10_000 });
 * for (let i = 0; i < 2; i++) {
 *   const refused = () => Promise.reject(new Deno.errors.ConnectionRefused("refused"));
 *   await assertRejects(() => policy.execute(refused), Deno.errors.ConnectionRefused);
 * }
 * await assertRejects(() => policy.execute(() => "not even tried"), BreakerOpenError);
 * assertEquals(policy.state.type, "open");
 * ```
 */
export function breaker(options: BreakerOptions = {}): Breaker {
  return new KeyedBreaker(breakerRules(options));
}

interface Place {
  readonly id: string;
  readonly key: string;
  readonly network: string;
}

class KeyedBreaker implements Breaker {
  readonly #rules: BreakerRules;
  readonly #listeners = new Listeners<BreakerEvent>();
  /** Those that know something, the one not used for longest first. */
  readonly #circuits = new Map<string, Circuit>();
  #isolated = false;

  constructor(rules: BreakerRules) {
    this.#rules = rules;
  }

  get state(): BreakerState {
    return this.stateOf("");
  }

  stateOf(key: string): BreakerState {
    if (this.#isolated) return { type: "isolated" };
    const state = this.#circuits.get(this.#place(key).id)?.state;
    if (state === undefined || state.type === "closed") return { type: "closed" };
    const { type, failure, until } = state;
    if (type === "half-open") return { type, failure };
    return { type, failure, retryAfter: Math.max(0, until - this.#rules.clock.monotonic()) };
  }

  isolate(): void {
    this.#isolated = true;
  }

  reset(): void {
    this.#isolated = false;
    this.#circuits.clear();
  }

  on<T extends BreakerEvent["type"]>(
    type: T,
    handler: (event: BreakerEvent & { readonly type: T }) => void,
  ): Disposable {
    return this.#listeners.on(type, handler as (event: BreakerEvent) => void);
  }

  async execute<T>(
    work: (attempt: Attempt) => T | PromiseLike<T>,
    options: ExecuteOptions = {},
  ): Promise<T> {
    const { signal = new AbortController().signal, attempt = 0 } = options;
    signal.throwIfAborted();
    const call = { signal, attempt };
    // Named now: what fails in one network is not the next one's fault.
    const place = this.#place(this.#rules.key?.(call) ?? "");
    const pass = this.#enter(place);
    let value: T;
    try {
      value = await work(call);
    } catch (error) {
      this.#failed(place, pass, error, signal);
      throw error;
    }
    this.#succeeded(place, pass);
    return value;
  }

  #place(key: string): Place {
    const network = networkKey(this.#rules.network);
    return { id: `${network}\n${key}`, key, network };
  }

  #enter(place: Place): Pass {
    if (this.#isolated) throw new BreakerOpenError(Infinity);
    if (!this.#circuits.has(place.id)) return CLOSED;
    const circuit = this.#circuit(place);
    const now = this.#rules.clock.monotonic();
    const { pass, change } = circuit.enter(now);
    this.#tell(place, circuit, change);
    const { state } = circuit;
    if (pass !== null || state.type === "closed") return pass ?? CLOSED;
    throw new BreakerOpenError(state.until - now, state.failure);
  }

  #succeeded(place: Place, pass: Pass): void {
    const circuit = this.#rules.remembersSuccess ? this.#circuit(place) : this.#circuits.get(place.id);
    if (circuit === undefined) return;
    this.#tell(place, circuit, circuit.succeeded(pass, this.#rules.clock.monotonic()));
    if (circuit.empty) this.#circuits.delete(place.id);
  }

  #failed(place: Place, pass: Pass, error: unknown, signal: AbortSignal): void {
    const { network, classify, counts, clock } = this.#rules;
    const failure = classify(error);
    const calledOff = failure.kind === "cancelled" ||
      signal.aborted && error === signal.reason && failure.kind !== "timeout";
    if (calledOff || network?.state.online === false || !counts(failure)) {
      this.#circuits.get(place.id)?.left(pass);
      return;
    }
    const circuit = this.#circuit(place);
    this.#tell(place, circuit, circuit.failed(pass, clock.monotonic(), failure));
  }

  /** The circuit of a place, used just now; makes room for it. */
  #circuit({ id }: Place): Circuit {
    const circuit = this.#circuits.get(id) ?? new Circuit(this.#rules);
    this.#circuits.delete(id);
    this.#circuits.set(id, circuit);
    if (this.#circuits.size > this.#rules.remember) {
      const [oldest = id] = this.#circuits.keys();
      this.#circuits.delete(oldest);
    }
    return circuit;
  }

  #tell({ key, network }: Place, { state }: Circuit, change: CircuitChange): void {
    if (change === null) return;
    this.#listeners.tell(() => {
      const at = this.#rules.clock.now();
      if (change !== "open" || state.type !== "open") {
        return { type: change === "close" ? "close" : "halfopen", at, key, network };
      }
      return { type: "open", at, key, network, retryAfter: state.coolDown, failure: state.failure };
    });
  }
}

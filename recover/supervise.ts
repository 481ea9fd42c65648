/** Keeps a long-lived task running. */

import { type Clock, systemClock } from "../internal/clock.ts";
import { Broadcast, type EventOf } from "../internal/events.ts";
import { type Logger, loggerOr } from "../internal/log.ts";
import type { NetworkView, NetworkViewState } from "../internal/network_view.ts";
import { BackoffCounter } from "./_backoff_counter.ts";
import { checkFunction, checkNumber, checkWord } from "./_check.ts";
import { checkBackoff, checkFunctions, checkNetwork, checkPolicy } from "./_check_shape.ts";
import { isRequest, LONGEST_REQUEST } from "./_leave_alone.ts";
import { type PaceEnd, Pacer, type PaceState, type PauseOptions } from "./_pacer.ts";
import { type Backoff, exponential } from "./backoff.ts";
import { classify as defaultClassify } from "./classify.ts";
import type { Failure } from "./failure.ts";
import { type Attempt, compose, type Policy } from "./policy.ts";
import type {
  SupervisedEvent,
  SupervisedFailed,
  SupervisedRun,
  SupervisedStatus,
  SupervisedStopped,
  SupervisedWaiting,
} from "./supervised_event.ts";

/** What {@linkcode supervise} takes. */
export interface SuperviseOptions {
  /**
   * How long to wait between the end of the task and its next start.
   *
   * @default {exponential({ initial: 250, max: 15_000 })}
   */
  readonly backoff?: Backoff;
  /**
   * How long the task must have run for the back-off to begin anew, in milliseconds.
   *
   * @default {30_000}
   */
  readonly stableAfter?: number;
  /**
   * Whether the task is started again also after it has ended without an error.
   *
   * @default {"on-failure"}
   */
  readonly restart?: "always" | "on-failure";
  /**
   * How many times it may be started again within `within`; one more is the end. A back-off alone never ends.
   *
   * @default {30}
   */
  readonly maxRestarts?: number;
  /**
   * How far back restarts are counted, in milliseconds.
   *
   * @default {60_000}
   */
  readonly within?: number;
  /**
   * Decides whether the task is started again after a failure.
   *
   * @default {({ retry }) => retry !== "never"}
   */
  readonly retryIf?: (failure: Failure) => boolean;
  /**
   * A policy for each run, such as a breaker.
   *
   * @default {compose()}
   */
  readonly policy?: Policy;
  /**
   * The network. With it the task is not started while there is no default route, and at once when it is back.
   *
   * @default {undefined}
   */
  readonly network?: NetworkView;
  /**
   * Waits until the network is ready for use, when it came back.
   *
   * @default {undefined}
   */
  readonly ready?: (signal: AbortSignal) => Promise<void>;
  /** Stops it, as `stop()` does. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Knows failures by name.
   *
   * @default {classify}
   */
  readonly classify?: (error: unknown, context: { readonly network?: NetworkViewState }) => Failure;
  /**
   * Source of chance, from 0 to 1.
   *
   * @default {Math.random}
   */
  readonly random?: () => number;
  /**
   * Where failures and restarts are told.
   *
   * @default {undefined} The process-wide logger.
   */
  readonly logger?: Logger | undefined;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** A task that is kept running. Iterating over it gives every change of its status from then on. */
export interface Supervised extends AsyncIterable<SupervisedEvent>, AsyncDisposable {
  /** The name it was given. */
  readonly name: string;
  /** What it does now. */
  readonly status: SupervisedStatus;
  /** Resolves when it has stopped for good, whatever the reason; it never rejects. */
  readonly done: Promise<SupervisedStopped>;
  /** Ends the present wait, if there is one: the task starts now. */
  wake(): void;
  /**
   * Aborts the signal of the task, and starts it no more.
   *
   * @returns Resolves when the task has ended.
   */
  stop(): Promise<void>;
  /**
   * Calls a handler for each event of one type.
   *
   * @param type The type of event.
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  on<T extends SupervisedEvent["type"]>(
    type: T,
    handler: (event: EventOf<SupervisedEvent, T>) => void,
  ): Disposable;
}

/**
 * Keeps a long-lived task running: starts it, and starts it again when it fails, after a back-off that begins anew once the
 * task has run well for a while.
 *
 * It gives up when the task fails in a way that no other start can help, or too often within a short time. It never
 * throws: what became of the task is told by `status`, the events and `done`. The first start comes after the caller had
 * time to listen.
 *
 * @param name The task's name, for the log.
 * @param task The task; it has to end when its signal is aborted.
 * @param options When to start it again.
 * @returns The supervised task.
 * @throws {TypeError} When an option is not what it should be.
 * @throws {RangeError} When a number is out of range.
 *
 * @example
 * ```ts
 * import { constant, supervise } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * await using feed = supervise("feed", ({ attempt }) => {
 *   if (attempt === 0) throw new Deno.errors.ConnectionReset("reset");
 * }, { backoff: constant(1) });
 * const seen: string[] = [];
 * for await (const { type } of feed) seen.push(type);
 * assertEquals(seen, ["starting", "running", "failed", "waiting", "starting", "running", "stopped"]);
 * ```
 */
export function supervise(
  name: string,
  task: (attempt: Attempt) => unknown,
  options: SuperviseOptions = {},
): Supervised {
  const { stableAfter = 30_000, restart = "on-failure", maxRestarts = 30, within = 60_000 } = options;
  const { retryIf, ready, classify, random, network, backoff, policy = compose() } = options;
  const what = "supervise a task";
  checkFunction(what, "task", task);
  checkNumber(what, "stableAfter", stableAfter);
  checkWord(what, "restart", restart, ["always", "on-failure"]);
  if (maxRestarts !== Infinity) checkNumber(what, "maxRestarts", maxRestarts, { whole: true });
  checkNumber(what, "within", within, { above: true });
  checkFunctions(what, { retryIf, ready, classify, random });
  checkNetwork(what, network);
  checkBackoff(what, "backoff", backoff);
  checkPolicy(what, "policy", policy);
  return new Supervisor(name, task, { ...options, stableAfter, restart, maxRestarts, within, policy });
}

type Rules =
  & SuperviseOptions
  & Required<Pick<SuperviseOptions, "stableAfter" | "restart" | "maxRestarts" | "within" | "policy">>;

type Ended = Pick<SupervisedStopped, "reason" | "error">;

class Supervisor implements Supervised {
  readonly name: string;
  readonly done: Promise<SupervisedStopped>;
  readonly #task: (attempt: Attempt) => unknown;
  readonly #options: Rules;
  readonly #clock: Clock;
  readonly #pacer: Pacer;
  readonly #stop = new AbortController();
  readonly #events: Broadcast<SupervisedEvent>;
  /** When it was started again, on the monotonic clock; no older ones than count. */
  readonly #restarts: number[] = [];
  #status: SupervisedStatus;

  constructor(name: string, task: (attempt: Attempt) => unknown, options: Rules) {
    const { clock = systemClock, logger, signal } = options;
    this.name = name;
    this.#task = task;
    this.#options = options;
    this.#clock = clock;
    this.#pacer = new Pacer({ ...options, clock });
    this.#status = { type: "starting", at: clock.now(), attempt: 0 };
    this.#events = new Broadcast<SupervisedEvent>({
      clock,
      logger,
      resync: () => ({ type: "resync", at: clock.now(), status: this.#status }),
    });
    const stop = (): void => this.#stop.abort(signal?.reason);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
    // What an option of the application throws must end here, not in a rejection that nobody handles.
    const broken = (error: unknown): Ended => ({ reason: "hopeless", error });
    this.done = this.#run().catch(broken).then((ended) => {
      signal?.removeEventListener("abort", stop);
      const stopped = this.#tell<SupervisedStopped>({ type: "stopped", ...ended });
      this.#events.end();
      return stopped;
    });
  }

  get status(): SupervisedStatus {
    return this.#status;
  }

  wake(): void {
    this.#pacer.wake();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.done;
  }

  on<T extends SupervisedEvent["type"]>(
    type: T,
    handler: (event: EventOf<SupervisedEvent, T>) => void,
  ): Disposable {
    return this.#events.on(type, handler);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<SupervisedEvent, void, void> & AsyncDisposable {
    return this.#events[Symbol.asyncIterator]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Runs the task until there is a reason not to. */
  async #run(): Promise<Ended> {
    const { stableAfter, restart, network, backoff = exponential(), random = Math.random } = this.#options;
    const { signal } = this.#stop;
    const newCounter = (): BackoffCounter => new BackoffCounter(backoff, network, random);
    let counter = newCounter();
    // The caller comes first: he may want to listen.
    await Promise.resolve();
    if (!this.#pacer.online) await this.#pause(0, { delay: 0 });
    for (let attempt = 0; !signal.aborted; attempt++) {
      const mark = this.#pacer.mark();
      const began = this.#clock.monotonic();
      counter.begin();
      const ended = await this.#once(attempt);
      if (signal.aborted) break;
      if (ended === "well" && restart === "on-failure") return { reason: "finished", error: null };
      const failure = ended === "well" ? null : this.#failed(attempt, ended.thrown);
      const error = failure?.error ?? null;
      if (failure && !this.#mayHelp(failure)) return { reason: "hopeless", error };
      if (this.#tooOften()) return { reason: "too-often", error };
      if (this.#clock.monotonic() - began >= stableAfter) counter = newCounter();
      if (failure) counter.failed(failure.kind);
      const whole = failure !== null && isRequest(failure);
      const delay = Math.max(counter.next(), Math.min(failure?.retryAfter ?? 0, LONGEST_REQUEST));
      const gate = failure?.retry === "after-change";
      const end = await this.#pause(attempt + 1, { delay, gate, whole, since: mark });
      if (end === "network" && !this.#pacer.flapping) counter.resume();
    }
    return { reason: "stopped", error: null };
  }

  /** One run; tells what it threw. */
  async #once(attempt: number): Promise<"well" | { readonly thrown: unknown }> {
    this.#tell<SupervisedRun>({ type: "starting", attempt });
    try {
      await this.#options.policy.execute(({ signal }) => {
        this.#tell<SupervisedRun>({ type: "running", attempt });
        return this.#task({ signal, attempt });
      }, { signal: this.#stop.signal, attempt });
      return "well";
    } catch (thrown) {
      return { thrown };
    }
  }

  #failed(attempt: number, thrown: unknown): Failure {
    const { classify = defaultClassify, network, logger } = this.#options;
    const failure = classify(thrown, network ? { network: network.state } : {});
    loggerOr(logger).warn(`The task "${this.name}" has failed`, thrown);
    this.#tell<SupervisedFailed>({ type: "failed", attempt, failure });
    return failure;
  }

  #mayHelp(failure: Failure): boolean {
    return this.#options.retryIf?.(failure) ?? failure.retry !== "never";
  }

  /** Counts another start. */
  #tooOften(): boolean {
    const { maxRestarts, within } = this.#options;
    if (maxRestarts === Infinity) return false;
    const now = this.#clock.monotonic();
    this.#restarts.push(now);
    while ((this.#restarts[0] ?? now) <= now - within) this.#restarts.shift();
    return this.#restarts.length > maxRestarts;
  }

  /** Waits for the next start; a wait that was called off ends too. */
  async #pause(attempt: number, options: PauseOptions): Promise<PaceEnd | "stopped"> {
    const { signal } = this.#stop;
    try {
      return await this.#pacer.pause({ ...options, signal, enter: (state) => this.#wait(state, attempt) });
    } catch (error) {
      if (signal.aborted) return "stopped";
      throw error;
    }
  }

  #wait(state: PaceState, attempt: number): void {
    const until = state.type === "backing-off" ? this.#clock.now() + state.delay : null;
    this.#tell<SupervisedWaiting>({ type: "waiting", attempt, reason: REASONS[state.type], until });
  }

  #tell<S extends SupervisedStatus>(status: Omit<S, "at">): S {
    const told = { ...status, at: this.#clock.now() } as S;
    this.#status = told;
    this.#events.publish(told);
    return told;
  }
}

const REASONS = { "backing-off": "back-off", "suspended": "offline", "gated": "not-ready" } as const;

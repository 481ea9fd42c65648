/** Attempts that start one after the other and run side by side, until one succeeds (RFC 8305 section 5). */

import type { Clock, Timer } from "../internal/clock.ts";

/** An attempt, and how it went. */
export interface RaceAttempt {
  /** The address. */
  readonly address: string;
  /** When it started, on the monotonic clock. */
  readonly started: number;
  /** When it ended. */
  ended: number;
  /** How; `abandoned` when another one won, or the way to it changed. */
  outcome: "running" | "won" | "failed" | "abandoned";
  /** What it threw, where it failed. */
  error: unknown;
}

/** How a {@linkcode Race} is run. */
export interface RaceOptions<T> {
  /** Makes an attempt; it obeys the signal at once. */
  readonly attempt: (attempt: RaceAttempt, signal: AbortSignal) => Promise<T>;
  /** Gets what a loser gives all the same. */
  readonly discard: (value: T) => void;
  /** Sorts what has not been tried, the best first. */
  readonly sort: (addresses: readonly string[], last: string | undefined) => readonly string[];
  /** Milliseconds between two starts. */
  readonly delay: number;
  /** Source of time. */
  readonly clock: Clock;
}

/** How a {@linkcode Race} ended. */
export type RaceResult<T> =
  | { readonly won: true; readonly attempt: RaceAttempt; readonly value: T }
  | { readonly won: false };

/** How often attempts may start anew because the network changed: one that flaps for ever must not keep the race alive. */
const MAX_RESTARTS = 8;

/** How many addresses take part; who names thousands means no good. */
const MAX_ADDRESSES = 32;

/** A race between addresses, which may still be joined while it runs. */
export class Race<T> {
  readonly #options: RaceOptions<T>;
  readonly #result: PromiseWithResolvers<RaceResult<T>> = Promise.withResolvers();
  readonly #running = new Map<RaceAttempt, AbortController>();
  readonly #known = new Set<string>();
  readonly #attempts: RaceAttempt[] = [];
  /** One promise for each attempt that still runs, be it called off or not. */
  readonly #settling = new Set<Promise<void>>();
  #waiting: readonly string[] = [];
  #timer: Timer | undefined;
  /** Whether the next attempt need not wait any longer. */
  #due = true;
  #complete = false;
  #over = false;
  #calledOff: { readonly reason: unknown } | undefined;
  #restarts = 0;

  /**
   * Makes a race that nobody takes part in.
   *
   * @param options How it is run.
   */
  constructor(options: RaceOptions<T>) {
    this.#options = options;
  }

  /** How it ends: when one attempt has won, or all have failed, and none runs any more. */
  get result(): Promise<RaceResult<T>> {
    return this.#result.promise;
  }

  /** The attempts so far, in the order of their starts. */
  get attempts(): readonly RaceAttempt[] {
    return this.#attempts;
  }

  /** Whether any address takes part. */
  get joined(): boolean {
    return this.#known.size > 0;
  }

  /** Lets addresses take part; those that do already are passed over. */
  join(addresses: readonly string[]): void {
    for (const address of addresses) {
      if (this.#known.has(address) || this.#known.size >= MAX_ADDRESSES) continue;
      this.#known.add(address);
      this.#waiting = [...this.#waiting, address];
    }
    this.#advance();
  }

  /** Says that nobody will join any more. */
  complete(): void {
    this.#complete = true;
    this.#advance();
  }

  /** Ends the race; the result is the reason, also where somebody has won and the losers are not through yet. */
  abort(reason: unknown): void {
    this.#calledOff ??= { reason };
    if (!this.#over) this.#finish({ won: false });
  }

  /** Starts the running attempts anew that a change of the network has hit. */
  restart(isHit: (attempt: RaceAttempt) => boolean): void {
    for (const [attempt, controller] of [...this.#running]) {
      if (this.#over || this.#restarts >= MAX_RESTARTS || !isHit(attempt)) continue;
      this.#restarts++;
      this.#running.delete(attempt);
      this.#end(attempt, "abandoned");
      this.#waiting = [...this.#waiting, attempt.address];
      this.#due = true;
      controller.abort(new DOMException("The network has changed", "AbortError"));
    }
    this.#advance();
  }

  #advance(): void {
    if (this.#over) return;
    if (this.#due && this.#waiting.length > 0) return this.#start();
    if (this.#complete && this.#waiting.length === 0 && this.#running.size === 0) {
      this.#finish({ won: false });
    }
  }

  #start(): void {
    const { sort, clock, delay } = this.#options;
    const [address, ...waiting] = sort(this.#waiting, this.#attempts.at(-1)?.address);
    if (address === undefined) return;
    this.#waiting = waiting;
    const started = clock.monotonic();
    const attempt: RaceAttempt = { address, started, ended: started, outcome: "running", error: undefined };
    this.#attempts.push(attempt);
    this.#due = false;
    this.#timer?.cancel();
    this.#timer = clock.after(delay, () => {
      this.#due = true;
      this.#advance();
    }, { ref: true });
    void this.#run(attempt);
  }

  async #run(attempt: RaceAttempt): Promise<void> {
    const controller = new AbortController();
    this.#running.set(attempt, controller);
    const done = Promise.withResolvers<void>();
    this.#settling.add(done.promise);
    try {
      const value = await this.#options.attempt(attempt, controller.signal);
      if (this.#over || !this.#running.delete(attempt)) return this.#options.discard(value);
      this.#end(attempt, "won");
      this.#finish({ won: true, attempt, value });
    } catch (error) {
      if (this.#over || !this.#running.delete(attempt)) return;
      this.#end(attempt, "failed", error);
      // A failure is as good a reason to go on as time that has passed.
      this.#due = true;
      this.#advance();
    } finally {
      this.#settling.delete(done.promise);
      done.resolve();
    }
  }

  #end(attempt: RaceAttempt, outcome: RaceAttempt["outcome"], error?: unknown): void {
    attempt.ended = this.#options.clock.monotonic();
    attempt.outcome = outcome;
    attempt.error = error;
  }

  #finish(result: RaceResult<T>): void {
    this.#over = true;
    this.#timer?.cancel();
    for (const [attempt, controller] of this.#running) {
      this.#end(attempt, "abandoned");
      controller.abort(
        new DOMException("Another attempt has won, or all of it was called off", "AbortError"),
      );
    }
    this.#running.clear();
    // The winner's own promise is settled as soon as this is over.
    void Promise.all(this.#settling).then(() => this.#tell(result));
  }

  #tell(result: RaceResult<T>): void {
    if (!this.#calledOff) return this.#result.resolve(result);
    if (result.won) this.#options.discard(result.value);
    this.#result.reject(this.#calledOff.reason);
  }
}

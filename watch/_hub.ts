/** One source for all its listeners: opened for the first, closed with the last, replaced when it fails. */

import { backoffDelay } from "../internal/backoff.ts";
import { type Clock, systemClock, type Timer } from "../internal/clock.ts";
import { loggerOr, logUncaught } from "../internal/log.ts";
import { wouldPrompt } from "../internal/permissions.ts";
import type { BackendEvent, BackendName } from "./events.ts";
import { openBest, openRung, rungsOf } from "./_hub_open.ts";
import type { HubListener, HubOptions } from "./_hub_types.ts";
import { Pace } from "./_pace.ts";
import type { ProvenSource } from "./_prove.ts";
import type { Reading, Source, SourceEvents } from "./_reading.ts";
import { type PassedOver, passedOver } from "./_select.ts";
import { WakeDetector } from "./wake.ts";

/** A source that took over less than this ago, in milliseconds, and fails, is not opened again at once. */
const CALM = 1000;

/** Reads when a hint says so, tells all listeners, and changes the source when one fails. */
export class Hub {
  readonly #options: HubOptions;
  readonly #clock: Clock;
  readonly #onClose: () => void;
  readonly #listeners = new Set<HubListener>();
  readonly #pace = new Pace();
  #holds = 0;
  #closed = false;
  #source: Source | undefined;
  #reading: Reading | undefined;
  #rank = 0;
  #passed: readonly PassedOver[] = [];
  #lastError: unknown;
  #wake: WakeDetector | undefined;
  /** A reading that is due. */
  #due: Timer | undefined;
  /** A reading that is under way. */
  #running: Promise<void> | undefined;
  /** How many rounds of telling are under way; more than one where a listener causes another. */
  #telling = 0;
  /** Whether a reading must follow the one that is under way, or being told. */
  #again = false;
  /** The next attempt at a source. */
  #retry: Timer | undefined;
  #attempts = 0;
  /** Replacements of the source, one after the other: it may fail while a better one is looked for. */
  #repairing: Promise<void> = Promise.resolve();
  /** The source in use has failed, and there is no other yet. */
  #down = false;
  /** When a source took over from another one, on the monotonic clock. */
  #replacedAt = -Infinity;

  constructor(options: HubOptions, onClose: () => void) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#onClose = onClose;
  }

  /** The last reading. */
  get reading(): Reading {
    if (!this.#reading) throw new TypeError("Cannot tell the state: the hub is not open");
    return this.#reading;
  }

  /** The backend in use. */
  get backend(): BackendName {
    return this.#source?.backend ?? "poll";
  }

  /** What it reads with. */
  get reader(): Source["reader"] {
    return this.#source?.reader ?? "interfaces";
  }

  /** The better backends that do not work, and why. */
  get passed(): readonly PassedOver[] {
    return this.#passed;
  }

  /** Whether there is no source that works at the moment. */
  get down(): boolean {
    return this.#down;
  }

  /** The last failure of a source. */
  get lastError(): unknown {
    return this.#lastError;
  }

  /** Opens the first source that works. */
  async open(): Promise<void> {
    const { value, rank, passed } = await openBest(this.#options, this.#clock);
    this.#reading = value.reading;
    this.#adopt(value.source, rank, passed);
    this.#scheduleRetry();
    value.listen(this.#eventsOf(value.source));
  }

  /** What a source says counts as long as it is the one in use. */
  #eventsOf(source: Source): SourceEvents {
    const inUse = (): boolean => source === this.#source && !this.#closed;
    return {
      hint: () => {
        if (inUse()) this.hint();
      },
      overflow: (detail) => {
        if (inUse()) this.#tell((listener) => listener.backend("overflow", detail));
      },
      failed: (error) => this.#failed(source, error),
    };
  }

  #adopt(source: Source, rank: number, passed: readonly PassedOver[]): void {
    this.#source = source;
    this.#rank = rank;
    this.#passed = passed;
    this.#down = false;
    if (!this.#wake || source.sleepClock) this.#watchSleep(source);
  }

  /** Sleep is seen by the source's own clock while it is in use, else by those of the runtime. */
  #watchSleep(source?: Source): void {
    this.#wake?.[Symbol.dispose]();
    this.#wake = new WakeDetector(
      this.#clock,
      (slept) => this.#onWake(slept),
      source?.sleepClock?.bind(source),
    );
  }

  /** Takes a hold; `false` when it is closed already. */
  retain(): boolean {
    if (!this.#closed) this.#holds++;
    return !this.#closed;
  }

  /** Gives a hold back; the last one closes. */
  async release(): Promise<void> {
    if (--this.#holds > 0 || this.#closed) return;
    this.#closed = true;
    this.#onClose();
    this.#due?.cancel();
    this.#retry?.cancel();
    this.#wake?.[Symbol.dispose]();
    if (this.#source) await this.#dispose(this.#source);
    await this.#running;
    await this.#repairing;
  }

  /** Tells a listener everything from now on. */
  subscribe(listener: HubListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Reads as soon as the pace allows. */
  hint(): void {
    if (this.#closed) return;
    // A reading told within the telling of another one would reach some listeners before the older one.
    if (this.#telling > 0) {
      this.#again = true;
      return;
    }
    this.#wake?.check();
    if (this.#running) this.#again = true;
    else if (!this.#due) {
      // A source of the caller's own is read at each word, so that a test sees what it did at once.
      const delay = this.#options.source ? 0 : this.#pace.delay(this.#clock.monotonic());
      if (delay === 0) this.#read();
      else {
        this.#due = this.#clock.after(delay, () => {
          this.#due = undefined;
          this.#read();
        });
      }
    }
  }

  /** A reading taken now, which is not told to anybody. */
  async fresh(): Promise<Reading> {
    return this.#source && !this.#down ? await this.#source.read() : this.reading;
  }

  /** Reads now, and resolves when all listeners know. */
  async refresh(): Promise<void> {
    // Once at least, as a listener may call it while it is told something.
    do await this.#running; while (this.#running);
    if (this.#closed) return;
    this.#due?.cancel();
    this.#due = undefined;
    this.#read();
    await this.#running;
  }

  #read(): void {
    const source = this.#source;
    if (!source || this.#closed || this.#down) return;
    try {
      const result = source.read();
      if (!(result instanceof Promise)) return this.#publish(result);
      this.#running = result
        .then((reading) => {
          // One that was replaced meanwhile has nothing new to say.
          if (source === this.#source) this.#publish(reading);
        })
        .catch((error) => this.#failed(source, error))
        .finally(() => {
          this.#running = undefined;
          this.#hintAgain();
        });
    } catch (error) {
      this.#failed(source, error);
    }
  }

  #hintAgain(): void {
    if (!this.#again || this.#running || this.#telling > 0) return;
    this.#again = false;
    this.hint();
  }

  #publish(reading: Reading, before?: (listener: HubListener) => void): void {
    if (this.#closed) return;
    this.#pace.taken(this.#clock.monotonic());
    this.#reading = reading;
    this.#tell((listener) => {
      before?.(listener);
      listener.reading(reading);
    });
  }

  /** Tells all listeners something; one that throws harms nobody else, least of all the source. */
  #tell(what: (listener: HubListener) => void): void {
    this.#telling++;
    for (const listener of [...this.#listeners]) {
      try {
        // One that an earlier listener has closed is not told any more.
        if (this.#listeners.has(listener)) what(listener);
      } catch (error) {
        logUncaught(this.#options.logger, "Uncaught error in a watcher of the network", error);
      }
    }
    this.#telling--;
    this.#hintAgain();
  }

  #onWake(slept: number): void {
    this.#tell((listener) => listener.wake(slept));
    this.hint();
  }

  /** Replaces a source that does not work any more. */
  #failed(source: Source, error: unknown): void {
    if (this.#closed || this.#down || source !== this.#source) return;
    this.#down = true;
    this.#lastError = error;
    loggerOr(this.#options.logger).warn(`The backend "${source.backend}" failed`, error);
    // It may be the first sign of having slept, and the clock may go with the source.
    this.#wake?.check();
    this.#watchSleep();
    const calm = this.#clock.monotonic() - this.#replacedAt > CALM;
    this.#retry?.cancel();
    if (calm) this.#attempts = 0;
    this.#repair(async () => {
      // A better one has taken its place while this waited.
      if (source !== this.#source) return;
      await this.#dispose(source);
      // A source that fails again and again is not opened again and again at full speed.
      if (calm) await this.#reopen(error);
      else this.#retryLater(() => this.#reopen(error));
    });
  }

  #repair(action: () => Promise<void>): void {
    this.#repairing = this.#repairing.then(action);
  }

  #retryLater(action: () => Promise<void>): void {
    if (this.#closed) return;
    this.#retry?.cancel();
    this.#retry = this.#clock.after(backoffDelay(this.#attempts++), () => this.#repair(action));
  }

  /** Closes a source that is not in use any more; what it may throw helps nobody. */
  async #dispose(source: Source): Promise<void> {
    try {
      await source[Symbol.asyncDispose]();
    } catch (error) {
      loggerOr(this.#options.logger).warn(`Cannot close the backend "${source.backend}"`, error);
    }
  }

  async #reopen(cause: unknown): Promise<void> {
    const failed = this.#source;
    if (this.#closed || !failed) return;
    try {
      const { value, rank, passed } = await openBest(this.#options, this.#clock);
      const reason = rank > this.#rank ? "fallback" : "recovered";
      await this.#replace(value, rank, passed, reason, passedOver(failed.backend, cause).reason);
    } catch (error) {
      // Nothing works at the moment: what is known stays, and it is tried again.
      this.#lastError = error;
      this.#retryLater(() => this.#reopen(cause));
    }
  }

  async #replace(
    opened: ProvenSource,
    rank: number,
    passed: readonly PassedOver[],
    reason: BackendEvent["reason"],
    detail: string,
  ): Promise<void> {
    if (this.#closed) return await this.#dispose(opened.source);
    this.#wake?.check();
    this.#adopt(opened.source, rank, passed);
    this.#replacedAt = this.#clock.monotonic();
    this.#publish(opened.reading, (listener) => listener.backend(reason, detail));
    this.#scheduleRetry();
    opened.listen(this.#eventsOf(opened.source));
  }

  /** Plans another attempt at something better than what is in use. */
  #scheduleRetry(): void {
    if (this.#rank > 0) this.#retryLater(() => this.#climb());
  }

  async #climb(): Promise<void> {
    const old = this.#source;
    for (const [rank, rung] of rungsOf(this.#options).slice(0, this.#rank).entries()) {
      if (this.#closed || this.#down || !old) return;
      if (wouldPrompt(rung.needs)) continue;
      try {
        const opened = await openRung(rung, this.#options, this.#clock);
        this.#attempts = 0;
        const passed = this.#passed.slice(0, rank);
        await this.#replace(opened, rank, passed, "recovered", `"${rung.backend}" works again`);
        return await this.#dispose(old);
      } catch (error) {
        this.#lastError = error;
      }
    }
    this.#scheduleRetry();
  }
}

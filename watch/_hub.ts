/** One source for all watchers of a process: opened by the first, closed with the last, kept alive in between. */

import { backoffDelay } from "../internal/backoff.ts";
import { type Clock, systemClock, type Timer } from "../internal/clock.ts";
import { type Logger, loggerOr } from "../internal/log.ts";
import { wouldPrompt } from "../internal/permissions.ts";
import type { BackendEvent, BackendName } from "./events.ts";
import { Pace } from "./_pace.ts";
import type { Reading, Source, SourceFactory } from "./_reading.ts";
import { openFirst, type PassedOver, passedOver, type Rung, rungs } from "./_select.ts";
import { WakeDetector } from "./wake.ts";

/** Who listens to a hub. */
export interface HubListener {
  /** A reading was taken. */
  reading(reading: Reading): void;
  /** The backend changed, or lost messages. */
  backend(reason: BackendEvent["reason"], detail: string): void;
  /** The machine woke. */
  wake(slept: number): void;
}

/** What a hub is made for. */
export interface HubOptions {
  /** The backend, or the best that works. */
  readonly backend: BackendName | "auto";
  /** Milliseconds between two readings when polling. */
  readonly pollInterval: number;
  /** A source of the caller's own, in place of the system's. */
  readonly source?: SourceFactory | undefined;
  /** Source of time. */
  readonly clock?: Clock | undefined;
  /** Where trouble is reported. */
  readonly logger?: Logger | undefined;
}

/** A source that failed less than this ago, in milliseconds, is not opened again at once. */
const CALM = 1000;

/** What a source leaves behind while it is not in use yet. */
interface Word {
  /** The source itself, once it is in use. */
  adopted: Source | undefined;
  /** Whether a reading is due when it is. */
  hinted: boolean;
}

interface OpenSource {
  readonly source: Source;
  readonly reading: Reading;
  readonly word: Word;
}

const hubs = new Map<string, Promise<Hub>>();

/** Takes a hold on the hub for some options, which is opened if there is none; each hold must be released. */
export async function acquireHub(options: HubOptions): Promise<Hub> {
  if (options.source || options.clock) {
    const own = await openHub(options, () => {});
    own.retain();
    return own;
  }
  const key = hubKey(options);
  const pending = hubs.get(key) ?? openHub(options, () => hubs.delete(key));
  hubs.set(key, pending);
  try {
    const hub = await pending;
    // Closed by its last holder while this one waited.
    return hub.retain() ? hub : await acquireHub(options);
  } catch (error) {
    if (hubs.get(key) === pending) hubs.delete(key);
    throw error;
  }
}

/** The hub that is open for some options, if there is one. */
export function openedHub(options: HubOptions): Promise<Hub> | undefined {
  return hubs.get(hubKey(options));
}

function hubKey({ backend, pollInterval }: HubOptions): string {
  return `${backend} ${pollInterval}`;
}

async function openHub(options: HubOptions, onClose: () => void): Promise<Hub> {
  const hub = new Hub(options, onClose);
  await hub.open();
  return hub;
}

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
  /** A reading that is under way, and whether another must follow it. */
  #running: Promise<void> | undefined;
  #again = false;
  /** The next attempt at a better source. */
  #retry: Timer | undefined;
  #attempts = 0;
  #repairing: Promise<void> | undefined;
  /** The source in use has failed, and there is no other yet. */
  #down = false;
  #failedAt = -Infinity;

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

  /** The last failure of a source. */
  get lastError(): unknown {
    return this.#lastError;
  }

  async open(): Promise<void> {
    const { backend, source } = this.#options;
    const { value, rank, passed } = source
      ? { value: await this.#prove(source), rank: 0, passed: [] }
      : await openFirst(backend, (rung) => this.#openRung(rung));
    this.#adopt(value, rank, passed);
    this.#reading = value.reading;
    const { sleepClock } = value.source;
    this.#wake = new WakeDetector(
      this.#clock,
      (slept) => this.#onWake(slept),
      sleepClock?.bind(value.source),
    );
    if (value.word.hinted) this.hint();
    this.#scheduleRetry();
  }

  /** Opens a source and proves it by a reading. */
  async #openRung(rung: Rung): Promise<OpenSource> {
    const context = { clock: this.#clock, pollInterval: this.#options.pollInterval };
    return await this.#prove((events) => rung.open(events, context));
  }

  async #prove(open: SourceFactory): Promise<OpenSource> {
    // Until it is adopted a source may only leave word that something happened.
    const word: Word = { adopted: undefined, hinted: false };
    const source = await open({
      hint: () => word.adopted ? word.adopted === this.#source && this.hint() : word.hinted = true,
      overflow: (detail) => word.adopted && word.adopted === this.#source && this.#tell("overflow", detail),
      failed: (error) => word.adopted ? this.#failed(word.adopted, error) : word.hinted = true,
    });
    try {
      return { source, reading: await source.read(), word };
    } catch (error) {
      await source[Symbol.asyncDispose]();
      throw error;
    }
  }

  #adopt({ source, word }: OpenSource, rank: number, passed: readonly PassedOver[]): void {
    this.#source = source;
    this.#rank = rank;
    this.#passed = passed;
    this.#down = false;
    word.adopted = source;
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
    await this.#source?.[Symbol.asyncDispose]();
    await this.#running;
    await this.#repairing;
  }

  subscribe(listener: HubListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Reads as soon as the pace allows. */
  hint(): void {
    if (this.#closed) return;
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
    while (this.#running) await this.#running;
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
      this.#running = result.then((reading) => this.#publish(reading)).catch((error) =>
        this.#failed(source, error)
      )
        .finally(() => {
          this.#running = undefined;
          if (!this.#again) return;
          this.#again = false;
          this.hint();
        });
    } catch (error) {
      this.#failed(source, error);
    }
  }

  #publish(reading: Reading): void {
    if (this.#closed) return;
    this.#pace.taken(this.#clock.monotonic());
    this.#reading = reading;
    for (const listener of [...this.#listeners]) listener.reading(reading);
  }

  #tell(reason: BackendEvent["reason"], detail: string): void {
    for (const listener of [...this.#listeners]) listener.backend(reason, detail);
  }

  #onWake(slept: number): void {
    for (const listener of [...this.#listeners]) listener.wake(slept);
    this.hint();
  }

  /** Replaces a source that does not work any more. */
  #failed(source: Source, error: unknown): void {
    if (this.#closed || this.#down || source !== this.#source) return;
    this.#down = true;
    this.#lastError = error;
    loggerOr(this.#options.logger).warn(`The backend "${source.backend}" failed`, error);
    const now = this.#clock.monotonic();
    const [calm, last] = [now - this.#failedAt > CALM, this.#failedAt];
    this.#failedAt = now;
    if (calm || last === -Infinity) this.#attempts = 0;
    // A source that fails again and again is not opened again and again at full speed.
    if (calm) this.#repair(() => this.#reopen(source, error));
    else this.#retryLater(() => this.#reopen(source, error));
  }

  #repair(action: () => Promise<void>): void {
    this.#repairing ??= action().finally(() => this.#repairing = undefined);
  }

  #retryLater(action: () => Promise<void>): void {
    this.#retry?.cancel();
    this.#retry = this.#clock.after(backoffDelay(this.#attempts++), () => this.#repair(action));
  }

  async #reopen(failed: Source, error: unknown): Promise<void> {
    await failed[Symbol.asyncDispose]();
    const { source } = this.#options;
    try {
      const { value, rank, passed } = source
        ? { value: await this.#prove(source), rank: 0, passed: [] }
        : await openFirst(this.#options.backend, (rung) => this.#openRung(rung));
      const same = value.source.backend === failed.backend;
      await this.#replace(
        value,
        rank,
        passed,
        same ? "recovered" : "fallback",
        passedOver(failed.backend, error).reason,
      );
    } catch (next) {
      // Nothing works at the moment: what is known stays, and it is tried again.
      this.#lastError = next;
      if (!this.#closed) this.#retryLater(() => this.#reopen(failed, error));
    }
  }

  async #replace(
    opened: OpenSource,
    rank: number,
    passed: readonly PassedOver[],
    reason: BackendEvent["reason"],
    detail: string,
  ): Promise<void> {
    if (this.#closed) return await opened.source[Symbol.asyncDispose]();
    this.#adopt(opened, rank, passed);
    this.#tell(reason, detail);
    this.#publish(opened.reading);
    if (opened.word.hinted) this.hint();
    this.#scheduleRetry();
  }

  /** Plans another attempt at something better than what is in use. */
  #scheduleRetry(): void {
    if (this.#closed || this.#rank === 0) return;
    this.#retryLater(() => this.#climb());
  }

  async #climb(): Promise<void> {
    const old = this.#source;
    for (const [rank, rung] of rungs().slice(0, this.#rank).entries()) {
      if (wouldPrompt(rung.needs)) continue;
      try {
        const opened = await this.#openRung(rung);
        this.#attempts = 0;
        await this.#replace(
          opened,
          rank,
          this.#passed.slice(0, rank),
          "recovered",
          `"${rung.backend}" works again`,
        );
        await old?.[Symbol.asyncDispose]();
        return;
      } catch (error) {
        this.#lastError = error;
      }
    }
    this.#scheduleRetry();
  }
}

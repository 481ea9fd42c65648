/** A stand-in for `@std/testing/time`: fake time, without a rate of its own. */

/** Fake time was used in a way it cannot be used. */
export class TimeError extends Error {
  /** @param message What was wrong. */
  constructor(message: string) {
    super(message);
    this.name = "TimeError";
  }
}

// deno-lint-ignore no-explicit-any
type Callback = (...args: any[]) => unknown;

interface Entry {
  readonly due: number;
  /** Of those due at once, the one queued first goes first. */
  readonly order: number;
  readonly every: number | undefined;
  readonly run: () => void;
}

const real = {
  Date: globalThis.Date,
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
};
const realAbortTimeout = AbortSignal.timeout;

let current: FakeTime | undefined;

/**
 * Time that moves only when told to: `Date`, `setTimeout`, `setInterval`, their opposites and `AbortSignal.timeout`.
 *
 * Its timers are numbers, not objects; `performance.now()` stays real.
 */
export class FakeTime {
  #start: number;
  #now: number;
  #ids = 0;
  #order = 0;
  #queue = new Map<number, Entry>();

  /**
   * Fakes the time from now on.
   *
   * @param start What time it is; the real time unless given.
   */
  constructor(start?: number | string | Date | null) {
    if (current) throw new TimeError("Cannot construct FakeTime: time is already faked");
    this.#start = start === undefined || start === null ? real.Date.now() : Math.floor(+new real.Date(start));
    if (Number.isNaN(this.#start)) {
      throw new TypeError(`Cannot construct FakeTime: invalid start time ${start}`);
    }
    this.#now = this.#start;
    current = this;
    this.#install();
  }

  #install(): void {
    const now = (): number => this.#now;
    const set = (every: boolean) => (callback: unknown, delay: unknown = 0, ...args: unknown[]): number => {
      if (typeof callback !== "function") {
        const name = every ? "setInterval" : "setTimeout";
        throw new TimeError(`FakeTime does not support non-function callbacks to ${name}`);
      }
      return this.#add(callback as Callback, Number(delay), args, every);
    };
    const clear = (id?: unknown): void => {
      if (typeof id === "number") this.#queue.delete(id);
    };
    Object.assign(globalThis, {
      Date: new Proxy(real.Date, {
        construct: (target, args) => Reflect.construct(target, args.length > 0 ? args : [now()]),
        apply: (target) => new target(now()).toString(),
        get: (target, key, receiver) => key === "now" ? now : Reflect.get(target, key, receiver),
      }),
      setTimeout: set(false),
      clearTimeout: clear,
      setInterval: set(true),
      clearInterval: clear,
    });
    AbortSignal.timeout = (delay) => {
      const controller = new AbortController();
      const over = (): void => controller.abort(new DOMException("Signal timed out.", "TimeoutError"));
      this.#add(over, delay, [], false);
      return controller.signal;
    };
  }

  #add(callback: Callback, delay: number, args: unknown[], repeat: boolean): number {
    const id = ++this.#ids;
    const wait = Math.max(repeat ? 1 : 0, Math.floor(delay) || 0);
    this.#queue.set(id, {
      due: this.#now + wait,
      order: this.#order++,
      every: repeat ? wait : undefined,
      run: () => callback.apply(null, args),
    });
    return id;
  }

  #first(): [id: number, entry: Entry] | undefined {
    let first: [number, Entry] | undefined;
    for (const [id, entry] of this.#queue) {
      const [, best] = first ?? [];
      if (!best || entry.due < best.due || (entry.due === best.due && entry.order < best.order)) {
        first = [id, entry];
      }
    }
    return first;
  }

  /** The fake time, in milliseconds since 1970. Setting it runs the timers due until then, each at its time. */
  get now(): number {
    return this.#now;
  }
  set now(value: number) {
    if (value < this.#now) {
      throw new RangeError(
        `Cannot set current time in the past, time must be >= ${this.#now}: received ${value}`,
      );
    }
    for (let next = this.#first(); next && next[1].due <= value; next = this.#first()) {
      const [id, entry] = next;
      this.#now = entry.due;
      if (entry.every === undefined) this.#queue.delete(id);
      else this.#queue.set(id, { ...entry, due: entry.due + entry.every, order: this.#order++ });
      entry.run();
    }
    this.#now = value;
  }

  /** What the time was in the beginning. */
  get start(): number {
    return this.#start;
  }

  /** Lets time pass, and runs the timers due. */
  tick(ms = 0): void {
    this.now += ms;
  }

  /** Runs what promises have to do, then lets time pass. */
  async tickAsync(ms = 0): Promise<void> {
    await this.runMicrotasks();
    this.now += ms;
  }

  /** Goes to the next timer and runs it; `false` if there is none. */
  next(): boolean {
    const next = this.#first();
    if (next) this.now = next[1].due;
    return next !== undefined;
  }

  /** Runs what promises have to do, then goes to the next timer. */
  async nextAsync(): Promise<boolean> {
    await this.runMicrotasks();
    return this.next();
  }

  /** Goes from timer to timer until there is none. */
  runAll(): void {
    while (this.#queue.size > 0) this.next();
  }

  /** Goes from timer to timer until there is none, and before each runs what promises have to do. */
  async runAllAsync(): Promise<void> {
    while (this.#queue.size > 0) await this.nextAsync();
  }

  /** Runs what promises have to do. */
  async runMicrotasks(): Promise<void> {
    await this.delay(0);
  }

  /** Waits in real time. */
  delay(ms: number): Promise<void> {
    return new Promise((resolve) => real.setTimeout(resolve, ms));
  }

  /** Makes the time real again. */
  restore(): void {
    if (!current) throw new TimeError("Cannot restore time: time is already restored");
    current = undefined;
    Object.assign(globalThis, real);
    AbortSignal.timeout = realAbortTimeout;
  }

  /** Makes the time real again. */
  [Symbol.dispose](): void {
    this.restore();
  }
}

/** The clocks and timers that everything else takes as an option, so that a test can own the time. */

/** A handle of a pending timer. */
export interface Timer {
  /** Makes the timer go away; safe twice. */
  cancel(): void;
}

/** A source of time: two clocks and a timer. */
export interface Clock {
  /** Wall clock in milliseconds since 1970; may jump. */
  now(): number;
  /** Monotonic clock in milliseconds; never goes back, and may stop while the machine sleeps. */
  monotonic(): number;
  /**
   * Calls back once after a time.
   *
   * @param milliseconds How long to wait.
   * @param callback What to call.
   * @param options `ref: true` keeps the process alive until then.
   */
  after(milliseconds: number, callback: () => void, options?: { readonly ref?: boolean }): Timer;
}

/** The longest delay the runtime's timers know, in milliseconds; a longer one would fire at once. */
const MAX_DELAY = 2 ** 31 - 1;

/** The machine's own clocks. Its timers do not keep the process alive unless asked to; any delay will do. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(milliseconds, callback, options) {
    let id: ReturnType<typeof setTimeout>;
    const arm = (left: number): void => {
      const step = Math.min(left, MAX_DELAY);
      id = setTimeout(() => left > step ? arm(left - step) : callback(), step);
      // A browser has no Deno, and nothing to keep alive.
      if (options?.ref !== true) globalThis.Deno?.unrefTimer(id);
    };
    arm(milliseconds);
    return { cancel: () => clearTimeout(id) };
  },
};

/**
 * Keeps the process alive while somebody waits.
 *
 * A pending promise alone does not, so each pending iteration or wait holds one of these. Those of the machine's own clock share
 * one timer, as many come and go with every message.
 *
 * @param clock Where the timer comes from.
 * @returns The hold; disposing it lets the process end.
 */
export function holdProcess(clock: Clock = systemClock): Disposable {
  if (clock === systemClock) {
    if (!shared?.usable) shared = new SharedTimer();
    return shared.hold();
  }
  const timer = clock.after(Infinity, () => {}, { ref: true });
  return { [Symbol.dispose]: () => timer.cancel() };
}

/** How {@linkcode wait} waits. */
export interface WaitOptions {
  /** Calls the wait off. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
  /**
   * Whether the wait keeps the process alive.
   *
   * @default {true}
   */
  readonly ref?: boolean;
}

/**
 * Waits, and can be called off.
 *
 * @param milliseconds How long.
 * @param options The signal that calls it off, the clock, and whether the wait keeps the process alive.
 * @returns Resolves after that time; rejects with the signal's reason.
 */
export function wait(milliseconds: number, options: WaitOptions = {}): Promise<void> {
  const { signal, clock = systemClock, ref = true } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const aborted = (): void => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.after(milliseconds, () => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    }, { ref });
    signal?.addEventListener("abort", aborted, { once: true });
    // The first timer of a test lets pending callbacks run, and one of them may have aborted.
    if (signal?.aborted) aborted();
  });
}

/** How many turns of promises nobody has to wait before the shared timer goes: from one message to the next it takes a few. */
const TURNS = 16;

/** A timer that nobody cancels while somebody holds it. */
class SharedTimer implements Disposable {
  /** A test may have put timers of its own in the place of the runtime's; whoever made this one also ends it. */
  readonly #set = setInterval;
  readonly #clear = clearInterval;
  readonly #id = setInterval(() => {}, MAX_DELAY);
  #holds = 0;
  #going = false;
  #gone = false;

  get usable(): boolean {
    return !this.#gone && this.#set === setInterval;
  }

  hold(): Disposable {
    this.#holds++;
    return new Hold(this);
  }

  [Symbol.dispose](): void {
    if (--this.#holds === 0 && !this.#going) void this.#go();
  }

  /** Goes, unless somebody holds it again at once: setting a timer costs as much as the message that is waited for. */
  async #go(): Promise<void> {
    this.#going = true;
    for (let turn = 0; turn < TURNS && this.#holds === 0; turn++) await null;
    this.#going = false;
    if (this.#holds > 0) return;
    this.#gone = true;
    this.#clear.call(globalThis, this.#id);
  }
}

/** One share; giving it back twice is safe. */
class Hold implements Disposable {
  #timer: SharedTimer | undefined;

  constructor(timer: SharedTimer) {
    this.#timer = timer;
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }
}

let shared: SharedTimer | undefined;

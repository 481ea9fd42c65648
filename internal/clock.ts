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
 * A pending promise alone does not, so each pending iteration or wait holds one of these.
 *
 * @param clock Where the timer comes from.
 * @returns The hold; disposing it lets the process end.
 */
export function holdProcess(clock: Clock = systemClock): Disposable {
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

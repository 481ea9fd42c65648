/** A promise with a deadline. */

/** Options of {@linkcode deadline}. */
export interface DeadlineOptions {
  /** Calls the wait off. */
  signal?: AbortSignal;
}

/**
 * Follows the promise, unless the time is over first.
 *
 * @param p What to wait for.
 * @param ms How long, in milliseconds; from `Number.MAX_SAFE_INTEGER` on: for ever.
 * @param options The signal that calls the wait off.
 * @returns Rejects with a `DOMException` named `TimeoutError`, or with the signal's reason.
 */
export async function deadline<T>(p: Promise<T>, ms: number, options: DeadlineOptions = {}): Promise<T> {
  const signals = options.signal ? [options.signal] : [];
  if (ms < Number.MAX_SAFE_INTEGER) signals.push(AbortSignal.timeout(ms));
  const signal = AbortSignal.any(signals);
  const over = Promise.withResolvers<never>();
  const abort = (): void => over.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([over.promise, p]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

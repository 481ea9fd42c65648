/** Waiting for something that may not obey a signal. */

/**
 * Waits for a promise, or for a signal, whichever comes first. What the promise does after that is dropped.
 *
 * @param promise What is waited for.
 * @param signal What calls the wait off.
 * @returns What the promise gives; rejects with the signal's reason.
 */
export async function orAbort<T>(promise: PromiseLike<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** A wait that can be called off. */

/** Options of {@linkcode delay}. */
export interface DelayOptions {
  /** Calls the wait off. */
  signal?: AbortSignal;
  /**
   * Whether the wait keeps the process alive.
   *
   * @default {true}
   */
  persistent?: boolean;
}

const LONGEST = 2 ** 31 - 1;

/**
 * Resolves after a time, by the global `setTimeout`, so that fake time drives it.
 *
 * @param ms How long, in milliseconds.
 * @param options The signal that calls it off, and whether it keeps the process alive.
 * @returns Rejects with the signal's reason.
 */
export function delay(ms: number, options: DelayOptions = {}): Promise<void> {
  const { signal, persistent = true } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    let left = Math.trunc(Math.max(ms, 0) || 0);
    let timer: number;
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    // The runtime fires a timer above 2^31-1 ms at once, so a longer wait goes in pieces.
    const next = (): void => {
      if (left > 0 || timer === undefined) {
        const piece = Math.min(left, LONGEST);
        left -= piece;
        timer = Number(setTimeout(next, piece));
        if (!persistent) Deno.unrefTimer(timer);
      } else {
        signal?.removeEventListener("abort", abort);
        resolve();
      }
    };
    signal?.addEventListener("abort", abort, { once: true });
    next();
  });
}

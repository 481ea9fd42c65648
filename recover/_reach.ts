/** Trying until it works: at once when the network changes, and with a short back-off otherwise. */

import { backoffDelay } from "../internal/backoff.ts";
import { type Clock, systemClock } from "../internal/clock.ts";
import { PermissionError } from "../internal/errors.ts";
import { isUnsupported } from "./_need_runtime.ts";
import { orAbort } from "./_or_abort.ts";

/** What {@linkcode reach} works with. */
export interface ReachOptions<T> {
  /** One attempt; what it resolves with is the result. */
  readonly connect: (signal: AbortSignal) => Promise<T>;
  /** Calls back when the network changed in a way that is worth another attempt. */
  readonly subscribe: (handler: () => void) => Disposable;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Told of each failed attempt. */
  readonly onFailure?: (error: unknown) => void;
  /**
   * How many milliseconds one attempt may take.
   *
   * @default {3000}
   */
  readonly attemptTimeout?: number;
  /** Source of time. */
  readonly clock?: Clock;
}

/** After how many milliseconds an attempt is given up for a new one when the network changes: its packets went the old way. */
const STALE = 250;

/**
 * Tries until it works.
 *
 * @param options What to try, what wakes it and what ends it.
 * @returns What the attempt that worked gave.
 * @throws {PermissionError} No use in trying again.
 * @throws {HoldfastError} `unsupported`, where there is no use either.
 * @throws The signal's reason.
 */
export async function reach<T>(options: ReachOptions<T>): Promise<T> {
  const { connect, subscribe, signal, onFailure, attemptTimeout = 3000, clock = systemClock } = options;
  let changed: () => void = () => {};
  using _subscription = subscribe(() => changed());
  for (let attempt = 0;; attempt++) {
    signal.throwIfAborted();
    let again = false;
    const began = clock.monotonic();
    const stop = new AbortController();
    const limit = clock.after(
      attemptTimeout,
      () => stop.abort(`no answer within ${attemptTimeout} ms`),
      { ref: true },
    );
    changed = () => {
      again = true;
      if (clock.monotonic() - began >= STALE) stop.abort("the network changed");
    };
    try {
      const either = AbortSignal.any([signal, stop.signal]);
      return await orAbort(connect(either), either);
    } catch (error) {
      signal.throwIfAborted();
      const why = stop.signal.aborted ? stop.signal.reason : error;
      if (error instanceof PermissionError || isUnsupported(error)) throw error;
      onFailure?.(why);
    } finally {
      limit.cancel();
    }
    if (!again) {
      await pause(
        backoffDelay(attempt, { initial: 50, max: 1000 }),
        (wake) => changed = wake,
        signal,
        clock,
      );
    }
  }
}

/** Waits for a time, or until it is woken. */
function pause(
  milliseconds: number,
  arm: (wake: () => void) => void,
  signal: AbortSignal,
  clock: Clock,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      timer.cancel();
      signal.removeEventListener("abort", aborted);
      settle();
    };
    const aborted = (): void => end(() => reject(signal.reason));
    const timer = clock.after(milliseconds, () => end(resolve), { ref: true });
    signal.addEventListener("abort", aborted, { once: true });
    arm(() => end(resolve));
  });
}

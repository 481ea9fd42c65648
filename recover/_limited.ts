/** A signal with a time limit that leaves nothing behind. */

import type { Clock } from "../internal/clock.ts";

/** A signal that follows another one, and is aborted when the time is up or when it is disposed. */
export interface Limited extends Disposable {
  /** The signal. */
  readonly signal: AbortSignal;
  /** Whether the time was up, rather than the other signal aborted. */
  readonly expired: boolean;
}

/** Why the work of a step is called off when the step is over; it reaches nobody. */
const OVER = "over";

/**
 * Limits time.
 *
 * @param milliseconds How much there is; `Infinity` for no limit.
 * @param parent What is followed.
 * @param clock Source of time.
 * @returns The signal. Its timer keeps the process alive, for somebody waits.
 */
export function limited(milliseconds: number, parent: AbortSignal | undefined, clock: Clock): Limited {
  const own = new AbortController();
  let expired = false;
  const follow = (): void => own.abort(parent?.reason);
  const timer = milliseconds === Infinity ? undefined : clock.after(milliseconds, () => {
    expired = true;
    own.abort(`${milliseconds} ms have passed`);
  }, { ref: true });
  if (parent?.aborted) follow();
  else parent?.addEventListener("abort", follow, { once: true });
  return {
    signal: own.signal,
    get expired() {
      return expired;
    },
    [Symbol.dispose]() {
      timer?.cancel();
      parent?.removeEventListener("abort", follow);
      own.abort(OVER);
    },
  };
}

/** One suspend watchdog for all who need one: thousands of heartbeats are no reason for thousands of timers. */

import type { Clock } from "../internal/clock.ts";
import { type SuspendWatchdog, suspendWatchdog } from "./suspend.ts";

interface Shared {
  readonly watchdog: SuspendWatchdog;
  users: number;
}

const tickers = new WeakMap<Clock, Shared>();

/**
 * Calls a handler whenever the process goes on after it did not run for a while.
 *
 * @param clock Whose time it is.
 * @param handler What to call.
 * @returns The registration. The timer behind it goes with the last one.
 */
export function onWake(clock: Clock, handler: () => void): Disposable {
  const shared = tickers.get(clock) ?? { watchdog: suspendWatchdog({ clock }), users: 0 };
  tickers.set(clock, shared);
  shared.users++;
  const registration = shared.watchdog.on("wake", handler);
  let disposed = false;
  return {
    [Symbol.dispose]: () => {
      if (disposed) return;
      disposed = true;
      registration[Symbol.dispose]();
      if (--shared.users > 0) return;
      shared.watchdog[Symbol.dispose]();
      tickers.delete(clock);
    },
  };
}

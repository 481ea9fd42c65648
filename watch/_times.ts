/** The times that a watcher is given, checked. */

import type { WatchOptions } from "./watcher.ts";

/** The times of a watcher, in milliseconds. */
export interface Times {
  /** How long it has to be quiet before a change is settled. */
  readonly quiet: number;
  /** How long that may be put off. */
  readonly ceiling: number;
  /** What lost carrier is given in single events. */
  readonly events: number;
  /** What lost carrier is given in settled changes. */
  readonly settled: number;
}

/**
 * Reads the times of some options.
 *
 * @param options The options.
 * @throws {RangeError} When one is not a time.
 */
export function timesOf({ quiet = 150, ceiling = 1000, grace = {} }: WatchOptions): Times {
  const one = typeof grace === "number";
  const { events = 0, settled = 1000 } = one ? { events: grace, settled: grace } : grace;
  const times = {
    quiet,
    ceiling,
    ...(one ? { grace } : { "grace.events": events, "grace.settled": settled }),
  };
  for (const [name, value] of Object.entries(times)) {
    if (typeof value === "number" && value >= 0 && Number.isFinite(value)) continue;
    throw new RangeError(`Cannot watch the network: ${name} must be milliseconds from 0, got ${value}`);
  }
  return { quiet, ceiling, events, settled };
}

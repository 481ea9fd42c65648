/** How long a link waits before it connects again. */

import { type Backoff, custom } from "../recover/backoff.ts";

/** The longest wait in an outage of minutes, and in one of hours; in milliseconds. */
const [SOON, LATE] = [2000, 60_000];

/** So many attempts are made soon: two minutes of them, on the average. */
const PATIENT = 120;

/**
 * The waits: from half a second to two at first, so that whoever waits for a broker that was restarted has it two seconds
 * later; doubled up to a minute when it has been away for some two minutes. Each is anything from nothing to that.
 *
 * @param random Where chance comes from, from 0 to below 1.
 */
export function reconnectBackoff(random: () => number): Backoff {
  return custom((attempt) => random() * longest(attempt));
}

function longest(attempt: number): number {
  if (attempt < PATIENT) return Math.min(SOON, 500 * 2 ** attempt);
  return Math.min(LATE, SOON * 2 ** (attempt - PATIENT + 1));
}

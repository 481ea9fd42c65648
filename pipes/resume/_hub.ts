/** What all sessions of a process share: only so many of them look for a connection at once. */

import { orAbort } from "../../recover/_or_abort.ts";

/** How many may look for a connection at the same time. */
const AT_ONCE = 8;

/** From so many sessions on, what the network's return causes is spread over more time. */
const CROWD = 8;

let sessions = 0;
let looking = 0;
const waiting: (() => void)[] = [];

/** Counts a session until disposed. */
export function joinHub(): Disposable {
  sessions++;
  let left = false;
  return {
    [Symbol.dispose]() {
      if (!left) sessions--;
      left = true;
    },
  };
}

/** Over how many milliseconds to spread the attempts that the network's return causes. */
export function wakeSpread(): number {
  return sessions > CROWD ? 200 : 20;
}

/**
 * Does something that only so many sessions do at once.
 *
 * @param work What to do.
 * @param signal Calls the wait for one's turn off.
 */
export async function inTurn<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  await turn(signal);
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else looking--;
  }
}

async function turn(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (looking < AT_ONCE) {
    looking++;
    return;
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  waiting.push(resolve);
  try {
    await orAbort(promise, signal);
  } catch (error) {
    const place = waiting.indexOf(resolve);
    // Whose turn came as he gave up passes it on.
    if (place >= 0) waiting.splice(place, 1);
    else (waiting.shift() ?? (() => looking--))();
    throw error;
  }
}

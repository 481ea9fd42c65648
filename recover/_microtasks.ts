/** A little later, yet before any timer or message. */

/** More than the promises that the runtime puts between the system and a caller. */
const TURNS = 8;

/**
 * Calls back after all promise callbacks that are due have run, and those that follow from them.
 *
 * @param callback What to call.
 */
export function afterMicrotasks(callback: () => void): void {
  let left = TURNS;
  const turn = (): void => {
    if (left-- > 0) queueMicrotask(turn);
    else callback();
  };
  turn();
}

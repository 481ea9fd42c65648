/**
 * How often the network is read while hints pour in: at once, then a few close together, then at an even pace.
 *
 * A change that comes alone is read at once. One amid others waits for the next reading, for half of the even distance on
 * average and all of it at worst: whoever has to know of a change within 10 ms is promised that for those that come alone.
 */

/** Quiet after which a new hint is the first one again, in milliseconds. */
const CALM = 100;
/** How many readings of a burst stand close together. */
const CLOSE_READINGS = 5;
/** The distance between those, in milliseconds. */
const CLOSE_GAP = 2;
/** The distance between later ones, in milliseconds. */
const EVEN_GAP = 20;

/** Says when the next reading is due. */
export class Pace {
  #last = -Infinity;
  #burst = 0;

  /**
   * How long to wait before the next reading.
   *
   * @param now Monotonic time in milliseconds.
   */
  delay(now: number): number {
    if (now - this.#last > CALM) this.#burst = 0;
    const gap = this.#burst < CLOSE_READINGS ? CLOSE_GAP : EVEN_GAP;
    return Math.max(0, this.#last + gap - now);
  }

  /**
   * Notes that a reading was taken.
   *
   * @param now Monotonic time in milliseconds, at its end.
   */
  taken(now: number): void {
    this.#burst++;
    this.#last = now;
  }
}

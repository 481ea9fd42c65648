/** How often the network may wake those who wait for it: a flapping one less and less. */

/** The shortest time between two wakes, in milliseconds; under flapping it doubles, when all is quiet it halves. */
const SHORTEST = 2000;

/** The longest, in milliseconds. */
const LONGEST = 30_000;

/** What comes this soon after a wake, in milliseconds, belongs to the same change: an address, a route, another family. */
const SAME_CHANGE = 500;

/**
 * Decides which changes of the network wake those who wait, and which are held back until later.
 *
 * Pure: time comes in, decisions come out.
 */
export class FlapDamper {
  #interval = SHORTEST;
  #lastWake = -Infinity;
  /** Since when it has been quiet; moves on as the interval shrinks. */
  #quietSince = -Infinity;
  /** Whether a change was held back since the last wake. */
  #owed = false;
  /** Whether one of them was a change of its own. */
  #flapped = false;
  #wakes = 0;

  /** How many wakes there have been. */
  get wakes(): number {
    return this.#wakes;
  }

  /** When a wake that was held back may be made up for; `null` where none was. */
  get owed(): number | null {
    return this.#owed ? this.#lastWake + this.#interval : null;
  }

  /** Something has changed for the better; tells whether to wake now. If not, the wake is owed. */
  change(now: number): boolean {
    this.#relax(now);
    this.#quietSince = now;
    if (now >= this.#lastWake + this.#interval) {
      this.pay(now);
      return true;
    }
    this.#owed = true;
    this.#flapped ||= now - this.#lastWake > SAME_CHANGE;
    return false;
  }

  /** Makes a wake now. */
  pay(now: number): void {
    if (this.#flapped) this.#interval = Math.min(LONGEST, this.#interval * 2);
    this.#flapped = false;
    this.#owed = false;
    this.#lastWake = now;
    this.#wakes++;
  }

  /** Nobody waits any longer, so nothing is owed. */
  forgive(): void {
    this.#owed = false;
  }

  /** Whether the network has been flapping of late. */
  flapping(now: number): boolean {
    this.#relax(now);
    return this.#flapped || this.#interval > SHORTEST;
  }

  #relax(now: number): void {
    while (this.#interval > SHORTEST && now - this.#quietSince >= this.#interval) {
      this.#quietSince += this.#interval;
      this.#interval = Math.max(SHORTEST, this.#interval / 2);
    }
  }
}

/** When to ask whether the other end is still there, and when to doubt it; time comes in, decisions go out. */

/** How long the other end may say nothing while something waits to be acknowledged, at least; in milliseconds. */
const PATIENCE = 2000;

/** A look at the time that comes later than this says more about our own process than about the network. */
const LATE = 100;

/** Watches one carrier after the other. */
export class Liveness {
  readonly #keepalive: number;
  /** When anything was heard last. */
  #heard: number;
  /** Since when something waits to be acknowledged. */
  #since: number;
  /** When it was decided to ask; undefined when no answer is waited for. */
  #asked: number | undefined;
  /** When the question left. */
  #left = 0;
  /** The number of the last question. */
  #number = 0;
  /** Smoothed round-trip time in milliseconds; null before the first answer. */
  srtt: number | null = null;
  /** Whether the other end did not answer in time. */
  suspicious = false;

  /**
   * @param keepalive After how many milliseconds of silence to ask although nothing is waited for; 0 for never.
   * @param now The time.
   */
  constructor(keepalive: number, now: number) {
    this.#keepalive = keepalive;
    this.#heard = now;
    this.#since = now;
  }

  /** A new carrier. */
  begin(now: number): void {
    this.heard(now);
    this.#since = now;
  }

  /** Something came. */
  heard(now: number): void {
    this.#heard = now;
    this.#asked = undefined;
    this.suspicious = false;
  }

  /** Something was sent, and nothing had been waiting to be acknowledged. */
  waiting(now: number): void {
    this.#since = now;
  }

  /** A question is to be sent. */
  ask(now: number): void {
    this.#asked ??= now;
  }

  /** The number of a question that leaves now. */
  leave(now: number): number {
    this.#left = now;
    this.#number = (this.#number + 1) % 2 ** 32;
    return this.#number;
  }

  /** An answer came. */
  answer(number: number, now: number): void {
    if (number !== this.#number || this.#left === 0) return;
    const took = now - this.#left;
    this.#left = 0;
    this.srtt = this.srtt === null ? took : this.srtt + (took - this.srtt) / 8;
  }

  /**
   * When {@linkcode Liveness.tick} has something to decide.
   *
   * @param waits Whether something waits to be acknowledged.
   */
  deadline(waits: boolean): number {
    const patience = Math.max(PATIENCE, 3 * (this.srtt ?? 0));
    if (this.suspicious) return Infinity;
    if (this.#asked !== undefined) return this.#asked + patience;
    if (waits) return Math.max(this.#heard, this.#since) + patience;
    return this.#keepalive > 0 ? this.#heard + this.#keepalive : Infinity;
  }

  /**
   * Decides.
   *
   * @returns `ask` to send a question, `suspect` when one was not answered.
   */
  tick(now: number, waits: boolean): "ask" | "suspect" | undefined {
    const late = now - this.deadline(waits);
    if (late < 0) return undefined;
    if (this.#asked === undefined) {
      this.#asked = now;
      return "ask";
    }
    if (late > LATE) {
      // The process slept, and the answer may be there, unread.
      this.#asked += late + LATE;
      return undefined;
    }
    this.suspicious = true;
    return "suspect";
  }
}

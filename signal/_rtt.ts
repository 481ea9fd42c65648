/** How long an answer takes, and after what time it is taken for lost. Pure. */

/** The shortest retransmission time, in milliseconds. */
export const MIN_RTO = 250;

/** The longest one, in milliseconds. */
export const MAX_RTO = 8_000;

/** Its value before anything was measured, in milliseconds. */
const FIRST_RTO = 1_000;

/** A smoothed round-trip time and its variance, as RFC 6298 has them. */
export class RoundTrips {
  #smoothed: number | undefined;
  #variance = 0;

  /** The smoothed round-trip time in milliseconds, `null` before the first. */
  get smoothed(): number | null {
    return this.#smoothed ?? null;
  }

  /** The retransmission time in milliseconds, without doubling and jitter. */
  get timeout(): number {
    if (this.#smoothed === undefined) return FIRST_RTO;
    return Math.min(MAX_RTO, Math.max(MIN_RTO, this.#smoothed + 4 * this.#variance));
  }

  /** About how long 95 of 100 take: after it a second path is worth a try. */
  get usual(): number {
    return this.#smoothed === undefined
      ? MIN_RTO
      : Math.min(MIN_RTO, this.#smoothed + 2 * this.#variance + 10);
  }

  /**
   * Takes in a round trip; only that of something sent once, for else nobody knows which copy was answered.
   *
   * @param milliseconds How long it took.
   */
  add(milliseconds: number): void {
    if (this.#smoothed === undefined) {
      this.#smoothed = milliseconds;
      this.#variance = milliseconds / 2;
      return;
    }
    this.#variance += (Math.abs(milliseconds - this.#smoothed) - this.#variance) / 4;
    this.#smoothed += (milliseconds - this.#smoothed) / 8;
  }

  /**
   * When to try again.
   *
   * @param attempt How often it was sent already, from 1.
   * @param random From 0 to below 1, drawn once per attempt.
   * @returns Milliseconds.
   */
  retryAfter(attempt: number, random: number): number {
    const doubled = Math.min(MAX_RTO, this.timeout * 2 ** Math.min(attempt - 1, 6));
    return doubled * (0.9 + 0.2 * random);
  }
}

/** How much may be sent: a burst at once, and so many a second in the long run. */

/** What a {@linkcode TokenBucket} lets through. */
export interface TokenRate {
  /** How many a second in the long run. */
  readonly perSecond: number;
  /** How many at once after a time of silence. */
  readonly burst: number;
}

/** Counts what is sent against a rate. */
export class TokenBucket {
  /** What it lets through, `null` for everything. */
  readonly rate: TokenRate | null;
  #tokens: number;
  #at: number;

  /**
   * Makes a full one.
   *
   * @param rate What it lets through, `null` for everything.
   * @param now The monotonic time in milliseconds.
   */
  constructor(rate: TokenRate | null, now: number) {
    this.rate = rate;
    this.#tokens = rate?.burst ?? 0;
    this.#at = now;
  }

  /**
   * Takes one, if there is one.
   *
   * @param now The monotonic time in milliseconds.
   */
  take(now: number): boolean {
    if (this.rate === null) return true;
    const { perSecond, burst } = this.rate;
    this.#tokens = Math.min(burst, this.#tokens + Math.max(0, now - this.#at) * perSecond / 1000);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

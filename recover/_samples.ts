/** The last so many measurements. */

/** Keeps the last measurements, a fixed number of them, and tells their quantiles. */
export class Samples {
  readonly #values: Float64Array;
  #count = 0;

  /**
   * Makes an empty set.
   *
   * @param capacity How many are kept.
   */
  constructor(capacity: number) {
    this.#values = new Float64Array(capacity);
  }

  /** How many there are. */
  get size(): number {
    return Math.min(this.#count, this.#values.length);
  }

  /** Adds one, in place of the oldest where it is full. */
  add(value: number): void {
    this.#values[this.#count++ % this.#values.length] = value;
  }

  /**
   * Tells the value that a part of the measurements does not exceed (nearest rank).
   *
   * @param part From 0 (the smallest) to 1 (the largest).
   * @returns The value, 0 where there is none.
   */
  quantile(part: number): number {
    const sorted = this.#values.slice(0, this.size).sort();
    return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0;
  }
}

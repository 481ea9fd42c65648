/** Memory that all pipes of the process use by turns: to make it anew costs as much as to read or write what goes in. */

/** Buffers of one size, a bounded number of them. */
export class BufferPool {
  /** Bytes of each. */
  readonly size: number;
  readonly #most: number;
  readonly #free: Uint8Array<ArrayBuffer>[] = [];
  /** How many are in use. */
  lent = 0;

  /**
   * @param size Bytes of each.
   * @param most How many may be in use at once.
   */
  constructor(size: number, most: number) {
    this.size = size;
    this.#most = most;
  }

  /** Gives one, with whatever was in it last; undefined where all are in use. Each has to come back, or to be forgotten. */
  borrow(): Uint8Array<ArrayBuffer> | undefined {
    if (this.lent === this.#most) return undefined;
    this.lent++;
    return this.#free.pop() ?? new Uint8Array(this.size);
  }

  /** Takes one back, which nobody may touch from now on. */
  giveBack(buffer: Uint8Array<ArrayBuffer>): void {
    this.lent--;
    this.#free.push(buffer);
  }

  /** Does without one that somebody may still write into, or read from. */
  forget(): void {
    this.lent--;
  }
}

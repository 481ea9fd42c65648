/** Memory that all pipes of the process use by turns: to make it anew costs as much as to read or write what goes in. */

/** Buffers of one size, a bounded number of them. */
export class BufferPool {
  /** Bytes of each. */
  readonly size: number;
  readonly #most: number;
  readonly #free: Uint8Array<ArrayBuffer>[] = [];
  readonly #lent = new Set<Uint8Array<ArrayBufferLike>>();

  /**
   * @param size Bytes of each.
   * @param most How many may be in use at once.
   */
  constructor(size: number, most: number) {
    this.size = size;
    this.#most = most;
  }

  /** How many are in use. */
  get lent(): number {
    return this.#lent.size;
  }

  /** Gives one, with whatever was in it last; undefined where all are in use. */
  borrow(): Uint8Array<ArrayBuffer> | undefined {
    if (this.#lent.size === this.#most) return undefined;
    const buffer = this.#free.pop() ?? new Uint8Array(this.size);
    this.#lent.add(buffer);
    return buffer;
  }

  /** Takes one back, which nobody may touch from now on; one that is not from here is left alone. */
  giveBack(buffer: Uint8Array<ArrayBufferLike>): void {
    if (this.#lent.delete(buffer)) this.#free.push(buffer as Uint8Array<ArrayBuffer>);
  }

  /** Does without one that somebody may still write into, or read from. */
  forget(buffer: Uint8Array<ArrayBufferLike>): void {
    this.#lent.delete(buffer);
  }
}

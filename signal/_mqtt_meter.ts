/** Looks at the sizes of MQTT packets as they come, so that none can fill the memory before it is complete. */

/** Follows the fixed headers in a stream of bytes, however it is cut (MQTT 5.0 section 2.1.1, the same in 3.1.1). */
export class PacketMeter {
  readonly #max: number;
  /** How many bytes of the packet's body are still to come. */
  #body = 0;
  /** How many bytes of the header are there: 0 none, 1 the type, and so on. */
  #header = 0;
  #length = 0;
  #packets = 0;

  /**
   * Makes one at the beginning of a stream.
   *
   * @param max The most bytes that a packet may have after its header.
   */
  constructor(max: number) {
    this.#max = max;
  }

  /** How many headers have been seen. */
  get packets(): number {
    return this.#packets;
  }

  /**
   * Takes the next bytes.
   *
   * @param chunk Any number of them.
   * @returns What is wrong with the packet that begins in them, `null` where nothing is. Then it is not to be used any more.
   */
  push(chunk: Uint8Array): string | null {
    for (let at = 0; at < chunk.length;) {
      if (this.#body > 0) {
        const skipped = Math.min(this.#body, chunk.length - at);
        this.#body -= skipped;
        at += skipped;
        continue;
      }
      const wrong = this.#take(chunk[at++] ?? 0);
      if (wrong !== null) return wrong;
    }
    return null;
  }

  #take(byte: number): string | null {
    if (this.#header++ === 0) {
      this.#length = 0;
      return null;
    }
    this.#length += (byte & 0x7f) * 128 ** (this.#header - 2);
    if ((byte & 0x80) !== 0) {
      return this.#header > 4 ? "the length of a packet has more than four bytes" : null;
    }
    this.#header = 0;
    this.#packets++;
    if (this.#length > this.#max) return `a packet has ${this.#length} bytes, and ${this.#max} are allowed`;
    this.#body = this.#length;
    return null;
  }
}

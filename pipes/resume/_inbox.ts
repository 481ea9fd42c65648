/** What was received and waits for the application. */

import { borrowChunk, type Chunk, dropChunk, LARGE } from "./_chunks.ts";

/** Bytes in order; those that are read while they come are copied only once. */
export class Inbox {
  #chunks: Chunk[] = [];
  /** Bytes that came just now and lie in memory of the carrier, and which of them. */
  #fresh: Uint8Array | undefined;
  #from = 0;
  #to = 0;
  /** How many bytes wait. */
  length = 0;

  /** Bytes of memory that it holds. */
  get memory(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0);
  }

  /**
   * Takes bytes in.
   *
   * @param bytes Where they are; the caller's again when this returns.
   * @param from Where in there they begin.
   * @param to Where they end.
   * @param offer Called where nothing else waits, so that the bytes can be read without being kept before.
   */
  add(bytes: Uint8Array, from: number, to: number, offer: (() => void) | undefined): void {
    this.length += to - from;
    if (this.#chunks.length > 0 || !offer) return this.#keep(bytes, from, to);
    this.#fresh = bytes;
    this.#from = from;
    this.#to = to;
    offer();
    // Whoever ended the session while he was offered the bytes has taken them away.
    if (this.#fresh && this.#from < to) this.#keep(bytes, this.#from, to);
    this.#fresh = undefined;
  }

  /**
   * Hands bytes out.
   *
   * @param into Where to.
   * @returns How many.
   */
  read(into: Uint8Array): number {
    let at = 0;
    while (at < into.length) {
      const chunk = this.#chunks[0];
      if (!chunk) break;
      const size = Math.min(into.length - at, chunk.end - chunk.begin);
      into.set(chunk.bytes.subarray(chunk.begin, chunk.begin + size), at);
      at += size;
      chunk.begin += size;
      if (chunk.begin < chunk.end) break;
      this.#chunks.shift();
      dropChunk(chunk);
    }
    if (this.#fresh && at < into.length) {
      const end = Math.min(this.#to, this.#from + into.length - at);
      into.set(this.#fresh.subarray(this.#from, end), at);
      at += end - this.#from;
      this.#from = end;
    }
    this.length -= at;
    return at;
  }

  /** Calls with all bytes, in order; they go on waiting. */
  peek(each: (bytes: Uint8Array) => void): void {
    for (const { bytes, begin, end } of this.#chunks) each(bytes.subarray(begin, end));
    if (this.#fresh) each(this.#fresh.subarray(this.#from, this.#to));
  }

  /** Forgets everything. */
  clear(): void {
    for (const chunk of this.#chunks) dropChunk(chunk);
    this.#chunks = [];
    this.#fresh = undefined;
    this.length = 0;
  }

  #keep(bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    while (at < to) {
      let chunk = this.#chunks.at(-1);
      if (!chunk || chunk.end === chunk.bytes.length) {
        chunk = borrowChunk(0, this.#chunks.length > 0 ? LARGE : to - from);
        this.#chunks.push(chunk);
      }
      const size = Math.min(to - at, chunk.bytes.length - chunk.end);
      chunk.bytes.set(bytes.subarray(at, at + size), chunk.end);
      chunk.end += size;
      at += size;
    }
  }
}

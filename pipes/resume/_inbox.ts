/** What was received and waits for the application. */

import { borrowChunk, type Chunk, dropChunk, LARGE } from "./_chunks.ts";
import { copy } from "../_copy.ts";

/** Bytes in order; those that are read while they come are copied only once. */
export class Inbox {
  #chunks: Chunk[] = [];
  /** Memory of the carrier that bytes came in just now, and from where to where they lie there, by turns. */
  #fresh: Uint8Array | undefined;
  readonly #places: number[] = [];
  /** The first of those places that was not read. */
  #place = 0;
  /** How many bytes wait. */
  length = 0;

  /** Bytes of memory that it holds. */
  get memory(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0);
  }

  /**
   * Takes bytes in. They can be read at once, and have to stay as they are until {@linkcode Inbox.keep} is called.
   *
   * @param bytes Where they are; the same for all calls before `keep`.
   * @param from Where in there they begin.
   * @param to Where they end.
   */
  add(bytes: Uint8Array, from: number, to: number): void {
    this.length += to - from;
    this.#fresh = bytes;
    this.#places.push(from, to);
  }

  /** Copies what was taken in and not read. */
  keep(): void {
    const places = this.#places;
    const fresh = this.#fresh;
    if (!fresh) return;
    for (let n = this.#place; n < places.length; n += 2) {
      this.#copy(fresh, places[n] ?? 0, places[n + 1] ?? 0);
    }
    this.#forget();
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
      copy(into, at, chunk.bytes, chunk.begin, chunk.begin + size);
      at += size;
      chunk.begin += size;
      if (chunk.begin < chunk.end) break;
      this.#chunks.shift();
      dropChunk(chunk);
    }
    if (this.#fresh) at = this.#readFresh(this.#fresh, into, at);
    this.length -= at;
    return at;
  }

  /** Calls with all bytes, in order; they go on waiting. */
  peek(each: (bytes: Uint8Array) => void): void {
    for (const { bytes, begin, end } of this.#chunks) each(bytes.subarray(begin, end));
    const places = this.#places;
    for (let n = this.#place; n < places.length; n += 2) {
      if (this.#fresh) each(this.#fresh.subarray(places[n], places[n + 1]));
    }
  }

  /** Forgets everything. */
  clear(): void {
    for (const chunk of this.#chunks) dropChunk(chunk);
    this.#chunks = [];
    this.#forget();
    this.length = 0;
  }

  #forget(): void {
    this.#fresh = undefined;
    this.#places.length = 0;
    this.#place = 0;
  }

  /** Goes on to fill a buffer; says how full it is. */
  #readFresh(fresh: Uint8Array, into: Uint8Array, begin: number): number {
    const places = this.#places;
    let at = begin;
    while (at < into.length && this.#place < places.length) {
      const from = places[this.#place] ?? 0;
      const to = places[this.#place + 1] ?? 0;
      const end = Math.min(to, from + into.length - at);
      copy(into, at, fresh, from, end);
      at += end - from;
      places[this.#place] = end;
      if (end === to) this.#place += 2;
    }
    return at;
  }

  #copy(bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    while (at < to) {
      let chunk = this.#chunks.at(-1);
      if (!chunk || chunk.end === chunk.bytes.length) {
        chunk = borrowChunk(0, this.#chunks.length > 0 ? LARGE : to - from);
        this.#chunks.push(chunk);
      }
      const size = Math.min(to - at, chunk.bytes.length - chunk.end);
      copy(chunk.bytes, chunk.end, bytes, at, at + size);
      chunk.end += size;
      at += size;
    }
  }
}

/** What was sent and not acknowledged: kept once, as the frames that went over the wire, so that it can go there again. */

import { borrowChunk, type Chunk, dropChunk, LARGE } from "./_chunks.ts";
import { copy } from "../_copy.ts";
import { FRAME, HEADER, MAX_PAYLOAD, readHeader, writeHeader } from "./_frames.ts";

/** In a rest of a chunk that is smaller, only what fits whole begins a frame. */
const REST = 4096;

/** The bytes of one direction from the first that is not acknowledged to the last that was written. */
export class ReplayStore {
  readonly #most: number;
  /** From the oldest to the newest; each holds whole frames. */
  #chunks: Chunk[] = [];
  /** Where the header of the frame that takes more bytes begins, in the newest chunk; -1 if none does. */
  #open = -1;
  /** The chunk that is sent next, counted from the oldest. */
  #next = 0;
  /** Where in that chunk. */
  #at = 0;
  /** The position after the last byte that was written. */
  #end: number;
  /** Whose bytes were taken last. */
  #lent: Chunk | undefined;
  /** The position that was taken up to. */
  taken: number;

  /**
   * @param position The position of the first byte.
   * @param window How many bytes it will be given before they are acknowledged.
   */
  constructor(position: number, window: number) {
    this.#end = this.taken = position;
    this.#most = Math.ceil(window / 65_536) + 2;
  }

  /** The position after the last byte that was written. */
  get end(): number {
    return this.#end;
  }

  /** Bytes of memory that it holds. */
  get memory(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0);
  }

  /**
   * Takes bytes in.
   *
   * @param data The bytes; the caller's again when this returns.
   * @returns How many it had room for.
   */
  write(data: Uint8Array): number {
    let taken = 0;
    while (taken < data.length) {
      const left = data.length - taken;
      const chunk = this.#room(left);
      if (!chunk) break;
      if (this.#open < 0) {
        this.#open = chunk.end;
        chunk.end += HEADER;
      }
      const inFrame = chunk.end - this.#open - HEADER;
      const size = Math.min(left, chunk.bytes.length - chunk.end, MAX_PAYLOAD - inFrame);
      copy(chunk.bytes, chunk.end, data, taken, taken + size);
      chunk.end += size;
      taken += size;
      this.#end += size;
      if (inFrame + size === MAX_PAYLOAD) this.#seal();
    }
    return taken;
  }

  /** The next bytes of wire that were not given yet; undefined when there are none. */
  take(): Uint8Array<ArrayBuffer> | undefined {
    const last = this.#chunks.length - 1;
    let chunk = this.#chunks[this.#next];
    if (chunk && this.#at === chunk.end && this.#next < last) {
      chunk = this.#chunks[++this.#next];
      this.#at = 0;
    }
    if (!chunk || this.#at === chunk.end) return undefined;
    if (this.#next === last) this.#seal();
    const bytes = chunk.bytes.subarray(this.#at, chunk.end);
    this.#at = chunk.end;
    this.#lent = chunk;
    this.taken = this.#chunks[this.#next + 1]?.first ?? this.#end;
    return bytes;
  }

  /** Gives the chunk whose bytes were taken last to who reads them: they stay as they are until he releases it. */
  lend(): Chunk | undefined {
    const chunk = this.#lent;
    this.#lent = undefined;
    if (chunk) chunk.readers++;
    return chunk;
  }

  /**
   * Forgets what was acknowledged.
   *
   * @param position Everything before it.
   */
  acknowledge(position: number): void {
    const chunks = this.#chunks;
    let done = 0;
    while (done < chunks.length && (chunks[done + 1]?.first ?? this.#end) <= position) done++;
    if (done === 0) return;
    for (let n = 0; n < done; n++) dropChunk(chunks[n] as Chunk);
    if (done === chunks.length) this.#open = -1;
    this.#chunks = chunks.slice(done);
    this.#next -= done;
    if (this.#next < 0) {
      this.#next = 0;
      this.#at = 0;
      // What was to be sent again has arrived all the same.
      this.taken = this.#chunks[0]?.first ?? this.#end;
    }
  }

  /**
   * Sends again, from the frame on that holds a position.
   *
   * @param position From the first byte kept to the end.
   */
  rewind(position: number): void {
    this.#seal();
    const chunks = this.#chunks;
    this.#next = 0;
    this.#at = 0;
    while ((chunks[this.#next + 1]?.first ?? Infinity) <= position) this.#next++;
    const chunk = chunks[this.#next];
    this.taken = this.#end;
    while (chunk && this.#at < chunk.end) {
      const { length, offset } = readHeader(chunk.bytes, this.#at);
      this.taken = offset;
      if (offset + length > position) return;
      this.taken = offset + length;
      this.#at += HEADER + length;
    }
  }

  /** Calls with all bytes from a position on, in order. */
  read(position: number, each: (bytes: Uint8Array) => void): void {
    this.#seal();
    for (const { bytes, end } of this.#chunks) {
      for (let at = 0; at < end;) {
        const { length, offset } = readHeader(bytes, at);
        const from = at + HEADER + Math.max(0, position - offset);
        at += HEADER + length;
        if (from < at) each(bytes.subarray(from, at));
      }
    }
  }

  /** Forgets everything. */
  clear(): void {
    for (const chunk of this.#chunks) dropChunk(chunk);
    this.#chunks = [];
    this.#open = -1;
    this.#next = 0;
    this.#at = 0;
  }

  /** The chunk where the next bytes go; undefined when there are too many. */
  #room(size: number): Chunk | undefined {
    const last = this.#chunks.at(-1);
    if (last) {
      const rest = last.bytes.length - last.end - (this.#open < 0 ? HEADER : 0);
      if (rest >= Math.min(size, REST)) return last;
      this.#seal();
      if (this.#chunks.length >= this.#most) return undefined;
    }
    const chunk = borrowChunk(this.#end, last ? LARGE : size);
    this.#chunks.push(chunk);
    return chunk;
  }

  /** Ends the frame that takes more bytes. */
  #seal(): void {
    const chunk = this.#chunks.at(-1);
    if (this.#open < 0 || !chunk) return;
    const length = chunk.end - this.#open - HEADER;
    writeHeader(chunk.bytes, this.#open, { type: FRAME.data, length, offset: this.#end - length });
    this.#open = -1;
  }
}

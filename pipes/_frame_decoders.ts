/** What takes messages out of a stream of bytes. */

import { copy } from "./_copy.ts";
import type { FrameDecoder } from "./framing.ts";
import { PipeError } from "./pipe_error.ts";

/** What an incomplete message of known length costs at the most before much of it has come. */
const BEGUN = 4096;

/** How lengths in front of messages are read. */
export interface CountedOptions {
  /** What it is called in errors. */
  readonly name: string;
  /** The bytes of a length. */
  readonly bytes: number;
  /** The longest message. */
  readonly max: number;
  /** Whether its least significant byte comes first. */
  readonly littleEndian: boolean;
}

/** How messages that have an end are told apart. */
export interface DelimitedOptions {
  /** What it is called in errors. */
  readonly name: string;
  /** What each message ends with. */
  readonly end: Uint8Array;
  /** The longest message, without its end. */
  readonly max: number;
  /** What is made of each. */
  readonly trim: (message: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>;
}

/** Messages with their length in front. */
export class CountedDecoder implements FrameDecoder {
  readonly #options: CountedOptions;
  readonly #pending = new Pending();
  /** The number so far, and how many of its bytes have come. */
  #size = 0;
  #sizeBytes = 0;

  constructor(options: CountedOptions) {
    this.#options = options;
  }

  push(chunk: Uint8Array<ArrayBuffer>): readonly Uint8Array<ArrayBuffer>[] {
    const { bytes, max, name } = this.#options;
    const messages: Uint8Array<ArrayBuffer>[] = [];
    let at = 0;
    while (true) {
      while (this.#sizeBytes < bytes && at < chunk.length) this.#count(chunk[at++] ?? 0);
      if (this.#sizeBytes < bytes) return messages;
      if (this.#size > max) {
        throw broken(`a message of ${this.#size} bytes was announced, and ${max} are allowed (${name})`);
      }
      const missing = this.#size - this.#pending.length;
      // It costs less than `subarray()`, which asks what to make.
      const part = new Uint8Array(chunk.buffer, chunk.byteOffset + at, Math.min(missing, chunk.length - at));
      at += part.length;
      const whole = part.length === missing;
      if (!whole || this.#pending.length > 0) this.#pending.add(part, this.#size);
      if (!whole) return messages;
      messages.push(this.#pending.length > 0 ? this.#pending.take() : part);
      this.#size = 0;
      this.#sizeBytes = 0;
    }
  }

  end(): readonly Uint8Array<ArrayBuffer>[] {
    if (this.#sizeBytes === 0) return [];
    const { bytes, name } = this.#options;
    const missing = this.#sizeBytes < bytes
      ? "in the middle of a length"
      : `${this.#size - this.#pending.length} bytes before the end of a message`;
    throw broken(`the stream ended ${missing} (${name})`);
  }

  pending(): Uint8Array<ArrayBuffer> {
    const { littleEndian, bytes } = this.#options;
    const all = new Uint8Array(this.#sizeBytes + this.#pending.length);
    for (let at = 0; at < this.#sizeBytes; at++) {
      const power = littleEndian ? at : this.#sizeBytes - 1 - at;
      all[at] = Math.floor(this.#size / 256 ** power) % 256;
    }
    if (this.#sizeBytes === bytes) all.set(this.#pending.bytes, bytes);
    return all;
  }

  #count(byte: number): void {
    const { littleEndian } = this.#options;
    this.#size = littleEndian ? this.#size + byte * 256 ** this.#sizeBytes : this.#size * 256 + byte;
    this.#sizeBytes++;
  }
}

/** Messages that end with the same bytes. */
export class DelimitedDecoder implements FrameDecoder {
  readonly #options: DelimitedOptions;
  readonly #pending = new Pending();

  constructor(options: DelimitedOptions) {
    this.#options = options;
  }

  push(chunk: Uint8Array<ArrayBuffer>): readonly Uint8Array<ArrayBuffer>[] {
    const { end, trim } = this.#options;
    const messages: Uint8Array<ArrayBuffer>[] = [];
    let rest = chunk;
    // The end may lie across the border of two chunks: the search begins a little before it.
    let from = 0;
    if (this.#pending.length > 0) {
      from = Math.max(0, this.#pending.length - end.length + 1);
      this.#pending.add(chunk);
      if (indexOf(this.#pending.bytes, end, from) < 0) {
        this.#check(this.#pending.length);
        return messages;
      }
      rest = this.#pending.take();
    }
    let begin = 0;
    for (let at = indexOf(rest, end, from); at >= 0; at = indexOf(rest, end, begin)) {
      this.#check(at - begin);
      messages.push(trim(rest.subarray(begin, at)));
      begin = at + end.length;
    }
    this.#check(rest.length - begin);
    if (begin < rest.length) this.#pending.add(rest.subarray(begin));
    return messages;
  }

  end(): readonly Uint8Array<ArrayBuffer>[] {
    return this.#pending.length === 0 ? [] : [this.#options.trim(this.#pending.take())];
  }

  pending(): Uint8Array<ArrayBuffer> {
    return this.#pending.bytes.slice();
  }

  /** A part of the end may have come already, so as much more is allowed. */
  #check(length: number): void {
    const { end, max, name } = this.#options;
    if (length > max + end.length) throw broken(`a message is longer than ${max} bytes (${name})`);
  }
}

/** Messages of one length. */
export class FixedDecoder implements FrameDecoder {
  readonly #name: string;
  readonly #size: number;
  readonly #pending = new Pending();

  constructor(name: string, size: number) {
    this.#name = name;
    this.#size = size;
  }

  push(chunk: Uint8Array<ArrayBuffer>): readonly Uint8Array<ArrayBuffer>[] {
    const messages: Uint8Array<ArrayBuffer>[] = [];
    let at = 0;
    if (this.#pending.length > 0) {
      at = Math.min(chunk.length, this.#size - this.#pending.length);
      this.#pending.add(chunk.subarray(0, at), this.#size);
      if (this.#pending.length < this.#size) return messages;
      messages.push(this.#pending.take());
    }
    for (; at + this.#size <= chunk.length; at += this.#size) {
      messages.push(chunk.subarray(at, at + this.#size));
    }
    if (at < chunk.length) this.#pending.add(chunk.subarray(at), this.#size);
    return messages;
  }

  end(): readonly Uint8Array<ArrayBuffer>[] {
    if (this.#pending.length === 0) return [];
    throw broken(`the stream ended after ${this.#pending.length} bytes of ${this.#size} (${this.#name})`);
  }

  pending(): Uint8Array<ArrayBuffer> {
    return this.#pending.bytes.slice();
  }
}

/** Where the bytes are found first, from a place on; -1 where they are not. */
export function indexOf(bytes: Uint8Array, part: Uint8Array, from: number): number {
  const first = part[0] ?? 0;
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1)) {
    let same = 1;
    while (same < part.length && bytes[at + same] === part[same]) same++;
    if (same === part.length) return at;
  }
  return -1;
}

const NOTHING = new Uint8Array();

/** Bytes that wait for more, in a buffer that grows with what has come and hardly by what was announced. */
class Pending {
  #buffer = NOTHING;
  length = 0;

  /**
   * @param chunk What has come.
   * @param whole How much it will be altogether, where that is known.
   */
  add(chunk: Uint8Array, whole: number = Infinity): void {
    const needed = this.length + chunk.length;
    if (needed > this.#buffer.length) {
      const ahead = whole === Infinity ? 2 * needed : Math.min(whole, Math.max(BEGUN, 4 * needed));
      const larger = new Uint8Array(ahead);
      copy(larger, 0, this.bytes);
      this.#buffer = larger;
    }
    copy(this.#buffer, this.length, chunk);
    this.length = needed;
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.length);
  }

  /** Gives the bytes away. */
  take(): Uint8Array<ArrayBuffer> {
    const { bytes } = this;
    this.#buffer = NOTHING;
    this.length = 0;
    return bytes;
  }
}

function broken(why: string): PipeError {
  return new PipeError(`Cannot receive: ${why}`, { code: "protocol", operation: "receive" });
}

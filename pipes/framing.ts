/** Messages on a stream of bytes: where one ends and the next begins. All of it is pure. */

import { PipeError } from "./pipe_error.ts";

/** Takes messages out of the bytes of one connection. */
export interface FrameDecoder {
  /**
   * Takes the next bytes, cut wherever the network cut them.
   *
   * @param chunk The bytes; the decoder may keep them.
   * @returns The messages that are complete now; they may share memory with the chunk.
   * @throws {PipeError} With code `"protocol"` when the bytes break the rules; the decoder is of no more use then.
   */
  push(chunk: Uint8Array<ArrayBuffer>): readonly Uint8Array<ArrayBuffer>[];
  /**
   * Says that no more will come.
   *
   * @returns What is left and counts as a message, for example a last line without its end.
   * @throws {PipeError} With code `"protocol"` when it ends in the middle of a message.
   */
  end(): readonly Uint8Array<ArrayBuffer>[];
}

/** A way to put messages on a stream. */
export interface Framer {
  /** Its name, for messages. */
  readonly name: string;
  /**
   * What stands before a message and after it.
   *
   * @param data The message.
   * @returns The two; empty where there is nothing.
   * @throws {RangeError} When the message cannot be framed, for example because it is too long.
   */
  wrap(data: Uint8Array): { readonly head: Uint8Array; readonly tail: Uint8Array };
  /** Makes a decoder for one connection. */
  decoder(): FrameDecoder;
}

/** How {@linkcode lengthPrefix} counts. */
export interface LengthPrefixOptions {
  /**
   * The bytes of the number in front of each message.
   *
   * @default {4}
   */
  readonly bytes?: 1 | 2 | 4;
  /**
   * Whether its least significant byte comes first.
   *
   * @default {false}
   */
  readonly littleEndian?: boolean;
  /**
   * The longest message in bytes.
   *
   * @default {16 * 1024 * 1024}
   */
  readonly max?: number;
}

/** What {@linkcode lines} and {@linkcode delimiter} take. */
export interface DelimiterOptions {
  /**
   * The longest message in bytes, without its end.
   *
   * @default {1024 * 1024}
   */
  readonly max?: number;
}

const NOTHING = new Uint8Array();
const MAX_MESSAGE = 16 * 1024 * 1024;
const MAX_LINE = 1024 * 1024;

/**
 * Each message has its length in front of it, as a number of a fixed size.
 *
 * A length beyond `max`, which a negative one is as well, is refused before anything is kept for it.
 *
 * @param options The number's size and order, and the limit.
 * @returns The framer.
 *
 * @example
 * ```ts
 * import { lengthPrefix } from "@holdfast/net/pipes";
 * import { assertEquals } from "@std/assert";
 *
 * const decoder = lengthPrefix({ bytes: 1 }).decoder();
 * assertEquals(decoder.push(new Uint8Array([2, 7])), []);
 * assertEquals(decoder.push(new Uint8Array([8, 0])), [new Uint8Array([7, 8]), new Uint8Array()]);
 * ```
 */
export function lengthPrefix(options: LengthPrefixOptions = {}): Framer {
  const { bytes = 4, littleEndian = false } = options;
  if (bytes !== 1 && bytes !== 2 && bytes !== 4) {
    throw new RangeError(`Cannot frame by length: bytes must be 1, 2 or 4, got ${bytes}`);
  }
  const most = 2 ** (8 * bytes) - 1;
  const max = checkedMax("frame by length", options.max ?? Math.min(MAX_MESSAGE, most));
  const name = "length prefix";
  return {
    name,
    wrap(data) {
      checkLength(name, data, Math.min(max, most));
      const head = new Uint8Array(bytes);
      for (let i = 0; i < bytes; i++) head[littleEndian ? i : bytes - 1 - i] = data.length / 256 ** i;
      return { head, tail: NOTHING };
    },
    decoder: () => new CountedDecoder(name, bytes, max, littleEndian),
  };
}

/**
 * Each message is a line: text that ends with LF, with or without CR before it. What is received has no line end.
 *
 * @param options The limit.
 * @returns The framer; it refuses to send a message with a line end in it.
 */
export function lines(options: DelimiterOptions = {}): Framer {
  const max = checkedMax("frame by lines", options.max ?? MAX_LINE);
  return delimited("lines", new Uint8Array([10]), max, (line) => {
    return line.at(-1) === 13 ? line.subarray(0, -1) : line;
  });
}

/**
 * Each message ends with the same bytes.
 *
 * @param end The bytes, or text; at least one byte.
 * @param options The limit.
 * @returns The framer; it refuses to send a message with those bytes in it.
 */
export function delimiter(end: Uint8Array | string, options: DelimiterOptions = {}): Framer {
  const bytes = typeof end === "string" ? new TextEncoder().encode(end) : end.slice();
  if (bytes.length === 0) throw new RangeError("Cannot frame by delimiter: it is empty");
  const max = checkedMax("frame by delimiter", options.max ?? MAX_LINE);
  return delimited("delimiter", bytes, max, (message) => message);
}

/**
 * All messages have the same length.
 *
 * @param size Bytes of each message.
 * @returns The framer; it refuses to send a message of another length.
 */
export function fixed(size: number): Framer {
  checkedMax("frame by size", size);
  const name = "fixed size";
  return {
    name,
    wrap(data) {
      if (data.length === size) return { head: NOTHING, tail: NOTHING };
      throw new RangeError(`Cannot send: each message has ${size} bytes, got ${data.length}`);
    },
    decoder: () => new FixedDecoder(name, size),
  };
}

function checkedMax(operation: string, max: number): number {
  if (Number.isInteger(max) && max >= 1 && max <= 2 ** 31 - 1) return max;
  throw new RangeError(
    `Cannot ${operation}: the size must be a whole number from 1 to 2147483647, got ${max}`,
  );
}

function checkLength(name: string, data: Uint8Array, max: number): void {
  if (data.length <= max) return;
  throw new RangeError(`Cannot send: a message may have ${max} bytes by ${name}, got ${data.length}`);
}

function broken(why: string): PipeError {
  return new PipeError(`Cannot receive: ${why}`, { code: "protocol", operation: "receive" });
}

function delimited(
  name: string,
  end: Uint8Array,
  max: number,
  trim: (message: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>,
): Framer {
  return {
    name,
    wrap(data) {
      checkLength(name, data, max);
      if (indexOf(data, end, 0) >= 0) {
        throw new RangeError(`Cannot send: the message contains its own end (${name})`);
      }
      return { head: NOTHING, tail: end };
    },
    decoder: () => new DelimitedDecoder(name, end, max, trim),
  };
}

/** Bytes that wait for more, in a buffer that grows with what has come and never by what was announced. */
class Pending {
  #buffer = NOTHING;
  length = 0;

  add(chunk: Uint8Array): void {
    const needed = this.length + chunk.length;
    if (needed > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.#buffer.length));
      larger.set(this.bytes);
      this.#buffer = larger;
    }
    this.#buffer.set(chunk, this.length);
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

class CountedDecoder implements FrameDecoder {
  readonly #name: string;
  readonly #bytes: number;
  readonly #max: number;
  readonly #littleEndian: boolean;
  readonly #pending = new Pending();
  /** The number so far, and how many of its bytes have come. */
  #size = 0;
  #sizeBytes = 0;

  constructor(name: string, bytes: number, max: number, littleEndian: boolean) {
    this.#name = name;
    this.#bytes = bytes;
    this.#max = max;
    this.#littleEndian = littleEndian;
  }

  push(chunk: Uint8Array<ArrayBuffer>): readonly Uint8Array<ArrayBuffer>[] {
    const messages: Uint8Array<ArrayBuffer>[] = [];
    let at = 0;
    while (true) {
      while (this.#sizeBytes < this.#bytes && at < chunk.length) this.#count(chunk[at++] ?? 0);
      if (this.#sizeBytes < this.#bytes) return messages;
      if (this.#size > this.#max) {
        throw broken(
          `a message of ${this.#size} bytes was announced, and ${this.#max} are allowed (${this.#name})`,
        );
      }
      const missing = this.#size - this.#pending.length;
      const part = chunk.subarray(at, at + missing);
      at += part.length;
      const whole = part.length === missing;
      if (!whole || this.#pending.length > 0) this.#pending.add(part);
      if (!whole) return messages;
      messages.push(this.#pending.length > 0 ? this.#pending.take() : part);
      this.#size = 0;
      this.#sizeBytes = 0;
    }
  }

  end(): readonly Uint8Array<ArrayBuffer>[] {
    if (this.#sizeBytes === 0) return [];
    const missing = this.#sizeBytes < this.#bytes
      ? "in the middle of a length"
      : `${this.#size - this.#pending.length} bytes before the end of a message`;
    throw broken(`the stream ended ${missing} (${this.#name})`);
  }

  #count(byte: number): void {
    this.#size = this.#littleEndian ? this.#size + byte * 256 ** this.#sizeBytes : this.#size * 256 + byte;
    this.#sizeBytes++;
  }
}

class DelimitedDecoder implements FrameDecoder {
  readonly #name: string;
  readonly #end: Uint8Array;
  readonly #max: number;
  readonly #trim: (message: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>;
  readonly #pending = new Pending();

  constructor(
    name: string,
    end: Uint8Array,
    max: number,
    trim: (message: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>,
  ) {
    this.#name = name;
    this.#end = end;
    this.#max = max;
    this.#trim = trim;
  }

  push(chunk: Uint8Array<ArrayBuffer>): readonly Uint8Array<ArrayBuffer>[] {
    const messages: Uint8Array<ArrayBuffer>[] = [];
    let rest = chunk;
    // The end may lie across the border of two chunks: the search begins a little before it.
    let from = 0;
    if (this.#pending.length > 0) {
      from = Math.max(0, this.#pending.length - this.#end.length + 1);
      this.#pending.add(chunk);
      if (indexOf(this.#pending.bytes, this.#end, from) < 0) {
        this.#check(this.#pending.length);
        return messages;
      }
      rest = this.#pending.take();
    }
    for (let at = indexOf(rest, this.#end, from); at >= 0; at = indexOf(rest, this.#end, 0)) {
      this.#check(at);
      messages.push(this.#trim(rest.subarray(0, at)));
      rest = rest.subarray(at + this.#end.length);
    }
    this.#check(rest.length);
    if (rest.length > 0) this.#pending.add(rest);
    return messages;
  }

  end(): readonly Uint8Array<ArrayBuffer>[] {
    return this.#pending.length === 0 ? [] : [this.#trim(this.#pending.take())];
  }

  /** A part of the end may have come already, so as much more is allowed. */
  #check(length: number): void {
    if (length <= this.#max + this.#end.length) return;
    throw broken(`a message is longer than ${this.#max} bytes (${this.#name})`);
  }
}

class FixedDecoder implements FrameDecoder {
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
      this.#pending.add(chunk.subarray(0, at));
      if (this.#pending.length < this.#size) return messages;
      messages.push(this.#pending.take());
    }
    for (; at + this.#size <= chunk.length; at += this.#size) {
      messages.push(chunk.subarray(at, at + this.#size));
    }
    this.#pending.add(chunk.subarray(at));
    return messages;
  }

  end(): readonly Uint8Array<ArrayBuffer>[] {
    if (this.#pending.length === 0) return [];
    throw broken(`the stream ended after ${this.#pending.length} bytes of ${this.#size} (${this.#name})`);
  }
}

/** Where the bytes are found first, from a place on; -1 where they are not. */
function indexOf(bytes: Uint8Array, part: Uint8Array, from: number): number {
  const first = part[0] ?? 0;
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1)) {
    let same = 1;
    while (same < part.length && bytes[at + same] === part[same]) same++;
    if (same === part.length) return at;
  }
  return -1;
}

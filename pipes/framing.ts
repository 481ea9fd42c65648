/** Messages on a stream of bytes: where one ends and the next begins. All of it is pure. */

import { copy } from "./_copy.ts";
import { CountedDecoder, DelimitedDecoder, FixedDecoder, indexOf } from "./_frame_decoders.ts";
import { type Filling, inPlace } from "./_in_place.ts";

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
  /**
   * What has come of a message that is not complete, as it came. Sessions can be kept for another process only where it is there.
   *
   * @returns The bytes, a copy; empty where there are none.
   */
  pending?(): Uint8Array<ArrayBuffer>;
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
  const count = (data: Uint8Array, into: Filling): void => {
    checkLength(name, data, Math.min(max, most));
    for (let i = 0; i < bytes; i++) {
      into.bytes[into.used + (littleEndian ? i : bytes - 1 - i)] = data.length >>> (8 * i);
    }
  };
  const framer: Framer = {
    name,
    wrap(data) {
      const head = new Uint8Array(bytes);
      count(data, { bytes: head, used: 0 });
      return { head, tail: NOTHING };
    },
    decoder: () => new CountedDecoder({ name, bytes, max, littleEndian }),
  };
  return inPlace(framer, {
    overhead: bytes,
    put(data, into) {
      count(data, into);
      copy(into.bytes, into.used + bytes, data);
    },
  });
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
  const check = ({ length }: Uint8Array): void => {
    if (length === size) return;
    throw new RangeError(`Cannot send: each message has ${size} bytes, got ${length}`);
  };
  const framer: Framer = {
    name,
    wrap(data) {
      check(data);
      return { head: NOTHING, tail: NOTHING };
    },
    decoder: () => new FixedDecoder(name, size),
  };
  return inPlace(framer, {
    overhead: 0,
    put(data, into) {
      check(data);
      copy(into.bytes, into.used, data);
    },
  });
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

function delimited(
  name: string,
  end: Uint8Array,
  max: number,
  trim: (message: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>,
): Framer {
  const check = (data: Uint8Array): void => {
    checkLength(name, data, max);
    if (indexOf(data, end, 0) < 0) return;
    throw new RangeError(`Cannot send: the message contains its own end (${name})`);
  };
  const framer: Framer = {
    name,
    wrap(data) {
      check(data);
      return { head: NOTHING, tail: end };
    },
    decoder: () => new DelimitedDecoder({ name, end, max, trim }),
  };
  return inPlace(framer, {
    overhead: end.length,
    put(data, into) {
      check(data);
      copy(into.bytes, into.used, data);
      into.bytes.set(end, into.used + data.length);
    },
  });
}

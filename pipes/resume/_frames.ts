/** The frames of a session: their headers, and what takes them out of a stream of bytes without copying it. */

/** The types that this end of the protocol knows, by name. */
export const FRAME = {
  data: 1,
  ack: 2,
  fin: 3,
  ping: 4,
  pong: 5,
  abort: 6,
  addr: 7,
  hello: 16,
  welcome: 17,
  resume: 18,
  resumed: 19,
  confirm: 20,
  reject: 21,
} as const;

/** Bytes of a header. */
export const HEADER = 12;

/** The most bytes that one DATA frame carries. */
export const MAX_PAYLOAD = 65_536;

/** The highest position there is. */
export const MAX_POSITION: number = 2 ** 48 - 1;

/** A header, taken apart. */
export interface FrameHeader {
  /** What it is; any byte. */
  readonly type: number;
  /** Must be 0. */
  readonly flags: number;
  /** Bytes that follow. */
  readonly length: number;
  /** The offset field. */
  readonly offset: number;
}

/** Who is given the frames. Each call answers whether to go on; what follows in the same bytes is left alone otherwise. */
export interface FrameSink {
  /**
   * A DATA frame begins.
   *
   * @param position The position of its first byte.
   * @param length How many there will be.
   */
  data(position: number, length: number): boolean;
  /**
   * Bytes of the DATA frame that began last, as they come.
   *
   * @param bytes What was pushed: good until the call returns.
   * @param from Where in there they begin.
   * @param to Where they end.
   * @param position The position of the first of them.
   */
  part(bytes: Uint8Array, from: number, to: number, position: number): boolean;
  /**
   * Any other frame, whole.
   *
   * @param type What it is.
   * @param offset The offset field.
   * @param payload A view, good until the call returns.
   */
  frame(type: number, offset: number, payload: Uint8Array): boolean;
  /**
   * What came is no frame of this phase, and nothing after it can be understood.
   *
   * @param reason What is wrong.
   */
  violation(reason: string): void;
}

/**
 * Writes a header.
 *
 * @param into Where to.
 * @param at Where in there.
 * @param header What it says; its flags are 0.
 */
export function writeHeader(into: Uint8Array, at: number, header: Omit<FrameHeader, "flags">): void {
  const { type, length, offset } = header;
  const high = Math.floor(offset / 2 ** 32);
  into[at] = type;
  into[at + 1] = 0;
  into[at + 2] = length >>> 24;
  into[at + 3] = length >>> 16;
  into[at + 4] = length >>> 8;
  into[at + 5] = length;
  into[at + 6] = high >>> 8;
  into[at + 7] = high;
  into[at + 8] = offset >>> 24;
  into[at + 9] = offset >>> 16;
  into[at + 10] = offset >>> 8;
  into[at + 11] = offset;
}

/**
 * Reads a header.
 *
 * @param from 12 bytes, or more.
 * @param at Where in there it begins.
 */
export function readHeader(from: Uint8Array, at: number = 0): FrameHeader {
  return {
    type: byte(from, at),
    flags: byte(from, at + 1),
    length: word(from, at + 2),
    offset: position(from, at + 6),
  };
}

/**
 * Makes a whole frame.
 *
 * @param type What it is.
 * @param offset The offset field.
 * @param payload What it carries; nothing if left out.
 */
export function encodeFrame(
  type: number,
  offset: number,
  payload: Uint8Array = NOTHING,
): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(HEADER + payload.length);
  writeHeader(frame, 0, { type, length: payload.length, offset });
  frame.set(payload, HEADER);
  return frame;
}

/** Takes the frames of the data phase out of one carrier's bytes, however these are cut. */
export class FrameDecoder {
  /** The part of a header, or of a small frame's payload, that has come. */
  #kept: Uint8Array<ArrayBuffer> = NOTHING;
  #keptLength = 0;
  /** The frame whose payload is coming; 0 between frames. */
  #type = 0;
  /** What its header says, and how much of its payload is still to come. */
  #offset = 0;
  #length = 0;
  #left = 0;

  /**
   * Takes bytes in. After a violation, and where the sink does not go on, there is nothing more to be taken.
   *
   * @param bytes What came; the caller's again when this returns.
   * @param sink Who is given the frames.
   */
  push(bytes: Uint8Array, sink: FrameSink): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#type === 0) {
        if (this.#keptLength === 0 && bytes.length - at >= HEADER) {
          if (!this.#begin(bytes, at, sink)) return;
          at += HEADER;
        } else {
          at += this.#keep(bytes, at, HEADER);
          if (this.#keptLength < HEADER) return;
          this.#keptLength = 0;
          if (!this.#begin(this.#kept, 0, sink)) return;
        }
      }
      if (this.#type === FRAME.data) {
        const from = at;
        at = Math.min(bytes.length, from + this.#left);
        const position = this.#offset + this.#length - this.#left;
        this.#left -= at - from;
        if (this.#left === 0) this.#type = 0;
        if (at > from && !sink.part(bytes, from, at, position)) return;
        continue;
      }
      const length = this.#length;
      let payload = bytes.subarray(at, at + length);
      if (this.#keptLength > 0 || payload.length < length) {
        at += this.#keep(bytes, at, length);
        if (this.#keptLength < length) return;
        payload = this.#kept.subarray(0, length);
        this.#keptLength = 0;
      } else at += length;
      const type = this.#type;
      this.#type = 0;
      if (!sink.frame(type, this.#offset, payload)) return;
    }
  }

  /** Reads a header; says whether to go on. */
  #begin(from: Uint8Array, at: number, sink: FrameSink): boolean {
    const type = byte(from, at);
    const length = word(from, at + 2);
    this.#offset = position(from, at + 6);
    this.#length = this.#left = length;
    const lengths = LENGTHS[type];
    if (!lengths) return refuse(sink, `a frame of type ${type}`);
    if (from[at + 1] !== 0) return refuse(sink, `flags ${from[at + 1]} in a frame of type ${type}`);
    if (length < lengths[0] || length > lengths[1]) {
      return refuse(sink, `a frame of type ${type} with ${length} bytes`);
    }
    this.#type = type;
    return type !== FRAME.data || sink.data(this.#offset, length);
  }

  /** Keeps bytes until there are as many as wanted, and says how many it took. */
  #keep(bytes: Uint8Array, at: number, wanted: number): number {
    if (this.#kept.length < wanted) {
      const larger = new Uint8Array(wanted);
      larger.set(this.#kept);
      this.#kept = larger;
    }
    const part = bytes.subarray(at, at + wanted - this.#keptLength);
    this.#kept.set(part, this.#keptLength);
    this.#keptLength += part.length;
    return part.length;
  }
}

const NOTHING = new Uint8Array();

/** The least and the most bytes that the frames of the data phase carry, by type. */
const LENGTHS: readonly (readonly [least: number, most: number] | undefined)[] = [
  undefined,
  [1, MAX_PAYLOAD],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
  [2, 258],
  [1, 4096],
];

function refuse(sink: FrameSink, reason: string): false {
  sink.violation(reason);
  return false;
}

function position(from: Uint8Array, at: number): number {
  return (byte(from, at) * 256 + byte(from, at + 1)) * 2 ** 32 + word(from, at + 2);
}

function byte(from: Uint8Array, at: number): number {
  return from[at] ?? 0;
}

function word(from: Uint8Array, at: number): number {
  return ((byte(from, at) << 24) | (byte(from, at + 1) << 16) | (byte(from, at + 2) << 8) |
    byte(from, at + 3)) >>> 0;
}

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
   * @param part A view of what was pushed: good until the call returns.
   * @param position The position of the first of them.
   */
  part(part: Uint8Array, position: number): boolean;
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
    offset: (byte(from, at + 6) * 256 + byte(from, at + 7)) * 2 ** 32 + word(from, at + 8),
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
  /** The frame whose payload is coming; undefined between frames. */
  #header: FrameHeader | undefined;
  /** Bytes of its payload that have come. */
  #come = 0;

  /**
   * Takes bytes in.
   *
   * @param bytes What came; the caller's again when this returns.
   * @param sink Who is given the frames.
   */
  push(bytes: Uint8Array, sink: FrameSink): void {
    let at = 0;
    while (at < bytes.length) {
      let header = this.#header;
      if (!header) {
        if (this.#keptLength === 0 && bytes.length - at >= HEADER) {
          header = readHeader(bytes, at);
          at += HEADER;
        } else {
          at += this.#keep(bytes, at, HEADER);
          if (this.#keptLength < HEADER) return;
          header = readHeader(this.#kept);
          this.#keptLength = 0;
        }
        const reason = wrong(header);
        if (reason !== undefined) return sink.violation(reason);
        this.#header = header;
        this.#come = 0;
        if (header.type === FRAME.data && !sink.data(header.offset, header.length)) return;
      }
      const { type, length, offset } = header;
      if (type === FRAME.data) {
        const part = bytes.subarray(at, at + length - this.#come);
        const position = offset + this.#come;
        at += part.length;
        this.#come += part.length;
        if (this.#come === length) this.#header = undefined;
        if (part.length > 0 && !sink.part(part, position)) return;
        continue;
      }
      let payload = bytes.subarray(at, at + length);
      if (this.#keptLength > 0 || payload.length < length) {
        at += this.#keep(bytes, at, length);
        if (this.#keptLength < length) return;
        payload = this.#kept.subarray(0, length);
        this.#keptLength = 0;
      } else at += length;
      this.#header = undefined;
      if (!sink.frame(type, offset, payload)) return;
    }
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

/** The lengths that the frames of the data phase may have. */
const LENGTHS: ReadonlyMap<number, readonly [least: number, most: number]> = new Map([
  [FRAME.data, [1, MAX_PAYLOAD]],
  [FRAME.ack, [0, 0]],
  [FRAME.fin, [0, 0]],
  [FRAME.ping, [0, 0]],
  [FRAME.pong, [0, 0]],
  [FRAME.abort, [2, 258]],
  [FRAME.addr, [1, 4096]],
]);

/** What is wrong with a header, as far as it can be told without knowing the session. */
function wrong({ type, flags, length }: FrameHeader): string | undefined {
  const lengths = LENGTHS.get(type);
  if (!lengths) return `a frame of type ${type}`;
  if (flags !== 0) return `flags ${flags} in a frame of type ${type}`;
  if (length < lengths[0] || length > lengths[1]) return `a frame of type ${type} with ${length} bytes`;
  return undefined;
}

function byte(from: Uint8Array, at: number): number {
  return from[at] ?? 0;
}

function word(from: Uint8Array, at: number): number {
  return ((byte(from, at) << 24) | (byte(from, at + 1) << 16) | (byte(from, at + 2) << 8) |
    byte(from, at + 3)) >>> 0;
}

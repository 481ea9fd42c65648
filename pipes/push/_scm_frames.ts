/**
 * What processes say to each other over a Unix socket to hand sockets over. There are two ways to say it; the first byte
 * tells the receiver which.
 *
 * **Frames.** Both sides begin with HELLO. A frame is a header of 24 bytes and a body; all numbers are little-endian:
 *
 * | at | bytes | what |
 * | --- | --- | --- |
 * | 0 | 4 | `48 46 50 53` (`HFPS`) |
 * | 4 | 1 | version, 1 |
 * | 5 | 1 | type |
 * | 6 | 1 | descriptors of this frame |
 * | 7 | 1 | flags, 0 |
 * | 8 | 8 | id |
 * | 16 | 4 | length of the body |
 * | 20 | 4 | length of the text with which the body begins (JSON, UTF-8); the rest of it is bytes |
 *
 * The descriptors of a frame travel (`SCM_RIGHTS`) with the send that has the first byte of its header.
 *
 * | type | name | from | id | body |
 * | --- | --- | --- | --- | --- |
 * | 1 | HELLO | both | 0 | `{"pid", "window", "maxText", "maxBytes"}`; of the sender `pid` alone |
 * | 2 | PUSH | sender | a new one | `{"kind": "stream" \| "listener" \| "datagram", "metadata"}`, then what was read already |
 * | 3 | ACK | receiver | that of the PUSH | none: the socket is the receiver's now |
 * | 4 | NACK | receiver | that of the PUSH | `{"reason"}`: the receiver has closed its copy |
 * | 5 | REVOKE | sender | that of the PUSH | none: answered by NACK, unless ACK is on its way |
 *
 * The sender keeps its copy until ACK, and does not read from it meanwhile. With NACK, or when the connection ends before
 * ACK, nobody has the socket but the sender, who may go elsewhere. A sender that gets no answer to REVOKE shuts the connection
 * down in both directions and then reads what is left in it: an ACK that is not there by then can never come, as the
 * receiver's attempt to send it fails. A receiver must not use a socket whose ACK it could not send.
 *
 * **Plain.** A line of JSON ending in LF, with one descriptor: `{"kind", "metadata", "prefix"}`, `prefix` being what was
 * read already, in Base64, missing where there is nothing. The answer is one byte: `06` (ACK) or `15` (NAK). One line is
 * under way at a time.
 */

/** The types of frames. */
export const FRAME_TYPES = { HELLO: 1, PUSH: 2, ACK: 3, NACK: 4, REVOKE: 5 } as const;

/** The name of a type. */
export type FrameType = keyof typeof FRAME_TYPES;

/** A frame. */
export interface ScmFrame {
  readonly type: FrameType;
  readonly id: number;
  /** What its text says, `undefined` where there is none. */
  readonly text: unknown;
  /** What follows the text. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly descriptors: readonly number[];
}

/** How much is taken in. */
export interface ScmLimits {
  /** The longest text of a frame, in bytes. */
  readonly maxText: number;
  /** The most that may follow it, in bytes. */
  readonly maxBytes: number;
}

/** What makes a frame or a line one of ours. */
const MAGIC = [0x48, 0x46, 0x50, 0x53] as const;
const HEADER = 24;
const VERSION = 1;
/** The answer of plain mode of one who has taken the socket. */
export const PLAIN_ACK = 0x06;
/** The answer of plain mode of one who has not. */
export const PLAIN_NAK = 0x15;
/** With this begins a line of plain mode. */
const BRACE = 0x7b;
const LF = 0x0a;

const NAMES = new Map(Object.entries(FRAME_TYPES).map(([name, type]) => [type as number, name as FrameType]));

/**
 * Writes a frame.
 *
 * @param type What it says.
 * @param id Of which push.
 * @param parts Its text as JSON takes it, the bytes that follow, and how many descriptors go along.
 */
export function encodeFrame(
  type: FrameType,
  id: number,
  parts: { readonly text?: unknown; readonly bytes?: Uint8Array; readonly descriptors?: number } = {},
): Uint8Array<ArrayBuffer> {
  const text = parts.text === undefined
    ? new Uint8Array(0)
    : new TextEncoder().encode(JSON.stringify(parts.text));
  const bytes = parts.bytes ?? new Uint8Array(0);
  const frame = new Uint8Array(HEADER + text.length + bytes.length);
  const view = new DataView(frame.buffer);
  frame.set(MAGIC);
  frame.set([VERSION, FRAME_TYPES[type], parts.descriptors ?? 0, 0], 4);
  view.setBigUint64(8, BigInt(id), true);
  view.setUint32(16, text.length + bytes.length, true);
  view.setUint32(20, text.length, true);
  frame.set(text, HEADER);
  frame.set(bytes, HEADER + text.length);
  return frame;
}

/** Writes a line of plain mode. */
export function encodeLine(
  text: Readonly<Record<string, unknown>>,
  prefix: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const line = prefix.length === 0 ? text : { ...text, prefix: prefix.toBase64() };
  return new TextEncoder().encode(`${JSON.stringify(line)}\n`);
}

/** What a sender says: frames, or lines; `null` as long as it has said nothing. */
export type ScmMode = "frames" | "plain" | null;

/**
 * Takes what is received apart. Whoever feeds it owns the descriptors again that {@linkcode ScmDecoder.leftover} gives, for
 * example after an error.
 */
export class ScmDecoder {
  readonly #limits: ScmLimits;
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #filled = 0;
  /** How far the end of a line was looked for. */
  #searched = 0;
  #descriptors: number[] = [];
  #mode: ScmMode;

  /**
   * Makes a decoder.
   *
   * @param limits How much is taken in.
   * @param mode What is expected; by default what the first byte says.
   */
  constructor(limits: ScmLimits, mode: ScmMode = null) {
    this.#limits = limits;
    this.#mode = mode;
  }

  /** How the other end speaks. */
  get mode(): ScmMode {
    return this.#mode;
  }

  /** Whether a part of something has been received. */
  get midway(): boolean {
    return this.#filled > 0;
  }

  /** Adds what was received; it is copied. */
  feed(data: Uint8Array, descriptors: readonly number[]): void {
    this.#descriptors.push(...descriptors);
    const needed = this.#filled + data.length;
    if (needed > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
      larger.set(this.#buffer.subarray(0, this.#filled));
      this.#buffer = larger;
    }
    this.#buffer.set(data, this.#filled);
    this.#filled = needed;
  }

  /**
   * Takes the next frame, or line, which counts as a PUSH.
   *
   * @returns It, or `null` where it is not complete.
   * @throws {SyntaxError} When it is none.
   */
  next(): ScmFrame | null {
    if (this.#filled === 0) {
      // Descriptors come with the first byte of what they belong to.
      if (this.#descriptors.length > 0) {
        throw new SyntaxError("Cannot read a frame: it has too many descriptors");
      }
      return null;
    }
    this.#mode ??= this.#buffer[0] === BRACE ? "plain" : "frames";
    const frame = this.#mode === "plain" ? this.#line() : this.#frame();
    // One frame is all that they can belong to.
    if (!frame && this.#descriptors.length > 1) {
      throw new SyntaxError("Cannot read a frame: it has too many descriptors");
    }
    return frame;
  }

  /** The descriptors that belong to no frame yet; whoever asks owns them. */
  leftover(): readonly number[] {
    return this.#descriptors.splice(0);
  }

  #frame(): ScmFrame | null {
    const head = this.#buffer.subarray(0, Math.min(this.#filled, HEADER));
    if (MAGIC.some((byte, index) => index < head.length && head[index] !== byte)) {
      throw new SyntaxError("Cannot read a frame: it begins with something else");
    }
    if (head.length < HEADER) return null;
    const view = new DataView(head.buffer, head.byteOffset, HEADER);
    const [version, code, count, flags] = head.subarray(4, 8);
    const type = NAMES.get(code ?? 0);
    if (version !== VERSION || flags !== 0 || !type) {
      throw new SyntaxError(`Cannot read a frame: version ${version}, type ${code}, flags ${flags}`);
    }
    if (count !== (type === "PUSH" ? 1 : 0) || this.#descriptors.length < count) {
      throw new SyntaxError(
        `Cannot read a frame: ${count} descriptors in it, ${this.#descriptors.length} came`,
      );
    }
    const [id, body, text] = [view.getBigUint64(8, true), view.getUint32(16, true), view.getUint32(20, true)];
    const { maxText, maxBytes } = this.#limits;
    if (text > body || text > maxText || body - text > maxBytes || id > Number.MAX_SAFE_INTEGER) {
      throw new SyntaxError(
        `Cannot read a frame: a body of ${body} bytes with a text of ${text}, number ${id}`,
      );
    }
    if (this.#filled < HEADER + body) return null;
    const content = this.#take(HEADER + body).subarray(HEADER);
    return {
      type,
      id: Number(id),
      text: text === 0 ? undefined : parse(content.subarray(0, text)),
      bytes: content.subarray(text),
      descriptors: this.#descriptors.splice(0, count),
    };
  }

  #line(): ScmFrame | null {
    const end = this.#buffer.subarray(0, this.#filled).indexOf(LF, this.#searched);
    this.#searched = end < 0 ? this.#filled : 0;
    const { maxText, maxBytes } = this.#limits;
    const most = maxText + Math.ceil(maxBytes / 3) * 4;
    if ((end < 0 ? this.#filled : end) > most) throw new SyntaxError("Cannot read a line: it is too long");
    if (end < 0) return null;
    const text = parse(this.#take(end + 1).subarray(0, end));
    if (typeof text !== "object" || text === null) {
      throw new SyntaxError("Cannot read a line: it is no object");
    }
    if (this.#descriptors.length === 0) {
      throw new SyntaxError("Cannot read a line: no descriptor came with it");
    }
    const { prefix = "" } = text as { readonly prefix?: unknown };
    if (typeof prefix !== "string") throw new SyntaxError("Cannot read a line: its prefix is no text");
    const bytes = Uint8Array.fromBase64(prefix);
    // Last of all: what is thrown before leaves them to be closed.
    return { type: "PUSH", id: 0, text, bytes, descriptors: this.#descriptors.splice(0, 1) };
  }

  #take(size: number): Uint8Array<ArrayBuffer> {
    const taken = this.#buffer.slice(0, size);
    this.#buffer.copyWithin(0, size, this.#filled);
    this.#filled -= size;
    // What was large once need not stay so.
    if (this.#filled === 0 && this.#buffer.length > 256 * 1024) this.#buffer = new Uint8Array(0);
    return taken;
  }
}

function parse(bytes: Uint8Array<ArrayBuffer>): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new SyntaxError("Cannot read a frame: its text is no JSON", { cause: error });
  }
}

/**
 * What stands inside a sealed packet: any number of frames, one after the other, which say what is delivered and what has arrived.
 * Whatever does not parse is refused as a whole. Pure. All numbers are unsigned and big endian; a session is 8 bytes.
 *
 * - DATA: 1 | session 8 | stream 2 | number 6 | floor 6 | index 1 | count 1 | kind 1 | tag 6 | length 2 | bytes
 * - ACK: 2 | incarnation 8 | flags 1 | n 1 | n times broker 4 | up 1 | m 1 | m times STREAM
 * - STREAM: session 8 | stream 2 | next 6 | selective 16 | done 6 | selective of done 16 | limit 6 | first 6 | k 1 | k times paths 1
 * - PROBE: 3 | session 8 | stream 2 | floor 6
 *
 * Kind: 0 message, 1 request, 2 response, 3 failure, 4 room; 128 more where the sender waits for `done`. Flag 1 of an ACK: only what
 * is done survives the recipient. Bit i of a selective bitmap, lowest bit of the first byte first, stands for the number i after
 * the one before it. A broker is the hash of its address (`hashBroker`); bit i of `up` and of a number's paths stands for broker i.
 */

/** The most fragments of one message, for the numbers below and the buffers behind them. */
export const MAX_FRAGMENTS = 128;

/** The most bytes of one fragment: with its frame and the envelope it fits the size class of 4,096 bytes. */
export const FRAGMENT_BYTES = 3800;

/** What a message is for: a plain one, a request, the answer to one, the failure of one, or one that belongs to a room. */
export type MessageKind = "message" | "request" | "response" | "failure" | "room";

const KINDS: readonly MessageKind[] = ["message", "request", "response", "failure", "room"];

/** Added to the number of a kind. */
const WANTS_DONE = 128;

/** A fragment of a message; most messages have one. */
export interface DataFrame {
  readonly type: "data";
  /** The sender's session, 16 hexadecimal digits. */
  readonly session: string;
  /** The stream; odd ones are unordered. */
  readonly stream: number;
  /** The number within the stream. */
  readonly seq: number;
  /** The lowest number that the sender may still send; what is missing below never comes. */
  readonly floor: number;
  /** Which fragment, and of how many. */
  readonly index: number;
  readonly count: number;
  readonly kind: MessageKind;
  /** Whether its sender waits until the application has done with it. */
  readonly wantsDone: boolean;
  /** What an answer belongs to; the tag of a request, else 0. */
  readonly ref: number;
  readonly bytes: Uint8Array;
}

/** What has arrived of one stream. */
export interface StreamAck {
  readonly session: string;
  readonly stream: number;
  /** Everything below has arrived, or was given up by its sender; of the 128 after it the bitmap tells. */
  readonly next: number;
  readonly selective: Uint8Array;
  /** The same for what the application has done with. */
  readonly done: number;
  readonly doneSelective: Uint8Array;
  /** The sender may send what is below this number. */
  readonly limit: number;
  /** From which number on, and by which of the brokers each was seen: bit i for broker i of the frame. */
  readonly pathsFrom: number;
  readonly paths: Uint8Array;
}

/** An acknowledgement. */
export interface AckFrame {
  readonly type: "ack";
  /** Which life of the recipient speaks, 16 hexadecimal digits: what an earlier one had, this one may have lost. */
  readonly incarnation: string;
  /** Whether only what is `done` survives the end of this life. */
  readonly durable: boolean;
  /** The recipient's inbox brokers, by the hash of their addresses; at most 8. */
  readonly brokers: readonly number[];
  /** Bit i: the link to broker i is up. */
  readonly up: number;
  readonly streams: readonly StreamAck[];
}

/** Asks for an acknowledgement of a stream at once, and says what never comes. */
export interface ProbeFrame {
  readonly type: "probe";
  readonly session: string;
  readonly stream: number;
  readonly floor: number;
}

/** What a packet can hold. */
export type DeliveryFrame = DataFrame | AckFrame | ProbeFrame;

/** How many bytes a data frame has besides its payload. */
export const DATA_OVERHEAD: number = 1 + 8 + 2 + 6 + 6 + 1 + 1 + 1 + 6 + 2;

/**
 * Writes frames.
 *
 * @param frames The frames, in their order.
 * @returns The content of one packet.
 */
export function encodeFrames(frames: readonly DeliveryFrame[]): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  for (const frame of frames) {
    switch (frame.type) {
      case "data":
        writer.uint(1, 1).hex(frame.session).uint(frame.stream, 2).uint(frame.seq, 6).uint(frame.floor, 6);
        writer.uint(frame.index, 1).uint(frame.count, 1).uint(
          KINDS.indexOf(frame.kind) + (frame.wantsDone ? WANTS_DONE : 0),
          1,
        ).uint(
          frame.ref,
          6,
        );
        writer.uint(frame.bytes.length, 2).bytes(frame.bytes);
        break;
      case "ack":
        writer.uint(2, 1).hex(frame.incarnation).uint(frame.durable ? 1 : 0, 1);
        writer.uint(frame.brokers.length, 1);
        for (const hash of frame.brokers) writer.uint(hash, 4);
        writer.uint(frame.up, 1).uint(frame.streams.length, 1);
        for (const stream of frame.streams) writeStream(writer, stream);
        break;
      case "probe":
        writer.uint(3, 1).hex(frame.session).uint(frame.stream, 2).uint(frame.floor, 6);
    }
  }
  return writer.take();
}

/**
 * Reads frames.
 *
 * @param packet The content of one packet; kept by data frames.
 * @returns The frames, or `null` where it is none of this protocol's packets.
 */
export function decodeFrames(packet: Uint8Array): DeliveryFrame[] | null {
  const reader = new Reader(packet);
  const frames: DeliveryFrame[] = [];
  while (!reader.end) {
    const frame = readFrame(reader, reader.uint(1));
    if (!frame || reader.broken) return null;
    frames.push(frame);
  }
  return frames;
}

function readFrame(reader: Reader, type: number): DeliveryFrame | undefined {
  if (type === 1) return readData(reader);
  if (type === 2) return readAck(reader);
  if (type === 3) {
    return { type: "probe", session: reader.hex(), stream: reader.uint(2), floor: reader.uint(6) };
  }
  return undefined;
}

function readData(reader: Reader): DataFrame | undefined {
  const session = reader.hex();
  const [stream, seq, floor] = [reader.uint(2), reader.uint(6), reader.uint(6)];
  const [index, count] = [reader.uint(1), reader.uint(1)];
  const flags = reader.uint(1);
  const kind = KINDS[flags % WANTS_DONE];
  const ref = reader.uint(6);
  const bytes = reader.bytes(reader.uint(2));
  // A message lies in consecutive numbers from 0 on, none of which its sender has given up.
  if (!kind || index >= count || count > MAX_FRAGMENTS || seq < index || floor > seq) return undefined;
  const wantsDone = flags >= WANTS_DONE;
  return { type: "data", session, stream, seq, floor, index, count, kind, wantsDone, ref, bytes };
}

function readAck(reader: Reader): AckFrame | undefined {
  const incarnation = reader.hex();
  const flags = reader.uint(1);
  const count = reader.uint(1);
  if (count > 8) return undefined;
  const brokers = Array.from({ length: count }, () => reader.uint(4));
  const up = reader.uint(1);
  const length = reader.uint(1);
  const streams: StreamAck[] = [];
  for (let i = 0; i < length && !reader.broken; i++) streams.push(readStream(reader));
  return { type: "ack", incarnation, durable: (flags & 1) === 1, brokers, up, streams };
}

function writeStream(writer: Writer, ack: StreamAck): void {
  writer.hex(ack.session).uint(ack.stream, 2).uint(ack.next, 6).bytes(ack.selective);
  writer.uint(ack.done, 6).bytes(ack.doneSelective).uint(ack.limit, 6);
  writer.uint(ack.pathsFrom, 6).uint(ack.paths.length, 1).bytes(ack.paths);
}

function readStream(reader: Reader): StreamAck {
  return {
    session: reader.hex(),
    stream: reader.uint(2),
    next: reader.uint(6),
    selective: reader.bytes(16),
    done: reader.uint(6),
    doneSelective: reader.bytes(16),
    limit: reader.uint(6),
    pathsFrom: reader.uint(6),
    paths: reader.bytes(reader.uint(1)),
  };
}

class Writer {
  #out = new Uint8Array(256);
  #length = 0;

  uint(value: number, size: number): this {
    this.#room(size);
    // By division: shifts end at 32 bits.
    let rest = value;
    for (let i = size - 1; i >= 0; i--) {
      this.#out[this.#length + i] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    this.#length += size;
    return this;
  }

  bytes(bytes: Uint8Array): this {
    this.#room(bytes.length);
    this.#out.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  hex(text: string): this {
    for (let i = 0; i < 16; i += 2) this.uint(parseInt(text.slice(i, i + 2), 16), 1);
    return this;
  }

  take(): Uint8Array<ArrayBuffer> {
    return this.#out.slice(0, this.#length);
  }

  #room(more: number): void {
    if (this.#length + more <= this.#out.length) return;
    const larger = new Uint8Array(2 * (this.#length + more));
    larger.set(this.#out);
    this.#out = larger;
  }
}

/** Reads past the end as zeros, and says so in the end. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get end(): boolean {
    return this.#at === this.#bytes.length;
  }

  get broken(): boolean {
    return this.#at > this.#bytes.length;
  }

  uint(size: number): number {
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + (this.#bytes[this.#at + i] ?? 0);
    this.#at += size;
    return value;
  }

  bytes(length: number): Uint8Array {
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return bytes;
  }

  hex(): string {
    return [...this.bytes(8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }
}

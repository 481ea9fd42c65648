/** What is on its way to one peer: bounded, each message with its deadline. Pure. */

import { FRAGMENT_BYTES, MAX_FRAGMENTS, type MessageKind } from "./_delivery_frames.ts";

/** The bounds of an {@linkcode Outbox}. */
export interface OutboxOptions {
  /**
   * How many messages may be on their way to one peer.
   *
   * @default {256}
   */
  readonly messages?: number;
  /**
   * How many bytes they may have together.
   *
   * @default {1_048_576}
   */
  readonly bytes?: number;
}

/** The most bytes that one message may have. */
export const MAX_MESSAGE_BYTES = 262_144;

/** When a message counts as delivered: the peer has it, or its application has done with it. */
export type AckLevel = "accepted" | "handled";

/** What goes into an outbox. */
export interface OutboxMessage {
  /** The stream; odd ones are unordered. */
  readonly stream: number;
  readonly kind: MessageKind;
  readonly ref: number;
  readonly data: Uint8Array;
  /** Until when it has to be delivered, by the monotonic clock. */
  readonly deadline: number;
  readonly level: AckLevel;
}

/** One piece of a message, with a number of its own. */
export interface Fragment {
  readonly seq: number;
  readonly index: number;
  /** How often it was handed to a broker at least. */
  attempts: number;
  /** How often since the last sign of life from the peer: the waits grow by it. */
  backoff: number;
  /** When it was sent last, and when it is sent again if nothing is heard. */
  sentAt: number;
  nextAt: number;
  /** The peer has it. */
  received: boolean;
  /** The peer's application has done with it. */
  done: boolean;
  /** The brokers by which it was sent, by their hash. */
  readonly tried: Set<number>;
}

/** A message in an outbox. */
export interface OutboxEntry extends OutboxMessage {
  /** Its first number. */
  readonly seq: number;
  readonly fragments: readonly Fragment[];
  /** When it came in. */
  readonly queuedAt: number;
  /** The brokers by which the peer has seen it, by their hash. */
  readonly seenBy: Set<number>;
}

/** One stream to a peer. */
export interface OutboxStream {
  readonly id: number;
  next: number;
  /** The peer takes what is below. */
  limit: number;
  /** In the order of their numbers. */
  readonly entries: OutboxEntry[];
  /** The peer knows that nothing below is coming. */
  toldFloor: number;
}

/** How much may be sent before the peer has said how much it takes. */
const FIRST_CREDIT = 64;

/** The bounded outbox for one peer. */
export class Outbox {
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  readonly #streams = new Map<number, OutboxStream>();
  #messages = 0;
  #bytes = 0;

  /**
   * Makes an empty outbox.
   *
   * @param options Its bounds.
   */
  constructor(options: OutboxOptions = {}) {
    const { messages = 256, bytes = 1_048_576 } = options;
    if (!Number.isInteger(messages) || messages < 1) {
      throw new RangeError(`Cannot make an outbox: messages must be a whole number from 1, got ${messages}`);
    }
    if (!(bytes >= 1)) throw new RangeError(`Cannot make an outbox: bytes must be at least 1, got ${bytes}`);
    this.#maxMessages = messages;
    this.#maxBytes = bytes;
  }

  /** How many messages are in it. */
  get messages(): number {
    return this.#messages;
  }

  /** How many bytes they have together. */
  get bytes(): number {
    return this.#bytes;
  }

  /** All streams that ever had a message. */
  get streams(): IterableIterator<OutboxStream> {
    return this.#streams.values();
  }

  /** Whether there is room for a message of some length; an empty outbox takes any. */
  hasRoom(length: number): boolean {
    if (this.#messages === 0) return true;
    return this.#messages < this.#maxMessages && this.#bytes + length <= this.#maxBytes;
  }

  /**
   * Takes a message.
   *
   * @param message The message; {@linkcode Outbox.hasRoom} has said yes.
   * @param now The monotonic time.
   * @param kept Its first number, where it has one from an earlier life.
   */
  add(message: OutboxMessage, now: number, kept?: number): OutboxEntry {
    const stream = this.stream(message.stream);
    const count = Math.max(1, Math.ceil(message.data.length / FRAGMENT_BYTES));
    if (count > MAX_FRAGMENTS) {
      throw new RangeError(
        `Cannot send: a message may have ${MAX_MESSAGE_BYTES} bytes, got ${message.data.length}`,
      );
    }
    const seq = kept ?? stream.next;
    stream.next = Math.max(stream.next, seq + count);
    if (kept !== undefined) stream.limit = Math.max(stream.limit, kept + FIRST_CREDIT);
    const fragments = Array.from({ length: count }, (_, index): Fragment => ({
      seq: seq + index,
      index,
      attempts: 0,
      backoff: 0,
      sentAt: 0,
      nextAt: now,
      received: false,
      done: false,
      tried: new Set(),
    }));
    const entry: OutboxEntry = { ...message, seq, fragments, queuedAt: now, seenBy: new Set() };
    stream.entries.push(entry);
    this.#messages++;
    this.#bytes += message.data.length;
    return entry;
  }

  /**
   * Takes a message out, delivered or not.
   *
   * @returns Whether it was in.
   */
  remove(entry: OutboxEntry): boolean {
    const { entries } = this.stream(entry.stream);
    const at = entries.indexOf(entry);
    if (at < 0) return false;
    entries.splice(at, 1);
    this.#messages--;
    this.#bytes -= entry.data.length;
    return true;
  }

  /** A stream, made where there is none. */
  stream(id: number, next = 0): OutboxStream {
    const known = this.#streams.get(id);
    if (known) {
      if (next > known.next && known.entries.length === 0) known.next = known.toldFloor = next;
      return known;
    }
    const stream: OutboxStream = { id, next, limit: next + FIRST_CREDIT, entries: [], toldFloor: next };
    this.#streams.set(id, stream);
    return stream;
  }

  /** Everything in it, stream by stream. */
  *entries(): IterableIterator<OutboxEntry> {
    for (const stream of this.#streams.values()) yield* stream.entries;
  }
}

/** The lowest number that may still be sent. */
export function floorOf(stream: OutboxStream): number {
  return stream.entries[0]?.seq ?? stream.next;
}

/** The bytes of one fragment. */
export function bytesOf(entry: OutboxEntry, fragment: Fragment): Uint8Array {
  return entry.data.subarray(fragment.index * FRAGMENT_BYTES, (fragment.index + 1) * FRAGMENT_BYTES);
}

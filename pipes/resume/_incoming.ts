/** The direction that comes in: where it stands, what waits for the application, and when to acknowledge. */

import { FRAME, type FrameSink, MAX_POSITION } from "./_frames.ts";
import { Inbox } from "./_inbox.ts";

/** Who is told. */
export interface IncomingOwner {
  /** An ACK should leave now. */
  acknowledge(): void;
  /** An ACK should leave at a time. */
  arm(at: number): void;
  /** There is something to read for who waits for it. */
  readable(): void;
  /** A frame that says nothing about this direction; answers whether to go on. */
  frame(type: number, offset: number, payload: Uint8Array): boolean;
  /** The other end broke the rules. */
  violated(reason: string): false;
}

/** The most that is consumed without an ACK, and how long one is put off, in milliseconds. */
const ACK_BYTES = 256 * 1024;
const ACK_DELAY = 200;

/** One direction, as its receiver sees it. */
export class Incoming implements FrameSink {
  readonly #owner: IncomingOwner;
  readonly #window: number;
  readonly #now: () => number;
  readonly #threshold: number;
  /** Bytes that wait for the application. */
  readonly inbox: Inbox = new Inbox();
  /** Everything before it was received. */
  received = 0;
  /** Everything before it was handed to the application. */
  consumed = 0;
  /** The position of the end; undefined before it came. */
  fin: number | undefined;
  /** The highest position that an ACK was made for. */
  acking = 0;
  /** The highest position that an ACK has left for. */
  acked = 0;
  /** When an ACK has to leave. */
  ackAt: number = Infinity;
  /** Whether the application found nothing, and waits. */
  #wanted = false;

  /**
   * @param window How many bytes may wait.
   * @param now The time in milliseconds.
   * @param owner Who is told.
   */
  constructor(window: number, now: () => number, owner: IncomingOwner) {
    this.#window = window;
    this.#threshold = Math.min(ACK_BYTES, window / 4);
    this.#now = now;
    this.#owner = owner;
  }

  /** Whether the end was consumed, and its ACK has left. */
  get complete(): boolean {
    return this.fin !== undefined && this.acked > this.fin;
  }

  /** Hands bytes out: how many; 0 when there is nothing yet, `null` at the end. */
  read(into: Uint8Array): number | null {
    const count = this.inbox.read(into);
    if (count > 0) {
      this.consumed += count;
      if (this.consumed - this.acking >= this.#threshold) this.#owner.acknowledge();
      else if (this.ackAt === Infinity) this.#owner.arm(this.ackAt = this.#now() + ACK_DELAY);
      return count;
    }
    if (this.fin !== undefined && this.inbox.length === 0) {
      if (this.consumed === this.fin) {
        this.consumed++;
        this.#owner.acknowledge();
      }
      return null;
    }
    this.#wanted = true;
    return 0;
  }

  data(position: number, length: number): boolean {
    const end = position + length;
    if (position > this.received) {
      return this.#owner.violated(`bytes ${this.received} to ${position} are missing`);
    }
    if (this.fin !== undefined && end > this.fin) return this.#owner.violated("bytes after the end");
    if (end > this.consumed + this.#window || end >= MAX_POSITION) {
      return this.#owner.violated(`bytes up to ${end}, beyond the window`);
    }
    return true;
  }

  part(bytes: Uint8Array, from: number, to: number, position: number): boolean {
    // A frame may be sent again as a whole; what is known is dropped.
    const known = Math.max(0, this.received - position);
    if (known >= to - from) return true;
    this.received += to - from - known;
    this.inbox.add(bytes, from + known, to);
    return true;
  }

  frame(type: number, offset: number, payload: Uint8Array): boolean {
    if (type !== FRAME.fin) return this.#owner.frame(type, offset, payload);
    if (offset === this.fin) return true;
    if (this.fin !== undefined || offset !== this.received || offset >= MAX_POSITION) {
      return this.#owner.violated(`an end at ${offset} after ${this.received} bytes`);
    }
    this.fin = offset;
    this.received++;
    return true;
  }

  violation(reason: string): void {
    this.#owner.violated(reason);
  }

  /** All that came at once was taken apart: who waits may read it where it lies, and the rest is kept. */
  settle(): void {
    if (this.#wanted && (this.inbox.length > 0 || this.fin !== undefined)) {
      this.#wanted = false;
      this.#owner.readable();
    }
    this.inbox.keep();
  }
}

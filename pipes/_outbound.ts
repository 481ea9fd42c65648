/** The way out: what is sent while a write is under way joins the next one, and who sends too much waits. */

import type { Framer } from "./framing.ts";
import type { Link } from "./_link.ts";
import type { PipeData } from "./pipe.ts";

/** What is not larger is copied, so that the caller has its memory back at once. */
const COPIED = 16 * 1024;

/** Small messages are joined up to this. */
const JOINED = 64 * 1024;

/** Who waits for what was sent before. */
interface Waiter {
  /** How much may be there when it is called. */
  readonly below: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const encoder = new TextEncoder();

/** The messages that were given as text, for links that tell both kinds apart. */
const texts = new WeakSet<Uint8Array>();

/** Writes to one link after another. */
export class Outbound {
  readonly #framer: Framer | null;
  readonly #highWater: number;
  readonly #tell: (news: "unwritable", error: unknown) => void;
  #link: Link;
  /** What waits to be written: whole buffers, the last one with room for more. */
  #queue: Uint8Array[] = [];
  /** How much of the last buffer is used, or -1 where nothing may be added to it. */
  #used = -1;
  #writing = false;
  /** What is being written. */
  #current: Uint8Array | undefined;
  #waiters: Waiter[] = [];
  #failure: { readonly error: unknown } | undefined;
  #paused = false;
  /** Bytes that were given and not taken by the system. */
  buffered = 0;
  /** Bytes that the system took. */
  bytes = 0;
  /** Messages that were given. */
  messages = 0;
  /** Messages that the system did not take, without harm to the link. */
  dropped = 0;

  /**
   * @param link Where to write.
   * @param framer How messages lie in its bytes; `null` where they are written as they are.
   * @param highWater How many bytes may wait before those who send have to.
   * @param tell Called once for a link that cannot be written to.
   */
  constructor(
    link: Link,
    framer: Framer | null,
    highWater: number,
    tell: (news: "unwritable", error: unknown) => void,
  ) {
    this.#link = link;
    this.#framer = link.unit === "bytes" ? framer : null;
    this.#highWater = highWater;
    this.#tell = tell;
  }

  /**
   * Takes a message.
   *
   * @param data The message.
   * @returns Undefined where there is room for more; else a promise for it.
   * @throws {RangeError} When the framing or the link cannot carry it.
   * @throws What the link could not be written for.
   */
  send(data: PipeData): Promise<void> | undefined {
    if (this.#failure) throw this.#failure.error;
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    const own = typeof data === "string";
    const { maxMessage = Infinity } = this.#link;
    if (bytes.length > maxMessage) {
      throw new RangeError(`Cannot send: a message may have ${maxMessage} bytes here, got ${bytes.length}`);
    }
    this.messages++;
    if (this.#link.unit === "message") {
      this.#push(own ? bytes : bytes.slice());
      if (own) texts.add(bytes);
    } else if (this.#framer) {
      const { head, tail } = this.#framer.wrap(bytes);
      this.#join(head.length + bytes.length + tail.length, head, bytes, tail);
    } else if (own || (bytes.length > COPIED && !this.#writing)) {
      this.#push(bytes);
      // The caller has its memory back when it was written.
      if (!own) return this.#start() ?? this.#below(0);
    } else this.#join(bytes.length, bytes);
    this.#start();
    return this.buffered > this.#highWater ? this.#below(this.#highWater) : undefined;
  }

  /** Resolves when everything was written. */
  flush(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure.error);
    return this.buffered === 0 ? Promise.resolve() : this.#below(0);
  }

  /** Stops writing, to go on with another link. */
  pause(): void {
    this.#paused = true;
  }

  /**
   * Goes on with another link, with what has not been written yet. Messages that were being written are written again, whole;
   * of a stream without messages nobody knows how much of it has arrived, so that part is lost.
   */
  replace(link: Link): void {
    const current = this.#current;
    this.#current = undefined;
    this.#link = link;
    this.#failure = undefined;
    this.#paused = false;
    this.#writing = false;
    if (current && (this.#framer || link.unit === "message")) this.#queue.unshift(current);
    else if (current) this.buffered -= current.length;
    this.#wake();
    this.#start();
  }

  /** Lets nobody send any more, and nobody wait. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#queue = [];
    this.#used = -1;
    this.#current = undefined;
    this.buffered = 0;
    for (const { reject } of this.#waiters.splice(0)) reject(error);
  }

  #below(below: number): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.push({ below, resolve, reject }));
  }

  #push(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#used = -1;
    this.buffered += bytes.length;
  }

  /** Copies parts behind what waits already, or into a buffer of their own. */
  #join(length: number, ...parts: readonly Uint8Array[]): void {
    let buffer = this.#used >= 0 ? this.#queue.at(-1) : undefined;
    if (!buffer || buffer.length - this.#used < length) {
      if (buffer) this.#queue[this.#queue.length - 1] = buffer.subarray(0, this.#used);
      // Nothing is joined to the first one, which is written at once.
      buffer = new Uint8Array(this.#writing || this.#paused ? Math.max(JOINED, length) : length);
      this.#queue.push(buffer);
      this.#used = 0;
    }
    for (const part of parts) {
      buffer.set(part, this.#used);
      this.#used += part.length;
    }
    this.buffered += length;
  }

  #start(): undefined {
    if (!this.#writing && !this.#paused && this.#queue.length > 0) void this.#write(this.#link);
  }

  async #write(link: Link): Promise<void> {
    this.#writing = true;
    try {
      while (this.#queue.length > 0 && link === this.#link && !this.#paused) {
        let bytes = this.#queue.shift() ?? new Uint8Array();
        if (this.#queue.length === 0 && this.#used >= 0) bytes = bytes.subarray(0, this.#used);
        if (this.#queue.length === 0) this.#used = -1;
        this.#current = bytes;
        const taken = await link.write(bytes, texts.has(bytes));
        if (link !== this.#link || this.#failure) return;
        this.#current = undefined;
        this.buffered -= bytes.length;
        if (taken === false) this.dropped++;
        else this.bytes += bytes.length;
        this.#wake();
      }
    } catch (error) {
      if (link === this.#link && !this.#failure && !this.#paused) this.#tell("unwritable", error);
    } finally {
      if (link === this.#link) this.#writing = false;
    }
  }

  #wake(): void {
    if (this.#waiters.length === 0) return;
    const waiting = this.#waiters;
    this.#waiters = waiting.filter(({ below }) => this.buffered > below);
    for (const { below, resolve } of waiting) if (this.buffered <= below) resolve();
  }
}

/** The way out: what is sent while a write is under way joins the next one, and who sends too much waits. */

import { BufferPool } from "./_buffer_pool.ts";
import { copy } from "./_copy.ts";
import type { Framer } from "./framing.ts";
import { type InPlace, inPlaceOf } from "./_in_place.ts";
import type { Link } from "./_link.ts";
import type { PipeData } from "./pipe.ts";

/** What is not larger is copied, so that the caller has its memory back at once. */
const COPIED = 16 * 1024;

/** Where messages are joined. */
export const joining: BufferPool = new BufferPool(128 * 1024, 32);

/** Where they are joined if all of those are in use. */
const SPARE = 4096;

/**
 * How many turns of promises nobody has to send anything before what was joined is written. A loop that sends needs but a few
 * from one message to the next, and a write costs as much as a hundred.
 */
const QUIET = 8;

/** What is written at once, and once more as a whole over another link. */
interface Batch {
  readonly bytes: Uint8Array;
  used: number;
  /** How much of that the application gave, without framing. */
  content: number;
  /** How many messages that is. */
  messages: number;
  /** What has to be given back. */
  readonly pooled: Uint8Array<ArrayBuffer> | undefined;
  /** Whether it is a message that was given as text. */
  readonly text: boolean;
}

/** Who waits for what was sent before. */
interface Waiter {
  /** How many bytes must have left. */
  until: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const encoder = new TextEncoder();

/** Writes to one link after another. */
export class Outbound {
  readonly #framer: Framer | null;
  readonly #inPlace: InPlace | undefined;
  readonly #highWater: number;
  readonly #tell: (news: "unwritable", error: unknown) => void;
  #link: Link;
  /** What waits to be written. */
  #queue: Batch[] = [];
  /** The last of the queue, if more may join it. */
  #open: Batch | undefined;
  #writing = false;
  /** What is being written. */
  #current: Batch | undefined;
  #waiters: Waiter[] = [];
  #failure: { readonly error: unknown } | undefined;
  #paused = false;
  /** Bytes that were ever given. */
  #given = 0;
  /** Bytes that were given and not taken by the system. */
  buffered = 0;
  /** Bytes of the application that the system took. */
  bytes = 0;
  /** Messages that the system took. */
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
    this.#inPlace = this.#framer ? inPlaceOf(this.#framer) : undefined;
    this.#highWater = highWater;
    this.#tell = tell;
  }

  /**
   * Takes a message.
   *
   * @param data The message.
   * @param signal Ends the wait, and takes the message back as long as nothing of it has left. Without it the caller leaves the
   *   message alone until what is returned is settled, so that it need not be copied.
   * @returns Undefined where there is room for more; else a promise for it.
   * @throws {RangeError} When the framing or the link cannot carry it.
   * @throws What the link could not be written for.
   */
  send(data: PipeData, signal?: AbortSignal): Promise<void> | undefined {
    if (this.#failure) throw this.#failure.error;
    const text = typeof data === "string";
    const bytes = text ? encoder.encode(data) : data;
    const { maxMessage = Infinity, unit } = this.#link;
    if (bytes.length > maxMessage) {
      throw new RangeError(`Cannot send: a message may have ${maxMessage} bytes here, got ${bytes.length}`);
    }
    let whole = false;
    // What may be taken back is joined to nothing.
    const loose = signal && (this.#writing || this.#paused) && this.buffered + bytes.length > this.#highWater;
    if (loose) this.#open = undefined;
    if (unit === "message") this.#push(text ? bytes : bytes.slice(), text);
    else if (this.#framer) this.#frame(this.#framer, bytes);
    else if (bytes.length > COPIED && (text || !signal && !this.#writing)) {
      this.#push(bytes, false);
      // The caller has its memory back when it was written.
      whole = !text;
    } else if (bytes.length > 0) {
      this.#join(bytes.length, bytes);
    } else {
      // There is nothing to wait for.
      this.messages++;
    }
    if (!this.#writing && !this.#paused && this.#queue.length > 0) this.#write(this.#link);
    if (whole) return this.#until(this.#given);
    if (this.buffered <= this.#highWater) return undefined;
    const until = this.#given - this.#highWater;
    if (!signal) return this.#until(until);
    return this.#untilAborted(until, loose ? this.#queue.at(-1) : undefined, signal);
  }

  /** Resolves when everything was written. */
  flush(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure.error);
    return this.buffered === 0 ? Promise.resolve() : this.#until(this.#given);
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
    else if (current) {
      if (current.pooled) joining.forget();
      this.buffered -= current.used;
    }
    this.#wake();
    if (this.#queue.length > 0) this.#write(link);
  }

  /** Lets nobody send any more, and nobody wait. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    // The link may still write it.
    if (this.#current?.pooled) joining.forget();
    for (const { pooled } of this.#queue) if (pooled) joining.giveBack(pooled);
    this.#queue = [];
    this.#open = undefined;
    this.#current = undefined;
    this.buffered = 0;
    for (const { reject } of this.#waiters.splice(0)) reject(error);
  }

  /** Waits for room, and takes the batch back when nobody waits any more. */
  async #untilAborted(until: number, batch: Batch | undefined, signal: AbortSignal): Promise<void> {
    if (batch) this.#open = undefined;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { until, resolve, reject };
    this.#waiters.push(waiter);
    const giveUp = (): void => {
      this.#waiters = this.#waiters.filter((one) => one !== waiter);
      if (batch) this.#takeBack(batch);
      reject(signal.reason);
    };
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  #takeBack(batch: Batch): void {
    const at = this.#queue.indexOf(batch);
    if (at < 0) return;
    let begin = this.#given - this.buffered + (this.#current?.used ?? 0);
    for (const { used } of this.#queue.slice(0, at)) begin += used;
    this.#queue.splice(at, 1);
    if (batch.pooled) joining.giveBack(batch.pooled);
    this.#given -= batch.used;
    this.buffered -= batch.used;
    // Who waits for what came behind it has less to wait for.
    for (const waiter of this.#waiters) {
      if (waiter.until > begin) waiter.until = Math.max(begin, waiter.until - batch.used);
    }
    this.#wake();
  }

  #until(until: number): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.push({ until, resolve, reject }));
  }

  /** Puts a message with its framing behind what waits already. */
  #frame(framer: Framer, bytes: Uint8Array): void {
    const inPlace = this.#inPlace;
    if (!inPlace) {
      const { head, tail } = framer.wrap(bytes);
      return this.#join(bytes.length, head, bytes, tail);
    }
    const length = bytes.length + inPlace.overhead;
    const open = this.#room(length);
    try {
      inPlace.put(bytes, open);
    } catch (error) {
      this.#unused(open);
      throw error;
    }
    open.used += length;
    open.content += bytes.length;
    open.messages++;
    this.#count(length);
  }

  /** Puts a message of so many bytes, with what belongs to it, behind what waits already. */
  #join(content: number, ...parts: readonly Uint8Array[]): void {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const open = this.#room(length);
    for (const part of parts) {
      copy(open.bytes, open.used, part);
      open.used += part.length;
    }
    open.content += content;
    open.messages++;
    this.#count(length);
  }

  #push(bytes: Uint8Array, text: boolean): void {
    const { length } = bytes;
    this.#queue.push({ bytes, used: length, content: length, messages: 1, pooled: undefined, text });
    this.#open = undefined;
    this.#count(length);
  }

  /** The last of what waits already, with room for so much more. */
  #room(length: number): Batch {
    const open = this.#open;
    if (open && open.bytes.length - open.used >= length) return open;
    const pooled = length <= joining.size ? joining.borrow() : undefined;
    // Nothing is joined to the first one, which is written at once.
    const spare = this.#writing || this.#paused ? SPARE : 0;
    const bytes = pooled ?? new Uint8Array(Math.max(length, spare));
    const batch = { bytes, used: 0, content: 0, messages: 0, pooled, text: false };
    this.#queue.push(batch);
    this.#open = batch;
    return batch;
  }

  /** Nothing came of it: nobody is to write, or to keep, a batch of nothing. */
  #unused(open: Batch): void {
    if (open.used > 0) return;
    if (open.pooled) joining.giveBack(open.pooled);
    this.#queue.pop();
    this.#open = undefined;
  }

  #count(length: number): void {
    this.#given += length;
    this.buffered += length;
  }

  /** Writes what waits longest, and what comes after it. No async function, which would cost as much as a small message. */
  #write(link: Link): void {
    if (link !== this.#link) return;
    const batch = this.#paused ? undefined : this.#queue.shift();
    this.#writing = batch !== undefined;
    if (!batch) return;
    if (batch === this.#open) this.#open = undefined;
    this.#current = batch;
    const { bytes, used, text } = batch;
    link.write(used === bytes.length ? bytes : bytes.subarray(0, used), text).then(
      (taken) => this.#written(link, batch, taken),
      (error) => this.#unwritable(link, error),
    );
  }

  #written(link: Link, batch: Batch, taken: void | false): void {
    // Another link has it now, or nobody wants it any more.
    if (this.#current !== batch) return this.#stopped(link);
    this.#current = undefined;
    if (batch.pooled) joining.giveBack(batch.pooled);
    this.buffered -= batch.used;
    if (taken === false) this.dropped += batch.messages;
    else {
      this.bytes += batch.content;
      this.messages += batch.messages;
    }
    this.#wake();
    if (this.#open && this.#queue.length === 1) void this.#quiet().then(() => this.#write(link));
    else this.#write(link);
  }

  #unwritable(link: Link, error: unknown): void {
    if (link === this.#link && !this.#failure && !this.#paused) this.#tell("unwritable", error);
    this.#stopped(link);
  }

  #stopped(link: Link): void {
    if (link === this.#link) this.#writing = false;
  }

  /** Waits as long as messages keep coming that can be written together. */
  async #quiet(): Promise<void> {
    for (let left = QUIET; left > 0 && this.#queue.length === 1 && this.#waiters.length === 0; left--) {
      const given = this.#given;
      await null;
      if (given !== this.#given) left = QUIET;
    }
  }

  #wake(): void {
    if (this.#waiters.length === 0) return;
    const left = this.#given - this.buffered;
    const waiting = this.#waiters;
    this.#waiters = waiting.filter(({ until }) => until > left);
    for (const { until, resolve } of waiting) if (until <= left) resolve();
  }
}

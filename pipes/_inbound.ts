/** The way in: reads from a link when somebody wants something, and takes messages out of it. */

import type { PipeAddress } from "./address.ts";
import type { FrameDecoder, Framer } from "./framing.ts";
import type { Link } from "./_link.ts";
import type { Packet } from "./pipe.ts";

/** An idle connection waits with a buffer of this size: a pending read of 64 KiB costs all of it, times the connections. */
const SMALL = 256;

/** The most that is read at once. */
const LARGE = 64 * 1024;

/** Takes messages out of one link after another. There is one pending {@linkcode Inbound.next} at a time. */
export class Inbound {
  readonly #framer: Framer | null;
  #link: Link;
  #decoder: FrameDecoder | null;
  #ready: Uint8Array<ArrayBuffer>[] = [];
  #at = 0;
  #size = SMALL;
  #reading: Promise<Uint8Array<ArrayBuffer> | null> | undefined;
  #ended = false;
  /** Settled when another link takes the place of the lost one. */
  #another: PromiseWithResolvers<void> | undefined;
  /** Bytes that the link gave. */
  bytes = 0;

  /**
   * @param link Where to read.
   * @param framer How messages lie in its bytes; `null` where each read is one.
   */
  constructor(link: Link, framer: Framer | null) {
    this.#link = link;
    this.#framer = link.unit === "bytes" ? framer : null;
    this.#decoder = this.#framer?.decoder() ?? null;
  }

  /**
   * Gives the next message. A call that is not waited for any more is not lost: the next one goes on with its read.
   *
   * @param into Where bytes may be put if they are read now; not where messages are taken out of them, which may be kept.
   * @returns The message, or `null` at the end.
   * @throws What the link threw, or the decoder.
   */
  async next(into?: Uint8Array<ArrayBuffer>): Promise<Packet | null> {
    let lent = this.#decoder || into?.length === 0 ? undefined : into;
    while (true) {
      const data = this.#ready[this.#at];
      if (data) {
        if (++this.#at === this.#ready.length) {
          this.#ready = [];
          this.#at = 0;
        }
        return { data, from: this.#from };
      }
      if (this.#another) {
        await this.#another.promise;
        continue;
      }
      if (this.#ended) return null;
      const link = this.#link;
      this.#reading ??= link.read(lent ?? new Uint8Array(link.unit === "bytes" ? this.#size : LARGE));
      const reading = this.#reading;
      // Whoever has lent it may have it back when there is another link.
      lent = undefined;
      let chunk: Uint8Array<ArrayBuffer> | null;
      try {
        chunk = await reading;
      } catch (error) {
        if (this.#another || link !== this.#link) continue;
        throw error;
      } finally {
        if (this.#reading === reading) this.#reading = undefined;
      }
      // Another link took the place of this one meanwhile.
      if (link !== this.#link) continue;
      if (chunk === null) {
        if (this.#another) continue;
        this.#ended = true;
        if (this.#decoder) this.#ready = [...this.#decoder.end()];
        continue;
      }
      this.bytes += chunk.length;
      if (link.unit === "bytes") chunk = this.#fit(chunk, into);
      if (!this.#decoder) return { data: chunk, from: this.#from };
      this.#ready = [...this.#decoder.push(chunk)];
    }
  }

  /** Whether a read is under way. */
  get pending(): boolean {
    return this.#reading !== undefined;
  }

  /** Whether the link is lost, and another one is to come. */
  get suspended(): boolean {
    return this.#another !== undefined;
  }

  /** The link is lost: how it ends is of no interest, and {@linkcode Inbound.next} waits for another one. */
  suspend(): void {
    this.#another ??= Promise.withResolvers<void>();
  }

  /** Goes on with another link; what was incomplete on the old one is lost. */
  replace(link: Link): void {
    this.#link = link;
    this.#decoder = this.#framer?.decoder() ?? null;
    this.#reading = undefined;
    this.#ended = false;
    this.#another?.resolve();
    this.#another = undefined;
  }

  /** What was read and nobody has got; `null` where a part of a message is among it, which cannot be given back. */
  unread(): readonly Uint8Array<ArrayBuffer>[] | null {
    if (this.#decoder) return null;
    return this.#ready.slice(this.#at);
  }

  get #from(): PipeAddress {
    return this.#link.lastFrom ?? this.#link.remoteAddress;
  }

  /** Grows and shrinks the buffer with what comes, and lets no small message hold a large buffer. */
  #fit(chunk: Uint8Array<ArrayBuffer>, lent: Uint8Array | undefined): Uint8Array<ArrayBuffer> {
    const { length } = chunk;
    if (length === this.#size) this.#size = Math.min(LARGE, this.#size * 8);
    else if (length <= SMALL) this.#size = SMALL;
    return length * 4 < chunk.buffer.byteLength && chunk.buffer !== lent?.buffer ? chunk.slice() : chunk;
  }
}

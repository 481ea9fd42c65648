/** The way in: reads from a link when somebody wants something, and takes messages out of it. */

import type { PipeAddress } from "./address.ts";
import { BufferPool } from "./_buffer_pool.ts";
import type { FrameDecoder, Framer } from "./framing.ts";
import { inPlaceOf } from "./_in_place.ts";
import type { Link } from "./_link.ts";
import type { Packet } from "./pipe.ts";

/**
 * An idle connection waits with a buffer of the first size: a pending read of 64 KiB costs all of it, times the connections.
 * One that has something to say waits with the second, and what comes by the heap is read with the large ones.
 */
const [SMALL, MIDDLE] = [256, 4096];

/** The large ones, each in use only where much comes. */
const large = new BufferPool(128 * 1024, 16);

/** A stream that gives as much at once is read straight into memory for the reader, of twice the size. */
const PLENTY = 32 * 1024;

const NOTHING = new Uint8Array();
const NONE: readonly Uint8Array<ArrayBuffer>[] = [];

/** Takes messages out of one link after another. There is one pending {@linkcode Inbound.next} at a time. */
export class Inbound {
  readonly #framer: Framer | null;
  #link: Link;
  #decoder: FrameDecoder | null;
  /** Whether the decoder copies what it keeps, so that its messages can be moved to memory of their own. */
  readonly #lends: boolean;
  #ready = NONE;
  #at = 0;
  /** The buffer for little, used again and again. */
  #own = NOTHING;
  /** How much is expected, and whether the last read found more than it could take. */
  #size = SMALL;
  #full = false;
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
    this.#lends = this.#framer !== null && inPlaceOf(this.#framer) !== undefined;
  }

  /** Gives the next message, if it is there already. */
  take(): Packet | undefined {
    const data = this.#ready[this.#at];
    if (!data) return undefined;
    if (++this.#at === this.#ready.length) {
      this.#ready = NONE;
      this.#at = 0;
    }
    return { data, from: this.#from };
  }

  /**
   * Gives the next message.
   *
   * @param into Where bytes may be put if they are read now; not where messages are taken out of them, which may be kept.
   * @returns The message, or `null` at the end.
   * @throws What the link threw, or the decoder.
   */
  async next(into?: Uint8Array<ArrayBuffer>): Promise<Packet | null> {
    // Whoever has lent it may have it back when there is another link.
    let lent = this.#decoder || into?.length === 0 ? undefined : into;
    while (true) {
      const packet = this.take();
      if (packet) return packet;
      if (this.#another) {
        await this.#another.promise;
        continue;
      }
      if (this.#ended) return null;
      const link = this.#link;
      const buffer = lent ?? (link.unit === "bytes" ? this.#buffer() : NOTHING);
      try {
        const chunk = await link.read(buffer);
        // Another link took the place of this one meanwhile.
        if (link !== this.#link) continue;
        if (chunk) this.#came(chunk, buffer, lent !== undefined);
        else if (!this.#another) this.#end();
      } catch (error) {
        if (this.#another || link !== this.#link) continue;
        throw error;
      } finally {
        large.giveBack(buffer);
        lent = undefined;
      }
    }
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
    this.#ended = false;
    // The read of the old link may still have it.
    this.#own = NOTHING;
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

  #end(): void {
    this.#ended = true;
    if (this.#decoder) this.#ready = this.#decoder.end();
  }

  /** Makes messages of what was read; those who get them own their memory. */
  #came(chunk: Uint8Array<ArrayBuffer>, buffer: Uint8Array<ArrayBuffer>, lent: boolean): void {
    this.bytes += chunk.length;
    if (this.#link.unit === "bytes" && !lent) this.#fit(chunk.length, buffer.length);
    // Some links give memory of their own.
    const shared = !lent && chunk.buffer === buffer.buffer && !this.#given(chunk, buffer);
    if (!this.#decoder) this.#ready = [shared ? copyOf(chunk) : chunk];
    else if (shared && this.#lends) this.#ready = movedOut(this.#decoder.push(chunk), chunk.buffer);
    else this.#ready = this.#decoder.push(shared ? copyOf(chunk) : chunk);
  }

  /** Whether the buffer is given away with what was read into it, which is most of it. */
  #given(chunk: Uint8Array, buffer: Uint8Array): boolean {
    return buffer.length === 2 * PLENTY && chunk.length * 4 >= buffer.length;
  }

  #buffer(): Uint8Array<ArrayBuffer> {
    let size = this.#size;
    if (size > MIDDLE) {
      if (size === 2 * PLENTY) return new Uint8Array(size);
      const buffer = large.borrow();
      if (buffer) return buffer;
      // Others have them all. Where much is known to be there, it is worth one of its own for once.
      if (this.#full) return new Uint8Array(2 * PLENTY);
      size = MIDDLE;
    }
    if (this.#own.length !== size) this.#own = new Uint8Array(size);
    return this.#own;
  }

  /** Grows and shrinks the buffer with what comes. */
  #fit(length: number, room: number): void {
    this.#full = length === room;
    if (length >= PLENTY && !this.#decoder) this.#size = 2 * PLENTY;
    else if (this.#full || length >= MIDDLE) this.#size = large.size;
    else this.#size = length > SMALL ? MIDDLE : SMALL;
  }
}

/** Two steps, which takes half the time of `slice()`. */
function copyOf(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy;
}

/** The messages with those that lie in some memory, one behind the other, moved to memory of their own together. */
function movedOut(
  messages: readonly Uint8Array<ArrayBuffer>[],
  memory: ArrayBuffer,
): readonly Uint8Array<ArrayBuffer>[] {
  const first = messages.find(({ buffer }) => buffer === memory);
  const last = messages.at(-1);
  if (!first || !last) return messages;
  if (messages.length === 1) return [copyOf(first)];
  const begin = first.byteOffset;
  const { buffer: own } = copyOf(new Uint8Array(memory, begin, last.byteOffset + last.length - begin));
  return messages.map((message) =>
    message.buffer === memory ? new Uint8Array(own, message.byteOffset - begin, message.length) : message
  );
}

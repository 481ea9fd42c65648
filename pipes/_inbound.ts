/** The way in: reads from a link when somebody wants something, and takes messages out of it. */

import { BufferPool } from "./_buffer_pool.ts";
import { copy } from "./_copy.ts";
import type { FrameDecoder, Framer } from "./framing.ts";
import { inPlaceOf } from "./_in_place.ts";
import type { FillSink, Link } from "./_link.ts";
import type { Packet } from "./pipe.ts";

/**
 * An idle connection waits with a buffer of the first size: a pending read of 64 KiB costs all of it, times the connections.
 * One that gets small messages waits with up to the second, and reads what is larger by the large ones.
 */
const [SMALL, MIDDLE] = [256, 4096];

/** A stream that gives as much at once is read straight into memory for the reader, of twice the size. */
const PLENTY = 32 * 1024;

/** So many messages at once are many. */
const MANY = 8;

/** A message that is not longer moves to memory of its own at next to no cost, so that the buffer can be used again. */
const TINY = 64;

/** The large ones, each in use only where much comes; what was read moves to memory of its own. */
export const large: BufferPool = new BufferPool(128 * 1024, 16);

const NOTHING = new Uint8Array();
const NONE: readonly Uint8Array<ArrayBuffer>[] = [];

/** Who gets what an {@linkcode Inbound} reads. */
export interface InboundSink {
  /** The next message, or `null` at the end. */
  fetched(packet: Packet | null): void;
  /** What the link threw, or the decoder. */
  failed(error: unknown): void;
}

/** Takes messages out of one link after another. There is one pending {@linkcode Inbound.next} at a time. */
export class Inbound implements FillSink {
  readonly #framer: Framer | null;
  #link: Link;
  #decoder: FrameDecoder | null;
  /** Whether the decoder copies what it keeps, so that its messages can be moved to memory of their own. */
  readonly #movable: boolean;
  #ready = NONE;
  #at = 0;
  /** The buffer for little, as long as nobody has got it. */
  #own = NOTHING;
  /** How much memory the next read may need. */
  #size = SMALL;
  /** Whether many messages came together last time. */
  #many = false;
  /** Whether the last read may have left something. */
  #full = false;
  #ended = false;
  /** Settled when another link takes the place of the lost one. */
  #another: PromiseWithResolvers<void> | undefined;
  /** Of the read that is under way: who gets what comes, and from where. */
  #sink: InboundSink | undefined;
  #from: Link;
  /** Where it goes, and whose memory that is. */
  #into = NOTHING;
  #whose: "lent" | "pooled" | "own" = "own";

  /**
   * @param link Where to read.
   * @param framer How messages lie in its bytes; `null` where each read is one.
   */
  constructor(link: Link, framer: Framer | null) {
    this.#link = link;
    this.#from = link;
    this.#framer = link.unit === "bytes" ? framer : null;
    this.#decoder = this.#framer?.decoder() ?? null;
    this.#movable = this.#framer !== null && inPlaceOf(this.#framer) !== undefined;
  }

  /** Gives the next message, if it is there already. */
  take(): Packet | undefined {
    const data = this.#ready[this.#at];
    if (!data) return undefined;
    if (++this.#at === this.#ready.length) {
      this.#ready = NONE;
      this.#at = 0;
    }
    return { data, from: this.#link.lastFrom ?? this.#link.remoteAddress };
  }

  /**
   * Gets the next message.
   *
   * @param sink Who gets it, or what went wrong; maybe at once.
   * @param into Where bytes may be put if they are read now; not where messages are taken out of them, which may be kept.
   */
  next(sink: InboundSink, into?: Uint8Array<ArrayBuffer>): void {
    const packet = this.take();
    if (packet) return sink.fetched(packet);
    if (this.#another) return void this.#another.promise.then(() => this.next(sink));
    if (this.#ended) return sink.fetched(null);
    const link = this.#link;
    const lent = this.#decoder || !into?.length ? undefined : into;
    const pooled = lent ? undefined : this.#pooled();
    const buffer = lent ?? pooled ?? this.#buffer();
    this.#sink = sink;
    this.#from = link;
    this.#into = buffer;
    this.#whose = lent ? "lent" : pooled ? "pooled" : "own";
    if (link.fill) link.fill(buffer, this);
    else link.read(buffer).then((chunk) => this.#read(chunk), (error) => this.broke(error));
  }

  filled(count: number | null): void {
    this.#read(count === null ? null : this.#into.subarray(0, count));
  }

  broke(error: unknown): void {
    const sink = this.#done();
    if (this.#another || this.#from !== this.#link) this.next(sink);
    else sink.failed(error);
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

  /**
   * All that was read and nobody has got, as bytes that can be read again; parts of messages too, where the framing tells them.
   *
   * @param first A message that was taken out, and that nobody has got either.
   */
  kept(first: readonly Uint8Array[]): readonly Uint8Array[] {
    const messages = [...first, ...this.#ready.slice(this.#at)];
    const framer = this.#framer;
    if (!framer) return messages;
    const wrapped = messages.flatMap((message) => {
      const { head, tail } = framer.wrap(message);
      return [head, message, tail];
    });
    return [...wrapped, this.#decoder?.pending?.() ?? NOTHING];
  }

  #read(chunk: Uint8Array<ArrayBuffer> | null): void {
    try {
      // Another link may have taken the place of this one meanwhile, or be about to.
      if (this.#from === this.#link && chunk) this.#came(chunk);
      else if (this.#from === this.#link && !this.#another) this.#end();
    } catch (error) {
      return this.#done().failed(error);
    }
    this.next(this.#done());
  }

  /** Lets go of the memory of the read that is over, and gives the one who waits for it. */
  #done(): InboundSink {
    if (this.#whose === "pooled") large.giveBack(this.#into);
    this.#into = NOTHING;
    this.#whose = "own";
    return this.#sink as InboundSink;
  }

  /** Makes messages of what was read. */
  #came(chunk: Uint8Array<ArrayBuffer>): void {
    const { length, buffer: memory } = chunk;
    const [buffer, whose, decoder] = [this.#into, this.#whose, this.#decoder];
    if (this.#link.unit === "bytes" && whose !== "lent") this.#fit(length, buffer.length);
    // Nothing small may hold something large.
    const loose = whose === "own" && length * 4 < memory.byteLength;
    // Some links give memory of their own.
    const ours = whose !== "lent" && memory === buffer.buffer;
    if (decoder && whose === "pooled" && this.#many) {
      // To move all at once before costs less than to move one by one after, but for the part of a large one, which moves twice.
      this.#ready = decoder.push(ours ? copyOf(chunk) : chunk);
      this.#many = this.#ready.length >= MANY;
      return;
    }
    if (ours && (!decoder || this.#movable)) {
      const messages = decoder ? decoder.push(chunk) : [chunk];
      const tiny = messages.length <= 1 && (messages[0]?.length ?? 0) <= TINY;
      if (tiny || loose || whose === "pooled") this.#ready = movedOut(messages, memory);
      else {
        this.#ready = messages;
        if (buffer === this.#own) this.#own = NOTHING;
      }
      this.#many = messages.length >= MANY;
      return;
    }
    const data = loose || (ours && whose === "pooled") ? copyOf(chunk) : chunk;
    if (ours && data === chunk && buffer === this.#own) this.#own = NOTHING;
    this.#ready = decoder ? decoder.push(data) : [data];
  }

  #end(): void {
    this.#ended = true;
    if (this.#decoder) this.#ready = this.#decoder.end();
  }

  /** Memory that is used by turns, where that is worth it. */
  #pooled(): Uint8Array<ArrayBuffer> | undefined {
    return this.#size === large.size && this.#link.unit === "bytes" ? large.borrow() : undefined;
  }

  /** Memory that belongs to those who get what is read. */
  #buffer(): Uint8Array<ArrayBuffer> {
    if (this.#link.unit === "message") return NOTHING;
    // What is known to be there is worth a large one for once, also where all of the others are in use.
    if (this.#size === 2 * PLENTY || (this.#size > MIDDLE && this.#full)) return new Uint8Array(2 * PLENTY);
    const size = Math.min(this.#size, MIDDLE);
    if (this.#own.length !== size) this.#own = new Uint8Array(size);
    return this.#own;
  }

  /** Prepares for more of what has come. */
  #fit(length: number, room: number): void {
    this.#full = length === room;
    if (length >= PLENTY && !this.#decoder) this.#size = 2 * PLENTY;
    else if (this.#full || length >= MIDDLE) this.#size = large.size;
    else this.#size = length > SMALL ? MIDDLE : SMALL;
  }
}

/** Two steps, which takes half the time of `slice()`. */
function copyOf(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const own = new Uint8Array(bytes.length);
  copy(own, 0, bytes);
  return own;
}

/** The messages with those that lie in some memory, one behind the other, moved to memory of their own together. */
function movedOut(
  messages: readonly Uint8Array<ArrayBuffer>[],
  memory: ArrayBuffer,
): readonly Uint8Array<ArrayBuffer>[] {
  const [only] = messages;
  if (only && messages.length === 1) return only.buffer === memory ? [copyOf(only)] : messages;
  const first = messages.find(({ buffer }) => buffer === memory);
  const last = messages.at(-1);
  if (!first || !last) return messages;
  const begin = first.byteOffset;
  const { buffer: own } = copyOf(new Uint8Array(memory, begin, last.byteOffset + last.length - begin));
  return messages.map((message) =>
    message.buffer === memory ? new Uint8Array(own, message.byteOffset - begin, message.length) : message
  );
}

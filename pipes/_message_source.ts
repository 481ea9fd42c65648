/** The next message of a pipe: what was read and nobody has got, who waits for it, and how it ended. */

import type { Inbound, InboundSink } from "./_inbound.ts";
import type { Packet } from "./pipe.ts";

/**
 * What the pipe hears: a message came; what came looks like the end (and may be none); the other end has ended; the link or
 * the framing is broken.
 */
export type SourceNews = "message" | "ending" | "end" | "broken";

/** One who waits for a message. */
export interface Waiter {
  /** Takes it, or `null` at the end. */
  resolve(packet: Packet | null): void;
  /** Hears what ended the pipe. */
  reject(error: unknown): void;
}

/** Reads from an {@linkcode Inbound} when somebody asks, for one at a time. */
export class MessageSource implements InboundSink {
  readonly #inbound: Inbound;
  readonly #tell: (news: SourceNews, error?: unknown) => void;
  /** A message that was read, and that nobody has got; or what those get who ask. */
  #stash: { readonly packet: Packet | null } | { readonly error: unknown } | undefined;
  #waiter: Waiter | undefined;
  #fetching = false;
  /** How it ended: what those get who read on. */
  #over: { readonly error: unknown } | undefined;

  /**
   * @param inbound Where messages come from.
   * @param tell What tells the pipe.
   */
  constructor(inbound: Inbound, tell: (news: SourceNews, error?: unknown) => void) {
    this.#inbound = inbound;
    this.#tell = tell;
  }

  /** Whether a read is under way. */
  get fetching(): boolean {
    return this.#fetching;
  }

  /** Whether nothing is read since nobody has taken what was read last. */
  get blocked(): boolean {
    return !this.#fetching && this.#stash !== undefined;
  }

  /** Whether no part of a message is kept, which could not be given back. */
  get whole(): boolean {
    return this.#inbound.unread() !== null;
  }

  /** The next message, where it is there already: that costs no promise. */
  ready(): Packet | undefined {
    if (this.#over || this.#fetching) return undefined;
    const stash = this.#stash;
    if (stash) {
      if ("error" in stash || !stash.packet) return undefined;
      this.#stash = undefined;
      return stash.packet;
    }
    const packet = this.#inbound.take();
    if (packet) this.#tell("message");
    // Who was told of it may have ended the pipe.
    return this.#over ? undefined : packet;
  }

  /**
   * Waits for the next message; the read keeps the process alive meanwhile.
   *
   * @param waiter Who gets it; at once where it is there.
   * @param into Where it may be read into.
   */
  wait(waiter: Waiter, into?: Uint8Array<ArrayBuffer>): void {
    const stash = this.#stash ?? this.#over;
    if (!stash) {
      this.#waiter = waiter;
      this.fetch(into);
    } else if ("packet" in stash) {
      // The end stays the end.
      if (stash.packet) this.#stash = undefined;
      waiter.resolve(stash.packet);
    } else if (stash.error === undefined) waiter.resolve(null);
    else waiter.reject(stash.error);
  }

  /** Waits no more: what comes from now on is for the next one who asks. */
  leave(): void {
    this.#waiter = undefined;
  }

  /** Takes a message back that nobody wanted after all. */
  putBack(packet: Packet): void {
    this.#stash ??= { packet };
  }

  /** Reads one message, if nobody does; so an end or a failure shows although nobody wants a message. */
  fetch(into?: Uint8Array<ArrayBuffer>): void {
    if (this.#fetching || this.#stash || this.#over) return;
    this.#fetching = true;
    this.#inbound.next(this, into);
  }

  /** What was read and nobody has got. */
  unread(): readonly Uint8Array<ArrayBuffer>[] {
    const stash = this.#stash && "packet" in this.#stash && this.#stash.packet;
    this.#stash = undefined;
    return [...(stash ? [stash.data] : []), ...(this.#inbound.unread() ?? [])];
  }

  /** The same as bytes that can be read again; it stays where it is. */
  kept(): readonly Uint8Array[] {
    const packet = this.#stash && "packet" in this.#stash ? this.#stash.packet : null;
    return this.#inbound.kept(packet ? [packet.data] : []);
  }

  /**
   * Ends all reading, but for what was read already.
   *
   * @param error What those get who read on; without one it is a clean end.
   */
  end(error: unknown): void {
    this.#over = { error };
    if (error !== undefined) this.#stash ??= { error };
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (error === undefined) waiter?.resolve(null);
    else waiter?.reject(error);
  }

  fetched(packet: Packet | null): void {
    this.#fetching = false;
    if (this.#over) return;
    this.#tell(packet ? "message" : "ending");
    if (this.#over) return;
    // It was no end but a loss, and there will be another link.
    if (!packet && this.#inbound.suspended) return this.fetch();
    const waiter = this.#waiter;
    this.#waiter = undefined;
    // The end is kept: whoever asks next gets it too.
    if (!waiter || !packet) this.#stash = { packet };
    waiter?.resolve(packet);
    if (!packet) this.#tell("end");
  }

  failed(error: unknown): void {
    this.#fetching = false;
    if (this.#over) return;
    this.#tell("broken", error);
    // Where there will be another link, this waits for it; one that is being closed has nothing more to say.
    if (this.#inbound.suspended) this.fetch();
  }
}

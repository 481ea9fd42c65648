/** Reading a pipe: who may, and who gets what. */

import type { Clock } from "../internal/clock.ts";
import type { Inbound } from "./_inbound.ts";
import { type QueueOptions, Subscriber } from "./_subscriptions.ts";
import type { PipeEvents } from "./_pipe_events.ts";
import type { Packet, PipeEventOf, PipeFilter, RecvOptions } from "./pipe.ts";
import { PipeError } from "./pipe_error.ts";

/**
 * What the pipe hears of its reader: a message came; what came looks like the end (and may be none); the other end has
 * ended; the link or the framing is broken; a queue is full; the application wants no more.
 */
export type ReaderNews = "message" | "ending" | "end" | "broken" | "full" | "cancelled";

/** What a {@linkcode PipeReader} is made with. */
export interface PipeReaderOptions {
  /** How much may wait for a subscriber. */
  readonly queue: Required<QueueOptions>;
  /** Source of time. */
  readonly clock: Clock;
  /** Where trouble with handlers is told. */
  readonly events: PipeEvents;
  /** What tells the pipe. */
  readonly tell: (news: ReaderNews, error?: unknown) => void;
}

type Result = { readonly packet: Packet | null } | { readonly error: unknown };

/** One who waits for a message. */
interface Waiter {
  readonly resolve: (packet: Packet | null) => void;
  readonly reject: (error: unknown) => void;
}

/** Hands out what an {@linkcode Inbound} gives: to one reader at a time, which may be any number of subscriptions. */
export class PipeReader {
  readonly #inbound: Inbound;
  readonly #options: PipeReaderOptions;
  /** Those who subscribed; made with the first of them. */
  #subscribers: Set<Subscriber> | undefined;
  /** A message that was read, and that nobody has got. */
  #stash: Result | undefined;
  #waiter: Waiter | undefined;
  #fetching = false;
  #pumping = false;
  /** Who reads now, in words for the error that the next one gets. */
  #reader: string | undefined;
  #readable: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  /** How it ended: what those get who read on, and what subscriptions end with. */
  #over: { readonly error: unknown; readonly failure: unknown } | undefined;
  /** Bytes that were handed out. */
  bytes = 0;
  /** Messages that were handed out. */
  messages = 0;
  /** Messages that a full queue cost. */
  dropped = 0;
  /** Messages that nobody wanted. */
  unmatched = 0;

  constructor(inbound: Inbound, options: PipeReaderOptions) {
    this.#inbound = inbound;
    this.#options = options;
  }

  /** Whether a read is under way. */
  get fetching(): boolean {
    return this.#fetching;
  }

  /** Whether nothing is read since nobody has taken what was read last. */
  get blocked(): boolean {
    return !this.#fetching && this.#stash !== undefined;
  }

  /** See {@linkcode PipeBase.recv}. */
  async recv(options: RecvOptions): Promise<Uint8Array<ArrayBuffer> | null> {
    options.signal?.throwIfAborted();
    using _reader = this.#lock("recv()");
    const limited = options.signal || options.timeout !== undefined;
    const packet = await (limited ? this.#receiveWithin(options) : this.#receive(options.into));
    return packet && packet.data;
  }

  /** See {@linkcode PipeBase.messages}. */
  async *iterate(): AsyncIterableIterator<Uint8Array<ArrayBuffer>, void, void> {
    using _reader = this.#lock("messages");
    while (true) {
      const packet = await this.#receive();
      if (!packet) return;
      yield packet.data;
    }
  }

  /** See {@linkcode PipeBase.readable}. */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#readable ??= new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        using _reader = this.#lock("readable");
        const packet = await this.#receive();
        if (packet) controller.enqueue(packet.data);
        else controller.close();
      },
      cancel: (reason) => this.#options.tell("cancelled", reason),
    }, { highWaterMark: 0 });
  }

  /** See {@linkcode PipeBase.subscribe}. */
  subscribe(filter: PipeFilter | undefined): Subscriber {
    const all = this.#subscribers ??= new Set();
    if (all.size === 0) this.#lock("subscribe()")[Symbol.dispose]();
    const subscriber: Subscriber = new Subscriber(filter, this.#options.queue, () => {
      all.delete(subscriber);
      if (all.size === 0 && this.#reader === "a subscription") this.#reader = undefined;
    });
    all.add(subscriber);
    this.#reader = "a subscription";
    if (this.#over) subscriber.end(this.#over.failure);
    else this.#pump();
    return subscriber;
  }

  /** Calls a handler for every message, one at a time. */
  onMessage(handler: (event: PipeEventOf<"message">) => unknown): Disposable {
    const subscriber = this.subscribe(undefined);
    const run = async (): Promise<void> => {
      // Nothing but a pending wait keeps the process alive, and a handler is none.
      for await (const packet of subscriber) {
        try {
          await handler({ type: "message", ...packet });
        } catch (error) {
          this.#options.events.uncaught("message", error);
        }
      }
    };
    // What ended the pipe is told by its own event.
    run().catch(() => {});
    return subscriber;
  }

  /** Reads one message, if nobody does; so an end or a failure shows although nobody wants a message. */
  fetch(into?: Uint8Array<ArrayBuffer>): void {
    if (this.#fetching || this.#stash || this.#over) return;
    this.#fetching = true;
    this.#inbound.next(into).then((packet) => this.#fetched(packet), (error) => {
      this.#fetching = false;
      if (this.#over) return;
      this.#options.tell("broken", error);
      // Where there will be another link, this waits for it; one that is being closed has nothing more to say.
      if (this.#inbound.suspended) this.fetch();
    });
  }

  /** Whether no part of a message is kept, which could not be given back. */
  get whole(): boolean {
    return this.#inbound.unread() !== null;
  }

  /** What was read and nobody has got. */
  take(): Uint8Array<ArrayBuffer> {
    const stash = this.#stash && "packet" in this.#stash && this.#stash.packet;
    this.#stash = undefined;
    return joined([...(stash ? [stash.data] : []), ...(this.#inbound.unread() ?? [])]);
  }

  /**
   * Ends all reading.
   *
   * @param error What those get who read on; without one it is a clean end.
   * @param failure What subscriptions end with.
   */
  end(error: unknown, failure?: unknown): void {
    this.#over = { error, failure };
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (error !== undefined) {
      this.#stash ??= { error };
      waiter?.reject(error);
    } else waiter?.resolve(null);
    for (const subscriber of [...this.#subscribers ?? []]) subscriber.end(failure);
  }

  /** Takes the place of the one who reads; throws where it is taken. */
  #lock(who: string): Disposable {
    const streaming = who !== "readable" && this.#readable?.locked === true ? "readable" : undefined;
    const other = this.#reader ?? streaming;
    if (other !== undefined) {
      throw new TypeError(`Cannot read with ${who}: ${other} of this pipe is reading already`);
    }
    this.#reader = who;
    return { [Symbol.dispose]: () => void (this.#reader = undefined) };
  }

  /** The next message for whoever reads; keeps the process alive meanwhile. */
  #receive(into?: Uint8Array<ArrayBuffer>): Promise<Packet | null> {
    const stash = this.#stash;
    if (stash) {
      if ("error" in stash) return Promise.reject(stash.error);
      // The end stays the end.
      if (stash.packet) this.#stash = undefined;
      return Promise.resolve(this.#count(stash.packet));
    }
    if (this.#over) {
      const { error } = this.#over;
      return error === undefined ? Promise.resolve(null) : Promise.reject(error);
    }
    return new Promise<Packet | null>((resolve, reject) => {
      this.#waiter = { resolve: (packet) => resolve(this.#count(packet)), reject };
      this.fetch(into);
    });
  }

  async #receiveWithin({ signal, timeout, into }: RecvOptions): Promise<Packet | null> {
    const limit = Promise.withResolvers<never>();
    const timer = timeout === undefined ? undefined : this.#options.clock.after(timeout, () => {
      const why = `nothing came within ${timeout} ms`;
      limit.reject(new PipeError(`Cannot receive: ${why}`, { code: "timeout", operation: "receive" }));
    }, { ref: true });
    const aborted = (): void => limit.reject(signal?.reason);
    signal?.addEventListener("abort", aborted, { once: true });
    try {
      return await Promise.race([this.#receive(into), limit.promise]);
    } finally {
      timer?.cancel();
      signal?.removeEventListener("abort", aborted);
      // What comes from now on is for the next one who asks.
      this.#waiter = undefined;
    }
  }

  #count(packet: Packet | null): Packet | null {
    if (packet) {
      this.bytes += packet.data.length;
      this.messages++;
    }
    return packet;
  }

  #fetched(packet: Packet | null): void {
    this.#fetching = false;
    if (this.#over) return;
    this.#options.tell(packet ? "message" : "ending");
    if (this.#over) return;
    // It was no end but a loss, and there will be another link.
    if (!packet && this.#inbound.suspended) return this.fetch();
    const waiter = this.#waiter;
    this.#waiter = undefined;
    // The end is kept: whoever asks next gets it too.
    if (!waiter || !packet) this.#stash = { packet };
    waiter?.resolve(packet);
    if (!packet) this.#options.tell("end");
  }

  /** Hands messages to the subscriptions, one by one, until none is left. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    const stop = (error?: unknown): void => {
      this.#pumping = false;
      for (const subscriber of [...this.#subscribers ?? []]) subscriber.end(error);
    };
    const next = (): void => {
      if (!this.#subscribers?.size) {
        this.#pumping = false;
        return;
      }
      const waiter: Waiter = {
        resolve: (packet) => {
          // All of them have left meanwhile: it is for whoever comes next.
          if (!this.#subscribers?.size && packet) {
            this.#stash = { packet };
            this.#pumping = false;
          } else if (packet) {
            this.#hand(packet).then(next, (error) => this.#options.tell("full", error));
          } else stop();
        },
        reject: stop,
      };
      const stash = this.#stash;
      if (stash && "error" in stash) return stop(stash.error);
      if (stash) {
        if (stash.packet) this.#stash = undefined;
        return waiter.resolve(stash.packet);
      }
      this.#waiter = waiter;
      this.fetch();
    };
    // Whoever subscribes in the same turn gets the first message as well.
    queueMicrotask(next);
  }

  async #hand(packet: Packet): Promise<void> {
    this.#count(packet);
    let wanted = false;
    for (const subscriber of [...this.#subscribers ?? []]) {
      if (!subscriber.wants(packet)) continue;
      wanted = true;
      const cost = subscriber.offer(packet);
      if (typeof cost === "number") this.dropped += cost;
      else await cost;
    }
    if (!wanted) this.unmatched++;
  }
}

function joined(parts: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

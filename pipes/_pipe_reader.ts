/** Reading a pipe: who may, and who gets what. */

import type { Clock } from "../internal/clock.ts";
import type { Inbound } from "./_inbound.ts";
import { MessageSource, type SourceNews } from "./_message_source.ts";
import { Subscribers, type SubscribersOwner } from "./_subscribers.ts";
import type { QueueOptions, Subscriber, SubscriberOptions } from "./_subscriptions.ts";
import type { PipeEvents } from "./_pipe_events.ts";
import type { Packet, PipeEventOf, PipeFilter, RecvOptions } from "./pipe.ts";
import { PipeError } from "./pipe_error.ts";

/** What the pipe hears of its reader: what the source tells; a queue is full; the application wants no more. */
export type ReaderNews = SourceNews | "full" | "cancelled";

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

/** Who reads where somebody has subscribed. */
const SUBSCRIPTION = "a subscription";

/** Hands out what an {@linkcode Inbound} gives: to one reader at a time, which may be any number of subscriptions. */
export class PipeReader implements SubscribersOwner {
  readonly #source: MessageSource;
  readonly #options: PipeReaderOptions;
  /** Those who subscribed; made with the first of them. */
  #subscribers: Subscribers | undefined;
  /** Who reads now, in words for the error that the next one gets. */
  #reader: string | undefined;
  #readable: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  /** What subscriptions end with. */
  #over: { readonly failure: unknown } | undefined;
  /** Bytes that were handed out. */
  bytes = 0;
  /** Messages that were handed out. */
  messages = 0;

  constructor(inbound: Inbound, options: PipeReaderOptions) {
    this.#source = new MessageSource(inbound, options.tell);
    this.#options = options;
  }

  /** Messages that a full queue cost. */
  get dropped(): number {
    return this.#subscribers?.dropped ?? 0;
  }

  /** Messages that nobody wanted. */
  get unmatched(): number {
    return this.#subscribers?.unmatched ?? 0;
  }

  /** Whether a read is under way. */
  get fetching(): boolean {
    return this.#source.fetching;
  }

  /** Whether nothing is read since nobody has taken what was read last. */
  get blocked(): boolean {
    return this.#source.blocked;
  }

  /** Whether no part of a message is kept, which could not be given back. */
  get whole(): boolean {
    return this.#source.whole;
  }

  /** See {@linkcode PipeBase.recv}. */
  recv(options?: RecvOptions): Promise<Uint8Array<ArrayBuffer> | null> {
    try {
      options?.signal?.throwIfAborted();
      this.#lock("recv()");
    } catch (error) {
      return Promise.reject(error);
    }
    if (options?.signal || options?.timeout !== undefined) return this.#recvWithin(options);
    const packet = this.#source.ready();
    if (packet) return Promise.resolve(this.#handed(packet));
    return new Promise((resolve, reject) => {
      this.#source.wait({
        resolve: (packet) => resolve(this.#handed(packet)),
        reject: (error) => reject(this.#unlocked(error)),
      }, options?.into);
    });
  }

  /** See {@linkcode PipeBase.messages}. */
  async *iterate(): AsyncIterableIterator<Uint8Array<ArrayBuffer>, void, void> {
    this.#lock("messages");
    try {
      while (true) {
        const packet = this.#source.ready() ?? await this.#receive();
        if (!packet) return;
        this.count(packet);
        yield packet.data;
      }
    } finally {
      this.#reader = undefined;
    }
  }

  /** See {@linkcode PipeBase.readable}. */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#readable ??= new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: (controller) => this.#pull(controller),
      cancel: (reason) => this.#options.tell("cancelled", reason),
    }, { highWaterMark: 0 });
  }

  /** See {@linkcode PipeBase.subscribe}; with a handler, messages are not to be iterated over. */
  subscribe(filter?: PipeFilter, handler?: SubscriberOptions["handler"]): Subscriber {
    const all = this.#subscribers ??= new Subscribers(this.#source, this);
    if (all.size === 0) {
      this.#lock("subscribe()");
      this.#reader = undefined;
    }
    const subscriber = all.add({ filter, handler, limits: this.#options.queue });
    this.#reader = SUBSCRIPTION;
    if (this.#over) subscriber.end(this.#over.failure);
    else all.start();
    return subscriber;
  }

  /** Calls a handler for every message, one at a time. */
  onMessage(handler: (event: PipeEventOf<"message">) => unknown): Disposable {
    return this.subscribe(undefined, (packet) => {
      try {
        const done = handler({ type: "message", ...packet });
        if (isThenable(done)) return Promise.resolve(done).then(() => {}, (error) => this.#uncaught(error));
      } catch (error) {
        this.#uncaught(error);
      }
    });
  }

  /** Counts what is handed out. */
  count({ data }: Packet): void {
    this.bytes += data.length;
    this.messages++;
  }

  /** Subscriptions have no room for a message, and must not lose it. */
  full(error: unknown): void {
    this.#options.tell("full", error);
  }

  /** The subscriptions have left. */
  left(): void {
    if (this.#reader === SUBSCRIPTION) this.#reader = undefined;
  }

  /** Reads one message, if nobody does; so an end or a failure shows although nobody wants a message. */
  fetch(): void {
    this.#source.fetch();
  }

  /** What was read and nobody has got, and what comes after it. */
  take(further: Uint8Array<ArrayBuffer> = new Uint8Array(0)): Uint8Array<ArrayBuffer> {
    return joined([...this.#source.unread(), further]);
  }

  /** The same as bytes that can be read again; it stays where it is. */
  kept(): Uint8Array<ArrayBuffer> {
    return joined(this.#source.kept().map((bytes) => new Uint8Array(bytes)));
  }

  /**
   * Ends all reading.
   *
   * @param error What those get who read on; without one it is a clean end.
   * @param failure What subscriptions end with.
   */
  end(error: unknown, failure?: unknown): void {
    this.#over = { failure };
    this.#source.end(error);
    this.#subscribers?.end(failure);
  }

  /** Takes the place of the one who reads; throws where it is taken. */
  #lock(who: string): void {
    const streaming = who !== "readable" && this.#readable?.locked === true ? "readable" : undefined;
    const other = this.#reader ?? streaming;
    if (other !== undefined) {
      throw new TypeError(`Cannot read with ${who}: ${other} of this pipe is reading already`);
    }
    this.#reader = who;
  }

  #unlocked(error: unknown): unknown {
    this.#reader = undefined;
    return error;
  }

  /** What the one who reads gets, who is done then. */
  #handed(packet: Packet | null): Uint8Array<ArrayBuffer> | null {
    this.#reader = undefined;
    if (!packet) return null;
    this.count(packet);
    return packet.data;
  }

  #uncaught(error: unknown): void {
    this.#options.events.uncaught("message", error);
  }

  #pull(controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): Promise<void> | void {
    this.#lock("readable");
    const give = (packet: Packet | null): void => {
      const data = this.#handed(packet);
      if (data) controller.enqueue(data);
      else controller.close();
    };
    const packet = this.#source.ready();
    if (packet) return give(packet);
    return new Promise((resolve, reject) => {
      this.#source.wait({
        resolve: (packet) => resolve(give(packet)),
        reject: (error) => reject(this.#unlocked(error)),
      });
    });
  }

  #receive(): Promise<Packet | null> {
    return new Promise((resolve, reject) => this.#source.wait({ resolve, reject }));
  }

  #recvWithin({ signal, timeout, into }: RecvOptions): Promise<Uint8Array<ArrayBuffer> | null> {
    return new Promise((resolve, reject) => {
      const over = (): void => {
        timer?.cancel();
        signal?.removeEventListener("abort", aborted);
        this.#reader = undefined;
      };
      const failed = (error: unknown): void => {
        over();
        reject(error);
      };
      const stop = (reason: unknown): void => {
        // What comes from now on, be it in the same turn, is for the next one who asks.
        this.#source.leave();
        failed(reason);
      };
      const aborted = (): void => stop(signal?.reason);
      const timer = timeout === undefined ? undefined : this.#options.clock.after(timeout, () => {
        const why = `nothing came within ${timeout} ms`;
        stop(new PipeError(`Cannot receive: ${why}`, { code: "timeout", operation: "receive" }));
      }, { ref: true });
      signal?.addEventListener("abort", aborted, { once: true });
      this.#source.wait({
        resolve: (packet) => {
          over();
          resolve(this.#handed(packet));
        },
        reject: failed,
      }, into);
    });
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === "function";
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

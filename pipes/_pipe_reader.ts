/** Reading a pipe: who may, and who gets what. */

import type { Clock } from "../internal/clock.ts";
import type { Inbound } from "./_inbound.ts";
import { MessageSource, type SourceNews } from "./_message_source.ts";
import { Subscribers } from "./_subscribers.ts";
import type { QueueOptions, Subscriber } from "./_subscriptions.ts";
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

/** Hands out what an {@linkcode Inbound} gives: to one reader at a time, which may be any number of subscriptions. */
export class PipeReader {
  readonly #source: MessageSource;
  readonly #options: PipeReaderOptions;
  /** Those who subscribed; made with the first of them. */
  #subscribers: Subscribers | undefined;
  /** What is done for the subscriptions: nothing, waiting for a message, or handing one out. */
  #pumping: "waiting" | "busy" | undefined;
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
      const failed = (error: unknown): void => reject(this.#unlocked(error));
      this.#source.wait((packet) => resolve(this.#handed(packet)), failed, options?.into);
    });
  }

  /** See {@linkcode PipeBase.messages}. */
  async *iterate(): AsyncIterableIterator<Uint8Array<ArrayBuffer>, void, void> {
    this.#lock("messages");
    try {
      while (true) {
        const packet = this.#source.ready() ?? await this.#receive();
        if (!packet) return;
        this.#count(packet);
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

  /** See {@linkcode PipeBase.subscribe}. */
  subscribe(filter: PipeFilter | undefined): Subscriber {
    const all = this.#subscribers ??= new Subscribers();
    if (all.size === 0) {
      this.#lock("subscribe()");
      this.#reader = undefined;
    }
    const subscriber = all.add(filter, this.#options.queue, () => all.size === 0 ? this.#left() : undefined);
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
  fetch(): void {
    this.#source.fetch();
  }

  /** What was read and nobody has got. */
  take(): Uint8Array<ArrayBuffer> {
    return joined(this.#source.unread());
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
    this.#count(packet);
    return packet.data;
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
      this.#source.wait((packet) => resolve(give(packet)), (error) => reject(this.#unlocked(error)));
    });
  }

  #receive(): Promise<Packet | null> {
    return new Promise((resolve, reject) => this.#source.wait(resolve, reject));
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
      this.#source.wait(
        (packet) => {
          over();
          resolve(this.#handed(packet));
        },
        failed,
        into,
      );
    });
  }

  #count({ data }: Packet): void {
    this.bytes += data.length;
    this.messages++;
  }

  /** Hands messages to the subscriptions, one by one, until none is left. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = "busy";
    const stop = (error?: unknown): void => {
      this.#pumping = undefined;
      this.#subscribers?.end(error);
    };
    const hand = (packet: Packet | null): void => {
      if (!packet || !this.#subscribers) return stop();
      this.#pumping = "busy";
      this.#count(packet);
      this.#subscribers.hand(packet).then(next, (error) => this.#options.tell("full", error));
    };
    const next = (): void => {
      this.#pumping = this.#subscribers?.size ? "waiting" : undefined;
      if (this.#pumping) this.#source.wait(hand, stop);
    };
    // Whoever subscribes in the same turn gets the first message as well.
    queueMicrotask(next);
  }

  /** The last subscription has left: what comes from now on is for whoever asks next. */
  #left(): void {
    if (this.#reader === "a subscription") this.#reader = undefined;
    if (this.#pumping !== "waiting") return;
    this.#source.leave();
    this.#pumping = undefined;
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

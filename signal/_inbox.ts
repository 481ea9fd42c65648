/** From whole messages to the application: one reader, or handlers per stream, and nothing lost where they fail. */

import { type Clock, holdProcess, type Timer } from "../internal/clock.ts";
import { type Logger, logUncaught } from "../internal/log.ts";
import { isOrdered } from "./_receiving.ts";
import type { Message } from "./message.ts";
import type { HandleOptions } from "./peer_options.ts";

/** The first and the longest wait before a handler that failed gets its message again, in milliseconds. */
const [FIRST_AGAIN, LONGEST_AGAIN] = [1_000, 60_000];

/** A message, and how to say that the application has done with it. */
export interface Delivery {
  readonly message: Message;
  /** Messages of one queue are handled one after the other. */
  readonly queue: string;
  readonly done: () => void;
}

/** The messages that wait for the application. Bounded by the credit that their senders get. */
export class Inbox {
  readonly #clock: Clock;
  readonly #logger: Logger | undefined;
  readonly #waiting: Delivery[] = [];
  /** What the reader has taken last, and has not come back from. */
  #taken: Delivery | undefined;
  #reader:
    | { readonly resolve: (result: IteratorResult<Message, void>) => void; readonly hold: Disposable }
    | undefined;
  #lock: symbol | undefined;
  #handler: { readonly handle: Handler; readonly options: HandleOptions } | undefined;
  readonly #queues = new Map<string, Delivery[]>();
  readonly #timers = new Set<Timer>();
  #ended = false;

  constructor(clock: Clock, logger: Logger | undefined) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Takes a message for the application. */
  push(delivery: Delivery): void {
    if (this.#ended) return;
    if (this.#handler) return this.#enqueue(delivery);
    this.#offer(delivery);
  }

  /** Begins to read; whoever comes for the next message has done with the one before. */
  read(): AsyncIterableIterator<Message, void, void> {
    this.#claim();
    const lock = this.#lock = Symbol("reader");
    const done: IteratorResult<Message, void> = { done: true, value: undefined };
    const iterator: AsyncIterableIterator<Message, void, void> = {
      next: () => this.#lock === lock ? this.#next() : Promise.resolve(done),
      return: () => {
        if (this.#lock === lock) this.#release(done);
        return Promise.resolve(done);
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /** Calls a handler for each message, those of one ordered stream one after the other. */
  handle(handle: Handler, options: HandleOptions): Disposable {
    this.#claim();
    const handler = this.#handler = { handle, options };
    for (const delivery of this.#waiting.splice(0)) this.#enqueue(delivery);
    return {
      [Symbol.dispose]: () => {
        if (this.#handler === handler) this.#handler = undefined;
      },
    };
  }

  /** Ends: nobody waits any longer. */
  end(): void {
    this.#ended = true;
    this.#waiting.length = 0;
    this.#queues.clear();
    for (const timer of this.#timers) timer.cancel();
    this.#release({ done: true, value: undefined });
  }

  #claim(): void {
    if (!this.#lock && !this.#handler) return;
    throw new TypeError("Cannot read messages: somebody else reads them already");
  }

  #release(result: IteratorResult<Message, void>): void {
    this.#finish();
    this.#lock = undefined;
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.hold[Symbol.dispose]();
    reader?.resolve(result);
  }

  #next(): Promise<IteratorResult<Message, void>> {
    if (this.#reader) {
      return Promise.reject(new TypeError("Cannot read messages: somebody waits for the next one already"));
    }
    this.#finish();
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    if (this.#waiting.length > 0) return Promise.resolve(this.#take());
    const hold = holdProcess(this.#clock);
    // The runtime runs promise callbacks within the first timer of a process, and they may have delivered something.
    if (this.#waiting.length > 0) {
      hold[Symbol.dispose]();
      return Promise.resolve(this.#take());
    }
    return new Promise((resolve) => this.#reader = { resolve, hold });
  }

  #offer(delivery: Delivery): void {
    this.#waiting.push(delivery);
    const reader = this.#reader;
    if (!reader) return;
    this.#reader = undefined;
    reader.hold[Symbol.dispose]();
    reader.resolve(this.#take());
  }

  #take(): IteratorResult<Message, void> {
    const delivery = this.#waiting.shift();
    if (!delivery) return { done: true, value: undefined };
    this.#taken = delivery;
    return { done: false, value: delivery.message };
  }

  #finish(): void {
    const taken = this.#taken;
    this.#taken = undefined;
    taken?.done();
  }

  #enqueue(delivery: Delivery): void {
    const queue = this.#queues.get(delivery.queue);
    if (queue && isOrdered(delivery.message.stream)) return void queue.push(delivery);
    if (!isOrdered(delivery.message.stream)) return void this.#run(delivery);
    const fresh = [delivery];
    this.#queues.set(delivery.queue, fresh);
    void this.#drain(delivery.queue, fresh);
  }

  async #drain(key: string, queue: Delivery[]): Promise<void> {
    for (let delivery = queue[0]; delivery && !this.#ended; delivery = queue[0]) {
      await this.#run(delivery);
      queue.shift();
    }
    this.#queues.delete(key);
  }

  async #run(delivery: Delivery): Promise<void> {
    for (let attempt = 0; !this.#ended; attempt++) {
      const handler = this.#handler;
      // Taken away meanwhile: the next reader gets it.
      if (!handler) return this.#offer(delivery);
      try {
        await handler.handle(delivery.message);
        break;
      } catch (error) {
        logUncaught(this.#logger, "Uncaught error in the handler of messages", error);
        if (handler.options.failed !== "redeliver") break;
        await this.#pause(Math.min(LONGEST_AGAIN, FIRST_AGAIN * 2 ** Math.min(attempt, 10)));
      }
    }
    if (!this.#ended) delivery.done();
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(milliseconds, () => {
        this.#timers.delete(timer);
        resolve();
      });
      this.#timers.add(timer);
    });
  }
}

/** What is called for a message. */
export type Handler = (message: Message) => unknown;

/** Who wants which messages: each has a bounded queue of its own, so that a slow one holds back nobody but the sender. */

import type { PipeAddress } from "./address.ts";
import { formatPipeAddress } from "./address.ts";
import type { Packet, PipeFilter, Subscription } from "./pipe.ts";
import { PipeError } from "./pipe_error.ts";

/**
 * What a full queue does: `block` stops reading until there is room, which holds the sender back; `drop-oldest` and
 * `drop-newest` lose a message and count it; `error` ends the pipe.
 */
export type QueuePolicy = "block" | "drop-oldest" | "drop-newest" | "error";

/** How much may wait for one who receives. */
export interface QueueOptions {
  /**
   * How many messages.
   *
   * @default {1024}
   */
  readonly messages?: number;
  /**
   * How many bytes; one message may be longer.
   *
   * @default {1024 * 1024}
   */
  readonly bytes?: number;
  /**
   * What happens when it is full.
   *
   * @default {"block"}
   */
  readonly policy?: QueuePolicy;
}

/** A function that tells whether a message is wanted. */
type Matcher = (packet: Packet) => boolean;

const USUAL: Required<QueueOptions> = { messages: 1024, bytes: 1024 * 1024, policy: "block" };

/** Checks the limits of a queue, and fills in the defaults. */
export function checkQueue(options?: QueueOptions): Required<QueueOptions> {
  if (!options) return USUAL;
  const { messages = USUAL.messages, bytes = USUAL.bytes, policy = USUAL.policy } = options;
  for (const [name, value] of Object.entries({ messages, bytes })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`Cannot make a pipe: queue.${name} must be a whole number from 1, got ${value}`);
    }
  }
  if (!["block", "drop-oldest", "drop-newest", "error"].includes(policy)) {
    const known = "block, drop-oldest, drop-newest or error";
    throw new TypeError(`Cannot make a pipe: queue.policy must be ${known}, got "${policy}"`);
  }
  return { messages, bytes, policy };
}

const ANY: Matcher = () => true;

/** Makes a function of a filter. */
export function matcherOf(filter: PipeFilter | undefined): Matcher {
  if (filter === undefined) return ANY;
  if (typeof filter === "function") return filter;
  if (filter instanceof RegExp) {
    // One that remembers where it was would match every other message.
    const pattern = new RegExp(filter.source, filter.flags.replaceAll(/[gy]/g, ""));
    const decoder = new TextDecoder();
    return ({ data }) => pattern.test(decoder.decode(data));
  }
  const wanted = formatPipeAddress(filter.from);
  return ({ from }: { readonly from: PipeAddress }) => formatPipeAddress(from) === wanted;
}

/** How a {@linkcode Subscriber} receives. */
export interface SubscriberOptions {
  /** Which messages it wants; all without it. */
  readonly filter?: PipeFilter | undefined;
  /** How much may wait for it. */
  readonly limits: Required<QueueOptions>;
  /** Called for each message, one at a time; it does not throw. Without it they are iterated over. */
  readonly handler?: ((packet: Packet) => Promise<void> | void) | undefined;
}

/** One who receives. */
export class Subscriber implements Subscription {
  readonly #matches: Matcher;
  readonly #limits: Required<QueueOptions>;
  readonly #handler: SubscriberOptions["handler"];
  readonly #all: { left(subscriber: Subscriber): void };
  readonly #queue: Packet[] = [];
  #bytes = 0;
  #ended: { readonly error?: unknown } | undefined;
  /** Whether the handler has not done with the last message yet. */
  #handling = false;
  #waiting: (() => void) | undefined;
  #room: (() => void) | undefined;
  #iterating = false;
  matched = 0;

  /**
   * @param options What it wants, and how it gets that.
   * @param all Who is told when it has left.
   */
  constructor({ filter, limits, handler }: SubscriberOptions, all: { left(subscriber: Subscriber): void }) {
    this.#matches = matcherOf(filter);
    this.#limits = limits;
    this.#handler = handler;
    this.#all = all;
  }

  /** Whether it wants a message. */
  wants(packet: Packet): boolean {
    return this.#ended === undefined && this.#matches(packet);
  }

  /**
   * Hands a message over.
   *
   * @returns How many messages it cost; or a promise for room, which has to be waited for.
   * @throws {PipeError} With code `"queue-full"` under the policy `"error"`.
   */
  offer(packet: Packet): number | Promise<void> {
    const { policy } = this.#limits;
    let dropped = 0;
    this.matched++;
    if (this.#full(packet)) {
      if (policy === "error") {
        const why = `${this.#queue.length} messages of ${this.#bytes} bytes wait already`;
        throw new PipeError(`Cannot receive: ${why}`, { code: "queue-full", operation: "receive" });
      }
      if (policy === "drop-newest") return 1;
      while (policy === "drop-oldest" && this.#queue.length > 0 && this.#full(packet)) {
        this.#bytes -= this.#queue.shift()?.data.length ?? 0;
        dropped++;
      }
    }
    this.#queue.push(packet);
    this.#bytes += packet.data.length;
    this.#wake();
    if (policy !== "block" || !this.#atLimit()) return dropped;
    return new Promise((resolve) => this.#room = resolve);
  }

  /** Says that no more will come, and why. */
  end(error?: unknown): void {
    this.#ended ??= error === undefined ? {} : { error };
    this.#wake();
    this.#free();
  }

  [Symbol.dispose](): void {
    this.#queue.length = 0;
    this.#bytes = 0;
    this.#ended ??= {};
    this.#wake();
    this.#free();
    this.#all.left(this);
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Packet, void, void> {
    if (this.#iterating) throw new TypeError("Cannot iterate: the subscription has a reader already");
    this.#iterating = true;
    try {
      while (true) {
        const packet = this.#take();
        if (packet) yield packet;
        else if (this.#ended) {
          if ("error" in this.#ended) throw this.#ended.error;
          return;
        } else await new Promise<void>((resolve) => this.#waiting = resolve); // the read keeps the process alive
      }
    } finally {
      this[Symbol.dispose]();
    }
  }

  #take(): Packet | undefined {
    const packet = this.#queue.shift();
    if (!packet) return undefined;
    this.#bytes -= packet.data.length;
    if (!this.#atLimit()) this.#free();
    return packet;
  }

  #full({ data }: Packet): boolean {
    const { messages, bytes } = this.#limits;
    return this.#queue.length >= messages || (this.#queue.length > 0 && this.#bytes + data.length > bytes);
  }

  #atLimit(): boolean {
    const { messages, bytes } = this.#limits;
    return this.#queue.length >= messages || this.#bytes >= bytes;
  }

  #wake(): void {
    if (this.#handler && !this.#handling) this.#handle(this.#handler);
    this.#waiting?.();
    this.#waiting = undefined;
  }

  /** Calls the handler for what waits, until it takes its time. */
  #handle(handler: (packet: Packet) => Promise<void> | void): void {
    this.#handling = true;
    for (let packet = this.#take(); packet; packet = this.#take()) {
      const done = handler(packet);
      if (done) return void done.then(() => this.#handle(handler));
    }
    this.#handling = false;
    if (this.#ended) this.#all.left(this);
  }

  #free(): void {
    this.#room?.();
    this.#room = undefined;
  }
}

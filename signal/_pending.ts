/** The calls of `send()` that wait: for room, for their store, and for word from the recipient. Each settles. */

import { type Clock, holdProcess } from "../internal/clock.ts";
import type { Conversation } from "./_conversation.ts";
import type { Keeping } from "./_keeping.ts";
import { DeliveryError, type DeliveryPath } from "./delivery_error.ts";
import type { OutboxEntry, OutboxMessage } from "./outbox.ts";
import type { Receipt } from "./peer_options.ts";

/** How many calls may wait for room in the outbox for one recipient. */
const MAX_WAITING = 1024;

/** What {@linkcode Pending} is made with. */
export interface PendingOptions {
  readonly clock: Clock;
  readonly keeping: Keeping | undefined;
  readonly paths: (tried: ReadonlySet<number>) => readonly DeliveryPath[];
  readonly urlOf: (hash: number) => string | undefined;
}

/** How one message is sent. */
export interface PendingSend {
  readonly ttl: number;
  readonly signal: AbortSignal | undefined;
  /** Whether to wait for room. */
  readonly wait: boolean;
}

interface Waiter {
  readonly length: number;
  readonly go: () => void;
}

interface Added {
  readonly entry: OutboxEntry;
  readonly promise: Promise<Receipt>;
}

interface Settle {
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: unknown) => void;
}

/** All calls that wait. */
export class Pending {
  readonly #options: PendingOptions;
  readonly #entries = new Map<OutboxEntry, { readonly to: string } & Settle>();
  readonly #waiting = new Map<Conversation, Waiter[]>();
  readonly #closing = new AbortController();

  constructor(options: PendingOptions) {
    this.#options = options;
  }

  /** Sends a message when there is room; settles in any case. */
  async send(to: Conversation, message: OutboxMessage, options: PendingSend): Promise<Receipt> {
    const { clock, keeping } = this.#options;
    const { ttl, signal, wait } = options;
    const room = to.outbox.hasRoom(message.data.length) && !this.#waiting.has(to);
    using _hold = holdProcess(clock);
    const { entry, promise } = room ? this.#add(to, message) : await this.#room(to, message, options, wait);
    const aborted = (): void => this.#abandon(to, entry, signal?.reason);
    signal?.addEventListener("abort", aborted, { once: true });
    // Meanwhile there may have been no room.
    if (signal?.aborted) aborted();
    try {
      if (keeping) this.#keep(to, entry, ttl, keeping);
      else to.pump();
      return await promise;
    } finally {
      signal?.removeEventListener("abort", aborted);
    }
  }

  /** A message has arrived. */
  settled(to: Conversation, entry: OutboxEntry): void {
    const { clock, urlOf } = this.#options;
    const brokers = [...entry.seenBy].map(urlOf).filter((url) => url !== undefined);
    const attempts = Math.max(...entry.fragments.map((fragment) => fragment.attempts));
    const milliseconds = clock.monotonic() - entry.queuedAt;
    this.#take(to, entry)?.resolve({ to: to.peer, brokers, milliseconds, attempts });
  }

  /** A message has not arrived in time. */
  expired(to: Conversation, entry: OutboxEntry): void {
    const waited = Math.round(entry.deadline - entry.queuedAt);
    this.#take(to, entry)?.reject(this.#tooLate(to.peer, waited, triedBy(entry)));
  }

  /** Nobody waits any longer. What is kept stays kept. */
  close(): void {
    this.#closing.abort();
    for (const { to, reject } of this.#entries.values()) reject(closed(to));
    this.#entries.clear();
  }

  /** Somebody waits for it from the beginning, for it may be over before its caller is back. */
  #add(to: Conversation, message: OutboxMessage): Added {
    const entry = to.outbox.add(message, this.#options.clock.monotonic());
    const { promise, resolve, reject } = Promise.withResolvers<Receipt>();
    this.#entries.set(entry, { to: to.peer, resolve, reject });
    promise.catch(() => {});
    return { entry, promise };
  }

  /** Sent when it is kept, so that what has gone out is known after a restart. */
  #keep(to: Conversation, entry: OutboxEntry, ttl: number, keeping: Keeping): void {
    const now = this.#options.clock.monotonic();
    for (const fragment of entry.fragments) fragment.nextAt = Infinity;
    keeping.keep(to.peer, entry, ttl).then(() => {
      for (const fragment of entry.fragments) fragment.nextAt = now;
      to.pump();
    }, (error) => this.#abandon(to, entry, error));
  }

  #abandon(to: Conversation, entry: OutboxEntry, reason: unknown): void {
    if (!to.outbox.remove(entry)) return;
    this.#take(to, entry)?.reject(reason);
    to.pump();
  }

  #take(to: Conversation, entry: OutboxEntry): Settle | undefined {
    const settle = this.#entries.get(entry);
    this.#entries.delete(entry);
    // It is forgotten before anybody is told; a store that fails makes it go out once more, which its recipient knows.
    this.#options.keeping?.forget(to.peer, entry).catch(() => {});
    this.#next(to);
    return settle;
  }

  #next(to: Conversation): void {
    const waiting = this.#waiting.get(to) ?? [];
    for (let first = waiting[0]; first && to.outbox.hasRoom(first.length); first = waiting[0]) first.go();
  }

  /** Waits for room, in order. */
  async #room(
    to: Conversation,
    message: OutboxMessage,
    options: PendingSend,
    wait: boolean,
  ): Promise<Added> {
    const { clock } = this.#options;
    const waiting = this.#waiting.get(to) ?? [];
    if (!wait || waiting.length >= MAX_WAITING) {
      const why = `the outbox holds ${to.outbox.messages} messages of ${to.outbox.bytes} bytes`;
      throw new DeliveryError({ code: "queue-full", to: to.peer, why });
    }
    this.#waiting.set(to, waiting);
    const { promise, resolve, reject } = Promise.withResolvers<Added>();
    const leave = (): void => {
      const at = waiting.indexOf(waiter);
      if (at >= 0) waiting.splice(at, 1);
      if (waiting.length === 0) this.#waiting.delete(to);
    };
    // Taken in at once: who comes next finds the room as it is then.
    const go = (): void => {
      leave();
      resolve(this.#add(to, message));
    };
    const waiter: Waiter = { length: message.data.length, go };
    waiting.push(waiter);
    const { signal } = options;
    const aborted = (): void => reject(signal?.reason);
    const closing = (): void => reject(closed(to.peer));
    signal?.addEventListener("abort", aborted, { once: true });
    this.#closing.signal.addEventListener("abort", closing, { once: true });
    const late = clock.after(message.deadline - clock.monotonic(), () => {
      reject(this.#tooLate(to.peer, options.ttl, new Set()));
    }, { ref: true });
    try {
      return await promise;
    } finally {
      late.cancel();
      signal?.removeEventListener("abort", aborted);
      this.#closing.signal.removeEventListener("abort", closing);
      leave();
    }
  }

  #tooLate(to: string, milliseconds: number, tried: ReadonlySet<number>): DeliveryError {
    const paths = this.#options.paths(tried);
    return new DeliveryError({
      code: "expired",
      to,
      why: `no acknowledgement within ${milliseconds} ms`,
      paths,
    });
  }
}

function triedBy(entry: OutboxEntry): Set<number> {
  return new Set(entry.fragments.flatMap(({ tried }) => [...tried]));
}

function closed(to: string): DeliveryError {
  return new DeliveryError({ code: "closed", to, why: "this peer was closed" });
}

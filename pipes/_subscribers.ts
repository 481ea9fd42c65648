/** All who subscribed to one pipe, and the reading for them. */

import type { MessageSource, Waiter } from "./_message_source.ts";
import type { Packet } from "./pipe.ts";
import { Subscriber, type SubscriberOptions } from "./_subscriptions.ts";

/** Whom they belong to. */
export interface SubscribersOwner {
  /** A message is handed out. */
  count(packet: Packet): void;
  /** A message cannot be handed out. */
  full(error: unknown): void;
  /** The last of them has left. */
  left(): void;
}

/** Takes messages from the source as long as somebody is there, and hands each to those who want it. */
export class Subscribers implements Waiter {
  readonly #source: MessageSource;
  readonly #owner: SubscribersOwner;
  #all: readonly Subscriber[] = [];
  #state: "idle" | "waiting" | "busy" = "idle";
  /** Messages that a full queue cost. */
  dropped = 0;
  /** Messages that nobody wanted. */
  unmatched = 0;

  /**
   * @param source Where messages come from.
   * @param owner Who is told.
   */
  constructor(source: MessageSource, owner: SubscribersOwner) {
    this.#source = source;
    this.#owner = owner;
  }

  /** How many there are. */
  get size(): number {
    return this.#all.length;
  }

  /** Adds one. */
  add(options: SubscriberOptions): Subscriber {
    const subscriber = new Subscriber(options, this);
    // A literal with a spread leaves room for sixteen more, which the most never have.
    this.#all = this.#all.concat(subscriber);
    return subscriber;
  }

  /** Begins to read, if nobody does for them. */
  start(): void {
    if (this.#state !== "idle") return;
    this.#state = "busy";
    // Whoever subscribes in the same turn gets the first message as well.
    queueMicrotask(() => this.#next());
  }

  /** One has left; what comes after the last of them is for whoever asks next. */
  left(subscriber: Subscriber): void {
    if (!this.#all.includes(subscriber)) return;
    this.#all = this.#all.filter((one) => one !== subscriber);
    if (this.#all.length > 0) return;
    if (this.#state === "waiting") {
      this.#source.leave();
      this.#state = "idle";
    }
    this.#owner.left();
  }

  /** Takes the next message from the source, or `null` at the end. */
  resolve(packet: Packet | null): void {
    if (!packet) return this.reject();
    this.#state = "busy";
    if (this.#hand(packet)) this.#next();
  }

  /** Hears from the source what ended it. */
  reject(error?: unknown): void {
    this.#state = "idle";
    this.end(error);
  }

  /** Says that no more will come, and why. */
  end(error?: unknown): void {
    for (const subscriber of this.#all) subscriber.end(error);
  }

  #next(): void {
    while (this.#all.length > 0) {
      const packet = this.#source.ready();
      if (!packet) {
        this.#state = "waiting";
        return this.#source.wait(this);
      }
      // Who was told that it came may have left by that.
      if (this.#all.length === 0) this.#source.putBack(packet);
      else if (!this.#hand(packet)) return;
    }
    this.#state = "idle";
  }

  /** Hands a message out, and tells whether there is room for the next one; where there is none it goes on by itself. */
  #hand(packet: Packet): boolean {
    this.#owner.count(packet);
    const rooms: Promise<void>[] = [];
    let wanted = false;
    try {
      for (const subscriber of this.#all) {
        if (!subscriber.wants(packet)) continue;
        wanted = true;
        const cost = subscriber.offer(packet);
        if (typeof cost === "number") this.dropped += cost;
        else rooms.push(cost);
      }
    } catch (error) {
      this.#owner.full(error);
      return false;
    }
    if (!wanted) this.unmatched++;
    if (rooms.length === 0) return true;
    Promise.all(rooms).then(() => this.#next());
    return false;
  }
}

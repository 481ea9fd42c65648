/** All who subscribed to one pipe. */

import type { Packet, PipeFilter } from "./pipe.ts";
import { type QueueOptions, Subscriber } from "./_subscriptions.ts";

/** Hands each message to those who want it. */
export class Subscribers {
  readonly #all = new Set<Subscriber>();
  /** Messages that a full queue cost. */
  dropped = 0;
  /** Messages that nobody wanted. */
  unmatched = 0;

  /** How many there are. */
  get size(): number {
    return this.#all.size;
  }

  /**
   * Adds one.
   *
   * @param filter What it wants.
   * @param queue How much may wait for it.
   * @param left Called when it has left.
   */
  add(filter: PipeFilter | undefined, queue: Required<QueueOptions>, left: () => void): Subscriber {
    const subscriber: Subscriber = new Subscriber(filter, queue, () => {
      this.#all.delete(subscriber);
      left();
    });
    this.#all.add(subscriber);
    return subscriber;
  }

  /** Hands a message out; resolves when there is room for the next one. */
  async hand(packet: Packet): Promise<void> {
    let wanted = false;
    for (const subscriber of [...this.#all]) {
      if (!subscriber.wants(packet)) continue;
      wanted = true;
      const cost = subscriber.offer(packet);
      if (typeof cost === "number") this.dropped += cost;
      else await cost;
    }
    if (!wanted) this.unmatched++;
  }

  /** Says that no more will come, and why. */
  end(error?: unknown): void {
    for (const subscriber of [...this.#all]) subscriber.end(error);
  }
}

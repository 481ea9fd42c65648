/** Datagrams that wait for a reader: nobody can hold a sender of datagrams back, so the oldest make room for the newest. */

import { type Clock, holdProcess } from "../internal/clock.ts";
import type { HostAddress } from "./address.ts";

/** One datagram and its sender. */
export interface Datagram {
  readonly data: Uint8Array<ArrayBuffer>;
  readonly from: HostAddress;
}

/** What several queues may hold together. */
export interface Budget {
  /** How much they hold. */
  used: number;
  /** How much that may be. */
  readonly limit: number;
}

/** How much one queue may hold. */
export interface DatagramLimits {
  readonly messages: number;
  readonly bytes: number;
  /** Shared with other queues. */
  readonly budget?: Budget | undefined;
}

/** One who waits for a datagram. */
interface Reader {
  readonly resolve: (datagram: Datagram | null) => void;
  readonly reject: (error: unknown) => void;
}

/** What a datagram takes up besides its bytes, about. */
const OVERHEAD = 256;

/** A bounded queue with one reader. */
export class DatagramQueue {
  readonly #limits: DatagramLimits;
  readonly #clock: Clock;
  #waiting: Datagram[] = [];
  #bytes = 0;
  #end: { readonly error?: unknown } | undefined;
  #reader: Reader | undefined;
  /** How many datagrams were lost for want of room. */
  dropped = 0;

  constructor(limits: DatagramLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Takes a datagram; the oldest ones go where there is no room. */
  push(datagram: Datagram): void {
    if (this.#end) return;
    const reader = this.#reader;
    if (reader) {
      this.#reader = undefined;
      return reader.resolve(datagram);
    }
    const { messages, bytes, budget } = this.#limits;
    const cost = costOf(datagram);
    const isFull = (): boolean =>
      this.#waiting.length >= messages || this.#bytes + datagram.data.length > bytes ||
      (budget !== undefined && budget.used + cost > budget.limit);
    while (this.#waiting.length > 0 && isFull()) {
      this.#take();
      this.dropped++;
    }
    // Others have used up what they share.
    if (budget && budget.used + cost > budget.limit) return void this.dropped++;
    this.#waiting.push(datagram);
    this.#bytes += datagram.data.length;
    if (budget) budget.used += cost;
  }

  /** The next datagram; `null` after {@linkcode DatagramQueue.end}. Keeps the process alive meanwhile. */
  async read(): Promise<Datagram | null> {
    const datagram = this.#take();
    if (datagram) return datagram;
    if (this.#end && "error" in this.#end) throw this.#end.error;
    if (this.#end) return null;
    using _hold = holdProcess(this.#clock);
    return await new Promise((resolve, reject) => this.#reader = { resolve, reject });
  }

  /** Nothing more will come; what waits can still be read. */
  end(): void {
    this.#end ??= {};
    this.#settle(({ resolve }) => resolve(null));
  }

  /** Lets go of everything, and of whoever reads. */
  fail(error: unknown): void {
    this.#end = { error };
    while (this.#take() !== undefined);
    this.#settle(({ reject }) => reject(error));
  }

  #take(): Datagram | undefined {
    const datagram = this.#waiting.shift();
    if (!datagram) return undefined;
    this.#bytes -= datagram.data.length;
    if (this.#limits.budget) this.#limits.budget.used -= costOf(datagram);
    return datagram;
  }

  #settle(how: (reader: Reader) => void): void {
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader) how(reader);
  }
}

function costOf({ data }: Datagram): number {
  return data.length + OVERHEAD;
}

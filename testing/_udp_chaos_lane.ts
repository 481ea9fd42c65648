/** One direction for one client of a UDP chaos link: what is lost, what comes twice, and when. */

import type { Clock, Timer } from "../internal/clock.ts";
import type { UdpChaosLaneFaults } from "./chaos_faults.ts";
import type { UdpChaosCounts } from "./udp_chaos_link.ts";

/** What a lane is made with. */
export interface UdpChaosLaneOptions {
  /** What happens now; asked again for each datagram. */
  readonly faults: () => UdpChaosLaneFaults;
  /** Source of time. */
  readonly clock: Clock;
  /** Chance, from 0 to below 1. */
  readonly random: () => number;
  /** Where it is counted. */
  readonly counts: Counts;
  /** Sends; resolves when the system took it, or never will. */
  readonly send: (datagram: Uint8Array) => Promise<void>;
}

/** What is counted, by whoever counts it. */
export type Counts = { -readonly [K in keyof UdpChaosCounts]: UdpChaosCounts[K] };

/** How many datagrams may be on the way in one direction. */
const ON_THE_WAY = 1024;

/** A lane. */
export class UdpChaosLane {
  readonly #faults: () => UdpChaosLaneFaults;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #counts: Counts;
  readonly #send: (datagram: Uint8Array) => Promise<void>;
  readonly #timers = new Set<Timer>();
  #last: Promise<void> = Promise.resolve();
  /** Waits to be overtaken. */
  #waiting: { readonly datagram: Uint8Array; readonly timer: Timer } | undefined;

  /** @param options Where it leads, and what happens on the way. */
  constructor(options: UdpChaosLaneOptions) {
    this.#faults = options.faults;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#counts = options.counts;
    this.#send = options.send;
  }

  /** Takes what came in; its memory belongs to the lane. */
  take(datagram: Uint8Array): void {
    const { loss = 0, duplicate = 0, reorder = 0, reorderWait = 50, silent } = this.#faults();
    this.#counts.received++;
    if (silent || this.#random() < loss) {
      this.#counts.lost++;
      return;
    }
    if (!this.#waiting && this.#random() < reorder) {
      const timer = this.#clock.after(reorderWait, () => this.#release(false));
      this.#waiting = { datagram, timer };
      return;
    }
    this.#forward(datagram);
    if (this.#random() < duplicate) {
      this.#counts.duplicated++;
      this.#forward(datagram);
    }
    this.#release(true);
  }

  /** Forgets what is on the way. */
  stop(): void {
    this.#waiting?.timer.cancel();
    this.#waiting = undefined;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  #release(overtaken: boolean): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (!waiting) return;
    waiting.timer.cancel();
    if (overtaken) this.#counts.reordered++;
    this.#forward(waiting.datagram);
  }

  #forward(datagram: Uint8Array): void {
    const { latency = 0, jitter = 0 } = this.#faults();
    const later = latency + jitter * this.#random();
    if (later === 0) return this.#now(datagram);
    if (this.#timers.size >= ON_THE_WAY) {
      this.#counts.lost++;
      return;
    }
    const timer = this.#clock.after(later, () => {
      this.#timers.delete(timer);
      this.#now(datagram);
    });
    this.#timers.add(timer);
  }

  #now(datagram: Uint8Array): void {
    this.#counts.sent++;
    // The runtime sends two at once in any order.
    this.#last = this.#last.then(() => this.#send(datagram));
  }
}

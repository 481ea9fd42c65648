/** Message brokers in memory, with every fault that brokers have. */

import { type Clock, systemClock, type Timer } from "../internal/clock.ts";
import type { Broker, BrokerLink, BrokerOpenOptions, BrokerState } from "../signal/_broker.ts";
import { seeded } from "./_seeded.ts";

/** What a broker does to the packets it carries. All of it can be changed while it runs. */
export interface SignalBrokerFaults {
  /** The share of packets that are lost, from 0 to 1. */
  drop: number;
  /** How often each packet is delivered. */
  copies: number;
  /** How long each packet takes at least, in milliseconds. */
  delay: number;
  /** By how much more at most, in milliseconds, each by chance: above 0 packets overtake each other. */
  spread: number;
  /** Takes packets and forgets them. */
  forget: boolean;
  /** The connection stays, and no byte moves either way. */
  blackHole: boolean;
  /** The topics that are refused. */
  refuse: (topic: string) => boolean;
  /** The most bytes of a packet; larger ones are refused by the link. `null` for any. */
  maxPacket: number | null;
  /** How many packets per second a link may publish; more are refused by the link. */
  rate: number;
}

/** How {@linkcode SignalBrokers} begin. */
export interface SignalBrokersOptions {
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
  /**
   * Where chance begins.
   *
   * @default {1}
   */
  readonly seed?: number;
}

/** What a packet was, for somebody who looks at a broker's traffic. */
export interface SeenPacket {
  /** Where it was published. */
  readonly topic: string;
  /** What was published. */
  readonly payload: Uint8Array;
}

/**
 * Some brokers, independent of each other.
 *
 * @example
 * ```ts
 * import { SignalBrokers } from "@holdfast/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const brokers = new SignalBrokers(3);
 * brokers.all[0]?.kill();
 * assertEquals(brokers.all.map(({ running }) => running), [false, true, true]);
 * ```
 */
export class SignalBrokers {
  /** The brokers. */
  readonly all: readonly FakeSignalBroker[];

  /**
   * Starts brokers.
   *
   * @param count How many.
   * @param options Their time and chance.
   */
  constructor(count: number, options: SignalBrokersOptions = {}) {
    const { clock = systemClock, seed = 1 } = options;
    const random = seeded(seed);
    this.all = Array.from(
      { length: count },
      (_, i) => new FakeSignalBroker(`mqtt://broker-${i + 1}.example`, clock, random),
    );
  }

  /** How many packets all of them were given. */
  get published(): number {
    return this.all.reduce((sum, { published }) => sum + published, 0);
  }

  /** How many links are open, to prove that nothing was left behind. */
  get open(): number {
    return this.all.reduce((sum, { links }) => sum + links, 0);
  }
}

/** After how long a link notices that no byte moves, in milliseconds. */
const NOTICE = 8_000;

/** How long a link waits before it connects again: from the first to the second, by chance; in milliseconds. */
const [RECONNECT_FIRST, RECONNECT_LAST] = [500, 1_500];

interface Parcel {
  readonly due: number;
  readonly link: FakeLink;
  readonly topic: string;
  readonly payload: Uint8Array;
}

/** One broker in memory. */
export class FakeSignalBroker implements Broker {
  /** Its address. */
  readonly url: string;
  /** What it does to packets. */
  readonly faults: SignalBrokerFaults;
  /** Its IP address, as links see it. */
  address: string | null = null;
  /** How many packets it was given. */
  published = 0;
  /** Called for each packet it is given. */
  onPublish: ((packet: SeenPacket) => void) | undefined;
  /** The topic whose packets it loses. */
  #muted: string | undefined;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #links = new Set<FakeLink>();
  #running = true;
  #queue: Parcel[] = [];
  #timer: Timer | undefined;

  /**
   * Starts a broker.
   *
   * @param url Its address.
   * @param clock Its time.
   * @param random Its chance.
   */
  constructor(url: string, clock: Clock, random: () => number) {
    this.url = url;
    this.#clock = clock;
    this.#random = random;
    let blackHole = false;
    const links = this.#links;
    this.faults = {
      drop: 0,
      copies: 1,
      delay: 1,
      spread: 0,
      forget: false,
      refuse: () => false,
      maxPacket: null,
      rate: Infinity,
      get blackHole() {
        return blackHole;
      },
      set blackHole(on) {
        blackHole = on;
        if (on) { for (const link of links) link.suspect(); }
      },
    };
  }

  /** Whether it runs. */
  get running(): boolean {
    return this.#running;
  }

  /** How many links are open. */
  get links(): number {
    return this.#links.size;
  }

  /**
   * Opens a link, which connects at once.
   *
   * @param options Its time.
   */
  open(options: BrokerOpenOptions): BrokerLink {
    const link: FakeLink = new FakeLink(
      this,
      options.clock ?? this.#clock,
      this.#random,
      () => this.#gone(link),
    );
    this.#links.add(link);
    return link;
  }

  /** Kills it: connections break, and what it held is gone. */
  kill(): void {
    this.#running = false;
    this.#queue = [];
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const link of [...this.#links]) link.broken(new Error("Cannot use the broker: it was killed"));
  }

  /** Starts it again, with nothing of what it held; links find it when they try. */
  start(): void {
    this.#running = true;
  }

  /**
   * Loses all packets for one topic.
   *
   * @param topic The topic; `undefined` for none.
   */
  mute(topic: string | undefined): void {
    this.#muted = topic;
  }

  /** Publishes everybody's last will, as some brokers do when they restart. */
  fireWills(): void {
    for (const { will } of this.#links) if (will) this.publish(will.topic, will.payload);
  }

  /**
   * Publishes a packet, as a stranger could.
   *
   * @param topic Where to.
   * @param payload What.
   */
  publish(topic: string, payload: Uint8Array): void {
    this.published++;
    this.onPublish?.({ topic, payload });
    const { drop, copies, delay, spread, forget, blackHole } = this.faults;
    if (!this.#running || forget || blackHole || topic === this.#muted) return;
    for (const link of this.#links) {
      if (!link.subscribed.has(topic)) continue;
      for (let i = 0; i < copies; i++) {
        if (this.#random() < drop) continue;
        const due = this.#clock.monotonic() + delay + spread * this.#random();
        this.#enqueue({ due, link, topic, payload });
      }
    }
  }

  /** Nothing is left of a link that was closed. */
  #gone(link: FakeLink): void {
    this.#links.delete(link);
    this.#queue = this.#queue.filter((parcel) => parcel.link !== link);
    this.#arm();
  }

  #enqueue(parcel: Parcel): void {
    // Nearly always the last one; those of one time stay in order.
    let at = this.#queue.length;
    while (at > 0 && (this.#queue[at - 1]?.due ?? 0) > parcel.due) at--;
    this.#queue.splice(at, 0, parcel);
    if (at === 0) this.#arm();
  }

  #arm(): void {
    this.#timer?.cancel();
    const [first] = this.#queue;
    if (!first) return void (this.#timer = undefined);
    const now = this.#clock.monotonic();
    this.#timer = this.#clock.after(Math.max(0, first.due - now), () => this.#deliver());
  }

  #deliver(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    const later = this.#queue.findIndex(({ due }) => due > now);
    const ready = this.#queue.splice(0, later < 0 ? this.#queue.length : later);
    for (const { link, topic, payload } of ready) {
      if (!this.faults.blackHole && link.subscribed.has(topic)) link.onMessage?.(topic, payload);
    }
    if (!this.#timer) this.#arm();
  }
}

class FakeLink implements BrokerLink {
  state: BrokerState = "connecting";
  will: { readonly topic: string; readonly payload: Uint8Array } | undefined;
  /** What the broker has it subscribed to; nothing while it is not connected. */
  readonly subscribed = new Set<string>();
  onMessage: ((topic: string, payload: Uint8Array) => void) | undefined;
  onState: ((state: BrokerState, reason?: Error) => void) | undefined;
  onRefused: ((topic: string, code: number) => void) | undefined;
  readonly #broker: FakeSignalBroker;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #closed: () => void;
  readonly #wanted = new Set<string>();
  #timer: Timer | undefined;
  #watch: Timer | undefined;
  #tokens = Infinity;
  #tokensAt = 0;

  constructor(broker: FakeSignalBroker, clock: Clock, random: () => number, closed: () => void) {
    this.#broker = broker;
    this.#clock = clock;
    this.#random = random;
    this.#closed = closed;
    this.#later(0);
  }

  get maxPacket(): number | null {
    return this.#broker.faults.maxPacket;
  }

  get address(): string | null {
    return this.#broker.address;
  }

  publish(topic: string, payload: Uint8Array): boolean {
    if (this.state !== "up" || !this.#token()) return false;
    this.#broker.publish(topic, payload);
    return true;
  }

  subscribe(topic: string): void {
    this.#wanted.add(topic);
    if (this.state === "up") this.#subscribeNow(topic);
  }

  unsubscribe(topic: string): void {
    this.#wanted.delete(topic);
    this.subscribed.delete(topic);
  }

  setWill(topic: string, payload: Uint8Array): void {
    this.will = { topic, payload };
  }

  probe(): void {
    if (this.state === "up" && !this.#broker.faults.blackHole && this.#broker.running) return;
    if (this.state === "up") this.broken(new Error("Cannot use the broker: it does not answer"));
    this.#later(0);
  }

  /** No byte moves: the link finds out as one does that looks now and then. */
  suspect(): void {
    if (this.state === "up") {
      this.#watch ??= this.#clock.after(NOTICE, () => {
        this.#watch = undefined;
        if (this.#broker.faults.blackHole) {
          this.broken(new Error("Cannot use the broker: it does not answer"));
        }
      });
    }
  }

  /** The connection is gone; it is made anew by and by. */
  broken(reason: Error): void {
    if (this.state === "stopped") return;
    this.subscribed.clear();
    this.#watch?.cancel();
    this.#watch = undefined;
    const told = this.state === "down";
    this.state = "down";
    this.#later(RECONNECT_FIRST + (RECONNECT_LAST - RECONNECT_FIRST) * this.#random());
    if (!told) this.onState?.("down", reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.state = "stopped";
    this.subscribed.clear();
    this.#timer?.cancel();
    this.#watch?.cancel();
    this.#closed();
    return Promise.resolve();
  }

  #later(milliseconds: number): void {
    this.#timer?.cancel();
    // A millisecond for the connection itself.
    this.#timer = this.#clock.after(milliseconds + 1, () => this.#connect());
  }

  #connect(): void {
    if (this.state === "up" || this.state === "stopped") return;
    const { running, faults } = this.#broker;
    if (!running || faults.blackHole) {
      return this.broken(new Error("Cannot use the broker: it does not answer"));
    }
    for (const topic of this.#wanted) this.#subscribeNow(topic);
    this.#tokens = Infinity;
    this.state = "up";
    this.onState?.("up");
  }

  #subscribeNow(topic: string): void {
    if (!this.#broker.faults.refuse(topic)) this.subscribed.add(topic);
    else this.onRefused?.(topic, 0x87);
  }

  #token(): boolean {
    const { rate } = this.#broker.faults;
    if (rate === Infinity) return true;
    const now = this.#clock.monotonic();
    this.#tokens = Math.min(rate, this.#tokens + (now - this.#tokensAt) * rate / 1000);
    this.#tokensAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

/** The links to all brokers of a peer: which are up, what they want, who runs them. */

import type { Clock } from "../internal/clock.ts";
import { type Logger, loggerOr } from "../internal/log.ts";
import type { NetworkView } from "../internal/network_view.ts";
import type { Broker, BrokerLink, BrokerState } from "./_broker.ts";
import { hashBroker, operatorOf, rankOf } from "./paths.ts";

/** At how many of its own brokers a peer listens. */
const MAX_INBOXES = 4;

/** How many links there may be, those of others' contact cards among them: acknowledgements tell of eight. */
const MAX_LINKS = 8;

/** One link. */
export interface Link {
  readonly url: string;
  readonly hash: number;
  readonly link: BrokerLink;
  /** Whether the own inbox is there. */
  readonly inbox: boolean;
  /** Whether it was brought by somebody's contact card. */
  readonly foreign: boolean;
  /** Why it is not up, where that is known. */
  reason: Error | undefined;
  /** How many packets it took, and how many came by it. */
  published: number;
  received: number;
}

/** What {@linkcode Links} are made with. */
export interface LinksOptions {
  readonly id: string;
  readonly clock: Clock;
  readonly network: NetworkView | undefined;
  readonly logger: Logger | undefined;
  /** The topic of the own inbox. */
  readonly topic: string;
  /** What a broker is to publish where the connection breaks. */
  readonly will: { readonly topic: string; readonly packet: Uint8Array };
  message(link: Link, topic: string, packet: Uint8Array): void;
  state(link: Link, state: BrokerState, reason: Error | undefined): void;
  refused(link: Link, topic: string, code: number): void;
}

/** All links of a peer. */
export class Links {
  readonly #options: LinksOptions;
  readonly #links = new Map<number, Link>();
  readonly #network: Disposable | undefined;
  /** Who is interested in a topic, counted. */
  readonly #topics = new Map<string, number>();
  /** The operators of whom it was told that several brokers are theirs. */
  readonly #warned = new Set<string>();

  /** @param brokers The own brokers, 1 to 8. */
  constructor(brokers: readonly Broker[], options: LinksOptions) {
    this.#options = options;
    const ranked = brokers.map(({ url }) => hashBroker(url))
      .sort((a, b) => rankOf(options.id, a) - rankOf(options.id, b)).slice(0, MAX_INBOXES);
    for (const broker of brokers) this.#open(broker, ranked.includes(hashBroker(broker.url)), false);
    this.#network = options.network?.subscribe((event) => {
      if (event.type === "wake" || (event.type === "change" && event.major !== "none")) this.probe();
    });
  }

  /** All of them, own ones first. */
  get all(): readonly Link[] {
    return [...this.#links.values()];
  }

  /** The hashes of those that are up. */
  up(): number[] {
    return this.all.filter(({ link }) => link.state === "up").map(({ hash }) => hash);
  }

  /** Where the own inbox is, and where it is reached now. */
  inbox(): { brokers: number[]; up: number } {
    const inboxes = this.all.filter(({ inbox }) => inbox);
    const up = inboxes.reduce((bits, { link }, i) => link.state === "up" ? bits | 1 << i : bits, 0);
    return { brokers: inboxes.map(({ hash }) => hash), up };
  }

  /** The address of a broker. */
  urlOf(hash: number): string | undefined {
    return this.#links.get(hash)?.url;
  }

  /** Who runs a broker. */
  operator(hash: number): string {
    const link = this.#links.get(hash);
    return link ? operatorOf(link.url, link.link.address) : String(hash);
  }

  /** Publishes by one link; tells whether it took the packet. */
  publish(hash: number, topic: string, packet: Uint8Array): boolean {
    const link = this.#links.get(hash);
    if (link?.link.state !== "up") return false;
    const { maxPacket } = link.link;
    // The topic and the frame around both count as well.
    if (maxPacket !== null && packet.length + topic.length + 16 > maxPacket) return false;
    const taken = link.link.publish(topic, packet);
    if (taken) link.published++;
    return taken;
  }

  /** Wants a topic at all brokers, until what is returned is disposed of. */
  want(topic: string): Disposable {
    const count = this.#topics.get(topic) ?? 0;
    this.#topics.set(topic, count + 1);
    if (count === 0) { for (const { link } of this.all) link.subscribe(topic); }
    let wanted = true;
    return {
      [Symbol.dispose]: () => {
        if (!wanted) return;
        wanted = false;
        const left = (this.#topics.get(topic) ?? 1) - 1;
        if (left > 0) return void this.#topics.set(topic, left);
        this.#topics.delete(topic);
        for (const { link } of this.all) link.unsubscribe(topic);
      },
    };
  }

  /**
   * Adds the broker of a contact card.
   *
   * @returns Whether it is there now.
   */
  add(broker: Broker): boolean {
    if (this.#links.has(hashBroker(broker.url))) return true;
    if (this.#links.size >= MAX_LINKS) return false;
    const { link } = this.#open(broker, true, true);
    for (const topic of this.#topics.keys()) link.subscribe(topic);
    return true;
  }

  /** Has all of them looked at. */
  probe(): void {
    for (const { link } of this.all) link.probe();
  }

  /** Closes all of them. */
  async close(): Promise<void> {
    this.#network?.[Symbol.dispose]();
    await Promise.all(this.all.map(({ link }) => {
      link.onMessage = link.onState = link.onRefused = undefined;
      return link[Symbol.asyncDispose]();
    }));
  }

  #open(broker: Broker, inbox: boolean, foreign: boolean): Link {
    const { clock, network, logger, topic, will } = this.#options;
    const hash = hashBroker(broker.url);
    const link: Link = {
      url: broker.url,
      hash,
      link: broker.open({ clock, network, logger }),
      inbox,
      foreign,
      reason: undefined,
      published: 0,
      received: 0,
    };
    this.#links.set(hash, link);
    link.link.setWill?.(will.topic, will.packet);
    if (inbox) link.link.subscribe(topic);
    link.link.onMessage = (topic, packet) => {
      link.received++;
      this.#options.message(link, topic, packet);
    };
    link.link.onState = (state, reason) => {
      if (state === "up") link.reason = undefined;
      else if (reason) link.reason = reason;
      if (state === "up") this.#warnOfSame(link);
      this.#options.state(link, state, reason);
    };
    link.link.onRefused = (refused, code) => this.#options.refused(link, refused, code);
    return link;
  }

  /** Two names of one machine fail together. */
  #warnOfSame(link: Link): void {
    const operator = this.operator(link.hash);
    const same = this.all.find((other) => other !== link && this.operator(other.hash) === operator);
    if (!same || this.#warned.has(operator)) return;
    this.#warned.add(operator);
    loggerOr(this.#options.logger).warn(
      `The brokers ${same.url} and ${link.url} are one machine (${operator}): together they count as one`,
    );
  }
}

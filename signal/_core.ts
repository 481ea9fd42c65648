/** What a peer does without being asked: brokers, channels and conversations, presence, and who gets what comes. */

import type { Clock, Timer } from "../internal/clock.ts";
import { randomBytes } from "../internal/crypto.ts";
import { loggerOr } from "../internal/log.ts";
import { fromBase32 } from "./_base32.ts";
import type { BrokerState } from "./_broker.ts";
import { SecureChannels } from "./_channel.ts";
import { Conversation, type ConversationContext } from "./_conversation.ts";
import { type Link, Links } from "./_links.ts";
import { openNotice, type Place, presencePlace, sealNotice } from "./_notice.ts";
import { BEAT, decodePresence, encodePresence, type PresenceKind, PresenceRecord } from "./_presence.ts";
import type { Arrival } from "./_receiving.ts";
import { inboxTopic } from "./_topics.ts";
import type { OutboxEntry } from "./outbox.ts";
import type { JoinSignalOptions, Presence, SignalEvent, SignalStatus } from "./peer_options.ts";

/** How many peers are remembered; above it, one with nothing on its way is forgotten. */
const MAX_CONVERSATIONS = 1024;

/** For how long nobody who was heard is forgotten, in milliseconds. */
const FORGET_AFTER = 600_000;

/** What the core is made with. */
export interface CoreOptions extends JoinSignalOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** The session that messages are numbered in. */
  readonly session: string;
  deliver(from: Conversation, arrival: Arrival): void;
  settled(to: Conversation, entry: OutboxEntry): void;
  expired(to: Conversation, entry: OutboxEntry): void;
  event(event: SignalEvent): void;
  linkUp(hash: number): void;
}

/** Somebody whose presence is followed. */
interface Watched {
  readonly place: Place;
  readonly record: PresenceRecord;
  readonly want: Disposable;
  /** How many want to hear of changes. */
  listeners: number;
  last: Presence;
  timer: Timer | undefined;
}

/** The working parts of a peer. */
export class Core {
  readonly links: Links;
  readonly channels: SecureChannels;
  readonly #options: CoreOptions;
  readonly #incarnation: string = randomBytes(8).toHex();
  readonly #context: ConversationContext;
  readonly #conversations = new Map<string, Conversation>();
  /** By topic. */
  readonly #watched = new Map<string, Watched>();
  readonly #watchedById = new Map<string, Watched>();
  readonly #places = new Map<string, (packet: Uint8Array, link: Link) => void>();
  readonly #own: Place;
  #notices = 0;
  #beats = 0;
  #beat: Timer | undefined;
  #closed = false;

  constructor(options: CoreOptions) {
    const { identity, clock, random, accept } = options;
    this.#options = options;
    this.channels = new SecureChannels({
      identity,
      accept,
      now: () => clock.monotonic(),
      random: randomBytes,
    });
    this.#own = presencePlace(identity.publicKey);
    this.links = new Links(options.brokers, {
      id: identity.id,
      clock,
      network: options.network,
      logger: options.logger,
      topic: this.channels.topic,
      will: { topic: this.#own.topic, packet: this.#notice("gone") },
      message: (link, topic, packet) => this.#receive(link, topic, packet),
      state: (link, state, reason) => this.#linkChanged(link, state, reason),
      refused: (link, topic, code) => this.#refused(link, topic, code),
    });
    this.#context = {
      clock,
      random,
      channels: this.channels,
      incarnation: this.#incarnation,
      session: options.session,
      durable: options.store !== undefined,
      copies: options.copies ?? 3,
      hedged: options.hedged ?? false,
      outbox: options.outbox ?? {},
      up: () => this.links.up(),
      inbox: () => this.links.inbox(),
      operator: (hash) => this.links.operator(hash),
      publish: (hash, topic, packet) => this.links.publish(hash, topic, packet),
      deliver: (from, arrival) => options.deliver(from, arrival),
      settled: (to, entry) => options.settled(to, entry),
      expired: (to, entry) => options.expired(to, entry),
    };
    if (options.announce !== false) this.#scheduleBeat();
  }

  /** Everybody there is. */
  get conversations(): Iterable<Conversation> {
    return this.#conversations.values();
  }

  /** The conversation with a peer, begun where there is none. */
  conversation(id: string): Conversation {
    const known = this.#conversations.get(id);
    if (known) return known;
    if (this.#conversations.size >= MAX_CONVERSATIONS) this.#forgetOne();
    const conversation = new Conversation(id, inboxTopic(keyOf(id)), this.#context);
    this.#conversations.set(id, conversation);
    return conversation;
  }

  /** Hears of a peer's return, so that what waits for it goes at once. */
  expect(id: string): void {
    this.#watch(id);
  }

  /** Tells of a peer's presence by events. */
  watch(id: string): Disposable {
    const watched = this.#watch(id);
    watched.listeners++;
    this.#tellPresence(id, watched);
    let wanted = true;
    return {
      [Symbol.dispose]: () => {
        if (!wanted) return;
        wanted = false;
        watched.listeners--;
      },
    };
  }

  /** What is known of a peer's presence. */
  presence(id: string): Presence {
    return this.#watchedById.get(id)?.record.state(this.#options.clock.monotonic()) ?? "unknown";
  }

  /** Takes all notices of a place. */
  listen(place: Place, handler: (packet: Uint8Array, link: Link) => void): Disposable {
    this.#places.set(place.topic, handler);
    const want = this.links.want(place.topic);
    return {
      [Symbol.dispose]: () => {
        want[Symbol.dispose]();
        this.#places.delete(place.topic);
      },
    };
  }

  /** Publishes a notice of this life at a place, by all brokers or one. */
  tell(place: Place, content: Uint8Array, brokers: readonly number[] = this.links.up()): void {
    const { identity } = this.#options;
    const packet = sealNotice(place, {
      identity,
      random: randomBytes,
      session: this.#incarnation,
      number: ++this.#notices,
      content,
    });
    for (const hash of brokers) this.links.publish(hash, place.topic, packet);
  }

  /** How everything is. */
  status(): SignalStatus {
    const brokers = this.links.all.map(({ url, link, reason, hash, published, received }) => ({
      url,
      state: link.state,
      reason,
      operator: this.links.operator(hash),
      published,
      received,
    }));
    const peers = [...this.#conversations.values()].map(({ peer, outbox, sending, paths }) => ({
      id: peer,
      outbox: outbox.messages,
      bytes: outbox.bytes,
      roundTrip: sending.roundTrips.smoothed,
      paths: Object.fromEntries(this.links.all.map(({ url, hash }) => [url, paths.of(hash).score])),
      presence: this.presence(peer),
    }));
    const up = brokers.filter(({ state }) => state === "up");
    return {
      id: this.#options.identity.id,
      brokers,
      operators: new Set(up.map(({ operator }) => operator)).size,
      peers,
      dropped: Object.fromEntries(this.channels.drops),
    };
  }

  /** Says goodbye and ends; nothing is left. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#beat?.cancel();
    if (this.links.up().length > 0) this.tell(this.#own, encodePresence("bye"));
    for (const conversation of this.#conversations.values()) conversation.close();
    for (const { timer } of this.#watched.values()) timer?.cancel();
    await this.links.close();
  }

  #notice(kind: PresenceKind): Uint8Array {
    const { identity } = this.#options;
    const content = encodePresence(kind);
    return sealNotice(this.#own, {
      identity,
      random: randomBytes,
      session: this.#incarnation,
      number: 0,
      content,
    });
  }

  #receive(link: Link, topic: string, packet: Uint8Array): void {
    if (this.#closed) return;
    const place = this.#places.get(topic);
    if (place) return place(packet, link);
    const watched = this.#watched.get(topic);
    if (watched) return this.#presenceNotice(watched, packet, link.hash);
    const received = this.channels.receive(topic, packet);
    switch (received.type) {
      case "answer":
        // Where the question came from; its copies come by the other brokers, and are answered there.
        return void this.links.publish(link.hash, received.send.topic, received.send.bytes);
      case "established": {
        for (const hash of this.links.up()) {
          this.links.publish(hash, received.send.topic, received.send.bytes);
        }
        return this.conversation(received.with).established(received.channel);
      }
      case "opened": {
        const { from, channel, number, content, isFirst } = received;
        const conversation = this.conversation(from);
        this.#heard(from);
        if (isFirst) conversation.established(channel);
        return conversation.opened(channel, number, content, link.hash);
      }
      case "copy":
        return this.#conversations.get(received.from)?.copy(received.channel, received.number, link.hash);
    }
  }

  #presenceNotice(watched: Watched, packet: Uint8Array, broker: number): void {
    const notice = openNotice(watched.place, packet);
    const kind = notice && decodePresence(notice.content);
    if (!notice || !kind) return;
    const what = watched.record.notice(kind, notice, broker, this.#options.clock.monotonic());
    this.#tellPresence(notice.from, watched);
    const conversation = this.#conversations.get(notice.from);
    if (what === "new-life") conversation?.reborn();
    if (what === "here") conversation?.wake();
  }

  #linkChanged(link: Link, state: BrokerState, reason: Error | undefined): void {
    const { event, logger } = this.#options;
    event({ type: "broker", url: link.url, state, reason });
    // The first of a row of failures is told; the link itself tells why.
    loggerOr(logger).debug(`The broker ${link.url} is ${state}`);
    if (state !== "up") {
      for (const [id, watched] of this.#watchedById) {
        watched.record.forget(link.hash);
        if (watched.listeners > 0) this.#tellPresence(id, watched);
      }
      return;
    }
    this.tell(this.#own, encodePresence("here"), [link.hash]);
    this.#options.linkUp(link.hash);
    for (const conversation of this.#conversations.values()) conversation.wake();
  }

  #refused(link: Link, topic: string, code: number): void {
    loggerOr(this.#options.logger).warn(
      `The broker ${link.url} refuses the topic ${topic} with code ${code}`,
    );
    this.#options.event({ type: "refused", url: link.url, topic, code });
  }

  #watch(id: string): Watched {
    const place = presencePlace(keyOf(id));
    const known = this.#watched.get(place.topic);
    if (known) return known;
    const want = this.links.want(place.topic);
    const record = new PresenceRecord();
    const watched: Watched = { place, record, want, listeners: 0, last: "unknown", timer: undefined };
    this.#watched.set(place.topic, watched);
    this.#watchedById.set(id, watched);
    return watched;
  }

  #heard(id: string): void {
    const watched = this.#watchedById.get(id);
    if (!watched) return;
    watched.record.heard(this.#options.clock.monotonic());
    if (watched.listeners > 0) this.#tellPresence(id, watched);
  }

  #tellPresence(peer: string, watched: Watched): void {
    const { clock, event } = this.#options;
    const presence = watched.record.state(clock.monotonic());
    if (presence !== watched.last && watched.listeners > 0) event({ type: "presence", peer, presence });
    watched.last = presence;
    watched.timer?.cancel();
    const change = watched.listeners > 0 ? watched.record.nextChange(clock.monotonic()) : Infinity;
    watched.timer = change < Infinity
      ? clock.after(change, () => this.#tellPresence(peer, watched))
      : undefined;
  }

  /** One broker at a time, each in turn: an idle peer publishes at most once a minute. */
  #scheduleBeat(): void {
    const { clock, random } = this.#options;
    this.#beat = clock.after(BEAT * (1 + 0.1 * random()), () => {
      const up = this.links.up();
      const hash = up[this.#beats++ % Math.max(1, up.length)];
      if (hash !== undefined) this.tell(this.#own, encodePresence("here"), [hash]);
      this.#scheduleBeat();
    });
  }

  #forgetOne(): void {
    const before = this.#options.clock.monotonic() - FORGET_AFTER;
    for (const [id, conversation] of this.#conversations) {
      // What was acknowledged just now may come again, if the acknowledgement was lost.
      if (!conversation.idle || conversation.heardAt > before) continue;
      conversation.close();
      this.#conversations.delete(id);
      const watched = this.#watchedById.get(id);
      if (!watched || watched.listeners > 0) return;
      watched.want[Symbol.dispose]();
      watched.timer?.cancel();
      this.#watched.delete(watched.place.topic);
      this.#watchedById.delete(id);
      return;
    }
  }
}

function keyOf(id: string): Uint8Array {
  return fromBase32(id) ?? new Uint8Array();
}

/** Everything between this peer and one other: the channel, what is sent, what comes, and when to look again. */

import type { Clock, Timer } from "../internal/clock.ts";
import type { SecureChannels } from "./_channel.ts";
import {
  type AckFrame,
  DATA_OVERHEAD,
  type DataFrame,
  decodeFrames,
  type DeliveryFrame,
  encodeFrames,
  FRAGMENT_BYTES,
} from "./_delivery_frames.ts";
import { type Arrival, Receiving, type StreamRecord } from "./_receiving.ts";
import { type Due, Sending } from "./_sending.ts";
import { bytesOf, floorOf, Outbox, type OutboxEntry, type OutboxOptions } from "./outbox.ts";
import { choosePaths, Paths } from "./paths.ts";

/** How long an acknowledgement waits for more to tell, in milliseconds. */
export const ACK_DELAY = 20;

/** How many copies of an acknowledgement go out. */
const ACK_COPIES = 2;

/** The first wait for the answer to a handshake, and the longest, in milliseconds. */
const [FIRST_HANDSHAKE_WAIT, LONGEST_HANDSHAKE_WAIT] = [500, 60_000];

/** How many packets are remembered, so that a copy by another broker is known for what it is. */
const COPIES_KNOWN = 512;

/** For how long a broker by which something came is where answers go first, in milliseconds. */
const HEARD_RECENTLY = 10_000;

/** What all conversations of a peer share. */
export interface ConversationContext {
  readonly clock: Clock;
  readonly random: () => number;
  readonly channels: SecureChannels;
  /** This life of the peer, and the session that its messages are numbered in; 16 hexadecimal digits each. */
  readonly incarnation: string;
  readonly session: string;
  readonly durable: boolean;
  readonly copies: number;
  readonly hedged: boolean;
  readonly outbox: OutboxOptions;
  /** The brokers whose links are up, by hash. */
  up(): readonly number[];
  /** The brokers at which this peer listens. */
  inbox(): { readonly brokers: readonly number[]; readonly up: number };
  operator(hash: number): string;
  publish(hash: number, topic: string, packet: Uint8Array): boolean;
  /** Takes a message, in order where its stream is ordered. */
  deliver(from: Conversation, arrival: Arrival): void;
  settled(to: Conversation, entry: OutboxEntry): void;
  expired(to: Conversation, entry: OutboxEntry): void;
}

/** What went between two peers, as counts. */
export interface ConversationCounts {
  handshakes: number;
  data: number;
  acks: number;
  retries: number;
}

/** One other peer. */
export class Conversation {
  readonly peer: string;
  readonly topic: string;
  readonly paths: Paths;
  readonly outbox: Outbox;
  readonly sending: Sending;
  readonly receiving: Receiving;
  readonly counts: ConversationCounts = { handshakes: 0, data: 0, acks: 0, retries: 0 };
  readonly #context: ConversationContext;
  /** When something came by each broker, and was genuine. */
  readonly #heard = new Map<number, number>();
  readonly #copies = new Map<string, readonly DataFrame[]>();
  #handshake: { attempts: number; nextAt: number } | undefined;
  #channel: string | undefined;
  #establishedAt = -Infinity;
  #ackAt = Infinity;
  #timer: Timer | undefined;
  #timerAt = Infinity;
  #closed = false;

  /**
   * @param peer The other peer's id.
   * @param topic Where it is written to.
   * @param context What all conversations share.
   */
  constructor(peer: string, topic: string, context: ConversationContext) {
    this.peer = peer;
    this.topic = topic;
    this.#context = context;
    this.paths = new Paths(peer);
    this.outbox = new Outbox(context.outbox);
    this.sending = new Sending({
      session: context.session,
      outbox: this.outbox,
      paths: this.paths,
      random: context.random,
      settled: (entry) => context.settled(this, entry),
    });
    this.receiving = new Receiving((arrival) => context.deliver(this, arrival), context.durable);
  }

  /** When something genuine came from the peer last, by the monotonic clock; `-Infinity` before the first. */
  get heardAt(): number {
    return Math.max(this.#establishedAt, ...this.#heard.values());
  }

  /** Whether it could be forgotten: nothing is on its way in either direction. */
  get idle(): boolean {
    return !this.sending.pending && !this.receiving.dirty && this.receiving.buffered === 0;
  }

  /** Does what is due, and sets the timer for what follows. */
  pump(): void {
    if (this.#closed) return;
    const { clock, channels } = this.#context;
    const now = clock.monotonic();
    for (const entry of this.sending.expired(now)) this.#context.expired(this, entry);
    const active = this.#context.up().length > 0;
    if (active) {
      if (this.#wantsChannel()) this.#shakeHands(now);
      if (channels.established(this.peer)) this.#send(now);
      if (this.receiving.dirty && this.#ackAt === Infinity) this.#ackAt = now + ACK_DELAY;
      if (this.#ackAt <= now) this.#acknowledge();
    }
    this.#arm(active, now);
  }

  /**
   * Takes the content of a packet.
   *
   * @param channel The channel by which it came, and its number there.
   * @param content What was in it.
   * @param broker By which broker.
   */
  opened(channel: string, number: number, content: Uint8Array, broker: number): void {
    const { clock } = this.#context;
    this.#heard.set(broker, clock.monotonic());
    this.#channel = channel;
    this.#handshake = undefined;
    const frames = decodeFrames(content);
    if (!frames) return;
    const data = frames.filter((frame) => frame.type === "data");
    this.#remember(`${channel} ${number}`, data);
    for (const frame of frames) this.#take(frame, this.#pathOf(broker));
    this.pump();
  }

  /** Notes that a packet came once more, by another broker. */
  copy(channel: string, number: number, broker: number): void {
    this.#heard.set(broker, this.#context.clock.monotonic());
    for (const { session, stream, seq } of this.#copies.get(`${channel} ${number}`) ?? []) {
      this.receiving.copy(session, stream, seq, this.#pathOf(broker));
    }
  }

  /** The channel is there. */
  established(channel: string): void {
    this.#channel = channel;
    this.#handshake = undefined;
    this.#establishedAt = this.#context.clock.monotonic();
    this.sending.restart(this.#establishedAt, true);
    this.pump();
  }

  /** The peer, or a way to it, is (again) there: what waits goes at once. */
  wake(): void {
    const now = this.#context.clock.monotonic();
    this.sending.restart(now, false);
    if (this.#handshake) this.#handshake = { attempts: 0, nextAt: now };
    this.pump();
  }

  /** The peer has begun a new life, which knows nothing of the channel. */
  reborn(): void {
    const now = this.#context.clock.monotonic();
    if (!this.sending.pending) return;
    this.#handshake = { attempts: 0, nextAt: now };
    this.wake();
  }

  /** The application has done with a message; what is returned is to be kept, and then told by {@linkcode Conversation.kept}. */
  done(arrival: Arrival): StreamRecord | undefined {
    const record = this.receiving.done(arrival);
    this.pump();
    return record;
  }

  /** A record is kept. */
  kept(record: StreamRecord): void {
    this.receiving.kept(record);
    this.pump();
  }

  /** Ends: what is to be acknowledged is, and no timer is left. */
  close(): void {
    if (this.receiving.dirty && this.#context.channels.established(this.peer)) this.#acknowledge();
    this.#closed = true;
    this.#timer?.cancel();
  }

  #take(frame: DeliveryFrame, path: number): void {
    const { clock } = this.#context;
    if (frame.type === "data") this.receiving.data(frame, path);
    else if (frame.type === "probe") this.receiving.probe(frame.session, frame.stream, frame.floor);
    else {
      this.paths.learn(frame.brokers, frame.up);
      this.sending.acknowledged(frame, clock.monotonic());
    }
  }

  #wantsChannel(): boolean {
    const { channels } = this.#context;
    if (!this.sending.pending) return false;
    return this.#handshake !== undefined || !channels.established(this.peer) ||
      this.sending.isUnanswered(this.heardAt) ||
      channels.isAged(this.peer);
  }

  /** First contact takes all brokers: nobody knows yet where the peer listens. */
  #shakeHands(now: number): void {
    const handshake = this.#handshake ??= { attempts: 0, nextAt: now };
    if (handshake.nextAt > now) return;
    const wait = Math.min(
      LONGEST_HANDSHAKE_WAIT,
      FIRST_HANDSHAKE_WAIT * 2 ** Math.min(handshake.attempts, 10),
    );
    handshake.attempts++;
    handshake.nextAt = now + wait * (0.9 + 0.2 * this.#context.random());
    this.counts.handshakes++;
    for (const { topic, bytes } of this.#context.channels.start(this.peer)) {
      for (const hash of this.paths.order(this.#context.up())) this.#context.publish(hash, topic, bytes);
    }
  }

  #send(now: number): void {
    const due = this.sending.due(now);
    // A channel that is being replaced is used as long as it is the only one.
    for (const one of due) if (!this.#sendOne(one, now)) return;
    for (const probe of this.sending.dueProbes(now)) this.#publish([probe], this.#choose(new Set(), 1));
  }

  #sendOne(due: Due, now: number): boolean {
    const { entry, fragment } = due;
    const { session, hedged } = this.#context;
    const floor = floorOf(this.outbox.stream(entry.stream));
    const { stream, kind, ref } = entry;
    const { seq, index } = fragment;
    const bytes = bytesOf(entry, fragment);
    const count = entry.fragments.length;
    const wantsDone = entry.level === "handled";
    const frames: DeliveryFrame[] = [
      { type: "data", session, stream, seq, floor, index, count, kind, wantsDone, ref, bytes },
    ];
    // An acknowledgement rides along where the packet becomes no larger than packets may.
    if (this.receiving.dirty && bytes.length + DATA_OVERHEAD < FRAGMENT_BYTES / 2) frames.push(this.#ack(1));
    const by = this.#publish(frames, this.#choose(fragment.tried, fragment.attempts));
    if (!by) return false;
    if (by.length > 0 && fragment.attempts > 0) this.counts.retries++;
    this.counts.data += by.length;
    this.sending.sent(due, by, now, hedged);
    return true;
  }

  #acknowledge(): void {
    this.#ackAt = Infinity;
    while (this.receiving.dirty) {
      const by = this.#publish([this.#ack(8)], this.#answerPaths(), this.#channel);
      this.counts.acks += by?.length ?? 0;
    }
  }

  #ack(streams: number): AckFrame {
    const { incarnation, durable } = this.#context;
    const { brokers, up } = this.#context.inbox();
    const ack: AckFrame = {
      type: "ack",
      incarnation,
      durable,
      brokers,
      up,
      streams: this.receiving.acks(streams),
    };
    if (!this.receiving.dirty) this.#ackAt = Infinity;
    return ack;
  }

  #choose(tried: ReadonlySet<number>, attempts: number): number[] {
    const { copies, hedged, operator } = this.#context;
    const ordered = this.paths.order(this.#context.up());
    return choosePaths({ ordered, tried, attempts, copies, hedged, operator: (hash) => operator(hash) });
  }

  /** Where something came from just now, an answer arrives; then the others. */
  #answerPaths(): number[] {
    const up = this.#context.up();
    const since = this.#context.clock.monotonic() - HEARD_RECENTLY;
    const heard = [...this.#heard].filter(([hash, at]) => at >= since && up.includes(hash))
      .sort(([, a], [, b]) => b - a).map(([hash]) => hash);
    const rest = this.paths.order(up).filter((hash) => !heard.includes(hash));
    const ordered = [...heard.filter((hash) => !this.paths.isBad(hash)), ...rest, ...heard];
    return [...new Set(ordered)].slice(0, this.#context.hedged ? 1 : ACK_COPIES);
  }

  /** Seals once, publishes the same bytes everywhere; `null` where there is no channel. */
  #publish(frames: readonly DeliveryFrame[], paths: readonly number[], channel?: string): number[] | null {
    const { channels } = this.#context;
    const content = encodeFrames(frames);
    const packet = (channel === undefined ? null : channels.seal(this.peer, content, { channel })) ??
      channels.seal(this.peer, content);
    return packet && paths.filter((hash) => this.#context.publish(hash, this.topic, packet));
  }

  #remember(key: string, data: readonly DataFrame[]): void {
    if (data.length === 0) return;
    // The numbers alone: nobody keeps the contents for them.
    this.#copies.set(key, data.map((frame) => ({ ...frame, bytes: NOTHING })));
    for (const oldest of this.#copies.keys()) {
      if (this.#copies.size <= COPIES_KNOWN) break;
      this.#copies.delete(oldest);
    }
  }

  #pathOf(broker: number): number {
    return Math.max(0, this.#context.inbox().brokers.indexOf(broker));
  }

  #arm(active: boolean, now: number): void {
    let next = this.sending.nextAt(active && this.#context.channels.established(this.peer));
    if (active) next = Math.min(next, this.#ackAt);
    if (active && this.#handshake && this.sending.pending) next = Math.min(next, this.#handshake.nextAt);
    if (next === this.#timerAt && this.#timer) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAt = next;
    if (next === Infinity) return;
    this.#timer = this.#context.clock.after(Math.max(0, next - now), () => {
      this.#timer = undefined;
      this.#timerAt = Infinity;
      this.pump();
    });
  }
}

const NOTHING = new Uint8Array();

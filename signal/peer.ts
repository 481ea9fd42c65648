/** A peer: sends messages that arrive once and in order, or says why not, and gets those of others. */

import { holdProcess, systemClock, type Timer } from "../internal/clock.ts";
import { randomBytes } from "../internal/crypto.ts";
import { Broadcast, type EventOf } from "../internal/events.ts";
import type { Conversation } from "./_conversation.ts";
import { Core } from "./_core.ts";
import type { MessageKind } from "./_delivery_frames.ts";
import { type Handler, Inbox } from "./_inbox.ts";
import { Keeping } from "./_keeping.ts";
import { Pending } from "./_pending.ts";
import { type Arrival, isOrdered } from "./_receiving.ts";
import { Rooms } from "./_rooms.ts";
import { parseCard } from "./card.ts";
import { DeliveryError, type DeliveryPath } from "./delivery_error.ts";
import { isPeerId } from "./identity.ts";
import { Message } from "./message.ts";
import { MAX_MESSAGE_BYTES } from "./outbox.ts";
import { hashBroker } from "./paths.ts";
import type {
  HandleOptions,
  JoinSignalOptions,
  Presence,
  Receipt,
  SendOptions,
  SignalEvent,
  SignalStatus,
} from "./peer_options.ts";

import type { Room, RoomOptions } from "./room.ts";
import type { SignalPeer } from "./signal_peer.ts";

/**
 * Goes on the air: connects to all brokers at once, and resolves without waiting for them.
 *
 * Guarantee, while both processes live: each message is handed over once, in the order of its stream, as long as one broker common
 * to both is up some time before the deadline; else `send()` rejects by the deadline. With a `store` it holds over restarts. Two
 * processes of one identity are two recipients of which either may get a message, and are not told apart.
 *
 * @param options Who, and by which brokers.
 * @returns The peer.
 * @throws {RangeError} Where there are no brokers or more than eight.
 * @throws {TypeError} Where two brokers have the same address.
 *
 * @example
 * ```ts
 * import { joinSignal, makeIdentity } from "@holdfast/net/signal";
 * import { SignalBrokers } from "@holdfast/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const brokers = new SignalBrokers(3);
 * await using anna = await joinSignal({ identity: makeIdentity(), brokers: brokers.all });
 * await using bob = await joinSignal({ identity: makeIdentity(), brokers: brokers.all });
 * const sent = anna.send(bob.id, "hello");
 * for await (const message of bob) {
 *   assertEquals([message.from, message.text()], [anna.id, "hello"]);
 *   break;
 * }
 * assertEquals((await sent).to, bob.id);
 * ```
 */
export async function joinSignal(options: JoinSignalOptions): Promise<SignalPeer> {
  const { brokers, identity, store } = options;
  if (brokers.length < 1 || brokers.length > 8) {
    throw new RangeError(`Cannot join: 1 to 8 brokers are needed, got ${brokers.length}`);
  }
  const urls = brokers.map(({ url }) => url);
  const twice = urls.find((url, i) => urls.indexOf(url) !== i);
  if (twice !== undefined) {
    throw new TypeError(`Cannot join: the broker ${JSON.stringify(twice)} is there twice`);
  }
  const keeping = store && new Keeping(store, identity.id);
  const fresh = randomBytes(8).toHex();
  const session = await keeping?.session(fresh) ?? fresh;
  const peer = new Peer(options, session, keeping);
  await peer.restore();
  return peer;
}

/** How many requests may wait for their answers. */
const MAX_REQUESTS = 1024;

/** The default of `ttl`, in milliseconds. */
const TTL = 60_000;

interface Request {
  readonly to: string;
  readonly resolve: (message: Message) => void;
  readonly reject: (error: unknown) => void;
}

class Peer implements SignalPeer {
  readonly id: string;
  readonly #options: JoinSignalOptions & Required<Pick<JoinSignalOptions, "clock" | "random">>;
  readonly #core: Core;
  readonly #inbox: Inbox;
  readonly #pending: Pending;
  readonly #keeping: Keeping | undefined;
  readonly #rooms: Rooms;
  readonly #events: Broadcast<SignalEvent>;
  readonly #requests = new Map<number, Request>();
  #closed = false;

  constructor(options: JoinSignalOptions, session: string, keeping: Keeping | undefined) {
    const { clock = systemClock, random = Math.random, logger } = options;
    this.id = options.identity.id;
    this.#options = { ...options, clock, random };
    this.#keeping = keeping;
    this.#inbox = new Inbox(clock, logger);
    this.#events = new Broadcast<SignalEvent>({
      resync: () => ({ type: "resync", status: this.status() }),
      logger,
      clock,
    });
    this.#pending = new Pending({
      clock,
      keeping,
      paths: (tried) => this.#paths(tried),
      urlOf: (hash) => this.#core.links.urlOf(hash),
    });
    this.#core = new Core({
      ...this.#options,
      session,
      deliver: (from, arrival) => this.#deliver(from, arrival),
      settled: (to, entry) => this.#pending.settled(to, entry),
      expired: (to, entry) => this.#pending.expired(to, entry),
      event: (event) => this.#events.publish(event),
      linkUp: (hash) => this.#rooms.linkUp(hash),
    });
    this.#rooms = new Rooms({
      core: this.#core,
      clock,
      random,
      id: this.id,
      logger,
      send: (to, data, options, stream) => this.#send(to, data, options, { kind: "room", ref: 0, stream }),
    });
  }

  /** Takes back what an earlier life has left. */
  async restore(): Promise<void> {
    if (!this.#keeping) return;
    const { messages, streams, next } = await this.#keeping.read();
    for (const [peer, stream, number] of next) this.#core.conversation(peer).outbox.stream(stream, number);
    for (const [peer, record] of streams) this.#core.conversation(peer).receiving.restore(record);
    const now = this.#options.clock.monotonic();
    for (const { to, seq, ttl, ...message } of messages) {
      this.#core.expect(to);
      this.#core.conversation(to).outbox.add({ ...message, deadline: now + ttl }, now, seq);
    }
    for (const conversation of this.#core.conversations) conversation.pump();
  }

  send(to: string, data: Uint8Array | string, options: SendOptions = {}): Promise<Receipt> {
    return this.#send(to, data, options, { kind: "message", ref: 0 });
  }

  async request(to: string, data: Uint8Array | string, options: SendOptions = {}): Promise<Message> {
    const { clock, random } = this.#options;
    const { ttl = TTL, signal } = options;
    if (this.#requests.size >= MAX_REQUESTS) {
      throw new DeliveryError({
        code: "queue-full",
        to,
        why: `${MAX_REQUESTS} requests wait for answers already`,
      });
    }
    const tag = 1 + Math.floor(random() * (2 ** 48 - 1));
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    this.#requests.set(tag, { to: idOf(to), resolve, reject });
    const aborted = (): void => reject(signal?.reason);
    signal?.addEventListener("abort", aborted, { once: true });
    const timer: Timer = clock.after(ttl, () => {
      reject(new DeliveryError({ code: "expired", to, why: `no answer within ${ttl} ms` }));
    });
    using _hold = holdProcess(clock);
    try {
      // That the question has arrived says nothing about the answer; that it has not says everything.
      this.#send(to, data, options, { kind: "request", ref: tag }).catch(reject);
      return await promise;
    } finally {
      timer.cancel();
      signal?.removeEventListener("abort", aborted);
      this.#requests.delete(tag);
    }
  }

  handle(handler: Handler, options: HandleOptions = {}): Disposable {
    return this.#inbox.handle(handler, options);
  }

  enter(name: string, options: RoomOptions): Promise<Room> {
    return this.#rooms.enter(name, options);
  }

  watch(peer: string): Disposable {
    return this.#core.watch(checkedId(peer));
  }

  presence(peer: string): Presence {
    return this.#core.presence(checkedId(peer));
  }

  status(): SignalStatus {
    return this.#core.status();
  }

  on<T extends SignalEvent["type"]>(type: T, handler: (event: EventOf<SignalEvent, T>) => void): Disposable {
    return this.#events.on(type, handler);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Message, void, void> {
    return this.#inbox.read();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#inbox.end();
    for (const { to, reject } of this.#requests.values()) reject(closed(to));
    this.#rooms.close();
    this.#pending.close();
    this.#events.end();
    await this.#core.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #send(
    to: string,
    given: Uint8Array | string,
    options: SendOptions,
    how: { readonly kind: MessageKind; readonly ref: number; readonly stream?: number },
  ): Promise<Receipt> {
    const { clock } = this.#options;
    const { ttl = TTL, stream = 0, ordered = true, ack = "accepted", full = "wait", signal } = options;
    const data = typeof given === "string" ? new TextEncoder().encode(given) : new Uint8Array(given);
    if (!(ttl > 0)) throw new RangeError(`Cannot send: ttl must be more than 0, got ${ttl}`);
    if (!Number.isInteger(stream) || stream < 0 || stream > 7) {
      throw new RangeError(`Cannot send: stream must be a whole number from 0 to 7, got ${stream}`);
    }
    if (data.length > MAX_MESSAGE_BYTES) {
      throw new RangeError(`Cannot send: a message may have ${MAX_MESSAGE_BYTES} bytes, got ${data.length}`);
    }
    signal?.throwIfAborted();
    const id = this.#reach(to);
    if (this.#closed) throw closed(id);
    this.#core.expect(id);
    const deadline = clock.monotonic() + ttl;
    const message = { stream: 2 * stream + (ordered ? 0 : 1), ...how, data, deadline, level: ack };
    return await this.#pending.send(this.#core.conversation(id), message, {
      ttl,
      signal,
      wait: full === "wait",
    });
  }

  /** The id of a recipient; the brokers of its card are opened where none of ours is among them. */
  #reach(to: string): string {
    if (!to.startsWith("holdfast:")) return checkedId(to);
    const { id, brokers } = parseCard(to);
    if (id === this.id) throw new TypeError("Cannot send: the recipient is this peer itself");
    const ours = this.#core.links.all.map(({ hash }) => hash);
    const foreign = brokers.filter((url) => !ours.includes(hashBroker(url)));
    if (foreign.length < brokers.length) return id;
    const { connect } = this.#options;
    const opened = connect ? foreign.filter((url) => this.#core.links.add(connect(url))) : [];
    if (opened.length > 0) return id;
    const why = connect ? "there are eight brokers already" : "no option says how to open them";
    throw new DeliveryError({
      code: "unreachable",
      to: id,
      why: `its brokers are ${brokers.join(", ")}, and ${why}`,
    });
  }

  #deliver(from: Conversation, arrival: Arrival): void {
    const done = (): void => this.#done(from, arrival);
    const { kind, ref } = arrival;
    if (kind === "message" || kind === "request") {
      const queue = isOrdered(arrival.stream) ? `${from.peer} ${arrival.session} ${arrival.stream}` : "";
      return this.#inbox.push({ message: this.#message(from.peer, arrival), queue, done });
    }
    if (kind === "room") {
      const message = (data: Uint8Array): Message => this.#message(from.peer, { ...arrival, data });
      // Not within the packet's own handling, which is not done yet.
      return queueMicrotask(() => this.#rooms.message(from.peer, arrival, message, done));
    }
    queueMicrotask(done);
    const request = this.#requests.get(ref);
    if (request?.to === from.peer) request.resolve(this.#message(from.peer, arrival));
  }

  #done(from: Conversation, arrival: Arrival): void {
    const record = from.done(arrival);
    if (!record || !this.#keeping) return;
    this.#keeping.keepStream(from.peer, record).then(() => from.kept(record), (error) => {
      // A store that was closed before the peer: what it does not know will come again.
      if (!this.#closed) this.#options.logger?.error("Cannot keep what was received", error);
    });
  }

  #message(from: string, { session, stream, seq, kind, ref, data }: Arrival): Message {
    return new Message({
      from,
      id: `${session}-${stream}-${seq}`,
      data,
      stream: stream >> 1,
      isRequest: kind === "request",
      reply: (answer, options = {}) =>
        kind === "request"
          ? this.#send(from, answer, { ordered: false, ...options }, { kind: "response", ref })
          : this.#send(from, answer, options, { kind: "message", ref: 0 }),
    });
  }

  #paths(tried: ReadonlySet<number>): DeliveryPath[] {
    return this.#core.links.all.map(({ url, hash, link, reason }) => ({
      url,
      state: link.state,
      tried: tried.has(hash),
      reason,
    }));
  }
}

function idOf(to: string): string {
  return to.startsWith("holdfast:") ? parseCard(to).id : to;
}

function checkedId(id: string): string {
  if (!isPeerId(id)) throw new TypeError(`Cannot write to a peer: its id is ${JSON.stringify(id)}`);
  return id;
}

function closed(to: string): DeliveryError {
  return new DeliveryError({ code: "closed", to, why: "this peer was closed" });
}

/** The rooms of one peer: who is in them, how newcomers are met without chatter, and whose messages are theirs. */

import type { Clock, Timer } from "../internal/clock.ts";
import { ascii, concat, hmac } from "../internal/crypto.ts";
import { Broadcast, type EventOf } from "../internal/events.ts";
import type { Logger } from "../internal/log.ts";
import { fromBase32, toBase32 } from "./_base32.ts";
import type { Core } from "./_core.ts";
import { type Handler, Inbox } from "./_inbox.ts";
import { openNotice, type Place, roomPlace } from "./_notice.ts";
import { type PresenceKind, PresenceRecord } from "./_presence.ts";
import type { Arrival } from "./_receiving.ts";
import { DeliveryError } from "./delivery_error.ts";
import { isPeerId } from "./identity.ts";
import type { Message } from "./message.ts";
import type { HandleOptions, Receipt, SendOptions } from "./peer_options.ts";
import type { Room, RoomEvent, RoomOptions, RoomReceipt } from "./room.ts";

/** When a newcomer that hears of nobody says again that it is there, in milliseconds; then ever later. */
const ANNOUNCE = [250, 500, 1_300];

/** The longest time between two such announcements, in milliseconds. Whoever comes later speaks himself. */
const LONGEST_ANNOUNCE = 600_000;

/** Within what time somebody tells a newcomer who is there, in milliseconds; the others hear it and keep silent. */
const ANSWER_WITHIN = 300;

/** How many members are known at most, and how many are told in one notice. */
const [MAX_MEMBERS, MEMBERS_TOLD] = [1_000, 200];

/** How many rooms a peer may be in: a message is tried against each. */
const MAX_ROOMS = 16;

/** The first stream of rooms; below are those of the application. */
const FIRST_STREAM = 16;

/** What a notice in a room says, by its first byte. */
const [HERE, LEAVE, LIST] = [1, 2, 3];

/** How many bytes before a message prove that its sender knows the room. */
const PROOF = 16;

/** What {@linkcode Rooms} are made with. */
export interface RoomsOptions {
  readonly core: Core;
  readonly clock: Clock;
  readonly random: () => number;
  readonly id: string;
  readonly logger: Logger | undefined;
  /** Sends to one member. */
  readonly send: (to: string, data: Uint8Array, options: SendOptions, stream: number) => Promise<Receipt>;
}

/** All rooms of a peer. */
export class Rooms {
  readonly #options: RoomsOptions;
  readonly #rooms = new Set<MemberRoom>();

  constructor(options: RoomsOptions) {
    this.#options = options;
  }

  /** Enters a room. */
  async enter(name: string, options: RoomOptions): Promise<Room> {
    const { secret, place } = options;
    if (place === undefined && secret === undefined) {
      throw new TypeError("Cannot enter a room: its secret is missing");
    }
    const at = place ?? await roomPlace(name, secret ?? "");
    if (this.#rooms.size >= MAX_ROOMS) {
      throw new RangeError(`Cannot enter a room: a peer may be in ${MAX_ROOMS}, and is`);
    }
    for (const other of this.#rooms) {
      if (other.place.topic === at.topic) {
        throw new TypeError(`Cannot enter a room: this peer is in "${name}" already`);
      }
    }
    const room: MemberRoom = new MemberRoom(name, at, this.#options, () => this.#rooms.delete(room));
    this.#rooms.add(room);
    return room;
  }

  /** Takes what a member sent. */
  message(from: string, arrival: Arrival, message: (data: Uint8Array) => Message, done: () => void): void {
    for (const room of this.#rooms) if (room.take(from, arrival, message, done)) return;
    // Of a room that was left, or by somebody who does not know it.
    done();
  }

  /** A link is up: whoever is only there hears of this peer. */
  linkUp(hash: number): void {
    for (const room of this.#rooms) room.announce([hash]);
  }

  /** Leaves all of them. */
  close(): void {
    for (const room of [...this.#rooms]) room.leave();
  }
}

class MemberRoom implements Room {
  readonly name: string;
  readonly place: Place;
  readonly #options: RoomsOptions;
  readonly #inbox: Inbox;
  readonly #events: Broadcast<RoomEvent>;
  readonly #listening: Disposable;
  readonly #left: () => void;
  readonly #members = new Map<string, PresenceRecord>();
  #announced = 0;
  #announceTimer: Timer | undefined;
  #answerTimer: Timer | undefined;
  #closed = false;

  constructor(name: string, place: Place, options: RoomsOptions, left: () => void) {
    const { core, clock, logger } = options;
    this.name = name;
    this.place = place;
    this.#options = options;
    this.#left = left;
    this.#inbox = new Inbox(clock, logger);
    this.#events = new Broadcast<RoomEvent>({
      resync: () => ({ type: "resync", members: this.members }),
      logger,
      clock,
    });
    this.#listening = core.listen(place, (packet, link) => this.#notice(packet, link.hash));
    this.announce();
    this.#announceAgain();
  }

  get members(): readonly string[] {
    return [...this.#members.keys()].sort();
  }

  async send(data: Uint8Array | string, options: SendOptions = {}): Promise<RoomReceipt> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    const { id, send } = this.#options;
    const results = await Promise.allSettled(
      [...this.#members.keys()].map((to) =>
        send(to, concat(this.#proof(id, to), bytes), options, this.#stream(options))
      ),
    );
    const delivered = results.flatMap((result) => result.status === "fulfilled" ? [result.value] : []);
    const reasons = results.flatMap((result) =>
      result.status === "rejected" ? [result.reason as unknown] : []
    );
    const failed = reasons.filter((reason) => reason instanceof DeliveryError);
    // What is none is the caller's: a message too long, or its signal.
    const other = reasons.find((reason) => !(reason instanceof DeliveryError));
    if (other !== undefined) throw other;
    return { delivered, failed };
  }

  handle(handler: Handler, options: HandleOptions = {}): Disposable {
    return this.#inbox.handle(handler, options);
  }

  on<T extends RoomEvent["type"]>(type: T, handler: (event: EventOf<RoomEvent, T>) => void): Disposable {
    return this.#events.on(type, handler);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Message, void, void> {
    return this.#inbox.read();
  }

  close(): Promise<void> {
    this.leave();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Says that this peer is here, by all brokers or one. */
  announce(brokers?: readonly number[]): void {
    this.#options.core.tell(this.place, Uint8Array.of(HERE), brokers);
  }

  /** Leaves the room. */
  leave(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.core.tell(this.place, Uint8Array.of(LEAVE));
    this.#announceTimer?.cancel();
    this.#answerTimer?.cancel();
    this.#listening[Symbol.dispose]();
    this.#inbox.end();
    this.#events.end();
    this.#left();
  }

  /** Takes a message, if it is one of this room. */
  take(from: string, arrival: Arrival, message: (data: Uint8Array) => Message, done: () => void): boolean {
    const proof = arrival.data.subarray(0, PROOF);
    const expected = this.#proof(from, this.#options.id);
    if (proof.length !== PROOF || !expected.every((byte, i) => byte === proof[i])) return false;
    this.#add(from);
    const queue = `${from} ${arrival.session} ${arrival.stream}`;
    this.#inbox.push({ message: message(arrival.data.subarray(PROOF)), queue, done });
    return true;
  }

  #notice(packet: Uint8Array, broker: number): void {
    const notice = openNotice(this.place, packet);
    const { clock, id } = this.#options;
    if (!notice || notice.from === id) return;
    const [what] = notice.content;
    if (what !== HERE && what !== LEAVE && what !== LIST) return;
    const known = this.#members.has(notice.from);
    const record = this.#members.get(notice.from) ?? this.#add(notice.from);
    const kind: PresenceKind = what === LEAVE ? "bye" : "here";
    const said = record?.notice(kind, notice, broker, clock.monotonic());
    if (said === "gone") return this.#remove(notice.from);
    if (said !== "here" && said !== "new-life") return;
    this.#stopAnnouncing();
    if (what === LIST) this.#list(notice.content.subarray(1));
    else if (!known || said === "new-life") this.#answerSoon();
  }

  /** A member vouches for those it knows; that each is who it says is proven by the channel to it. */
  #list(keys: Uint8Array): void {
    const told = new Set<string>();
    for (let at = 0; at + 32 <= keys.length; at += 32) told.add(toBase32(keys.subarray(at, at + 32)));
    for (const id of told) if (id !== this.#options.id && isPeerId(id)) this.#add(id);
    // Somebody was faster, and knows as much.
    if (this.members.every((id) => told.has(id))) {
      this.#answerTimer?.cancel();
      this.#answerTimer = undefined;
    }
  }

  #answerSoon(): void {
    const { clock, random } = this.#options;
    this.#answerTimer ??= clock.after(ANSWER_WITHIN * random(), () => {
      this.#answerTimer = undefined;
      const ids = [this.#options.id, ...this.members];
      for (let at = 0; at < ids.length; at += MEMBERS_TOLD) {
        const keys = ids.slice(at, at + MEMBERS_TOLD).map((id) => fromBase32(id) ?? new Uint8Array());
        this.#options.core.tell(this.place, concat(Uint8Array.of(LIST), ...keys));
      }
    });
  }

  #announceAgain(): void {
    const { clock, random } = this.#options;
    const wait = ANNOUNCE[this.#announced] ?? Math.min(LONGEST_ANNOUNCE, 1_300 * 2 ** (this.#announced - 2));
    this.#announced++;
    this.#announceTimer = clock.after(wait * (0.9 + 0.2 * random()), () => {
      this.announce();
      this.#announceAgain();
    });
  }

  #stopAnnouncing(): void {
    this.#announceTimer?.cancel();
    this.#announceTimer = undefined;
  }

  #add(id: string): PresenceRecord | undefined {
    const known = this.#members.get(id);
    if (known) return known;
    if (this.#members.size >= MAX_MEMBERS) return undefined;
    const record = new PresenceRecord();
    this.#members.set(id, record);
    this.#events.publish({ type: "join", peer: id });
    return record;
  }

  #remove(id: string): void {
    if (this.#members.delete(id)) this.#events.publish({ type: "leave", peer: id });
  }

  #stream({ ordered = true }: SendOptions): number {
    return FIRST_STREAM + 2 * ((this.place.key[0] ?? 0) % 8) + (ordered ? 0 : 1);
  }

  #proof(from: string, to: string): Uint8Array {
    return hmac(this.place.key, ascii(`holdfast signal 1 room message ${from} ${to}`)).subarray(0, PROOF);
  }
}

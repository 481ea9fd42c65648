/**
 * Secure channels to other peers, by id: bytes and time in, bytes out. Nothing here waits or sends.
 *
 * A channel begins with INIT and RESP. Who has sent INIT may seal when RESP is there. Who has answered may seal when the
 * first packet has proven that INIT was no replay; that packet, with the greeting, is made together with reading RESP.
 */

import { sha256 } from "../internal/crypto.ts";
import { fromBase32, toBase32 } from "./_base32.ts";
import { agreementPairOf } from "./_curve.ts";
import type { DropReason, Packet, Received, SealOptions, SecureChannelsOptions } from "./_channel_types.ts";
import { KnownInits } from "./_known_inits.ts";
import { MAX_PACKETS, SealedChannel } from "./_sealed_channel.ts";
import {
  hasProof,
  initProofKey,
  makeInit,
  makeResp,
  readInit,
  readResp,
  type SentInit,
  type StaticKeys,
} from "./_session_keys.ts";
import { inboxTopic } from "./_topics.ts";
import { readPacket, TOKEN_LENGTH } from "./envelope.ts";
import { isPeerId } from "./identity.ts";

export type { DropReason, Packet, Received, SealOptions, SecureChannelsOptions } from "./_channel_types.ts";

/** All channels of one peer. */
export class SecureChannels {
  /** Where this peer is written to: the only topic that {@linkcode SecureChannels.receive} takes packets from. */
  readonly topic: string;
  /** How many packets came to nothing, by the reason. */
  readonly drops: Map<DropReason, number> = new Map();
  readonly #options: SecureChannelsOptions;
  readonly #self: StaticKeys;
  readonly #proofKey: Uint8Array;
  /** The one heard last is the last one. */
  readonly #peers = new Map<string, Peer>();
  /** Who answers to a token. */
  readonly #tokens = new Map<string, Target>();
  readonly #inits: KnownInits<Answer>;

  /** @param options Who this peer is, time, and chance. */
  constructor(options: SecureChannelsOptions) {
    const { publicKey, seed } = options.identity;
    this.#options = options;
    this.#self = { publicKey, agreementKey: agreementPairOf(seed).privateKey };
    this.#proofKey = initProofKey(publicKey);
    this.topic = inboxTopic(publicKey);
    const gone = (answer: Answer): void => void this.#tokens.delete(answer.token);
    this.#inits = new KnownInits({ now: options.now, random: options.random, gone });
  }

  /**
   * Begins a channel; again, where nothing came back. Once there is a channel this makes another one, which takes its place.
   *
   * @param peer The id of the other peer.
   * @returns What is to be sent: the same bytes until there is an answer, or {@linkcode START_LIFETIME} is over.
   * @throws {TypeError} Where the id is not one, or this peer's own.
   */
  start(peer: string): readonly Packet[] {
    if (!isPeerId(peer)) throw new TypeError(`Cannot write to a peer: its id is ${JSON.stringify(peer)}`);
    if (peer === this.#options.identity.id) throw new TypeError("Cannot write to a peer: it is this one");
    const state = this.#peer(peer);
    const now = this.#options.now();
    if (state.start === null || now - state.start.at >= START_LIFETIME) {
      this.#abandon(state);
      const sent = makeInit(this.#self, state.key, this.#options.random);
      state.start = { sent, token: sent.token.toHex(), at: now, asked: now };
      this.#tokens.set(state.start.token, { type: "start", peer: state });
    }
    state.start.asked = now;
    return [{ to: peer, topic: state.topic, bytes: state.start.sent.packet }];
  }

  /**
   * Takes what a broker brought, whatever it is.
   *
   * @param topic Where it came from.
   * @param packet The bytes; they are not kept.
   */
  receive(topic: string, packet: Uint8Array): Received {
    if (topic !== this.topic) return this.#drop("topic");
    const header = readPacket(packet);
    if (typeof header === "string") return this.#drop(header);
    if (header.kind === "notice") return this.#drop("kind");
    if (header.kind === "init") return this.#answer(packet);
    const target = this.#tokens.get(header.token);
    if (target === undefined) return this.#drop("unknown");
    if (header.kind === "resp") {
      return target.type === "start" ? this.#finish(target.peer, packet) : this.#drop("repeated");
    }
    return target.type === "start" ? this.#drop("unknown") : this.#open(target, packet);
  }

  /**
   * Makes a packet.
   *
   * @param peer The id of the other peer.
   * @param content What it holds; at most {@linkcode "./envelope.ts".MAX_CONTENT} bytes.
   * @param options Its channel, and how large it is.
   * @returns Bytes, the same for all brokers; `null` where there is no channel (any more).
   * @throws {RangeError} Where the content is too long.
   */
  seal(peer: string, content: Uint8Array, options: SealOptions = {}): Uint8Array | null {
    const { channels = [] } = this.#peers.get(peer) ?? {};
    const at = options.channel === undefined
      ? channels[0]
      : channels.find(({ sealed }) => sealed.keys.channel === options.channel);
    return at?.sealed.seal(content, options.size) ?? null;
  }

  /** Whether there is a channel to a peer. */
  established(peer: string): boolean {
    return (this.#peers.get(peer)?.channels.length ?? 0) > 0;
  }

  /** Whether the channel to a peer should be followed by another one: an hour old, or nearly used up. */
  isAged(peer: string): boolean {
    const channel = this.#peers.get(peer)?.channels[0];
    if (channel === undefined) return false;
    return this.#options.now() - channel.at >= CHANNEL_AGE || channel.sealed.sent >= MAX_PACKETS / 2;
  }

  /** Forgets all channels to a peer, and their keys. */
  forget(peer: string): void {
    const state = this.#peers.get(peer);
    if (state === undefined) return;
    this.#abandon(state);
    for (const { token } of state.channels) this.#tokens.delete(token);
    this.#peers.delete(peer);
  }

  /** An INIT: answered, if it is new, wanted, and this peer does not lead. */
  #answer(packet: Uint8Array): Received {
    if (!hasProof(this.#proofKey, packet)) return this.#drop("forged");
    const name = sha256(packet).toHex();
    const known = this.#inits.find(name);
    if (known === "repeated") return this.#drop("repeated");
    if (known !== undefined) return { type: "answer", to: known.peer, send: known.packet };
    if (!this.#inits.take()) return this.#drop("busy");
    const init = readInit(this.#self, packet);
    if (init === null) return this.#drop("forged");
    const peer = toBase32(init.peer);
    const { identity, accept, random } = this.#options;
    if (peer === identity.id || accept?.(peer) === false) return this.#drop("unwanted");
    if (this.#leads(peer)) return this.#drop("follows");
    const token = random(TOKEN_LENGTH);
    const resp = makeResp(init, token, random);
    if (resp === null) return this.#drop("forged");
    const send = { to: peer, topic: inboxTopic(init.peer), bytes: resp.packet };
    const answer = { name, peer, packet: send, token: token.toHex(), sealed: new SealedChannel(resp.keys) };
    this.#inits.add(answer);
    this.#tokens.set(answer.token, { type: "answer", answer });
    return { type: "answer", to: peer, send };
  }

  /** Whether both have begun, and the handshake of this peer is the one that counts: the lower id leads. */
  #leads(peer: string): boolean {
    const { start = null } = this.#peers.get(peer) ?? {};
    return start !== null && this.#options.identity.id < peer &&
      this.#options.now() - start.asked < LEAD_TIME;
  }

  /** A RESP. */
  #finish(peer: Peer, packet: Uint8Array): Received {
    const keys = peer.start && readResp(peer.start.sent, packet);
    if (peer.start === null || keys === null) return this.#drop("forged");
    const { token } = peer.start;
    peer.start = null;
    const sealed = new SealedChannel(keys);
    const bytes = sealed.seal(this.#options.greeting?.(peer.id) ?? new Uint8Array());
    if (bytes === null) return this.#drop("forged");
    this.#establish(peer, sealed, token);
    const send = { to: peer.id, topic: peer.topic, bytes };
    return { type: "established", with: peer.id, channel: keys.channel, send };
  }

  #open(target: Exclude<Target, { type: "start" }>, packet: Uint8Array): Received {
    const sealed = target.type === "answer" ? target.answer.sealed : target.channel.sealed;
    const opened = sealed.open(packet);
    if (opened.type === "forged" || opened.type === "old") return this.#drop(opened.type);
    const { channel } = sealed.keys;
    const from = target.type === "answer" ? target.answer.peer : target.peer.id;
    const isFirst = target.type === "answer";
    if (isFirst) {
      // Whoever can seal with these keys has read the RESP just now.
      const { token, name } = target.answer;
      this.#inits.confirm(name);
      this.#establish(this.#peer(from), sealed, token);
    } else {
      target.channel.heard = this.#options.now();
      this.#peer(from);
    }
    if (opened.type === "copy") return { type: "copy", from, channel, number: opened.number };
    return { type: "opened", from, channel, number: opened.number, content: opened.content, isFirst };
  }

  /** A channel that is there is the latest one. */
  #establish(peer: Peer, sealed: SealedChannel, token: string): void {
    const now = this.#options.now();
    const channel = { sealed, token, at: now, heard: now };
    const kept = peer.channels.filter(({ heard }) => now - heard < IDLE_LIFETIME).slice(0, MAX_CHANNELS - 1);
    for (const { token } of peer.channels) this.#tokens.delete(token);
    peer.channels = [channel, ...kept];
    for (const channel of peer.channels) this.#tokens.set(channel.token, { type: "channel", peer, channel });
  }

  #abandon(peer: Peer): void {
    if (peer.start) this.#tokens.delete(peer.start.token);
    peer.start = null;
  }

  /** Remembers a peer, or that it was heard just now. */
  #peer(id: string): Peer {
    const key = fromBase32(id) ?? new Uint8Array();
    const peer = this.#peers.get(id) ?? { id, key, topic: inboxTopic(key), start: null, channels: [] };
    this.#peers.delete(id);
    this.#peers.set(id, peer);
    if (this.#peers.size > (this.#options.maxPeers ?? 1024)) {
      const [oldest] = this.#peers.keys();
      if (oldest !== undefined) this.forget(oldest);
    }
    return peer;
  }

  #drop(reason: DropReason): Received {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1);
    return { type: "dropped", reason };
  }
}

/** After how many milliseconds without an answer a handshake begins anew. */
export const START_LIFETIME = 30_000;

/** For how many milliseconds after {@linkcode SecureChannels.start} a peer insists on its own handshake. */
const LEAD_TIME = 5000;

/** After how many milliseconds another channel should follow. */
const CHANNEL_AGE = 3_600_000;

/** For how many milliseconds a channel is kept on which nothing comes, when another one has followed. */
const IDLE_LIFETIME = 600_000;

/** How many channels to one peer are kept: packets of the ones before are on their way, and two processes may be one peer. */
const MAX_CHANNELS = 4;

interface Peer {
  readonly id: string;
  readonly key: Uint8Array;
  readonly topic: string;
  /** The own handshake under way. */
  start: { readonly sent: SentInit; readonly token: string; readonly at: number; asked: number } | null;
  /** The latest one first. */
  channels: readonly Channel[];
}

interface Channel {
  readonly sealed: SealedChannel;
  readonly token: string;
  readonly at: number;
  /** When something came on it. */
  heard: number;
}

/** An INIT that was answered, and may have been a replay. */
interface Answer {
  readonly name: string;
  readonly peer: string;
  readonly packet: Packet;
  readonly token: string;
  readonly sealed: SealedChannel;
}

type Target =
  | { readonly type: "start"; readonly peer: Peer }
  | { readonly type: "answer"; readonly answer: Answer }
  | { readonly type: "channel"; readonly peer: Peer; readonly channel: Channel };

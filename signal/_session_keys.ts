/**
 * The handshake of two peers who know each other's ids: the pattern IK of the Noise protocol in substance.
 *
 * INIT hides who sends it; only the peer that it is for can read it. RESP proves that this peer has read it. What is
 * agreed on then can be read by nobody who learns the private keys of both later.
 */

import type { KeyObject } from "node:crypto";
import {
  agree,
  type AgreementPair,
  agreementPair,
  ascii,
  concat,
  hkdfExpand,
  hkdfExtract,
  hmac,
  isSame,
  KEY_LENGTH,
  type RandomBytes,
  sha256,
} from "../internal/crypto.ts";
import { openBytes, sealBytes, TAG_LENGTH } from "./_crypto.ts";
import { agreementKeyOf } from "./_curve.ts";
import { BLOCK_AT, HEADER_LENGTH, packetStart, TOKEN_LENGTH, VERSION } from "./envelope.ts";

/** The own keys, as the handshake needs them. */
export interface StaticKeys {
  /** The Ed25519 public key: the id. */
  readonly publicKey: Uint8Array;
  /** The X25519 private key that belongs to it. */
  readonly agreementKey: KeyObject;
}

/** The keys of one direction. */
export interface DirectionKeys {
  /** Of the content. */
  readonly content: Uint8Array;
  /** Of the packets' numbers. */
  readonly block: Uint8Array;
}

/** What both have after the handshake. */
export interface SessionKeys {
  /** The other peer's public key. */
  readonly peer: Uint8Array;
  /** Names this handshake, the same at both: 8 bytes in hexadecimal. */
  readonly channel: string;
  /** The token on packets to the other peer. */
  readonly sendToken: Uint8Array;
  /** For what is sent. */
  readonly send: DirectionKeys;
  /** For what is received. */
  readonly receive: DirectionKeys;
}

/** An INIT under way. */
export interface SentInit {
  /** The packet. */
  readonly packet: Uint8Array;
  /** The token of the RESP, and of the packets after it. */
  readonly token: Uint8Array;
  /** What was said and agreed on. */
  readonly state: HandshakeState;
  /** The key made for it. */
  readonly ephemeral: AgreementPair;
  /** Who sends it. */
  readonly self: StaticKeys;
  /** The public key of whom it is for. */
  readonly peer: Uint8Array;
}

/** An INIT that was read: who sent it is proven, but not that he sent it now. */
export interface ReadInit {
  /** Who sent it. */
  readonly peer: Uint8Array;
  /** The token on packets to him. */
  readonly token: Uint8Array;
  /** What was said and agreed on. */
  readonly state: HandshakeState;
  /** The key made for it. */
  readonly ephemeral: Uint8Array;
  /** The sender's X25519 public key. */
  readonly agreementKey: Uint8Array;
}

/**
 * Begins a handshake.
 *
 * @param self Who begins it.
 * @param peer The other peer's public key.
 * @param random Where the ephemeral key and the tokens come from.
 * @throws {TypeError} Where the public key is not one.
 */
export function makeInit(self: StaticKeys, peer: Uint8Array, random: RandomBytes): SentInit {
  const ephemeral = agreementPair(random(KEY_LENGTH));
  const token = random(TOKEN_LENGTH);
  const start = packetStart("init", random(TOKEN_LENGTH));
  const state = new HandshakeState(start.subarray(0, 2), peer);
  state.mixHash(ephemeral.publicKey);
  const theirs = agreementKeyOf(peer);
  const shared = theirs && agree(ephemeral.privateKey, theirs);
  const both = theirs && agree(self.agreementKey, theirs);
  if (!shared || !both) throw new TypeError("Cannot write to a peer: its id is not an Ed25519 public key");
  state.mixKey(shared);
  const name = state.seal(self.publicKey);
  state.mixKey(both);
  const terms = state.seal(padTo(INIT_TERMS, Uint8Array.of(VERSION, VERSION), token));
  const rest = concat(ephemeral.publicKey, name, terms);
  const packet = concat(start, proof(initProofKey(peer), start, rest), rest);
  return { packet, token, state, ephemeral, self, peer };
}

/**
 * Reads an INIT.
 *
 * @param self Whom it was sent to.
 * @param packet All of it, 256 bytes.
 * @returns `null` where it was not made for this peer by who it says.
 */
export function readInit(self: StaticKeys, packet: Uint8Array): ReadInit | null {
  const rest = packet.subarray(HEADER_LENGTH);
  const ephemeral = rest.slice(0, KEY_LENGTH);
  const state = new HandshakeState(packet.subarray(0, 2), self.publicKey);
  state.mixHash(ephemeral);
  const shared = agree(self.agreementKey, ephemeral);
  if (!shared) return null;
  state.mixKey(shared);
  const peer = state.open(rest.subarray(KEY_LENGTH, TERMS_AT));
  const agreementKey = peer && agreementKeyOf(peer);
  const both = agreementKey && agree(self.agreementKey, agreementKey);
  if (!both) return null;
  state.mixKey(both);
  const terms = state.open(rest.subarray(TERMS_AT));
  // The lowest and the highest version that the other one speaks.
  if (!terms || (terms[0] ?? 0) > VERSION || (terms[1] ?? 0) < VERSION) return null;
  return { peer, agreementKey, ephemeral, state, token: terms.slice(2, 2 + TOKEN_LENGTH) };
}

/**
 * What proves that an INIT was made by somebody who knows the id of whom it is for: who sees the topic only cannot.
 *
 * @param responder The public key of whom it is for.
 */
export function initProofKey(responder: Uint8Array): Uint8Array {
  return hkdfExpand(hkdfExtract(ascii(`${LABEL}init proof`), responder), `${LABEL}init proof`);
}

/**
 * Whether an INIT or a RESP has the proof that belongs to it: cheap, and before anything else is done with it.
 *
 * @param key The key of the proof.
 * @param packet All of it.
 */
export function hasProof(key: Uint8Array, packet: Uint8Array): boolean {
  const expected = proof(key, packet.subarray(0, BLOCK_AT), packet.subarray(HEADER_LENGTH));
  return isSame(expected, packet.subarray(BLOCK_AT, HEADER_LENGTH));
}

/**
 * Answers an INIT.
 *
 * @param init What was read.
 * @param token The token that packets to this peer will have.
 * @param random Where the ephemeral key comes from.
 * @returns The RESP and the keys; `null` where the INIT's ephemeral key is of low order.
 */
export function makeResp(
  init: ReadInit,
  token: Uint8Array,
  random: RandomBytes,
): { readonly packet: Uint8Array; readonly keys: SessionKeys } | null {
  const { peer, state } = init;
  const ephemeral = agreementPair(random(KEY_LENGTH));
  const start = packetStart("resp", init.token);
  const proofKey = state.derive("resp proof");
  state.mixHash(start);
  state.mixHash(ephemeral.publicKey);
  const shared = agree(ephemeral.privateKey, init.ephemeral);
  const named = agree(ephemeral.privateKey, init.agreementKey);
  if (!shared || !named) return null;
  state.mixKey(shared);
  state.mixKey(named);
  const rest = concat(ephemeral.publicKey, state.seal(padTo(RESP_TERMS, Uint8Array.of(VERSION), token)));
  const [initiator, responder] = directions(state);
  const packet = concat(start, proof(proofKey, start, rest), rest);
  const keys = { peer, channel: state.name(), sendToken: init.token, send: responder, receive: initiator };
  return { packet, keys };
}

/**
 * Reads the answer to an INIT. The INIT stays as it was where this is not it.
 *
 * @param init What was sent.
 * @param packet All of the RESP, 256 bytes.
 * @returns `null` where it was not made for this INIT by the peer that it was for.
 */
export function readResp(init: SentInit, packet: Uint8Array): SessionKeys | null {
  const state = init.state.copy();
  if (!hasProof(state.derive("resp proof"), packet)) return null;
  const rest = packet.subarray(HEADER_LENGTH);
  const ephemeral = rest.slice(0, KEY_LENGTH);
  state.mixHash(packet.subarray(0, BLOCK_AT));
  state.mixHash(ephemeral);
  const shared = agree(init.ephemeral.privateKey, ephemeral);
  const named = agree(init.self.agreementKey, ephemeral);
  if (!shared || !named) return null;
  state.mixKey(shared);
  state.mixKey(named);
  const terms = state.open(rest.subarray(KEY_LENGTH));
  if (!terms || terms[0] !== VERSION) return null;
  const [initiator, responder] = directions(state);
  const sendToken = terms.slice(1, 1 + TOKEN_LENGTH);
  return { peer: init.peer, channel: state.name(), sendToken, send: initiator, receive: responder };
}

/** What both have said, and what they have agreed on so far. */
export class HandshakeState {
  #hash: Uint8Array;
  #chain: Uint8Array;
  #key: Uint8Array = new Uint8Array(KEY_LENGTH);

  /**
   * @param start The version and the kind of the INIT, 2 bytes.
   * @param responder The public key of whom it is for.
   */
  constructor(start: Uint8Array, responder: Uint8Array) {
    this.#hash = sha256(ascii(`${LABEL}IK 25519 AES-256-GCM SHA-256`));
    this.#chain = this.#hash;
    this.mixHash(start);
    this.mixHash(responder);
  }

  /** The same, to go on with separately. */
  copy(): HandshakeState {
    const copy = new HandshakeState(NONCE, NONCE);
    copy.#hash = this.#hash;
    copy.#chain = this.#chain;
    copy.#key = this.#key;
    return copy;
  }

  /** Notes what was said. */
  mixHash(bytes: Uint8Array): void {
    this.#hash = sha256(this.#hash, bytes);
  }

  /** Notes what was agreed on: a new key. */
  mixKey(shared: Uint8Array): void {
    const root = hkdfExtract(this.#chain, shared);
    this.#chain = hkdfExpand(root, `${LABEL}chain`);
    this.#key = hkdfExpand(root, `${LABEL}key`);
  }

  /** Encrypts with the latest key, and notes the ciphertext. */
  seal(plaintext: Uint8Array): Uint8Array {
    const sealed = sealBytes(this.#key, NONCE, this.#hash, plaintext);
    this.mixHash(sealed);
    return sealed;
  }

  /** Decrypts with the latest key, and notes the ciphertext. */
  open(sealed: Uint8Array): Uint8Array | null {
    const plaintext = openBytes(this.#key, NONCE, this.#hash, sealed);
    this.mixHash(sealed);
    return plaintext;
  }

  /** A key of everything agreed on so far. */
  derive(name: string): Uint8Array {
    return hkdfExpand(this.#chain, `${LABEL}${name}`);
  }

  /** Names all that was said: 8 bytes in hexadecimal. */
  name(): string {
    return this.#hash.subarray(0, 8).toHex();
  }
}

/** How many bytes the content of an INIT has, filled up with zeros. */
const INIT_TERMS = 256 - HEADER_LENGTH - KEY_LENGTH - (KEY_LENGTH + TAG_LENGTH) - TAG_LENGTH;

/** How many bytes the content of a RESP has, filled up with zeros. */
const RESP_TERMS = 256 - HEADER_LENGTH - KEY_LENGTH - TAG_LENGTH;

/** Where the content of an INIT begins, behind its header. */
const TERMS_AT = KEY_LENGTH + KEY_LENGTH + TAG_LENGTH;

const LABEL = "holdfast signal 1 ";

/** Each key encrypts once. */
const NONCE = new Uint8Array(12);

/** The keys of who began, and of who answered. */
function directions(state: HandshakeState): readonly [DirectionKeys, DirectionKeys] {
  const keys = (who: string): DirectionKeys => ({
    content: state.derive(`${who} content`),
    block: state.derive(`${who} block`),
  });
  return [keys("initiator"), keys("responder")];
}

function proof(key: Uint8Array, start: Uint8Array, rest: Uint8Array): Uint8Array {
  return hmac(key, concat(start, rest)).subarray(0, HEADER_LENGTH - BLOCK_AT);
}

function padTo(length: number, ...pieces: readonly Uint8Array[]): Uint8Array {
  const padded = new Uint8Array(length);
  padded.set(concat(...pieces));
  return padded;
}

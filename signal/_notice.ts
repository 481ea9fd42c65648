/**
 * Notices: packets for all who know a place, such as the presence of a peer or a room. Brokers see neither who sent one
 * nor what it says; who knows the place sees who signed it, and cannot sign for somebody else.
 */

import { scrypt } from "node:crypto";
import {
  ascii,
  concat,
  hkdfExpand,
  hkdfExtract,
  hmac,
  KEY_LENGTH,
  type RandomBytes,
  SIGNATURE_LENGTH,
  verifyMessage,
} from "../internal/crypto.ts";
import { toBase32 } from "./_base32.ts";
import { BLOCK_LENGTH, openBytes, sealBytes } from "./_crypto.ts";
import { agreementKeyOf } from "./_curve.ts";
import { presenceTopic, roomTopic } from "./_topics.ts";
import {
  HEADER_LENGTH,
  MAX_CONTENT,
  packetStart,
  pad,
  readPacket,
  sizeClassFor,
  TOKEN_LENGTH,
  unpad,
} from "./envelope.ts";
import type { Identity } from "./identity.ts";

/** Where notices are published, and what they are read with. */
export interface Place {
  /** The topic. */
  readonly topic: string;
  /** The key, 32 bytes. */
  readonly key: Uint8Array;
  /** The id of the only peer whose notices count, or `null` for those of everybody. */
  readonly owner: string | null;
}

/** What a notice says. */
export interface Notice {
  /** Which life of the sender, 8 bytes in hexadecimal. */
  readonly session: string;
  /** Counts the notices of a session: a recorded one is known by it. */
  readonly number: number;
  /** What is told. */
  readonly content: Uint8Array;
}

/** What a notice is made with. */
export interface SealNoticeOptions extends Notice {
  /** Who tells it. */
  readonly identity: Identity;
  /** Random bytes. */
  readonly random: RandomBytes;
}

/** How many bytes a notice may tell. */
export const MAX_NOTICE: number = MAX_CONTENT - 110;

/**
 * Where a peer tells that it is there; whoever knows its id can read it.
 *
 * @param publicKey Its public key.
 */
export function presencePlace(publicKey: Uint8Array): Place {
  const key = hkdfExpand(hkdfExtract(ascii(`${LABEL}presence`), publicKey), `${LABEL}presence key`);
  return { topic: presenceTopic(publicKey), key, owner: toBase32(publicKey) };
}

/**
 * Where the members of a room meet: those who know its name and its secret. Takes about a quarter of a second and 64 MiB, so that
 * nobody guesses secrets fast.
 *
 * @param name The name of the room.
 * @param secret What its members have been told.
 */
export async function roomPlace(name: string, secret: string): Promise<Place> {
  const salt = ascii(`${LABEL}room ${name.normalize("NFC")}`);
  const root = await stretch(ascii(secret.normalize("NFC")), salt);
  return {
    topic: roomTopic(hkdfExpand(root, `${LABEL}room topic`)),
    key: hkdfExpand(root, `${LABEL}room key`),
    owner: null,
  };
}

/**
 * Makes a notice.
 *
 * @param place Where it will be published.
 * @param options Who tells what.
 * @returns The packet.
 * @throws {RangeError} Where it tells too much.
 */
export function sealNotice(place: Place, options: SealNoticeOptions): Uint8Array {
  const { identity, session, number, content, random } = options;
  const header = concat(packetStart("notice", random(TOKEN_LENGTH)), random(BLOCK_LENGTH));
  const body = concat(Uint8Array.fromHex(session), numberBytes(number), content);
  const signature = identity.sign(signed(place, header, body));
  const whole = concat(identity.publicKey, signature, body);
  const padded = pad(whole, sizeClassFor(whole.length));
  return concat(header, sealBytes(hmac(place.key, header), NONCE, header, padded));
}

/**
 * Reads a notice. Copies and recorded ones are for the caller to know, by session and number.
 *
 * @param place Where it was published.
 * @param packet Bytes from a broker.
 * @returns `null` where it is none of this place, or not by who it says.
 */
export function openNotice(place: Place, packet: Uint8Array): Notice & { readonly from: string } | null {
  const read = readPacket(packet);
  if (typeof read === "string" || read.kind !== "notice") return null;
  const header = packet.subarray(0, HEADER_LENGTH);
  const padded = openBytes(hmac(place.key, header), NONCE, header, packet.subarray(HEADER_LENGTH));
  const whole = padded && unpad(padded);
  if (!whole || whole.length < CONTENT_AT) return null;
  const publicKey = whole.subarray(0, KEY_LENGTH);
  const from = toBase32(publicKey);
  if (place.owner !== null ? from !== place.owner : agreementKeyOf(publicKey) === null) return null;
  const body = whole.subarray(BODY_AT);
  if (!verifyMessage(publicKey, signed(place, header, body), whole.subarray(KEY_LENGTH, BODY_AT))) {
    return null;
  }
  const number = Number(`0x${body.subarray(8, 14).toHex()}`);
  return { from, session: body.subarray(0, 8).toHex(), number, content: whole.slice(CONTENT_AT) };
}

const LABEL = "holdfast signal 1 ";

/** Each key encrypts one packet: it is made of the packet's own random bytes. */
const NONCE = new Uint8Array(12);

/** Where session and number are, behind the public key and the signature. */
const BODY_AT: number = KEY_LENGTH + SIGNATURE_LENGTH;

const CONTENT_AT: number = BODY_AT + 8 + 6;

function signed(place: Place, header: Uint8Array, body: Uint8Array): Uint8Array {
  return concat(ascii(`${LABEL}notice`), ascii(place.topic), header, body);
}

function numberBytes(number: number): Uint8Array {
  return Uint8Array.fromHex(number.toString(16).padStart(12, "0"));
}

/** Scrypt (RFC 7914). */
function stretch(secret: Uint8Array, salt: Uint8Array): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const cost = { N: 2 ** 16, r: 8, p: 1, maxmem: 128 * 1024 * 1024 };
  scrypt(secret, salt, KEY_LENGTH, cost, (error, key) => {
    if (error) reject(error);
    else resolve(Uint8Array.from(key));
  });
  return promise;
}

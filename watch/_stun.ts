/** STUN binding messages (RFC 8489) as pure functions over bytes. */

import { HoldfastError } from "../internal/errors.ts";
import { formatIp, isUnicast, parseIp } from "../internal/ip.ts";
import type { Family } from "./state.ts";

/** An address and a port. */
export interface Endpoint {
  /** Family of the address. */
  readonly family: Family;
  /** The address in canonical form. */
  readonly address: string;
  /** The port, 0 to 65535. */
  readonly port: number;
}

/** One attribute of a message, its value without padding. */
export interface StunAttribute {
  /** Its number. */
  readonly type: number;
  /** Its value. */
  readonly value: Uint8Array;
}

/** A message whose frame is sound: lengths, magic cookie and fingerprint. */
export interface StunMessage {
  /** Method and class. */
  readonly type: number;
  /** The transaction id, 12 bytes. */
  readonly id: Uint8Array;
  /** All attributes in order. */
  readonly attributes: readonly StunAttribute[];
}

/** What a success response says. */
export interface BindingResponse {
  /** The asker's address as the server saw it. */
  readonly mapped: Endpoint;
  /** Whether it came as XOR-MAPPED-ADDRESS, which no middlebox rewrites. */
  readonly xor: boolean;
  /** The server's second address (RFC 5780), or `null`. */
  readonly otherAddress: Endpoint | null;
  /** Where the server says it answered from (RFC 5780), or `null`. */
  readonly responseOrigin: Endpoint | null;
  /** What the server calls itself, or `null`. */
  readonly software: string | null;
}

/** Why a message was not accepted. */
export type StunReason =
  | "not-stun"
  | "truncated"
  | "malformed"
  | "fingerprint"
  | "wrong-id"
  | "wrong-type"
  | "unknown-attribute"
  | "no-address"
  | "error-response"
  | "alternate-server";

/** The only error that decoding throws. */
export class StunError extends HoldfastError {
  /** The class's name. */
  override name = "StunError";
  /** What was wrong. */
  readonly reason: StunReason;
  /** Where an `alternate-server` response sends the asker. */
  readonly alternate: Endpoint | null;

  /**
   * Makes the error.
   *
   * @param reason What was wrong.
   * @param detail The same for people.
   * @param alternate The other server, if the response names one.
   */
  constructor(reason: StunReason, detail: string, alternate: Endpoint | null = null) {
    super(`Cannot read STUN message: ${detail}`, { code: `stun-${reason}`, operation: "read STUN message" });
    this.reason = reason;
    this.alternate = alternate;
  }
}

/** Message types of the binding method. */
export const MessageType = { request: 0x0001, success: 0x0101, error: 0x0111 } as const;

/** Attribute numbers (IANA "STUN Attributes"). */
export const AttributeType = {
  mappedAddress: 0x0001,
  errorCode: 0x0009,
  xorMappedAddress: 0x0020,
  software: 0x8022,
  alternateServer: 0x8023,
  fingerprint: 0x8028,
  responseOrigin: 0x802b,
  otherAddress: 0x802c,
} as const;

/**
 * Attributes below 0x8000 that may stand in a response: those of RFC 8489, RFC 5780, and what servers of RFC 3489 send
 * along (SOURCE-ADDRESS, CHANGED-ADDRESS ...). Any other makes the response unusable (RFC 8489 section 6.3.1).
 */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  ...[0x0001, 0x0002, 0x0003, 0x0004, 0x0005, 0x0006, 0x0007, 0x0008, 0x0009, 0x000a, 0x000b],
  ...[0x0014, 0x0015, 0x001c, 0x001d, 0x001e, 0x0020, 0x0026, 0x0027],
]);

const HEADER = 20;
const MAGIC = Uint8Array.of(0x21, 0x12, 0xa4, 0x42);
const FINGERPRINT_XOR = 0x5354554e;

/** A transaction id that nobody can guess. */
export function newTransactionId(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(12));
}

/** The 20 bytes that ask a server for our address. */
export function encodeBindingRequest(id: Uint8Array): Uint8Array {
  return encodeMessage(MessageType.request, id, []);
}

/**
 * Writes any message.
 *
 * @param type Method and class.
 * @param id The transaction id, 12 bytes.
 * @param attributes What it carries, in order.
 * @param options `fingerprint: true` ends it with a FINGERPRINT.
 */
export function encodeMessage(
  type: number,
  id: Uint8Array,
  attributes: readonly StunAttribute[],
  options: { readonly fingerprint?: boolean } = {},
): Uint8Array {
  const all = options.fingerprint
    ? [...attributes, { type: AttributeType.fingerprint, value: new Uint8Array(4) }]
    : attributes;
  const length = all.reduce((sum, { value }) => sum + 4 + padded(value.length), 0);
  const bytes = new Uint8Array(HEADER + length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, type);
  view.setUint16(2, length);
  bytes.set(MAGIC, 4);
  bytes.set(id, 8);
  let at = HEADER;
  for (const { type, value } of all) {
    view.setUint16(at, type);
    view.setUint16(at + 2, value.length);
    bytes.set(value, at + 4);
    at += 4 + padded(value.length);
  }
  if (options.fingerprint) view.setUint32(at - 4, fingerprint(bytes.subarray(0, at - 8)));
  return bytes;
}

/**
 * Writes the value of an address attribute.
 *
 * @param endpoint The address and the port.
 * @param xorId The transaction id, for XOR-MAPPED-ADDRESS.
 */
export function encodeAddress(endpoint: Omit<Endpoint, "family">, xorId?: Uint8Array): Uint8Array {
  const address = parseIp(endpoint.address);
  if (!address) {
    throw new TypeError(`Cannot encode an address: it must be an IP address, got "${endpoint.address}"`);
  }
  const family = address.length === 4 ? 1 : 2;
  const value = Uint8Array.of(0, family, endpoint.port >> 8, endpoint.port & 0xff, ...address);
  return xorId ? xored(value, xorId) : value;
}

/**
 * Reads a binding response.
 *
 * @param bytes One datagram; anything may be in it.
 * @param id The transaction id of the request.
 * @throws {StunError} When it is not a success response to that request, whole and understood.
 */
export function decodeBindingResponse(bytes: Uint8Array, id: Uint8Array): BindingResponse {
  const message = decodeMessage(bytes);
  if (!message.id.every((byte, i) => byte === id[i])) {
    throw new StunError("wrong-id", "its transaction id is not ours");
  }
  const { type } = message;
  if (type !== MessageType.success && type !== MessageType.error) {
    throw new StunError("wrong-type", `its type is 0x${hex(type)}, not that of a binding response`);
  }
  const unknown = message.attributes.find(({ type }) => type < 0x8000 && !UNDERSTOOD.has(type));
  if (unknown) {
    throw new StunError("unknown-attribute", `it requires attribute 0x${hex(unknown.type)} to be understood`);
  }
  if (type === MessageType.error) throw errorOf(message);
  return responseOf(message);
}

/**
 * Reads the frame of any STUN message.
 *
 * @param bytes One datagram; anything may be in it.
 * @throws {StunError} When it is not one whole message.
 */
export function decodeMessage(bytes: Uint8Array): StunMessage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < HEADER) {
    throw new StunError("truncated", `${bytes.length} bytes are less than its header`);
  }
  const type = view.getUint16(0);
  if (type >= 0x4000) throw new StunError("not-stun", "the two highest bits are not zero");
  if (!MAGIC.every((byte, i) => byte === bytes[4 + i])) {
    throw new StunError("not-stun", "the magic cookie is missing");
  }
  const length = view.getUint16(2);
  if (length % 4 !== 0) throw new StunError("malformed", `its length ${length} is not a multiple of 4`);
  if (HEADER + length > bytes.length) {
    throw new StunError("truncated", `${bytes.length} bytes of ${HEADER + length} have arrived`);
  }
  if (HEADER + length < bytes.length) throw new StunError("malformed", "bytes follow its end");
  return { type, id: bytes.slice(8, HEADER), attributes: [...attributesOf(bytes, view)] };
}

function* attributesOf(bytes: Uint8Array, view: DataView): Generator<StunAttribute> {
  // The whole length is a multiple of 4, and so is each step: four bytes are always there to read.
  for (let at = HEADER; at < bytes.length;) {
    const type = view.getUint16(at);
    const length = view.getUint16(at + 2);
    const next = at + 4 + padded(length);
    if (next > bytes.length) {
      throw new StunError("malformed", `attribute 0x${hex(type)} is longer than the message`);
    }
    if (type === AttributeType.fingerprint) checkFingerprint(bytes.subarray(0, at), length, view, next);
    yield { type, value: bytes.slice(at + 4, at + 4 + length) };
    at = next;
  }
}

/** FINGERPRINT is the last attribute and covers all before it (RFC 8489 section 14.7). */
function checkFingerprint(before: Uint8Array, length: number, view: DataView, next: number): void {
  if (length !== 4 || next !== view.byteLength) {
    throw new StunError("malformed", "its FINGERPRINT is out of place");
  }
  if (view.getUint32(next - 4) !== fingerprint(before)) {
    throw new StunError("fingerprint", "its FINGERPRINT does not match");
  }
}

function responseOf(message: StunMessage): BindingResponse {
  const xor = firstOf(message, AttributeType.xorMappedAddress);
  const value = xor ?? firstOf(message, AttributeType.mappedAddress);
  if (!value) throw new StunError("no-address", "it carries no mapped address");
  const mapped = decodeAddress(xor ? xored(value, message.id) : value);
  if (!isUsable(mapped)) {
    throw new StunError("no-address", `its mapped address ${mapped.address} port ${mapped.port} is nobody's`);
  }
  return {
    mapped,
    xor: xor !== undefined,
    otherAddress: addressOf(message, AttributeType.otherAddress),
    responseOrigin: addressOf(message, AttributeType.responseOrigin),
    software: textOf(firstOf(message, AttributeType.software)),
  };
}

function errorOf(message: StunMessage): StunError {
  const value = firstOf(message, AttributeType.errorCode);
  const [, , hundreds = 0, rest = 0] = value ?? [];
  if (!value || value.length < 4 || (hundreds & 7) < 3 || (hundreds & 7) > 6 || rest > 99) {
    return new StunError("malformed", "it is an error response without an error code");
  }
  const code = (hundreds & 7) * 100 + rest;
  const detail = `the server answers with error ${code} ${textOf(value.subarray(4)) ?? ""}`.trimEnd();
  const alternate = addressOf(message, AttributeType.alternateServer);
  // 300 is Try Alternate (RFC 8489 section 10); it is told, and never followed: the caller has chosen whom to ask.
  if (code !== 300 || !alternate) return new StunError("error-response", detail);
  return new StunError(
    "alternate-server",
    `${detail}: ${alternate.address} port ${alternate.port}`,
    alternate,
  );
}

/** Of several attributes of one type only the first counts (RFC 8489 section 14). */
function firstOf(message: StunMessage, type: number): Uint8Array | undefined {
  return message.attributes.find((attribute) => attribute.type === type)?.value;
}

function addressOf(message: StunMessage, type: number): Endpoint | null {
  const value = firstOf(message, type);
  return value ? decodeAddress(value) : null;
}

function decodeAddress(value: Uint8Array): Endpoint {
  const family = value[1];
  if (!(family === 1 && value.length === 8) && !(family === 2 && value.length === 20)) {
    throw new StunError("malformed", `an address of family ${family} has ${value.length} bytes`);
  }
  const port = new DataView(value.buffer, value.byteOffset).getUint16(2);
  return { family: family === 1 ? 4 : 6, address: formatIp(value.subarray(4)), port };
}

/** Applies the XOR rule of RFC 8489 section 14.2 to an address value; doing it twice undoes it. */
function xored(value: Uint8Array, id: Uint8Array): Uint8Array {
  const key = [0, 0, MAGIC[0], MAGIC[1], ...MAGIC, ...id];
  return value.map((byte, i) => byte ^ (key[i] ?? 0));
}

function isUsable({ address, port }: Endpoint): boolean {
  const bytes = parseIp(address);
  return port !== 0 && bytes !== null && isUnicast(bytes);
}

/** Text from a stranger: at most 127 characters (RFC 8489 section 14.14), none of which can steer a terminal. */
function textOf(value: Uint8Array | undefined): string | null {
  const text = new TextDecoder().decode(value).replaceAll(/[\p{C}\p{Z}]+/gu, " ").trim();
  return text === "" ? null : [...text].slice(0, 127).join("");
}

function padded(length: number): number {
  return (length + 3) & ~3;
}

function hex(type: number): string {
  return type.toString(16).padStart(4, "0");
}

function fingerprint(bytes: Uint8Array): number {
  return (crc32(bytes) ^ FINGERPRINT_XOR) >>> 0;
}

/** CRC-32 as of ISO 3309 (the one of zip and Ethernet), bit by bit: a message is short. */
function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc;
}

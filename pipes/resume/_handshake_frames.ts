/** The bytes of a handshake: preface, HELLO, WELCOME, RESUME, RESUMED, CONFIRM and REJECT; docs/PROTOCOLS.md. */

import { encodeFrame, FRAME, HEADER, readHeader, writeHeader } from "./_frames.ts";
import { concat } from "./_keys.ts";

/** What one end wishes, and both then keep to. */
export interface Terms {
  /** How many bytes may be sent and not acknowledged, per direction: 65,536 to 67,108,864. */
  readonly window: number;
  /** After how many milliseconds without carrier the session is lost. */
  readonly expiry: number;
  /** Milliseconds of silence after which the client sends a PING; 0 for none. */
  readonly keepalive: number;
}

/** The first twelve bytes of an end. */
export interface Preface {
  /** What follows: one of {@linkcode MODE}, or a number that is not known. */
  readonly mode: number;
  /** The lowest version spoken. */
  readonly lowest: number;
  /** The highest version spoken. */
  readonly highest: number;
}

/** A client asks for a new session. */
export interface Hello {
  /** 32 random bytes. */
  readonly nonce: Uint8Array;
  /** An X25519 public key. */
  readonly publicKey: Uint8Array;
  /** What the client knows besides version 1, as bits. */
  readonly features: number;
  /** What the client wishes. */
  readonly terms: Terms;
  /** For the application of the server, 0 to 256 bytes. */
  readonly greeting: Uint8Array;
}

/** A server grants a session; the proof follows. */
export interface Welcome {
  /** The session's name, 16 random bytes. */
  readonly id: Uint8Array;
  /** 32 random bytes. */
  readonly nonce: Uint8Array;
  /** An X25519 public key. */
  readonly publicKey: Uint8Array;
  /** What both know, as bits. */
  readonly features: number;
  /** What both keep to. */
  readonly terms: Terms;
}

/** A client asks to go on; the proof follows. */
export interface Resume {
  /** Everything before this position was received. */
  readonly received: number;
  /** The session's name, 16 bytes. */
  readonly id: Uint8Array;
  /** One more than any carrier of this session had. */
  readonly epoch: number;
  /** 32 random bytes. */
  readonly nonce: Uint8Array;
}

/** A server knows the session; the proof follows. */
export interface Resumed {
  /** Everything before this position was received. */
  readonly received: number;
  /** 32 random bytes. */
  readonly nonce: Uint8Array;
}

/** A server refuses; the proof follows. */
export interface Reject {
  /** One of {@linkcode REJECT}. */
  readonly code: number;
  /** How many milliseconds to wait before the next attempt. */
  readonly wait: number;
  /** For people, or the URL of another server. */
  readonly text: string;
}

/** A frame as it came. */
export interface RawFrame {
  /** Its type. */
  readonly type: number;
  /** Its offset. */
  readonly offset: number;
  /** All of it, header and payload. */
  readonly bytes: Uint8Array;
}

/** The frames that a handshake is made of, by name. */
export type HandshakeFrame = "hello" | "welcome" | "resume" | "resumed" | "confirm" | "reject";

/** Which frames may come at a place, by type, and how long their payloads may be. */
export type Expected = ReadonlyMap<number, readonly [least: number, most: number]>;

/** Bytes that are no handshake of this protocol. */
export class HandshakeSyntaxError extends Error {
  /** The class's name. */
  override name = "HandshakeSyntaxError";
  /** Whether it is another protocol altogether, or this one spoken wrongly. */
  readonly reason: "foreign" | "violation";

  /**
   * Makes an error.
   *
   * @param message What is wrong, in the middle of a sentence.
   * @param reason Which of both.
   */
  constructor(message: string, reason: "foreign" | "violation" = "violation") {
    super(message);
    this.reason = reason;
  }
}

/** Why a server refuses. */
export const REJECT = { refused: 1, busy: 2, expired: 3, moved: 4, resources: 5, notAllowed: 6 } as const;

/** Whether frames follow a preface as they are. */
export const MODE = { open: 0, sealed: 1 } as const;

/** How many bytes a preface has. */
export const PREFACE_LENGTH = 12;

/** How many bytes a proof has; it is the end of each frame that has one. */
export const PROOF_LENGTH = 32;

/** The only version there is. */
export const VERSION = 1;

/** The smallest window. */
export const MIN_WINDOW = 65_536;

/** The largest window. */
export const MAX_WINDOW = 67_108_864;

/** The most bytes of a greeting. */
export const MAX_GREETING = 256;

/** The most bytes of the text of a refusal. */
export const MAX_REJECT_TEXT = 1024;

/** Writes a preface. */
export function encodePreface(preface: Preface): Uint8Array {
  return concat(MAGIC, Uint8Array.of(preface.mode, preface.lowest, preface.highest, 0));
}

/**
 * Reads a preface.
 *
 * @param bytes What came so far.
 * @returns The preface, or `null` where more bytes are needed.
 * @throws {HandshakeSyntaxError} As soon as a byte shows that this is something else.
 */
export function decodePreface(bytes: Uint8Array): Preface | null {
  if (MAGIC.subarray(0, bytes.length).some((byte, n) => byte !== bytes[n])) {
    throw new HandshakeSyntaxError(NOT_OURS, "foreign");
  }
  if (bytes.length < PREFACE_LENGTH) return null;
  const [mode = 0, lowest = 0, highest = 0, zero = 0] = bytes.subarray(MAGIC.length);
  if (zero !== 0) throw new HandshakeSyntaxError(NOT_OURS, "foreign");
  return { mode, lowest, highest };
}

/**
 * Finds the frame at the beginning of some bytes.
 *
 * @param bytes What came so far.
 * @param expected Which frames may come now.
 * @returns The frame, a view, or `null` where more bytes are needed.
 * @throws {HandshakeSyntaxError} As soon as the bytes show that it is none that is expected.
 */
export function splitFrame(
  bytes: Uint8Array,
  expected: Expected,
): RawFrame | null {
  const type = bytes[0];
  if (type === undefined) return null;
  const limit = expected.get(type);
  if (!limit) throw new HandshakeSyntaxError(`a frame of type ${type} came where none belongs`);
  if (bytes.length < HEADER) return null;
  const { flags, length, offset } = readHeader(bytes);
  if (flags !== 0) throw new HandshakeSyntaxError(`flags ${flags} are not known`);
  if (length < limit[0] || length > limit[1]) {
    throw new HandshakeSyntaxError(`a frame of type ${type} has a payload of ${length} bytes`);
  }
  if (bytes.length < HEADER + length) return null;
  return { type, offset, bytes: bytes.subarray(0, HEADER + length) };
}

/** Says which frames may come. */
export function expecting(...names: readonly HandshakeFrame[]): Expected {
  return new Map(names.map((name) => [FRAME[name], LENGTHS[name]]));
}

/** Writes a HELLO. */
export function encodeHello(hello: Hello): Uint8Array {
  return encodeFrame(
    FRAME.hello,
    0,
    concat(hello.nonce, hello.publicKey, encodeTerms(hello), hello.greeting),
  );
}

/** Reads a HELLO. */
export function decodeHello(raw: RawFrame): Hello {
  atZero(raw);
  const take = reader(raw);
  return { nonce: take(32), publicKey: take(32), ...decodeTerms(take(16)), greeting: take(Infinity) };
}

/** Writes a WELCOME up to its proof. */
export function encodeWelcome(welcome: Welcome): Uint8Array {
  const { id, nonce, publicKey } = welcome;
  return unproven(FRAME.welcome, 0, id, nonce, publicKey, encodeTerms(welcome));
}

/** Reads a WELCOME. */
export function decodeWelcome(raw: RawFrame): Welcome {
  atZero(raw);
  const take = reader(raw);
  return { id: take(16), nonce: take(32), publicKey: take(32), ...decodeTerms(take(16)) };
}

/** Writes a RESUME up to its proof. */
export function encodeResume({ received, id, epoch, nonce }: Resume): Uint8Array {
  return unproven(FRAME.resume, received, id, numbers(epoch), nonce);
}

/** Reads a RESUME. */
export function decodeResume(raw: RawFrame): Resume {
  const take = reader(raw);
  return { received: raw.offset, id: take(16), epoch: viewOf(take(4)).getUint32(0), nonce: take(32) };
}

/** Writes a RESUMED up to its proof. */
export function encodeResumed({ received, nonce }: Resumed): Uint8Array {
  return unproven(FRAME.resumed, received, nonce);
}

/** Reads a RESUMED. */
export function decodeResumed(raw: RawFrame): Resumed {
  return { received: raw.offset, nonce: reader(raw)(32) };
}

/** Writes a CONFIRM up to its proof. */
export function encodeConfirm(received: number): Uint8Array {
  return unproven(FRAME.confirm, received);
}

/** Writes a REJECT up to its proof; a text that is too long is cut. */
export function encodeReject({ code, wait, text }: Reject): Uint8Array {
  const bytes = new Uint8Array(MAX_REJECT_TEXT);
  // encodeInto() never leaves half a character.
  const { written } = new TextEncoder().encodeInto(text, bytes);
  const head = new Uint8Array(8);
  const view = viewOf(head);
  view.setUint16(0, code);
  view.setUint32(2, wait);
  view.setUint16(6, written);
  return unproven(FRAME.reject, 0, head, bytes.subarray(0, written));
}

/** Reads a REJECT. */
export function decodeReject(raw: RawFrame): Reject {
  atZero(raw);
  const payload = raw.bytes.subarray(HEADER, -PROOF_LENGTH);
  const view = viewOf(payload);
  const text = payload.subarray(8);
  if (view.getUint16(6) !== text.length) {
    throw new HandshakeSyntaxError(`a text of ${view.getUint16(6)} bytes has ${text.length}`);
  }
  try {
    const decoded = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(text);
    return { code: view.getUint16(0), wait: view.getUint32(2), text: decoded };
  } catch {
    throw new HandshakeSyntaxError("the text of a refusal is not UTF-8");
  }
}

/** What a frame proves: all of it before the proof. */
export function proven(raw: RawFrame): Uint8Array {
  return raw.bytes.subarray(0, -PROOF_LENGTH);
}

/** The proof at the end of a frame. */
export function proofOf(raw: RawFrame): Uint8Array {
  return raw.bytes.subarray(-PROOF_LENGTH);
}

const NOT_OURS = "the other end does not speak this protocol";

/** The first byte is none of a text protocol, and a transfer that changes line ends is noticed at once. */
const MAGIC = Uint8Array.fromHex("89484f4c440d0a1a");

const LENGTHS: Readonly<Record<HandshakeFrame, readonly [least: number, most: number]>> = {
  hello: [80, 80 + MAX_GREETING],
  welcome: [128, 128],
  resume: [84, 84],
  resumed: [64, 64],
  confirm: [32, 32],
  reject: [40, 40 + MAX_REJECT_TEXT],
};

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A frame whose length counts the proof, which its sender puts behind it. */
function unproven(type: number, offset: number, ...payload: readonly Uint8Array[]): Uint8Array {
  const bytes = concat(new Uint8Array(HEADER), ...payload);
  writeHeader(bytes, 0, { type, length: bytes.length - HEADER + PROOF_LENGTH, offset });
  return bytes;
}

function numbers(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = viewOf(bytes);
  values.forEach((value, n) => view.setUint32(n * 4, value));
  return bytes;
}

function encodeTerms({ features, terms }: { readonly features: number; readonly terms: Terms }): Uint8Array {
  return numbers(features, terms.window, terms.expiry, terms.keepalive);
}

function decodeTerms(bytes: Uint8Array): { features: number; terms: Terms } {
  const view = viewOf(bytes);
  const window = view.getUint32(4);
  if (window < MIN_WINDOW || window > MAX_WINDOW) {
    throw new HandshakeSyntaxError(`a window of ${window} bytes is none`);
  }
  const terms = { window, expiry: view.getUint32(8), keepalive: view.getUint32(12) };
  return { features: view.getUint32(0), terms };
}

function atZero(raw: RawFrame): void {
  if (raw.offset !== 0) {
    throw new HandshakeSyntaxError(`a frame of type ${raw.type} has offset ${raw.offset}`);
  }
}

/** Takes the payload of a frame piece by piece, as copies: what came from a carrier lies in memory used again. */
function reader(raw: RawFrame): (length: number) => Uint8Array {
  let at = HEADER;
  return (length) => Uint8Array.from(raw.bytes.subarray(at, at += length));
}

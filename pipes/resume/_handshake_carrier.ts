/** The bytes of one carrier during its handshake: as they come, open or sealed, bounded; and their transcript. */

import type {
  FailedStep,
  HandshakeFailure,
  HandshakeFailureReason,
  SessionKeys,
  WaitStep,
} from "./_handshake.ts";
import {
  decodePreface,
  type Expected,
  HandshakeSyntaxError,
  type Preface,
  PREFACE_LENGTH,
  PROOF_LENGTH,
  proofOf,
  proven,
  type RawFrame,
  splitFrame,
} from "./_handshake_frames.ts";
import { concat, hkdfExpand, hkdfExtract, hmac, isSame, sha256 } from "./_keys.ts";
import { type SealedCodec, SealError } from "./_seal.ts";

/** Ends a handshake from within. */
export class HandshakeEnd extends Error {
  /** The class's name. */
  override name = "HandshakeEnd";
  /** Why. */
  readonly failure: HandshakeFailure;

  /**
   * Makes an error.
   *
   * @param failure Why.
   */
  constructor(failure: HandshakeFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** What a handshake reads from and writes to. It keeps no more than the piece that it waits for. */
export class HandshakeCarrier {
  /** What opens and seals, once both ends have agreed on keys. */
  codec: SealedCodec | null = null;
  /** Bytes that were not read yet: of the carrier, or what its records held. */
  #bytes: Uint8Array = EMPTY;
  /** What the next step sends. */
  #output: Uint8Array = EMPTY;
  /** Begins with the binding. */
  readonly #transcript: Uint8Array[] = [new Uint8Array(32)];

  /** Takes what came. */
  add(bytes: Uint8Array): void {
    if (this.codec) this.codec.push(bytes);
    else this.#bytes = concat(this.#bytes, bytes);
  }

  /** Begins to seal and open, and binds the transcript to this carrier. */
  seal(codec: SealedCodec, binding: Uint8Array): void {
    this.codec = codec;
    this.#transcript[0] = binding;
    const bytes = this.#bytes;
    this.#bytes = EMPTY;
    codec.push(bytes);
  }

  /** The preface of the other end. */
  readPreface(): { readonly preface: Preface; readonly bytes: Uint8Array } | null {
    const preface = decodePreface(this.#bytes.subarray(0, PREFACE_LENGTH));
    return preface && { preface, bytes: this.#take(PREFACE_LENGTH) };
  }

  /** So many bytes as they are. */
  read(length: number): Uint8Array | null {
    return this.#bytes.length < length ? null : this.#take(length);
  }

  /** What the next record holds. */
  readRecord(): Uint8Array | null {
    return this.codec?.next() ?? null;
  }

  /** The next frame. */
  readFrame(expected: Expected): RawFrame | null {
    for (;;) {
      const frame = splitFrame(this.#bytes, expected);
      if (frame) return { ...frame, bytes: this.#take(frame.bytes.length) };
      if (!this.#more()) return null;
    }
  }

  /** The type of the next frame. */
  peekType(): number | null {
    while (this.#bytes.length === 0 && this.#more());
    return this.#bytes[0] ?? null;
  }

  /** Everything that came and was not read. */
  rest(): Uint8Array {
    while (this.#more());
    return this.#take(this.#bytes.length);
  }

  /** The other end has to wait for an answer now. */
  expectNothing(): void {
    if (this.rest().length > 0) throw new HandshakeSyntaxError("more came before it was time");
  }

  /** Sends bytes, by the next step; sealed where the keys are there. */
  write(bytes: Uint8Array): void {
    this.#output = concat(this.#output, this.codec ? this.codec.seal(bytes) : bytes);
  }

  /**
   * Sends a frame with its proof.
   *
   * @param unproven The frame up to its proof.
   * @param key What it is proven by; a proof of zeros without one.
   * @returns The whole frame, for the transcript.
   */
  writeProven(unproven: Uint8Array, key: Uint8Array | null): Uint8Array {
    const proof = key ? this.proof(unproven, key) : new Uint8Array(PROOF_LENGTH);
    const frame = concat(unproven, proof);
    this.write(frame);
    return frame;
  }

  /** What is to be sent now. */
  flush(): Uint8Array | null {
    const output = this.#output;
    this.#output = EMPTY;
    return output.length === 0 ? null : output;
  }

  /** Puts whole prefaces and frames into the transcript. */
  note(...pieces: readonly Uint8Array[]): void {
    this.#transcript.push(...pieces);
  }

  /** `T(x)` of docs/PROTOCOLS.md: the hash of all of the transcript up to the place of a frame's proof. */
  digest(unproven: Uint8Array): Uint8Array {
    return sha256(...this.#transcript, unproven);
  }

  /** The proof of a frame. */
  proof(unproven: Uint8Array, key: Uint8Array): Uint8Array {
    return hmac(key, this.digest(unproven));
  }

  /** Whether a frame that came is proven by a key; takes as long whatever the answer. */
  isProven(frame: RawFrame, key: Uint8Array): boolean {
    return isSame(this.proof(proven(frame), key), proofOf(frame));
  }

  /** Puts the next record behind what was not read; says whether there was one. */
  #more(): boolean {
    const record = this.codec?.next();
    if (!record) return false;
    this.#bytes = concat(this.#bytes, record);
    return true;
  }

  #take(length: number): Uint8Array {
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }
}

/** Reads something, waiting for more bytes as often as it takes. */
export function* needed<T>(
  carrier: HandshakeCarrier,
  read: () => T | null,
): Generator<WaitStep, T, undefined> {
  for (;;) {
    const value = read();
    if (value !== null) return value;
    yield { type: "wait", send: carrier.flush() };
  }
}

/** Ends a handshake. */
export function end(reason: HandshakeFailureReason, message: string): never {
  throw new HandshakeEnd({ reason, message });
}

/**
 * Takes a step of a handshake; whatever it finds wrong with the other end is its failure.
 *
 * @param carrier What it reads from.
 * @param bytes What came.
 * @param run Goes on.
 */
export function step<T>(
  carrier: HandshakeCarrier,
  bytes: Uint8Array,
  run: () => T,
): T | FailedStep {
  try {
    carrier.add(bytes);
    return run();
  } catch (error) {
    const failure = failureOf(error);
    // Who breaks the rules gets no answer.
    const isAnswered = ["mode", "version", "rejected"].includes(failure.reason);
    return { type: "failed", send: isAnswered ? carrier.flush() : null, failure };
  }
}

/** The secrets of a new session: docs/PROTOCOLS.md, "Keys and proofs". */
export function sessionKeys(transcript: Uint8Array, agreed: Uint8Array): SessionKeys {
  const root = hkdfExtract(transcript, agreed);
  return {
    clientKey: hkdfExpand(root, "holdfast session 1 client"),
    serverKey: hkdfExpand(root, "holdfast session 1 server"),
  };
}

/** What can be said where a record of a handshake does not open. */
export const DIFFERENT_SECRETS =
  "both ends have different secrets: another shared key, or somebody in between";

const EMPTY = new Uint8Array(0);

function failureOf(error: unknown): HandshakeFailure {
  if (error instanceof HandshakeEnd) return error.failure;
  if (error instanceof SealError) return { reason: "seal", message: DIFFERENT_SECRETS };
  if (error instanceof HandshakeSyntaxError) return { reason: error.reason, message: error.message };
  throw error;
}

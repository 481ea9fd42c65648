/** Sealed carriers: records of ChaCha20-Poly1305 over any bytes in order; docs/PROTOCOLS.md, "Sealed carriers". */

import { createCipheriv, createDecipheriv } from "node:crypto";

/** The most plain bytes of one record: a whole frame of the session. */
export const RECORD_PLAIN = 65_548;

/** What a record adds to its plain bytes. */
export const RECORD_EXTRA = 20;

/** The largest length field of a record. */
export const RECORD_LIMIT = 65_564;

/** The largest record of a carrier that has proven nothing yet, by its length field. */
export const RECORD_UNPROVEN = 400;

/** The bytes of a sealed carrier are not what the other end sent; the carrier is of no more use. */
export class SealError extends Error {
  /** The class's name. */
  override name = "SealError";
}

/** What a {@linkcode SealedCodec} needs to know. */
export interface SealedCodecOptions {
  /** The key for what is sent, 32 bytes. */
  readonly sendKey: Uint8Array;
  /** The key for what is received, 32 bytes. */
  readonly receiveKey: Uint8Array;
  /** Largest length field that is taken. @default {65_564} */
  readonly limit?: number;
}

/** Seals what is sent on one carrier, and opens what comes. */
export class SealedCodec {
  /** The largest length field that is taken: small until the other end has proven something. */
  limit: number;
  readonly #send: Direction;
  readonly #receive: Direction;
  /** Where sealed bytes are put: the same place each time, as one write is under way at once. */
  #output = new Uint8Array(0);
  /** The beginning of a record whose end did not come yet. */
  #partial = new Uint8Array(0);
  #kept = 0;
  #input: Uint8Array = EMPTY;
  #failed: SealError | null = null;

  /**
   * Makes what seals and opens one carrier.
   *
   * @param options The keys, which no other carrier ever has.
   */
  constructor(options: SealedCodecOptions) {
    this.#send = new Direction(options.sendKey);
    this.#receive = new Direction(options.receiveKey);
    this.limit = options.limit ?? RECORD_LIMIT;
  }

  /**
   * Makes records of some bytes.
   *
   * @param bytes What to send; more than one record holds makes several.
   * @returns The records, one after the other. They lie in memory that the next call uses again.
   */
  seal(bytes: Uint8Array): Uint8Array {
    const records = Math.ceil(bytes.length / RECORD_PLAIN);
    const length = bytes.length + records * RECORD_EXTRA;
    if (this.#output.length < length) this.#output = new Uint8Array(length);
    let at = 0;
    for (let from = 0; from < bytes.length; from += RECORD_PLAIN) {
      const plain = bytes.subarray(from, from + RECORD_PLAIN);
      this.#send.seal(plain, this.#output.subarray(at, at += plain.length + RECORD_EXTRA));
    }
    return this.#output.subarray(0, length);
  }

  /**
   * Opens all records that are whole by now.
   *
   * @param bytes What came from the carrier, cut anywhere; it may be used again afterwards.
   * @returns What the other end sealed, in order, a piece for each record.
   * @throws {SealError} Where a record is not what the other end sealed as the next one; from then on always.
   */
  open(bytes: Uint8Array): Uint8Array[] {
    this.push(bytes);
    const pieces: Uint8Array[] = [];
    for (let piece = this.next(); piece; piece = this.next()) pieces.push(piece);
    return pieces;
  }

  /**
   * Takes bytes, for {@linkcode SealedCodec.next} to open.
   *
   * @param bytes What came from the carrier. It must stay as it is until `next` gave `null`.
   */
  push(bytes: Uint8Array): void {
    if (this.#failed) throw this.#failed;
    if (this.#input.length > 0) throw new Error("Cannot take bytes: those before were not opened");
    this.#input = bytes;
  }

  /**
   * Opens the next record.
   *
   * @returns What was sealed, or `null` where no whole record is there.
   * @throws {SealError} As {@linkcode SealedCodec.open}.
   */
  next(): Uint8Array | null {
    if (this.#failed) throw this.#failed;
    try {
      return this.#next();
    } catch (error) {
      this.#failed = error as SealError;
      this.#input = EMPTY;
      throw error;
    }
  }

  /** Lets go of memory that a carrier without traffic does not need. */
  trim(): void {
    this.#output = new Uint8Array(0);
    if (this.#kept === 0) this.#partial = new Uint8Array(0);
  }

  #next(): Uint8Array | null {
    if (this.#kept === 0) {
      const length = this.#input.length < HEAD ? null : this.#length(this.#input);
      if (length !== null && this.#input.length >= HEAD + length) {
        const record = this.#take(HEAD + length);
        return this.#receive.open(record);
      }
    }
    if (this.#input.length === 0 || !this.#gather(HEAD)) return null;
    const whole = HEAD + this.#length(this.#partial);
    if (!this.#gather(whole)) return null;
    this.#kept = 0;
    return this.#receive.open(this.#partial.subarray(0, whole));
  }

  /** Puts input behind what is kept until there are so many bytes; says whether there are. */
  #gather(length: number): boolean {
    if (this.#partial.length < length) {
      const larger = new Uint8Array(length);
      larger.set(this.#partial.subarray(0, this.#kept));
      this.#partial = larger;
    }
    const taken = this.#take(Math.max(0, Math.min(length - this.#kept, this.#input.length)));
    this.#partial.set(taken, this.#kept);
    this.#kept += taken.length;
    return this.#kept >= length;
  }

  #take(length: number): Uint8Array {
    const taken = this.#input.subarray(0, length);
    this.#input = this.#input.subarray(length);
    return taken;
  }

  #length(head: Uint8Array): number {
    const length = new DataView(head.buffer, head.byteOffset, HEAD).getUint32(0);
    if (length <= TAG || length > this.limit) {
      throw new SealError(`Cannot open a record: its length is ${length}, not ${TAG + 1} to ${this.limit}`);
    }
    return length;
  }
}

/** Octets of a length field. */
const HEAD = 4;

/** Octets of the authentication tag. */
const TAG = 16;

const EMPTY = new Uint8Array(0);

/** One direction of a carrier: a key, and a counter that makes each nonce once. */
class Direction {
  readonly #key: Uint8Array;
  readonly #nonce = new Uint8Array(12);
  readonly #view = new DataView(this.#nonce.buffer);
  #count = 0;

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  seal(plain: Uint8Array, record: Uint8Array): void {
    const length = plain.length + TAG;
    new DataView(record.buffer, record.byteOffset, HEAD).setUint32(0, length);
    const cipher = createCipheriv("chacha20-poly1305", this.#key, this.#next(), { authTagLength: TAG });
    cipher.setAAD(record.subarray(0, HEAD), { plaintextLength: plain.length });
    record.set(cipher.update(plain), HEAD);
    cipher.final();
    record.set(cipher.getAuthTag(), HEAD + plain.length);
  }

  open(record: Uint8Array): Uint8Array {
    const decipher = createDecipheriv("chacha20-poly1305", this.#key, this.#next(), { authTagLength: TAG });
    const end = record.length - TAG;
    decipher.setAAD(record.subarray(0, HEAD), { plaintextLength: end - HEAD });
    decipher.setAuthTag(record.subarray(end));
    const { buffer, byteOffset, byteLength } = decipher.update(record.subarray(HEAD, end));
    try {
      decipher.final();
    } catch {
      throw new SealError("Cannot open a record: it is not what the other end sealed");
    }
    // Not the Buffer itself, whose slice() shares memory.
    return new Uint8Array(buffer, byteOffset, byteLength);
  }

  /** The next nonce; the counter goes up whatever becomes of the record. */
  #next(): Uint8Array {
    if (this.#count === Number.MAX_SAFE_INTEGER) throw new SealError("Cannot go on: every nonce was used");
    this.#view.setUint32(4, Math.floor(this.#count / 2 ** 32));
    this.#view.setUint32(8, this.#count % 2 ** 32);
    this.#count++;
    return this.#nonce;
  }
}

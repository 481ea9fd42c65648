/** Which numbers of a stream have been seen: a watermark and a bitmap of the 1,024 after it, however many messages came. */

/** How many numbers after the watermark a window knows. */
export const WINDOW_SIZE = 1024;

/** How many numbers {@linkcode SeenWindow.selective} tells of. */
export const SELECTIVE_BITS = 128;

/** What a number is to a window. */
export type Seen = "new" | "duplicate" | "beyond";

/**
 * What was seen of one stream of one sender's session. Exact whatever is repeated, delayed or reordered, and of a fixed size:
 * neither contents nor clocks play a part.
 */
export class SeenWindow {
  #next: number;
  /** A ring: the bit of number n is bit n modulo the window's size. */
  readonly #bits: Uint8Array;

  /**
   * Makes a window.
   *
   * @param next The first number that has not been seen.
   * @param bits The bitmap as {@linkcode SeenWindow.save} gave it.
   */
  constructor(next = 0, bits: Uint8Array = new Uint8Array(WINDOW_SIZE / 8)) {
    if (!Number.isSafeInteger(next) || next < 0) {
      throw new RangeError(`Cannot make a window: next must be a whole number from 0, got ${next}`);
    }
    if (bits.length !== WINDOW_SIZE / 8) {
      throw new RangeError(`Cannot make a window: ${WINDOW_SIZE / 8} bytes are needed, got ${bits.length}`);
    }
    this.#next = next;
    this.#bits = new Uint8Array(bits);
  }

  /** The watermark: every number below has been seen, or given up by its sender. */
  get next(): number {
    return this.#next;
  }

  /** What a number is, without taking it in. */
  look(seq: number): Seen {
    if (seq < this.#next) return "duplicate";
    if (seq >= this.#next + WINDOW_SIZE) return "beyond";
    return this.#has(seq) ? "duplicate" : "new";
  }

  /**
   * Takes a number in.
   *
   * @param seq The number.
   * @returns `new` the first time; `beyond` (and not taken in) where it lies further ahead than the window reaches.
   */
  add(seq: number): Seen {
    const seen = this.look(seq);
    if (seen !== "new") return seen;
    this.#set(seq, true);
    this.#slide();
    return "new";
  }

  /**
   * Gives up what is missing below a number: its sender will never send it again.
   *
   * @param floor The lowest number that may still come.
   */
  skipTo(floor: number): void {
    if (floor >= this.#next + WINDOW_SIZE) {
      this.#bits.fill(0);
      this.#next = floor;
    }
    for (; this.#next < floor; this.#next++) this.#set(this.#next, false);
    this.#slide();
  }

  /** The 128 numbers from the watermark on, one bit each, lowest first: what an acknowledgement says besides it. */
  selective(): Uint8Array {
    const out = new Uint8Array(SELECTIVE_BITS / 8);
    for (let i = 0; i < SELECTIVE_BITS; i++) {
      if (this.#has(this.#next + i)) setBit(out, i, true);
    }
    return out;
  }

  /** A copy of the bitmap, which together with `next` is all there is. */
  save(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#bits);
  }

  #has(seq: number): boolean {
    return getBit(this.#bits, seq % WINDOW_SIZE);
  }

  #set(seq: number, on: boolean): void {
    setBit(this.#bits, seq % WINDOW_SIZE, on);
  }

  #slide(): void {
    while (this.#has(this.#next)) this.#set(this.#next++, false);
  }
}

/** Reads bit `i` of a bitmap, lowest bit of the first byte first. */
export function getBit(bits: Uint8Array, i: number): boolean {
  return ((bits[i >> 3] ?? 0) >> (i & 7) & 1) === 1;
}

/** Writes bit `i` of a bitmap, lowest bit of the first byte first. */
export function setBit(bits: Uint8Array, i: number, on: boolean): void {
  const mask = 1 << (i & 7);
  const old = bits[i >> 3] ?? 0;
  bits[i >> 3] = on ? old | mask : old & ~mask;
}

/** Which packets of a channel have come: the highest number, and a bit for each of those before it. */

/** What is known of a packet's number. */
export type Seen = "new" | "copy" | "old";

/** A window over the numbers of a channel; 1 is the first one. */
export class PacketWindow {
  #highest = 0;
  readonly #bits: Uint32Array = new Uint32Array(PACKET_WINDOW / 32);

  /** Whether a packet of this number came before; `old` where nobody knows any more. */
  look(number: number): Seen {
    if (number > this.#highest) return "new";
    if (number <= this.#highest - PACKET_WINDOW) return "old";
    return (this.#word(number) & bit(number)) === 0 ? "new" : "copy";
  }

  /** Notes a packet that was authenticated. Nothing else may move the window: a forger could push real ones out. */
  note(number: number): void {
    if (number - this.#highest >= PACKET_WINDOW) this.#bits.fill(0);
    else for (let n = this.#highest + 1; n <= number; n++) this.#set(n, this.#word(n) & ~bit(n));
    this.#highest = Math.max(this.#highest, number);
    this.#set(number, this.#word(number) | bit(number));
  }

  #word(number: number): number {
    return this.#bits[index(number)] ?? 0;
  }

  #set(number: number, word: number): void {
    this.#bits[index(number)] = word;
  }
}

/** How many numbers are remembered: 512 bytes. */
export const PACKET_WINDOW = 4096;

function index(number: number): number {
  return Math.floor(number % PACKET_WINDOW / 32);
}

function bit(number: number): number {
  return 1 << number % 32;
}

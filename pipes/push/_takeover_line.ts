/** What two processes say to each other while one takes the listeners of the other: lines of JSON. Pure. */

/** The most bytes of a line: what describes the listeners, and the state. */
export const MAX_LINE: number = 2 ** 20;

/** The most listeners that go from one process to the other: what Linux lets through at once is 253. */
export const MAX_LISTENERS = 128;

/** How the successor begins. */
export interface TakeLine {
  readonly take: 1;
}

/** What it is given; as many descriptors come along as there are names. */
export interface OfferLine {
  readonly offer: 1;
  readonly generation: number;
  readonly names: readonly string[];
  readonly state: unknown;
}

/** What is said when it gets nothing. */
export interface RefusedLine {
  readonly refused: string;
}

/** That the successor accepts. */
export interface ReadyLine {
  readonly ready: number;
}

/** That nobody accepts any more but the successor. */
export interface OverLine {
  readonly over: number;
}

/** A line as bytes. */
export function encodeTakeover(line: TakeLine | OfferLine | RefusedLine | ReadyLine | OverLine): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(line)}\n`);
}

/** Puts lines together again. */
export class TakeoverLines {
  readonly #most: number;
  #bytes = new Uint8Array(0);

  /**
   * Begins.
   *
   * @param most How many bytes a line may have.
   */
  constructor(most: number) {
    this.#most = most;
  }

  /**
   * Takes bytes in.
   *
   * @param data They; a copy is made.
   * @returns The objects of the lines that are complete now.
   * @throws {SyntaxError} When a line is too long, or none.
   */
  feed(data: Uint8Array): Readonly<Record<string, unknown>>[] {
    const bytes = new Uint8Array(this.#bytes.length + data.length);
    bytes.set(this.#bytes);
    bytes.set(data, this.#bytes.length);
    const lines: Readonly<Record<string, unknown>>[] = [];
    let from = 0;
    for (let end = bytes.indexOf(10, from); end >= 0; end = bytes.indexOf(10, from)) {
      lines.push(objectOf(bytes.subarray(from, end)));
      from = end + 1;
    }
    this.#bytes = bytes.slice(from);
    if (this.#bytes.length > this.#most) throw new SyntaxError("Cannot read a line: it is too long");
    return lines;
  }
}

/**
 * Reads an offer.
 *
 * @throws {SyntaxError} When it is none.
 */
export function offerOf(line: Readonly<Record<string, unknown>>): OfferLine {
  const { offer, generation, names, state } = line;
  const named = Array.isArray(names) && names.length <= MAX_LISTENERS &&
    new Set(names).size === names.length &&
    names.every((name) => typeof name === "string");
  if (offer !== 1 || !named || !Number.isSafeInteger(generation)) {
    throw new SyntaxError("Cannot read an offer: names and a generation are needed");
  }
  return { offer, generation: generation as number, names, state };
}

function objectOf(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  const value: unknown = parsed(bytes);
  if (typeof value !== "object" || value === null) {
    throw new SyntaxError("Cannot read a line: it is no object");
  }
  return value as Readonly<Record<string, unknown>>;
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // The parser's own words would show what a stranger has sent.
    throw new SyntaxError("Cannot read a line: it is no JSON");
  }
}

/** What is wrong with an option, said with its name and the value received. */

/** What a number has to be. */
export interface NumberRange {
  /**
   * The least it may be.
   *
   * @default {0}
   */
  readonly from?: number;
  /** The most it may be. */
  readonly to?: number;
  /** Whether `from` itself is too little. */
  readonly above?: boolean;
  /** Whether it has to be whole. */
  readonly whole?: boolean;
}

/**
 * Makes sure that an option is a finite number of the right size.
 *
 * @param operation What cannot be done without, for example `"make a timeout"`.
 * @param name The option's name.
 * @param value What was given.
 * @param range What it has to be.
 * @returns The value.
 * @throws {TypeError} When it is no number.
 * @throws {RangeError} When it is another number.
 */
export function checkNumber(operation: string, name: string, value: number, range: NumberRange = {}): number {
  const { from = 0, to = Infinity, above = false, whole = false } = range;
  const fits = Number.isFinite(value) && (above ? value > from : value >= from) && value <= to;
  if (typeof value === "number" && fits && (!whole || Number.isInteger(value))) return value;
  const kind = `a ${whole ? "whole" : "finite"} number ${above ? "above" : "from"} ${from}`;
  const message = `Cannot ${operation}: ${name} must be ${kind}${to < Infinity ? ` to ${to}` : ""}, got ${
    shown(value)
  }`;
  throw typeof value === "number" ? new RangeError(message) : new TypeError(message);
}

/**
 * Makes sure that an option is a function.
 *
 * @param operation What cannot be done without.
 * @param name The option's name.
 * @param value What was given.
 * @throws {TypeError} When it is none.
 */
export function checkFunction(operation: string, name: string, value: unknown): void {
  if (typeof value === "function") return;
  throw new TypeError(`Cannot ${operation}: ${name} must be a function, got ${shown(value)}`);
}

/**
 * Makes sure that an option is one of a few words.
 *
 * @param operation What cannot be done without.
 * @param name The option's name.
 * @param value What was given.
 * @param words What it may be.
 * @throws {TypeError} When it is another.
 */
export function checkWord(operation: string, name: string, value: unknown, words: readonly string[]): void {
  if (typeof value === "string" && words.includes(value)) return;
  const choice = words.map((word) => `"${word}"`).join(" or ");
  throw new TypeError(`Cannot ${operation}: ${name} must be ${choice}, got ${shown(value)}`);
}

/** A value, as a message shows it. */
export function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

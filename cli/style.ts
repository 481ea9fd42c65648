/** Colours, where a person looks at a terminal. */

/** Something that wraps a text in a colour, or leaves it as it is. */
export type Paint = (text: string) => string;

/** The few colours in use, by meaning. */
export interface Style {
  /** Something came or works. */
  readonly good: Paint;
  /** Something is lost or does not work. */
  readonly bad: Paint;
  /** Something is different. */
  readonly changed: Paint;
  /** Of less interest. */
  readonly dim: Paint;
  /** Of more interest. */
  readonly strong: Paint;
}

/**
 * The colours to use.
 *
 * @param colors Whether there shall be any.
 * @returns Paints; without colours they do nothing.
 */
export function styleFor(colors: boolean): Style {
  // ECMA-48 SGR: 1 bold, 2 faint, 22 neither, 31 red, 32 green, 33 yellow, 39 default colour.
  const paint = (on: number, off: number): Paint => (text) =>
    colors && text !== "" ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  return {
    good: paint(32, 39),
    bad: paint(31, 39),
    changed: paint(33, 39),
    dim: paint(2, 22),
    strong: paint(1, 22),
  };
}

/**
 * How wide a text is on the terminal: colours take no room.
 *
 * @param text A line.
 * @returns Number of characters.
 */
export function widthOf(text: string): number {
  // deno-lint-ignore no-control-regex -- the escape character is what is looked for
  return [...text.replaceAll(/\x1b\[\d+m/g, "")].length;
}

/**
 * Makes foreign text harmless: control characters, which could steer the terminal, are written as escapes.
 *
 * @param text Text that came from outside, for example the name of an interface.
 * @returns The same text, printable.
 */
export function printable(text: string): string {
  // C0, DEL, C1, and the characters that reverse the direction of the text around them (Unicode UAX #9).
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  return text.replaceAll(/[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, (c) => {
    return `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/**
 * Makes all texts within plain data harmless.
 *
 * @param value Any plain data.
 * @returns The same data with printable texts.
 */
export function allPrintable<T>(value: T): T {
  if (typeof value === "string") return printable(value) as T;
  if (Array.isArray(value)) return value.map(allPrintable) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, allPrintable(field)])) as T;
}

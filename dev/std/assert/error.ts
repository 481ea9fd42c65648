/** What a failed assertion throws, and how it shows values. */

/** A failed assertion. */
export class AssertionError extends Error {
  /**
   * @param message What was expected and what was found.
   * @param options The cause, if there is one.
   */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

/** A value as text, whole and with its keys in order. */
export function show(value: unknown): string {
  return Deno.inspect(value, {
    depth: Infinity,
    sorted: true,
    iterableLimit: Infinity,
    strAbbreviateSize: Infinity,
  });
}

/** The end of a message: the caller's own words, or a full stop. */
export function suffix(msg: string | undefined): string {
  return msg ? `: ${msg}` : ".";
}

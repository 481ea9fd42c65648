/** What a person typed wrong. */

/** A mistake on the command line: told with a hint, exit code 2. */
export class UsageError extends Error {
  /** The class's name. */
  override name = "UsageError";
  /** What to type instead, one sentence. */
  readonly hint: string;

  /**
   * @param message What is wrong: "Cannot <do what>: <why>", no full stop.
   * @param hint What to type instead.
   */
  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** The errors of Holdfast: one base class, and a subclass only where a caller would catch it. */

/** What every {@linkcode HoldfastError} carries besides its message. */
export interface HoldfastErrorOptions {
  /** A stable, machine-readable name of the failure. */
  readonly code: string;
  /** What was being done, for example `"open netlink socket"`. */
  readonly operation: string;
  /** The failure below this one. */
  readonly cause?: unknown;
  /** What the reader can do about it, one sentence. */
  readonly hint?: string;
}

/**
 * The base of all errors that Holdfast throws for a failure of the world (a caller's own mistake is a `TypeError`,
 * `RangeError` or `SyntaxError`).
 *
 * @example
 * ```ts
 * import { HoldfastError } from "@holdfast/net/watch";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new HoldfastError("Cannot read routes: no such table", { code: "system", operation: "read routes" });
 * assertEquals(error.code, "system");
 * ```
 */
export class HoldfastError extends Error {
  /** The class's name, also on errors that crossed a bundler. */
  override name = "HoldfastError";
  /** A stable, machine-readable name of the failure. */
  readonly code: string;
  /** What was being done. */
  readonly operation: string;
  /** What the reader can do about it, where something can be said. */
  readonly hint: string | undefined;

  /**
   * Makes an error.
   *
   * @param message What failed and why: "Cannot <do what>: <why>", no full stop.
   * @param options The fields of the error.
   */
  constructor(message: string, options: HoldfastErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.operation = options.operation;
    this.hint = options.hint;
  }
}

/** A permission of the runtime is missing; {@linkcode PermissionError.flags} says which, ready to paste. */
export class PermissionError extends HoldfastError {
  /** The class's name. */
  override name = "PermissionError";
  /** The flags that would have allowed it, for example `["--allow-run=ip"]`. */
  readonly flags: readonly string[];

  /**
   * Makes an error.
   *
   * @param operation What was being done.
   * @param flags The flags that would have allowed it.
   * @param cause The runtime's own error.
   * @param hint What else would help; by default how to run again.
   */
  constructor(operation: string, flags: readonly string[], cause?: unknown, hint?: string) {
    super(`Cannot ${operation}: permission missing, add ${flags.join(" ")}`, {
      code: "permission",
      operation,
      cause,
      hint: hint ?? `Run again with ${flags.join(" ")}`,
    });
    this.flags = flags;
  }
}

/** A program that an operation needs is not installed. */
export class ToolMissingError extends HoldfastError {
  /** The class's name. */
  override name = "ToolMissingError";
  /** The program's name, for example `"ip"`. */
  readonly tool: string;

  /**
   * Makes an error.
   *
   * @param operation What was being done.
   * @param tool The program that was not found.
   * @param hint Where to get it, for example `"Install the package iproute2"`.
   * @param cause The runtime's own error.
   */
  constructor(operation: string, tool: string, hint: string, cause?: unknown) {
    super(`Cannot ${operation}: the program "${tool}" was not found`, {
      code: "tool-missing",
      operation,
      cause,
      hint,
    });
    this.tool = tool;
  }
}

/**
 * Tells whether an error says that what was asked for is refused by the runtime's permissions.
 *
 * @param error What was caught.
 * @returns Always `false` where there are no such permissions, as in a browser.
 */
export function isNotCapable(error: unknown): error is Error {
  return error instanceof Error && error.name === "NotCapable";
}

/** What a caller gets from an open breaker. */

import { HoldfastError } from "../internal/errors.ts";
import type { Failure } from "./failure.ts";

/** A breaker turned a call away, which was not begun; its `code` is `"breaker-open"`. */
export class BreakerOpenError extends HoldfastError {
  /** The class's name. */
  override name = "BreakerOpenError";
  /** In how many milliseconds it is worth another try; `Infinity` while the breaker is isolated. */
  readonly retryAfter: number;
  /** What {@linkcode classify} says of it: nothing was sent, and no other breaker is to count it. */
  readonly failure: Failure;

  /**
   * Makes an error.
   *
   * @param retryAfter In how many milliseconds it is worth another try.
   * @param opened The failure that opened the breaker.
   */
  constructor(retryAfter: number, opened?: Failure) {
    const why = retryAfter < Infinity
      ? `too many calls have failed, the next trial is in ${Math.ceil(retryAfter)} ms`
      : "the application has isolated it";
    super(`Cannot call through the breaker: ${why}`, {
      code: "breaker-open",
      operation: "call through the breaker",
      cause: opened?.error,
    });
    this.retryAfter = retryAfter;
    this.failure = {
      scenario: opened?.scenario ?? null,
      kind: opened?.kind ?? "exhausted",
      where: "local",
      retry: "later",
      sent: "no",
      hint: "Wait until the breaker lets a trial through; what opened it is the cause of this error",
      code: null,
      retryAfter: retryAfter < Infinity ? retryAfter : null,
      error: this,
    };
  }
}

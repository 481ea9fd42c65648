/** The error of a retry that has come to its end. */

import { HoldfastError } from "../internal/errors.ts";
import type { Failure, FailureOperation } from "./failure.ts";

/** What a {@linkcode RetryError} is made of. */
export interface RetryErrorOptions {
  /** What was used up: the attempts, the time, or the budget. */
  readonly code: "retries-exhausted" | "deadline" | "budget";
  /** What was being done. */
  readonly operation?: FailureOperation | undefined;
  /** The last failure; `null` when the time was up before any attempt could be made. */
  readonly failure: Failure | null;
  /** How many attempts there were. */
  readonly attempts: number;
  /** What the last attempts threw, at most ten. */
  readonly errors: readonly unknown[];
  /** The deadline in milliseconds. */
  readonly deadline: number;
}

/**
 * No attempt succeeded, and there will be no other: its `code` says whether attempts (`"retries-exhausted"`), time
 * (`"deadline"`) or budget (`"budget"`) are used up, its `cause` is what was thrown last.
 *
 * @example
 * ```ts
 * import { constant, retry, RetryError } from "@holdfast/net/recover";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const policy = retry({ maxAttempts: 2, backoff: constant(10), operation: "connect" });
 * const error = await assertRejects(() =>
 *   policy.execute(() => {
 *     throw new Deno.errors.ConnectionRefused("nobody listens");
 *   }), RetryError);
 * assertEquals(error.message, 'Cannot connect in 2 attempts: port-closed, "nobody listens"');
 * ```
 */
export class RetryError extends HoldfastError {
  /** The class's name. */
  override name = "RetryError";
  /**
   * The last failure; `null` when the time was up before any attempt could be made. Its `sent` is that of all attempts
   * together.
   */
  readonly failure: Failure | null;
  /** How many attempts there were. */
  readonly attempts: number;
  /** What the last attempts threw, at most ten, the latest last. */
  readonly errors: readonly unknown[];

  /**
   * Makes an error.
   *
   * @param options What was used up, and what failed before.
   */
  constructor(options: RetryErrorOptions) {
    const { code, operation = "succeed", failure, attempts, errors } = options;
    super(`Cannot ${operation} ${limitOf(options)}: ${reasonOf(failure)}`, {
      code,
      operation,
      cause: failure?.error,
      ...failure && { hint: failure.hint },
    });
    this.failure = failure;
    this.attempts = attempts;
    this.errors = errors;
  }
}

function limitOf({ code, attempts, deadline }: RetryErrorOptions): string {
  const count = `${attempts} ${attempts === 1 ? "attempt" : "attempts"}`;
  switch (code) {
    case "retries-exhausted":
      return `in ${count}`;
    case "deadline":
      return `within ${deadline} ms and ${count}`;
    case "budget":
      return `in ${count}, and the budget allows no other`;
  }
}

function reasonOf(failure: Failure | null): string {
  if (!failure) return "there was no network all the time";
  const { scenario, kind, error } = failure;
  return `${scenario ?? kind}, ${JSON.stringify(error instanceof Error ? error.message : String(error))}`;
}

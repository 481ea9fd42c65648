/** Policies are values with one `execute`; putting them together gives another one. */

import { checkPolicy } from "./_check_shape.ts";

/** What a policy tells the function that it runs. */
export interface Attempt {
  /** Ends the attempt: the caller gave up, or the policy did. */
  readonly signal: AbortSignal;
  /** Which attempt it is, from 0. */
  readonly attempt: number;
}

/** What {@linkcode Policy.execute} takes. */
export interface ExecuteOptions {
  /** Calls all of it off, at any moment. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Which attempt of an outer policy this is, from 0.
   *
   * @default {0}
   */
  readonly attempt?: number;
}

/** A way to run a function that may fail. */
export interface Policy {
  /**
   * Runs a function under the policy.
   *
   * @param work What to run; it gets a signal to obey, and the number of the attempt.
   * @param options What calls it off.
   * @returns What the function returned.
   * @throws The signal's reason, what the function threw, or an error of the policy.
   */
  execute<T>(work: (attempt: Attempt) => T | PromiseLike<T>, options?: ExecuteOptions): Promise<T>;
}

/**
 * Puts policies together; the first is outermost. `compose(retry(...), breaker(...), timeout(...))` gives each attempt a
 * time limit of its own, and lets the breaker see each attempt.
 *
 * @param policies The policies, from the outside in; none at all just runs the function.
 * @returns A policy that runs a function under all of them.
 * @throws {TypeError} When one of them is no policy.
 *
 * @example
 * ```ts
 * import { compose, retry, timeout } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * const policy = compose(retry({ maxAttempts: 3 }), timeout(5000));
 * assertEquals(await policy.execute(({ attempt }) => attempt), 0);
 * ```
 */
export function compose(...policies: readonly Policy[]): Policy {
  for (const [i, policy] of policies.entries()) checkPolicy("compose", `policy ${i + 1}`, policy);
  return nested(policies);
}

function nested([outer, ...inner]: readonly Policy[]): Policy {
  if (outer === undefined) return { execute: run };
  if (inner.length === 0) return outer;
  const rest = nested(inner);
  return {
    execute: (work, options) => outer.execute((attempt) => rest.execute(work, attempt), options),
  };
}

/** Runs a function under no policy at all. */
async function run<T>(
  work: (attempt: Attempt) => T | PromiseLike<T>,
  options: ExecuteOptions = {},
): Promise<T> {
  const { signal = new AbortController().signal, attempt = 0 } = options;
  signal.throwIfAborted();
  return await work({ signal, attempt });
}

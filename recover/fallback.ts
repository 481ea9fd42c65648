/** Something else in place of a failure. */

import { checkFunction } from "./_check.ts";
import { checkFunctions } from "./_check_shape.ts";
import { Listeners } from "./_listeners.ts";
import { classify as defaultClassify } from "./classify.ts";
import type { Failure } from "./failure.ts";
import type { Attempt, ExecuteOptions, Policy } from "./policy.ts";

/** What {@linkcode fallback} takes besides the substitute. */
export interface FallbackOptions {
  /**
   * Which failures are replaced.
   *
   * @default {() => true}
   */
  readonly when?: (failure: Failure) => boolean;
  /**
   * Knows failures by name.
   *
   * @default {classify}
   */
  readonly classify?: (error: unknown) => Failure;
}

/** A failure is being replaced. */
export interface FallbackEvent {
  /** The tag. */
  readonly type: "fallback";
  /** The failure. */
  readonly failure: Failure;
}

/** A policy that gives something else in place of a failure. */
export interface FallbackPolicy extends Policy {
  /**
   * Calls a handler whenever a failure is replaced.
   *
   * @param type The type of event.
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  on(type: "fallback", handler: (event: FallbackEvent) => void): Disposable;
}

/**
 * Makes a policy that gives something else in place of a failure: a value known from before, an answer of another server.
 *
 * What the caller called off is never replaced. A policy does not know what it will run, so the compiler cannot check that
 * the substitute is of the type that the work would have returned: its author has to.
 *
 * @param substitute Gives the value; it gets the failure, and the signal of the call to obey. What it throws, the caller
 * gets.
 * @param options Which failures are replaced.
 * @returns The policy.
 * @throws {TypeError} When an option is no function.
 *
 * @example
 * ```ts
 * import { fallback } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * const policy = fallback(() => "from memory", { when: ({ kind }) => kind === "refused" });
 * const refused = () => Promise.reject(new Deno.errors.ConnectionRefused("refused"));
 * assertEquals(await policy.execute<string>(refused), "from memory");
 * ```
 */
export function fallback(
  substitute: (failure: Failure, context: { readonly signal: AbortSignal }) => unknown,
  options: FallbackOptions = {},
): FallbackPolicy {
  const { when = () => true, classify = defaultClassify } = options;
  checkFunction("make a fallback", "substitute", substitute);
  checkFunctions("make a fallback", { when, classify });
  const listeners = new Listeners<FallbackEvent>();
  return {
    async execute<T>(
      work: (attempt: Attempt) => T | PromiseLike<T>,
      { signal = new AbortController().signal, attempt = 0 }: ExecuteOptions = {},
    ): Promise<T> {
      signal.throwIfAborted();
      try {
        return await work({ signal, attempt });
      } catch (error) {
        if (signal.aborted) throw error;
        const failure = classify(error);
        if (failure.kind === "cancelled" || !when(failure)) throw error;
        listeners.tell(() => ({ type: "fallback", failure }));
        return await substitute(failure, { signal }) as T;
      }
    },
    on: (type, handler) => listeners.on(type, handler),
  };
}

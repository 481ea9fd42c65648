/** What needs sockets says so where there are none. */

import { HoldfastError } from "../internal/errors.ts";

/**
 * A browser has no sockets, and nothing that would take their place.
 *
 * @param operation What cannot be done without.
 * @throws {HoldfastError} `unsupported` where there is no `Deno`.
 */
export function needRuntime(operation: string): void {
  if (globalThis.Deno) return;
  throw new HoldfastError(`Cannot ${operation}: this runtime has no sockets`, {
    code: "unsupported",
    operation,
  });
}

/** Whether an error says that this runtime cannot do it at all. */
export function isUnsupported(error: unknown): error is HoldfastError {
  return error instanceof HoldfastError && error.code === "unsupported";
}

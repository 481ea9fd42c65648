/** What stores of all kinds have in common. */

import { HoldfastError } from "./errors.ts";

/** What a store says that was closed. */
export function storeClosed(): HoldfastError {
  return new HoldfastError("Cannot use the store: it is closed", {
    code: "closed",
    operation: "use the store",
  });
}

/** Whether two values are the same, or both are missing. */
export function isSameValue(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (!a || !b) return a === b;
  return a.length === b.length && a.every((byte, n) => byte === b[n]);
}

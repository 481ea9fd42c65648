/** Failures made up, for tests of what policies do with them. */

import type { Failure } from "../recover/failure.ts";

/** An error that {@linkcode madeUp} knows the failure of. */
export class MadeUpError extends Error {
  constructor(readonly failure: Partial<Failure>) {
    super(`made up: ${failure.kind ?? "reset"}`);
  }
}

/** The failure of an error: the one it was made up with, else a connection that the other end has reset. */
export function madeUp(error: unknown): Failure {
  return {
    scenario: null,
    kind: "reset",
    where: "remote",
    retry: "later",
    sent: "no",
    hint: "It was made up by a test",
    code: null,
    retryAfter: null,
    error,
    ...(error instanceof MadeUpError ? error.failure : {}),
  };
}

/** How a pipe ends when it does not end well. */

import { HoldfastError } from "../internal/errors.ts";
import type { Failure } from "../recover/failure.ts";

/**
 * What went wrong with a pipe: `connect` and `listen` could not be done; the pipe was `closed` or `aborted` by us, or is
 * `lost`; nothing came in time (`timeout`); the other end broke the rules of the framing (`protocol`); a queue is full
 * (`queue-full`); a datagram could not be sent, which ends no pipe (`send`). Of a proxy: it wants a user and password, or others
 * (`proxy-auth`); it does not allow the host or port (`proxy-refused`); it cannot reach the other end (`proxy-unreachable`); it
 * does not speak as a proxy does (`proxy-protocol`).
 */
export type PipeErrorCode =
  | "connect"
  | "listen"
  | "closed"
  | "aborted"
  | "lost"
  | "timeout"
  | "protocol"
  | "queue-full"
  | "send"
  | "proxy-auth"
  | "proxy-refused"
  | "proxy-unreachable"
  | "proxy-protocol";

/** What ended a pipe, or made one of its calls fail. */
export class PipeError extends HoldfastError {
  /** The class's name. */
  override name = "PipeError";
  /** Which of them. */
  declare readonly code: PipeErrorCode;
  /** The failure below it, known by name, or `null` where it was nobody's but ours. */
  readonly failure: Failure | null;

  /**
   * Makes an error.
   *
   * @param message What failed and why.
   * @param options The code, what was being done, and what lies below.
   */
  constructor(
    message: string,
    options: {
      readonly code: PipeErrorCode;
      readonly operation: string;
      readonly failure?: Failure | null;
      readonly cause?: unknown;
      readonly hint?: string;
    },
  ) {
    super(message, options);
    this.failure = options.failure ?? null;
  }
}

/** What a connection ends with that nobody is at the other end of. */

import { HoldfastError } from "../internal/errors.ts";
import type { Failure } from "./failure.ts";

/** Why a connection is dead. */
export type DeadPeerReason = "silence" | "address-gone" | "reset";

/** Nobody is at the other end any more; its `code` is `"dead-peer"`. */
export class DeadPeerError extends HoldfastError {
  /** The class's name. */
  override name = "DeadPeerError";
  /** No answer in time, the local address has gone, or the connection was reset. */
  readonly reason: DeadPeerReason;
  /** What {@linkcode classify} says of it. */
  readonly failure: Failure;

  /**
   * Makes an error.
   *
   * @param reason Why.
   * @param cause What the last ping failed with, if it did.
   */
  constructor(reason: DeadPeerReason, cause?: unknown) {
    super(`Cannot reach the other end: ${WHY[reason]}`, {
      code: "dead-peer",
      operation: "reach the other end",
      cause,
    });
    this.reason = reason;
    this.failure = {
      ...FAILURES[reason],
      retry: "now",
      sent: "maybe",
      hint: "Connect again; what was sent last may not have arrived",
      code: null,
      retryAfter: null,
      error: this,
    };
  }
}

const WHY: Readonly<Record<DeadPeerReason, string>> = {
  "silence": "it has not answered in time",
  "address-gone": "the local address of the connection has gone",
  "reset": "the connection was reset",
};

const FAILURES: Readonly<Record<DeadPeerReason, Pick<Failure, "scenario" | "kind" | "where">>> = {
  "silence": { scenario: "path-lost-idle", kind: "timeout", where: "path" },
  "address-gone": { scenario: "address-gone", kind: "address-gone", where: "local" },
  "reset": { scenario: "reset-by-peer", kind: "reset", where: "remote" },
};

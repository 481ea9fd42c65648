/** What went wrong with a socket on its way to another process. */

import { HoldfastError } from "../../internal/errors.ts";
import type { Detached } from "../pipe.ts";

/**
 * What it was: the thing is no socket of a `kind` that can be handed over; its `descriptor` was not found; it could not be
 * `detached` from this process; nobody was there to take it (`unreachable`); everybody asked has `refused`; nobody answered
 * in time (`timeout`); the other end broke the rules (`protocol`); it is somebody else's process (`peer`); the channel is
 * `closed`; the path could not be listened on (`listen`).
 */
export type PushErrorCode =
  | "kind"
  | "descriptor"
  | "detach"
  | "unreachable"
  | "refused"
  | "timeout"
  | "protocol"
  | "peer"
  | "closed"
  | "listen";

/** What made the handing over of a socket fail. */
export class PushError extends HoldfastError {
  /** The class's name. */
  override name = "PushError";
  /** Which of them. */
  declare readonly code: PushErrorCode;
  /** What is left of a pipe that was to be pushed: its connection, and what was read from it. The caller owns it. */
  readonly left: Detached | null;

  /**
   * Makes an error.
   *
   * @param message What failed and why.
   * @param options The code, what was being done, and what lies below.
   */
  constructor(
    message: string,
    options: {
      readonly code: PushErrorCode;
      readonly operation: string;
      readonly cause?: unknown;
      readonly hint?: string | undefined;
      readonly left?: Detached | null;
    },
  ) {
    const { hint, ...rest } = options;
    super(message, hint === undefined ? rest : { ...rest, hint });
    this.left = options.left ?? null;
  }

  /**
   * The same error with what is left of a pipe.
   *
   * @param left That.
   */
  with(left: Detached): PushError {
    const { message, code, operation, cause, hint } = this;
    return new PushError(message, { code, operation, cause, hint, left });
  }
}

/** How a session ends when it does not end well. */

import type { Failure } from "../../recover/failure.ts";
import { PipeError } from "../pipe_error.ts";

/**
 * Why a session was lost:
 *
 * - `aborted`: one of both applications ended it
 * - `application`: the same, with a code of its own
 * - `violation`: one end broke the rules of the protocol
 * - `resources`: the other end gave it up for want of memory
 * - `expired`: there was no connection for too long
 * - `refused`: the server does not know it, for example because it was started again
 * - `reset`: what is behind the other end was reset
 * - `internal`: an error of the other end's program
 */
export type SessionLostReason =
  | "aborted"
  | "application"
  | "violation"
  | "resources"
  | "expired"
  | "refused"
  | "reset"
  | "internal";

/** What a {@linkcode SessionLost} says. */
export interface SessionLostOptions {
  /** Why, by name. */
  readonly reason: SessionLostReason;
  /** The code of ABORT, where one was sent or received. @default {null} */
  readonly abortCode?: number | null | undefined;
  /** Bytes that were handed to the session to be sent. */
  readonly sent: number;
  /** Of these, how many the other end's application has certainly got. */
  readonly acknowledged: number;
  /** Bytes that came from the other end and were handed to the application. */
  readonly received: number;
  /** The failure below it. */
  readonly cause?: unknown;
  /** The failure below it, known by name. */
  readonly failure?: Failure | null | undefined;
}

/**
 * A session could not be carried on. It says how far each side got, so that the application can decide exactly what to
 * repeat: everything before `acknowledged` has reached the other end's application, what lies between `acknowledged` and
 * `sent` may have.
 *
 * @example
 * ```ts
 * import { SessionLost } from "@holdfast/net/pipes";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new SessionLost("no connection for 120 s", {
 *   reason: "expired",
 *   sent: 1000,
 *   acknowledged: 640,
 *   received: 20,
 * });
 * assertEquals(error.message, "Cannot go on with the session: no connection for 120 s");
 * assertEquals(error.sent - error.acknowledged, 360);
 * ```
 */
export class SessionLost extends PipeError {
  /** The class's name. */
  override name = "SessionLost";
  /** Always the same: a session that is lost is a pipe that is lost. */
  declare readonly code: "lost";
  /** Why, by name. */
  readonly reason: SessionLostReason;
  /** The code of ABORT, or `null` where there was none. */
  readonly abortCode: number | null;
  /** Bytes that were handed to the session to be sent. */
  readonly sent: number;
  /** Of these, how many the other end's application has certainly got. */
  readonly acknowledged: number;
  /** Bytes that came from the other end and were handed to the application. */
  readonly received: number;

  /**
   * Makes an error.
   *
   * @param why What happened, in the middle of a sentence.
   * @param options Why by name, and how far each side got.
   */
  constructor(why: string, options: SessionLostOptions) {
    const { reason, abortCode = null, sent, acknowledged, received, cause, failure = null } = options;
    super(`Cannot go on with the session: ${why}`, {
      code: "lost",
      operation: "go on with the session",
      failure,
      cause,
      hint: HINTS[reason],
    });
    this.reason = reason;
    this.abortCode = abortCode;
    this.sent = sent;
    this.acknowledged = acknowledged;
    this.received = received;
  }
}

/**
 * What a code of ABORT means.
 *
 * @param code The code; see docs/PROTOCOLS.md, "Ending".
 */
export function reasonOfAbort(code: number): SessionLostReason {
  return code >= 256 ? "application" : REASONS[code] ?? "internal";
}

const REASONS: readonly SessionLostReason[] = [
  "aborted",
  "violation",
  "resources",
  "expired",
  "reset",
  "internal",
];

const REPEAT = "Connect again and repeat what lies between acknowledged and sent";

const HINTS: Readonly<Record<SessionLostReason, string>> = {
  aborted: "One of both applications ended it",
  application: "The code of ABORT is the application's own",
  violation: "See that both ends run versions that go together, and that nothing in between changes bytes",
  resources: "Give the server more memory for sessions, or connect again later",
  expired: `${REPEAT}; a longer expiry rides out longer outages`,
  refused: REPEAT,
  reset: "See what happened to the connection behind the other end",
  internal: "See the log of the other end",
};

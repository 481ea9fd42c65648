/** Why no session came about over a connection. */

import { PipeError } from "../pipe_error.ts";
import { formatPipeAddress, type PipeAddress } from "../address.ts";
import type { HandshakeFailure, HandshakeFailureReason } from "./_handshake.ts";
import { REJECT } from "./_handshake_frames.ts";

/** A connection was there, and no session came about over it. */
export class SessionHandshakeError extends PipeError {
  /** The class's name. */
  override name = "SessionHandshakeError";
  /**
   * Why: the other end speaks something else (`foreign`), is open where this end is sealed (`mode`), has another version, breaks
   * the rules (`violation`), does not have the keys (`proof`, `seal`, `identity`), or refused (`rejected`).
   */
  readonly reason: HandshakeFailureReason;
  /** What the server refused with: a code of docs/PROTOCOLS.md, or `null`. */
  readonly rejection: number | null;
  /** For how many milliseconds the server asked to be left alone. */
  readonly retryAfter: number;
  /** What the server said to that: the URL to go to, or words. */
  readonly text: string;

  /**
   * Makes an error.
   *
   * @param address The other end.
   * @param failure What went wrong.
   */
  constructor(address: PipeAddress, failure: HandshakeFailure) {
    const { reason, message, rejection } = failure;
    super(`Cannot make a session with ${formatPipeAddress(address)}: ${message}`, {
      code: "connect",
      operation: "make a session",
      hint: hintOf(failure),
    });
    this.reason = reason;
    this.rejection = rejection?.code ?? null;
    this.retryAfter = rejection?.wait ?? 0;
    this.text = rejection?.text ?? "";
  }

  /** Whether another attempt to begin a session would end the same way. */
  get final(): boolean {
    return this.reason !== "rejected" || this.rejection !== REJECT.busy;
  }
}

function hintOf({ reason, rejection }: HandshakeFailure): string {
  if (reason !== "rejected") return HINTS[reason];
  if (rejection?.code === REJECT.busy) return "The server has too many sessions; try again later";
  return "See the server's log for what it refused";
}

const HINTS: Readonly<Record<Exclude<HandshakeFailureReason, "rejected">, string>> = {
  foreign: "See that a server of sessions listens there, and that nothing in between answers for it",
  mode: "Either both ends seal or none does: see the option seal of both",
  version: "Update the older end",
  violation: "Update the older end, and see that nothing in between changes bytes",
  proof: "See that nothing in between changes bytes",
  seal: "See that both ends have the same key",
  identity:
    "See that the key given for the server is its public key, and that the server lets this client in",
};

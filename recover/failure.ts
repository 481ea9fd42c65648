/** What a failure is, once it is known by name. */

import type { ScenarioId } from "./scenarios/ids.ts";

/** What went wrong, in one word. */
export type FailureKind =
  | "offline"
  | "dns"
  | "refused"
  | "reset"
  | "timeout"
  | "unreachable"
  | "address-in-use"
  | "address-gone"
  | "exhausted"
  | "permission"
  | "tls"
  | "protocol"
  | "cancelled"
  | "unknown";

/** Where the cause lies: on this machine, on the way, at the other end, or in what was asked for. */
export type FailureWhere = "local" | "path" | "remote" | "config";

/**
 * When another attempt makes sense: at once, after a back-off, after something has changed (the network, the readiness
 * of an address), or not at all.
 */
export type FailureRetry = "now" | "later" | "after-change" | "never";

/**
 * Whether what was to be sent has reached the other end: certainly not, perhaps, or certainly. Only `no` allows a request
 * that must not happen twice to be repeated.
 */
export type FailureSent = "no" | "maybe" | "yes";

/** A failure, known by name. */
export interface Failure {
  /** The scenario of the catalogue that it looks like most, or `null` where none does. See {@linkcode scenarios}. */
  readonly scenario: ScenarioId | null;
  /** What went wrong. */
  readonly kind: FailureKind;
  /** Where the cause lies. */
  readonly where: FailureWhere;
  /** When another attempt makes sense. */
  readonly retry: FailureRetry;
  /** Whether the other end may have got what was to be sent. */
  readonly sent: FailureSent;
  /** What the reader can do about it, one sentence. */
  readonly hint: string;
  /** The system's name for it in the spelling of POSIX, for example `"ECONNREFUSED"`, also where the runtime gave none. */
  readonly code: string | null;
  /** For how many milliseconds the other end asked to be left alone, or `null` where it said nothing. */
  readonly retryAfter: number | null;
  /** What was thrown. */
  readonly error: unknown;
}

/** What was being done when something was thrown. */
export type FailureOperation =
  | "resolve"
  | "connect"
  | "handshake"
  | "request"
  | "read"
  | "write"
  | "send"
  | "receive"
  | "listen"
  | "accept"
  | "join";

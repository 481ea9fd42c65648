/** The error of `dial()`: what each attempt failed of, and which of them tells most. */

import { HoldfastError } from "../internal/errors.ts";
import { mostSent } from "./_most_sent.ts";
import type { Failure, FailureKind, FailureRetry, FailureSent } from "./failure.ts";

/** An attempt to find or to reach an address, and how it went. */
export interface DialAttempt {
  /** The address; for what went wrong with the name, the name. */
  readonly address: string;
  /** Its family; `null` where nobody can tell, for a name that the system looked up by itself. */
  readonly family: 4 | 6 | null;
  /** How far it came: looking the name up, connecting, the TLS handshake, the caller's proof of life. */
  readonly step: "resolve" | "connect" | "handshake" | "proof";
  /** When it started, in milliseconds after the beginning of `dial()`. */
  readonly started: number;
  /** When it ended, in milliseconds after the beginning of `dial()`. */
  readonly ended: number;
  /** How it ended; `abandoned` when another one was faster, or the network changed meanwhile. */
  readonly outcome: "connected" | "failed" | "abandoned";
  /** Why it failed, or `null` where it did not. */
  readonly failure: Failure | null;
}

/** What tells more stands before what tells less: the farther something came, the better it knows. */
const TELLING: readonly FailureKind[] = [
  "permission",
  "exhausted",
  "tls",
  "protocol",
  "reset",
  "refused",
  "address-gone",
  "timeout",
  "unreachable",
  "offline",
  "dns",
  "cancelled",
  "address-in-use",
  "unknown",
];

const HOPEFUL: readonly FailureRetry[] = ["now", "later", "after-change", "never"];

/** How many attempts a message names. */
const SHOWN = 4;

/** No address could be reached; its `code` is `"dial"`. */
export class DialError extends HoldfastError {
  /** The class's name. */
  override name = "DialError";
  /** The failure that tells most; its `sent` is that of all attempts together. */
  readonly failure: Failure;
  /** All attempts, in the order of their starts. */
  readonly attempts: readonly DialAttempt[];
  /** What they threw, in the same order, without those that were abandoned. */
  readonly errors: readonly unknown[];

  /**
   * Makes an error.
   *
   * @param target What could not be reached, `host:port`.
   * @param failure The failure that tells most.
   * @param attempts All attempts.
   */
  constructor(target: string, failure: Failure, attempts: readonly DialAttempt[]) {
    super(`Cannot connect to ${target}: ${reasonOf(failure, attempts)}`, {
      code: "dial",
      operation: "connect",
      cause: failure.error,
      hint: failure.hint,
    });
    this.failure = { ...failure, sent: mostSent([failure.sent, ...attempts.map(sentBy)]) };
    this.attempts = attempts;
    this.errors = attempts.flatMap(({ failure }) => failure ? [failure.error] : []);
  }
}

/**
 * The failure that tells most: of those that leave hope, as any address would have been enough, the one that came
 * farthest. What went wrong with the name counts where there was no address to try.
 *
 * @param attempts What was tried.
 * @returns `undefined` where nothing failed.
 */
export function mostTelling(attempts: readonly DialAttempt[]): Failure | undefined {
  const tried = attempts.filter(({ step }) => step !== "resolve");
  const failures = (tried.length > 0 ? tried : attempts).flatMap(({ failure }) => failure ? [failure] : []);
  const hope = ({ retry, kind }: Failure): number => kind === "unknown" ? 4 : HOPEFUL.indexOf(retry);
  const rank = ({ kind }: Failure): number => TELLING.indexOf(kind);
  return failures.toSorted((a, b) => hope(a) - hope(b) || rank(a) - rank(b))[0];
}

function reasonOf(failure: Failure, attempts: readonly DialAttempt[]): string {
  // What is wrong with a name mostly is so for both families.
  const all = [
    ...new Set(attempts.flatMap(({ address, failure }) => failure ? `${address} ${wordOf(failure)}` : [])),
  ];
  if (all.length === 0) return wordOf(failure);
  const more = all.length > SHOWN ? [`and ${all.length - SHOWN} more`] : [];
  return [...all.slice(0, SHOWN), ...more].join(", ");
}

/** What is sent before the proof of life is not the caller's; one that was abandoned has told nobody what it has sent. */
function sentBy({ failure, step, outcome }: DialAttempt): FailureSent {
  return failure?.sent ?? (step === "proof" && outcome === "abandoned" ? "maybe" : "no");
}

function wordOf({ kind, scenario, code }: Failure): string {
  return scenario ?? code ?? kind;
}

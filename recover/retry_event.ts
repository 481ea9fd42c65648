/** What a retry tells. */

import type { Failure } from "./failure.ts";

/** An attempt begins. */
export interface RetryAttemptEvent {
  /** The tag. */
  readonly type: "attempt";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** Which one, from 0. */
  readonly attempt: number;
}

/** An attempt has failed. */
export interface RetryFailureEvent {
  /** The tag. */
  readonly type: "failure";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** Which one, from 0. */
  readonly attempt: number;
  /** What went wrong. */
  readonly failure: Failure;
  /** Whether it counts as one of the attempts that are allowed. */
  readonly counted: boolean;
  /**
   * What comes next: another attempt `now`, one after a `back-off`, one after the time for which the other end asked
   * (`retry-after`), one after a `change` of the network, or none (`give-up`).
   */
  readonly next: "now" | "back-off" | "retry-after" | "change" | "give-up";
  /** For how many milliseconds to wait, unless the network comes back before; `null` where time has no say. */
  readonly delay: number | null;
}

/** No attempt is made until the network changes, but for one now and then. */
export interface RetrySuspendedEvent {
  /** The tag. */
  readonly type: "suspended";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** There is no network, or nothing but a change of it can help. */
  readonly reason: "offline" | "change";
}

/** The network is there; waits until it is ready for use. */
export interface RetryGatedEvent {
  /** The tag. */
  readonly type: "gated";
  /** When, in milliseconds since 1970. */
  readonly at: number;
}

/** A run that was suspended or gated goes on with an attempt. */
export interface RetryResumedEvent {
  /** The tag. */
  readonly type: "resumed";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /**
   * Because of the `network`, because the application said so (`wake`), because a try was due all the same (`poll`), or
   * because it was ready after a back-off (`elapsed`).
   */
  readonly reason: "network" | "wake" | "poll" | "elapsed";
}

/** There will be no other attempt. */
export interface RetryGiveUpEvent {
  /** The tag. */
  readonly type: "giveup";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /**
   * It cannot succeed (`never`), what was `sent` may have arrived, or attempts (`retries-exhausted`), time (`deadline`) or
   * `budget` are used up.
   */
  readonly reason: "never" | "sent" | "retries-exhausted" | "deadline" | "budget";
  /** The last failure; `null` when the time was up before any attempt. */
  readonly failure: Failure | null;
  /** How many attempts there were. */
  readonly attempts: number;
}

/** An attempt has succeeded after others had failed. */
export interface RetrySuccessEvent {
  /** The tag. */
  readonly type: "success";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** Which one, from 0. */
  readonly attempt: number;
}

/** What happens to a retry. */
export type RetryEvent =
  | RetryAttemptEvent
  | RetryFailureEvent
  | RetrySuspendedEvent
  | RetryGatedEvent
  | RetryResumedEvent
  | RetryGiveUpEvent
  | RetrySuccessEvent;

/** What a supervised task does, as events. */

import type { Failure } from "./failure.ts";

/** The task is about to be started, or runs. */
export interface SupervisedRun {
  /** Which of them; between the two lies the policy that it is started through. */
  readonly type: "starting" | "running";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** Which start it is, from 0. */
  readonly attempt: number;
}

/** The task has failed. */
export interface SupervisedFailed {
  /** The tag. */
  readonly type: "failed";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** Which start it was, from 0. */
  readonly attempt: number;
  /** How. */
  readonly failure: Failure;
}

/** The task is not started yet. */
export interface SupervisedWaiting {
  /** The tag. */
  readonly type: "waiting";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** Which start it will be, from 0. */
  readonly attempt: number;
  /** What for: the end of its back-off, a network, its readiness. */
  readonly reason: "back-off" | "offline" | "not-ready";
  /** Until when at most, in milliseconds since 1970; `null` where that is not known. */
  readonly until: number | null;
}

/** The task has ended and is not started again; nothing comes after this. */
export interface SupervisedStopped {
  /** The tag. */
  readonly type: "stopped";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /**
   * Why: somebody stopped it, it has finished, another start cannot help, or it was started again too often within a short
   * time.
   */
  readonly reason: "stopped" | "finished" | "hopeless" | "too-often";
  /** What the task threw last, where that was the reason, else `null`. */
  readonly error: unknown;
}

/** What a supervised task does. */
export type SupervisedStatus = SupervisedRun | SupervisedFailed | SupervisedWaiting | SupervisedStopped;

/** Every change of the status; `resync` in place of those that a reader was too slow for. */
export type SupervisedEvent = SupervisedStatus | {
  /** The tag. */
  readonly type: "resync";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** The status now. */
  readonly status: SupervisedStatus;
};

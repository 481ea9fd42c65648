/** Who listens to a hub, and what a hub is made for. */

import type { Clock } from "../internal/clock.ts";
import type { Logger } from "../internal/log.ts";
import type { BackendEvent, BackendName } from "./events.ts";
import type { Reading, SourceFactory } from "./_reading.ts";
import type { Rung } from "./_select.ts";

/** Who listens to a hub. */
export interface HubListener {
  /** A reading was taken. */
  reading(reading: Reading): void;
  /** The backend changed, or lost messages. */
  backend(reason: BackendEvent["reason"], detail: string): void;
  /** The machine woke. */
  wake(slept: number): void;
}

/** What a hub is made for. */
export interface HubOptions {
  /** The backend, or the best that works. */
  readonly backend: BackendName | "auto";
  /** Milliseconds between two readings when polling. */
  readonly pollInterval: number;
  /** A source of the caller's own, in place of the system's. */
  readonly source?: SourceFactory | undefined;
  /** The ways to watch, best first; by default the system's. */
  readonly rungs?: readonly Rung[] | undefined;
  /** Source of time. */
  readonly clock?: Clock | undefined;
  /** Where trouble is reported. */
  readonly logger?: Logger | undefined;
}

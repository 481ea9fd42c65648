/** What pipes are made with. */

import type { Clock } from "../internal/clock.ts";
import type { Logger } from "../internal/log.ts";
import type { NetworkView } from "../internal/network_view.ts";
import type { Framer } from "./framing.ts";
import type { Link } from "./_link.ts";
import type { NetworkPolicies, PipeHeartbeat } from "./network_options.ts";
import type { PipeError } from "./pipe_error.ts";
import type { QueueOptions } from "./_subscriptions.ts";

/** What every pipe takes. */
export interface PipeOptions {
  /**
   * How messages lie in a stream of bytes: see {@linkcode lengthPrefix}, {@linkcode lines}, {@linkcode delimiter},
   * {@linkcode fixed}; or one of your own. Transports that keep messages apart by themselves do without.
   *
   * @default {undefined} They do not: a message is whatever arrives.
   */
  readonly framing?: Framer;
  /** How much may wait for one who receives. */
  readonly queue?: QueueOptions;
  /**
   * How many bytes may wait to be sent before {@linkcode PipeBase.send} makes its caller wait.
   *
   * @default {64 * 1024}
   */
  readonly highWaterMark?: number;
  /**
   * For how many milliseconds closing waits until what was sent is taken by the system; then the pipe is ended at once.
   *
   * @default {5000}
   */
  readonly linger?: number;
  /**
   * The network, for example a watcher: its events are told on the pipe as far as they concern the pipe's own path.
   *
   * @default {undefined} The pipe has its own events only.
   */
  readonly network?: NetworkView;
  /** What the pipe does after such an event; `addresslost` is found out also without `network`, within seconds. */
  readonly onNetwork?: NetworkPolicies;
  /**
   * How the other end is looked after while it is quiet.
   *
   * @default {undefined} Silence is fine.
   */
  readonly heartbeat?: PipeHeartbeat;
  /** Where trouble with handlers is reported. */
  readonly logger?: Logger | undefined;
  /** Source of time. */
  readonly clock?: Clock;
}

/** Who looks after the connection of a pipe, and is told of it. */
export interface PipeKeeper {
  /** Whether there may be another connection after a loss, so that what waits to be sent is kept for it. */
  readonly mayReconnect?: boolean;
  /** The smoothed round-trip time in milliseconds, where it is measured. */
  readonly roundTrip?: number | null;
  /**
   * Called when the connection is lost.
   *
   * @returns Another one; or `undefined` where the pipe is to end.
   */
  lost(error: PipeError): Promise<Link> | undefined;
  /** Called when another connection has taken the place of the lost one. */
  connected?(): void;
  /** Called for every message that was received. */
  heard?(): void;
  /** Called when the pipe is over. */
  ended(): void;
}

/** Checks the numbers, and fills in the defaults. */
export function checkPipeOptions(
  options: PipeOptions,
): Required<Pick<PipeOptions, "highWaterMark" | "linger">> {
  const { highWaterMark = 64 * 1024, linger = 5000 } = options;
  for (const [name, value] of Object.entries({ highWaterMark, linger })) {
    if (!(value >= 0)) {
      throw new RangeError(`Cannot make a pipe: ${name} must be a number from 0, got ${value}`);
    }
  }
  return { highWaterMark, linger };
}

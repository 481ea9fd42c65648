/** Half-open connections: notices that nobody is at the other end any more. */

import type { Clock } from "../internal/clock.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { Beat } from "./_beat.ts";
import { checkFunction, checkNumber, shown } from "./_check.ts";
import { checkFunctions, checkNetwork } from "./_check_shape.ts";
import { isIp } from "./_local_address.ts";
import type { Failure } from "./failure.ts";
import type { HeartbeatEvent, HeartbeatStatus } from "./heartbeat_event.ts";

/** What {@linkcode heartbeat} takes. */
export interface HeartbeatOptions {
  /**
   * Asks the other end for a sign of life, and resolves when it has come. The signal is aborted when nobody waits for it any
   * more.
   */
  readonly ping: (signal: AbortSignal) => Promise<void>;
  /**
   * How long the connection may be quiet before it is asked, in milliseconds.
   *
   * @default {15_000}
   */
  readonly interval?: number;
  /**
   * How long the answer may take, in milliseconds. The other end is suspect after that, and dead when a second ping brings
   * no answer either.
   *
   * @default {undefined} Three times the smoothed round trip time, at least 2000.
   */
  readonly timeout?: number;
  /**
   * The network. With it, a change of it asks at once.
   *
   * @default {undefined}
   */
  readonly network?: NetworkView;
  /**
   * The connection's own address on this machine. When it is gone the connection is dead, which no error tells. It is
   * looked for in `network` or, without that, by `Deno.networkInterfaces()` if `--allow-sys=networkInterfaces` is given.
   *
   * @default {undefined}
   */
  readonly localAddress?: string;
  /** Ends the heartbeat, as disposing it does. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Knows failures by name: a ping that fails since the connection is reset need not be repeated.
   *
   * @default {classify}
   */
  readonly classify?: (error: unknown) => Failure;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** Watches one connection. */
export interface Heartbeat extends Disposable {
  /** Whether somebody is at the other end. */
  readonly status: HeartbeatStatus;
  /** The smoothed round trip time in milliseconds; `null` before the first answer. */
  readonly rtt: number | null;
  /** Aborted when the connection is dead, with a {@linkcode DeadPeerError}; give it to whatever waits for the other end. */
  readonly signal: AbortSignal;
  /** Says that a byte was received: a sign of life, which puts off the next ping. */
  alive(): void;
  /** Asks now instead of when the connection has been quiet, for instance when sent data is not acknowledged. */
  check(): void;
  /**
   * Calls a handler for each event of one type.
   *
   * @param type The type of event.
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  on<T extends HeartbeatEvent["type"]>(
    type: T,
    handler: (event: HeartbeatEvent & { readonly type: T }) => void,
  ): Disposable;
}

/**
 * Watches a connection for a silent death: asks when it has been quiet, at once when the machine wakes or the network
 * changes, and declares it dead when two pings in a row bring no answer or its local address has gone.
 *
 * It does not judge by time in which this process did not run: a deadline that is noticed late is put off by that much.
 *
 * Does not keep the process alive, and runs until it is disposed or the connection is dead.
 *
 * @param options How to ask, and when.
 * @returns The heartbeat.
 * @throws {TypeError} When `ping` is no function, or `localAddress` no address.
 * @throws {RangeError} When a number is out of range.
 *
 * @example
 * ```ts
 * import { heartbeat } from "@holdfast/net/recover";
 * import { FakeClock } from "@holdfast/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const clock = new FakeClock();
 * using beat = heartbeat({ ping: () => new Promise(() => {}), clock }); // nobody answers
 * await clock.tickAsync(15_000 + 2000);
 * assertEquals(beat.status, "suspect");
 * await clock.tickAsync(2000);
 * assertEquals([beat.status, beat.signal.aborted], ["dead", true]);
 * ```
 */
export function heartbeat(options: HeartbeatOptions): Heartbeat {
  const { ping, interval = 15_000, timeout, localAddress } = options;
  checkFunction(WATCH, "ping", ping);
  checkNumber(WATCH, "interval", interval, { above: true });
  if (timeout !== undefined) checkNumber(WATCH, "timeout", timeout, { above: true });
  checkFunctions(WATCH, { classify: options.classify });
  checkNetwork(WATCH, options.network);
  if (localAddress !== undefined && !(typeof localAddress === "string" && isIp(localAddress))) {
    throw new TypeError(`Cannot ${WATCH}: localAddress must be an IP address, got ${shown(localAddress)}`);
  }
  return new Beat(options, interval);
}

const WATCH = "watch for a dead peer";

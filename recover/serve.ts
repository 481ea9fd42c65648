/** `Deno.serve` that does not end when descriptors run out, and does not take on more than it can carry. */

import { type Clock, systemClock } from "../internal/clock.ts";
import type { EventOf } from "../internal/events.ts";
import type { DrainOptions } from "./accept_loop.ts";
import { checkFunction, checkNumber, checkWord } from "./_check.ts";
import { needRuntime } from "./_need_runtime.ts";
import { ServerSupervisor } from "./_server_supervisor.ts";

/** What {@linkcode serve} takes besides the options of `Deno.serve`. */
export interface ServeGuardOptions {
  /** Cuts all connections and ends the server when aborted, as that of `Deno.serve` does. */
  readonly signal?: AbortSignal;
  /**
   * How many requests may be in flight, from their arrival until the whole answer is sent; those above are answered with
   * 503 and `Retry-After`. Upgraded connections (WebSockets) do not count.
   *
   * @default {Infinity}
   */
  readonly maxInFlight?: number;
  /**
   * After how many seconds a client that was turned away may come again: the value of `Retry-After`.
   *
   * @default {1}
   */
  readonly retryAfter?: number;
  /**
   * How many milliseconds to wait at least before the server is started again; chance adds up to as much again.
   *
   * @default {50}
   */
  readonly pause?: number;
  /**
   * What becomes of the connections that the server had when it went down. `close` ends the idle ones, which gives back
   * the descriptors that are missing, lets requests in flight finish, and closes WebSockets; `keep` leaves all of them
   * alone; `auto` keeps them where one was upgraded, because a thousand WebSockets that come again at once would make it
   * worse.
   *
   * @default {"auto"}
   */
  readonly oldConnections?: "auto" | "close" | "keep";
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** How {@linkcode serve} serves: over TCP, or TLS with `cert` and `key`. */
export type ServeOptions =
  & Omit<Deno.ServeTcpOptions, "signal">
  & Partial<Deno.TlsCertifiedKeyPem>
  & ServeGuardOptions;

/** What {@linkcode GuardedServer.on} tells of. */
export type ServeEvent =
  | {
    /** The server has ended by itself, and will be started again. */
    readonly type: "down";
    /** When, in milliseconds since 1970. */
    readonly at: number;
    /** What ended it. */
    readonly error: unknown;
  }
  | {
    /** The server is there again, on the same address. */
    readonly type: "restart";
    /** When, in milliseconds since 1970. */
    readonly at: number;
    /** How many milliseconds it was away. */
    readonly downFor: number;
  }
  | {
    /** A request was answered with 503. */
    readonly type: "shed";
    /** When, in milliseconds since 1970. */
    readonly at: number;
    /** Too many requests in flight, or the server is about to end. */
    readonly reason: "in-flight" | "draining";
  };

/** A running server. */
export interface GuardedServer extends AsyncDisposable {
  /** Where it listens; stays the same over restarts. */
  readonly addr: Deno.NetAddr;
  /** How many requests are in flight. */
  readonly inFlight: number;
  /** How often it was started again. */
  readonly restarts: number;
  /** Resolves when the server has ended because somebody wanted it to. Rejects when it cannot be started again. */
  readonly finished: Promise<void>;
  /**
   * Calls a handler for each event of one type.
   *
   * @param type The type.
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  on<T extends ServeEvent["type"]>(type: T, handler: (event: EventOf<ServeEvent, T>) => void): Disposable;
  /**
   * Ends the server. New requests are answered with 503 and `Connection: close` until those in flight are done or the time
   * is up; then nothing listens any more, and what is still in flight is cut. WebSockets are closed. Safe twice.
   *
   * What an earlier start has in flight, and is waited for already, cannot be cut: it ends with its client.
   *
   * @param options How long it may take.
   * @returns How many requests had to be cut.
   */
  shutdown(options?: DrainOptions): Promise<number>;
}

/**
 * Serves HTTP as `Deno.serve` does, and goes on doing so.
 *
 * When accepting fails, as it does without descriptors (`EMFILE`), `Deno.serve` gives up, and where nobody looks at
 * `finished` the process ends. This one starts again on the same address after a pause, and lets what it had in flight
 * finish. Disposing it is {@linkcode GuardedServer.shutdown}. Needs the permission `net` for the address.
 *
 * @param handler What answers the requests.
 * @param options Those of `Deno.serve` for TCP and TLS, limits, pauses, and what calls it off.
 * @returns The server, listening.
 * @throws {TypeError} When handler or options are not what they should be.
 * @throws {RangeError} When a number is out of range; what `Deno.serve` throws, when it cannot listen to begin with.
 *
 * @example
 * ```ts
 * import { serve } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = serve(() => new Response("hello"), { port: 0, maxInFlight: 500, onListen() {} });
 * server.on("restart", ({ downFor }) => console.log(`Was away for ${downFor} ms`));
 *
 * const answer = await fetch(`http://127.0.0.1:${server.addr.port}/`);
 * assertEquals(await answer.text(), "hello");
 * ```
 */
export function serve(handler: Deno.ServeHandler<Deno.NetAddr>, options: ServeOptions = {}): GuardedServer {
  const { maxInFlight = Infinity, retryAfter = 1, pause = 50, oldConnections = "auto", clock = systemClock } =
    options;
  needRuntime("serve");
  checkFunction("serve", "handler", handler);
  checkWord("serve", "oldConnections", oldConnections, ["auto", "close", "keep"]);
  if (maxInFlight !== Infinity) checkNumber("serve", "maxInFlight", maxInFlight, { from: 1, whole: true });
  checkNumber("serve", "retryAfter", retryAfter, { whole: true });
  checkNumber("serve", "pause", pause);
  const { signal, ...rest } = options;
  const guard = { maxInFlight, retryAfter, pause, oldConnections, clock, signal };
  return new ServerSupervisor(handler, guard, (guarded, more) => Deno.serve({ ...rest, ...more }, guarded));
}

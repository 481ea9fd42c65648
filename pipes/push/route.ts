/** A front that looks where connections want to go, and hands them to the processes that serve them, untouched. */

import { type Clock, systemClock } from "../../internal/clock.ts";
import { Broadcast, type EventOf } from "../../internal/events.ts";
import type { Logger } from "../../internal/log.ts";
import { type AcceptLoop, acceptLoop } from "../../recover/accept_loop.ts";
import { closeDescriptor } from "./_adopt.ts";
import {
  checkRoutes,
  chooseRoute,
  type PushRoutes,
  type RouteTarget,
  type SeenRoute,
} from "./_choose_route.ts";
import { needCalls } from "./_descriptor_calls.ts";
import { findDescriptor } from "./_descriptor.ts";
import { peekWith } from "./_peeker.ts";
import { describe } from "./_pushable.ts";
import { MAX_PEEK } from "./peek_route.ts";
import { type PushChannel, type Pushed, pushTo, type PushToOptions } from "./push.ts";
import { PushError } from "./push_error.ts";

/** What {@linkcode routePushes} takes. */
export interface RoutePushesOptions {
  /** Who gets which connections. Without any, nothing is looked at, and all go to the fallback at once. */
  readonly routes: PushRoutes;
  /**
   * Who gets those that no route leads anywhere.
   *
   * @default {undefined} Nobody: they are closed.
   */
  readonly fallback?: RouteTarget;
  /**
   * How many milliseconds a client has to say where it wants to go.
   *
   * @default {5000}
   */
  readonly timeout?: number;
  /**
   * How many bytes it may need for that, at most 16 KiB.
   *
   * @default {16_384}
   */
  readonly maxBytes?: number;
  /**
   * How many clients may be at it at a time; beyond that the one that has been longest is closed.
   *
   * @default {1024}
   */
  readonly maxWaiting?: number;
  /**
   * How many connections may be here at a time, those on their way to a process included; others wait to be accepted.
   *
   * @default {4096}
   */
  readonly maxConnections?: number;
  /**
   * How the processes are spoken to.
   *
   * @default {{}}
   */
  readonly push?: PushToOptions;
  /** Closes it when aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Where errors of handlers of events are told. */
  readonly logger?: Logger | undefined;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** A connection went to a process. */
export interface PushRoutedEvent extends SeenRoute, Pushed {
  /** The tag. */
  readonly type: "routed";
  /** The client. */
  readonly remote: Deno.Addr;
}

/** A connection was closed, as nobody was to get it, or nobody took it. */
export interface PushUnroutedEvent {
  /** The tag. */
  readonly type: "unrouted";
  /** Why: what the client did or did not say, or what stood in the way of the push. */
  readonly error: PushError;
  /** The client. */
  readonly remote: Deno.Addr;
}

/** Events were missed. */
export interface PushRouterResyncEvent {
  /** The tag. */
  readonly type: "resync";
}

/** What happens at a router. */
export type PushRouterEvent = PushRoutedEvent | PushUnroutedEvent | PushRouterResyncEvent;

/** A front that accepts connections and hands them on. */
export interface PushRouter extends AsyncDisposable {
  /** How many connections have gone to processes, and how many were closed. */
  readonly counts: { readonly routed: number; readonly unrouted: number };
  /** How many are here now. */
  readonly connections: number;
  /** Resolves when nothing is accepted any more; rejects with an error of the listener that does not pass. */
  readonly closed: Promise<void>;
  /**
   * Calls a handler.
   *
   * @param type What to tell.
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  on<T extends PushRouterEvent["type"]>(
    type: T,
    handler: (event: EventOf<PushRouterEvent, T>) => void,
  ): Disposable;
  /** Stops accepting, and waits for those that are here to go where they want, or for the timeout. */
  drain(): Promise<void>;
  /** Stops accepting, and closes what has not gone anywhere; safe twice. */
  close(): Promise<void>;
}

/** Connections as they are accepted. */
export type RoutableListener = Deno.TcpListener | Deno.UnixListener;

/**
 * Accepts connections, looks where they want to go, and hands each to the process that serves that: with TLS, which is
 * ended there, so that no key is needed here; and with all its bytes, as none is read here.
 *
 * The receiver is told `{ proxy: LENGTH }` as metadata where a header of the PROXY protocol comes first, otherwise
 * `null`. What a client says is good for choosing who gets it, not for trusting it.
 *
 * Needs the permission `ffi` for the C library; Linux only.
 *
 * @param listener Where connections come from; it belongs to the router from now on.
 * @param options Who gets which.
 * @returns The router, running.
 * @throws {RangeError} When a number or a name is out of range.
 * @throws {PermissionError} When the runtime does not allow it.
 *
 * @example
 * ```ts
 * import { receive, routePushes } from "@holdfast/net/pipes/push";
 * import { assertEquals } from "@std/assert";
 *
 * const directory = Deno.makeTempDirSync();
 * await using worker = await receive(`${directory}/a`);
 * const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const { port } = listener.addr;
 * await using router = await routePushes(listener, { routes: { host: { "a.example": worker.path } } });
 *
 * const client = await Deno.connect({ port });
 * await client.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"));
 * for await (const received of worker) {
 *   if (received.kind !== "stream") continue;
 *   assertEquals(new TextDecoder().decode(await received.pipe.recv() ?? undefined).slice(0, 5), "GET /");
 *   await received.pipe.close();
 *   break;
 * }
 * client.close();
 * ```
 */
export async function routePushes(
  listener: RoutableListener,
  options: RoutePushesOptions,
): Promise<PushRouter> {
  const router = new Router(listener, options);
  await router.ready;
  return router;
}

class Router implements PushRouter {
  readonly ready: Promise<void>;
  readonly #options: RoutePushesOptions;
  readonly #routes: PushRoutes;
  readonly #looks: boolean;
  readonly #channels = new Map<string, Promise<PushChannel>>();
  readonly #events: Broadcast<PushRouterEvent>;
  /** Those that have not said where they want to go, the oldest first. */
  readonly #waiting = new Set<AbortController>();
  readonly #loop: AcceptLoop;
  readonly #counts = { routed: 0, unrouted: 0 };
  #closing: Promise<void> | undefined;

  constructor(listener: RoutableListener, options: RoutePushesOptions) {
    const { maxBytes = MAX_PEEK, maxWaiting = 1024, maxConnections = 4096, timeout = 5000 } = options;
    for (
      const [name, value, most] of [["maxBytes", maxBytes, MAX_PEEK], [
        "maxWaiting",
        maxWaiting,
        2 ** 20,
      ]] as const
    ) {
      if (!Number.isInteger(value) || value < 1 || value > most) {
        throw new RangeError(`Cannot route: ${name} must be a whole number from 1 to ${most}, got ${value}`);
      }
    }
    if (!(timeout >= 0)) {
      throw new RangeError(`Cannot route: timeout must be a number from 0, got ${timeout}`);
    }
    const { routes, fallback, signal, clock = systemClock, logger } = options;
    this.#options = options;
    this.#routes = checkRoutes(routes);
    // What is missing is said now, and not when the first client comes.
    needCalls("route connections")[Symbol.dispose]();
    const tables = [routes.sni, routes.host, routes.alpn, routes.proxy].flatMap((table) =>
      Object.values(table ?? {})
    );
    this.#looks = tables.length > 0;
    for (const target of fallback === undefined ? tables : [...tables, fallback]) void this.#channel(target);
    this.ready = Promise.all(this.#channels.values()).then(() => {});
    this.#events = new Broadcast<PushRouterEvent>({ resync: () => ({ type: "resync" }), logger, clock });
    this.#loop = acceptLoop<Deno.TcpConn | Deno.UnixConn>(
      listener as Deno.TcpListener,
      (conn, context) => this.#serve(conn, context.signal),
      { signal, clock, maxConnections },
    );
  }

  get counts(): { readonly routed: number; readonly unrouted: number } {
    return { ...this.#counts };
  }

  get connections(): number {
    return this.#loop.connections;
  }

  get closed(): Promise<void> {
    return this.#loop.closed;
  }

  on<T extends PushRouterEvent["type"]>(
    type: T,
    handler: (event: EventOf<PushRouterEvent, T>) => void,
  ): Disposable {
    return this.#events.on(type, handler);
  }

  async drain(): Promise<void> {
    await this.#loop.drain();
    await this.close();
  }

  close(): Promise<void> {
    return this.#closing ??= (async () => {
      await this.#loop.close();
      for (const channel of this.#channels.values()) await (await channel).close();
      this.#events.end();
    })();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #channel(target: RouteTarget): Promise<PushChannel> {
    const key = JSON.stringify([target].flat());
    let channel = this.#channels.get(key);
    if (!channel) this.#channels.set(key, channel = pushTo(target, this.#options.push));
    return channel;
  }

  async #serve(conn: Deno.TcpConn | Deno.UnixConn, signal: AbortSignal): Promise<void> {
    const remote = conn.remoteAddr;
    try {
      const seen = await this.#look(conn, signal);
      const target = seen.target ?? this.#options.fallback;
      if (target === undefined) throw nowhere(seen);
      const metadata = seen.proxy === null ? null : { proxy: seen.proxy.length };
      const pushed = await (await this.#channel(target)).push(conn, { metadata, signal });
      this.#counts.routed++;
      this.#events.publish({ type: "routed", remote, ...seen, ...pushed });
    } catch (error) {
      // The loop closes what is left of it.
      this.#counts.unrouted++;
      this.#events.publish({ type: "unrouted", error: asPushError(error), remote });
    }
  }

  async #look(conn: Deno.TcpConn | Deno.UnixConn, signal: AbortSignal): Promise<SeenRoute> {
    const { maxBytes = MAX_PEEK, maxWaiting = 1024, timeout, clock } = this.#options;
    if (!this.#looks) return { route: "unknown", proxy: null, target: null };
    const [oldest] = this.#waiting;
    if (this.#waiting.size >= maxWaiting) oldest?.abort(crowded());
    const own = new AbortController();
    this.#waiting.add(own);
    const { fd } = await findDescriptor(describe(conn)).catch((error) => {
      this.#waiting.delete(own);
      throw error;
    });
    const abort = (): void => own.abort(signal.reason);
    signal.addEventListener("abort", abort);
    try {
      signal.throwIfAborted();
      return await peekWith(fd, (bytes) => chooseRoute(bytes, this.#routes, maxBytes), {
        signal: own.signal,
        ...timeout === undefined ? {} : { timeout },
        clock,
      });
    } finally {
      signal.removeEventListener("abort", abort);
      this.#waiting.delete(own);
      using calls = needCalls("route connections");
      await closeDescriptor(calls, fd);
    }
  }
}

function nowhere({ route, proxy }: SeenRoute): PushError {
  const said = route === "unknown"
    ? "what it says is not known"
    : `no route for ${route.kind} ${route.name === null ? "without a name" : `to "${route.name}"`}`;
  return failure(`${said}${proxy ? ", behind a PROXY header" : ""}`, undefined);
}

function crowded(): PushError {
  return new PushError("Cannot route a connection: too many say nothing, and it has been longest", {
    code: "timeout",
    operation: "route a connection",
  });
}

function failure(why: string, cause: unknown): PushError {
  return new PushError(`Cannot route a connection: ${why}`, {
    code: "refused",
    operation: "route a connection",
    cause,
  });
}

function asPushError(error: unknown): PushError {
  if (error instanceof PushError) return error;
  return failure(error instanceof Error ? error.message : String(error), error);
}

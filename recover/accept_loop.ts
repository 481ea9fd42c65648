/** An accept loop that survives what ends the usual one: no descriptors left, aborted connections, too many clients. */

import { type Clock, systemClock } from "../internal/clock.ts";
import type { EventOf } from "../internal/events.ts";
import type { AcceptLoopEvent } from "./accept_loop_event.ts";
import { isAborted, isExhausted } from "./_accept_error.ts";
import { checkFunction, checkNumber, checkWord } from "./_check.ts";
import { checkFunctions } from "./_check_shape.ts";
import { type AcceptedConnection, closeQuietly, Connections, type OpenConnection } from "./_connections.ts";
import { Listeners } from "./_listeners.ts";

export type { AcceptedConnection };

/** What can be accepted from; `Deno.Listener` and `Deno.TlsListener` can. */
export interface ConnectionSource<C extends AcceptedConnection> {
  /** Waits for the next connection. */
  accept(): Promise<C>;
  /** Ends the listening, and a pending accept. */
  close(): void;
}

/** What a handler gets besides the connection. */
export interface AcceptContext {
  /** Aborted when the connection is to be cut: the loop is closed, or the first message came too late. */
  readonly signal: AbortSignal;
  /** Says that the client has shown what it wants, which ends {@linkcode AcceptLoopOptions.firstMessageDeadline}. */
  established(): void;
}

/** How {@linkcode acceptLoop} accepts. */
export interface AcceptLoopOptions {
  /** Closes the loop and cuts its connections when aborted. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How many connections may be open. Keep it well below the limit of open files (`ulimit -n`): each connection is one.
   *
   * @default {Infinity}
   */
  readonly maxConnections?: number;
  /**
   * How many connections may be open from one address, a /64 in IPv6; those above are closed at once.
   *
   * @default {Infinity}
   */
  readonly maxPerAddress?: number;
  /**
   * What happens to a connection above `maxConnections`: it waits, in the system's queue, until another one has ended, or
   * it is accepted and closed, so that the client knows.
   *
   * @default {"wait"}
   */
  readonly whenFull?: "wait" | "shed";
  /**
   * How many milliseconds to wait at least when the system has no descriptors or no memory left; chance adds up to as much
   * again. The end of a connection of the loop's own ends the wait, too.
   *
   * @default {50}
   */
  readonly pause?: number;
  /**
   * How many milliseconds a client has until the handler calls {@linkcode AcceptContext.established}; after that the
   * connection is cut. Without it, silent clients fill the table of descriptors. The handler has to take its second
   * parameter, or all would be cut.
   *
   * @default {Infinity}
   */
  readonly firstMessageDeadline?: number;
  /**
   * What to do with an error of the handler, which harms no other connection.
   *
   * @default it is reported to the process-wide logger, or the console where there is none
   */
  readonly onError?: (error: unknown) => void;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** How {@linkcode AcceptLoop.drain} waits. */
export interface DrainOptions {
  /** Cuts what is still open when aborted. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How many milliseconds the connections may take to end before they are cut.
   *
   * @default {Infinity}
   */
  readonly timeout?: number;
}

/** A running accept loop. */
export interface AcceptLoop extends AsyncDisposable {
  /** How many connections are open. */
  readonly connections: number;
  /**
   * Resolves when nothing is accepted any more and all connections have ended. Rejects with an error of the listener that
   * no pause can heal.
   */
  readonly closed: Promise<void>;
  /**
   * Calls a handler for each event of one type.
   *
   * @param type The type.
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  on<T extends AcceptLoopEvent["type"]>(
    type: T,
    handler: (event: EventOf<AcceptLoopEvent, T>) => void,
  ): Disposable;
  /**
   * Stops listening, and waits until the connections have ended.
   *
   * @param options How long it may take.
   * @returns How many connections had to be cut.
   */
  drain(options?: DrainOptions): Promise<number>;
  /** Stops listening and cuts all connections; safe twice. */
  close(): Promise<void>;
}

/**
 * Accepts connections and hands each to a handler, for as long as the process lives.
 *
 * `for await (const connection of listener)` ends with the first `EMFILE`, and the server with it. This loop waits until
 * there are descriptors again, keeps within limits, and closes each connection when its handler is done with it.
 *
 * @param listener Where connections come from; the loop owns it from now on, and closes it.
 * @param handler What to do with each connection. It may close the connection itself; what it throws harms no other.
 * @param options Limits, pauses, and what calls it off.
 * @returns The loop, running.
 * @throws {RangeError} When a number is out of range.
 * @throws {TypeError} When there is a deadline, and the handler cannot know of it.
 *
 * @example
 * ```ts
 * import { acceptLoop } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * await using loop = acceptLoop(listener, async (connection, { signal }) => {
 *   await connection.readable.pipeTo(connection.writable, { signal });
 * }, { maxConnections: 800, maxPerAddress: 50 });
 *
 * const client = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
 * await client.write(new TextEncoder().encode("hello"));
 * await client.closeWrite();
 * assertEquals(await new Response(client.readable).text(), "hello");
 * assertEquals(await loop.drain({ timeout: 1000 }), 0);
 * ```
 */
export function acceptLoop<C extends AcceptedConnection>(
  listener: ConnectionSource<C>,
  handler: (connection: C, context: AcceptContext) => unknown,
  options: AcceptLoopOptions = {},
): AcceptLoop {
  return new GuardedLoop(listener, handler, options);
}

class GuardedLoop<C extends AcceptedConnection> implements AcceptLoop {
  readonly closed: Promise<void>;
  readonly #listener: ConnectionSource<C>;
  readonly #handler: (connection: C, context: AcceptContext) => unknown;
  readonly #options: AcceptLoopOptions;
  readonly #clock: Clock;
  readonly #listeners: Listeners<AcceptLoopEvent> = new Listeners();
  readonly #open: Connections;
  /** Aborted when nothing is to be accepted any more. */
  readonly #stopping = new AbortController();

  constructor(
    listener: ConnectionSource<C>,
    handler: (connection: C, context: AcceptContext) => unknown,
    options: AcceptLoopOptions,
  ) {
    const { signal, clock = systemClock } = options;
    checkOptions(handler, options);
    this.#listener = listener;
    this.#handler = handler;
    this.#options = options;
    this.#clock = clock;
    this.#open = new Connections(options);
    const aborted = (): void => void this.close();
    signal?.addEventListener("abort", aborted, { once: true });
    if (signal?.aborted) this.#stop();
    this.closed = this.#run().finally(() => signal?.removeEventListener("abort", aborted));
  }

  get connections(): number {
    return this.#open.size;
  }

  on<T extends AcceptLoopEvent["type"]>(
    type: T,
    handler: (event: EventOf<AcceptLoopEvent, T>) => void,
  ): Disposable {
    return this.#listeners.on(type, handler);
  }

  async drain(options: DrainOptions = {}): Promise<number> {
    const { signal, timeout = Infinity } = options;
    let cut = 0;
    const over = (): void => {
      cut += this.#open.size;
      this.#cut();
    };
    this.#stop();
    const timer = this.#clock.after(timeout, over, { ref: true });
    signal?.addEventListener("abort", over, { once: true });
    if (signal?.aborted) over();
    try {
      await this.closed;
      return cut;
    } finally {
      timer.cancel();
      signal?.removeEventListener("abort", over);
    }
  }

  async close(): Promise<void> {
    this.#stop();
    this.#cut();
    await this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let failures = 0;
    try {
      while (!signal.aborted) {
        if (this.#isFull()) {
          await this.#open.changed;
          continue;
        }
        try {
          this.#take(await this.#listener.accept());
          failures = 0;
        } catch (error) {
          if (!signal.aborted) await this.#failed(error, ++failures);
        }
      }
    } finally {
      this.#stop();
    }
    while (this.#open.size > 0) await this.#open.changed;
  }

  #isFull(): boolean {
    const { maxConnections = Infinity, whenFull = "wait" } = this.#options;
    return whenFull === "wait" && this.#open.size >= maxConnections;
  }

  /** Waits where that can help; throws the error where nothing can. */
  async #failed(error: unknown, failures: number): Promise<void> {
    const exhausted = isExhausted(error);
    if (!exhausted && !isAborted(error)) throw error;
    // A connection that aborted took itself out of the queue; were it to come again and again, that would be a busy loop.
    if (!exhausted && failures === 1) return;
    const { pause = 50 } = this.#options;
    const delay = pause + Math.random() * pause;
    this.#listeners.tell(() => ({ type: "pause", at: this.#clock.now(), error, delay }));
    const over = Promise.withResolvers<void>();
    const timer = this.#clock.after(delay, over.resolve, { ref: true });
    // A connection that ends gives a descriptor back; stopping wakes this as well.
    await Promise.race([over.promise, this.#open.changed]);
    timer.cancel();
  }

  #take(connection: C): void {
    if (this.#stopping.signal.aborted) return closeQuietly(connection);
    const { remoteAddr } = connection;
    const reason = this.#open.excess(remoteAddr);
    if (reason !== undefined) {
      closeQuietly(connection);
      return this.#listeners.tell(() => ({ type: "shed", at: this.#clock.now(), reason, remoteAddr }));
    }
    this.#open.run(connection, (open) => this.#handle(connection, open));
  }

  /** Calls the handler; without a deadline by no async function, as there may be very many connections. */
  #handle(connection: C, open: OpenConnection): Promise<void> {
    const { firstMessageDeadline = Infinity } = this.#options;
    if (firstMessageDeadline < Infinity) return this.#handleWithin(firstMessageDeadline, connection, open);
    const context: AcceptContext = {
      get signal() {
        return open.signal;
      },
      established() {},
    };
    try {
      return Promise.resolve(this.#handler(connection, context)) as Promise<void>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #handleWithin(deadline: number, connection: C, open: OpenConnection): Promise<void> {
    const timer = this.#clock.after(deadline, () => {
      const { remoteAddr } = connection;
      this.#listeners.tell(() => ({ type: "expired", at: this.#clock.now(), remoteAddr }));
      open.cut(new DOMException("The first message did not come in time", "TimeoutError"));
    });
    open.signal.addEventListener("abort", () => timer.cancel(), { once: true });
    try {
      await this.#handler(connection, { signal: open.signal, established: () => timer.cancel() });
    } finally {
      timer.cancel();
    }
  }

  #stop(): void {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    closeQuietly(this.#listener);
    // Whoever waits for room need not wait any longer.
    this.#open.wake();
  }

  #cut(): void {
    this.#open.cut(new DOMException("The server is closed", "AbortError"));
  }
}

function checkOptions(handler: unknown, options: AcceptLoopOptions): void {
  const { maxConnections = Infinity, maxPerAddress = Infinity, firstMessageDeadline = Infinity } = options;
  const operation = "accept connections";
  checkFunction(operation, "handler", handler);
  checkFunctions(operation, { onError: options.onError });
  for (const [name, value] of Object.entries({ maxConnections, maxPerAddress })) {
    if (value !== Infinity) checkNumber(operation, name, value, { from: 1, whole: true });
  }
  if (firstMessageDeadline !== Infinity) {
    checkNumber(operation, "firstMessageDeadline", firstMessageDeadline);
    const { length } = handler as (...args: unknown[]) => unknown;
    if (length < 2) {
      const why =
        "with firstMessageDeadline the handler must take a second parameter and call its established()";
      throw new TypeError(`Cannot accept connections: ${why}, got a handler of ${length}`);
    }
  }
  checkNumber(operation, "pause", options.pause ?? 50);
  checkWord(operation, "whenFull", options.whenFull ?? "wait", ["wait", "shed"]);
}

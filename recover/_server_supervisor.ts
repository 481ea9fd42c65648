/** What starts an HTTP server again when it has ended by itself. */

import { type Clock, wait } from "../internal/clock.ts";
import type { EventOf } from "../internal/events.ts";
import { logUncaught } from "../internal/log.ts";
import { canListenLater } from "./_accept_error.ts";
import type { DrainOptions } from "./accept_loop.ts";
import { Listeners } from "./_listeners.ts";
import type { GuardedServer, ServeEvent } from "./serve.ts";

/** What `Deno.serve` gives, as far as it is needed. */
export interface HttpServer {
  /** Where it listens. */
  readonly addr: Deno.NetAddr;
  /** Rejects when it has ended by itself. */
  readonly finished: Promise<void>;
  /** Ends it when its requests are answered. */
  shutdown(): Promise<void>;
}

/** What a start is told besides what the user told. */
export interface StartOptions {
  /** Cuts the server. */
  readonly signal: AbortSignal;
  /** The address of the first start, for those that follow. */
  readonly hostname?: string;
  /** Its port. */
  readonly port?: number;
  /** Says nothing, in the starts that follow. */
  readonly onListen?: () => void;
}

/** Starts a server. */
export type StartServer = (handler: Deno.ServeHandler<Deno.NetAddr>, options: StartOptions) => HttpServer;

/** The options of the guard, complete. */
export interface SupervisorOptions {
  /** How many requests may be in flight. */
  readonly maxInFlight: number;
  /** The value of `Retry-After`. */
  readonly retryAfter: number;
  /** The least pause in milliseconds. */
  readonly pause: number;
  /** What becomes of old connections. */
  readonly oldConnections: "auto" | "close" | "keep";
  /** Source of time. */
  readonly clock: Clock;
  /** Cuts everything. */
  readonly signal: AbortSignal | undefined;
}

/** One start of the server, with the connections that it accepted. */
interface Generation {
  readonly server: HttpServer;
  readonly controller: AbortController;
  upgraded: boolean;
}

/** How many generations are kept for their WebSockets' sake; an older one is closed. */
const MAX_KEPT = 100;

/** One server for its users, and one after the other behind it. */
export class ServerSupervisor implements GuardedServer {
  readonly addr: Deno.NetAddr;
  readonly finished: Promise<void>;
  inFlight = 0;
  restarts = 0;
  readonly #handler: Deno.ServeHandler<Deno.NetAddr>;
  readonly #options: SupervisorOptions;
  readonly #start: StartServer;
  readonly #listeners: Listeners<ServeEvent> = new Listeners();
  readonly #kept: Generation[] = [];
  /** Aborted when the server is not to be started again. */
  readonly #stopping = new AbortController();
  /** Who listens now; `undefined` between two starts. */
  #current: Generation | undefined;
  #draining = false;
  #answered: PromiseWithResolvers<void> = Promise.withResolvers();

  /** Starts the server for the first time. */
  constructor(handler: Deno.ServeHandler<Deno.NetAddr>, options: SupervisorOptions, start: StartServer) {
    const { signal } = options;
    signal?.throwIfAborted();
    this.#handler = handler;
    this.#options = options;
    this.#start = start;
    const first = this.#begin({});
    this.#current = first;
    this.addr = first.server.addr;
    const aborted = (): void => this.#cut();
    signal?.addEventListener("abort", aborted, { once: true });
    this.finished = this.#run(first).finally(() => signal?.removeEventListener("abort", aborted));
  }

  on<T extends ServeEvent["type"]>(type: T, handler: (event: EventOf<ServeEvent, T>) => void): Disposable {
    return this.#listeners.on(type, handler);
  }

  async shutdown(options: DrainOptions = {}): Promise<number> {
    const { signal, timeout = Infinity } = options;
    this.#draining = true;
    let late = signal?.aborted === true;
    const over = (): void => {
      late = true;
      this.#wake();
    };
    const timer = this.#options.clock.after(timeout, over, { ref: true });
    signal?.addEventListener("abort", over, { once: true });
    while (this.inFlight > 0 && !late && !this.#stopping.signal.aborted) await this.#answered.promise;
    timer.cancel();
    signal?.removeEventListener("abort", over);
    const cut = this.inFlight;
    // One that is being shut down cannot be cut any more: the runtime throws where nobody can catch it.
    if (cut > 0) this.#cut();
    else this.#close();
    await this.finished;
    return cut;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  async #run(first: Generation): Promise<void> {
    const { clock } = this.#options;
    let current: Generation | undefined = first;
    while (true) {
      // It resolves, too, when the runtime ends the server because of an error of its own.
      const error = await current.server.finished.then(() => undefined, (error: unknown) => error);
      if (this.#stopping.signal.aborted) return;
      const since = clock.monotonic();
      this.#current = undefined;
      this.#retire(current);
      this.#listeners.tell(() => ({ type: "down", at: clock.now(), error }));
      current = await this.#again();
      if (current === undefined) return;
      this.#current = current;
      this.restarts++;
      this.#listeners.tell(() => ({ type: "restart", at: clock.now(), downFor: clock.monotonic() - since }));
    }
  }

  /** Starts again, as soon as that works; `undefined` when nobody wants it any more. */
  async #again(): Promise<Generation | undefined> {
    const { clock, pause } = this.#options;
    const { signal } = this.#stopping;
    const { hostname, port } = this.addr;
    while (!signal.aborted) {
      try {
        // Called off by the end of the server, which the loop looks at.
        await wait(pause + Math.random() * pause, { clock, signal });
      } catch {
        return undefined;
      }
      try {
        return this.#begin({ hostname, port, onListen() {} });
      } catch (error) {
        if (!canListenLater(error)) throw error;
      }
    }
    return undefined;
  }

  #begin(options: Omit<StartOptions, "signal">): Generation {
    const controller = new AbortController();
    const generation: Generation = {
      controller,
      upgraded: false,
      server: this.#start((request, info) => this.#answer(generation, request, info), {
        ...options,
        signal: controller.signal,
      }),
    };
    return generation;
  }

  async #answer(
    generation: Generation,
    request: Request,
    info: Deno.ServeHandlerInfo<Deno.NetAddr>,
  ): Promise<Response> {
    if (this.#draining || this.inFlight >= this.#options.maxInFlight) return this.#refuse();
    this.inFlight++;
    const over = (): void => {
      this.inFlight--;
      this.#wake();
    };
    // It rejects when the client has gone away, which is an end as well.
    info.completed.then(over, over);
    const response = await this.#handler(request, info);
    if (response.status === 101) generation.upgraded = true;
    return response;
  }

  #refuse(): Response {
    const { clock, retryAfter } = this.#options;
    const reason = this.#draining ? "draining" : "in-flight";
    this.#listeners.tell(() => ({ type: "shed", at: clock.now(), reason }));
    const headers = { "retry-after": String(retryAfter), "connection": "close" };
    return new Response("Too many requests at the moment\n", { status: 503, headers });
  }

  /** A server that has ended by itself still serves what it has accepted. */
  #retire(generation: Generation): void {
    const { oldConnections } = this.#options;
    if (oldConnections === "keep" || (oldConnections === "auto" && generation.upgraded)) {
      this.#kept.push(generation);
      if (this.#kept.length > MAX_KEPT) this.#end(this.#kept.shift());
    } else this.#end(generation);
  }

  #end(generation: Generation | undefined): void {
    generation?.server.shutdown().catch((error) =>
      logUncaught(undefined, "Uncaught error of a server that is shut down", error)
    );
  }

  /** Ends all that is idle. */
  #close(): void {
    this.#stopping.abort();
    for (const generation of [this.#current, ...this.#kept.splice(0)]) this.#end(generation);
    this.#wake();
  }

  #cut(): void {
    if (this.#stopping.signal.aborted) return;
    for (const generation of [this.#current, ...this.#kept]) generation?.controller.abort();
    this.#close();
  }

  #wake(): void {
    this.#answered.resolve();
    this.#answered = Promise.withResolvers();
  }
}

/** The server of pipes itself: addresses, an accept loop over all of them, and those who wait to be handed out. */

import { type Clock, holdProcess, systemClock } from "../internal/clock.ts";
import type { EventOf } from "../internal/events.ts";
import { type AcceptLoop, acceptLoop, type DrainOptions } from "../recover/accept_loop.ts";
import { Listeners } from "../recover/_listeners.ts";
import { timeout } from "../recover/timeout.ts";
import { formatPipeAddress, type PipeAddress, type PipeUrl, type Transport } from "./address.ts";
import type { BasePipe } from "./_base_pipe.ts";
import { Bindings } from "./_bindings.ts";
import { failedError } from "./_failed.ts";
import type { Link } from "./_link.ts";
import type { ListenOptions } from "./listen.ts";
import { makePipe } from "./_make_pipe.ts";
import type { PipeBase } from "./pipe.ts";
import type { PipeServer, PipeServerEvent, PipeServerReport } from "./server.ts";
import { transportOf } from "./_transports.ts";

/** How many handshakes may be under way at once. */
const HANDSHAKES = 128;

/** How many connections are accepted ahead of those who ask for them, so that their handshakes are done by then. */
const AHEAD = 16;

/** A connection, as the accept loop sees it. */
class Arrival {
  readonly link: Link;
  /** What it has become. */
  pipe: BasePipe | undefined;
  /** Who has it: nobody yet, whoever got the pipe, or somebody else altogether, as it is over or was given away. */
  owner: "server" | "user" | "other" = "server";
  readonly #cutting: () => boolean;

  constructor(link: Link, cutting: () => boolean) {
    this.link = link;
    this.#cutting = cutting;
  }

  get remoteAddr(): Deno.Addr {
    const address = this.link.remoteAddress;
    if ("hostname" in address) return { transport: "tcp", hostname: address.hostname, port: address.port };
    return { transport: "unix", path: address.transport === "unix" ? address.path : "" };
  }

  close(): void {
    if (this.owner === "other" || (this.owner === "user" && !this.#cutting())) return;
    if (this.pipe) this.pipe.abort("the server is closed");
    else this.link.abort();
  }
}

/** The server itself. */
export class PipeListener<P extends PipeBase<Transport, PipeAddress>> implements PipeServer<P> {
  readonly #place: PipeUrl;
  readonly #options: ListenOptions;
  readonly #clock: Clock;
  readonly #bindings: Bindings;
  readonly #loop: AcceptLoop;
  readonly #listeners: Listeners<PipeServerEvent> = new Listeners();
  /** Pipes that nobody has got yet. */
  readonly #ready: Arrival[] = [];
  readonly #closed = Promise.withResolvers<void>();
  #url: string;
  #waiter: (() => void) | undefined;
  #iterating = false;
  #handshakes = 0;
  #changed: PromiseWithResolvers<void> = Promise.withResolvers();
  #closing: Promise<void> | undefined;
  #stopped = false;
  #failure: { readonly error: Error } | undefined;
  #draining = false;
  /** Whether those that were handed out are cut as well. */
  #cutting = false;
  readonly #isCutting = (): boolean => this.#cutting;

  private constructor(place: PipeUrl, options: ListenOptions) {
    this.#place = place;
    this.#url = formatPipeAddress(place);
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#bindings = new Bindings(place, transportOf(place.transport, options.transports), options, {
      listening: (address) => this.#tell({ type: "listening", address }),
      lost: (address) => this.#tell({ type: "addresslost", address }),
      failed: (_host, error) => this.#tell({ type: "trouble", error }),
    });
    const { maxConnections, maxPerAddress, whenFull, clock } = options;
    this.#loop = acceptLoop<Arrival>(
      { accept: () => this.#accept(), close: () => this.#stop() },
      (arrival) => this.#arrived(arrival),
      {
        ...(maxConnections === undefined ? {} : { maxConnections }),
        ...(maxPerAddress === undefined ? {} : { maxPerAddress }),
        ...(whenFull === undefined ? {} : { whenFull }),
        ...(clock ? { clock } : {}),
      },
    );
    this.#loop.on("pause", ({ error }) => this.#tell({ type: "trouble", error }));
    this.#loop.on("shed", ({ reason, remoteAddr }) => {
      this.#tell({ type: "shed", reason, from: this.#addressOf(remoteAddr) });
    });
    // Whoever does not ask how it ended does not have to handle it.
    this.#loop.closed.catch(() => {});
    this.#closed.promise.catch(() => {});
  }

  /**
   * Starts a server.
   *
   * @param place Where.
   * @param options How.
   */
  static async start<P extends PipeBase<Transport, PipeAddress>>(
    place: PipeUrl,
    options: ListenOptions,
  ): Promise<PipeListener<P>> {
    const server = new PipeListener<P>(place, options);
    try {
      await server.#bindings.start();
    } catch (error) {
      await server.close();
      options.signal?.throwIfAborted();
      throw failedError(place, error, { operation: "listen", network: options.network?.state });
    }
    server.#watch();
    // What it was is still known when it is closed.
    void server.url;
    return server;
  }

  get addresses(): readonly P["localAddress"][] {
    return this.#bindings.addresses;
  }

  get url(): string {
    const [address] = this.addresses;
    const path = "hostname" in this.#place && this.#place.path !== "/" ? this.#place.path : "";
    if (address) this.#url = `${formatPipeAddress(address)}${path}`;
    return this.#url;
  }

  get connections(): number {
    return this.#loop.connections;
  }

  get report(): readonly PipeServerReport[] {
    return this.#bindings.listeners.flatMap(({ addresses, report }) =>
      addresses.map((address) => ({ address, by: "native" as const, note: null, ...report }))
    );
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  on<T extends PipeServerEvent["type"]>(
    type: T,
    handler: (event: EventOf<PipeServerEvent, T>) => void,
  ): Disposable {
    return this.#listeners.on(type, handler);
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<P, void, void> {
    if (this.#iterating) throw new TypeError("Cannot accept: the server has a reader already");
    this.#iterating = true;
    try {
      while (true) {
        const next = this.#ready.shift();
        if (next) {
          // From now on it is somebody else's.
          if (next.owner === "server") next.owner = "user";
          this.#wake();
          yield next.pipe as unknown as P;
        } else if (this.#failure) throw this.#failure.error;
        else if (this.#closing || this.#draining) return;
        else if (this.#stopped) await this.#loop.closed.catch(() => {}); // it is the failure
        else {
          using _hold = holdProcess(this.#clock);
          await new Promise<void>((resolve) => {
            this.#waiter = resolve;
            this.#wake();
          });
        }
      }
    } finally {
      this.#iterating = false;
    }
  }

  async drain(options: DrainOptions = {}): Promise<number> {
    this.#draining = true;
    this.#cutting = true;
    // Nobody is left who would take them.
    if (!this.#iterating) {
      for (const arrival of this.#ready.splice(0)) arrival.close();
    }
    const cut = await this.#loop.drain(options);
    await this.close();
    return cut;
  }

  close(): Promise<void> {
    return this.#closing ??= (async () => {
      this.#cutting = false;
      this.#ready.length = 0;
      await this.#loop.close().catch(() => {}); // told by closed
      await this.#bindings.close();
      this.#closed.resolve();
      this.#next();
    })();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Ends with its signal, and tells of an end that nobody asked for. */
  #watch(): void {
    const { signal, network } = this.#options;
    const aborted = (): void => void this.close();
    signal?.addEventListener("abort", aborted, { once: true });
    if (signal?.aborted) aborted();
    this.#loop.closed.catch((error) => {
      const failed = failedError(this.#place, error, { operation: "listen", network: network?.state });
      this.#failure = { error: failed };
      this.#closed.reject(failed);
    }).finally(() => {
      signal?.removeEventListener("abort", aborted);
      if (this.#failure) void this.close();
    });
  }

  /** Accepts when somebody waits for a pipe, and a few ahead. */
  async #accept(): Promise<Arrival> {
    while (!this.#stopped && this.#ready.length + this.#handshakes >= (this.#waiter ? HANDSHAKES : AHEAD)) {
      await this.#changed.promise;
    }
    if (this.#stopped) throw new Deno.errors.Interrupted("the server is closed");
    return new Arrival(await this.#bindings.accept(), this.#isCutting);
  }

  /** Makes a pipe of a connection; resolves when it is over. No async function: there may be very many of them. */
  #arrived(arrival: Arrival): Promise<void> {
    if (!arrival.link.ready) return this.#hand(arrival);
    this.#handshakes++;
    return this.#shakeHands(arrival.link).then((done) => {
      // It is handed out before it is no handshake any more, for in between it would take nobody's room.
      const over = done ? this.#hand(arrival) : undefined;
      this.#handshakes--;
      this.#wake();
      return over;
    });
  }

  async #shakeHands(link: Link): Promise<boolean> {
    try {
      const { handshakeTimeout = 10_000 } = this.#options;
      await timeout(handshakeTimeout, { clock: this.#clock }).execute(() => link.ready?.());
      return true;
    } catch (error) {
      link.abort();
      this.#tell({ type: "refused", error, from: link.remoteAddress });
      return false;
    }
  }

  #hand(arrival: Arrival): Promise<void> {
    return new Promise((resolve) => {
      const ended = (): void => {
        arrival.owner = "other";
        resolve();
      };
      arrival.pipe = makePipe(arrival.link, this.#options, { ended });
      this.#ready.push(arrival);
      this.#next();
    });
  }

  #next(): void {
    this.#waiter?.();
    this.#waiter = undefined;
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #stop(): void {
    this.#stopped = true;
    void this.#bindings.close();
    this.#wake();
    this.#next();
  }

  #addressOf(address: Deno.Addr): PipeAddress {
    const { transport } = this.#place;
    if (transport === "unix") return { transport, path: "path" in address ? address.path : "" };
    if (transport === "memory") return { transport, name: "" };
    if (transport === "exec") return { transport, command: "" };
    const { hostname, port } = address as Deno.NetAddr;
    return { transport, hostname, port };
  }

  #tell(event: Omitted<PipeServerEvent>): void {
    this.#listeners.tell(() => ({ ...event, at: this.#clock.now() }));
  }
}

type Omitted<E> = E extends unknown ? Omit<E, "at"> : never;

/** The server of sessions itself: what it listens on, and the sessions that live on what comes. */

import { type Clock, systemClock } from "../../internal/clock.ts";
import type { EventOf } from "../../internal/events.ts";
import type { Store } from "../../internal/store.ts";
import { type AcceptLoop, acceptLoop } from "../../recover/accept_loop.ts";
import { Listeners } from "../../recover/_listeners.ts";
import { formatPipeAddress, type PipeAddress, type PipeUrl } from "../address.ts";
import type { BasePipe } from "../_base_pipe.ts";
import { Bindings } from "../_bindings.ts";
import { failedError } from "../_failed.ts";
import type { Link } from "../_link.ts";
import { makePipe } from "../_make_pipe.ts";
import type { PipeServerEvent, PipeServerReport } from "../server.ts";
import { transportOf } from "../_transports.ts";
import { Handout } from "./_handout.ts";
import { addressOf, addrOf } from "./_peer.ts";
import { checkSaving } from "./_save_sessions.ts";
import { asksForSession, type ServerSetup } from "./_server_setup.ts";
import { SessionHub } from "./_session_hub.ts";
import { upgradeCarrier } from "./_upgrade.ts";
import type {
  RestoredSession,
  SaveSessionsOptions,
  SessionDrainOptions,
  SessionServer,
  SessionServerStatus,
  SessionSnapshotOptions,
  SessionUpgradeOptions,
  UpgradedSession,
} from "./session_server.ts";
import type { SessionPipe } from "./session.ts";

/** A connection, as the accept loop sees it: until it has proven something. */
class Arrival {
  readonly link: Link;
  /** Whether it is somebody else's by now, or over. */
  done = false;

  constructor(link: Link) {
    this.link = link;
  }

  get remoteAddr(): Deno.Addr {
    return addrOf(this.link.remoteAddress);
  }

  close(): void {
    if (!this.done) this.link.abort();
  }
}

/** The server itself. */
export class SessionListener implements SessionServer {
  readonly #place: PipeUrl | null;
  readonly #setup: ServerSetup;
  readonly #clock: Clock;
  readonly #bindings: Bindings | undefined;
  readonly #loop: AcceptLoop;
  readonly #listeners: Listeners<PipeServerEvent> = new Listeners();
  readonly #sessions: SessionHub;
  readonly #pipes: Handout<BasePipe>;
  readonly #ordinary = new Set<BasePipe>();
  /** WebSockets of another server that have proven nothing yet. */
  readonly #upgrading = new Set<Link>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #stopped = Promise.withResolvers<void>();
  #url: string;
  #closing: Promise<void> | undefined;
  #draining = false;
  #changed: PromiseWithResolvers<void> = Promise.withResolvers();

  private constructor(place: PipeUrl | null, setup: ServerSetup) {
    const { options, session } = setup;
    const clock = this.#clock = options.clock ?? systemClock;
    this.#place = place;
    this.#setup = setup;
    this.#url = place ? `resume+${formatPipeAddress(place)}` : "";
    this.#pipes = new Handout(clock);
    this.#sessions = new SessionHub(setup, {
      busy: () => this.#draining || this.#closing !== undefined || this.#pipes.size >= session.backlog,
      closed: () => this.#closing !== undefined,
      ended: () => this.#wake(),
    });
    this.#bindings = place === null
      ? undefined
      : new Bindings(place, transportOf(place.transport, options.transports), options, {
        listening: (address) => this.#tell({ type: "listening", address }),
        lost: (address) => this.#tell({ type: "addresslost", address }),
        failed: (_host, error) => this.#tell({ type: "trouble", error }),
      });
    this.#loop = acceptLoop<Arrival>(
      { accept: () => this.#accept(), close: () => this.#stop() },
      (arrival) => this.#arrived(arrival),
      {
        maxConnections: session.maxHandshakes,
        maxPerAddress: session.maxHandshakesPerAddress,
        clock,
      },
    );
    this.#loop.on("pause", ({ error }) => this.#tell({ type: "trouble", error }));
    this.#loop.on("shed", ({ reason, remoteAddr }) => {
      this.#tell({ type: "shed", reason, from: addressOf(remoteAddr, place?.transport ?? "tcp") });
    });
    // Whoever does not ask how it ended does not have to handle it.
    this.#loop.closed.catch(() => {});
    this.#closed.promise.catch(() => {});
  }

  /**
   * Starts a server.
   *
   * @param place Where; `null` where all connections are given to it.
   * @param setup How.
   */
  static async start(place: PipeUrl | null, setup: ServerSetup): Promise<SessionListener> {
    const server = new SessionListener(place, setup);
    const { signal, network } = setup.options;
    try {
      await server.#bindings?.start();
    } catch (error) {
      await server.close();
      signal?.throwIfAborted();
      throw place ? failedError(place, error, { operation: "listen", network: network?.state }) : error;
    }
    server.#watch();
    // What it was is still known when it is closed.
    void server.url;
    return server;
  }

  get addresses(): readonly PipeAddress[] {
    return this.#bindings?.addresses ?? [];
  }

  get url(): string {
    const place = this.#place;
    const path = place && "hostname" in place && place.path !== "/" ? place.path : "";
    const [address] = this.addresses;
    if (address) this.#url = `resume+${formatPipeAddress(address)}${path}`;
    return this.#url;
  }

  get connections(): number {
    return this.#sessions.size + this.#ordinary.size;
  }

  get report(): readonly PipeServerReport[] {
    return (this.#bindings?.listeners ?? []).flatMap(({ addresses, report }) =>
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

  [Symbol.asyncIterator](): AsyncIterableIterator<SessionPipe, void, void> {
    return this.#pipes[Symbol.asyncIterator]() as unknown as AsyncIterableIterator<SessionPipe, void, void>;
  }

  status(): SessionServerStatus {
    return { ...this.#sessions.status, handshakes: this.#loop.connections + this.#upgrading.size };
  }

  upgrade(request: Request, options: SessionUpgradeOptions = {}): UpgradedSession {
    const { terms, session: { maxHandshakes } } = this.#setup;
    const nothing = Promise.resolve(null);
    if (this.#closing || this.#upgrading.size >= maxHandshakes) {
      return {
        response: new Response(null, { status: 503, headers: { "retry-after": "1" } }),
        session: nothing,
      };
    }
    const { response, link } = upgradeCarrier(request, options, { window: terms.window, clock: this.#clock });
    if (!link) return { response, session: nothing };
    this.#upgrading.add(link);
    const session = this.#sessions.accept(link).catch((error) => {
      link.abort();
      this.#tell({ type: "refused", error, from: link.remoteAddress });
      return null;
    }).finally(() => this.#upgrading.delete(link));
    return { response, session };
  }

  async drain(options: SessionDrainOptions = {}): Promise<number> {
    const { timeout = Infinity, signal, addresses } = options;
    this.#draining = true;
    if (addresses) this.#sessions.announce(addresses);
    this.#pipes.end();
    // Nobody is left who would take them.
    if (!this.#pipes.reading) this.#abortWaiting();
    let cut: number | undefined;
    const over = (): void => {
      cut ??= this.connections;
      this.#wake();
    };
    const timer = this.#clock.after(timeout, over, { ref: true });
    signal?.addEventListener("abort", over, { once: true });
    if (signal?.aborted) over();
    while (cut === undefined && this.connections > 0) await this.#changed.promise;
    timer.cancel();
    signal?.removeEventListener("abort", over);
    this.#sessions.loseAll();
    for (const pipe of this.#ordinary) pipe.abort("the server is closed");
    await this.close();
    return cut ?? 0;
  }

  async snapshot(store: Store, options: SaveSessionsOptions = {}): Promise<number> {
    checkSaving(this.#setup.options.framing, options);
    if (this.#closing) throw new TypeError("Cannot take a snapshot: the server is closed");
    // Those that nobody has got go as well.
    const waiting = new Set(this.#pipes.clear());
    const saving = this.#sessions.save(store, options, waiting);
    const [saved] = await Promise.allSettled([saving, this.close()]);
    if (saved.status === "rejected") throw saved.reason;
    return saved.value;
  }

  async restore(store: Store, options: SessionSnapshotOptions = {}): Promise<readonly RestoredSession[]> {
    if (this.#closing) throw new TypeError("Cannot restore sessions: the server is closed");
    return await this.#sessions.restore(store, options);
  }

  close(): Promise<void> {
    return this.#closing ??= (async () => {
      this.#abortWaiting();
      for (const link of this.#upgrading) link.abort();
      await this.#loop.close().catch(() => {}); // told by closed
      await this.#bindings?.close();
      this.#sessions.close();
      this.#closed.resolve();
    })();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Ends with its signal, and tells of an end that nobody asked for. */
  #watch(): void {
    const { signal, network } = this.#setup.options;
    const aborted = (): void => void this.close();
    signal?.addEventListener("abort", aborted, { once: true });
    if (signal?.aborted) aborted();
    this.#loop.closed.catch((error) => {
      const place = this.#place;
      const failed = place
        ? failedError(place, error, { operation: "listen", network: network?.state })
        : error;
      this.#closed.reject(failed);
      this.#pipes.end(failed);
      void this.close();
    }).finally(() => signal?.removeEventListener("abort", aborted));
  }

  async #accept(): Promise<Arrival> {
    if (!this.#bindings) await this.#stopped.promise;
    if (!this.#bindings || this.#closing) throw new Deno.errors.Interrupted("the server is closed");
    return new Arrival(await this.#bindings.accept());
  }

  #stop(): void {
    this.#stopped.resolve();
    void this.#bindings?.close();
  }

  async #arrived(arrival: Arrival): Promise<void> {
    const { link } = arrival;
    try {
      await this.#prepare(link);
      const pipe = await this.#receive(arrival);
      if (pipe) this.#pipes.push(pipe);
    } catch (error) {
      link.abort();
      this.#tell({ type: "refused", error, from: link.remoteAddress });
    } finally {
      arrival.done = true;
    }
  }

  /** The handshakes of what carries the session: TLS, WebSocket. */
  async #prepare(link: Link): Promise<void> {
    if (!link.ready) return;
    const { handshakeTimeout = 10_000 } = this.#setup.options;
    const timer = this.#clock.after(handshakeTimeout, () => link.abort());
    try {
      await link.ready();
    } finally {
      timer.cancel();
    }
  }

  /** Finds out what a connection is; gives a pipe where it is the beginning of one. */
  async #receive(arrival: Arrival): Promise<BasePipe | null> {
    const { link } = arrival;
    if (asksForSession(link)) return await this.#sessions.accept(link);
    if (!this.#setup.ordinary) throw new TypeError("Cannot serve a client that asks for no session");
    return this.#makeOrdinary(link);
  }

  #makeOrdinary(link: Link): BasePipe {
    const pipe = makePipe(link, this.#setup.options, {
      ended: () => {
        this.#ordinary.delete(pipe);
        this.#wake();
      },
    });
    this.#ordinary.add(pipe);
    return pipe;
  }

  #abortWaiting(): void {
    for (const pipe of this.#pipes.clear()) pipe.abort("the server is closed");
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #tell(event: Omitted<PipeServerEvent>): void {
    this.#listeners.tell(() => ({ ...event, at: this.#clock.now() }));
  }
}

type Omitted<E> = E extends unknown ? Omit<E, "at"> : never;

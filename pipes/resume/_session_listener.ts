/** The server of sessions itself: what it listens on, and the sessions that live on what comes. */

import { type Clock, systemClock } from "../../internal/clock.ts";
import type { EventOf } from "../../internal/events.ts";
import { addressKey } from "../../recover/_connections.ts";
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
import { acceptCarrier } from "./_accept_carrier.ts";
import { secrecyOf } from "./_carrier_dial.ts";
import type { ConfirmedStep, Rejection } from "./_handshake.ts";
import { REJECT } from "./_handshake_frames.ts";
import { Committer } from "./_committer.ts";
import { Handout } from "./_handout.ts";
import type { Caller } from "./_server_handshake.ts";
import { SessionCore } from "./_core.ts";
import { checkSaving, saveSessions, takeSessions } from "./_save_sessions.ts";
import { asksForSession, checkClient, type ServerSetup } from "./_server_setup.ts";
import type { SessionEntry } from "./_session_entry.ts";
import type { Session } from "./_session.ts";
import { sessionPipe } from "./_session_pipe.ts";
import { SessionTable } from "./_session_table.ts";
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
import type { Store } from "../../internal/store.ts";

/** For how many milliseconds a client that is too much is asked to stay away. */
const BUSY = 1000;

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
  readonly #table: SessionTable;
  readonly #pipes: Handout<BasePipe>;
  readonly #ordinary = new Set<BasePipe>();
  /** WebSockets of another server that have proven nothing yet. */
  readonly #upgrading = new Set<Link>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #stopped = Promise.withResolvers<void>();
  /** The pipes of the sessions that are at work. */
  readonly #pipeOf = new Map<SessionEntry, SessionPipe & BasePipe>();
  #url: string;
  #closing: Promise<void> | undefined;
  #draining = false;
  #changed: PromiseWithResolvers<void> = Promise.withResolvers();
  #addresses: readonly string[] | undefined;

  private constructor(place: PipeUrl | null, setup: ServerSetup) {
    const { options, session } = setup;
    const clock = this.#clock = options.clock ?? systemClock;
    this.#place = place;
    this.#setup = setup;
    this.#url = place ? `resume+${formatPipeAddress(place)}` : "";
    this.#pipes = new Handout(clock);
    this.#table = new SessionTable(
      { sessions: session.maxSessions, perPeer: session.maxPerPeer, memory: session.memoryLimit },
      {
        clock,
        network: () => options.network?.state,
        suspended: (entry) => this.#closing && this.#abandon(entry),
        ended: (entry) => this.#ended(entry),
      },
    );
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
      this.#tell({ type: "shed", reason, from: this.#addressOf(remoteAddr) });
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
    return this.#table.size + this.#ordinary.size;
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
    const sessions = [...this.#table.alive()].flatMap(({ session }) => {
      if (!session) return [];
      const { core, link, info } = session;
      const { id, state, secrecy, sent, acknowledged, received, resumes, suspended } = info;
      const facts = { id, state, secrecy, sent, acknowledged, received, resumes, suspended };
      return [{ ...facts, remoteAddress: link.remoteAddress, roundTrip: core.srtt, memory: core.memory }];
    });
    const { memories: remembered, memory } = this.#table;
    return { sessions, handshakes: this.#loop.connections + this.#upgrading.size, remembered, memory };
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
    const session = this.#receive(link, { done: false }).catch((error) => {
      link.abort();
      this.#tell({ type: "refused", error, from: link.remoteAddress });
      return null;
    }).finally(() => this.#upgrading.delete(link));
    return { response, session: session as Promise<SessionPipe | null> };
  }

  async drain(options: SessionDrainOptions = {}): Promise<number> {
    const { timeout = Infinity, signal, addresses } = options;
    this.#draining = true;
    if (addresses) this.#announce(addresses);
    if (!this.#pipes.reading) { for (const pipe of this.#pipes.end()) pipe.abort("the server is closed"); }
    else this.#pipes.end();
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
    for (const entry of this.#table.alive()) entry.session?.lose("aborted", "the server is closed", 0);
    for (const pipe of this.#ordinary) pipe.abort("the server is closed");
    await this.close();
    return cut ?? 0;
  }

  async snapshot(store: Store, options: SaveSessionsOptions = {}): Promise<number> {
    checkSaving(this.#setup.options.framing, options);
    if (this.#closing) throw new TypeError("Cannot take a snapshot: the server is closed");
    // Those that nobody has got go as well.
    const waiting = new Set(this.#pipes.end());
    const sessions = this.#table.all.flatMap((entry) => {
      if (!entry.session) return [];
      const pipe = this.#pipeOf.get(entry);
      return [{ entry, pipe, isOut: pipe !== undefined && !waiting.has(pipe) }];
    });
    try {
      const saving = saveSessions(sessions, store, options);
      const [closed] = await Promise.allSettled([this.close(), saving]);
      if (closed.status === "rejected") throw closed.reason;
      await saving;
    } finally {
      const reason = "the session goes on in another process";
      for (const { pipe } of sessions) pipe?.abort(reason);
      this.#pipeOf.clear();
    }
    return sessions.filter(({ pipe }) => pipe !== undefined).length;
  }

  async restore(store: Store, options: SessionSnapshotOptions = {}): Promise<readonly RestoredSession[]> {
    if (this.#closing) throw new TypeError("Cannot restore sessions: the server is closed");
    const taken = await takeSessions(store, options);
    return taken.flatMap(({ saved }) => {
      const { facts, epoch, handed, unread, unsent: bytes, ended, closing, state } = saved;
      const entry = this.#table.offer(facts);
      const core = SessionCore.restore(saved.core, () => this.#clock.monotonic());
      const session = entry.begin(core, epoch);
      if (core.complete) {
        entry.remember();
        return [];
      }
      session.link.restore(handed, unread, { bytes, ended });
      this.#table.began(entry);
      const pipe = this.#begin(entry);
      if (!closing) return [{ pipe, state }];
      // Only its last bytes have to arrive.
      void pipe.close();
      return [];
    });
  }

  close(): Promise<void> {
    return this.#closing ??= (async () => {
      for (const pipe of this.#pipes.end()) pipe.abort("the server is closed");
      for (const link of this.#upgrading) link.abort();
      await this.#loop.close().catch(() => {}); // told by closed
      await this.#bindings?.close();
      // Nobody could come back.
      for (const entry of this.#table.alive()) if (entry.session?.state === "suspended") this.#abandon(entry);
      this.#table.clear();
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
      const entry = await this.#receive(link, arrival);
      if (entry) this.#pipes.push(entry);
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
  async #receive(link: Link, arrival: { done: boolean }): Promise<BasePipe | null> {
    if (!asksForSession(link)) {
      if (!this.#setup.ordinary) throw new TypeError("Cannot serve a client that asks for no session");
      arrival.done = true;
      return this.#makeOrdinary(link);
    }
    checkClient(link, this.#setup);
    const { terms, seal, session } = this.#setup;
    const secrecy = secrecyOf(link, seal !== undefined);
    const confirmed = await acceptCarrier(link, {
      handshake: {
        find: (id) => this.#table.find(id),
        limits: terms,
        seal,
        refuse: (caller) => this.#refuse(caller, link),
      },
      welcomed: ({ session: { id, terms, clientKey, serverKey }, greeting, client }) => {
        const peer = peerOf(client, link);
        this.#table.offer({ id, terms, clientKey, serverKey, greeting, client, peer, secrecy });
      },
      timeout: session.handshakeTimeout,
      clock: this.#clock,
    });
    arrival.done = true;
    return this.#confirmed(link, confirmed);
  }

  /** A client has proven itself. */
  #confirmed(link: Link, confirmed: ConfirmedStep): BasePipe | null {
    const entry = this.#table.find(confirmed.id);
    if (!entry || this.#closing) {
      link.abort();
      return null;
    }
    const ready = { ...confirmed, link };
    if (entry.session) {
      entry.resume(ready);
      return null;
    }
    this.#table.began(entry);
    const pipe = this.#begin(entry);
    void entry.resume(ready);
    return pipe;
  }

  #begin(entry: SessionEntry): SessionPipe & BasePipe {
    const session = entry.session ?? entry.begin();
    const pipe = sessionPipe(session, this.#setup.options, nobodyMigrates);
    this.#pipeOf.set(entry, pipe);
    if (this.#setup.session.commit) this.#commit(session, pipe, this.#setup.session.commit);
    if (this.#addresses) session.core.sendAddresses(this.#addresses);
    return pipe;
  }

  /** Makes what was received safe before the client learns that it was. */
  #commit(session: Session, pipe: BasePipe, commit: (id: string, consumed: number) => Promise<void>): void {
    const { core, link } = session;
    const committer = new Committer({
      core,
      handed: () => link.handed - pipe.kept().length,
      commit: async (handed) => await commit(session.id.toHex(), handed),
      failed: (error) => session.lose("internal", "what was received could not be made safe", 5, error),
    });
    link.onWanted = () => committer.wanted();
  }

  /** Why somebody may have no new session. */
  #refuse({ greeting, client }: Caller, link: Link): Rejection | null {
    const { authorize, backlog } = this.#setup.session;
    const address = link.remoteAddress;
    if (authorize && !authorize({ publicKey: client, greeting, address })) return { code: REJECT.notAllowed };
    const isBusy = this.#draining || this.#closing !== undefined || this.#pipes.size >= backlog ||
      this.#table.excess(peerOf(client, link)) !== undefined;
    return isBusy ? { code: REJECT.busy, wait: BUSY } : null;
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

  /** One that nobody can come back to. */
  #abandon({ session }: SessionEntry): void {
    session?.lose("expired", "the server is closed, so nobody can come back", 3);
  }

  #ended(entry: SessionEntry): void {
    this.#pipeOf.delete(entry);
    this.#wake();
  }

  #announce(addresses: readonly string[]): void {
    for (const entry of this.#table.alive()) entry.session?.core.sendAddresses(addresses);
    this.#addresses = addresses;
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #addressOf(address: Deno.Addr): PipeAddress {
    const transport = this.#place?.transport ?? "tcp";
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

function nobodyMigrates(): Promise<void> {
  return Promise.reject(new TypeError("Cannot migrate a session: only the end that connects can"));
}

/** Whose session it is: a key where clients show one, else an address. */
function peerOf(client: Uint8Array | null, link: Link): string {
  return client ? `key ${client.toHex()}` : `at ${addressKey(addrOf(link.remoteAddress)) ?? ""}`;
}

function addrOf(address: PipeAddress): Deno.Addr {
  if ("hostname" in address) return { transport: "tcp", hostname: address.hostname, port: address.port };
  return { transport: "unix", path: address.transport === "unix" ? address.path : "" };
}

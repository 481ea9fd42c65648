/** The sessions of a server, whatever their connections come by: how they begin, go on, are told of, moved and given up. */

import { type Clock, systemClock } from "../../internal/clock.ts";
import type { Store } from "../../internal/store.ts";
import type { BasePipe } from "../_base_pipe.ts";
import type { Link } from "../_link.ts";
import { acceptCarrier } from "./_accept_carrier.ts";
import { secrecyOf } from "./_carrier_dial.ts";
import { Committer } from "./_committer.ts";
import { SessionCore } from "./_core.ts";
import type { ConfirmedStep, Rejection } from "./_handshake.ts";
import { REJECT } from "./_handshake_frames.ts";
import { peerOf } from "./_peer.ts";
import { saveSessions, takeSessions } from "./_save_sessions.ts";
import type { Caller } from "./_server_handshake.ts";
import { checkClient, type ServerSetup } from "./_server_setup.ts";
import type { Session } from "./_session.ts";
import type { SessionEntry } from "./_session_entry.ts";
import { sessionPipe } from "./_session_pipe.ts";
import { SessionTable } from "./_session_table.ts";
import type {
  RestoredSession,
  SaveSessionsOptions,
  SessionServerStatus,
  SessionSnapshotOptions,
} from "./session_server.ts";
import type { SessionPipe } from "./session.ts";

/** Who has the sessions. */
export interface HubOwner {
  /** Whether a new session has to wait. */
  busy(): boolean;
  /** Whether nobody can come back any more. */
  closed(): boolean;
  /** A session is over. */
  ended(): void;
}

/** For how many milliseconds a client that is too much is asked to stay away. */
const BUSY = 1000;

/** The sessions of one server. */
export class SessionHub {
  readonly #setup: ServerSetup;
  readonly #clock: Clock;
  readonly #owner: HubOwner;
  readonly #table: SessionTable;
  /** The pipes of the sessions that are at work. */
  readonly #pipeOf = new Map<SessionEntry, SessionPipe & BasePipe>();
  #addresses: readonly string[] | undefined;

  /**
   * @param setup What they are like.
   * @param owner Who has them.
   */
  constructor(setup: ServerSetup, owner: HubOwner) {
    const { options, session } = setup;
    const clock = this.#clock = options.clock ?? systemClock;
    this.#setup = setup;
    this.#owner = owner;
    this.#table = new SessionTable(
      { sessions: session.maxSessions, perPeer: session.maxPerPeer, memory: session.memoryLimit },
      {
        clock,
        network: () => options.network?.state,
        suspended: (entry) => owner.closed() && this.#abandon(entry),
        ended: (entry) => {
          this.#pipeOf.delete(entry);
          owner.ended();
        },
      },
    );
  }

  /** How many are at work, with a carrier or without. */
  get size(): number {
    return this.#table.size;
  }

  /** How each of them does. */
  get status(): Omit<SessionServerStatus, "handshakes"> {
    const sessions = [...this.#table.alive()].flatMap(({ session }) => {
      if (!session) return [];
      const { core, link, info } = session;
      const { id, state, secrecy, sent, acknowledged, received, resumes, suspended } = info;
      const facts = { id, state, secrecy, sent, acknowledged, received, resumes, suspended };
      return [{ ...facts, remoteAddress: link.remoteAddress, roundTrip: core.srtt, memory: core.memory }];
    });
    const { memories: remembered, memory } = this.#table;
    return { sessions, remembered, memory };
  }

  /**
   * Waits until the client at the other end of a connection has proven itself.
   *
   * @param link The connection.
   * @returns The pipe where a session begins; `null` where one goes on.
   * @throws What the handshake failed by; the connection is ended then.
   */
  async accept(link: Link): Promise<(SessionPipe & BasePipe) | null> {
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
    return this.#confirmed(link, confirmed);
  }

  /** Tells all clients, and those to come, where else the server can be found. */
  announce(addresses: readonly string[]): void {
    for (const { session } of this.#table.alive()) session?.core.sendAddresses(addresses);
    this.#addresses = addresses;
  }

  /** Gives all of them up. */
  loseAll(): void {
    for (const { session } of this.#table.alive()) session?.lose("aborted", "the server is closed", 0);
  }

  /** Nobody can come back: gives those up that have no carrier, and forgets the others. */
  close(): void {
    for (const entry of this.#table.alive()) if (entry.session?.state === "suspended") this.#abandon(entry);
    this.#table.clear();
  }

  /**
   * Puts all of them into a store; none of them says or hears anything from now on.
   *
   * @param store Where to.
   * @param options Encryption, and what the application wants to keep besides.
   * @param waiting Those that the application has not got.
   * @returns How many there were.
   */
  async save(store: Store, options: SaveSessionsOptions, waiting: ReadonlySet<BasePipe>): Promise<number> {
    const sessions = this.#table.all.map((entry) => {
      const pipe = this.#pipeOf.get(entry);
      return { entry, pipe, isOut: pipe !== undefined && !waiting.has(pipe) };
    });
    try {
      await saveSessions(sessions, store, options);
    } finally {
      for (const { pipe } of sessions) pipe?.abort("the session goes on in another process");
      this.#pipeOf.clear();
    }
    return sessions.filter(({ pipe }) => pipe !== undefined).length;
  }

  /** Goes on with the sessions that are in a store. */
  async restore(store: Store, options: SessionSnapshotOptions): Promise<readonly RestoredSession[]> {
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

  /** A client has proven itself. */
  #confirmed(link: Link, confirmed: ConfirmedStep): (SessionPipe & BasePipe) | null {
    const entry = this.#table.find(confirmed.id);
    if (!entry || this.#owner.closed()) {
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
    entry.resume(ready);
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
  #commit(session: Session, pipe: BasePipe, commit: (id: string, received: number) => Promise<void>): void {
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
    const { authorize } = this.#setup.session;
    const address = link.remoteAddress;
    if (authorize && !authorize({ publicKey: client, greeting, address })) return { code: REJECT.notAllowed };
    const isBusy = this.#owner.busy() || this.#table.excess(peerOf(client, link)) !== undefined;
    return isBusy ? { code: REJECT.busy, wait: BUSY } : null;
  }

  /** One that nobody can come back to. */
  #abandon({ session }: SessionEntry): void {
    session?.lose("expired", "the server is closed, so nobody can come back", 3);
  }
}

function nobodyMigrates(): Promise<void> {
  return Promise.reject(new TypeError("Cannot migrate a session: only the end that connects can"));
}

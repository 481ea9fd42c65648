/** A session as the server's table has it: offered, at work, or over and not forgotten. */

import type { Clock } from "../../internal/clock.ts";
import type { NetworkViewState } from "../../internal/network_view.ts";
import { concat } from "./_keys.ts";
import type { KnownSession, Rejection, SessionKeys } from "./_handshake.ts";
import { REJECT, type Terms } from "./_handshake_frames.ts";
import { SessionCore } from "./_core.ts";
import { type ReadyCarrier, Session, type SessionOwner } from "./_session.ts";
import { SessionCarrier } from "./_session_carrier.ts";
import type { SessionInfo } from "./session.ts";

/** What is known of a session from the first. */
export interface SessionFacts extends SessionKeys {
  /** Its name, 16 bytes. */
  readonly id: Uint8Array;
  /** What both keep to. */
  readonly terms: Terms;
  /** What the client said first. */
  readonly greeting: Uint8Array;
  /** The key that the client has proven to own. */
  readonly client: Uint8Array | null;
  /** Whose session it is, for counting. */
  readonly peer: string;
  /** How its carriers are protected. */
  readonly secrecy: SessionInfo["secrecy"];
}

/** What sessions of one server have in common. */
export interface EntryContext {
  /** Source of time. */
  readonly clock: Clock;
  /** The network as it is. */
  readonly network: () => NetworkViewState | undefined;
  /** Called when one has lost its carrier. */
  suspended(entry: SessionEntry): void;
  /** Called when one is over. */
  ended(entry: SessionEntry): void;
}

/** One session. */
export class SessionEntry implements KnownSession, SessionOwner {
  /** What is known from the first. */
  readonly facts: SessionFacts;
  readonly clientKey: Uint8Array;
  readonly serverKey: Uint8Array;
  rejection: Rejection | undefined;
  /** When it is forgotten, on the monotonic clock; never as long as it is at work. */
  until: number;
  /** What is at work, or is closed and may have to say so again; undefined before the client has proven itself. */
  session: Session | undefined;
  readonly #context: EntryContext;
  #epoch = 0;

  /**
   * @param facts What is known of it.
   * @param context What it shares with others.
   */
  constructor(facts: SessionFacts, context: EntryContext) {
    this.facts = facts = compact(facts);
    this.clientKey = facts.clientKey;
    this.serverKey = facts.serverKey;
    this.#context = context;
    this.until = context.clock.monotonic() + facts.terms.expiry;
  }

  get epoch(): number {
    return Math.max(this.session?.epoch ?? 0, this.#epoch);
  }

  received(): number {
    return this.session?.core.received ?? 0;
  }

  /** Whether it is at work. */
  get alive(): boolean {
    return this.session !== undefined && !this.session.over;
  }

  /** Begins to work, now that the client has proven itself or the session was restored. */
  begin(core: SessionCore = this.#newCore(), epoch?: number): Session {
    const { id, terms, secrecy, client, greeting } = this.facts;
    const { clock, network } = this.#context;
    this.until = Infinity;
    return this.session = new Session({
      ...{ role: "server", id, core, expiry: terms.expiry, secrecy, peerKey: client, greeting },
      ...{ clock, network, owner: this, epoch },
    });
  }

  /** Goes on over another carrier; a session that is complete only says so again. */
  resume(ready: ReadyCarrier): void {
    const { session } = this;
    if (!session) return ready.link.abort();
    if (!session.over) return void session.attach(ready);
    session.release();
    this.#epoch = Math.max(this.#epoch, ready.epoch);
    const { core } = session;
    const carrier = new SessionCarrier({ ...ready, intake: undefined, hungry: () => false, lost: () => {} });
    core.onOutput = () => carrier.wake();
    carrier.begin(core.attach(ready.peerReceived), ready.rest);
    const timer = this.#context.clock.after(FAREWELL, () => carrier.abort());
    void carrier.finish().then(() => timer.cancel());
  }

  suspended(): void {
    this.#context.suspended(this);
  }

  ended(session: Session): void {
    this.until = this.#context.clock.monotonic() + Math.min(REMEMBERED, this.facts.terms.expiry);
    if (session.core.failure) {
      const { reason } = session.error ?? {};
      this.rejection = { code: reason === "resources" ? REJECT.resources : REJECT.expired };
      this.#epoch = session.epoch;
      this.session = undefined;
    }
    this.#context.ended(this);
  }

  /** Only answers a client that asks again. */
  remember(): void {
    this.session?.release();
    this.until = this.#context.clock.monotonic() + Math.min(REMEMBERED, this.facts.terms.expiry);
  }

  #newCore(): SessionCore {
    const { window, keepalive } = this.facts.terms;
    return new SessionCore({ role: "server", window, keepalive, now: () => this.#context.clock.monotonic() });
  }
}

/** For how long a session that is over is remembered, in milliseconds. */
const REMEMBERED = 60_000;

/** How long the last word to a client that asks again may take to leave, in milliseconds. */
const FAREWELL = 2000;

const NOTHING = new Uint8Array(0);

/** One piece of memory for all of it, which holds nothing of the handshake that it came from. */
function compact(facts: SessionFacts): SessionFacts {
  const { id, clientKey, serverKey, greeting, client } = facts;
  const all = concat(id, clientKey, serverKey);
  return {
    ...facts,
    id: all.subarray(0, 16),
    clientKey: all.subarray(16, 48),
    serverKey: all.subarray(48),
    greeting: greeting.length > 0 ? greeting.slice() : NOTHING,
    client: client && new Uint8Array(client),
  };
}

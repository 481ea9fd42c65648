/** One connection in a tunnel: a program's own connection at this end, and the session that carries it on. */

import type { Clock } from "../../internal/clock.ts";
import { formatPipeAddress } from "../address.ts";
import type { Pipe } from "../pipe.ts";
import { relay, type RelayFailure } from "../relay.ts";
import { abortSession } from "../resume/_session_pipe.ts";
import type { SessionPipe } from "../resume/session.ts";
import { RESET } from "./_codes.ts";
import { failureOf } from "./_tunnel_failure.ts";
import type { TunnelConnection, TunnelEvent, TunnelFailure } from "./tunnel.ts";

/** What is known of a connection. */
export interface FlowFacts {
  /** Where it leads, in words. */
  readonly target: string | null;
  /** Who it comes from, in words. */
  readonly from: string;
  /** The client's key, by its fingerprint. */
  readonly key?: string | null;
}

/** One connection in a tunnel. */
export class Flow {
  /** What carries it. */
  readonly session: SessionPipe;
  readonly #facts: FlowFacts;
  readonly #clock: Clock;
  readonly #since: number;
  readonly #tell: (event: TunnelEvent) => void;
  #inner: Pipe | undefined;
  #failure: TunnelFailure | null = null;

  /**
   * @param session What carries it.
   * @param facts What is known of it.
   * @param clock Source of time.
   * @param tell Who hears of what happens to it.
   */
  constructor(session: SessionPipe, facts: FlowFacts, clock: Clock, tell: (event: TunnelEvent) => void) {
    this.session = session;
    this.#facts = facts;
    this.#clock = clock;
    this.#since = clock.now();
    this.#tell = tell;
    for (const type of ["suspended", "resumed", "migrated"] as const) {
      session.on(type, ({ at }) => tell({ type, at, connection: this.status }));
    }
  }

  /** It, as it is now. */
  get status(): TunnelConnection {
    const { id, state, sent, received, resumes, suspended } = this.session.session;
    const { target, from, key = null } = this.#facts;
    const roundTrip = this.session.stats.roundTrip;
    const counts = { sent, received, roundTrip, resumes, suspended };
    return { id, target, from, key, state, since: this.#since, ...counts };
  }

  /**
   * Carries it until both ends have said all, or one of them fails. A failure at one end is one at the other, never an end.
   *
   * @param inner The program's own connection.
   */
  async run(inner: Pipe): Promise<void> {
    const { session } = this;
    this.#inner = inner;
    // It may be lost before it was begun with.
    if (this.#failure) inner.abort();
    this.#tell({ type: "open", at: this.#clock.now(), connection: this.status });
    const failed = ({ pipe, error }: RelayFailure): void => {
      this.#failure ??= failureOf(error, pipe === "a" ? "inner" : "tunnel");
      if (pipe === "a") abortSession(session, RESET, `what is behind it was reset: ${shown(error)}`);
    };
    const { failure } = await relay(inner, session as unknown as Pipe, { failed });
    if (failure) failed(failure);
    this.#tell({ type: "end", at: this.#clock.now(), connection: this.status, failure: this.#failure });
  }

  /**
   * Ends it at both ends.
   *
   * @param code What the other end is told.
   * @param why In words.
   */
  abort(code: number, why: string): void {
    this.#failure ??= { where: "tunnel", code: "aborted", message: `Cannot go on: ${why}` };
    abortSession(this.session, code, why);
    this.session.abort(why);
    this.#inner?.abort(why);
  }
}

/** Who a connection comes from, in words. */
export function shownPeer({ remoteAddress }: Pick<Pipe, "remoteAddress">): string {
  return formatPipeAddress(remoteAddress).replace(/^tcp:\/\//, "");
}

/** The other end gets no more than 256 bytes of it. */
function shown(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 150);
}

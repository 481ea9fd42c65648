/** All sessions of a server by their names: how many there may be, and which of them are forgotten or given up, and when. */

import type { Timer } from "../../internal/clock.ts";
import { type EntryContext, SessionEntry, type SessionFacts } from "./_session_entry.ts";

/** How many there may be. */
export interface TableLimits {
  /** In all. */
  readonly sessions: number;
  /** Of one client. */
  readonly perPeer: number;
  /** Bytes that all of them may hold. */
  readonly memory: number;
}

/** How often it is looked after, in milliseconds. */
const PACE = 500;

/** How many that are over, or that nobody has proven to be his, are remembered; the oldest are forgotten first. */
const MEMORIES = 10_000;

/** The sessions of a server. */
export class SessionTable {
  readonly #limits: TableLimits;
  readonly #context: EntryContext;
  readonly #entries = new Map<string, SessionEntry>();
  /** Those that were offered, or are over. */
  readonly #waiting = new Set<SessionEntry>();
  readonly #perPeer = new Map<string, number>();
  #live = 0;
  /** Bytes that all of them held when it was looked at last. */
  #held = 0;
  #timer: Timer | undefined;

  /**
   * @param limits How many there may be.
   * @param context What they share; told of their ends.
   */
  constructor(limits: TableLimits, context: EntryContext) {
    this.#limits = limits;
    this.#context = {
      ...context,
      ended: (entry) => {
        this.#ended(entry);
        context.ended(entry);
      },
    };
  }

  /** How many are at work, with a carrier or without. */
  get size(): number {
    return this.#live;
  }

  /** How many are remembered besides: offered, or over. */
  get memories(): number {
    return this.#waiting.size;
  }

  /** Bytes that all of them hold for what is on its way. */
  get memory(): number {
    let bytes = 0;
    for (const { session } of this.#entries.values()) bytes += session?.core.memory ?? 0;
    return bytes;
  }

  /** Those that are at work. */
  *alive(): IterableIterator<SessionEntry> {
    for (const entry of [...this.#entries.values()]) if (entry.alive) yield entry;
  }

  /** Those that are at work, and those that were closed and may have to say so again. */
  get all(): readonly SessionEntry[] {
    return [...this.#entries.values()].filter(({ session }) => session !== undefined);
  }

  /** Finds one that is there, or was. */
  find(id: Uint8Array): SessionEntry | undefined {
    const entry = this.#entries.get(id.toHex());
    return entry && entry.until > this.#context.clock.monotonic() ? entry : undefined;
  }

  /** Why a client may have no further session; `undefined` where he may. */
  excess(peer: string): "sessions" | "peer" | "memory" | undefined {
    const { sessions, perPeer, memory } = this.#limits;
    if (this.#live >= sessions) return "sessions";
    if ((this.#perPeer.get(peer) ?? 0) >= perPeer) return "peer";
    // To count takes longer than to refuse.
    if (this.#held > memory) this.evict();
    return this.#held > memory ? "memory" : undefined;
  }

  /** Keeps one that is offered to a client. */
  offer(facts: SessionFacts): SessionEntry {
    const entry = new SessionEntry(facts, this.#context);
    this.#entries.set(facts.id.toHex(), entry);
    this.#remember(entry);
    return entry;
  }

  /** One is at work from now on. */
  began(entry: SessionEntry): void {
    this.#waiting.delete(entry);
    this.#live++;
    this.#count(entry.facts.peer, 1);
    this.#arm();
  }

  /** Forgets all; those that are at work are nobody's. */
  clear(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#entries.clear();
    this.#waiting.clear();
    this.#perPeer.clear();
    this.#live = 0;
  }

  /** Gives up those that have been without a carrier for longest, as long as all together hold too much. */
  evict(): void {
    this.#held = this.memory;
    if (this.#held <= this.#limits.memory) return;
    const suspended = [...this.alive()].flatMap(({ session }) =>
      session && session.suspendedSince !== null ? [{ session, since: session.suspendedSince }] : []
    ).sort((a, b) => a.since - b.since);
    for (const { session } of suspended) {
      if (this.#held <= this.#limits.memory) return;
      this.#held -= session.core.memory;
      session.lose("resources", "the server had no memory left", 2);
    }
  }

  #ended(entry: SessionEntry): void {
    // One that outlived its server is counted no more.
    if (!this.#entries.has(entry.facts.id.toHex())) return;
    this.#live--;
    this.#count(entry.facts.peer, -1);
    this.#remember(entry);
  }

  #remember(entry: SessionEntry): void {
    this.#waiting.add(entry);
    const [oldest] = this.#waiting;
    if (this.#waiting.size > MEMORIES && oldest) this.#forget(oldest);
    this.#arm();
  }

  #forget(entry: SessionEntry): void {
    this.#waiting.delete(entry);
    this.#entries.delete(entry.facts.id.toHex());
  }

  #arm(): void {
    if (this.#timer || this.#entries.size === 0) return;
    this.#timer = this.#context.clock.after(PACE, () => {
      this.#timer = undefined;
      const now = this.#context.clock.monotonic();
      for (const entry of this.#waiting) if (entry.until <= now) this.#forget(entry);
      this.evict();
      this.#arm();
    });
  }

  #count(peer: string, by: number): void {
    const count = (this.#perPeer.get(peer) ?? 0) + by;
    if (count > 0) this.#perPeer.set(peer, count);
    else this.#perPeer.delete(peer);
  }
}

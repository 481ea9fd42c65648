/** Who is there, by what all brokers say together: one broker that restarts makes nobody leave. Pure. */

import type { Presence } from "./peer_options.ts";

/** What a notice of presence can say. */
export type PresenceKind = "here" | "gone" | "bye";

const KINDS: readonly PresenceKind[] = ["here", "gone", "bye"];

/** How often a peer that announces itself says so, in milliseconds; never sooner. */
export const BEAT = 66_000;

/** After how long a silence a peer is suspect, and then offline, in milliseconds. */
const [SILENT, LOST] = [2.5 * BEAT, 3.5 * BEAT];

/** How many lives of a peer are remembered as past. */
const PAST_LIVES = 16;

/** The content of a notice of presence. */
export function encodePresence(kind: PresenceKind): Uint8Array {
  return Uint8Array.of(1 + KINDS.indexOf(kind));
}

/** Reads the content of a notice of presence. */
export function decodePresence(content: Uint8Array): PresenceKind | undefined {
  return KINDS[(content[0] ?? 0) - 1];
}

/** One peer's presence. */
export class PresenceRecord {
  #session: string | undefined;
  #number = -1;
  /** Earlier lives, and the highest number of each. */
  readonly #past = new Map<string, number>();
  /** The brokers at which it said that it is there, and those that have said since that it is gone. */
  readonly #here = new Set<number>();
  readonly #gone = new Set<number>();
  #left = false;
  #heardAt = -Infinity;

  /** Which life of the peer spoke last. */
  get session(): string | undefined {
    return this.#session;
  }

  /**
   * Takes a notice in.
   *
   * @param kind What it says.
   * @param notice Of which life of the peer, and its number.
   * @param broker By which broker it came.
   * @param now The monotonic time.
   * @returns `new-life` where the peer has begun anew, `here` where it has just said that it is there; `old` where it says nothing.
   */
  notice(
    kind: PresenceKind,
    notice: { readonly session: string; readonly number: number },
    broker: number,
    now: number,
  ): "new-life" | "here" | "gone" | "old" {
    const { session, number } = notice;
    // Recorded notices make nobody leave; what has not been heard yet is no recording (two processes may be one peer).
    if (number <= (this.#past.get(session) ?? -1)) return "old";
    if (kind === "gone") {
      if (session !== this.#session || !this.#here.has(broker)) return "old";
      this.#gone.add(broker);
      return "gone";
    }
    // What was recorded once says nothing, and copies of one notice by other brokers do no harm.
    if (session === this.#session && number < this.#number) return "old";
    const fresh = session !== this.#session;
    if (fresh) this.#begin(session);
    this.#number = number;
    this.#left = kind === "bye";
    if (this.#left) return "gone";
    this.#here.add(broker);
    this.#gone.delete(broker);
    this.#heardAt = now;
    return fresh ? "new-life" : "here";
  }

  /** Nothing is known by a broker any more: the own link to it broke. */
  forget(broker: number): void {
    this.#here.delete(broker);
    this.#gone.delete(broker);
  }

  /** Something genuine came from the peer. */
  heard(now: number): void {
    this.#heardAt = Math.max(this.#heardAt, now);
  }

  /** What it looks like now. */
  state(now: number): Presence {
    if (this.#left) return "offline";
    if (this.#heardAt === -Infinity) return "unknown";
    const silence = now - this.#heardAt;
    const allGone = this.#here.size > 0 && this.#gone.size === this.#here.size;
    if (allGone || silence >= LOST) return "offline";
    return this.#gone.size > 0 || silence >= SILENT ? "suspect" : "online";
  }

  /** How long the state lasts by itself, in milliseconds. */
  nextChange(now: number): number {
    const silence = now - this.#heardAt;
    if (silence < SILENT) return SILENT - silence;
    return silence < LOST ? LOST - silence : Infinity;
  }

  #begin(session: string): void {
    if (this.#session !== undefined) this.#past.set(this.#session, this.#number);
    for (const oldest of this.#past.keys()) {
      if (this.#past.size <= PAST_LIVES) break;
      this.#past.delete(oldest);
    }
    this.#session = session;
    this.#here.clear();
    this.#gone.clear();
  }
}

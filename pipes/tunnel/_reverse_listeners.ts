/** Where the server listens for its clients, and those who have come there and wait for their client. */

import { timingSafeEqual } from "node:crypto";
import type { Clock, Timer } from "../../internal/clock.ts";
import type { Pipe } from "../pipe.ts";
import { abortSession } from "../resume/_session_pipe.ts";
import type { SessionPipe } from "../resume/session.ts";
import { NO_LISTENER } from "./_codes.ts";
import { TOKEN } from "./_greeting.ts";
import { type InnerListener, listenInner } from "./_inner.ts";
import { formatTarget, type TunnelTarget } from "./target.ts";

/** How long somebody waits for the client, which may be without a link, in milliseconds. */
const PATIENCE = 120_000;

/** How many may wait for one client. */
const WAITING = 256;

interface Place {
  readonly session: SessionPipe;
  readonly address: TunnelTarget;
  readonly listener: InnerListener;
  waiting: number;
}

interface Waiting {
  readonly inner: Pipe;
  readonly place: Place;
  readonly timer: Timer;
}

/** Who hears of it. */
export interface ReverseNews {
  /** It listens for a client. */
  listening(address: string): void;
  /** Somebody came and was not led anywhere. */
  refused(from: Pipe, code: string, message: string): void;
}

/** Them. */
export class ReverseListeners {
  readonly #places = new Map<string, Place>();
  readonly #waiting = new Map<string, Waiting>();
  readonly #clock: Clock;
  readonly #news: ReverseNews;

  /**
   * @param clock Source of time.
   * @param news Who hears of it.
   */
  constructor(clock: Clock, news: ReverseNews) {
    this.#clock = clock;
    this.#news = news;
  }

  /**
   * Listens for a client until its session is over, and tells it of those who come.
   *
   * @param session The session, on which the client gets the port and then a token for each who comes.
   * @param address Where.
   */
  async serve(session: SessionPipe, address: TunnelTarget): Promise<void> {
    const name = formatTarget(address);
    await this.#replace(name, session);
    let place: Place;
    try {
      const options = { clock: this.#clock, maxConnections: 1024 };
      place = { session, address, listener: await listenInner(address, options), waiting: 0 };
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return abortSession(session, NO_LISTENER, why.slice(0, 200));
    }
    this.#places.set(name, place);
    const coming = this.#tell(place);
    try {
      for (const one of place.listener.addresses) this.#news.listening(one);
      const port = Number(place.listener.addresses[0]?.split(":").at(-1));
      await session.send(Uint8Array.of(port >> 8, port & 0xff));
      // It has nothing to say but that it ends.
      while (await session.recv()) { /* Nobody wants it. */ }
      await session.close();
    } catch {
      // It is lost, and whoever waits for it waits in vain.
    } finally {
      if (this.#places.get(name) === place) this.#places.delete(name);
      await place.listener.close();
      await coming;
      for (const [token, waiting] of this.#waiting) if (waiting.place === place) this.#drop(token);
    }
  }

  /**
   * Gives out one of those who wait.
   *
   * @param session Who asks.
   * @param token Whom for.
   * @returns His connection; `null` where nobody of this name waits for this client.
   */
  take(session: SessionPipe, token: Uint8Array): Pipe | null {
    const waiting = this.#waiting.get(token.toHex());
    if (!waiting || !isSameClient(waiting.place.session, session)) return null;
    this.#forget(token.toHex(), waiting);
    return waiting.inner;
  }

  /**
   * Ends the listening for those who may not any more.
   *
   * @param code What they are told.
   * @param why In words.
   * @param which Picks them.
   * @returns How many there were.
   */
  revoke(code: number, why: string, which: (session: SessionPipe, address: TunnelTarget) => boolean): number {
    const chosen = [...this.#places.values()].filter(({ session, address }) => which(session, address));
    for (const { session } of chosen) abortSession(session, code, why);
    return chosen.length;
  }

  /** Ends all of it. */
  async close(): Promise<void> {
    const places = [...this.#places.values()];
    for (const { session } of places) session.abort("the tunnel is closed");
    for (const token of this.#waiting.keys()) this.#drop(token);
    await Promise.all(places.map(({ listener }) => listener.close()));
  }

  /** A client that was started again finds its place taken by what is left of itself. */
  async #replace(name: string, session: SessionPipe): Promise<void> {
    const before = this.#places.get(name);
    if (!before || before.session.session.state !== "suspended" || !isSameClient(before.session, session)) {
      return;
    }
    before.session.abort("the client has come again");
    await before.listener.close();
  }

  async #tell(place: Place): Promise<void> {
    for await (const inner of place.listener.pipes) {
      if (place.waiting >= WAITING) {
        inner.abort();
        this.#news.refused(inner, "full", "too many wait for the client");
        continue;
      }
      const token = crypto.getRandomValues(new Uint8Array(TOKEN));
      const timer = this.#clock.after(PATIENCE, () => {
        this.#drop(token.toHex());
        this.#news.refused(inner, "timeout", "the client did not come");
      });
      place.waiting++;
      this.#waiting.set(token.toHex(), { inner, place, timer });
      // Where it is lost, all who wait are dropped.
      place.session.send(token).catch(() => {});
    }
  }

  #drop(token: string): void {
    const waiting = this.#waiting.get(token);
    if (!waiting) return;
    this.#forget(token, waiting);
    waiting.inner.abort();
  }

  #forget(token: string, waiting: Waiting): void {
    this.#waiting.delete(token);
    waiting.timer.cancel();
    waiting.place.waiting--;
  }
}

/** Of clients without a key of their own nobody can be told from another. */
function isSameClient(a: SessionPipe, b: SessionPipe): boolean {
  const [one, other] = [a.session.peerKey, b.session.peerKey];
  return one === null || other === null ? one === other : timingSafeEqual(one, other);
}

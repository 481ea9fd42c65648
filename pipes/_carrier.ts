/** The connection below a pipe, which may be replaced by another one. */

import { type Clock, holdProcess } from "../internal/clock.ts";
import type { Transport } from "./address.ts";
import type { Framer } from "./framing.ts";
import { Inbound } from "./_inbound.ts";
import type { Link } from "./_link.ts";
import { Outbound } from "./_outbound.ts";
import type { PipeData } from "./pipe.ts";

/** What those get who need not wait. */
const DONE = Promise.resolve();

/** Whose pending writes keep the process alive. */
const SYSTEM: readonly Transport[] = ["tcp", "tls", "unix"];

/**
 * What the pipe hears of its link: it cannot be written to; something went wrong that did not end it; it heard of the other
 * end, or did not for too long; nobody is there any more.
 */
export type CarrierNews = "unwritable" | "trouble" | "proven" | "suspect" | "dead";

/** What a {@linkcode Carrier} is made with. */
export interface CarrierOptions {
  /** How messages lie in a stream of bytes. */
  readonly framing: Framer | null;
  /** How many bytes may wait to be sent. */
  readonly highWaterMark: number;
  /** What tells the pipe. */
  readonly tell: (news: CarrierNews, error?: unknown) => void;
}

/** A link, and the ways in and out over it. */
export class Carrier {
  /** The connection. */
  link: Link;
  /** The way in. */
  readonly inbound: Inbound;
  /** The way out. */
  readonly outbound: Outbound;
  /** How often it was replaced. */
  reconnects = 0;
  /** Whether it is being closed by us, so that how it ends is no news. */
  closing = false;
  readonly #tell: CarrierOptions["tell"];
  /** What links that are gone had no room for. */
  #dropped = 0;

  /**
   * @param link The connection.
   * @param options Framing, limits, and who is told of trouble.
   */
  constructor(link: Link, options: CarrierOptions) {
    const { framing, highWaterMark, tell } = options;
    this.#tell = tell;
    this.link = link;
    this.inbound = new Inbound(link, framing);
    this.outbound = new Outbound(link, framing, highWaterMark, tell);
    this.#hear(link);
  }

  /** How many messages were dropped on the way, in and out. */
  get dropped(): number {
    return this.outbound.dropped + this.#dropped + (this.link.dropped ?? 0);
  }

  /** Ends the link, to go on with another one. */
  lose(): void {
    this.inbound.suspend();
    this.outbound.pause();
    this.link.abort();
  }

  /** Sends; resolves when there is room for more, and keeps the process alive until then. */
  send(data: PipeData, clock: Clock, signal: AbortSignal | undefined): Promise<void> {
    const room = this.outbound.send(data, signal);
    if (!room) return DONE;
    // A write of the system keeps it alive by itself, and a timer would cost more than the message.
    return SYSTEM.includes(this.link.transport) ? room : held(room, clock);
  }

  /** Waits until everything was sent, or could not be, but not for longer than some milliseconds. */
  async flush(milliseconds: number, clock: Clock): Promise<void> {
    const expired = Promise.withResolvers<void>();
    const timer = clock.after(milliseconds, expired.resolve, { ref: true });
    await Promise.race([this.outbound.flush().catch(() => {}), expired.promise]);
    timer.cancel();
  }

  /** Closes the link; what was not sent by now never is. */
  async close(): Promise<void> {
    this.closing = true;
    if (this.outbound.buffered > 0) this.link.abort();
    else await this.link.close();
  }

  /** Goes on with another link. */
  replace(link: Link): void {
    this.#dropped += this.link.dropped ?? 0;
    this.link = link;
    this.reconnects++;
    this.#hear(link);
    this.inbound.replace(link);
    this.outbound.replace(link);
  }

  /** Passes on what the link says by itself, as long as it is this one's. */
  #hear(link: Link): void {
    // A stream of bytes says nothing but what reading and writing say.
    if (link.unit === "bytes") return;
    const tell = (news: CarrierNews, error?: unknown): void => {
      if (link === this.link) this.#tell(news, error);
    };
    link.onTrouble = (error) => tell("trouble", error);
    link.onProof = (proven) => tell(proven ? "proven" : "suspect");
    link.onLoss = (error) => tell("dead", error);
  }
}

async function held(room: Promise<void>, clock: Clock): Promise<void> {
  using _hold = holdProcess(clock);
  await room;
}

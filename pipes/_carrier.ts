/** The connection below a pipe, which may be replaced by another one. */

import type { Clock } from "../internal/clock.ts";
import type { Framer } from "./framing.ts";
import { Inbound } from "./_inbound.ts";
import type { Link } from "./_link.ts";
import { Outbound } from "./_outbound.ts";

/** What a {@linkcode Carrier} is made with. */
export interface CarrierOptions {
  /** How messages lie in a stream of bytes. */
  readonly framing: Framer | null;
  /** How many bytes may wait to be sent. */
  readonly highWaterMark: number;
  /** Called when the link cannot be written to. */
  readonly writeFailed: (error: unknown) => void;
  /** Called for what a link does not end by. */
  readonly trouble: (error: unknown) => void;
  /** Called when the link heard of the other end, or did not for too long. */
  readonly prove: (proven: boolean) => void;
  /** Called when the link knows that nobody is at the other end any more. */
  readonly lose: (error: unknown) => void;
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
  readonly #options: CarrierOptions;
  /** What links that are gone had no room for. */
  #dropped = 0;

  /**
   * @param link The connection.
   * @param options Framing, limits, and who is told of trouble.
   */
  constructor(link: Link, options: CarrierOptions) {
    const { framing, highWaterMark, writeFailed } = options;
    this.#options = options;
    this.link = link;
    this.inbound = new Inbound(link, framing);
    this.outbound = new Outbound(link, framing, highWaterMark, writeFailed);
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
    const { trouble, prove, lose } = this.#options;
    link.onTrouble = trouble;
    link.onProof = (proven) => link === this.link ? prove(proven) : undefined;
    link.onLoss = (error) => link === this.link ? lose(error) : undefined;
  }
}

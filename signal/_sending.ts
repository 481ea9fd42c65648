/** The sending half of a conversation: what is due, what an acknowledgement means, what has expired. Pure. */

import type { AckFrame, ProbeFrame, StreamAck } from "./_delivery_frames.ts";
import { floorOf, type Fragment, type Outbox, type OutboxEntry, type OutboxStream } from "./outbox.ts";
import type { Paths } from "./paths.ts";
import { RoundTrips } from "./_rtt.ts";
import { getBit } from "./window.ts";

/** A fragment that is to be sent. */
export interface Due {
  readonly entry: OutboxEntry;
  readonly fragment: Fragment;
}

/** How soon a fragment is tried again that no broker took, in milliseconds. */
const NOT_TAKEN = 100;

/** What was sent within this time, in milliseconds, is not sent again for a sign of life. */
const JUST_SENT = 100;

/** How often a peer that does not answer is asked whether it has what is missing, before its next sign of life. */
const MAX_PROBES = 12;

/** How often something is sent without any answer before the channel is doubted. */
const PATIENCE = 3;

/** How many later fragments must have arrived for an earlier one to be taken for lost. */
const REORDERED = 3;

/** What {@linkcode Sending} is made with. */
export interface SendingOptions {
  readonly session: string;
  readonly outbox: Outbox;
  readonly paths: Paths;
  readonly random: () => number;
  /** Takes each message that has arrived as far as was asked for. */
  readonly settled: (entry: OutboxEntry, now: number) => void;
}

/** The sending half of a conversation. */
export class Sending {
  readonly #options: SendingOptions;
  readonly roundTrips: RoundTrips = new RoundTrips();
  readonly #probes = new Map<OutboxStream, { attempts: number; sentAt: number; nextAt: number }>();
  /** The life of the peer that acknowledged last. */
  #incarnation: string | undefined;

  constructor(options: SendingOptions) {
    this.#options = options;
  }

  /** Whether something waits to be sent for the first time or again, or for word from the peer. */
  get pending(): boolean {
    return this.#options.outbox.messages > 0 || this.#probes.size > 0;
  }

  /**
   * Whether the peer has not answered for so long that it may have lost the channel.
   *
   * @param heardAt When something genuine came from it last.
   */
  isUnanswered(heardAt: number): boolean {
    const unheard = ({ attempts, sentAt }: { attempts: number; sentAt: number }): boolean =>
      attempts >= PATIENCE && sentAt - heardAt > this.roundTrips.timeout;
    for (const { fragments } of this.#options.outbox.entries()) {
      for (const fragment of fragments) if (!fragment.received && unheard(fragment)) return true;
    }
    for (const probe of this.#probes.values()) if (unheard(probe)) return true;
    return false;
  }

  /** Takes the fragments whose time has come and that the peer takes. */
  due(now: number): Due[] {
    const out: Due[] = [];
    for (const stream of this.#options.outbox.streams) {
      let flying = false;
      for (const entry of stream.entries) {
        for (const fragment of entry.fragments) {
          if (fragment.received) continue;
          // Without credit one may go, in its own time: word of more credit may have been lost.
          if (fragment.seq >= stream.limit && flying) break;
          flying = true;
          if (fragment.seq >= stream.limit && fragment.attempts === 0 && fragment.sentAt === 0) {
            fragment.sentAt = now;
            fragment.nextAt = now + this.roundTrips.timeout;
          }
          if (fragment.nextAt <= now) out.push({ entry, fragment });
        }
      }
    }
    return out;
  }

  /** Takes the questions whose time has come. */
  dueProbes(now: number): ProbeFrame[] {
    const out: ProbeFrame[] = [];
    for (const stream of this.#options.outbox.streams) {
      if (!needsProbe(stream)) {
        this.#probes.delete(stream);
        continue;
      }
      const probe = this.#probes.get(stream) ??
        { attempts: 0, sentAt: now, nextAt: now + this.roundTrips.timeout };
      this.#probes.set(stream, probe);
      if (probe.nextAt > now) continue;
      if (probe.attempts >= MAX_PROBES) {
        // Until a sign of life; see restart().
        probe.nextAt = Infinity;
        continue;
      }
      probe.attempts++;
      probe.sentAt = now;
      probe.nextAt = now + this.roundTrips.retryAfter(probe.attempts + 1, this.#options.random());
      out.push({ type: "probe", session: this.#options.session, stream: stream.id, floor: floorOf(stream) });
    }
    return out;
  }

  /**
   * Notes that a fragment was sent.
   *
   * @param due The fragment.
   * @param by The brokers that took it, by their hash; none of them where the list is empty.
   * @param now The monotonic time.
   * @param hedged Whether others follow soon if it is not acknowledged.
   */
  sent({ fragment }: Due, by: readonly number[], now: number, hedged: boolean): void {
    if (by.length === 0) {
      fragment.nextAt = now + NOT_TAKEN;
      return;
    }
    for (const hash of by) fragment.tried.add(hash);
    fragment.attempts++;
    fragment.backoff++;
    fragment.sentAt = now;
    fragment.nextAt = now +
      (hedged && fragment.attempts === 1
        ? this.roundTrips.usual
        : this.roundTrips.retryAfter(fragment.backoff, this.#options.random()));
  }

  /** Takes an acknowledgement in; tells whether it was about something that is still on its way. */
  acknowledged(ack: AckFrame, now: number): void {
    if (this.#incarnation !== undefined && this.#incarnation !== ack.incarnation) this.#forgetReceived(now);
    this.#incarnation = ack.incarnation;
    for (const stream of ack.streams) {
      if (stream.session === this.#options.session) this.#stream(ack, stream, now);
    }
  }

  /**
   * The peer is (again) there: what waits for an answer goes at once.
   *
   * @param now The monotonic time.
   * @param all Also what was sent just now: the channel by which it went is no more.
   */
  restart(now: number, all: boolean): void {
    for (const { fragments } of this.#options.outbox.entries()) {
      for (const fragment of fragments) {
        // Several signs of life come at once, by several brokers.
        const justSent = !all && fragment.attempts > 0 && now - fragment.sentAt < JUST_SENT;
        fragment.backoff = 0;
        if (!fragment.received && !justSent) hurry(fragment, now);
      }
    }
    for (const probe of this.#probes.values()) {
      probe.nextAt = now;
      probe.attempts = 0;
    }
  }

  /** Takes out what is past its deadline. */
  expired(now: number): OutboxEntry[] {
    const { outbox } = this.#options;
    const out = [...outbox.entries()].filter(({ deadline }) => deadline <= now);
    for (const entry of out) outbox.remove(entry);
    return out;
  }

  /** When to look again; `active` says whether anything can be sent at all. */
  nextAt(active: boolean): number {
    let next = Infinity;
    for (const stream of this.#options.outbox.streams) {
      let flying = false;
      for (const entry of stream.entries) {
        next = Math.min(next, entry.deadline);
        if (!active) continue;
        for (const fragment of entry.fragments) {
          if (fragment.received) continue;
          if (fragment.seq >= stream.limit && flying) break;
          flying = true;
          next = Math.min(next, fragment.nextAt);
        }
      }
    }
    if (active) { for (const probe of this.#probes.values()) next = Math.min(next, probe.nextAt); }
    return next;
  }

  #stream(ack: AckFrame, streamAck: StreamAck, now: number): void {
    const { outbox, settled } = this.#options;
    const stream = outbox.stream(streamAck.stream);
    const before = stream.limit;
    stream.limit = Math.max(before, streamAck.limit);
    stream.toldFloor = Math.max(stream.toldFloor, Math.min(streamAck.next, floorOf(stream)));
    const probe = this.#probes.get(stream);
    if (probe) probe.attempts = 0;
    const highest = highestOf(streamAck);
    for (const entry of [...stream.entries]) {
      for (const fragment of entry.fragments) {
        if (!fragment.received && has(streamAck.next, streamAck.selective, fragment.seq)) {
          fragment.received = true;
          if (fragment.attempts === 1) this.roundTrips.add(now - fragment.sentAt);
        }
        if (has(streamAck.done, streamAck.doneSelective, fragment.seq)) {
          fragment.done = fragment.received = true;
        }
        if (fragment.seq >= before && fragment.seq < stream.limit) {
          fragment.nextAt = Math.min(now, fragment.nextAt);
        }
        if (fragment.received) this.#score(ack, streamAck, entry, fragment);
        else if (fragment.attempts === 1 && fragment.seq + REORDERED <= highest) this.#lost(fragment, now);
      }
      const whole = entry.fragments.every(({ received, done }) =>
        entry.level === "handled" || ack.durable ? done : received
      );
      if (whole && outbox.remove(entry)) settled(entry, now);
    }
  }

  #lost(fragment: Fragment, now: number): void {
    const { smoothed } = this.roundTrips;
    if (smoothed !== null && now - fragment.sentAt > smoothed) fragment.nextAt = now;
  }

  #score(ack: AckFrame, streamAck: StreamAck, entry: OutboxEntry, fragment: Fragment): void {
    const bits = streamAck.paths[fragment.seq - streamAck.pathsFrom] ?? 0;
    if (bits === 0 || fragment.tried.size === 0) return;
    for (const hash of fragment.tried) {
      const at = ack.brokers.indexOf(hash);
      const seen = at >= 0 && (bits >> at & 1) === 1;
      if (seen) entry.seenBy.add(hash);
      this.#options.paths.observe(hash, seen);
    }
    // Each is counted once.
    fragment.tried.clear();
  }

  /** What an earlier life of the peer had, and may have lost. */
  #forgetReceived(now: number): void {
    for (const { fragments } of this.#options.outbox.entries()) {
      for (const fragment of fragments) {
        if (fragment.done || !fragment.received) continue;
        fragment.received = false;
        fragment.nextAt = now;
      }
    }
  }
}

/** What is to be kept first waits for that, whatever happens. */
function hurry(fragment: Fragment, now: number): void {
  if (fragment.nextAt < Infinity) fragment.nextAt = Math.min(now, fragment.nextAt);
}

/** Whether a stream has something that only the peer can end: a gap it waits for, or word that the application is done. */
function needsProbe(stream: OutboxStream): boolean {
  if (
    stream.toldFloor < floorOf(stream) &&
    stream.entries.every(({ fragments }) => fragments.every((f) => f.received))
  ) {
    return true;
  }
  return stream.entries.some(({ fragments }) => fragments.every(({ received }) => received));
}

function has(next: number, selective: Uint8Array, seq: number): boolean {
  return seq < next || getBit(selective, seq - next);
}

function highestOf(ack: StreamAck): number {
  for (let i = 127; i >= 0; i--) if (getBit(ack.selective, i)) return ack.next + i;
  return ack.next - 1;
}

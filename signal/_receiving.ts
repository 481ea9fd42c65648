/** What has come from one peer: each message once, ordered streams in order, and what to say about it. Pure. */

import type { DataFrame, MessageKind, StreamAck } from "./_delivery_frames.ts";
import { SeenWindow } from "./window.ts";

/** How many streams of a peer are remembered, over all its sessions; the longest unused one is forgotten first. */
const MAX_STREAMS = 32;

/** How many numbers of a stream may lie between what the application has done with and what its sender may send. */
export const CREDIT = 256;

/** How many bytes of one peer wait for the application or for what is missing before them, at most. */
const MAX_BUFFERED = 4 * 1024 * 1024;

/** Of how many messages the brokers by which they came are told. */
const PATHS_TOLD = 128;

/** A whole message. */
export interface Arrival {
  readonly session: string;
  readonly stream: number;
  /** The first number, and how many it has. */
  readonly seq: number;
  readonly count: number;
  readonly kind: MessageKind;
  readonly wantsDone: boolean;
  readonly ref: number;
  readonly data: Uint8Array;
}

/** What a data frame was: `refused` means that there was no room, and that it has to come again. */
export type Taken = "new" | "duplicate" | "refused";

/** What is kept of a stream over restarts. */
export interface StreamRecord {
  readonly session: string;
  readonly stream: number;
  readonly next: number;
  readonly bits: Uint8Array;
}

interface Stream {
  readonly session: string;
  readonly stream: number;
  readonly seen: SeenWindow;
  readonly done: SeenWindow;
  /** What of `done` may be told: with a store, what has been kept. */
  told: { next: number; selective: Uint8Array };
  readonly fragments: Map<number, DataFrame>;
  /** The first number that was not handed over or given up; for ordered streams. */
  handed: number;
  floor: number;
  /** A ring of the last numbers, up to the one before `pathsNext`. Bit i: it came by broker i. */
  readonly paths: Uint8Array<ArrayBuffer>;
  pathsNext: number;
  /** The limit that was told last. */
  limit: number;
}

/** The receiving half of a conversation. */
export class Receiving {
  readonly #deliver: (arrival: Arrival) => void;
  readonly #durable: boolean;
  /** In the order of their last use. */
  readonly #streams = new Map<string, Stream>();
  readonly #dirty = new Set<Stream>();
  #buffered = 0;

  /**
   * @param deliver Takes each message, in order where its stream is ordered.
   * @param durable Whether what is done is told only after {@linkcode Receiving.kept}.
   */
  constructor(deliver: (arrival: Arrival) => void, durable: boolean) {
    this.#deliver = deliver;
    this.#durable = durable;
  }

  /** Whether there is something to acknowledge. */
  get dirty(): boolean {
    return this.#dirty.size > 0;
  }

  /** Bytes that wait. */
  get buffered(): number {
    return this.#buffered;
  }

  /**
   * Takes a fragment in.
   *
   * @param frame The fragment.
   * @param path By which of the own brokers it came.
   */
  data(frame: DataFrame, path: number): Taken {
    const stream = this.#stream(frame.session, frame.stream, frame.floor);
    this.#dirty.add(stream);
    this.#skip(stream, frame.floor);
    const { seq } = frame;
    const seen = stream.seen.look(seq);
    if (seen === "duplicate") {
      this.#saw(stream, seq, path);
      return "duplicate";
    }
    // A sender without credit asks now and then by sending one all the same.
    const refused = seen === "beyond" || seq >= stream.done.next + CREDIT ||
      this.#buffered + frame.bytes.length > MAX_BUFFERED;
    if (refused) return "refused";
    stream.seen.add(seq);
    this.#saw(stream, seq, path);
    stream.fragments.set(seq, frame);
    this.#buffered += frame.bytes.length;
    if (isOrdered(stream.stream)) this.#drain(stream);
    else this.#complete(stream, frame);
    return "new";
  }

  /** Notes a further copy of something taken in: told with the next acknowledgement, and no reason for one. */
  copy(session: string, streamId: number, seq: number, path: number): void {
    const stream = this.#streams.get(keyOf(session, streamId));
    if (stream) this.#saw(stream, seq, path);
  }

  /** Answers a question of the sender, who also says what never comes. */
  probe(session: string, streamId: number, floor: number): void {
    const stream = this.#stream(session, streamId, floor);
    this.#skip(stream, floor);
    this.#dirty.add(stream);
  }

  /**
   * Notes that the application has done with a message.
   *
   * @returns What to keep, where there is a store.
   */
  done(arrival: Arrival): StreamRecord | undefined {
    const stream = this.#streams.get(keyOf(arrival.session, arrival.stream));
    this.#buffered -= arrival.data.length;
    if (!stream) return undefined;
    for (let i = 0; i < arrival.count; i++) stream.done.add(arrival.seq + i);
    const { session, done } = stream;
    if (!this.#durable) this.#tell(stream);
    if (arrival.wantsDone) this.#dirty.add(stream);
    return { session, stream: stream.stream, next: done.next, bits: done.save() };
  }

  /** Notes that a record is kept, so that it may be told. */
  kept(record: StreamRecord): void {
    const stream = this.#streams.get(keyOf(record.session, record.stream));
    if (!stream || record.next < stream.told.next) return;
    const window = new SeenWindow(record.next, record.bits);
    stream.told = { next: window.next, selective: window.selective() };
    this.#dirty.add(stream);
  }

  /** Takes back what an earlier life of this peer has kept. */
  restore(record: StreamRecord): void {
    const stream = this.#stream(record.session, record.stream, 0, record);
    stream.told = { next: stream.done.next, selective: stream.done.selective() };
  }

  /** What there is to tell, at most once each; `most` streams at a time. */
  acks(most: number): StreamAck[] {
    const out: StreamAck[] = [];
    for (const stream of this.#dirty) {
      if (out.length === most) break;
      this.#dirty.delete(stream);
      out.push(this.#ackOf(stream));
    }
    return out;
  }

  #ackOf(stream: Stream): StreamAck {
    const { session, seen } = stream;
    const { paths, pathsNext } = stream;
    let pathsFrom = Math.max(0, pathsNext - PATHS_TOLD);
    while (pathsFrom < pathsNext && paths[pathsFrom % PATHS_TOLD] === 0) pathsFrom++;
    const told = Uint8Array.from(
      { length: pathsNext - pathsFrom },
      (_, i) => paths[(pathsFrom + i) % PATHS_TOLD] ?? 0,
    );
    stream.limit = stream.done.next + CREDIT;
    return {
      session,
      stream: stream.stream,
      next: seen.next,
      selective: seen.selective(),
      done: stream.told.next,
      doneSelective: stream.told.selective,
      limit: stream.limit,
      pathsFrom,
      paths: told,
    };
  }

  #stream(session: string, id: number, floor: number, record?: StreamRecord): Stream {
    const key = keyOf(session, id);
    const known = this.#streams.get(key);
    if (known) {
      // The order of a map is that of insertion.
      this.#streams.delete(key);
      this.#streams.set(key, known);
      return known;
    }
    for (const [oldest, stream] of this.#streams) {
      if (this.#streams.size < MAX_STREAMS) break;
      this.#streams.delete(oldest);
      this.#dirty.delete(stream);
      for (const { bytes } of stream.fragments.values()) this.#buffered -= bytes.length;
    }
    const next = record?.next ?? floor;
    const stream: Stream = {
      session,
      stream: id,
      seen: new SeenWindow(next, record?.bits),
      done: new SeenWindow(next, record?.bits),
      told: { next, selective: new Uint8Array(16) },
      fragments: new Map(),
      handed: next,
      floor: next,
      paths: new Uint8Array(PATHS_TOLD),
      pathsNext: next,
      limit: next + CREDIT,
    };
    this.#streams.set(key, stream);
    return stream;
  }

  #saw(stream: Stream, seq: number, path: number): void {
    const { paths } = stream;
    // What is repeated from long ago is not worth forgetting the others for.
    if (seq < stream.pathsNext - PATHS_TOLD) return;
    for (let next = Math.max(stream.pathsNext, seq - PATHS_TOLD); next <= seq; next++) {
      paths[next % PATHS_TOLD] = 0;
    }
    stream.pathsNext = Math.max(stream.pathsNext, seq + 1);
    paths[seq % PATHS_TOLD] = (paths[seq % PATHS_TOLD] ?? 0) | 1 << path;
  }

  #skip(stream: Stream, floor: number): void {
    if (floor <= stream.floor) return;
    // What is missing below is done with; what has come of it stays until the application has done with it.
    const far = stream.handed + 4 * CREDIT;
    for (let seq = stream.done.next; seq < Math.min(floor, far); seq++) {
      if (stream.seen.look(seq) === "new") stream.done.add(seq);
    }
    stream.floor = floor;
    stream.seen.skipTo(floor);
    if (isOrdered(stream.stream)) this.#drain(stream);
    else this.#dropPartial(stream);
    if (floor >= far && stream.fragments.size === 0) stream.done.skipTo(floor);
    this.#tellSkipped(stream);
  }

  #drain(stream: Stream): void {
    const { fragments } = stream;
    while (true) {
      const first = fragments.get(stream.handed);
      if (!first) {
        if (stream.handed >= stream.floor) return;
        stream.handed = fragments.size === 0 ? stream.floor : stream.handed + 1;
        continue;
      }
      const whole = first.index === 0 && this.#wholeFrom(stream, first);
      if (whole) {
        stream.handed += first.count;
        this.#hand(stream, whole);
        continue;
      }
      // The rest may still come, unless its sender has given it up.
      if (first.index === 0 && first.seq + first.count > stream.floor) return;
      this.#drop(stream, first);
      stream.handed++;
    }
  }

  #complete(stream: Stream, frame: DataFrame): void {
    const first = stream.fragments.get(frame.seq - frame.index);
    const whole = first && this.#wholeFrom(stream, first);
    if (whole) this.#hand(stream, whole);
  }

  #dropPartial(stream: Stream): void {
    for (const fragment of [...stream.fragments.values()]) {
      if (fragment.seq - fragment.index + fragment.count <= stream.floor) this.#drop(stream, fragment);
    }
  }

  #drop(stream: Stream, fragment: DataFrame): void {
    stream.fragments.delete(fragment.seq);
    stream.done.add(fragment.seq);
    this.#buffered -= fragment.bytes.length;
  }

  #wholeFrom(stream: Stream, first: DataFrame): DataFrame[] | undefined {
    const parts: DataFrame[] = [];
    for (let i = 0; i < first.count; i++) {
      const part = stream.fragments.get(first.seq + i);
      if (!part || part.index !== i || part.count !== first.count) return undefined;
      parts.push(part);
    }
    return parts;
  }

  /** Its bytes stay counted until the application has done with them. */
  #hand(stream: Stream, parts: readonly DataFrame[]): void {
    const first = parts[0];
    if (!first) return;
    for (const part of parts) stream.fragments.delete(part.seq);
    const data = new Uint8Array(parts.reduce((sum, part) => sum + part.bytes.length, 0));
    let at = 0;
    for (const part of parts) {
      data.set(part.bytes, at);
      at += part.bytes.length;
    }
    const { session, seq, count, kind, wantsDone, ref } = first;
    this.#deliver({ session, stream: stream.stream, seq, count, kind, wantsDone, ref, data });
  }

  #tellSkipped(stream: Stream): void {
    // With a store nothing is lost by telling the old state once more.
    if (!this.#durable) this.#tell(stream);
  }

  #tell(stream: Stream): void {
    stream.told = { next: stream.done.next, selective: stream.done.selective() };
    if (stream.told.next + CREDIT >= stream.limit + CREDIT / 2) this.#dirty.add(stream);
  }
}

/** Even streams are ordered. */
export function isOrdered(stream: number): boolean {
  return stream % 2 === 0;
}

function keyOf(session: string, stream: number): string {
  return `${session} ${stream}`;
}

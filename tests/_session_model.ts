/**
 * Two ends of a session in virtual time: real handshakes and cores, and carriers that a test moves byte by byte, cuts
 * wherever it likes, and delivers late. Each check of what was delivered is made here.
 */

import { assert, assertEquals } from "@std/assert";
import { ClientHandshake } from "../pipes/resume/_client_handshake.ts";
import { type Attachment, SessionCore } from "../pipes/resume/_core.ts";
import { FRAME, HEADER, readHeader } from "../pipes/resume/_frames.ts";
import type { ClientStep, NewSession, ServerStep } from "../pipes/resume/_handshake.ts";
import { PREFACE_LENGTH } from "../pipes/resume/_handshake_frames.ts";
import type { SealedCodec } from "../pipes/resume/_seal.ts";
import { ServerHandshake } from "../pipes/resume/_server_handshake.ts";
import { Random } from "./_fuzz.ts";

/** Which end. */
export type Side = "client" | "server";

/** Both of them. */
export const SIDES: readonly Side[] = ["client", "server"];

/** The other end. */
export function other(side: Side): Side {
  return side === "client" ? "server" : "client";
}

/** How a world is made. */
export interface WorldOptions {
  /** Bytes per direction. */
  readonly window: number;
  /** Milliseconds of silence after which the client asks. */
  readonly keepalive: number;
  /** Whether carriers are sealed. */
  readonly sealed?: boolean;
}

/** What one end of a carrier knows and has not sent. */
interface WireEnd {
  handshake: ClientHandshake | ServerHandshake | undefined;
  attachment: Attachment | undefined;
  codec: SealedCodec | null;
  /** What is written before anything of the attachment. */
  readonly queue: Uint8Array[];
  /** What is being written: a view, as the core gave it. */
  writing: Uint8Array | null;
  /** What the system has taken and not delivered. */
  buffer: Uint8Array;
  /** How many bytes have reached the other end. */
  delivered: number;
  readonly tracker: Tracker;
  /** Whether this end has closed it, or knows that it is lost. */
  closed: boolean;
}

/** One carrier. */
export interface Wire {
  /** Counted from 0. */
  readonly number: number;
  /** Whether it is for a new session. */
  readonly isNew: boolean;
  readonly epoch: number;
  readonly ends: Readonly<Record<Side, WireEnd>>;
  /** What is still in the buffers may come, and nothing else. */
  cut: boolean;
}

/** An application. */
interface Application {
  written: number;
  read: number;
  finished: boolean;
  ended: boolean;
}

/** Bytes that depend on their position: a table of random ones, begun at a place for each direction. */
const TABLE = new Random(7).bytes(65_521);
const PATTERN = new Uint8Array(3 * TABLE.length).map((_, n) => TABLE[n % TABLE.length] ?? 0);

/** The bytes of one direction from a position on. */
export function pattern(side: Side, position: number, length: number): Uint8Array {
  const at = (position + (side === "client" ? 0 : 17)) % TABLE.length;
  return PATTERN.subarray(at, at + length);
}

const SHARED_KEY = new Uint8Array(32).fill(5);
const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(FRAME).map(([name, type]) => [type, name] as const),
);

/** Says in which frame a place of a direction lies. */
class Tracker {
  #head = new Uint8Array(HEADER);
  #have = 0;
  #left = PREFACE_LENGTH;
  #name = "preface";

  feed(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#left > 0) {
        const size = Math.min(this.#left, bytes.length - at);
        this.#left -= size;
        at += size;
        continue;
      }
      if (this.#have === HEADER) this.#have = 0;
      this.#head[this.#have++] = bytes[at++] ?? 0;
      const { type, length } = readHeader(this.#head);
      this.#name = NAMES.get(type) ?? `type ${type}`;
      if (this.#have === HEADER) this.#left = length;
    }
  }

  /** The frame that the last byte belongs to, and whether it was its last one. */
  get place(): string {
    const whole = this.#left === 0 && (this.#have === HEADER || this.#have === 0);
    return `${whole ? "after" : "in"} ${this.#name}`;
  }
}

/** Two ends and all carriers between them. */
export class World {
  readonly options: WorldOptions;
  wires: readonly Wire[] = [];
  readonly apps: Readonly<Record<Side, Application>> = { client: application(), server: application() };
  readonly cores: Partial<Record<Side, SessionCore>> = {};
  /** Which cuts there were: protocol state, place, and direction. */
  readonly cuts: Map<string, number> = new Map();
  now = 1000;
  /** Whether an application has ended the session at once. */
  aborted = false;
  suspicions = 0;
  urls: readonly string[] = [];
  #session: NewSession | undefined;
  #dials = 0;
  #epoch = 0;
  /** The epoch of the client's last carrier. */
  #attached = 0;
  /** Sessions that the server knows, by id. */
  readonly #known = new Map<string, { session: NewSession; core: SessionCore; epoch: number }>();

  constructor(options: WorldOptions) {
    this.options = options;
  }

  /** The client opens a carrier, for a new session or for the one it has. */
  dial(): Wire {
    const { window, keepalive, sealed } = this.options;
    const session = this.#session;
    const core = this.cores.client;
    if (!session) this.#epoch = 0;
    const epoch = ++this.#epoch;
    const handshake = new ClientHandshake({
      wishes: { window, keepalive, expiry: 60_000 },
      session: session && core ? { ...session, epoch, received: () => core.received } : undefined,
      seal: sealed ? { sharedKey: SHARED_KEY } : undefined,
    });
    const wire: Wire = {
      number: this.#dials++,
      isNew: !session,
      epoch,
      cut: false,
      ends: {
        client: wireEnd(handshake),
        server: wireEnd(
          new ServerHandshake({
            find: (id) => this.#find(id),
            limits: { window: 67_108_864, keepalive: 0, expiry: 60_000 },
            seal: sealed ? { sharedKey: SHARED_KEY } : undefined,
          }),
        ),
      },
    };
    wire.ends.client.queue.push(handshake.start());
    this.wires = [...this.wires, wire];
    return wire;
  }

  /** One end writes to a carrier: the system takes so many bytes. */
  push(wire: Wire, side: Side, most: number): number {
    const end = wire.ends[side];
    if (end.closed || wire.cut || end.buffer.length > 200_000) return 0;
    let view = end.writing ?? end.queue.shift() ?? null;
    if (!view) {
      const next = end.attachment?.next() ?? null;
      view = next && end.codec ? end.codec.seal(next) : next;
    }
    if (!view) return 0;
    const taken = view.subarray(0, most);
    // What is not taken yet stays a view: it has to be what it is until it is.
    end.writing = taken.length < view.length ? view.subarray(most) : null;
    end.buffer = joined(end.buffer, taken);
    return taken.length;
  }

  /** So many bytes that one end wrote reach the other. */
  deliver(wire: Wire, from: Side, most: number): number {
    const end = wire.ends[from];
    const bytes = end.buffer.slice(0, most);
    end.buffer = end.buffer.subarray(bytes.length);
    end.delivered += bytes.length;
    if (bytes.length === 0) return 0;
    end.tracker.feed(bytes);
    const side = other(from);
    this.#arrive(wire, side, wire.ends[side], bytes.slice());
    return bytes.length;
  }

  /** A carrier breaks: of what is under way so many bytes may still come, the rest is lost. */
  cut(wire: Wire, late: Readonly<Record<Side, number>>): void {
    if (wire.cut) return;
    wire.cut = true;
    for (const side of SIDES) {
      const end = wire.ends[side];
      if (!this.options.sealed) {
        const cell = `${this.state(wire)} | ${end.tracker.place} | from ${side}`;
        this.cuts.set(cell, (this.cuts.get(cell) ?? 0) + 1);
      }
      end.buffer = end.buffer.slice(0, late[side]);
    }
  }

  /** Whether one end could see by now that a carrier is lost, or that the other end has closed it. */
  isOver(wire: Wire, side: Side): boolean {
    const { closed, buffer } = wire.ends[other(side)];
    return wire.cut || (closed && buffer.length === 0);
  }

  /** One end sees that a carrier is lost. */
  notice(wire: Wire, side: Side): void {
    wire.ends[side].closed = true;
    wire.ends[side].attachment?.detach();
  }

  /** Forgets carriers that nothing comes over any more. */
  prune(): void {
    this.wires = this.wires.filter(({ cut, ends: { client, server } }) =>
      !(client.closed && server.closed) && !(cut && client.buffer.length + server.buffer.length === 0)
    );
  }

  /** Whether the client has a carrier that may come to something. */
  get hopeful(): boolean {
    return this.wires.some(({ ends: { client }, cut }) =>
      !client.closed && !cut && (client.handshake !== undefined || client.attachment?.current)
    );
  }

  /** The state that the protocol is in, on one carrier. */
  state(wire: Wire): string {
    const { client, server } = this.cores;
    if (client?.failure || server?.failure) return "aborted";
    if (!wire.ends.server.attachment || !wire.ends.client.attachment) {
      return wire.isNew ? "new" : "resuming";
    }
    const ends = SIDES.filter((side) => {
      const core = this.cores[side];
      return core !== undefined && core.sent > core.written;
    });
    if (client?.complete && server?.complete) return "complete";
    return ends.length === 2 ? "both finished" : ends.length === 0 ? "open" : `${ends[0]} finished`;
  }

  /** An application writes. */
  write(side: Side, length: number): number {
    const core = this.cores[side];
    const app = this.apps[side];
    if (!core || app.finished) return 0;
    const taken = core.write(pattern(side, app.written, Math.min(length, TABLE.length)));
    app.written += taken;
    return taken;
  }

  /** An application reads; what it gets is what the other one wrote. */
  read(side: Side, length: number): number {
    const core = this.cores[side];
    const app = this.apps[side];
    if (!core || app.ended) return 0;
    const into = new Uint8Array(length);
    const count = core.read(into);
    if (count === null) {
      app.ended = true;
      assert(this.apps[other(side)].finished, "the end was not written");
      assertEquals(app.read, this.apps[other(side)].written, "the end came too early");
      return 0;
    }
    const expected = pattern(other(side), app.read, count);
    for (let n = 0; n < count; n++) {
      if (into[n] !== expected[n]) throw new Error(`the ${side} got another byte at ${app.read + n}`);
    }
    app.read += count;
    assert(app.read <= this.apps[other(side)].written, "more was read than written");
    return count;
  }

  /** An application ends its direction. */
  finish(side: Side): void {
    const core = this.cores[side];
    if (!core || core.failure) return;
    core.closeWrite();
    this.apps[side].finished = true;
  }

  /** An application ends the session at once. */
  abort(side: Side): void {
    const core = this.cores[side];
    if (!core || core.complete) return;
    this.aborted = true;
    core.abort(300, "the model wants it");
  }

  /** Time passes. */
  advance(milliseconds: number): void {
    this.now += milliseconds;
    for (const side of SIDES) {
      const core = this.cores[side];
      const at = core?.deadline() ?? null;
      if (core && at !== null && at <= this.now) core.tick();
    }
  }

  /** Whether both ends are through, well or not. */
  get over(): boolean {
    const { client, server } = this.cores;
    return client !== undefined && server !== undefined && isOver(client) && isOver(server);
  }

  /** Nothing failed that was not made to. */
  check(): void {
    for (const side of SIDES) {
      const failure = this.cores[side]?.failure;
      if (failure && !this.aborted) throw new Error(`the ${side} failed: ${failure.reason}`);
      if (failure) assertEquals(failure.code, 300, failure.reason);
    }
  }

  #find(id: Uint8Array): ReturnType<ConstructorParameters<typeof ServerHandshake>[0]["find"]> {
    const known = this.#known.get(id.toHex());
    return known && { ...known.session, epoch: known.epoch, received: () => known.core.received };
  }

  #arrive(wire: Wire, side: Side, end: WireEnd, bytes: Uint8Array): void {
    if (end.closed) return;
    let rest: Uint8Array | undefined = bytes;
    if (end.handshake) {
      const step: ClientStep | ServerStep = end.handshake.receive(bytes);
      rest = undefined;
      if ("send" in step && step.send) end.queue.push(step.send.slice());
      switch (step.type) {
        case "failed":
          end.handshake = undefined;
          assert(!end.attachment || step.failure.reason === "rejected", step.failure.message);
          return this.notice(wire, side);
        case "ready":
          return this.#ready(wire, end, step);
        case "stands":
          end.handshake = undefined;
          rest = step.rest;
          // The new one stands: the ones before are closed.
          this.wires.filter(({ epoch }) => epoch < wire.epoch).forEach((old) => this.notice(old, side));
          break;
        case "welcomed":
          this.#known.set(step.session.id.toHex(), {
            session: step.session,
            core: this.#core("server", step.session.terms),
            epoch: 0,
          });
          return;
        case "confirmed": {
          const known = this.#known.get(step.id.toHex());
          if (!known) throw new Error("a session was confirmed that nobody knows");
          end.handshake = undefined;
          known.epoch = step.epoch;
          this.cores.server = known.core;
          end.codec = step.codec;
          end.attachment = known.core.attach(step.peerReceived);
          this.wires.filter(({ epoch }) => epoch < wire.epoch).forEach((old) => this.notice(old, side));
          rest = step.rest;
          this.#receive(end, rest, null);
          return;
        }
        default:
          return;
      }
      return this.#receive(end, rest, null);
    }
    this.#receive(end, rest, end.codec);
  }

  #ready(wire: Wire, end: WireEnd, step: Extract<ClientStep, { type: "ready" }>): void {
    if (step.session) {
      // Of two new sessions under way at once the first one stays.
      if (this.#session) return this.notice(wire, "client");
      this.#session = step.session;
      this.cores.client = this.#core("client", step.session.terms);
    }
    if (wire.epoch < this.#attached) return this.notice(wire, "client");
    this.#attached = wire.epoch;
    end.codec = step.codec;
    end.attachment = this.cores.client?.attach(step.peerReceived);
  }

  /** The memory it came in is used for something else afterwards. */
  #receive(end: WireEnd, bytes: Uint8Array, codec: SealedCodec | null): void {
    for (const piece of codec ? codec.open(bytes) : [bytes]) end.attachment?.receive(piece);
    bytes.fill(0xee);
  }

  #core(role: Side, { window, keepalive }: { window: number; keepalive: number }): SessionCore {
    const core = new SessionCore({ role, window, keepalive, now: () => this.now });
    core.onSuspicion = () => this.suspicions++;
    core.onAddresses = (urls) => this.urls = urls;
    return core;
  }
}

function application(): Application {
  return { written: 0, read: 0, finished: false, ended: false };
}

function wireEnd(handshake: ClientHandshake | ServerHandshake): WireEnd {
  return {
    handshake,
    attachment: undefined,
    codec: null,
    queue: [],
    writing: null,
    buffer: new Uint8Array(),
    delivered: 0,
    tracker: new Tracker(),
    closed: false,
  };
}

function isOver(core: SessionCore): boolean {
  return core.complete || core.failure !== null;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}

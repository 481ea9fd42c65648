/**
 * A session without sockets and timers: bytes and time go in, bytes and decisions come out (docs/PROTOCOLS.md).
 *
 * Nothing here throws for what the other end sends: the session then ends with a failure.
 */

import { type Chunk, releaseChunk } from "./_chunks.ts";
import { decodeAbort, decodeAddresses, encodeAbort, encodeAddresses } from "./_control.ts";
import { encodeFrame, FRAME, FrameDecoder, type FrameSink, MAX_POSITION } from "./_frames.ts";
import { Inbox } from "./_inbox.ts";
import { Liveness } from "./_liveness.ts";
import { ReplayStore } from "./_replay.ts";
import { decodeSnapshot, encodeSnapshot } from "./_snapshot.ts";

/** How a session is set up; what both ends agreed on. */
export interface SessionCoreOptions {
  /** Which end this is. */
  readonly role: "client" | "server";
  /** How many bytes may be sent and not acknowledged, in each direction. */
  readonly window: number;
  /** After how many milliseconds of silence the client asks; 0 for never. */
  readonly keepalive: number;
  /** The time in milliseconds, on a clock that never goes back. */
  readonly now: () => number;
}

/** Why a session is lost. */
export interface SessionFailure {
  /** The code of ABORT. */
  readonly code: number;
  /** What was wrong, in words. */
  readonly reason: string;
  /** Which end said so. */
  readonly by: "local" | "remote";
}

/** One carrier's side of a session. Once another carrier is attached, all calls do nothing. */
export interface Attachment {
  /** Whether it still carries the session. */
  readonly current: boolean;
  /**
   * Takes bytes in that came over the carrier, after the handshake.
   *
   * @param bytes However they are cut; the caller's again when this returns.
   */
  receive(bytes: Uint8Array): void;
  /**
   * What to write to the carrier next. Called again when that was written; it has to stay as it is until then.
   *
   * @returns The bytes; `null` when there is nothing now: {@linkcode SessionCore.onOutput} tells when there is.
   */
  next(): Uint8Array<ArrayBuffer> | null;
  /** The carrier is lost. */
  detach(): void;
}

/** What is to be done for one carrier. */
interface Line {
  readonly decoder: FrameDecoder;
  /** Whether who writes was told that there is nothing. */
  idle: boolean;
  /** Whether an ACK is to be sent. */
  ack: boolean;
  /** The number to answer with. */
  pong: number | undefined;
  ping: boolean;
  fin: boolean;
  addresses: boolean;
  abort: boolean;
  /** What is being written. */
  chunk: Chunk | undefined;
  /** The ACK that is being written. */
  acking: number;
}

/** The most that is consumed without an ACK, and how long one is put off, in milliseconds. */
const ACK_BYTES = 256 * 1024;
const ACK_DELAY = 200;

/** One end of a session. */
export class SessionCore {
  readonly #options: SessionCoreOptions;
  readonly #now: () => number;
  readonly #threshold: number;
  readonly #inbox = new Inbox();
  readonly #liveness: Liveness;
  readonly #sink: FrameSink;
  #store: ReplayStore;
  #line: Line | undefined;
  /** Of our direction. */
  #sent = 0;
  #acknowledged = 0;
  #finished = false;
  #blocked = false;
  /** Of the other direction. */
  #received = 0;
  #consumed = 0;
  #fin: number | undefined;
  #wanted = false;
  /** The highest position that an ACK was made for, and the highest that was written. */
  #acking = 0;
  #acked = 0;
  #ackAt = Infinity;
  #armed = Infinity;
  #addresses: Uint8Array | undefined;
  #failure: SessionFailure | null = null;
  #ended = false;
  /** Called when `next()` of the current carrier gave `null`, and has something now. */
  onOutput: (() => void) | undefined;
  /** Called when `read()` had nothing, and has something now, or the end; it may be read from inside. */
  onReadable: (() => void) | undefined;
  /** Called when `write()` took less than it was given, and would take more now. */
  onWritable: (() => void) | undefined;
  /** Called when `deadline()` is earlier than it was when asked last. */
  onDeadline: (() => void) | undefined;
  /** Called when the other end did not answer in time: another carrier should be tried beside this one. */
  onSuspicion: (() => void) | undefined;
  /** Called with the addresses that the server can be found at too. */
  onAddresses: ((urls: readonly string[]) => void) | undefined;
  /** Called once when the session is complete, or lost. */
  onEnd: (() => void) | undefined;

  /** @param options What both ends agreed on. */
  constructor(options: SessionCoreOptions) {
    this.#options = options;
    this.#now = options.now;
    this.#threshold = Math.min(ACK_BYTES, options.window / 4);
    this.#store = new ReplayStore(0, options.window);
    this.#liveness = new Liveness(options.role === "client" ? options.keepalive : 0, options.now());
    this.#sink = {
      data: (position, length) => this.#data(position, length),
      part: (part, position) => this.#part(part, position),
      frame: (type, offset, payload) => this.#frame(type, offset, payload),
      violation: (reason) => this.#violated(reason),
    };
  }

  /**
   * Goes on with a session in another process.
   *
   * @param snapshot What {@linkcode SessionCore.snapshot} gave.
   * @param now The time in milliseconds, on a clock that never goes back.
   * @throws {SyntaxError} If it is no snapshot, or was changed.
   */
  static restore(snapshot: Uint8Array, now: () => number): SessionCore {
    const state = decodeSnapshot(snapshot);
    const { role, window, keepalive, written, finished, received, consumed } = state;
    const core = new SessionCore({ role, window, keepalive, now });
    core.#store = new ReplayStore(Math.min(state.acknowledged, written), window);
    for (const part of state.unacknowledged) core.#store.write(part);
    for (const part of state.unread) core.#inbox.add(part, undefined);
    core.#sent = state.sent;
    core.#acknowledged = state.acknowledged;
    core.#finished = finished;
    core.#received = received;
    core.#consumed = core.#acking = consumed;
    core.#fin = state.ended ? received - 1 : undefined;
    core.#acked = state.ackedEnd ? received : 0;
    return core;
  }

  /** The position after the last byte that the application wrote. */
  get written(): number {
    return this.#store.end;
  }

  /** The position that was sent up to, over any carrier; the end counts as one. */
  get sent(): number {
    return this.#sent;
  }

  /** Everything before it was consumed by the other application. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Everything before it was received; what RESUME, RESUMED and CONFIRM say. */
  get received(): number {
    return this.#received;
  }

  /** Everything before it was handed to the application. */
  get consumed(): number {
    return this.#consumed;
  }

  /** How many bytes can be read. */
  get available(): number {
    return this.#inbox.length;
  }

  /** Whether both directions are complete, both ends are acknowledged, and our acknowledgement has left. */
  get complete(): boolean {
    return this.#failure === null && this.#finished && this.#acknowledged > this.#store.end &&
      this.#fin !== undefined && this.#acked > this.#fin;
  }

  /** Why the session is lost; `null` as long as it is not. */
  get failure(): SessionFailure | null {
    return this.#failure;
  }

  /** Whether a carrier is attached. */
  get attached(): boolean {
    return this.#line !== undefined;
  }

  /** Whether the other end did not answer in time. */
  get suspicious(): boolean {
    return this.#liveness.suspicious;
  }

  /** Smoothed round-trip time in milliseconds; `null` before it was measured. */
  get srtt(): number | null {
    return this.#liveness.srtt;
  }

  /** Bytes of memory held for what is on its way. */
  get memory(): number {
    return this.#store.memory + this.#inbox.memory;
  }

  /**
   * Takes what the application sends.
   *
   * @param data The bytes; the caller's again when this returns.
   * @returns How many were taken; less than all where the window is full: {@linkcode SessionCore.onWritable} tells when
   *   there is room. 0 once the session is lost.
   * @throws {TypeError} After {@linkcode SessionCore.closeWrite}.
   */
  write(data: Uint8Array): number {
    if (this.#failure || data.length === 0) return 0;
    if (this.#finished) throw new TypeError("Cannot write: the end was written already");
    const left = Math.min(this.#acknowledged + this.#options.window, MAX_POSITION - 1) - this.#store.end;
    const taken = this.#store.write(left < data.length ? data.subarray(0, Math.max(0, left)) : data);
    if (taken < data.length) {
      this.#blocked = true;
      // Frames of a few bytes each need more memory than the window has: it is free again with the next ACK.
      if (taken < left && this.#acknowledged < this.#sent) this.#ask();
      if (this.#store.end >= MAX_POSITION - 1) this.abort(5, "no position is left");
    }
    if (taken > 0) this.#output();
    return taken;
  }

  /** Says that the application sends no more. */
  closeWrite(): void {
    if (this.#finished || this.#failure) return;
    this.#finished = true;
    if (this.#line) this.#line.fin = true;
    this.#output();
  }

  /**
   * Ends the session at once, at both ends; nothing happens where it has ended.
   *
   * @param code The code of ABORT, 0 to 65,535.
   * @param reason Words; what is longer than 256 bytes is cut.
   */
  abort(code: number, reason: string): void {
    this.#fail({ code, reason, by: "local" });
    this.#output();
  }

  /**
   * Hands received bytes to the application, which consumes them by that.
   *
   * @param into Where to.
   * @returns How many; 0 when there is nothing yet ({@linkcode SessionCore.onReadable} tells when there is) or the session
   *   is lost; `null` at the end.
   */
  read(into: Uint8Array): number | null {
    if (this.#failure) return 0;
    const count = this.#inbox.read(into);
    if (count > 0) {
      this.#consumed += count;
      if (this.#consumed - this.#acking >= this.#threshold) this.#acknowledge();
      else if (this.#ackAt === Infinity) this.#arm(this.#ackAt = this.#now() + ACK_DELAY);
      return count;
    }
    if (this.#fin !== undefined && this.#inbox.length === 0) {
      if (this.#consumed === this.#fin) {
        this.#consumed++;
        this.#acknowledge();
      }
      return null;
    }
    this.#wanted = true;
    return 0;
  }

  /**
   * Tells the client where else the session can be resumed.
   *
   * @param urls Where; all of them have to fit into 4,096 bytes.
   * @throws {RangeError} If they do not.
   */
  sendAddresses(urls: readonly string[]): void {
    this.#addresses = encodeAddresses(urls);
    if (this.#line) this.#line.addresses = true;
    this.#output();
  }

  /**
   * Makes a carrier the current one, after its handshake; the one before is so no longer.
   *
   * @param peerReceived The position that the other end said it has received: sending starts there, or where an ACK
   *   stands that overtook it on the carrier before.
   * @param least What was acknowledged when the other end was asked for its position; what is before cannot be.
   *   By default what is acknowledged now at the server, and nothing at the client.
   * @returns The carrier's side. Who writes begins with its `next()`.
   */
  attach(peerReceived: number, least: number = this.#least()): Attachment {
    const line: Line = {
      decoder: new FrameDecoder(),
      idle: false,
      ack: true,
      pong: undefined,
      ping: false,
      fin: this.#finished && peerReceived <= this.#store.end,
      addresses: this.#addresses !== undefined,
      abort: true,
      chunk: undefined,
      acking: 0,
    };
    this.#line = line;
    this.#liveness.begin(this.#now());
    if (peerReceived > this.#sent || peerReceived < least) {
      this.#violated(`it has received up to ${peerReceived}, between ${least} and ${this.#sent} can be`);
    } else if (!this.#failure) this.#store.rewind(Math.max(peerReceived, this.#acknowledged));
    this.#arm(this.#due());
    const isCurrent = (): boolean => this.#line === line;
    return {
      get current() {
        return isCurrent();
      },
      receive: (bytes) => {
        if (this.#line === line) this.#receive(line, bytes);
      },
      next: () => {
        const { chunk } = line;
        line.chunk = undefined;
        if (chunk) releaseChunk(chunk);
        return this.#line === line ? this.#next(line) : null;
      },
      detach: () => {
        if (this.#line === line) this.#line = undefined;
      },
    };
  }

  /**
   * All that is needed to go on elsewhere; this core must not be used any more then.
   *
   * @throws {TypeError} If the session is lost.
   */
  snapshot(): Uint8Array<ArrayBuffer> {
    if (this.#failure) throw new TypeError("Cannot take a snapshot: the session is lost");
    const unacknowledged: Uint8Array[] = [];
    const unread: Uint8Array[] = [];
    this.#store.read(this.#acknowledged, (bytes) => unacknowledged.push(bytes));
    this.#inbox.peek((bytes) => unread.push(bytes));
    const { role, window, keepalive } = this.#options;
    return encodeSnapshot({
      role,
      window,
      keepalive,
      sent: this.#sent,
      acknowledged: this.#acknowledged,
      written: this.#store.end,
      finished: this.#finished,
      received: this.#received,
      consumed: this.#consumed,
      ended: this.#fin !== undefined,
      ackedEnd: this.#fin !== undefined && this.#acked > this.#fin,
      unacknowledged,
      unread,
    });
  }

  /** When {@linkcode SessionCore.tick} has something to do; `null` when it has not. */
  deadline(): number | null {
    this.#armed = this.#due();
    return this.#armed === Infinity ? null : this.#armed;
  }

  /** Does what is due by now. */
  tick(): void {
    const line = this.#line;
    if (!line || this.#failure) return;
    const now = this.#now();
    if (now >= this.#ackAt) this.#acknowledge();
    const decision = this.#liveness.tick(now, this.#acknowledged < this.#sent);
    if (decision === "ask") {
      line.ping = true;
      this.#output();
    } else if (decision === "suspect") this.onSuspicion?.();
  }

  #least(): number {
    return this.#options.role === "server" ? this.#acknowledged : 0;
  }

  #due(): number {
    if (!this.#line || this.#failure) return Infinity;
    return Math.min(this.#ackAt, this.#liveness.deadline(this.#acknowledged < this.#sent));
  }

  #arm(at: number): void {
    if (at >= this.#armed) return;
    this.#armed = at;
    this.onDeadline?.();
  }

  /** Wakes who writes, if he sleeps. */
  #output(): void {
    const line = this.#line;
    if (!line?.idle) return;
    line.idle = false;
    this.onOutput?.();
  }

  #acknowledge(): void {
    if (this.#line) this.#line.ack = true;
    this.#ackAt = Infinity;
    this.#output();
  }

  #ask(): void {
    const line = this.#line;
    if (!line || line.ping) return;
    line.ping = true;
    this.#liveness.ask(this.#now());
    this.#arm(this.#due());
    this.#output();
  }

  #next(line: Line): Uint8Array<ArrayBuffer> | null {
    if (line.acking > this.#acked) {
      this.#acked = line.acking;
      this.#finishing();
    }
    const frames = this.#failure ? this.#farewell(line, this.#failure) : this.#control(line);
    if (frames.length > 0) return joined(frames);
    const view = this.#failure ? undefined : this.#store.take();
    if (!view) {
      line.idle = true;
      return null;
    }
    line.chunk = view.chunk;
    view.chunk.readers++;
    this.#gave(view.end);
    return view.bytes;
  }

  /** The small frames that are to be sent before any bytes, and the end after all of them. */
  #control(line: Line): Uint8Array<ArrayBuffer>[] {
    const frames: Uint8Array<ArrayBuffer>[] = [];
    if (line.ack || line.pong !== undefined) {
      line.ack = false;
      this.#ackAt = Infinity;
      this.#acking = line.acking = this.#consumed;
      frames.push(encodeFrame(FRAME.ack, this.#consumed));
    }
    if (line.pong !== undefined) frames.push(encodeFrame(FRAME.pong, line.pong));
    line.pong = undefined;
    if (line.ping) frames.push(encodeFrame(FRAME.ping, this.#liveness.leave(this.#now())));
    line.ping = false;
    if (line.addresses) frames.push(encodeFrame(FRAME.addr, 0, this.#addresses));
    line.addresses = false;
    if (line.fin && this.#store.idle) {
      line.fin = false;
      frames.push(encodeFrame(FRAME.fin, this.#store.end));
      this.#gave(this.#store.end + 1);
    }
    return frames;
  }

  /** The last frame, unless it was the other end that ended it. */
  #farewell(line: Line, { code, reason, by }: SessionFailure): Uint8Array<ArrayBuffer>[] {
    if (by === "remote" || !line.abort) return [];
    line.abort = false;
    return [encodeFrame(FRAME.abort, this.#received, encodeAbort(code, reason))];
  }

  #gave(end: number): void {
    if (this.#acknowledged === this.#sent) {
      this.#liveness.waiting(this.#now());
      this.#sent = Math.max(this.#sent, end);
      this.#arm(this.#due());
    } else if (end > this.#sent) this.#sent = end;
  }

  #receive(line: Line, bytes: Uint8Array): void {
    if (this.#failure) return;
    this.#liveness.heard(this.#now());
    line.decoder.push(bytes, this.#sink);
  }

  #data(position: number, length: number): boolean {
    const end = position + length;
    if (position > this.#received) {
      return this.#violated(`bytes ${this.#received} to ${position} are missing`);
    }
    if (this.#fin !== undefined && end > this.#fin) return this.#violated("bytes after the end");
    if (end > Math.min(this.#acking + this.#options.window, MAX_POSITION - 1)) {
      return this.#violated(`bytes up to ${end}, beyond the window`);
    }
    return true;
  }

  #part(part: Uint8Array, position: number): boolean {
    const known = this.#received - position;
    if (known >= part.length) return true;
    const line = this.#line;
    const fresh = known > 0 ? part.subarray(known) : part;
    this.#received += fresh.length;
    this.#inbox.add(fresh, this.#wanted ? this.#offer : undefined);
    return this.#line === line && !this.#failure;
  }

  #frame(type: number, offset: number, payload: Uint8Array): boolean {
    const line = this.#line;
    if (!line) return false;
    if (type === FRAME.ack) this.#acknowledgedTo(offset);
    else if (type === FRAME.fin) this.#finAt(offset);
    else if (type === FRAME.ping) {
      line.pong = offset;
      this.#output();
    } else if (type === FRAME.pong) this.#liveness.answer(offset, this.#now());
    else if (type === FRAME.abort) this.#fail({ ...decodeAbort(payload), by: "remote" });
    else if (this.#options.role === "client") {
      const urls = decodeAddresses(payload);
      if (urls) this.onAddresses?.(urls);
      else this.#violated("a list of addresses that is none");
    }
    return this.#line === line && !this.#failure;
  }

  #acknowledgedTo(position: number): void {
    if (position > this.#sent) {
      this.#violated(`it acknowledges ${position}, and ${this.#sent} was sent`);
      return;
    }
    if (position <= this.#acknowledged) return;
    this.#acknowledged = position;
    this.#store.acknowledge(position);
    if (this.#blocked) {
      this.#blocked = false;
      this.onWritable?.();
    }
    this.#finishing();
  }

  #finAt(position: number): void {
    if (position === this.#fin) return;
    if (this.#fin !== undefined || position !== this.#received || position >= MAX_POSITION) {
      this.#violated(`an end at ${position} after ${this.#received} bytes`);
      return;
    }
    this.#fin = position;
    this.#received++;
    if (this.#wanted) this.#offer();
  }

  readonly #offer = (): void => {
    this.#wanted = false;
    this.onReadable?.();
  };

  #violated(reason: string): false {
    this.abort(1, `Violation of the protocol: ${reason}`);
    return false;
  }

  #fail(failure: SessionFailure): void {
    if (this.#failure || this.complete) return;
    this.#failure = failure;
    this.#store.clear();
    this.#inbox.clear();
    this.#finishing();
  }

  #finishing(): void {
    if (this.#ended || !(this.#failure || this.complete)) return;
    this.#ended = true;
    this.onEnd?.();
  }
}

function joined(frames: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const [first] = frames;
  if (frames.length === 1 && first) return first;
  const bytes = new Uint8Array(frames.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const frame of frames) {
    bytes.set(frame, at);
    at += frame.length;
  }
  return bytes;
}

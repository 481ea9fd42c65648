/**
 * A session without sockets and timers: bytes and time go in, bytes and decisions come out (docs/PROTOCOLS.md).
 *
 * Nothing here throws for what the other end sends: the session then ends with a failure.
 */

import { releaseChunk } from "./_chunks.ts";
import { decodeAbort, decodeAddresses, encodeAbort, encodeAddresses } from "./_control.ts";
import type { Attachment, SessionCoreOptions, SessionFailure } from "./_core_types.ts";
import { encodeFrame, FRAME, MAX_POSITION } from "./_frames.ts";
import { Incoming } from "./_incoming.ts";
import { Line, type LineNews } from "./_line.ts";
import { Liveness } from "./_liveness.ts";
import { ReplayStore } from "./_replay.ts";
import { decodeSnapshot, encodeSnapshot } from "./_snapshot.ts";

export type { Attachment, SessionCoreOptions, SessionFailure } from "./_core_types.ts";

/** How many bytes may wait for the carrier, as long as there is one. */
const BACKLOG = 256 * 1024;

/** One end of a session. */
export class SessionCore {
  readonly #options: SessionCoreOptions;
  readonly #now: () => number;
  readonly #in: Incoming;
  readonly #liveness: Liveness;
  readonly #news: LineNews;
  #line: Line | undefined;
  /** What was written and not acknowledged. */
  #store: ReplayStore;
  #sent = 0;
  #acknowledged = 0;
  #finished = false;
  #blocked = false;
  /** Everything before it may be acknowledged, where the application says so. */
  #committed = 0;
  /** The payload of ADDR. */
  #addresses: Uint8Array | undefined;
  #failure: SessionFailure | null = null;
  /** Whether the carrier has been told of the failure. */
  #told = false;
  #ended = false;
  /** The deadline that was told last. */
  #armed = Infinity;
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
  /**
   * Called when what was consumed should be acknowledged; where it is set, that waits for {@linkcode SessionCore.commit}. Set it
   * before the first carrier.
   */
  onCommit: (() => void) | undefined;
  /** Called once when the session is complete, or lost. */
  onEnd: (() => void) | undefined;

  /** @param options What both ends agreed on. */
  constructor(options: SessionCoreOptions) {
    const { role, window, keepalive, now } = options;
    this.#options = options;
    this.#now = now;
    this.#store = new ReplayStore(0, window);
    this.#liveness = new Liveness(role === "client" ? keepalive : 0, now());
    this.#in = new Incoming(window, now, {
      acknowledge: () => this.#acknowledge(),
      arm: (at) => this.#arm(at),
      readable: () => this.onReadable?.(),
      frame: (type, offset, payload) => this.#frame(type, offset, payload),
      violated: (reason) => this.#violated(reason),
    });
    this.#news = {
      consumed: () => this.onCommit ? this.#committed : this.#in.consumed,
      addresses: () => this.#addresses,
      number: () => this.#liveness.leave(this.#now()),
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
    const incoming = core.#in;
    core.#store = new ReplayStore(Math.min(state.acknowledged, written), window);
    for (const part of state.unacknowledged) core.#store.write(part);
    for (const part of state.unread) {
      incoming.inbox.add(part, 0, part.length);
      incoming.inbox.keep();
    }
    core.#sent = state.sent;
    core.#acknowledged = state.acknowledged;
    core.#finished = finished;
    incoming.received = received;
    incoming.consumed = incoming.acking = core.#committed = consumed;
    incoming.fin = state.ended ? received - 1 : undefined;
    incoming.acked = state.ackedEnd ? received : 0;
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
    return this.#in.received;
  }

  /** Everything before it was handed to the application. */
  get consumed(): number {
    return this.#in.consumed;
  }

  /** The position of the other end's end; undefined before it came. */
  get end(): number | undefined {
    return this.#in.fin;
  }

  /** How many bytes can be read. */
  get available(): number {
    return this.#in.inbox.length;
  }

  /** Whether both directions are complete, both ends are acknowledged, and our acknowledgement has left. */
  get complete(): boolean {
    return this.#failure === null && this.#finished && this.#acknowledged > this.#store.end &&
      this.#in.complete;
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
    return this.#store.memory + this.#in.inbox.memory;
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
    const { end, taken: given } = this.#store;
    const left = Math.min(this.#acknowledged + this.#options.window, MAX_POSITION - 1) - end;
    // A carrier that is slower than the application is not run away from: memory that was used lately is fast.
    const room = this.#line ? Math.min(left, given + BACKLOG - end) : left;
    const taken = this.#store.write(room < data.length ? data.subarray(0, Math.max(0, room)) : data);
    if (taken < data.length) this.#full(taken < room);
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
    return this.#failure ? 0 : this.#in.read(into);
  }

  /**
   * Acknowledges what was consumed, where {@linkcode SessionCore.onCommit} is set.
   *
   * @param position Everything before it may be forgotten by the other end.
   */
  commit(position: number): void {
    if (this.#failure || position <= this.#committed || position > this.#in.consumed) return;
    this.#committed = position;
    this.#line?.ack();
    this.#output();
  }

  /**
   * Tells the client where else the session can be resumed.
   *
   * @param urls Where; all of them have to fit into 4,096 bytes.
   * @throws {RangeError} If they do not.
   */
  sendAddresses(urls: readonly string[]): void {
    this.#addresses = encodeAddresses(urls);
    this.#line?.addresses();
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
    const line = this.#line = new Line();
    line.fin = this.#finished && peerReceived <= this.#store.end;
    if (this.#addresses) line.addresses();
    this.#told = false;
    this.#liveness.begin(this.#now());
    if (peerReceived > this.#sent || peerReceived < least) {
      this.#violated(`it has received up to ${peerReceived}, between ${least} and ${this.#sent} can be`);
    } else if (!this.#failure) this.#store.rewind(Math.max(peerReceived, this.#acknowledged));
    this.#arm(this.#due());
    return this.#attachment(line);
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
    const { inbox, received, consumed, fin, complete } = this.#in;
    inbox.peek((bytes) => unread.push(bytes));
    const { role, window, keepalive } = this.#options;
    return encodeSnapshot({
      role,
      window,
      keepalive,
      sent: this.#sent,
      acknowledged: this.#acknowledged,
      written: this.#store.end,
      finished: this.#finished,
      received,
      consumed,
      ended: fin !== undefined,
      ackedEnd: complete,
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
    if (now >= this.#in.ackAt) this.#acknowledge();
    const decision = this.#liveness.tick(now, this.#acknowledged < this.#sent);
    if (decision === "suspect") this.onSuspicion?.();
    if (decision !== "ask") return;
    line.ping();
    this.#output();
  }

  #attachment(line: Line): Attachment {
    const isCurrent = (): boolean => this.#line === line;
    return {
      get current() {
        return isCurrent();
      },
      receive: (bytes) => this.#receive(line, bytes),
      next: () => this.#next(line),
      detach: () => {
        if (this.#line !== line) return;
        this.#line = undefined;
        this.#unblock();
      },
    };
  }

  #least(): number {
    return this.#options.role === "server" ? this.#acknowledged : 0;
  }

  #due(): number {
    if (!this.#line || this.#failure) return Infinity;
    return Math.min(this.#in.ackAt, this.#liveness.deadline(this.#acknowledged < this.#sent));
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
    this.#in.ackAt = Infinity;
    if (this.onCommit && this.#committed < this.#in.consumed) return this.onCommit();
    this.#line?.ack();
    this.#output();
  }

  /** Not all was taken; the window has room all the same if the frames are so small that they need more memory. */
  #full(hasWindow: boolean): void {
    this.#blocked = true;
    if (this.#store.end >= MAX_POSITION - 1) this.abort(5, "no position is left");
    // Then an ACK is asked for: the other end may have consumed too little to send one now.
    if (!hasWindow || this.#acknowledged === this.#sent || !this.#line?.ping()) return;
    this.#liveness.ask(this.#now());
    this.#arm(this.#due());
    this.#output();
  }

  #next(line: Line): Uint8Array<ArrayBuffer> | null {
    if (line.chunk) {
      releaseChunk(line.chunk);
      line.chunk = undefined;
    }
    if (this.#line !== line) return null;
    if (line.acking > this.#in.acked) {
      this.#in.acked = line.acking;
      this.#finishing();
    }
    if (this.#failure) return this.#farewell(this.#failure);
    if (line.urgent) {
      this.#in.ackAt = Infinity;
      const frames = line.take(this.#news);
      this.#in.acking = Math.max(this.#in.acking, line.acking);
      return frames;
    }
    const bytes = this.#store.take();
    if (bytes) {
      line.chunk = this.#store.lend();
      this.#gave(this.#store.taken);
      if (this.#store.end - this.#store.taken <= BACKLOG / 2) this.#unblock();
      return bytes;
    }
    if (line.fin) {
      line.fin = false;
      this.#gave(this.#store.end + 1);
      return encodeFrame(FRAME.fin, this.#store.end);
    }
    line.idle = true;
    return null;
  }

  /** The last frame, unless it was the other end that ended it. */
  #farewell({ code, reason, by }: SessionFailure): Uint8Array<ArrayBuffer> | null {
    if (by === "remote" || this.#told) return null;
    this.#told = true;
    return encodeFrame(FRAME.abort, this.#in.received, encodeAbort(code, reason));
  }

  #gave(end: number): void {
    if (end <= this.#sent) return;
    const waited = this.#acknowledged < this.#sent;
    this.#sent = end;
    if (waited) return;
    this.#liveness.waiting(this.#now());
    this.#arm(this.#due());
  }

  #receive(line: Line, bytes: Uint8Array): void {
    if (this.#line !== line || this.#failure) return;
    this.#liveness.heard(this.#now());
    line.decoder.push(bytes, this.#in);
    if (!this.#failure) this.#in.settle();
  }

  #frame(type: number, offset: number, payload: Uint8Array): boolean {
    const line = this.#line;
    if (type === FRAME.ack) this.#acknowledgedTo(offset);
    else if (type === FRAME.ping) {
      line?.pong(offset);
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
    this.#unblock();
    this.#finishing();
  }

  #unblock(): void {
    if (!this.#blocked || this.#store.end >= this.#acknowledged + this.#options.window) return;
    this.#blocked = false;
    this.onWritable?.();
  }

  #violated(reason: string): false {
    this.abort(1, `Violation of the protocol: ${reason}`);
    return false;
  }

  #fail(failure: SessionFailure): void {
    if (this.#failure || this.complete) return;
    this.#failure = failure;
    this.#store.clear();
    this.#in.inbox.clear();
    this.#finishing();
  }

  #finishing(): void {
    if (this.#ended || !(this.#failure || this.complete)) return;
    this.#ended = true;
    this.onEnd?.();
  }
}

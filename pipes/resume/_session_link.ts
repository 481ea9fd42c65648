/** A session as that what a pipe stands on. */

import type { Clock, Timer } from "../../internal/clock.ts";
import type { PipeAddress, Transport } from "../address.ts";
import type { FillSink, Link } from "../_link.ts";
import { concat } from "./_keys.ts";
import type { Session } from "./_session.ts";

/** How long a session that was closed waits for the other end to close its direction too, in milliseconds. */
const PATIENCE = 1000;

/** For how long closing waits for the other end's application to have got everything, in milliseconds. */
const LINGER = 5000;

const DONE = Promise.resolve();
const NOTHING = new Uint8Array(0);
const NOWHERE: PipeAddress = { transport: "memory", name: "" };

interface Writer {
  /** What the session has not taken yet. */
  rest: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What a pipe reads from and writes to, whatever carries it. */
export class SessionLink implements Link {
  readonly unit = "bytes";
  readonly halfClose = true;
  /** How many bytes were handed to the application. */
  handed = 0;
  /** Called when the application has got all that was there, and wants more. */
  onWanted: (() => void) | undefined;
  readonly #session: Session;
  readonly #clock: Clock;
  #reader: { readonly buffer: Uint8Array<ArrayBuffer>; readonly sink: FillSink } | undefined;
  #writer: Writer | undefined;
  #closing: PromiseWithResolvers<void> | undefined;
  #delivered: Timer | undefined;
  /** What was written since it was frozen. */
  #frozen: Uint8Array[] | undefined;
  /** Whether the end was, too. */
  #frozenEnd = false;
  /** What another process has read, and its application has not got. */
  #unread: Uint8Array = NOTHING;

  /**
   * @param session The session.
   * @param clock Source of time.
   */
  constructor(session: Session, clock: Clock) {
    this.#session = session;
    this.#clock = clock;
    session.core.onReadable = () => this.#readable();
    session.core.onWritable = () => this.#writable();
  }

  get transport(): Transport {
    return this.#session.below?.transport ?? "memory";
  }

  get localAddress(): PipeAddress {
    return this.#session.below?.localAddress ?? NOWHERE;
  }

  get remoteAddress(): PipeAddress {
    return this.#session.below?.remoteAddress ?? NOWHERE;
  }

  get roundTrip(): number | null {
    return this.#session.core.srtt;
  }

  get resumes(): number {
    return this.#session.resumes;
  }

  get suspended(): number {
    return this.#session.suspended;
  }

  get extra(): Readonly<Record<string, unknown>> {
    return { resumable: true, session: this.#session.info };
  }

  /** Whether somebody waits for something to read. */
  get hungry(): boolean {
    return this.#reader !== undefined;
  }

  read(buffer: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer> | null> {
    return new Promise((resolve, reject) =>
      this.fill(buffer, {
        filled: (count) => resolve(count === null ? null : buffer.subarray(0, count)),
        broke: reject,
      })
    );
  }

  fill(buffer: Uint8Array<ArrayBuffer>, sink: FillSink): void {
    const { core, error } = this.#session;
    this.onWanted?.();
    if (this.#frozen) {
      this.#reader = { buffer, sink };
      return;
    }
    const count = this.#again(buffer) || core.read(buffer);
    if (count === 0 && !error) {
      this.#reader = { buffer, sink };
      return;
    }
    this.handed += count ?? 0;
    queueMicrotask(() => count === 0 ? sink.broke(error) : sink.filled(count));
  }

  write(data: Uint8Array): Promise<void> {
    const { core, error } = this.#session;
    if (error) return Promise.reject(error);
    if (this.#frozen) {
      this.#frozen.push(data.slice());
      return DONE;
    }
    // What another process has not sent goes first.
    if (this.#restoring) return this.#restored.then(() => this.write(data));
    const taken = core.write(data);
    if (taken === data.length && this.#isGiven()) return DONE;
    return new Promise((resolve, reject) => {
      this.#writer = { rest: data.subarray(taken), resolve, reject };
    });
  }

  closeWrite(): Promise<void> {
    if (this.#frozen) this.#frozenEnd = true;
    else if (this.#restoring) return this.#restored.then(() => this.closeWrite());
    else this.#session.core.closeWrite();
    return DONE;
  }

  /** Whether the application has closed it. */
  get closing(): boolean {
    return this.#closing !== undefined;
  }

  /** Hands out and sends nothing more; what is written from now on is kept for another process. */
  freeze(): void {
    const writer = this.#writer;
    this.#frozen = writer ? [writer.rest.slice()] : [];
    this.#writer = undefined;
    writer?.resolve();
  }

  /** What another process has read, and nobody has got here either. */
  get leftover(): Uint8Array {
    return this.#unread;
  }

  /** What was written since it was frozen, and whether the end was. */
  get unsent(): { readonly bytes: Uint8Array; readonly ended: boolean } {
    return { bytes: concat(...this.#frozen ?? []), ended: this.#frozenEnd };
  }

  /**
   * Goes on where another process was.
   *
   * @param handed How many bytes its application has got.
   * @param unread What was read there, and its application has not got.
   * @param unsent What was written there, and not taken by the session.
   */
  restore(
    handed: number,
    unread: Uint8Array,
    unsent: { readonly bytes: Uint8Array; readonly ended: boolean },
  ): void {
    this.handed = handed;
    this.#unread = unread;
    const written = this.write(unsent.bytes);
    this.#restoring = true;
    this.#restored = written.then(() => {
      this.#restoring = false;
      if (unsent.ended) this.#session.core.closeWrite();
    });
    // Then the session is lost, which others are told.
    this.#restored.catch(() => {});
  }
  #restored: Promise<void> = DONE;
  #restoring = false;

  async close(): Promise<void> {
    const session = this.#session;
    if (!this.#closing) {
      // Its last carrier may have something to say yet.
      if (session.over && !session.carried) return;
      this.#closing = Promise.withResolvers();
      if (!session.over) this.#end(session);
    }
    const timer = this.#clock.after(LINGER, this.#closing.resolve, { ref: true });
    await this.#closing.promise;
    timer.cancel();
  }

  abort(): void {
    this.#session.lose("aborted", "the application ended it", 0);
  }

  /** Something came: maybe the last acknowledgement. */
  notice(): void {
    const { core } = this.#session;
    if (!this.#closing || this.#delivered || core.acknowledged <= core.written) return;
    if (this.#session.over) return;
    // The other end has everything. What it still wants to say is for nobody.
    this.#delivered = this.#clock.after(PATIENCE, () => core.abort(0, "the application closed it"));
  }

  /** The carrier has taken something, or is lost. */
  given(): void {
    const writer = this.#writer;
    if (!writer || writer.rest.length > 0 || !this.#isGiven()) return;
    this.#writer = undefined;
    writer.resolve();
  }

  /** Says that nothing more will be sent, and takes what still comes, so that the other end's end can. */
  #end(session: Session): void {
    session.hold();
    void this.closeWrite().catch(() => {}); // then it is lost
    this.#reader = undefined;
    this.#readable();
    this.notice();
  }

  /** The session is over, and its last carrier closed. */
  gone(): void {
    this.#closing?.resolve();
  }

  /** The session is over. */
  over(): void {
    this.#delivered?.cancel();
    const { error } = this.#session;
    const [reader, writer] = [this.#reader, this.#writer];
    this.#reader = undefined;
    this.#writer = undefined;
    if (reader) queueMicrotask(() => error ? reader.sink.broke(error) : reader.sink.filled(null));
    writer?.reject(error);
  }

  /** Hands out what another process has read. */
  #again(buffer: Uint8Array): number {
    const part = this.#unread.subarray(0, buffer.length);
    buffer.set(part);
    this.#unread = this.#unread.subarray(part.length);
    return part.length;
  }

  #readable(): void {
    const { core } = this.#session;
    if (this.#frozen) return;
    const reader = this.#reader;
    if (!reader) {
      if (this.#closing) this.#drop();
      return;
    }
    const count = core.read(reader.buffer);
    if (count === 0) return;
    this.#reader = undefined;
    this.handed += count ?? 0;
    reader.sink.filled(count);
  }

  #drop(): void {
    const waste = new Uint8Array(4096);
    while (this.#session.core.read(waste)) { /* Nobody wants it. */ }
  }

  #writable(): void {
    const writer = this.#writer;
    if (!writer || writer.rest.length === 0) return;
    writer.rest = writer.rest.subarray(this.#session.core.write(writer.rest));
    this.given();
  }

  /**
   * Whether the carrier has taken everything, if there is one. Who waits for that writes the more at once; without a carrier only the
   * window counts.
   */
  #isGiven(): boolean {
    const { core, carried } = this.#session;
    return !carried || core.written <= core.sent;
  }
}

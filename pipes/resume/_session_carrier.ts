/** One connection that carries a session: moves bytes between its link and the session, sealed or as they are. */

import { BufferPool } from "../_buffer_pool.ts";
import type { FillSink, Link } from "../_link.ts";
import type { Attachment } from "./_core.ts";
import type { SealedCodec } from "./_seal.ts";

/** What a {@linkcode SessionCarrier} is made with. */
export interface SessionCarrierOptions {
  /** The connection, which belongs to the carrier now. */
  readonly link: Link;
  /** Seals and opens; `null` where bytes go as they are. */
  readonly codec: SealedCodec | null;
  /** Which of the session's carriers it is. */
  readonly epoch: number;
  /**
   * Takes what comes until the handshake is over: gives what is left for the session then, and `null` before.
   *
   * @default {undefined} The handshake is over already.
   */
  readonly intake?: ((bytes: Uint8Array) => Uint8Array | null) | undefined;
  /** Whether somebody waits for what comes. @default {nobody is known of, and nobody waited for} */
  readonly hungry?: (() => boolean) | undefined;
  /** Called once when it carries nothing any more, unless it was closed by us. */
  readonly lost: (carrier: SessionCarrier, error: unknown) => void;
}

/** A clean end; one that the connection itself knows to be cut short, as TLS does, is none. */
export class CarrierEnd extends Deno.errors.UnexpectedEof {
  constructor() {
    super("The connection was closed");
  }
}

/** What an idle carrier waits with; a pending read costs all of its buffer. */
const SMALL = 256;

/** What busy ones read with, by turns: as much as who reads takes at once, with the header that is among it. */
const large = new BufferPool(64 * 1024 + 12, 16);

/** For how many turns of promises a busy one waits for who reads: what he takes while it comes is copied once less. */
const TURNS = 32;

/** A carrier at work. */
export class SessionCarrier implements FillSink {
  /** The connection. */
  readonly link: Link;
  /** Which of the session's carriers it is. */
  readonly epoch: number;
  /** Bytes that came over it. */
  bytesIn = 0;
  /** Bytes that went over it. */
  bytesOut = 0;
  readonly #codec: SealedCodec | null;
  readonly #lost: SessionCarrierOptions["lost"];
  readonly #hungry: () => boolean;
  #intake: SessionCarrierOptions["intake"];
  #attachment: Attachment | undefined;
  #own = new Uint8Array(SMALL);
  #into = this.#own;
  #busy = false;
  #turns = 0;
  #writing = false;
  #finishing: PromiseWithResolvers<void> | undefined;
  #over = false;
  /** Whether what still comes is only waited out. */
  #draining = false;

  /** @param options The connection, and who is told of its end. */
  constructor(options: SessionCarrierOptions) {
    this.link = options.link;
    this.epoch = options.epoch;
    this.#codec = options.codec;
    this.#intake = options.intake;
    this.#lost = options.lost;
    this.#hungry = options.hungry ?? (() => true);
  }

  /** Whether the other end has said something since the handshake. */
  get stands(): boolean {
    return this.#intake === undefined;
  }

  /**
   * Begins to carry.
   *
   * @param attachment The session's side of it.
   * @param rest What came behind the handshake, opened.
   * @param first What to send before anything else, as it is.
   */
  begin(attachment: Attachment, rest: Uint8Array, first?: Uint8Array): void {
    this.#attachment = attachment;
    if (first) this.#send(first);
    else this.#write();
    if (rest.length > 0) attachment.receive(rest);
    if (!this.#over) this.#read();
  }

  /** There is something to be written. */
  wake(): void {
    if (!this.#writing) this.#write();
  }

  /** Ends it after what is there to be written; resolves when that is done. */
  finish(): Promise<void> {
    this.#finishing = Promise.withResolvers();
    this.wake();
    return this.#finishing.promise;
  }

  /** Ends it at once, also where it is being closed. */
  abort(): void {
    this.#end();
    this.link.abort();
  }

  filled(count: number | null): void {
    if (this.#draining) return count === null ? this.#drained() : this.#read();
    if (count === null) return this.#fail(new CarrierEnd());
    const bytes = this.#into.subarray(0, count);
    this.#take(bytes);
    if (this.#over) return this.#giveBack();
    const full = count === this.#into.length;
    if (!this.#busy && full) this.#enlarge();
    else if (this.#busy && count < 4096) this.#giveBack();
    if (!this.#busy || this.#hungry()) return this.#read();
    this.#turns = TURNS;
    queueMicrotask(this.#patient);
  }

  readonly #patient = (): void => {
    if (this.#over && !this.#draining) return this.#giveBack();
    if (this.#draining || this.#hungry() || --this.#turns === 0) this.#read();
    else queueMicrotask(this.#patient);
  };

  broke(error: unknown): void {
    if (this.#draining) this.#drained();
    else this.#fail(error);
  }

  #read(): void {
    const { link } = this;
    if (link.fill) return link.fill(this.#into, this);
    link.read(this.#into).then((chunk) => this.#came(chunk), (error) => this.broke(error));
  }

  /** What a link gives that has memory of its own. */
  #came(chunk: Uint8Array | null): void {
    if (chunk === null || this.#draining) return this.filled(chunk && chunk.length);
    if (chunk.buffer === this.#into.buffer) return this.filled(chunk.length);
    this.#take(chunk);
    if (!this.#over) this.#read();
  }

  #take(bytes: Uint8Array): void {
    this.bytesIn += bytes.length;
    if (this.#over) return;
    try {
      if (this.#intake) return this.#finish(this.#intake, bytes);
      if (!this.#codec) return this.#attachment?.receive(bytes);
      this.#codec.push(bytes);
      for (let piece = this.#codec.next(); piece; piece = this.#codec.next()) {
        this.#attachment?.receive(piece);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #finish(intake: (bytes: Uint8Array) => Uint8Array | null, bytes: Uint8Array): void {
    const rest = intake(bytes);
    if (rest === null || this.#over) return;
    this.#intake = undefined;
    if (rest.length > 0) this.#attachment?.receive(rest);
  }

  #write(): void {
    if (this.#over) return;
    const bytes = this.#attachment?.next() ?? null;
    this.#writing = bytes !== null;
    if (!bytes) {
      if (this.#finishing) this.#bye();
      return;
    }
    this.#send(this.#codec ? this.#codec.seal(bytes) : bytes);
  }

  #send(out: Uint8Array): void {
    this.#writing = true;
    this.bytesOut += out.length;
    this.link.write(out).then(this.#written, this.#unwritable);
  }

  readonly #written = (): void => {
    if (!this.#over) return this.#write();
    this.#writing = false;
    this.#release();
  };

  readonly #unwritable = (error: unknown): void => {
    this.#writing = false;
    this.#fail(error);
    this.#release();
  };

  /** Says that nobody touches any more what was written last. */
  #release(): void {
    this.#attachment?.next();
  }

  /**
   * Says the last, and waits for the other end to close too: a socket that is closed while something is on its way to it answers
   * by a reset, which may overtake the last that it said.
   */
  #bye(): void {
    if (!this.#end()) return;
    this.#draining = this.link.halfClose;
    const said = this.#draining ? this.link.closeWrite() : this.link.close();
    said.then(() => this.#draining || this.#finishing?.resolve(), () => this.#drained());
  }

  #drained(): void {
    this.#draining = false;
    this.#giveBack();
    this.link.close().catch(() => {}).then(this.#finishing?.resolve);
  }

  #enlarge(): void {
    const buffer = large.borrow();
    if (!buffer) return;
    this.#busy = true;
    this.#into = buffer;
  }

  #giveBack(): void {
    if (!this.#busy) return;
    this.#busy = false;
    large.giveBack(this.#into);
    this.#into = this.#own;
  }

  #fail(error: unknown): void {
    this.#giveBack();
    if (!this.#end()) return;
    if (error instanceof CarrierEnd) this.link.close().catch(() => {});
    else this.link.abort();
    this.#lost(this, error);
  }

  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#attachment?.detach();
    return true;
  }
}

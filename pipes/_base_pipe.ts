/** The pipe itself: everything that does not depend on the transport. */

import { type Clock, holdProcess, systemClock } from "../internal/clock.ts";
import type { FailureOperation } from "../recover/failure.ts";
import type { PipeAddress, Transport } from "./address.ts";
import { Carrier, type CarrierNews } from "./_carrier.ts";
import type { Link } from "./_link.ts";
import { abortedError, closedError, lossError, unwritableError } from "./_pipe_errors.ts";
import { PipeEvents } from "./_pipe_events.ts";
import { checkPipeOptions, type PipeKeeper, type PipeOptions } from "./_pipe_options.ts";
import { PipeLife } from "./_pipe_life.ts";
import { PipeReader, type ReaderNews } from "./_pipe_reader.ts";
import { checkQueue } from "./_subscriptions.ts";
import type {
  Detached,
  PipeBase,
  PipeData,
  PipeEvent,
  PipeEventOf,
  PipeEventType,
  PipeFilter,
  PipeState,
  PipeStats,
  RecvOptions,
  SendOptions,
  Subscription,
} from "./pipe.ts";
import { PipeError } from "./pipe_error.ts";

export type { PipeKeeper, PipeOptions } from "./_pipe_options.ts";

/** A pipe over a link. */
export class BasePipe<T extends Transport = Transport, A extends PipeAddress = PipeAddress>
  implements PipeBase<T, A> {
  readonly transport: T;
  readonly resumable: boolean = false;
  readonly #options: PipeOptions;
  readonly #clock: Clock;
  readonly #linger: number;
  readonly #carrier: Carrier;
  readonly #reader: PipeReader;
  readonly #events: PipeEvents;
  readonly #keeper: PipeKeeper | undefined;
  readonly #life = new PipeLife();
  #writable: WritableStream<PipeData> | undefined;
  #remoteEnded = false;
  #writeEnded = false;
  /** What a write failed with, while it is not known yet whether there is something left to be read. */
  #writeLoss: PipeError | undefined;
  #closing: Promise<void> | undefined;
  #proven = false;

  /** Takes the connection over; the keeper is who looks after it. */
  constructor(link: Link, options: PipeOptions = {}, keeper?: PipeKeeper) {
    const { highWaterMark, linger } = checkPipeOptions(options);
    const { framing = null, clock = systemClock } = options;
    this.transport = link.transport as T;
    this.#options = options;
    this.#clock = clock;
    this.#linger = linger;
    this.#keeper = keeper;
    const events = this.#events = new PipeEvents(options.logger);
    const tell = (news: ReaderNews | CarrierNews, error?: unknown): void => this.#onNews(news, error);
    this.#carrier = new Carrier(link, { framing, highWaterMark, tell });
    const queue = checkQueue(options.queue);
    this.#reader = new PipeReader(this.#carrier.inbound, { queue, clock, events, tell });
    Object.assign(this, link.extra);
  }

  get localAddress(): A {
    return this.#carrier.link.localAddress as A;
  }

  get remoteAddress(): A {
    return this.#carrier.link.remoteAddress as A;
  }

  get state(): PipeState {
    return this.#life.state;
  }

  get proven(): boolean {
    return this.#proven;
  }

  get stats(): PipeStats {
    const { outbound, dropped, reconnects } = this.#carrier;
    return {
      bytesSent: outbound.bytes,
      bytesReceived: this.#reader.bytes,
      messagesSent: outbound.messages,
      messagesReceived: this.#reader.messages,
      dropped: this.#reader.dropped + dropped,
      unmatched: this.#reader.unmatched,
      reconnects,
      roundTrip: this.#keeper?.roundTrip ?? this.#carrier.link.roundTrip ?? null,
      resumes: this.#carrier.link.resumes ?? 0,
      suspended: this.#carrier.link.suspended ?? 0,
    };
  }

  get bufferedAmount(): number {
    return this.#carrier.outbound.buffered;
  }

  get closed(): Promise<void> {
    if (!this.#closing) this.#reader.fetch();
    return this.#life.closed;
  }

  send(data: PipeData, options?: SendOptions): Promise<void> {
    const signal = options?.signal;
    try {
      signal?.throwIfAborted();
      this.#checkWritable();
      return this.#carrier.send(data, this.#clock, signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  recv(options?: RecvOptions): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.#reader.recv(options);
  }

  get messages(): AsyncIterable<Uint8Array<ArrayBuffer>> {
    return { [Symbol.asyncIterator]: () => this.#reader.iterate() };
  }

  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#reader.readable;
  }

  get writable(): WritableStream<PipeData> {
    return this.#writable ??= new WritableStream<PipeData>({
      write: (data) => this.send(data),
      close: () => this.closeWrite(),
      abort: (reason) => this.abort(reason),
    });
  }

  subscribe(filter?: PipeFilter): Subscription {
    return this.#reader.subscribe(filter);
  }

  on<K extends PipeEventType>(type: K, handler: (event: PipeEventOf<K>) => unknown): Disposable {
    if (type === "message") {
      return this.#reader.onMessage(handler as (event: PipeEventOf<"message">) => unknown);
    }
    const isUp = type === "up" && this.#life.state.type === "open";
    const past = isUp ? this.#up() : this.#life.past(type, this.#remoteEnded);
    const registration = this.#events.on(type, handler, past);
    // An end or a failure is to show although nobody reads.
    if (!past && !this.#closing && (type === "end" || type === "error")) this.#reader.fetch();
    return registration;
  }

  async flush(): Promise<void> {
    using _hold = holdProcess(this.#clock);
    await this.#carrier.outbound.flush();
  }

  async closeWrite(): Promise<void> {
    if (this.#writeEnded || this.#closing) return;
    this.#checkWritable();
    this.#writeEnded = true;
    if (!this.#carrier.link.halfClose) return await this.close();
    await this.flush();
    await this.#carrier.link.closeWrite();
    if (this.#remoteEnded) await this.close();
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  abort(reason?: unknown): void {
    if (!this.#life.over) this.#fail(abortedError(this.remoteAddress, reason));
  }

  async detach(): Promise<Detached> {
    const operation = "give the connection away";
    const stop = (why: string): TypeError => new TypeError(`Cannot ${operation}: ${why}`);
    if (this.#life.over || this.#closing) throw stop("the pipe is closed");
    if (this.#reader.fetching) throw stop("a read is under way");
    if (!this.#reader.whole) throw stop("the framing may hold a part of a message");
    await this.flush();
    const { link } = this.#carrier;
    const connection = link.detach?.();
    if (connection === undefined) throw stop(`${this.transport} has nothing to give away`);
    const unread = this.#reader.take(link.unread);
    this.#end({ type: "closed" });
    return { connection, unread };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What was read and nobody has got, as bytes that can be read again. */
  kept(): Uint8Array<ArrayBuffer> {
    return this.#reader.kept();
  }

  /** Tells an event of the network, or of who looks after the pipe. */
  emit(event: PipeEvent): void {
    this.#events.emit(event);
  }

  /** Reports what code of the application threw, called by its name. */
  uncaught(name: string, error: unknown): void {
    this.#events.uncaught(name, error);
  }

  /** Says that the other end was heard of, or not for too long. */
  prove(proven: boolean): void {
    if (proven === this.#proven || this.#life.over) return;
    this.#proven = proven;
    this.emit({ type: proven ? "proven" : "suspect" });
  }

  /** Ends the connection below because it is lost, as a failed read would have. */
  lose(error: unknown): void {
    this.#lost(this.#lossOf("read", error));
  }

  #onNews(news: ReaderNews | CarrierNews, error: unknown): void {
    switch (news) {
      case "message":
        this.#keeper?.heard?.();
        this.prove(true);
        // Where nobody reads, the loss behind the message would never be found, and what waits to be sent would wait for ever.
        if (this.#writeLoss && this.#keeper?.mayReconnect) queueMicrotask(() => this.#unread());
        return;
      case "ending":
        // The system tells an error once. Where the failed write has got it, what comes then looks like a clean end.
        if (this.#writeLoss && this.#writeLoss.failure?.code !== "EPIPE") this.#lost(this.#writeLoss);
        return;
      case "end":
        this.#remoteEnded = true;
        if (this.#writeLoss) this.#carrier.outbound.fail(this.#writeLoss);
        this.emit({ type: "end" });
        if (this.#writeEnded || !this.#carrier.link.halfClose) void this.close();
        return;
      case "broken":
        // After a write failed a message that breaks off is no fault of the other end.
        return this.#lost(error instanceof PipeError && this.#writeLoss || this.#lossOf("read", error));
      case "unwritable":
        return this.#writeFailed(error);
      case "trouble":
        return this.emit({ type: "error", error, fatal: false });
      case "proven":
      case "suspect":
        return this.prove(news === "proven");
      case "dead":
        return this.lose(error);
      case "full":
        return this.#fail(error);
      case "cancelled":
        return this.abort(error);
    }
  }

  #up(): PipeEvent {
    const { localAddress, remoteAddress } = this;
    return { type: "up", reconnects: this.#carrier.reconnects, localAddress, remoteAddress };
  }

  #checkWritable(): void {
    if (this.#life.state.type === "failed") throw this.#life.state.error;
    if (this.#life.state.type !== "closed" && !this.#closing && !this.#writeEnded) return;
    const why = this.#writeEnded && !this.#closing ? "our direction was closed" : "the pipe is closed";
    throw unwritableError(this.remoteAddress, why);
  }

  #lossOf(operation: FailureOperation, error: unknown): PipeError {
    return lossError(error, operation, this, this.#options.network?.state);
  }

  /** What the other end sent before may still be read, and it often says why (an early reply, an alert). */
  #writeFailed(error: unknown): void {
    if (this.#life.over || this.#closing) return;
    const loss = this.#writeLoss = this.#lossOf("write", error);
    // What waits to be sent may go out by another connection.
    if (this.#keeper?.mayReconnect) this.#carrier.outbound.pause();
    else this.#carrier.outbound.fail(loss);
    if (this.#remoteEnded || this.#reader.blocked) this.#lost(loss);
    else this.#reader.fetch();
  }

  #unread(): void {
    if (this.#writeLoss && this.#reader.blocked) this.#lost(this.#writeLoss);
  }

  #lost(error: PipeError): void {
    if (this.#life.state.type !== "open" || this.#carrier.closing) return;
    // With one direction closed a new connection would not be the same.
    const whole = !this.#remoteEnded && !this.#writeEnded && !this.#closing;
    const { failure } = error;
    const another = whole && failure && error.code === "lost" ? this.#keeper?.lost(error) : undefined;
    if (!another || !failure) return this.#fail(error);
    // Who was told of it may have ended the pipe.
    if (!this.#life.over) {
      this.#life.change({ type: "waiting", failure });
      this.#carrier.lose();
      this.#proven = false;
    }
    another.then((link) => this.#replace(link), (failed) => {
      if (!this.#life.over) this.#fail(this.#lossOf("connect", failed));
    });
  }

  #replace(link: Link): void {
    if (this.#life.over) return link.abort();
    this.#writeLoss = undefined;
    this.#life.change();
    this.#carrier.replace(link);
    Object.assign(this, link.extra);
    this.#keeper?.connected?.();
    this.emit(this.#up());
  }

  #fail(error: unknown): void {
    const typed = this.#lossOf("read", error);
    this.#carrier.link.abort();
    this.#end({ type: "failed", error: typed });
  }

  async #close(): Promise<void> {
    if (this.#life.over) return;
    if (this.#life.state.type === "open") {
      // What could not be sent is told by send() and flush(); closing goes on.
      await this.#carrier.flush(this.#linger, this.#clock);
    }
    if (this.#life.over) return;
    if (this.#life.state.type === "open") await this.#carrier.close();
    else this.#carrier.link.abort();
    this.#end({ type: "closed" });
  }

  /** The last that happens to a pipe. */
  #end(state: PipeState): void {
    if (this.#life.over) return;
    this.#life.change(state);
    const failure = state.type === "failed" ? state.error : undefined;
    const error = failure ?? closedError();
    this.#carrier.outbound.fail(error);
    this.#reader.end(this.#remoteEnded && !failure ? undefined : error, failure);
    const ended = this.#remoteEnded;
    this.#remoteEnded = true;
    if (failure) this.emit({ type: "error", error: failure, fatal: true });
    this.#life.settle();
    if (!ended) this.emit({ type: "end" });
    this.#keeper?.ended();
  }
}

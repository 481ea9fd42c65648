/** The pipe itself: everything that does not depend on the transport. */

import { holdProcess, systemClock } from "../internal/clock.ts";
import type { Clock } from "../internal/clock.ts";
import { type Logger, logUncaught } from "../internal/log.ts";
import { classify } from "../recover/classify.ts";
import type { FailureOperation } from "../recover/failure.ts";
import { formatPipeAddress, type PipeAddress, type Transport } from "./address.ts";
import { Inbound } from "./_inbound.ts";
import type { Link } from "./_link.ts";
import { Outbound } from "./_outbound.ts";
import { checkQueue, type QueueOptions, Subscriber } from "./_subscriptions.ts";
import type { Framer } from "./framing.ts";
import type {
  Detached,
  Packet,
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

/** What every pipe takes. */
export interface PipeOptions {
  /**
   * How messages lie in a stream of bytes: see {@linkcode lengthPrefix}, {@linkcode lines}, {@linkcode delimiter},
   * {@linkcode fixed}; or one of your own. Transports that keep messages apart by themselves do without.
   *
   * @default {undefined} They do not: a message is whatever arrives.
   */
  readonly framing?: Framer;
  /** How much may wait for one who receives. */
  readonly queue?: QueueOptions;
  /**
   * How many bytes may wait to be sent before {@linkcode PipeBase.send} makes its caller wait.
   *
   * @default {64 * 1024}
   */
  readonly highWaterMark?: number;
  /**
   * For how many milliseconds closing waits until what was sent is taken by the system; then the pipe is ended at once.
   *
   * @default {5000}
   */
  readonly linger?: number;
  /** Where trouble with handlers is reported. */
  readonly logger?: Logger | undefined;
  /** Source of time. */
  readonly clock?: Clock;
}

/** What {@linkcode BasePipe} tells those who look after its connection. */
export interface PipeKeeper {
  /**
   * Called when the connection is lost.
   *
   * @returns Another one; or `undefined` where the pipe is to end.
   */
  lost(error: PipeError): Promise<Link> | undefined;
  /** Called when the pipe is over. */
  ended(): void;
}

type Result = { readonly packet: Packet | null } | { readonly error: unknown };

/** One who waits for a message. */
interface Waiter {
  readonly resolve: (packet: Packet | null) => void;
  readonly reject: (error: unknown) => void;
}

type Handler = (event: PipeEvent) => unknown;

/** Checks the numbers, and fills in the defaults. */
function checked(options: PipeOptions): Required<Pick<PipeOptions, "highWaterMark" | "linger">> {
  const { highWaterMark = 64 * 1024, linger = 5000 } = options;
  for (const [name, value] of Object.entries({ highWaterMark, linger })) {
    if (!(value >= 0)) {
      throw new RangeError(`Cannot make a pipe: ${name} must be a number from 0, got ${value}`);
    }
  }
  return { highWaterMark, linger };
}

/** A pipe over a link. */
export class BasePipe<T extends Transport = Transport, A extends PipeAddress = PipeAddress>
  implements PipeBase<T, A> {
  readonly transport: T;
  readonly #options: PipeOptions;
  readonly #clock: Clock;
  readonly #linger: number;
  readonly #queue: Required<QueueOptions>;
  readonly #inbound: Inbound;
  readonly #outbound: Outbound;
  readonly #subscribers = new Set<Subscriber>();
  readonly #handlers = new Map<string, Set<Handler>>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #keeper: PipeKeeper | undefined;
  #link: Link;
  #state: PipeState = { type: "open" };
  /** A message that was read, and that nobody has got. */
  #stash: Result | undefined;
  #waiter: Waiter | undefined;
  #fetching = false;
  #pumping = false;
  /** Who reads now, in words for the error that the next one gets. */
  #reader: string | undefined;
  #readable: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  #writable: WritableStream<PipeData> | undefined;
  #remoteEnded = false;
  #writeEnded = false;
  #closing: Promise<void> | undefined;
  #proven = false;
  #received = { bytes: 0, messages: 0, dropped: 0, unmatched: 0 };
  #reconnects = 0;

  /**
   * @param link The connection, which belongs to the pipe now.
   * @param options Framing and limits.
   * @param keeper Who looks after the connection.
   */
  constructor(link: Link, options: PipeOptions = {}, keeper?: PipeKeeper) {
    const { highWaterMark, linger } = checked(options);
    this.transport = link.transport as T;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#linger = linger;
    this.#queue = checkQueue(options.queue);
    this.#keeper = keeper;
    this.#link = link;
    const framing = options.framing ?? null;
    this.#inbound = new Inbound(link, framing);
    this.#outbound = new Outbound(link, framing, highWaterMark, (error) => this.#writeFailed(error));
    // Whoever does not ask how it ended does not have to handle it.
    this.#closed.promise.catch(() => {});
    Object.assign(this, link.extra);
  }

  get localAddress(): A {
    return this.#link.localAddress as A;
  }

  get remoteAddress(): A {
    return this.#link.remoteAddress as A;
  }

  get state(): PipeState {
    return this.#state;
  }

  get proven(): boolean {
    return this.#proven;
  }

  get stats(): PipeStats {
    const { bytes: bytesReceived, messages: messagesReceived, dropped, unmatched } = this.#received;
    return {
      bytesSent: this.#outbound.bytes,
      bytesReceived,
      messagesSent: this.#outbound.messages,
      messagesReceived,
      dropped,
      unmatched,
      reconnects: this.#reconnects,
      roundTrip: null,
    };
  }

  get bufferedAmount(): number {
    return this.#outbound.buffered;
  }

  get closed(): Promise<void> {
    this.#lookOut();
    return this.#closed.promise;
  }

  async send(data: PipeData, options: SendOptions = {}): Promise<void> {
    const { signal } = options;
    signal?.throwIfAborted();
    this.#checkWritable();
    const room = this.#outbound.send(data);
    if (room === undefined) return;
    using _hold = holdProcess(this.#clock);
    await (signal ? abortable(room, signal) : room);
  }

  async recv(options: RecvOptions = {}): Promise<Uint8Array<ArrayBuffer> | null> {
    const { signal, timeout } = options;
    signal?.throwIfAborted();
    using _reader = this.#read("recv()");
    const packet = await (signal || timeout !== undefined ? this.#receiveWithin(options) : this.#receive());
    return packet && packet.data;
  }

  get messages(): AsyncIterable<Uint8Array<ArrayBuffer>> {
    return { [Symbol.asyncIterator]: () => this.#iterate() };
  }

  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#readable ??= new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        using _reader = this.#read("readable");
        const packet = await this.#receive();
        if (packet) controller.enqueue(packet.data);
        else controller.close();
      },
      cancel: (reason) => this.abort(reason),
    }, { highWaterMark: 0 });
  }

  get writable(): WritableStream<PipeData> {
    return this.#writable ??= new WritableStream<PipeData>({
      write: (data) => this.send(data),
      close: () => this.closeWrite(),
      abort: (reason) => this.abort(reason),
    });
  }

  subscribe(filter?: PipeFilter): Subscription {
    return this.#subscribe(filter, () => {});
  }

  on<K extends PipeEventType>(type: K, handler: (event: PipeEventOf<K>) => unknown): Disposable {
    if (type === "message") return this.#onMessage(handler as (event: PipeEventOf<"message">) => unknown);
    const entry: Handler = (event) => handler(event as PipeEventOf<K>);
    const late = this.#past(type);
    if (late) {
      this.#call(entry, late);
      // These two are told once.
      if (type !== "up") return { [Symbol.dispose]: () => {} };
    }
    const handlers = this.#handlers.get(type) ?? new Set();
    this.#handlers.set(type, handlers.add(entry));
    if (type === "end" || type === "error") this.#lookOut();
    return { [Symbol.dispose]: () => void handlers.delete(entry) };
  }

  async flush(): Promise<void> {
    using _hold = holdProcess(this.#clock);
    await this.#outbound.flush();
  }

  async closeWrite(): Promise<void> {
    if (this.#writeEnded || this.#closing) return;
    this.#checkWritable();
    this.#writeEnded = true;
    if (!this.#link.halfClose) return await this.close();
    await this.flush();
    await this.#link.closeWrite();
    if (this.#remoteEnded) await this.close();
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  abort(reason?: unknown): void {
    if (this.#isOver()) return;
    const why = reason instanceof Error ? reason.message : reason === undefined ? "by us" : String(reason);
    const where = formatPipeAddress(this.remoteAddress);
    this.#fail(
      new PipeError(`Cannot go on with ${where}: aborted (${why})`, {
        code: "aborted",
        operation: "use the pipe",
        cause: reason,
      }),
    );
  }

  async detach(): Promise<Detached> {
    const operation = "give the connection away";
    const stop = (why: string): TypeError => new TypeError(`Cannot ${operation}: ${why}`);
    if (this.#isOver() || this.#closing) throw stop("the pipe is closed");
    if (this.#fetching) throw stop("a read is under way");
    const unread = this.#inbound.unread();
    if (!unread) throw stop("the framing may hold a part of a message");
    await this.flush();
    const connection = this.#link.detach?.();
    if (connection === undefined) throw stop(`${this.transport} has nothing to give away`);
    const stashed = this.#stash && "packet" in this.#stash && this.#stash.packet
      ? [this.#stash.packet.data]
      : [];
    this.#stash = undefined;
    this.#end({ type: "closed" });
    return { connection, unread: joined([...stashed, ...unread]) };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Tells an event of the network, or of who looks after the pipe.
   *
   * @param event The event.
   */
  emit(event: PipeEvent): void {
    for (const handler of [...(this.#handlers.get(event.type) ?? [])]) this.#call(handler, event);
  }

  /** Says that the other end was heard of, or not for too long. */
  prove(proven: boolean): void {
    if (proven === this.#proven || this.#isOver()) return;
    this.#proven = proven;
    this.emit({ type: proven ? "proven" : "suspect" });
  }

  /**
   * Ends the connection below because it is lost, as a failed read would have.
   *
   * @param error Why.
   */
  lose(error: unknown): void {
    if (!this.#isOver() && this.#state.type === "open") this.#lost(this.#lossOf("read", error));
  }

  /** Takes one place of the one who reads; throws where it is taken. */
  #read(who: string): Disposable {
    const streaming = who !== "readable" && this.#readable?.locked === true ? "readable" : undefined;
    const other = this.#reader ?? streaming;
    if (other !== undefined) {
      throw new TypeError(`Cannot read with ${who}: ${other} of this pipe is reading already`);
    }
    this.#reader = who;
    return { [Symbol.dispose]: () => void (this.#reader = undefined) };
  }

  async *#iterate(): AsyncIterableIterator<Uint8Array<ArrayBuffer>, void, void> {
    using _reader = this.#read("messages");
    while (true) {
      const packet = await this.#receive();
      if (!packet) return;
      yield packet.data;
    }
  }

  /** The next message for whoever reads; keeps the process alive meanwhile. */
  #receive(): Promise<Packet | null> {
    const stash = this.#stash;
    if (stash) {
      if ("error" in stash) return Promise.reject(stash.error);
      // The end stays the end.
      if (stash.packet) this.#stash = undefined;
      return Promise.resolve(this.#count(stash.packet));
    }
    return new Promise<Packet | null>((resolve, reject) => {
      this.#waiter = { resolve: (packet) => resolve(this.#count(packet)), reject };
      this.#fetch();
    });
  }

  async #receiveWithin({ signal, timeout }: RecvOptions): Promise<Packet | null> {
    const limit = Promise.withResolvers<never>();
    const timer = timeout === undefined ? undefined : this.#clock.after(timeout, () => {
      const why = `nothing came within ${timeout} ms`;
      limit.reject(new PipeError(`Cannot receive: ${why}`, { code: "timeout", operation: "receive" }));
    }, { ref: true });
    const aborted = (): void => limit.reject(signal?.reason);
    signal?.addEventListener("abort", aborted, { once: true });
    try {
      return await Promise.race([this.#receive(), limit.promise]);
    } finally {
      timer?.cancel();
      signal?.removeEventListener("abort", aborted);
      // What comes from now on is for the next one who asks.
      this.#waiter = undefined;
    }
  }

  #count(packet: Packet | null): Packet | null {
    if (packet) {
      this.#received.bytes += packet.data.length;
      this.#received.messages++;
    }
    return packet;
  }

  /** Reads one message, if nobody does. */
  #fetch(): void {
    if (this.#fetching || this.#stash || this.#isOver()) return;
    this.#fetching = true;
    this.#inbound.next().then((packet) => this.#fetched(packet), (error) => {
      this.#fetching = false;
      if (this.#isOver()) return;
      const error2 = error instanceof PipeError ? error : this.#lossOf("read", error);
      this.#lost(error2);
    });
  }

  #fetched(packet: Packet | null): void {
    this.#fetching = false;
    if (this.#isOver()) return;
    if (packet) this.prove(true);
    else this.#remoteEnded = true;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    // The end is kept: whoever asks next gets it too.
    if (!waiter || !packet) this.#stash = { packet };
    waiter?.resolve(packet);
    if (packet) return;
    this.emit({ type: "end" });
    if (this.#writeEnded || !this.#link.halfClose) void this.close();
  }

  /** Reads ahead by one message, so that an end or a failure shows although nobody reads. */
  #lookOut(): void {
    if (!this.#closing) this.#fetch();
  }

  #subscribe(filter: PipeFilter | undefined, left: () => void): Subscriber {
    if (this.#subscribers.size === 0) this.#checkFree("subscribe()");
    const subscriber: Subscriber = new Subscriber(filter, this.#queue, () => {
      this.#subscribers.delete(subscriber);
      if (this.#subscribers.size === 0 && this.#reader === "a subscription") this.#reader = undefined;
      left();
    });
    this.#subscribers.add(subscriber);
    this.#reader = "a subscription";
    if (this.#state.type === "failed") subscriber.end(this.#state.error);
    else if (this.#isOver()) subscriber.end();
    else this.#pump();
    return subscriber;
  }

  #checkFree(who: string): void {
    this.#read(who)[Symbol.dispose]();
  }

  /** Hands messages to the subscriptions, one by one, until none is left. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    const stop = (error?: unknown): void => {
      this.#pumping = false;
      for (const subscriber of [...this.#subscribers]) subscriber.end(error);
    };
    const next = (): void => {
      if (this.#subscribers.size === 0) {
        this.#pumping = false;
        return;
      }
      const waiter: Waiter = {
        resolve: (packet) => {
          // All of them have left meanwhile: it is for whoever comes next.
          if (this.#subscribers.size === 0 && packet) {
            this.#stash = { packet };
            this.#pumping = false;
          } else if (packet) this.#hand(packet).then(next, (error) => this.#fail(error));
          else stop();
        },
        reject: stop,
      };
      const stash = this.#stash;
      if (stash && "error" in stash) return stop(stash.error);
      if (stash) {
        if (stash.packet) this.#stash = undefined;
        return waiter.resolve(stash.packet);
      }
      this.#waiter = waiter;
      this.#fetch();
    };
    // Whoever subscribes in the same turn gets the first message as well.
    queueMicrotask(next);
  }

  async #hand(packet: Packet): Promise<void> {
    this.#count(packet);
    let wanted = false;
    for (const subscriber of [...this.#subscribers]) {
      if (!subscriber.wants(packet)) continue;
      wanted = true;
      const cost = subscriber.offer(packet);
      if (typeof cost === "number") this.#received.dropped += cost;
      else await cost;
    }
    if (!wanted) this.#received.unmatched++;
  }

  #onMessage(handler: (event: PipeEventOf<"message">) => unknown): Disposable {
    const subscriber = this.#subscribe(undefined, () => {});
    const run = async (): Promise<void> => {
      // Nothing but a pending wait keeps the process alive, and a handler is none.
      for await (const packet of subscriber) {
        try {
          await handler({ type: "message", ...packet });
        } catch (error) {
          this.#uncaught("message", error);
        }
      }
    };
    // What ended the pipe is told by its own event.
    run().catch(() => {});
    return subscriber;
  }

  #past(type: PipeEventType): PipeEvent | undefined {
    if (type === "end" && this.#remoteEnded) return { type: "end" };
    if (type === "error" && this.#state.type === "failed") {
      return { type: "error", error: this.#state.error, fatal: true };
    }
    if (type === "up" && this.#state.type === "open") return this.#up();
    return undefined;
  }

  #up(): PipeEvent {
    const { localAddress, remoteAddress } = this;
    return { type: "up", reconnects: this.#reconnects, localAddress, remoteAddress };
  }

  #call(handler: Handler, event: PipeEvent): void {
    try {
      const result = handler(event);
      if (result instanceof Promise) result.catch((error) => this.#uncaught(event.type, error));
    } catch (error) {
      this.#uncaught(event.type, error);
    }
  }

  /** A handler threw: that is told, unless it was one that is told of such things. */
  #uncaught(type: string, error: unknown): void {
    if (type !== "error" && (this.#handlers.get("error")?.size ?? 0) > 0) {
      this.emit({ type: "error", error, fatal: false });
    } else logUncaught(this.#options.logger, `Uncaught error in a handler of "${type}"`, error);
  }

  #isOver(): boolean {
    return this.#state.type === "closed" || this.#state.type === "failed";
  }

  #checkWritable(): void {
    if (this.#state.type === "failed") throw this.#state.error;
    if (this.#state.type !== "closed" && !this.#closing && !this.#writeEnded) return;
    const why = this.#writeEnded && !this.#closing ? "our direction was closed" : "the pipe is closed";
    throw new PipeError(`Cannot send to ${formatPipeAddress(this.remoteAddress)}: ${why}`, {
      code: "closed",
      operation: "send",
    });
  }

  #lossOf(operation: FailureOperation, error: unknown): PipeError {
    const { localAddress } = this;
    const failure = classify(error, {
      operation,
      ...("hostname" in localAddress ? { localAddress: localAddress.hostname } : {}),
    });
    const where = formatPipeAddress(this.remoteAddress);
    const why = error instanceof Error ? error.message : String(error);
    return new PipeError(`Cannot go on with ${where}: ${why}`, {
      code: "lost",
      operation: "use the pipe",
      failure,
      cause: error,
      hint: failure.hint,
    });
  }

  /** What the other end sent before may still be read, and it often says why (an early reply, an alert). */
  #writeFailed(error: unknown): void {
    if (this.#isOver() || this.#closing) return;
    const loss = this.#lossOf("write", error);
    this.#outbound.fail(loss);
    if (this.#remoteEnded || !this.#fetching && this.#stash) this.#lost(loss);
    else this.#fetch();
  }

  #lost(error: PipeError): void {
    const another = error.code === "lost" ? this.#keeper?.lost(error) : undefined;
    if (!another || !error.failure) return this.#fail(error);
    this.#link.abort();
    this.#outbound.pause();
    this.#proven = false;
    this.#state = { type: "waiting", failure: error.failure };
    another.then((link) => this.#replace(link), (failed) => {
      if (!this.#isOver()) this.#fail(failed instanceof PipeError ? failed : this.#lossOf("connect", failed));
    });
  }

  #replace(link: Link): void {
    if (this.#isOver()) return link.abort();
    this.#link = link;
    this.#reconnects++;
    this.#state = { type: "open" };
    this.#inbound.replace(link);
    this.#outbound.replace(link);
    this.emit(this.#up());
    if (this.#waiter) this.#fetch();
  }

  #fail(error: unknown): void {
    const typed = error instanceof PipeError ? error : this.#lossOf("read", error);
    this.#link.abort();
    this.#end({ type: "failed", error: typed });
  }

  async #close(): Promise<void> {
    if (this.#isOver()) return;
    if (this.#state.type === "open") {
      const expired = Promise.withResolvers<void>();
      const timer = this.#clock.after(this.#linger, expired.resolve, { ref: true });
      // What could not be sent is told by send() and flush(); closing goes on.
      await Promise.race([this.#outbound.flush().catch(() => {}), expired.promise]);
      timer.cancel();
    }
    if (this.#isOver()) return;
    const unsent = this.#outbound.buffered;
    if (this.#state.type !== "open" || unsent > 0) this.#link.abort();
    else await this.#link.close();
    this.#end({ type: "closed" });
  }

  /** The last that happens to a pipe. */
  #end(state: PipeState): void {
    if (this.#isOver()) return;
    this.#state = state;
    const error = state.type === "failed" ? state.error : new PipeError("Cannot use the pipe: it is closed", {
      code: "closed",
      operation: "use the pipe",
    });
    this.#outbound.fail(error);
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (!this.#remoteEnded || state.type === "failed") {
      this.#stash ??= { error };
      waiter?.reject(error);
    } else waiter?.resolve(null);
    for (const subscriber of [...this.#subscribers]) {
      subscriber.end(state.type === "failed" ? state.error : undefined);
    }
    const ended = this.#remoteEnded;
    this.#remoteEnded = true;
    if (state.type === "failed") {
      this.emit({ type: "error", error: state.error, fatal: true });
      this.#closed.reject(state.error);
    } else this.#closed.resolve();
    if (!ended) this.emit({ type: "end" });
    this.#keeper?.ended();
  }
}

/** Waits for something, or until a signal says not to. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason);
    signal.addEventListener("abort", aborted, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}

function joined(parts: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A process that lets its successor take over its listeners, and stops when that one says that it accepts. */

import { type Clock, systemClock, type Timer } from "../../internal/clock.ts";
import { peerCredentials } from "../../internal/ffi/descriptors.ts";
import { pollEnded, POLLIN, whenReady } from "../../internal/ffi/descriptor_poll.ts";
import type { SocketCalls } from "../../internal/ffi/socket_calls.ts";
import { needCalls } from "./_descriptor_calls.ts";
import { type Offered, offered, type OfferedListener } from "./_offered.ts";
import { ScmChannel } from "./_scm_channel.ts";
import {
  checkPath,
  isTrusted,
  listenPath,
  type PushPeer,
  removePath,
  type TrustedUsers,
} from "./_scm_socket.ts";
import { encodeTakeover, MAX_LINE, MAX_LISTENERS, TakeoverLines } from "./_takeover_line.ts";

/** What {@linkcode offerListeners} takes. */
export interface OfferListenersOptions {
  /**
   * Called when a successor accepts, and nothing is accepted here any more: what is left to do is to end what is under way.
   *
   * @default {undefined}
   */
  readonly onReady?: (successor: PushPeer) => void | Promise<void>;
  /**
   * Called when a takeover has come to nothing: the successor ended, or was too slow, before it said that it accepts. This
   * process goes on as before.
   *
   * @default {undefined}
   */
  readonly onFailure?: (reason: string, successor: PushPeer) => void;
  /**
   * Makes what the successor is told besides, as JSON has it, when there is one.
   *
   * @default {undefined} `null` is told.
   */
  readonly state?: () => unknown;
  /**
   * The number of this process in the line of those that have had the listeners; the successor's is one more.
   *
   * @default {1}
   */
  readonly generation?: number;
  /**
   * How many milliseconds a successor has to say that it accepts.
   *
   * @default {30_000}
   */
  readonly timeout?: number;
  /**
   * How many milliseconds servers wait, once they accept no more, for requests of those who are connected, before they end
   * idle connections.
   *
   * @default {1000}
   */
  readonly idle?: number;
  /**
   * The numbers of the users whose processes may take over, or `"anyone"`.
   *
   * @default the user of this process
   */
  readonly users?: TrustedUsers;
  /** Withdraws the offer when aborted. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** Listeners that are offered. */
export interface ListenersOffer extends AsyncDisposable {
  /** Where. */
  readonly path: string;
  /** The number of this process in the line. */
  readonly generation: number;
  /**
   * Resolves when it is over: with the successor, when the listeners are stopped here, what they had accepted is served,
   * and `onReady` has ended; with `null` when the offer was withdrawn.
   */
  readonly finished: Promise<PushPeer | null>;
  /** Withdraws the offer, unless a successor accepts already; safe twice. The listeners stay as they are. */
  close(): Promise<void>;
}

// asm-generic/fcntl.h, asm-generic/errno.h
const [SOCK_NONBLOCK, SOCK_CLOEXEC] = [0x800, 0x80000];
const EAGAIN = 11;
/** How many may have connected and said nothing, and for how many milliseconds. */
const [MOST_SILENT, SILENCE] = [8, 5000];
/** After how many milliseconds accepting is tried again where the system has no descriptor to spare. */
const PAUSE = 100;

/**
 * Offers listeners to a successor, which calls {@linkcode takeListeners} on the same path. It is given copies, and begins to
 * accept while this process does so as well; only when it says that it is ready the listeners are stopped here. A successor
 * that ends or hangs before changes nothing. One takeover is under way at a time.
 *
 * A listener is closed then (the file of a Unix socket stays), a server shut down: it ends when what it has accepted is
 * served. The process lives as long as the offer stands.
 *
 * Needs the permission `ffi` for the C library; Linux only.
 *
 * @param path Where: a Unix socket, which is made.
 * @param listeners They, by the names that the successor asks for.
 * @param options What is told, and to whom.
 * @returns The offer.
 * @throws {PushError} When a listener has no descriptor, or the path cannot be listened on.
 * @throws {PermissionError} When the runtime does not allow it.
 *
 * @example
 * ```ts
 * import { offerListeners, serveHttp, takeListeners } from "@holdfast/net/pipes/push";
 * import { assertEquals } from "@std/assert";
 *
 * const path = `${Deno.makeTempDirSync()}/takeover`;
 * const old = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("old"));
 * const offer = await offerListeners(path, { web: old });
 *
 * // As a rule this is another process, of the next version.
 * await using takeover = await takeListeners(path);
 * if (takeover?.listeners.web) {
 *   await using server = await serveHttp(takeover.listeners.web, () => new Response("new"));
 *   await takeover.ready();
 *   await offer.finished;
 *   const url = `http://127.0.0.1:${old.addr.port}`;
 *   assertEquals(await (await fetch(url, { headers: { connection: "close" } })).text(), "new");
 * }
 * ```
 */
export async function offerListeners(
  path: string,
  listeners: Readonly<Record<string, OfferedListener>>,
  options: OfferListenersOptions = {},
): Promise<ListenersOffer> {
  const { generation = 1, timeout = 30_000, idle = 1000, clock = systemClock, signal } = options;
  checkPath(path);
  const entries = Object.entries(listeners);
  if (entries.length === 0 || entries.length > MAX_LISTENERS) {
    throw new RangeError(
      `Cannot offer listeners: from 1 to ${MAX_LISTENERS} are needed, got ${entries.length}`,
    );
  }
  if (!Number.isSafeInteger(generation) || generation < 0) {
    throw new RangeError(
      `Cannot offer listeners: generation must be a whole number from 0, got ${generation}`,
    );
  }
  for (const [name, value] of Object.entries({ timeout, idle })) {
    if (!(value >= 0)) {
      throw new RangeError(`Cannot offer listeners: ${name} must be a number from 0, got ${value}`);
    }
  }
  signal?.throwIfAborted();
  const calls = needCalls("offer listeners");
  const all: Offered[] = [];
  try {
    for (const [name, listener] of entries) all.push(await offered(name, listener, { idle, clock }));
    signal?.throwIfAborted();
    return new Offer(calls, path, all, options);
  } catch (error) {
    for (const { fd } of all) calls.call.close(fd);
    calls[Symbol.dispose]();
    throw error;
  }
}

/** Who has connected. */
interface Visitor {
  readonly channel: ScmChannel;
  readonly peer: PushPeer;
  readonly lines: TakeoverLines;
  timer: Timer;
  /** Why it is to go, where that is known. */
  reason: string | undefined;
}

class Offer implements ListenersOffer {
  readonly path: string;
  readonly generation: number;
  readonly finished: Promise<PushPeer | null>;
  readonly #calls: SocketCalls;
  readonly #fd: number;
  readonly #offered: readonly Offered[];
  readonly #options: OfferListenersOptions;
  readonly #clock: Clock;
  readonly #silent = new Set<Visitor>();
  readonly #finish: (outcome: Promise<PushPeer | null>) => void;
  #successor: Visitor | undefined;
  #accepting: Disposable | undefined;
  #pause: Timer | undefined;
  #over = false;
  readonly #abort = (): void => void this.close();

  constructor(calls: SocketCalls, path: string, all: readonly Offered[], options: OfferListenersOptions) {
    this.#fd = listenPath(calls, path, options.users);
    this.path = path;
    this.generation = options.generation ?? 1;
    this.#calls = calls;
    this.#offered = all;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const { promise, resolve } = Promise.withResolvers<PushPeer | null>();
    this.finished = promise;
    this.#finish = resolve;
    // Whoever does not ask is not told.
    promise.catch(() => {});
    options.signal?.addEventListener("abort", this.#abort);
    this.#accept();
  }

  async close(): Promise<void> {
    // What has been on its way until now may have been the word.
    this.#successor?.channel.cut();
    if (!this.#over) {
      this.#end();
      for (const { fd } of this.#offered) this.#calls.call.close(fd);
      this.#finish(this.#released(null));
    }
    await this.finished.catch(() => {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #accept(): void {
    this.#accepting?.[Symbol.dispose]();
    this.#accepting = undefined;
    this.#pause?.cancel();
    if (this.#over || this.#silent.size >= MOST_SILENT) return;
    this.#accepting = whenReady(this.#fd, POLLIN, () => {
      this.#accepting = undefined;
      const fd = this.#calls.call.accept4(this.#fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) this.#came(fd);
      else if (this.#calls.errno() !== EAGAIN) {
        // The same connection would be reported without end.
        this.#pause = this.#clock.after(PAUSE, () => this.#accept());
        return;
      }
      this.#accept();
    });
  }

  #came(fd: number): void {
    const credentials = peerCredentials(this.#calls, fd);
    if (!isTrusted(this.#calls, credentials, this.#options.users)) return void this.#calls.call.close(fd);
    const visitor: Visitor = {
      channel: new ScmChannel(this.#calls, fd, {
        received: ({ data, descriptors }) => {
          for (const descriptor of descriptors) this.#calls.call.close(descriptor);
          this.#said(visitor, data);
        },
        ended: () => this.#left(visitor, "it ended before it was ready"),
      }),
      peer: { pid: credentials?.pid ?? 0, uid: credentials?.uid ?? -1 },
      lines: new TakeoverLines(4096),
      timer: this.#clock.after(SILENCE, () => this.#left(visitor, "it said nothing")),
      reason: undefined,
    };
    this.#silent.add(visitor);
    visitor.channel.reading = true;
  }

  #said(visitor: Visitor, data: Uint8Array): void {
    try {
      for (const line of visitor.lines.feed(data)) {
        if (visitor !== this.#successor) {
          if (line["take"] !== 1) {
            throw new SyntaxError("Cannot read a line: a wish to take over was expected");
          }
          this.#give(visitor);
          if (visitor.channel.closed) return;
        } else if (line["ready"] === this.generation + 1) return this.#ready(visitor);
        else throw new SyntaxError("Cannot read a line: READY was expected");
      }
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.#left(visitor, error.message);
    }
  }

  /** Sends copies of all listeners. */
  #give(visitor: Visitor): void {
    const refuse = (refused: string): void => {
      visitor.channel.send(encodeTakeover({ refused }));
      this.#left(visitor, refused);
    };
    if (this.#successor) return refuse("another takeover is under way");
    const names = this.#offered.map(({ name }) => name);
    const generation = this.generation + 1;
    const line = encodeTakeover({ offer: 1, generation, names, state: this.#options.state?.() ?? null });
    if (line.length > MAX_LINE) return refuse(`the state has more than ${MAX_LINE} bytes`);
    this.#silent.delete(visitor);
    visitor.timer.cancel();
    const { timeout = 30_000 } = this.#options;
    visitor.timer = this.#clock.after(timeout, () => {
      visitor.reason = `it was not ready within ${timeout} ms`;
      // From now on it cannot say it any more; what it has said counts.
      visitor.channel.cut();
    }, { ref: true });
    this.#successor = visitor;
    visitor.channel.send(line, this.#offered.map(({ fd }) => fd));
    this.#accept();
  }

  /** Without READY: whatever the reason, everything is as before. */
  #left(visitor: Visitor, reason: string): void {
    visitor.timer.cancel();
    visitor.channel.close();
    this.#silent.delete(visitor);
    if (visitor === this.#successor) {
      this.#successor = undefined;
      this.#options.onFailure?.(visitor.reason ?? reason, visitor.peer);
    }
    this.#accept();
  }

  #ready(successor: Visitor): void {
    this.#successor = undefined;
    successor.timer.cancel();
    this.#end();
    const stopping = Promise.all(this.#offered.map(({ stop }) => stop()));
    for (const { fd } of this.#offered) this.#calls.call.close(fd);
    // By now the path is free for an offer of the successor's own.
    successor.channel.send(encodeTakeover({ over: this.generation + 1 }));
    successor.channel.close();
    this.#finish((async () => {
      try {
        await stopping;
        await this.#options.onReady?.(successor.peer);
      } finally {
        await this.#released(null);
      }
      return successor.peer;
    })());
  }

  /** Nobody can come any more. */
  #end(): void {
    this.#over = true;
    this.#options.signal?.removeEventListener("abort", this.#abort);
    this.#accept();
    for (const visitor of [...this.#silent]) this.#left(visitor, "");
    if (this.#successor) this.#left(this.#successor, "the offer was withdrawn");
    this.#calls.call.close(this.#fd);
    removePath(this.#calls, this.path);
  }

  async #released<T>(outcome: T): Promise<T> {
    await pollEnded();
    this.#calls[Symbol.dispose]();
    return outcome;
  }
}

/** A process that takes over the listeners of the one before it. */

import { type Clock, holdProcess, systemClock } from "../../internal/clock.ts";
import { pollEnded } from "../../internal/ffi/descriptor_poll.ts";
import type { SocketCalls } from "../../internal/ffi/socket_calls.ts";
import type { ReceivedMessage } from "../../internal/ffi/socket_messages.ts";
import { adopt } from "./_adopt.ts";
import type { AdoptedListener } from "./_adopted_listener.ts";
import { needCalls } from "./_descriptor_calls.ts";
import { PushError, type PushErrorCode } from "./push_error.ts";
import { ScmChannel } from "./_scm_channel.ts";
import { checkPath, connectPath, type PushPeer, type TrustedUsers } from "./_scm_socket.ts";
import { encodeTakeover, MAX_LINE, type OfferLine, offerOf, TakeoverLines } from "./_takeover_line.ts";

/** What {@linkcode takeListeners} takes. */
export interface TakeListenersOptions {
  /**
   * The numbers of the users whose processes may offer listeners, or `"anyone"`.
   *
   * @default the user of this process
   */
  readonly users?: TrustedUsers;
  /**
   * How many milliseconds the process there has to answer.
   *
   * @default {10_000}
   */
  readonly timeout?: number;
  /** Calls it off. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** Listeners that another process still accepts on. */
export interface Takeover extends AsyncDisposable {
  /** They, by the names that the other process gave them; each belongs to the caller. */
  readonly listeners: Readonly<Record<string, AdoptedListener>>;
  /** What the other process said besides, as JSON has it. */
  readonly state: unknown;
  /** The number of this process in the line of those that have had the listeners. */
  readonly generation: number;
  /** The other process. */
  readonly peer: PushPeer;
  /**
   * Says that this process accepts. Resolves when the other one does not any more; what it has accepted it goes on serving.
   *
   * @throws {PushError} `closed` when the other one has given this process up before: it goes on accepting, and this one
   * must end.
   */
  ready(): Promise<void>;
  /**
   * Without {@linkcode Takeover.ready} it is called off: the other process goes on. Listeners that nobody has made a server of
   * are closed. Safe twice.
   */
  close(): Promise<void>;
}

const OPERATION = "take over listeners";

/**
 * Takes over the listeners that another process offers by {@linkcode offerListeners}. Make servers of them, and say
 * {@linkcode Takeover.ready} when these accept; no client finds a moment in which nobody does. When this process ends before
 * that, the other one goes on as if nothing had been.
 *
 * Needs the permission `ffi` for the C library; Linux only.
 *
 * @param path Where they are offered.
 * @param options Whose they may be, and how long that may take.
 * @returns What was offered, or `null` when nobody is there: this process is the first.
 * @throws {PushError} When the process there gives nothing, for example as another takeover is under way.
 * @throws {PermissionError} When the runtime does not allow it.
 *
 * @example
 * ```ts
 * import { takeListeners } from "@holdfast/net/pipes/push";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await takeListeners("/tmp/nobody-offers-here"), null);
 * ```
 */
export async function takeListeners(
  path: string,
  options: TakeListenersOptions = {},
): Promise<Takeover | null> {
  const { timeout = 10_000, signal } = options;
  checkPath(path);
  if (!(timeout >= 0)) {
    throw new RangeError(`Cannot ${OPERATION}: timeout must be a number from 0, got ${timeout}`);
  }
  signal?.throwIfAborted();
  const calls = needCalls(OPERATION);
  const release = async (): Promise<void> => {
    await pollEnded();
    calls[Symbol.dispose]();
  };
  let successor: Successor | undefined;
  try {
    successor = new Successor(calls, path, options, release);
    return await successor.taken();
  } catch (error) {
    if (successor) await successor.close();
    else await release();
    if (error instanceof PushError && error.code === "unreachable") return null;
    throw error;
  }
}

class Successor implements Takeover {
  readonly peer: PushPeer;
  listeners: Readonly<Record<string, AdoptedListener>> = {};
  state: unknown = null;
  generation = 0;
  readonly #calls: SocketCalls;
  readonly #path: string;
  readonly #options: TakeListenersOptions;
  readonly #release: () => Promise<void>;
  readonly #channel: ScmChannel;
  readonly #lines = new TakeoverLines(MAX_LINE);
  readonly #offer = Promise.withResolvers<OfferLine>();
  readonly #over = Promise.withResolvers<void>();
  /** What came and has no owner yet. */
  #descriptors: number[] = [];
  #state: "asking" | "given" | "said" | "closed" = "asking";
  #closing: Promise<void> | undefined;

  constructor(calls: SocketCalls, path: string, options: TakeListenersOptions, release: () => Promise<void>) {
    const { fd, peer } = connectPath(calls, path, options.users);
    this.peer = peer;
    this.#calls = calls;
    this.#path = path;
    this.#options = options;
    this.#release = release;
    this.#offer.promise.catch(() => {});
    this.#channel = new ScmChannel(calls, fd, {
      received: (message) => this.#received(message),
      ended: () => this.#ended(),
    });
    this.#channel.reading = true;
    this.#channel.send(encodeTakeover({ take: 1 }));
  }

  /** Waits for the offer, and makes listeners of the descriptors. */
  async taken(): Promise<Takeover> {
    const { timeout = 10_000, signal, clock = systemClock } = this.#options;
    const late = (): void => this.#offer.reject(this.#failed("timeout", `no answer within ${timeout} ms`));
    const timer = clock.after(timeout, late, { ref: true });
    const abort = (): void => this.#offer.reject(signal?.reason);
    signal?.addEventListener("abort", abort);
    try {
      const { names, state, generation } = await this.#offer.promise;
      const listeners: Record<string, AdoptedListener> = Object.create(null);
      this.listeners = listeners;
      for (const name of names) {
        const fd = this.#descriptors.shift() ?? -1;
        listeners[name] = await adopt(fd, { expect: "listener" });
      }
      Object.assign(this, { state, generation });
      // Whether the other one is there is found out when it is told.
      this.#channel.reading = false;
      signal?.throwIfAborted();
      return this;
    } finally {
      timer.cancel();
      signal?.removeEventListener("abort", abort);
    }
  }

  async ready(): Promise<void> {
    if (this.#state !== "given") throw this.#failed("closed", "it was said already, or called off");
    using _hold = holdProcess(this.#options.clock);
    if (!this.#channel.sendNow(encodeTakeover({ ready: this.generation }))) {
      throw this.#failed("closed", "the process there has given this one up, or ended");
    }
    this.#state = "said";
    this.#channel.reading = true;
    await this.#over.promise;
  }

  close(): Promise<void> {
    return this.#closing ??= (async () => {
      const said = this.#state === "said";
      if (said) await this.#over.promise;
      this.#state = "closed";
      this.#channel.close();
      for (const fd of this.#descriptors.splice(0)) this.#calls.call.close(fd);
      for (const listener of Object.values(this.listeners)) await listener.close();
      await this.#release();
    })();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #received({ data, descriptors, truncated }: ReceivedMessage): void {
    if (this.#state === "asking") this.#descriptors.push(...descriptors);
    else for (const descriptor of descriptors) this.#calls.call.close(descriptor);
    try {
      if (truncated) {
        throw new SyntaxError("Cannot take descriptors: some were lost, there may be too many open");
      }
      for (const line of this.#lines.feed(data)) this.#line(line);
    } catch (error) {
      this.#offer.reject(this.#failed("protocol", (error as Error).message, error));
      // A successor that is ready stays so, whatever the other one says.
      this.#over.resolve();
    }
  }

  #line(line: Readonly<Record<string, unknown>>): void {
    if (this.#state !== "asking") return this.#over.resolve();
    if (typeof line["refused"] === "string") {
      const reason = line["refused"].replace(/\p{Cc}/gu, "?").slice(0, 200);
      return this.#offer.reject(this.#failed("refused", reason));
    }
    const offer = offerOf(line);
    if (offer.names.length !== this.#descriptors.length) {
      throw new SyntaxError(
        `Cannot read an offer: ${offer.names.length} descriptors were said, ${this.#descriptors.length} came`,
      );
    }
    this.#state = "given";
    this.#offer.resolve(offer);
  }

  /** With READY said this process has the listeners alone: the other one has read it, or is no more. */
  #ended(): void {
    this.#offer.reject(this.#failed("closed", "the process there ended the connection"));
    this.#over.resolve();
  }

  #failed(code: PushErrorCode, why: string, cause?: unknown): PushError {
    return new PushError(`Cannot ${OPERATION} at ${this.#path}: ${why}`, {
      code,
      operation: OPERATION,
      cause,
    });
  }
}

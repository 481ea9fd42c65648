/** Handing sockets over to other processes. */

import { type Clock, systemClock } from "../../internal/clock.ts";
import type { SocketCalls } from "../../internal/ffi/socket_calls.ts";
import { pollEnded } from "../../internal/ffi/descriptor_poll.ts";
import type { Detached, TcpPipe, UnixPipe } from "../pipe.ts";
import { closeDescriptor } from "./_adopt.ts";
import { needCalls } from "./_descriptor_calls.ts";
import { prepare, type Prepared } from "./_prepare.ts";
import type { BareSocket } from "./_pushable.ts";
import { PushError } from "./push_error.ts";
import { type Outcome, type Parcel, ScmSender } from "./_scm_sender.ts";
import { checkPath, type PushPeer, type TrustedUsers } from "./_scm_socket.ts";

/** What can be pushed: a pipe, what its `detach()` gave, or a socket as the runtime or Node's part of it has it. */
export type Pushable = TcpPipe | UnixPipe | Detached | BareSocket;

/** What {@linkcode pushTo} takes. */
export interface PushToOptions {
  /**
   * Whether the processes speak plain mode, in which a receiver needs a few lines of any language and no library of ours.
   *
   * @default {false}
   */
  readonly plain?: boolean;
  /**
   * The numbers of the users whose processes may get sockets, or `"anyone"`.
   *
   * @default the user of this process
   */
  readonly users?: TrustedUsers;
  /**
   * How many milliseconds a process has to take a socket; then the socket is called back, and another process is asked.
   *
   * @default {10_000}
   */
  readonly timeout?: number;
  /**
   * How many milliseconds a process has to answer that; then the connection to it is cut, and with it all that it has not
   * taken.
   *
   * @default {1000}
   */
  readonly grace?: number;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** What {@linkcode PushChannel.push} takes. */
export interface PushOptions {
  /**
   * What the receiver is told besides, as JSON has it.
   *
   * @default {null}
   */
  readonly metadata?: unknown;
  /**
   * What was read from a connection already; the receiver reads it first. What a pipe or a socket of Node's part has read ahead
   * goes along by itself, behind this.
   *
   * @default {undefined} Nothing.
   */
  readonly prefix?: Uint8Array;
  /**
   * Whether this process keeps the socket as well, for example a listener that both accept on.
   *
   * @default {false}
   */
  readonly keep?: boolean;
  /** Calls it off, unless somebody takes it in that moment. */
  readonly signal?: AbortSignal | undefined;
}

/** Who has taken a socket. */
export interface Pushed {
  /** Where the process listens. */
  readonly path: string;
  /** The process. */
  readonly peer: PushPeer;
}

/** The way to one or more processes that take sockets. */
export interface PushChannel extends AsyncDisposable {
  /** Where they listen. */
  readonly paths: readonly string[];
  /**
   * Hands a socket over. It stays with this process until another one has taken it, and is let go of then without a word to the
   * other end of the connection. Whoever has the least to do is asked first; who does not want it, ends or does not answer
   * is followed by the next.
   *
   * Nobody may read from it or write to it meanwhile. When it fails, a bare socket is as it was; of a pipe the error has what
   * is left of it: {@linkcode PushError.left}.
   *
   * @param socket What to hand over.
   * @param options What to tell, and what calls it off.
   * @returns Who has taken it.
   * @throws {PushError} When nobody has taken it, or it cannot be handed over.
   */
  push(socket: Pushable, options?: PushOptions): Promise<Pushed>;
  /** Ends the connections to the processes; safe twice. What nobody has taken by then is called off. */
  close(): Promise<void>;
}

/**
 * Makes a channel to processes that take sockets: those that call `receive()` on these paths, and with `plain` any that speak
 * plain mode. Nobody needs to be there yet.
 *
 * Needs the permission `ffi` for the C library; Linux only.
 *
 * @param paths Where they listen: one Unix socket, or several of which any will do.
 * @param options How they are spoken to.
 * @returns The channel.
 * @throws {PermissionError} When the runtime does not allow it.
 *
 * @example
 * ```ts
 * import { pushTo, receive } from "@holdfast/net/pipes/push";
 * import { assertEquals } from "@std/assert";
 *
 * // As a rule these are two processes.
 * const path = `${Deno.makeTempDirSync()}/worker`;
 * await using receiver = await receive(path);
 * await using channel = await pushTo(path);
 *
 * const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const client = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
 * const pushed = channel.push(await listener.accept(), { metadata: "hello" });
 * for await (const received of receiver) {
 *   assertEquals(received.metadata, "hello");
 *   if (received.kind === "stream") {
 *     await received.pipe.send("from the worker");
 *     await received.pipe.close();
 *   }
 *   break;
 * }
 * assertEquals((await pushed).path, path);
 * assertEquals(await new Response(client.readable).text(), "from the worker");
 * listener.close();
 * ```
 */
export function pushTo(
  paths: string | readonly string[],
  options: PushToOptions = {},
): Promise<PushChannel> {
  // Not an async function, so that nothing else can be thrown than is rejected.
  return new Promise((resolve) =>
    resolve(new Channel(typeof paths === "string" ? [paths] : [...paths], options))
  );
}

class Channel implements PushChannel {
  readonly paths: readonly string[];
  readonly #calls: SocketCalls;
  readonly #senders: readonly ScmSender[];
  /** Whose turn it is among those that have as little to do. */
  #turn = 0;
  readonly #pushes = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor(paths: readonly string[], options: PushToOptions) {
    const { plain = false, users, timeout = 10_000, grace = 1000, clock = systemClock } = options;
    if (paths.length === 0) throw new RangeError("Cannot push: at least one path is needed, got none");
    for (const path of paths) checkPath(path);
    for (const [name, value] of Object.entries({ timeout, grace })) {
      if (!(value >= 0)) throw new RangeError(`Cannot push: ${name} must be a number from 0, got ${value}`);
    }
    this.paths = paths;
    this.#calls = needCalls("push sockets");
    const how = { plain, users, timeout, grace, clock };
    this.#senders = paths.map((path) => new ScmSender(this.#calls, path, how));
  }

  push(socket: Pushable, options: PushOptions = {}): Promise<Pushed> {
    const pushing = this.#push(socket, options);
    this.#pushes.add(pushing);
    const over = (): void => void this.#pushes.delete(pushing);
    pushing.then(over, over);
    return pushing;
  }

  close(): Promise<void> {
    return this.#closing ??= (async () => {
      for (const sender of this.#senders) sender.close();
      await Promise.allSettled(this.#pushes);
      await pollEnded();
      this.#calls[Symbol.dispose]();
    })();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #push(
    socket: Pushable,
    { metadata = null, prefix, keep = false, signal }: PushOptions,
  ): Promise<Pushed> {
    signal?.throwIfAborted();
    if (this.#closing) throw closed();
    if (JSON.stringify(metadata) === undefined) {
      throw new TypeError(`Cannot push: metadata must be what JSON has, got ${typeof metadata}`);
    }
    const prepared = await prepare(socket, { prefix, keep });
    const { descriptor, kind } = prepared;
    try {
      const pushed = await this.#offer({ descriptor, kind, metadata, prefix: prepared.prefix }, signal);
      if (!keep) prepared.letGo();
      return pushed;
    } catch (error) {
      throw this.#failed(prepared, error);
    } finally {
      await closeDescriptor(this.#calls, descriptor);
    }
  }

  async #offer(parcel: Parcel, signal: AbortSignal | undefined): Promise<Pushed> {
    const asked = new Set<ScmSender>();
    const errors: PushError[] = [];
    for (;;) {
      const sender = this.#next(asked);
      if (!sender) throw nobody(errors);
      asked.add(sender);
      let outcome: Outcome = await sender.offer(parcel, signal);
      // A process that was restarted meanwhile listens there again.
      if (!outcome.taken && outcome.lost && !signal?.aborted) outcome = await sender.offer(parcel, signal);
      if (outcome.taken) return { path: sender.path, peer: outcome.peer };
      signal?.throwIfAborted();
      if (this.#closing) throw closed();
      errors.push(outcome.error);
    }
  }

  /** Who has the least to do of those that were not asked. */
  #next(asked: ReadonlySet<ScmSender>): ScmSender | undefined {
    const count = this.#senders.length;
    const from = this.#turn++ % count;
    let best: ScmSender | undefined;
    for (let index = 0; index < count; index++) {
      const sender = this.#senders[(from + index) % count];
      if (sender && !asked.has(sender) && (!best || sender.load < best.load)) best = sender;
    }
    return best;
  }

  #failed(prepared: Prepared, error: unknown): unknown {
    const left = prepared.giveBack();
    if (error instanceof PushError) return left ? error.with(left) : error;
    if (!left) return error;
    const why = error instanceof Error ? error.message : String(error);
    return new PushError(`Cannot push: ${why}`, {
      code: "refused",
      operation: "push a socket",
      cause: error,
      left,
    });
  }
}

function nobody(errors: readonly PushError[]): PushError {
  const [first] = errors;
  if (errors.length === 1 && first) return first;
  const codes = new Set(errors.map(({ code }) => code));
  return new PushError(`Cannot push: nobody takes it (${errors.map(({ message }) => message).join("; ")})`, {
    code: codes.size === 1 && first ? first.code : "refused",
    operation: "push a socket",
    cause: new AggregateError(errors, "Cannot push to any of several processes"),
  });
}

function closed(): PushError {
  return new PushError("Cannot push: the channel is closed", { code: "closed", operation: "push a socket" });
}

/** Taking sockets that other processes hand over. */

import type { Socket as DatagramSocket } from "node:dgram";
import { holdProcess, systemClock } from "../../internal/clock.ts";
import { Broadcast, type EventOf } from "../../internal/events.ts";
import type { PipeOptions } from "../_base_pipe.ts";
import { checkNetworkOptions } from "../_network_keeper.ts";
import type { TcpPipe, UnixPipe } from "../pipe.ts";
import type { AdoptedKind } from "./_adopt.ts";
import type { AdoptedListener } from "./_adopted_listener.ts";
import { connClass } from "./_conn_class.ts";
import { needCalls } from "./_descriptor_calls.ts";
import { type Arrival, ScmReceiver } from "./_scm_receiver.ts";
import { checkPath, type PushPeer, type TrustedUsers } from "./_scm_socket.ts";

/** What {@linkcode receive} takes; framing and limits are those of the pipes. */
export interface ReceiveOptions extends PipeOptions {
  /**
   * The numbers of the users whose processes may push, or `"anyone"`. With others than our own the socket's file lets
   * everybody try.
   *
   * @default the user of this process
   */
  readonly users?: TrustedUsers;
  /**
   * What is taken: connections, listeners, sockets for datagrams.
   *
   * @default {["stream", "listener", "datagram"]}
   */
  readonly kinds?: readonly ("stream" | "listener" | "datagram")[];
  /**
   * How many sockets of one process may wait to be taken; they stay with that process meanwhile.
   *
   * @default {64}
   */
  readonly window?: number;
  /**
   * How many processes may be connected at once; others wait.
   *
   * @default {256}
   */
  readonly maxChannels?: number;
  /**
   * How many bytes the metadata of a socket may have as JSON.
   *
   * @default {64 * 1024}
   */
  readonly maxMetadata?: number;
  /**
   * How many bytes of a connection may have been read before.
   *
   * @default {1024 * 1024}
   */
  readonly maxPrefix?: number;
  /**
   * How many milliseconds a process has to complete what it began to say.
   *
   * @default {10_000}
   */
  readonly frameTimeout?: number;
  /** Closes the receiver when aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** What all that is received has in common. */
export interface ReceivedBase {
  /** What the sender said besides. Never to be trusted for more than the sender is. */
  readonly metadata: unknown;
  /** Who has pushed it, as the system knows. */
  readonly peer: PushPeer;
}

/** A connection. */
export interface ReceivedStream extends ReceivedBase {
  /** The tag. */
  readonly kind: "stream";
  /** It; what the sender had read already is read first. */
  readonly pipe: TcpPipe | UnixPipe;
}

/** A listener. */
export interface ReceivedListener extends ReceivedBase {
  /** The tag. */
  readonly kind: "listener";
  /** It; it becomes a server of pipes, or of whatever can listen on a descriptor. */
  readonly listener: AdoptedListener;
}

/** A socket for datagrams. */
export interface ReceivedDatagram extends ReceivedBase {
  /** The tag. */
  readonly kind: "datagram";
  /** It. Sending needs the permission `net`. */
  readonly socket: DatagramSocket;
}

/** What was received. */
export type Received = ReceivedStream | ReceivedListener | ReceivedDatagram;

/** Something was not let in. */
export interface PushRefusedEvent {
  /** The tag. */
  readonly type: "refused";
  /** Why. */
  readonly reason: string;
  /** Who has tried. */
  readonly peer: PushPeer;
}

/** Events were missed. */
export interface PushResyncEvent {
  /** The tag. */
  readonly type: "resync";
}

/** What happens at a receiver besides what is received. */
export type PushReceiverEvent = PushRefusedEvent | PushResyncEvent;

/**
 * Takes sockets. Iterate it to get them; there is one reader at a time. A socket stays with the process that has pushed it until
 * it is taken here, and goes to another one where this one ends before. Nothing is read or accepted, and the process is not kept
 * alive, as long as nobody iterates.
 */
export interface PushReceiver extends AsyncIterable<Received>, AsyncDisposable {
  /** Where it listens. */
  readonly path: string;
  /** How many sockets wait to be taken. */
  readonly waiting: number;
  /**
   * Calls a handler.
   *
   * @param type What to tell.
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  on<T extends PushReceiverEvent["type"]>(
    type: T,
    handler: (event: EventOf<PushReceiverEvent, T>) => void,
  ): Disposable;
  /** Ends it; safe twice. What nobody has taken stays with whoever has pushed it. */
  close(): Promise<void>;
}

/**
 * Takes sockets that other processes push to a path: by `pushTo()`, or in plain mode by any program.
 *
 * Needs the permission `ffi` for the C library; with `net` for `127.0.0.1` the pipes are faster. Linux only.
 *
 * @param path Where: a Unix socket, which is made. One that a dead process has left behind is replaced.
 * @param options Whose sockets, which, and how they become pipes.
 * @returns The receiver.
 * @throws {PushError} With code `"listen"` when it could not be done.
 * @throws {PermissionError} When the runtime does not allow it.
 *
 * @example
 * ```ts
 * import { pushTo, receive } from "@holdfast/net/pipes/push";
 * import { assertEquals } from "@std/assert";
 *
 * const path = `${Deno.makeTempDirSync()}/worker`;
 * await using receiver = await receive(path, { kinds: ["listener"] });
 * await using channel = await pushTo(path);
 * const pushed = channel.push(Deno.listen({ hostname: "127.0.0.1", port: 0 }));
 * for await (const received of receiver) {
 *   if (received.kind !== "listener") continue;
 *   await using server = await received.listener.pipes();
 *   assertEquals(server.addresses.length, 1);
 *   break;
 * }
 * await pushed;
 * ```
 */
export async function receive(path: string, options: ReceiveOptions = {}): Promise<PushReceiver> {
  checkNetworkOptions(options);
  checkPath(path);
  const { signal } = options;
  signal?.throwIfAborted();
  const receiver = new Receiver(path, options);
  signal?.addEventListener("abort", receiver.abort);
  // Found out before anybody waits for it.
  await connClass();
  return receiver;
}

class Receiver implements PushReceiver {
  readonly path: string;
  readonly #options: ReceiveOptions;
  readonly #receiver: ScmReceiver;
  readonly #events: Broadcast<PushReceiverEvent>;
  #lock: symbol | undefined;
  #taking: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;
  readonly abort = (): void => void this.close();

  constructor(path: string, options: ReceiveOptions) {
    const { window = 64, maxChannels = 256, maxMetadata = 64 * 1024, maxPrefix = 1024 * 1024 } = options;
    const { frameTimeout = 10_000, users, clock = systemClock, logger } = options;
    const { kinds = ["stream", "listener", "datagram"] satisfies AdoptedKind[] } = options;
    for (const [name, value] of Object.entries({ window, maxChannels, maxMetadata, maxPrefix })) {
      if (!Number.isInteger(value) || value < 1 || value > 2 ** 30) {
        throw new RangeError(
          `Cannot receive: ${name} must be a whole number from 1 to 2 ** 30, got ${value}`,
        );
      }
    }
    if (!(frameTimeout >= 0)) {
      throw new RangeError(`Cannot receive: frameTimeout must be a number from 0, got ${frameTimeout}`);
    }
    this.path = path;
    this.#options = options;
    this.#events = new Broadcast<PushReceiverEvent>({ resync: () => ({ type: "resync" }), logger, clock });
    const calls = needCalls("receive sockets");
    try {
      this.#receiver = new ScmReceiver(
        calls,
        path,
        { users, kinds, window, maxChannels, maxMetadata, maxPrefix, frameTimeout, clock },
        (reason, peer) => this.#events.publish({ type: "refused", reason, peer }),
      );
    } catch (error) {
      calls[Symbol.dispose]();
      throw error;
    }
  }

  get waiting(): number {
    return this.#receiver.waiting;
  }

  on<T extends PushReceiverEvent["type"]>(
    type: T,
    handler: (event: EventOf<PushReceiverEvent, T>) => void,
  ): Disposable {
    return this.#events.on(type, handler);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Received, void, void> & AsyncDisposable {
    if (this.#lock) throw new TypeError("Cannot receive: somebody else receives here already");
    const lock = this.#lock = Symbol("reader");
    this.#receiver.active = true;
    const done: IteratorResult<Received, void> = { done: true, value: undefined };
    const iterator = {
      next: (): Promise<IteratorResult<Received, void>> => {
        if (this.#lock !== lock) return Promise.resolve(done);
        const next = this.#taking.then(() => this.#lock === lock ? this.#take() : null);
        this.#taking = next.catch(() => {});
        return next.then((value) => value ? { done: false, value } : done);
      },
      return: (): Promise<IteratorResult<Received, void>> => {
        if (this.#lock === lock) {
          this.#lock = undefined;
          this.#receiver.active = false;
        }
        return Promise.resolve(done);
      },
      [Symbol.asyncIterator]: () => iterator,
      [Symbol.asyncDispose]: async () => void await iterator.return(),
    };
    return iterator;
  }

  close(): Promise<void> {
    return this.#closing ??= (async () => {
      this.#options.signal?.removeEventListener("abort", this.abort);
      await this.#receiver.close();
      await this.#taking;
      this.#lock = undefined;
      this.#events.end();
    })();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #take(): Promise<Received | null> {
    using _hold = holdProcess(this.#options.clock);
    const arrival = await this.#receiver.take();
    return arrival && this.#given(arrival);
  }

  #given({ adopted, metadata, peer }: Arrival): Received {
    if (adopted.kind === "stream") {
      return { kind: "stream", pipe: adopted.pipe(this.#options), metadata, peer };
    }
    if (adopted.kind === "listener") return { kind: "listener", listener: adopted, metadata, peer };
    return { kind: "datagram", socket: adopted.socket, metadata, peer };
  }
}

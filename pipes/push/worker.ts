/** Sockets for the Workers of this process: a descriptor's number is all that has to be said. */

import type { Socket as DatagramSocket } from "node:dgram";
import { type Clock, holdProcess, systemClock } from "../../internal/clock.ts";
import { duplicate } from "../../internal/ffi/descriptors.ts";
import type { PipeOptions } from "../_base_pipe.ts";
import type { TcpPipe, UnixPipe } from "../pipe.ts";
import { adopt, type Adopted, type AdoptedKind, closeDescriptor } from "./_adopt.ts";
import type { AdoptedListener } from "./_adopted_listener.ts";
import { tryCalls } from "./_descriptor_calls.ts";
import { tcpHandleClass } from "./_internals.ts";
import { prepare, type Prepared } from "./_prepare.ts";
import type { Pushable } from "./push.ts";
import { PushError } from "./push_error.ts";

/** Where messages go and come from: a `Worker`, a `MessagePort`, or within a Worker `self`. */
export interface MessageEnd {
  /** Sends a message. */
  postMessage(message: unknown): void;
  /** Calls back for each message. */
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
  /** Calls back no more. */
  removeEventListener(type: "message", listener: (event: MessageEvent) => void): void;
}

/** What {@linkcode pushToWorker} takes. */
export interface PushToWorkerOptions {
  /**
   * What the Worker is told besides; whatever `postMessage` can carry.
   *
   * @default {null}
   */
  readonly metadata?: unknown;
  /**
   * What was read from a connection already; it is read first in the Worker.
   *
   * @default {undefined} Nothing.
   */
  readonly prefix?: Uint8Array;
  /**
   * Whether this side keeps the socket as well, for example a listener that all Workers accept on.
   *
   * @default {false}
   */
  readonly keep?: boolean;
  /**
   * How many milliseconds the Worker has to take it.
   *
   * @default {10_000}
   */
  readonly timeout?: number;
  /** Calls it off, unless the Worker takes it in that moment. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock | undefined;
}

/** A socket that has come to a Worker. */
export type WorkerReceived =
  | {
    /** A connection. */
    readonly kind: "stream";
    /** It; what was read from it before is read first. */
    readonly pipe: TcpPipe | UnixPipe;
    /** What was said besides. */
    readonly metadata: unknown;
  }
  | {
    /** A listener. */
    readonly kind: "listener";
    /** It; it becomes a server of pipes, or of whatever can listen on a descriptor. */
    readonly listener: AdoptedListener;
    /** What was said besides. */
    readonly metadata: unknown;
  }
  | {
    /** A socket for datagrams. */
    readonly kind: "datagram";
    /** It. Sending needs the permission `net`. */
    readonly socket: DatagramSocket;
    /** What was said besides. */
    readonly metadata: unknown;
  };

/** Takes sockets in a Worker. Iterate it to get them; there is one reader at a time. */
export interface WorkerReceiver extends AsyncIterable<WorkerReceived>, Disposable {
  /** Ends it; safe twice. What nobody has taken stays where it came from. */
  close(): void;
}

/** What goes to a Worker. */
interface Offer {
  readonly type: "holdfast.socket";
  readonly id: number;
  readonly fd: number;
  readonly kind: AdoptedKind;
  readonly prefix: Uint8Array;
  readonly metadata: unknown;
  /** One number, which only one of the two can change: 1 when it was taken, 2 when it was called off. */
  readonly claim: SharedArrayBuffer;
}

/** What comes back. */
interface Answer {
  readonly type: "holdfast.socket.answer";
  readonly id: number;
  /** Why not, or `null`. */
  readonly refused: string | null;
}

const OPERATION = "push a socket to a Worker";
const [TAKEN, CALLED_OFF] = [1, 2];
/** How many may wait in a Worker; they are still the other side's. */
const MOST_WAITING = 1024;

let last = 0;

/**
 * Hands a socket to a Worker of this process, which takes it by {@linkcode receiveInWorker}. It stays on this side until it was
 * taken, and is let go of then without a word to the other end.
 *
 * Nobody may read from it or write to it meanwhile. Needs no permission for sockets of Node's part, and for the runtime's own
 * connections of TCP; others of the runtime are found by the C library alone (`--allow-ffi`).
 *
 * @param worker The Worker, or a port to it.
 * @param socket A pipe, what its `detach()` gave, or a socket as the runtime or Node's part of it has it.
 * @param options What to tell, and how long it may take.
 * @returns Resolves when it was taken.
 * @throws {PushError} `timeout` or `refused`; a bare socket is as it was then, and of a pipe the error has what is left.
 *
 * @example
 * ```ts
 * import { createServer } from "node:net";
 * import { pushToWorker, receiveInWorker } from "@holdfast/net/pipes/push";
 * import { assertEquals } from "@std/assert";
 *
 * // As a rule the one end is a Worker, and the other one its `self`.
 * const { port1, port2 } = new MessageChannel();
 * port1.start();
 * const server = createServer();
 * await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
 * const pushed = pushToWorker(port1, server, { metadata: "web" });
 * using receiver = receiveInWorker(port2);
 * for await (const received of receiver) {
 *   assertEquals([received.kind, received.metadata], ["listener", "web"]);
 *   if (received.kind === "listener") await received.listener.close();
 *   break;
 * }
 * await pushed;
 * assertEquals(server.listening, false);
 * port1.close();
 * port2.close();
 * ```
 */
export async function pushToWorker(
  worker: MessageEnd,
  socket: Pushable,
  options: PushToWorkerOptions = {},
): Promise<void> {
  const { metadata = null, prefix, keep = false, timeout = 10_000, signal, clock = systemClock } = options;
  if (!(timeout >= 0)) {
    throw new RangeError(`Cannot ${OPERATION}: timeout must be a number from 0, got ${timeout}`);
  }
  signal?.throwIfAborted();
  const prepared = await prepare(socket, { prefix, keep });
  const [offered, kept] = await twice(prepared.descriptor);
  const claim = new SharedArrayBuffer(4);
  const offer = {
    type: "holdfast.socket",
    id: ++last,
    fd: offered,
    prefix: prepared.prefix,
    metadata,
    claim,
  } as const;
  try {
    await answered(worker, { ...offer, kind: prepared.kind }, { timeout, signal, clock });
    if (!keep) prepared.letGo();
  } catch (error) {
    if (Atomics.load(new Int32Array(claim), 0) !== TAKEN) await closeHere(offered);
    throw leftBy(error, prepared);
  } finally {
    await closeHere(kept);
  }
}

/**
 * Takes sockets in a Worker: those that {@linkcode pushToWorker} gives to it.
 *
 * @param end Where they come from.
 * @param options How connections become pipes.
 * @returns The receiver.
 *
 * @example
 * ```ts
 * import { receiveInWorker } from "@holdfast/net/pipes/push";
 *
 * const { port1, port2 } = new MessageChannel();
 * using _receiver = receiveInWorker(port2);
 * port1.close();
 * port2.close();
 * ```
 */
export function receiveInWorker(
  end: MessageEnd = globalThis as unknown as MessageEnd,
  options: PipeOptions = {},
): WorkerReceiver {
  return new Receiver(end, options);
}

interface Limits {
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
}

/** Resolves when the Worker has taken it; rejects when it has not, and never will. */
async function answered(worker: MessageEnd, offer: Offer, { timeout, signal, clock }: Limits): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const callOff = (why: () => unknown): void => {
    // Who was first is right; with the other one an answer is on its way.
    if (Atomics.compareExchange(new Int32Array(offer.claim), 0, 0, CALLED_OFF) === 0) reject(why());
  };
  const answer = ({ data }: MessageEvent): void => {
    if (data?.type !== "holdfast.socket.answer" || data.id !== offer.id) return;
    if (data.refused === null) resolve();
    else reject(failed("refused", `it does not take it, ${data.refused}`));
  };
  const aborted = (): void => callOff(() => signal?.reason);
  worker.addEventListener("message", answer);
  const timer = clock.after(
    timeout,
    () => callOff(() => failed("timeout", `nothing was heard within ${timeout} ms`)),
    {
      ref: true,
    },
  );
  signal?.addEventListener("abort", aborted, { once: true });
  try {
    worker.postMessage(offer);
    await promise;
  } finally {
    worker.removeEventListener("message", answer);
    timer.cancel();
    signal?.removeEventListener("abort", aborted);
  }
}

/** Two descriptors in place of one: the Worker may have closed its own before this side looks which one it has. */
async function twice(fd: number): Promise<readonly [number, number]> {
  using calls = tryCalls();
  if (calls) return [fd, duplicate(calls, fd)];
  const TCP = await tcpHandleClass();
  if (!TCP) throw failed("refused", "this runtime cannot make a second descriptor");
  const handle = new TCP(0);
  handle.open(fd);
  const both = [handle.fdForIpc(), handle.fdForIpc()] as const;
  handle.close();
  return both;
}

async function closeHere(fd: number): Promise<void> {
  using calls = tryCalls();
  await closeDescriptor(calls, fd);
}

function leftBy(error: unknown, prepared: Prepared): unknown {
  const left = prepared.giveBack();
  return left && error instanceof PushError ? error.with(left) : error;
}

function failed(code: "timeout" | "refused", why: string): PushError {
  return new PushError(`Cannot ${OPERATION}: ${why}`, { code, operation: OPERATION });
}

class Receiver implements WorkerReceiver {
  readonly #end: MessageEnd;
  readonly #options: PipeOptions;
  readonly #offers: Offer[] = [];
  #wake: (() => void) | undefined;
  #reading = false;
  #closed = false;

  constructor(end: MessageEnd, options: PipeOptions) {
    this.#end = end;
    this.#options = options;
    end.addEventListener("message", this.#heard);
    // A port waits until somebody says so.
    (end as { start?(): void }).start?.();
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<WorkerReceived, void, void> {
    if (this.#reading) throw new TypeError("Cannot receive: somebody else receives here already");
    this.#reading = true;
    try {
      while (!this.#closed) {
        const offer = this.#offers.shift();
        if (!offer) {
          using _hold = holdProcess(this.#options.clock);
          await new Promise<void>((resolve) => this.#wake = resolve);
          continue;
        }
        const received = await this.#take(offer);
        if (received) yield received;
      }
    } finally {
      this.#reading = false;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#end.removeEventListener("message", this.#heard);
    for (const offer of this.#offers.splice(0)) this.#refuse(offer, "it is closed");
    this.#wake?.();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  readonly #heard = ({ data }: MessageEvent): void => {
    if (data?.type !== "holdfast.socket") return;
    if (this.#offers.length >= MOST_WAITING) return this.#refuse(data, "too many wait");
    this.#offers.push(data);
    this.#wake?.();
  };

  async #take(offer: Offer): Promise<WorkerReceived | null> {
    // From here on the descriptor is this side's, and called off no more.
    if (Atomics.compareExchange(new Int32Array(offer.claim), 0, 0, TAKEN) !== 0) return null;
    let adopted: Adopted;
    try {
      adopted = await adopt(offer.fd, { expect: offer.kind, prefix: offer.prefix });
    } catch (error) {
      this.#answer(offer, (error as Error).message);
      return null;
    }
    this.#answer(offer, null);
    const { metadata } = offer;
    if (adopted.kind === "stream") return { kind: "stream", pipe: adopted.pipe(this.#options), metadata };
    if (adopted.kind === "listener") return { kind: "listener", listener: adopted, metadata };
    return { kind: "datagram", socket: adopted.socket, metadata };
  }

  /** Calls it off from this side; its owner closes the descriptor. */
  #refuse(offer: Offer, reason: string): void {
    const claim = new Int32Array(offer.claim);
    if (Atomics.compareExchange(claim, 0, 0, CALLED_OFF) === 0) this.#answer(offer, reason);
  }

  #answer({ id }: Offer, refused: string | null): void {
    const answer: Answer = { type: "holdfast.socket.answer", id, refused };
    this.#end.postMessage(answer);
  }
}

/** Sockets by the channel that Node has between a process and its child (`process.send`, `NODE_CHANNEL_FD`). */

import type { Server as NetServer, Socket as NetSocket } from "node:net";
import type { Socket as DatagramSocket } from "node:dgram";
import { type Clock, holdProcess, systemClock } from "../../internal/clock.ts";
import type { PipeOptions } from "../_base_pipe.ts";
import { adopt, type Adopted, closeDescriptor } from "./_adopt.ts";
import { tryCalls } from "./_descriptor_calls.ts";
import { handleOf } from "./_internals.ts";
import { prepare, type Prepared } from "./_prepare.ts";
import { failed, IPC_OPERATION as OPERATION, taken, type Told } from "./_ipc_answers.ts";
import type { Pushable } from "./push.ts";
import { PushError } from "./push_error.ts";
import type { WorkerReceived } from "./worker.ts";

/** One end of such a channel: `node:process` of a child, or what `node:child_process` gave its parent. */
export interface IpcEnd {
  /** Whether the other end is there. */
  readonly connected?: boolean;
  /** Sends a message, and a socket with it. */
  // deno-lint-ignore no-explicit-any
  send?(message: any, handle?: any, options?: any, callback?: (error: Error | null) => void): boolean;
  /** Calls back for each message, and at the end. */
  // deno-lint-ignore no-explicit-any
  on(event: "message" | "disconnect", listener: (...values: any[]) => void): unknown;
  /** Calls back no more. */
  // deno-lint-ignore no-explicit-any
  off(event: "message" | "disconnect", listener: (...values: any[]) => void): unknown;
}

/** What {@linkcode pushByIpc} takes. */
export interface PushByIpcOptions {
  /**
   * What the other process is told besides, as JSON has it.
   *
   * @default {null}
   */
  readonly metadata?: unknown;
  /**
   * What was read from a connection already.
   *
   * @default {undefined} Nothing.
   */
  readonly prefix?: Uint8Array;
  /**
   * Whether this process keeps the socket as well.
   *
   * @default {false}
   */
  readonly keep?: boolean;
  /**
   * How many milliseconds the other process has to say that it has taken it.
   *
   * @default {10_000}
   */
  readonly timeout?: number;
  /** Gives up. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock | undefined;
}

/** Takes sockets. Iterate it to get them; there is one reader at a time. */
export interface IpcReceiver extends AsyncIterable<WorkerReceived>, Disposable {
  /** Ends it; safe twice. What nobody has taken is let go of here, and stays where it came from. */
  close(): void;
}

const MOST_WAITING = 1024;

let last = 0;

/**
 * Hands a socket to a child of this process, or to its parent, that speaks Node's protocol: Node itself, the runtime, or any
 * program that knows how. The message that comes with the socket is
 * `{ type: "holdfast.socket", id, kind, metadata, prefix }` (`prefix` being Base64, or missing); who takes it answers with
 * `{ type: "holdfast.taken", id }`, or `{ type: "holdfast.refused", id, reason }`. Until then this process has it as well, so that it is not lost where the other one dies.
 *
 * Nobody may read from it or write to it meanwhile. No permission is needed for sockets of Node's part, and for the runtime's own
 * connections of TCP. A listener must be one of Node's part. Not on Windows.
 *
 * @param end The child, or `node:process` for the parent.
 * @param socket A pipe, what its `detach()` gave, or a socket.
 * @param options What to tell, and how long it may take.
 * @returns Resolves when it was taken.
 * @throws {PushError} `timeout`, `refused`, or `closed` where the other process has gone. A bare socket is as it was then, and of a pipe the
 * error has what is left; but after a timeout the other process may still have it, and must be ended before it is used here.
 *
 * @example
 * ```ts ignore
 * import { spawn } from "node:child_process";
 * import process from "node:process";
 * import { pushByIpc, receiveByIpc } from "@holdfast/net/pipes/push";
 *
 * if (process.send) {
 *   for await (const received of receiveByIpc(process)) console.log(received.kind, received.metadata);
 * } else {
 *   const child = spawn("deno", ["run", "server.ts"], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
 *   const listener = Deno.listen({ port: 8080 });
 *   for await (const conn of listener) await pushByIpc(child, conn, { metadata: "one more" });
 * }
 * ```
 */
export async function pushByIpc(
  end: IpcEnd,
  socket: Pushable,
  options: PushByIpcOptions = {},
): Promise<void> {
  const { metadata = null, prefix, keep = false, timeout = 10_000, signal, clock = systemClock } = options;
  if (!(timeout >= 0)) {
    throw new RangeError(`Cannot ${OPERATION}: timeout must be a number from 0, got ${timeout}`);
  }
  signal?.throwIfAborted();
  if (!end.send || end.connected === false) throw failed("closed", "there is no other end");
  const prepared = await prepare(socket, { prefix, keep });
  let handle: Handle | undefined;
  try {
    handle = await handleFor(prepared, socket);
    const { kind } = prepared;
    const bytes = prepared.prefix;
    const told: Told = {
      ...{ type: "holdfast.socket", id: ++last, kind, metadata },
      ...(bytes.length > 0 ? { prefix: bytes.toBase64() } : {}),
    };
    await taken(end, told, handle.what, { timeout, signal, clock });
    if (!keep) prepared.letGo();
  } catch (error) {
    const left = prepared.giveBack();
    throw left && error instanceof PushError ? error.with(left) : error;
  } finally {
    handle?.close();
  }
}

/**
 * Takes the sockets that {@linkcode pushByIpc} gives, from the parent or from a child.
 *
 * @param end Where they come from: `node:process`, or a child.
 * @param options How connections become pipes.
 * @returns The receiver.
 */
export function receiveByIpc(end: IpcEnd, options: PipeOptions = {}): IpcReceiver {
  return new Receiver(end, options);
}

/** A socket in the form that Node's part sends. */
interface Handle {
  readonly what: NetSocket | NetServer | DatagramSocket;
  close(): void;
}

async function handleFor({ descriptor, kind }: Prepared, given: Pushable): Promise<Handle> {
  if (kind === "listener") {
    // The copy is of no use: one of Node's part is sent as it is, and others cannot be.
    using calls = tryCalls();
    await closeDescriptor(calls, descriptor);
    if ("getConnections" in given) return { what: given as NetServer, close() {} };
    throw new PushError(`Cannot ${OPERATION}: a listener must be one of node:net`, {
      code: "kind",
      operation: OPERATION,
    });
  }
  if (kind === "datagram") {
    const { socket } = await adopt(descriptor, { expect: kind });
    return { what: socket, close: () => void socket.close() };
  }
  const { Socket } = await import("node:net");
  const options = { fd: descriptor, manualStart: true, readable: true, writable: true };
  const socket = new Socket(options);
  socket.on("error", () => {}); // nobody uses it here
  return { what: socket, close: () => void socket.destroy() };
}

type Arrived = NetSocket | NetServer | DatagramSocket;

/** What has arrived and nobody has taken yet; of a listener the descriptor. */
interface Waiting {
  readonly told: Told;
  readonly what: Arrived | number;
}

class Receiver implements IpcReceiver {
  readonly #end: IpcEnd;
  readonly #options: PipeOptions;
  readonly #waiting: Waiting[] = [];
  #wake: (() => void) | undefined;
  #reading = false;
  #closed = false;

  constructor(end: IpcEnd, options: PipeOptions) {
    this.#end = end;
    this.#options = options;
    end.on("message", this.#heard);
    end.on("disconnect", this.#gone);
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<WorkerReceived, void, void> {
    if (this.#reading) throw new TypeError("Cannot receive: somebody else receives here already");
    this.#reading = true;
    try {
      while (true) {
        const next = this.#waiting.shift();
        const received = next && await this.#take(next);
        if (received) yield received;
        else if (!next && this.#closed) return;
        else if (!next) {
          using _hold = holdProcess(this.#options.clock);
          await new Promise<void>((resolve) => this.#wake = resolve);
        }
      }
    } finally {
      this.#reading = false;
    }
  }

  close(): void {
    for (const { told, what } of this.#waiting.splice(0)) this.#refuse(told, what, "it is closed");
    this.#gone();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  readonly #heard = (message: unknown, handle: Arrived | undefined): void => {
    const told = (message ?? {}) as Told;
    if (told.type !== "holdfast.socket" || typeof told.id !== "number" || !handle) return;
    // A server would accept from the next turn on, and nobody would know of whom.
    const what = "getConnections" in handle ? handleOf(handle)?.fdForIpc() ?? handle : handle;
    if (typeof what === "number") (handle as NetServer).close();
    if (this.#waiting.length >= MOST_WAITING) return this.#refuse(told, what, "too many wait");
    this.#waiting.push({ told, what });
    this.#wake?.();
  };

  readonly #gone = (): void => {
    this.#closed = true;
    this.#end.off("message", this.#heard);
    this.#end.off("disconnect", this.#gone);
    this.#wake?.();
  };

  async #take({ told, what }: Waiting): Promise<WorkerReceived | null> {
    const { id, kind, metadata = null, prefix } = told;
    let adopted: Adopted;
    try {
      const before = typeof prefix === "string" ? Uint8Array.fromBase64(prefix) : undefined;
      if (typeof what === "number") adopted = await adopt(what, { expect: kind });
      else {
        const prepared = await prepare(what, { prefix: before, keep: false });
        adopted = await adopt(prepared.descriptor, { expect: kind, prefix: prepared.prefix });
        prepared.letGo();
      }
    } catch (error) {
      this.#refuse(told, typeof what === "number" ? null : what, (error as Error).message);
      return null;
    }
    await this.#say({ type: "holdfast.taken", id });
    if (adopted.kind === "stream") return { kind: "stream", pipe: adopted.pipe(this.#options), metadata };
    if (adopted.kind === "listener") return { kind: "listener", listener: adopted, metadata };
    return { kind: "datagram", socket: adopted.socket, metadata };
  }

  #refuse({ id }: Told, what: Arrived | number | null, reason: string): void {
    if (typeof what === "number") {
      using calls = tryCalls();
      void closeDescriptor(calls, what);
    } else if (what && "destroy" in what) what.destroy();
    else what?.close();
    void this.#say({ type: "holdfast.refused", id, reason });
  }

  /** Resolves when it is on its way; where nobody is there any more, nobody else has the socket. */
  #say(message: unknown): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#end.send || this.#end.connected === false) resolve();
      else this.#end.send(message, undefined, undefined, () => resolve());
    });
  }
}

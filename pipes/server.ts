/** What a server of pipes is: who comes is handed out one by one, to whoever asks for the next. */

import type { EventOf } from "../internal/events.ts";
import type { DrainOptions } from "../recover/accept_loop.ts";
import type { PipeAddress, Transport } from "./address.ts";
import type { Pipe, PipeBase } from "./pipe.ts";

/** How one of a server's addresses is served. */
export interface PipeServerReport {
  /** The address. */
  readonly address: PipeAddress;
  /** What does the work: the runtime itself, or Node's part of it. */
  readonly by: "native" | "node:tls" | "other";
  /** Why it is not a better one, or `null` where there is none. */
  readonly note: string | null;
}

/** What {@linkcode PipeServer.on} tells of. */
export type PipeServerEvent =
  | {
    /** An address is listened on: at first, or again after it was gone; or it is gone from this machine. */
    readonly type: "listening" | "addresslost";
    /** When, in milliseconds since 1970. */
    readonly at: number;
    /** The address. */
    readonly address: PipeAddress;
  }
  | {
    /** An address could not be listened on, and is tried again; or accepting failed, and goes on after a pause. */
    readonly type: "trouble";
    /** When, in milliseconds since 1970. */
    readonly at: number;
    /** What the system said. */
    readonly error: unknown;
  }
  | {
    /** A connection was closed at once, because there were too many. */
    readonly type: "shed";
    /** When, in milliseconds since 1970. */
    readonly at: number;
    /** Too many in all, or from that address. */
    readonly reason: "connections" | "address";
    /** Where it came from. */
    readonly from: PipeAddress;
  }
  | {
    /** A connection never became a pipe: its handshake failed, or took too long. */
    readonly type: "refused";
    /** When, in milliseconds since 1970. */
    readonly at: number;
    /** What was wrong. */
    readonly error: unknown;
    /** Where it came from. */
    readonly from: PipeAddress;
  };

/**
 * A server of pipes.
 *
 * Iterate it to get them; there is one reader at a time. A few connections are accepted ahead of who asks for them, the others
 * wait in the system's queue. A pipe that was handed out belongs to whoever got it, and outlives the server.
 */
export interface PipeServer<P extends PipeBase<Transport, PipeAddress> = Pipe>
  extends AsyncIterable<P>, AsyncDisposable {
  /** Where it listens now. */
  readonly addresses: readonly P["localAddress"][];
  /** The first of them as a URL to connect to. */
  readonly url: string;
  /** How many connections are open. */
  readonly connections: number;
  /** How each address is served. */
  readonly report: readonly PipeServerReport[];
  /** Resolves when it listens no more; rejects with what ended it by itself. */
  readonly closed: Promise<void>;
  /**
   * Calls a handler for each event of one type.
   *
   * @param type The type.
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  on<T extends PipeServerEvent["type"]>(
    type: T,
    handler: (event: EventOf<PipeServerEvent, T>) => void,
  ): Disposable;
  /**
   * Stops listening, and waits until the pipes that were handed out have ended.
   *
   * @param options How long that may take.
   * @returns How many had to be cut.
   */
  drain(options?: DrainOptions): Promise<number>;
  /** Stops listening, and ends the connections that nobody has got; safe twice. The addresses are free again afterwards. */
  close(): Promise<void>;
}

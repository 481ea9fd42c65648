/** What carries a pipe: the least that a transport has to do. Everything else of a pipe is built on this, once. */

import type { PipeAddress, Transport } from "./address.ts";

/** Who gets what a link was asked to fill a buffer with; never before the call returned. */
export interface FillSink {
  /** So many bytes came; `null` at a clean end. */
  filled(count: number | null): void;
  /** What went wrong, as the runtime gave it. */
  broke(error: unknown): void;
}

/** One connection. Reading and writing are independent; there is at most one pending read and one pending write. */
export interface Link {
  /** What it is. */
  readonly transport: Transport;
  /** Whether it keeps the boundaries of what is written (`message`: WebSocket, UDP), or is a stream of bytes. */
  readonly unit: "bytes" | "message";
  /** Our end. */
  readonly localAddress: PipeAddress;
  /** The other end. */
  readonly remoteAddress: PipeAddress;
  /** Whether it can close one direction. */
  readonly halfClose: boolean;
  /** Who sent what was read last, where that may be different from one read to the next. */
  readonly lastFrom?: PipeAddress;
  /** How many bytes a message may have, where there is a limit. */
  readonly maxMessage?: number;
  /** How many messages arrived that there was no room for. */
  readonly dropped?: number;
  /** Set by whoever uses the link: told of what went wrong and did not end it. */
  onTrouble?: ((error: unknown) => void) | undefined;
  /** Set by whoever uses the link: told that the other end was heard of, or not for too long. */
  onProof?: ((proven: boolean) => void) | undefined;
  /** Set by whoever uses the link: told that nobody is at the other end any more, where no read would say so. */
  onLoss?: ((error: unknown) => void) | undefined;
  /** Smoothed round-trip time in milliseconds, where the link measures it; `null` before the first answer. */
  readonly roundTrip?: number | null;
  /** How often it went on over another connection after a loss, where it can. */
  readonly resumes?: number;
  /** For how many milliseconds in all it had no connection. */
  readonly suspended?: number;
  /** What the application should see of it besides, for example the protocol agreed on. */
  readonly extra?: Readonly<Record<string, unknown>>;
  /**
   * Does what is left to be done before an accepted link is of use, for example a handshake; run beside others, and cut by
   * {@linkcode Link.abort} where it takes too long.
   */
  readonly ready?: (() => Promise<void>) | undefined;
  /**
   * Reads: some bytes into the buffer for a stream, or one whole message.
   *
   * @param buffer Where a stream's bytes go; a link of messages may leave it alone.
   * @returns The part of the buffer that was filled, or the message; `null` at a clean end. What it returns is the caller's.
   * @throws What went wrong, as the runtime gave it.
   */
  read(buffer: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer> | null>;
  /**
   * The same for a stream whose bytes always go to the buffer; with less to keep while it waits, as very many may wait.
   *
   * @param buffer Where the bytes go.
   * @param sink Who hears of them.
   */
  fill?(buffer: Uint8Array<ArrayBuffer>, sink: FillSink): void;
  /**
   * Writes all of it, or one message.
   *
   * @param data The bytes; not touched by the caller until it resolves.
   * @param text Whether they are a message that was given as text.
   * @returns Resolves when the system took them; with `false` where it did not take a datagram, and may take the next.
   */
  write(data: Uint8Array, text?: boolean): Promise<void | false>;
  /** Says that no more will be written. */
  closeWrite(): Promise<void>;
  /** Closes it, and resolves when its address is free again; a pending read and write are settled by that. */
  close(): Promise<void>;
  /** Ends it at once, by a reset where the transport has one; a pending read and write are settled by that. */
  abort(): void;
  /** Gives the connection below away; undefined where there is nothing that could be given. */
  detach?(): unknown;
  /** What was read from the connection below and asked for by nobody yet; it is given away with it. */
  readonly unread?: Uint8Array<ArrayBuffer>;
  /** The connection's own streams, where they are faster than reading and writing one by one. */
  readonly streams?: {
    readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
    readonly writable: WritableStream<Uint8Array<ArrayBufferLike>>;
  };
}

/** What opens links to one place: once, and again after a loss. */
export type Dialer = (options: { readonly signal: AbortSignal }) => Promise<Link>;

/** What accepts links. */
export interface LinkListener {
  /** Where it listens, one address each. */
  readonly addresses: readonly PipeAddress[];
  /** What does the work, and why it is nothing better; the runtime itself where nothing is said. */
  readonly report?: { readonly by: "native" | "node:tls" | "other"; readonly note: string | null };
  /**
   * Waits for the next link.
   *
   * @returns The link, or `null` when it was closed.
   */
  accept(): Promise<Link | null>;
  /** Stops listening; links that were accepted live on. Resolves when the addresses are free again. */
  close(): Promise<void>;
}

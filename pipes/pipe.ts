/** What a pipe is: the one thing that all transports give, whichever end opened it. */

import type { EventOf } from "../internal/events.ts";
import type { NetworkViewEvent } from "../internal/network_view.ts";
import type { Failure } from "../recover/failure.ts";
import type {
  ExecAddress,
  HostAddress,
  MemoryAddress,
  PipeAddress,
  Transport,
  UnixAddress,
} from "./address.ts";
import type { PipeError } from "./pipe_error.ts";
import type { PipeSessionEvent, SessionPipe } from "./resume/session.ts";

/** What can be sent: bytes as they are, text as UTF-8. */
export type PipeData = Uint8Array | string;

/** A message and where it came from. */
export interface Packet {
  /** What was received. */
  readonly data: Uint8Array<ArrayBuffer>;
  /** Who sent it: the other end, or, on a UDP pipe without a peer of its own, whoever did. */
  readonly from: PipeAddress;
}

/** How a {@linkcode Pipe.send} may be called off. */
export interface SendOptions {
  /** Gives up waiting for room; what was not taken yet is not sent then. */
  readonly signal?: AbortSignal | undefined;
}

/** How a {@linkcode Pipe.recv} may be called off. */
export interface RecvOptions {
  /** Calls it off; the message then stays for the next call. */
  readonly signal?: AbortSignal | undefined;
  /** After how many milliseconds it rejects with a {@linkcode PipeError} of code `"timeout"`. */
  readonly timeout?: number;
  /**
   * Memory that bytes of a stream may be read into, so that none has to be made; the message is a part of it then. Not to be
   * touched before the call is settled; after one that was called off, not before the next message has come.
   *
   * @default {undefined} Each message has memory of its own.
   */
  readonly into?: Uint8Array<ArrayBuffer>;
}

/** Which messages a subscription gets: those whose text matches, those that a function picks, those of one sender. */
export type PipeFilter = RegExp | ((packet: Packet) => boolean) | { readonly from: PipeAddress };

/** What was counted on a pipe. */
export interface PipeStats {
  /** Bytes of the application that the system took. */
  readonly bytesSent: number;
  /** Bytes that were handed to the application. */
  readonly bytesReceived: number;
  /** Messages sent; for a raw stream the calls of `send()`. */
  readonly messagesSent: number;
  /** Messages handed to the application. */
  readonly messagesReceived: number;
  /**
   * Messages that a full queue of policy `"drop-oldest"` or `"drop-newest"` cost; of UDP also the datagrams that came faster
   * than they were read, and those that the system would not send.
   */
  readonly dropped: number;
  /** Messages that no subscription wanted. */
  readonly unmatched: number;
  /** How often the connection below was replaced by a new one. */
  readonly reconnects: number;
  /** Smoothed round-trip time in milliseconds, or `null` where nothing measures it. */
  readonly roundTrip: number | null;
  /** How often its session went on after a loss; 0 where there is no session. */
  readonly resumes: number;
  /** For how many milliseconds in all its session had no connection. */
  readonly suspended: number;
}

/**
 * What a pipe is now: `open`; `waiting` for a new connection below it; `closed` by either end without a loss; `failed`.
 */
export type PipeState =
  | { readonly type: "open" }
  | { readonly type: "waiting"; readonly failure: Failure }
  | { readonly type: "closed" }
  | { readonly type: "failed"; readonly error: PipeError };

/** A message, for handlers. */
export interface PipeMessageEvent extends Packet {
  /** The tag. */
  readonly type: "message";
}

/** The pipe is connected, at first or again. */
export interface PipeUpEvent {
  /** The tag. */
  readonly type: "up";
  /** How often it was connected before. */
  readonly reconnects: number;
  /** Our end. */
  readonly localAddress: PipeAddress;
  /** The other end. */
  readonly remoteAddress: PipeAddress;
}

/** Nothing more will be received: the other end said so, or the pipe was closed. Told once, also to those who come late. */
export interface PipeEndEvent {
  /** The tag. */
  readonly type: "end";
}

/** The pipe failed, or a handler did, or a datagram could not be sent (told once until one can). */
export interface PipeErrorEvent {
  /** The tag. */
  readonly type: "error";
  /** What it was. */
  readonly error: unknown;
  /** Whether the pipe has ended by it; not so where a handler threw. */
  readonly fatal: boolean;
}

/** The address that the pipe uses on this machine is gone. */
export interface PipeAddressLostEvent {
  /** The tag. */
  readonly type: "addresslost";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** The address. */
  readonly address: string;
}

/** Heard of the other end, for the first time or after silence; or not heard of it for too long. */
export interface PipeProofEvent {
  /** Which of the two. */
  readonly type: "proven" | "suspect";
}

/** The events of the network that concern a pipe's own path. */
export type PipeNetworkEvent = EventOf<
  NetworkViewEvent,
  "offline" | "online" | "gatewaychange" | "defaultinterfacechange" | "addresschange" | "wake"
>;

/** Everything that happens on a pipe, but for its messages. */
export type PipeEvent =
  | PipeUpEvent
  | PipeEndEvent
  | PipeErrorEvent
  | PipeAddressLostEvent
  | PipeProofEvent
  | PipeSessionEvent
  | PipeNetworkEvent;

/** The names of what {@linkcode Pipe.on} tells of. */
export type PipeEventType = "message" | PipeEvent["type"];

/** The event of a name. */
export type PipeEventOf<T extends PipeEventType> = T extends PipeEvent["type"] ? EventOf<PipeEvent, T>
  : PipeMessageEvent;

/** Some messages of a pipe. */
export interface Subscription extends AsyncIterable<Packet>, Disposable {
  /** How many messages it was given. */
  readonly matched: number;
}

/**
 * What all pipes are.
 *
 * There is one reader at a time: `readable`, {@linkcode PipeBase.recv}, {@linkcode PipeBase.messages}, subscriptions and
 * the handlers of `message` exclude each other, as the readers of a locked stream do.
 */
export interface PipeBase<T extends Transport, A extends PipeAddress> extends AsyncDisposable {
  /** What carries it. */
  readonly transport: T;
  /** Our end. */
  readonly localAddress: A;
  /** The other end. */
  readonly remoteAddress: A;
  /** What it is now. */
  readonly state: PipeState;
  /** Whether a session lies below it that outlives the connection. */
  readonly resumable: boolean;
  /** Whether the other end was heard of since the pipe was connected, and lately where a heartbeat looks after it. */
  readonly proven: boolean;
  /** What was counted. */
  readonly stats: PipeStats;
  /** How many bytes were given to `send()` and not taken by the system yet. */
  readonly bufferedAmount: number;
  /** Resolves when the pipe has ended without a loss; rejects with the {@linkcode PipeError} that ended it. */
  readonly closed: Promise<void>;
  /** What is received, with backpressure; one chunk per message where there are messages. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** What is to be sent, with backpressure; closing it closes our direction only. */
  readonly writable: WritableStream<PipeData>;
  /**
   * Sends a message.
   *
   * @param data Bytes, or text as UTF-8.
   * @param options What calls it off.
   * @returns Resolves when there is room for more.
   * @throws {PipeError} When the pipe has ended, or our direction was closed.
   */
  send(data: PipeData, options?: SendOptions): Promise<void>;
  /**
   * Receives a message.
   *
   * @param options What calls it off.
   * @returns The message, or `null` when the other end has closed its direction: no more will come.
   * @throws {PipeError} With code `"timeout"`, or what ended the pipe. {@linkcode TypeError} where somebody else reads.
   */
  recv(options?: RecvOptions): Promise<Uint8Array<ArrayBuffer> | null>;
  /** The messages, until the other end closes its direction. */
  readonly messages: AsyncIterable<Uint8Array<ArrayBuffer>>;
  /**
   * Takes some of the messages. With several subscriptions each gets what it asks for; what nobody asks for is counted.
   *
   * @param filter Which ones; all without it.
   * @returns Them, in order.
   */
  subscribe(filter?: PipeFilter): Subscription;
  /**
   * Calls a handler. Those of `message` are called in order and one at a time: the next message waits until the promise
   * of the handler is settled. A handler that throws harms nobody else, and is told as an `error` that is not fatal.
   *
   * @param type What to tell.
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  on<K extends PipeEventType>(type: K, handler: (event: PipeEventOf<K>) => unknown): Disposable;
  /** Resolves when everything that was sent was taken by the system. */
  flush(): Promise<void>;
  /** Closes our direction, after what was sent; the other end can go on. Where the transport has no such thing, closes. */
  closeWrite(): Promise<void>;
  /** Closes the pipe after what was sent; safe twice. The address is free again afterwards. */
  close(): Promise<void>;
  /**
   * Ends the pipe at once: what was not sent is lost, and the other end gets a reset where the transport has one.
   *
   * @param reason What those who wait on the pipe get.
   */
  abort(reason?: unknown): void;
  /**
   * Gives the connection away: the pipe is over, and the connection lives on.
   *
   * @returns The connection and the bytes that were read from it already.
   * @throws {TypeError} Where the transport has nothing to give away, or something is on its way.
   */
  detach(): Promise<Detached>;
}

/** What {@linkcode PipeBase.detach} gives away. */
export interface Detached {
  /** The connection, whose owner is the caller now. */
  readonly connection: unknown;
  /** What was read from it and not handed to anybody. */
  readonly unread: Uint8Array<ArrayBuffer>;
}

/** A pipe over TCP. */
export interface TcpPipe extends PipeBase<"tcp", HostAddress> {}
/** A pipe over TLS. */
export interface TlsPipe extends PipeBase<"tls", HostAddress> {
  /** The protocol that both ends agreed on by ALPN, or `null`. */
  readonly alpn: string | null;
}
/** A pipe over UDP: each message is a datagram. */
export interface UdpPipe extends PipeBase<"udp", HostAddress> {}
/** A pipe over a Unix socket. */
export interface UnixPipe extends PipeBase<"unix", UnixAddress> {}
/** A pipe over WebSocket: each message is one of its messages. */
export interface WebSocketPipe extends PipeBase<"ws" | "wss", HostAddress> {
  /** The subprotocol that both ends agreed on, or `null`. */
  readonly protocol: string | null;
}
/** A pipe within the process. */
export interface MemoryPipe extends PipeBase<"memory", MemoryAddress> {}
/** A pipe over the standard input and output of a command. */
export interface ExecPipe extends PipeBase<"exec", ExecAddress> {}

/** A pipe; `transport` tells which. */
export type Pipe = TcpPipe | TlsPipe | UdpPipe | UnixPipe | WebSocketPipe | MemoryPipe | ExecPipe;

/** The kind of pipe that a URL gives. */
export type PipeOf<U extends string | URL> = U extends `resume+${string}` ? SessionPipe
  : U extends `tcp:${string}` ? TcpPipe
  : U extends `tls:${string}` ? TlsPipe
  : U extends `udp:${string}` ? UdpPipe
  : U extends `unix:${string}` ? UnixPipe
  : U extends `ws:${string}` | `wss:${string}` ? WebSocketPipe
  : U extends `memory:${string}` ? MemoryPipe
  : U extends `exec:${string}` ? ExecPipe
  : Pipe;

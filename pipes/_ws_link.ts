/** A link over a WebSocket of `npm:ws`, or of what has the same methods. */

import { type Clock, systemClock } from "../internal/clock.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { type Heartbeat, heartbeat } from "../recover/heartbeat.ts";
import type { HostAddress } from "./address.ts";
import type { Link } from "./_link.ts";
import { MessageQueue } from "./_message_queue.ts";
import { PipeError } from "./pipe_error.ts";
import { isCleanClose, WebSocketCloseError } from "./web_socket_close_error.ts";
import type { CheckedWebSocketOptions } from "./web_socket_options.ts";

/** The methods of a WebSocket of `npm:ws` that a pipe uses. */
export interface NodeWebSocket {
  /** The subprotocol that was agreed on. */
  readonly protocol: string;
  /** As the standard has it: 0 connecting, 1 open, 2 closing, 3 closed. */
  readonly readyState: number;
  /** Stops the reading of the connection. */
  pause(): void;
  /** Goes on with it. */
  resume(): void;
  /** Asks the other end for a `pong`. */
  ping(): void;
  /** Sends a message, and says when the system took it. */
  send(data: Uint8Array, options: { binary: boolean }, done: (error?: Error | null) => void): void;
  /** Says goodbye, and waits for the other end's. */
  close(code?: number): void;
  /** Cuts the connection. */
  terminate(): void;
  /** Calls a handler for each event. */
  on(event: "pong" | "open", handler: () => void): unknown;
  /** Calls a handler for each message. */
  on(event: "message", handler: (data: Uint8Array, isBinary: boolean) => void): unknown;
  /** Calls a handler for each error. */
  on(event: "error", handler: (error: Error) => void): unknown;
  /** Calls a handler for the end. */
  on(event: "close", handler: (code: number, reason: Uint8Array) => void): unknown;
}

/** What is known of a WebSocket besides. */
export interface WsLinkOptions extends CheckedWebSocketOptions {
  /** Our end. */
  readonly localAddress: HostAddress;
  /** The other end. */
  readonly remoteAddress: HostAddress;
  /** Opens the WebSocket, where it is given later; called once. */
  readonly open?: () => Promise<NodeWebSocket>;
  /** Gives up opening it. */
  readonly giveUp?: () => void;
  /** What went wrong with the connection below, which the WebSocket keeps to itself. */
  readonly cause?: () => unknown;
  /** The network: its changes make the heartbeat ask at once. */
  readonly network?: NetworkView | undefined;
  /** Source of time. */
  readonly clock?: Clock | undefined;
}

/** A link over a WebSocket; it is of use once it has one. */
export class WsLink implements Link {
  readonly transport: "ws" | "wss";
  readonly unit = "message";
  readonly halfClose = false;
  readonly localAddress: HostAddress;
  readonly remoteAddress: HostAddress;
  onProof: ((proven: boolean) => void) | undefined;
  onLoss: ((error: unknown) => void) | undefined;
  readonly #options: WsLinkOptions;
  readonly #clock: Clock;
  readonly #queue: MessageQueue = new MessageQueue(() => this.#onRead());
  readonly #closed = Promise.withResolvers<void>();
  readonly #pongs = new Set<() => void>();
  #socket: NodeWebSocket | undefined;
  #beat: Heartbeat | undefined;
  #paused = false;
  /** Whether it is us who end it: what comes from then on is nobody's any more. */
  #over = false;
  /** Why it is lost, as far as that is known before the end. */
  #loss: unknown;

  /**
   * @param options What is known of the WebSocket.
   */
  constructor(options: WsLinkOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.localAddress = options.localAddress;
    this.remoteAddress = options.remoteAddress;
    this.transport = options.remoteAddress.transport === "wss" ? "wss" : "ws";
  }

  async ready(): Promise<void> {
    const { open } = this.#options;
    if (open) this.attach(await open());
  }

  /**
   * Takes a WebSocket that is open, and has told of no message yet.
   *
   * @param socket The WebSocket.
   */
  attach(socket: NodeWebSocket): void {
    this.#socket = socket;
    socket.on("message", (data) => this.#onMessage(data));
    socket.on("pong", () => {
      for (const pong of [...this.#pongs]) pong();
    });
    socket.on("error", (error) => this.#loss ??= violationOf(error));
    socket.on("close", (code, reason) => this.#onClose(code, new TextDecoder().decode(reason)));
    if (socket.readyState > 1) this.#onClose(1006, "");
    else if (this.#over) socket.terminate();
    else if (this.#options.heartbeat) this.#watch(this.#options.heartbeat);
  }

  get extra(): { readonly protocol: string | null } {
    return { protocol: this.#socket?.protocol || null };
  }

  get roundTrip(): number | null {
    return this.#beat?.rtt ?? null;
  }

  read(): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.#queue.read();
  }

  async write(data: Uint8Array, text = false): Promise<void> {
    const binary = !text || this.#options.binary;
    const error = await new Promise<Error | null | undefined>((resolve) => {
      this.#socketNow.send(data, { binary }, resolve);
    });
    if (!error) return;
    // Why is known when the WebSocket has ended.
    await this.#closed.promise;
    throw this.#loss ?? new Deno.errors.BrokenPipe("the WebSocket was closed");
  }

  closeWrite(): Promise<void> {
    return this.close();
  }

  async close(): Promise<void> {
    this.#leave();
    if (!this.#socket) return this.#options.giveUp?.();
    const socket = this.#socket;
    // The other end's goodbye stands behind what it sent before.
    socket.resume();
    socket.close(1000);
    const timer = this.#clock.after(this.#options.closeTimeout, () => socket.terminate(), { ref: true });
    await this.#closed.promise;
    timer.cancel();
  }

  abort(): void {
    this.#leave();
    if (this.#socket) this.#socket.terminate();
    else this.#options.giveUp?.();
  }

  get #socketNow(): NodeWebSocket {
    if (this.#socket) return this.#socket;
    throw new Deno.errors.NotConnected("the WebSocket is not open yet");
  }

  #leave(): void {
    this.#over = true;
    this.#beat?.[Symbol.dispose]();
    this.#queue.clear(new Deno.errors.Interrupted("the WebSocket was closed by us"));
  }

  #onMessage(data: Uint8Array): void {
    if (this.#over) return;
    this.#beat?.alive();
    this.#queue.push(ownBytes(data));
    if (this.#paused || this.#queue.size <= this.#options.readAhead) return;
    this.#paused = true;
    this.#socketNow.pause();
    // Whatever was asked, the answer is not seen any more.
    this.#beat?.alive();
  }

  #onRead(): void {
    if (!this.#paused || this.#queue.size > this.#options.readAhead / 2) return;
    this.#paused = false;
    this.#socketNow.resume();
  }

  #onClose(code: number, reason: string): void {
    this.#beat?.[Symbol.dispose]();
    if (!this.#loss && !isCleanClose(code, reason)) {
      this.#loss = new WebSocketCloseError(code, reason, this.#options.cause?.());
    }
    this.#queue.end(this.#loss ? { error: this.#loss } : {});
    this.#closed.resolve();
  }

  #watch(options: NonNullable<WsLinkOptions["heartbeat"]>): void {
    const { network } = this.#options;
    const ping = (signal: AbortSignal): Promise<void> => this.#ping(signal);
    const beat = heartbeat({ ...options, ping, clock: this.#clock, ...(network ? { network } : {}) });
    beat.on("pong", () => this.onProof?.(true));
    beat.on("alive", () => this.onProof?.(true));
    beat.on("suspect", () => this.onProof?.(false));
    beat.on("dead", ({ error }) => {
      this.#loss ??= error.reason === "silence"
        ? new Error("Cannot reach the other end: No response from ping frame", { cause: error })
        : error;
      const isEmpty = this.#queue.size === 0;
      this.#socketNow.terminate();
      // What came before can still be read, and then tells of the loss.
      if (isEmpty) this.onLoss?.(this.#loss);
    });
    this.#beat = beat;
    // The first answer proves that somebody is there, and tells how far away.
    beat.check();
  }

  #ping(signal: AbortSignal): Promise<void> {
    return new Promise<void>((resolve) => {
      // Nothing is read, so no answer can be seen, and none is missed.
      if (this.#paused) return queueMicrotask(() => this.#beat?.alive());
      const done = (): void => {
        this.#pongs.delete(done);
        resolve();
      };
      this.#pongs.add(done);
      signal.addEventListener("abort", () => this.#pongs.delete(done), { once: true });
      this.#socketNow.ping();
    });
  }
}

/** The bytes of a message without what else lies in the same memory. */
function ownBytes(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = data;
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength
    ? new Uint8Array(buffer)
    : new Uint8Array(data);
}

/** What the library found wrong with what the other end sent. */
function violationOf(error: Error): unknown {
  const { code } = error as { readonly code?: unknown };
  if (typeof code !== "string" || !code.startsWith("WS_ERR_")) return undefined;
  return new PipeError(`Cannot receive: ${error.message} (WebSocket)`, {
    code: "protocol",
    operation: "receive",
    cause: error,
  });
}

/** A link over a WebSocket of the runtime, which cannot be held back. */

import { type Clock, systemClock } from "../internal/clock.ts";
import type { HostAddress } from "./address.ts";
import type { Link } from "./_link.ts";
import { MessageQueue } from "./_message_queue.ts";
import { PipeError } from "./pipe_error.ts";
import { isCleanClose, WebSocketCloseError } from "./web_socket_close_error.ts";

/** What is known of a WebSocket besides. */
export interface WebSocketLinkOptions {
  /** Our end. */
  readonly localAddress: HostAddress;
  /** The other end. */
  readonly remoteAddress: HostAddress;
  /** The subprotocol, where the WebSocket does not tell it itself. */
  readonly protocol?: string | undefined;
  /** How many bytes may wait for a reader. */
  readonly maxUnread: number;
  /** Whether text is sent as binary messages. */
  readonly binary: boolean;
  /** How many milliseconds closing waits for the other end's goodbye. */
  readonly closeTimeout: number;
  /** Source of time. */
  readonly clock?: Clock | undefined;
}

/** Codes of our own (RFC 6455 section 7.4.2); the runtime lets nobody send those of the standard but 1000. */
const [ABORTED, TOO_MUCH] = [4000, 4009];

/** How much the runtime may have taken and not sent yet when a write is done. */
const SENDING = 64 * 1024;

/** How long to wait before looking again how much it is, in milliseconds: nothing tells. */
const [SOON, LATER] = [1, 16];

/** A link over a WebSocket of the runtime. */
export class WebSocketLink implements Link {
  readonly transport: "ws" | "wss";
  readonly unit = "message";
  readonly halfClose = false;
  readonly localAddress: HostAddress;
  readonly remoteAddress: HostAddress;
  readonly #socket: WebSocket;
  readonly #options: WebSocketLinkOptions;
  readonly #clock: Clock;
  readonly #queue = new MessageQueue();
  readonly #opened = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  #over = false;
  /** What we have said goodbye with. */
  #code: number | undefined;
  #trouble: unknown;
  #loss: unknown;

  /**
   * @param socket The WebSocket, before its first message came.
   * @param options What is known of it.
   */
  constructor(socket: WebSocket, options: WebSocketLinkOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.localAddress = options.localAddress;
    this.remoteAddress = options.remoteAddress;
    this.transport = options.remoteAddress.transport === "wss" ? "wss" : "ws";
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.#onMessage(data));
    socket.addEventListener("error", (event) => {
      event.preventDefault?.();
      this.#trouble = (event as ErrorEvent).error ?? (event as ErrorEvent).message;
      // Of a request that could not be upgraded the runtime tells no close.
      if (socket.readyState === WebSocket.CONNECTING) this.#onClose(1006, "");
    });
    socket.addEventListener("close", ({ code, reason }) => this.#onClose(code, reason));
    if (socket.readyState !== WebSocket.CONNECTING) this.#opened.resolve();
    else socket.addEventListener("open", () => this.#onOpen(), { once: true });
    if (socket.readyState === WebSocket.CLOSED) this.#onClose(1006, "");
  }

  get extra(): { readonly protocol: string | null } {
    return { protocol: this.#options.protocol ?? (this.#socket.protocol || null) };
  }

  read(): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.#queue.read();
  }

  async write(data: Uint8Array, text = false): Promise<void> {
    await this.#opened.promise;
    const socket = this.#socket;
    if (socket.readyState === WebSocket.OPEN) {
      socket.send(text && !this.#options.binary ? new TextDecoder().decode(data) : new Uint8Array(data));
    }
    for (let pause = SOON; socket.readyState === WebSocket.OPEN; pause = Math.min(LATER, pause * 2)) {
      if (socket.bufferedAmount <= SENDING) return;
      await this.#pause(pause);
    }
    await this.#closed.promise;
    throw this.#loss ?? new Deno.errors.BrokenPipe("the WebSocket was closed");
  }

  closeWrite(): Promise<void> {
    return this.close();
  }

  async close(): Promise<void> {
    this.#leave(1000);
    // Closed before it is open, it would be lost and not ended.
    if (this.#socket.readyState !== WebSocket.CONNECTING) this.#socket.close(1000);
    const timer = this.#clock.after(this.#options.closeTimeout, () => this.#giveUp(), { ref: true });
    await this.#closed.promise;
    timer.cancel();
  }

  abort(): void {
    this.#leave(ABORTED);
    this.#socket.close(ABORTED);
  }

  #giveUp(): void {
    this.#socket.close(ABORTED);
    this.#closed.resolve();
  }

  #leave(code: number): void {
    this.#over = true;
    this.#code ??= code;
    this.#queue.clear(new Deno.errors.Interrupted("the WebSocket was closed by us"));
  }

  #onOpen(): void {
    this.#opened.resolve();
    // A request that is being upgraded is opened all the same.
    if (this.#code !== undefined) this.#socket.close(this.#code);
  }

  #onMessage(data: unknown): void {
    if (this.#over) return;
    this.#queue.push(
      typeof data === "string" ? new TextEncoder().encode(data) : new Uint8Array(data as ArrayBuffer),
    );
    const { maxUnread } = this.#options;
    if (this.#queue.size <= maxUnread) return;
    this.#over = true;
    const why =
      `more than ${maxUnread} bytes wait, and this kind of WebSocket cannot hold the other end back`;
    this.#loss = new PipeError(`Cannot receive: ${why}`, { code: "queue-full", operation: "receive" });
    this.#queue.end({ error: this.#loss });
    this.#socket.close(TOO_MUCH);
  }

  #onClose(code: number, reason: string): void {
    if (!isCleanClose(code, reason)) this.#loss ??= new WebSocketCloseError(code, reason, this.#trouble);
    this.#queue.end(this.#loss ? { error: this.#loss } : {});
    this.#opened.resolve();
    this.#closed.resolve();
  }

  async #pause(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#clock.after(milliseconds, resolve, { ref: true });
    await Promise.race([promise, this.#closed.promise]);
    timer.cancel();
  }
}

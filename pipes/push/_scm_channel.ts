/** One Unix socket between two processes that carries descriptors: what is queued to be sent, and what has arrived. */

import { systemClock, type Timer } from "../../internal/clock.ts";
import { POLLIN, POLLOUT, whenReady } from "../../internal/ffi/descriptor_poll.ts";
import type { SocketCalls } from "../../internal/ffi/socket_calls.ts";
import {
  EAGAIN,
  type ReceivedMessage,
  receiveMessage,
  sendMessage,
} from "../../internal/ffi/socket_messages.ts";

/** asm-generic/errno.h: too many descriptors are on their way already. */
const ETOOMANYREFS = 109;
const SHUT_RDWR = 2;

/** After how many milliseconds sending is tried again then, for which there is no event. */
const PAUSE = 2;

/** How many messages are taken in before others get their turn. */
const TURN = 64;

/** What a channel tells. */
export interface ScmChannelEvents {
  /** Something arrived; the descriptors belong to whoever is told. */
  readonly received: (message: ReceivedMessage) => void;
  /** The other end is gone, or the socket failed (`errno`, 0 for a regular end); told once, and not after closing. */
  readonly ended: (errno: number) => void;
}

/** What waits to be sent. */
interface Outgoing {
  data: Uint8Array;
  /** What goes along with the first byte; must stay open until then. */
  descriptors: readonly number[];
}

/** The socket. It reads only while it is told to, and keeps the process alive only while it reads or has something to send. */
export class ScmChannel {
  readonly #calls: SocketCalls;
  readonly #fd: number;
  readonly #events: ScmChannelEvents;
  readonly #outgoing: Outgoing[] = [];
  #reading = false;
  #poll: { readonly wait: Disposable; readonly events: number } | undefined;
  #pause: Timer | undefined;
  #closed = false;

  /**
   * Takes a connected socket, which it owns.
   *
   * @param calls The C library, held by whoever made the channel until it is closed.
   * @param fd The socket.
   * @param events What is told.
   */
  constructor(calls: SocketCalls, fd: number, events: ScmChannelEvents) {
    this.#calls = calls;
    this.#fd = fd;
    this.#events = events;
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Reads, or leaves what arrives where it is. */
  set reading(on: boolean) {
    this.#reading = on;
    this.#watch();
  }

  /**
   * Sends, at once or when there is room.
   *
   * @param data What to send.
   * @param descriptors What goes along.
   * @returns Whether all of it went at once.
   */
  send(data: Uint8Array, descriptors: readonly number[] = []): boolean {
    if (this.#closed) return false;
    this.#outgoing.push({ data, descriptors });
    if (this.#outgoing.length === 1) this.#flush();
    return this.#outgoing.length === 0 && !this.#closed;
  }

  /** Whether the descriptors of a message that was not sent at once are still needed. */
  holds(descriptor: number): boolean {
    return this.#outgoing.some(({ descriptors }) => descriptors.includes(descriptor));
  }

  /**
   * Sends at once, or not at all.
   *
   * @returns Whether it went.
   */
  sendNow(data: Uint8Array): boolean {
    return !this.#closed && this.#outgoing.length === 0 &&
      sendMessage(this.#calls, this.#fd, data) === data.length;
  }

  /**
   * Ends both directions: from then on the other end can send nothing more, and what it has sent before is told by the time
   * this returns.
   */
  cut(): void {
    if (this.#closed) return;
    this.#calls.call.shutdown(this.#fd, SHUT_RDWR);
    this.#drain(Infinity);
  }

  /** Closes it; safe twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pause?.cancel();
    this.#outgoing.length = 0;
    this.#watch();
    this.#calls.call.close(this.#fd);
  }

  #flush(): void {
    for (let first = this.#outgoing[0]; first; first = this.#outgoing[0]) {
      const sent = sendMessage(this.#calls, this.#fd, first.data, first.descriptors);
      if (sent === -EAGAIN) break;
      if (sent === -ETOOMANYREFS) {
        this.#pause = systemClock.after(PAUSE, () => {
          this.#pause = undefined;
          this.#flush();
        }, { ref: true });
        break;
      }
      if (sent < 0) return this.#end(-sent);
      first.descriptors = [];
      first.data = first.data.subarray(sent);
      if (first.data.length === 0) this.#outgoing.shift();
    }
    this.#watch();
  }

  /** Receives what is there. */
  #drain(most: number): void {
    for (let count = 0; count < most && !this.#closed; count++) {
      const message = receiveMessage(this.#calls, this.#fd);
      if (message === -EAGAIN) return;
      if (typeof message === "number") return this.#end(-message);
      if (message.data.length === 0 && message.descriptors.length === 0) return this.#end(0);
      this.#events.received(message);
      if (!this.#reading && most !== Infinity) return;
    }
  }

  #end(errno: number): void {
    if (this.#closed) return;
    // What has arrived before the end counts, an answer for example.
    if (errno !== 0) this.#readOut();
    if (this.#closed) return;
    this.close();
    this.#events.ended(errno);
  }

  #readOut(): void {
    for (;;) {
      const message = receiveMessage(this.#calls, this.#fd);
      if (typeof message === "number" || message.data.length === 0) return;
      this.#events.received(message);
      if (this.#closed) return;
    }
  }

  #watch(): void {
    const events = this.#closed
      ? 0
      : (this.#reading ? POLLIN : 0) | (this.#outgoing.length > 0 && !this.#pause ? POLLOUT : 0);
    if (this.#poll?.events === events) return;
    this.#poll?.wait[Symbol.dispose]();
    this.#poll = undefined;
    if (events === 0) return;
    const wait = whenReady(this.#fd, events, () => {
      this.#poll = undefined;
      if (this.#outgoing.length > 0 && !this.#pause) this.#flush();
      if (this.#reading && !this.#closed) this.#drain(TURN);
      this.#watch();
    });
    this.#poll = { wait, events };
  }
}

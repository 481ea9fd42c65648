/** What is to be said on one carrier besides the stream itself: small frames, each as short-lived as the carrier. */

import type { Chunk } from "./_chunks.ts";
import { encodeFrame, FRAME, FrameDecoder } from "./_frames.ts";

/** What the small frames say. */
export interface LineNews {
  /** Gives the position that is acknowledged. */
  readonly consumed: () => number;
  /** Gives the payload of ADDR. */
  readonly addresses: () => Uint8Array | undefined;
  /** Gives the number of a question that leaves now. */
  readonly number: () => number;
}

/** One carrier of a session, as the core sees it. */
export class Line {
  /** Takes its bytes apart. */
  readonly decoder: FrameDecoder = new FrameDecoder();
  /** Whether who writes was told that there is nothing. */
  idle = false;
  /** Whether there are small frames to be sent. It begins with an ACK. */
  urgent = true;
  /** Whether the end of the stream is to be sent, after all of it. */
  fin = false;
  /** What is being written, if it is part of the stream. */
  chunk: Chunk | undefined;
  /** The position of the ACK that was given last. */
  acking = 0;
  #ack = true;
  #ping = false;
  #pong: number | undefined;
  #addresses = false;

  /** An ACK is to be sent. */
  ack(): void {
    this.#ack = this.urgent = true;
  }

  /** A question is to be sent; says whether it was not yet. */
  ping(): boolean {
    const isNew = !this.#ping;
    this.#ping = this.urgent = true;
    return isNew;
  }

  /** A question is to be answered; of several that wait the last one is. */
  pong(number: number): void {
    this.#pong = number;
    this.urgent = true;
  }

  /** The list of addresses is to be sent. */
  addresses(): void {
    this.#addresses = this.urgent = true;
  }

  /** Gives all small frames that are to be sent. */
  take({ consumed, addresses, number }: LineNews): Uint8Array<ArrayBuffer> {
    const frames: Uint8Array<ArrayBuffer>[] = [];
    this.urgent = false;
    if (this.#ack || this.#pong !== undefined) {
      this.acking = consumed();
      frames.push(encodeFrame(FRAME.ack, this.acking));
    }
    if (this.#pong !== undefined) frames.push(encodeFrame(FRAME.pong, this.#pong));
    if (this.#ping) frames.push(encodeFrame(FRAME.ping, number()));
    if (this.#addresses) frames.push(encodeFrame(FRAME.addr, 0, addresses()));
    this.#ack = this.#ping = this.#addresses = false;
    this.#pong = undefined;
    return joined(frames);
  }
}

function joined(frames: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const [first] = frames;
  if (frames.length === 1 && first) return first;
  const bytes = new Uint8Array(frames.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const frame of frames) {
    bytes.set(frame, at);
    at += frame.length;
  }
  return bytes;
}

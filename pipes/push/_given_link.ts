/** A link whose first bytes were read by somebody else, and came along. */

import type { Socket } from "node:net";
import type { PipeAddress, Transport } from "../address.ts";
import type { Link } from "../_link.ts";

/**
 * Puts bytes before what a link reads.
 *
 * @param link The link, which it owns.
 * @param prefix The bytes.
 * @param socket The socket of Node's part below it, if there is one: it is what is given away, with what it has read ahead.
 */
export function givenLink(link: Link, prefix: Uint8Array, socket?: Socket): Link {
  return new GivenLink(link, prefix, socket);
}

class GivenLink implements Link {
  readonly transport: Transport;
  readonly unit = "bytes";
  readonly halfClose: boolean;
  readonly localAddress: PipeAddress;
  readonly remoteAddress: PipeAddress;
  readonly #link: Link;
  readonly #socket: Socket | undefined;
  #unread: Uint8Array<ArrayBuffer>;

  constructor(link: Link, prefix: Uint8Array, socket: Socket | undefined) {
    this.#link = link;
    this.#socket = socket;
    this.#unread = new Uint8Array(prefix);
    this.transport = link.transport;
    this.halfClose = link.halfClose;
    this.localAddress = link.localAddress;
    this.remoteAddress = link.remoteAddress;
  }

  get unread(): Uint8Array<ArrayBuffer> {
    return this.#unread;
  }

  read(buffer: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer> | null> {
    if (this.#unread.length === 0) return this.#link.read(buffer);
    const part = this.#unread.subarray(0, buffer.length);
    buffer.set(part);
    this.#unread = this.#unread.subarray(part.length);
    return Promise.resolve(buffer.subarray(0, part.length));
  }

  write(data: Uint8Array, text?: boolean): Promise<void | false> {
    return this.#link.write(data, text);
  }

  closeWrite(): Promise<void> {
    return this.#link.closeWrite();
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  abort(): void {
    this.#link.abort();
  }

  detach(): unknown {
    const socket = this.#socket;
    if (!socket) return this.#link.detach?.();
    if (socket.destroyed) return undefined;
    for (const event of ["readable", "end", "close"]) socket.removeAllListeners(event);
    const ahead: Uint8Array | null = socket.read();
    if (ahead) this.#unread = joined(this.#unread, ahead);
    return socket;
  }
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(one.length + other.length);
  bytes.set(one);
  bytes.set(other, one.length);
  return bytes;
}

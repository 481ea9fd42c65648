/** Links over Node's sockets: where the runtime's own cannot do what is asked for. */

import type { Socket } from "node:net";
import type { PipeAddress, Transport } from "./address.ts";
import type { Link } from "./_link.ts";
import type { TlsBelow } from "./_tls_below.ts";

/** What is known of a socket. */
export interface NodeLinkOptions {
  /** What it is. */
  readonly transport: Transport;
  /** Our end. */
  readonly localAddress: PipeAddress;
  /** The other end. */
  readonly remoteAddress: PipeAddress;
  /** What lies below, which is ended with it. */
  readonly below?: TlsBelow;
  /** What the application should see of it besides. */
  readonly extra?: () => Readonly<Record<string, unknown>>;
}

/** Makes a link of a socket, which must allow one direction to be open alone. */
export function nodeLink(socket: Socket, options: NodeLinkOptions): Link {
  return new NodeLink(socket, options);
}

class NodeLink implements Link {
  readonly transport: Transport;
  readonly unit = "bytes";
  readonly halfClose = true;
  readonly localAddress: PipeAddress;
  readonly remoteAddress: PipeAddress;
  readonly #socket: Socket;
  readonly #options: NodeLinkOptions;
  #error: { readonly error: unknown } | undefined;
  #ended = false;
  #gone = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket, options: NodeLinkOptions) {
    this.transport = options.transport;
    this.localAddress = options.localAddress;
    this.remoteAddress = options.remoteAddress;
    this.#socket = socket;
    this.#options = options;
    const wake = (): void => this.#wake?.();
    socket.on("readable", wake);
    socket.on("end", () => {
      this.#ended = true;
      wake();
    });
    socket.on("error", (error) => {
      this.#error ??= { error };
      wake();
    });
    socket.on("close", wake);
    options.below?.stream.on("end", wake);
  }

  get extra(): Readonly<Record<string, unknown>> {
    return this.#options.extra?.() ?? {};
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    for (let starving = false;;) {
      const chunk: Uint8Array<ArrayBuffer> | null = this.#gone ? null : this.#socket.read();
      // Not a Buffer, whose slices share what they are cut from.
      if (chunk) this.#options.below?.wasRead();
      if (chunk) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
      if (this.#error) throw this.#error.error;
      if (this.#ended) return null;
      if (this.#gone || this.#socket.destroyed) throw closed();
      // The runtime's TLS (2.9.6) may forget to tell of an end that comes while it is read.
      if (starving) return null;
      starving = this.#options.below?.ended === true;
      if (starving) await new Promise<void>((resolve) => setTimeout(resolve, 0));
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  write(data: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      // Without a promise nobody would be told where the socket is destroyed while it writes.
      this.#socket.write(data, (error) => error ? reject(error) : resolve());
    });
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.end((error?: Error | null) => error ? reject(error) : resolve());
    });
  }

  async close(): Promise<void> {
    if (this.#gone) return;
    const socket = this.#socket;
    if (!socket.destroyed && !socket.writableEnded) await this.closeWrite().catch(() => {}); // broken already
    this.#gone = true;
    const over = new Promise<void>((resolve) => socket.closed ? resolve() : socket.once("close", resolve));
    await this.#options.below?.end();
    if (!socket.destroyed) socket.destroy();
    await over;
    this.#wake?.();
  }

  abort(): void {
    if (this.#gone) return;
    this.#gone = true;
    const { below } = this.#options;
    below?.abort();
    // What is below has reset itself.
    if (below) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
    this.#wake?.();
  }
}

function closed(): Error {
  return Object.assign(new Error("Cannot read: the connection was closed"), { code: "ECONNABORTED" });
}

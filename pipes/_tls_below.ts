/** What lies below Node's TLS: a link as a stream, with what the runtime's TLS over streams (2.9.6) leaves out. */

import type { Duplex, Readable } from "node:stream";
import type { Link } from "./_link.ts";
import { linkStream } from "./_link_stream.ts";

/** How much may have been decrypted and not read before no more is let in. */
const ROOM = 64 * 1024;

/** A link as TLS takes it. */
export class TlsBelow {
  /** The link. */
  readonly link: Link;
  /** The link as a stream. */
  readonly stream: Duplex;
  /** Whether nothing more comes in. */
  ended = false;
  readonly #destroy: () => void;
  #above: Readable | undefined;
  #room: (() => void) | undefined;
  #hurry: (() => void) | undefined;
  #ending: Promise<void> | undefined;

  constructor(link: Link) {
    this.link = link;
    // TLS takes whatever it is given, whether anybody reads from it or not.
    const gated: Link = Object.assign(Object.create(link) as Link, {
      read: async (buffer: Uint8Array<ArrayBuffer>) => {
        while (this.#isFull) await new Promise<void>((resolve) => this.#room = resolve);
        return await link.read(buffer);
      },
      write: (data: Uint8Array) => link.write(data),
      closeWrite: () => link.closeWrite(),
      close: () => link.close(),
      abort: () => link.abort(),
    });
    this.stream = linkStream(gated);
    this.stream.on("error", () => {}); // TLS tells of it
    this.stream.on("end", () => this.ended = true);
    const destroy = this.stream.destroy.bind(this.stream);
    this.#destroy = () => void destroy();
    this.stream.destroy = (error?: Error) => {
      if (error) destroy(error);
      else void this.end();
      return this.stream;
    };
  }

  /** Says what decrypts it. */
  attach(above: Readable): void {
    this.#above = above;
  }

  /** Says that something was read, so that more may come in. */
  wasRead(): void {
    if (this.#isFull) return;
    this.#room?.();
    this.#room = undefined;
  }

  /** Ends it regularly: TLS writes its own end one turn after it has destroyed what is below. */
  end(): Promise<void> {
    return this.#ending ??= (async () => {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 0);
        this.#hurry = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      await this.link.close().catch(() => {}); // broken already
      this.abort();
    })();
  }

  /** Ends it at once. */
  abort(): void {
    this.#ending ??= Promise.resolve();
    this.link.abort();
    this.#hurry?.();
    this.#above = undefined;
    this.wasRead();
    this.#destroy();
  }

  get #isFull(): boolean {
    return (this.#above?.readableLength ?? 0) >= ROOM;
  }
}

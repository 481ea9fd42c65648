/** Links within the process: what one end writes the other reads, with as much in between as a socket would hold. */

import type { MemoryAddress } from "./address.ts";
import type { Link } from "./_link.ts";

/** How many bytes one direction holds before a write waits. */
const HOLD = 64 * 1024;

/** One direction. */
class Lane {
  readonly #chunks: Uint8Array<ArrayBuffer>[] = [];
  #held = 0;
  #ended = false;
  #error: { readonly error: unknown } | undefined;
  #reader: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | undefined;
  #writer: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | undefined;

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    while (true) {
      const chunk = this.#chunks.shift();
      if (chunk) {
        this.#held -= chunk.length;
        if (this.#held < HOLD) this.#writer?.resolve();
        return chunk;
      }
      if (this.#error) throw this.#error.error;
      if (this.#ended) return null;
      await new Promise<void>((resolve, reject) => this.#reader = { resolve, reject });
    }
  }

  async write(data: Uint8Array): Promise<void> {
    if (this.#error) throw this.#error.error;
    if (this.#ended) throw new Deno.errors.BrokenPipe("the other end has closed the connection");
    this.#chunks.push(data.slice());
    this.#held += data.length;
    this.#reader?.resolve();
    if (this.#held >= HOLD) await new Promise<void>((resolve, reject) => this.#writer = { resolve, reject });
  }

  end(): void {
    this.#ended = true;
    this.#reader?.resolve();
  }

  fail(error: unknown): void {
    this.#error ??= { error };
    this.#chunks.length = 0;
    this.#reader?.reject(error);
    this.#writer?.reject(error);
  }
}

class MemoryLink implements Link {
  readonly transport = "memory";
  readonly unit = "bytes";
  readonly halfClose = true;
  readonly localAddress: MemoryAddress;
  readonly remoteAddress: MemoryAddress;
  readonly #in: Lane;
  readonly #out: Lane;

  constructor(local: string, remote: string, incoming: Lane, outgoing: Lane) {
    this.localAddress = { transport: "memory", name: local };
    this.remoteAddress = { transport: "memory", name: remote };
    this.#in = incoming;
    this.#out = outgoing;
  }

  read(): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.#in.read();
  }

  write(data: Uint8Array): Promise<void> {
    return this.#out.write(data);
  }

  closeWrite(): Promise<void> {
    this.#out.end();
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#out.end();
    this.#in.fail(new Deno.errors.Interrupted("the connection was closed"));
    return Promise.resolve();
  }

  abort(): void {
    this.#out.fail(new Deno.errors.ConnectionReset("Connection reset by peer"));
    this.#in.fail(new Deno.errors.Interrupted("the connection was closed"));
  }
}

/**
 * Makes two links that are each other's end.
 *
 * @param name The name that the second one has.
 */
export function memoryLinks(name: string): readonly [Link, Link] {
  const [there, back] = [new Lane(), new Lane()];
  return [new MemoryLink("", name, back, there), new MemoryLink(name, "", there, back)];
}

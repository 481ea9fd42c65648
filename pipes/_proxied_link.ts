/** A link that leads through a proxy: to its users it is one to the target. */

import type { HostAddress, PipeAddress } from "./address.ts";
import type { Link } from "./_link.ts";

/** What goes on where the talk with the proxy has ended. */
export class ProxiedLink implements Link {
  readonly transport: "tcp" | "tls";
  readonly unit = "bytes";
  readonly halfClose: boolean;
  readonly localAddress: PipeAddress;
  readonly remoteAddress: HostAddress;
  readonly #link: Link;
  /** What came behind the answer of the proxy, and was not read yet. */
  #first: Uint8Array | undefined;

  /**
   * @param link The connection to the proxy, or what is on top of it; it belongs to this one now.
   * @param target Where it leads.
   * @param first What came already.
   */
  constructor(
    link: Link,
    target: HostAddress & { readonly transport: "tcp" | "tls" },
    first: Uint8Array = new Uint8Array(),
  ) {
    const { localAddress } = link;
    this.#link = link;
    this.#first = first.length > 0 ? first : undefined;
    this.transport = target.transport;
    this.halfClose = link.halfClose;
    this.localAddress = "hostname" in localAddress
      ? { ...localAddress, transport: target.transport }
      : localAddress;
    this.remoteAddress = target;
  }

  get extra(): Readonly<Record<string, unknown>> {
    return this.transport === this.#link.transport ? this.#link.extra ?? {} : {};
  }

  read(buffer: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer> | null> {
    const first = this.#first;
    if (!first) return this.#link.read(buffer);
    const part = first.subarray(0, buffer.length);
    this.#first = part.length < first.length ? first.subarray(part.length) : undefined;
    buffer.set(part);
    return Promise.resolve(buffer.subarray(0, part.length));
  }

  write(data: Uint8Array): Promise<void | false> {
    return this.#link.write(data);
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

  /** Gives the connection below away, unless the tunnel is only a part of it, or something of that is here. */
  detach(): unknown {
    return this.#first || this.transport !== this.#link.transport ? undefined : this.#link.detach?.();
  }
}

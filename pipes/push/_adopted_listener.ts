/** A listener made of a descriptor. */

import type { Server } from "node:net";
import type { HostAddress, UnixAddress } from "../address.ts";
import type { ListenOptions } from "../listen.ts";
import type { TcpPipe, UnixPipe } from "../pipe.ts";
import { PipeListener } from "../_pipe_listener.ts";
import type { PipeServer } from "../server.ts";
import type { SocketKind } from "./_adopt.ts";
import { closeDescriptor } from "./_adopt.ts";
import { acceptDescriptors } from "./_accept.ts";
import { tryCalls } from "./_descriptor_calls.ts";

/**
 * A listener that was made of a descriptor, and is not in use yet: it becomes a server of pipes, or whatever takes a descriptor
 * to listen on, as the servers of `node:net` and `node:http` do.
 */
export class AdoptedListener {
  /** The tag. */
  readonly kind = "listener";
  /** What it is. */
  readonly transport: "tcp" | "unix";
  /** Where it listens. */
  readonly localAddress: HostAddress | UnixAddress;
  #fd: number | undefined;

  /**
   * Takes a descriptor.
   *
   * @param fd The descriptor.
   * @param found What is known of it.
   */
  constructor(fd: number, found: SocketKind) {
    this.#fd = fd;
    this.transport = found.transport === "unix" ? "unix" : "tcp";
    this.localAddress = found.local;
  }

  /**
   * Serves pipes.
   *
   * @param options Framing and limits of the pipes, and how to accept.
   * @returns The server, which owns the listener now.
   */
  pipes(options: ListenOptions = {}): Promise<PipeServer<TcpPipe | UnixPipe>> {
    const address = this.localAddress;
    const transport = {
      schemes: [this.transport],
      dial: () => {
        throw new TypeError("Cannot connect: this listens only");
      },
      listen: (_url: unknown, more: ListenOptions) => acceptDescriptors(this.release(), address, more),
    };
    const place = address.transport === "unix"
      ? { transport: "unix" as const, path: address.path || "/" }
      : { ...address, path: "/" };
    // Wherever it listens, it is this one socket.
    const { on: _on, network: _network, ...rest } = options;
    return PipeListener.start<TcpPipe | UnixPipe>(place, { ...rest, transports: [transport] });
  }

  /**
   * Listens by a server of Node's part, of HTTP for example.
   *
   * @param server The server, which owns the listener now.
   * @returns The server, when it listens.
   */
  async serve<S extends Server>(server: S): Promise<S> {
    const fd = this.release();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ fd }, () => {
        server.off("error", reject);
        resolve();
      });
    });
    return server;
  }

  /**
   * Gives the descriptor away.
   *
   * @returns It; whoever called owns it now.
   * @throws {TypeError} When it was given away or closed before.
   */
  release(): number {
    const fd = this.#fd;
    if (fd === undefined) throw new TypeError("Cannot use the listener: it was given away or closed");
    this.#fd = undefined;
    return fd;
  }

  /** Closes it here; whoever else has it listens on. */
  async close(): Promise<void> {
    if (this.#fd === undefined) return;
    using calls = tryCalls();
    await closeDescriptor(calls, this.release());
  }

  /** Closes it here. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

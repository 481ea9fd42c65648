/** Accepting on a descriptor of a listener. */

import { holdProcess } from "../../internal/clock.ts";
import { POLLIN, whenReady } from "../../internal/ffi/descriptor_poll.ts";
import type { SocketCalls } from "../../internal/ffi/socket_calls.ts";
import type { HostAddress, UnixAddress } from "../address.ts";
import type { Link, LinkListener } from "../_link.ts";
import type { ListenOptions } from "../listen.ts";
import { tcpLinkOptions } from "../_tcp_transport.ts";
import { adopt } from "./_adopt.ts";
import { tryCalls } from "./_descriptor_calls.ts";

// asm-generic/fcntl.h, asm-generic/errno.h, netinet/tcp.h
const [SOCK_NONBLOCK, SOCK_CLOEXEC] = [0x800, 0x80000];
const [EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM] = [11, 24, 23, 105, 12];
const [IPPROTO_TCP, TCP_NODELAY] = [6, 1];

/** How many connections may wait where Node's part accepts, which cannot be told to wait. */
const MOST_WAITING = 1024;

/**
 * Accepts on a descriptor, which it owns.
 *
 * @param fd The descriptor.
 * @param address Where it listens.
 * @param options How the connections become links.
 */
export async function acceptDescriptors(
  fd: number,
  address: HostAddress | UnixAddress,
  options: ListenOptions,
): Promise<LinkListener> {
  const calls = tryCalls();
  if (calls) return new PolledListener(calls, fd, address, options);
  return await NodeListener.start(fd, address, options);
}

/** By the C library: who asks for no connection leaves them in the system's queue. */
class PolledListener implements LinkListener {
  readonly addresses: readonly (HostAddress | UnixAddress)[];
  readonly report = { by: "other", note: "a listener that was handed over" } as const;
  readonly #calls: SocketCalls;
  readonly #fd: number;
  readonly #options: ListenOptions;
  #waiting: { readonly poll: Disposable; readonly wake: () => void } | undefined;
  #closed = false;

  constructor(calls: SocketCalls, fd: number, address: HostAddress | UnixAddress, options: ListenOptions) {
    this.#calls = calls;
    this.#fd = fd;
    this.addresses = [address];
    this.#options = options;
  }

  async accept(): Promise<Link | null> {
    const { call } = this.#calls;
    while (!this.#closed) {
      const fd = call.accept4(this.#fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) return await this.#link(fd);
      const errno = this.#calls.errno();
      if (errno === EAGAIN) await this.#ready();
      else throw acceptError(errno);
    }
    return null;
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#waiting?.poll[Symbol.dispose]();
    this.#calls.call.close(this.#fd);
    this.#calls[Symbol.dispose]();
    this.#waiting?.wake();
    return Promise.resolve();
  }

  async #link(fd: number): Promise<Link> {
    try {
      const { noDelay = true, clock } = this.#options;
      const one = new Uint8Array(new Int32Array([noDelay ? 1 : 0]).buffer);
      // A Unix socket has no such option, and does without.
      this.#calls.call.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, one, 4);
      const stream = await adopt(fd, { expect: "stream" });
      return stream.link(tcpLinkOptions(clock ? { clock } : {}));
    } catch (error) {
      // It was over before it was looked at: nobody's but its own affair.
      throw Object.assign(new Error(`Cannot accept: ${(error as Error).message}`, { cause: error }), {
        code: "ECONNABORTED",
      });
    }
  }

  async #ready(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting = { poll: whenReady(this.#fd, POLLIN, () => resolve()), wake: resolve };
    await promise;
    this.#waiting = undefined;
  }
}

/** By Node's part, which accepts whether anybody asks or not. */
class NodeListener implements LinkListener {
  readonly addresses: readonly (HostAddress | UnixAddress)[];
  readonly report = {
    by: "other",
    note: "a listener that was handed over, by node:net, for want of --allow-ffi",
  } as const;
  readonly #ready: Link[] = [];
  #server: import("node:net").Server | undefined;
  #wake: (() => void) | undefined;

  private constructor(address: HostAddress | UnixAddress) {
    this.addresses = [address];
  }

  static async start(
    fd: number,
    address: HostAddress | UnixAddress,
    { noDelay = true }: ListenOptions,
  ): Promise<NodeListener> {
    const [{ createServer }, { nodeLink }, { givenLink }] = await Promise.all([
      import("node:net"),
      import("../_node_link.ts"),
      import("./_given_link.ts"),
    ]);
    const listener = new NodeListener(address);
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay }, (socket) => {
      if (listener.#ready.length >= MOST_WAITING) return void socket.destroy();
      const { remoteAddress: hostname, remotePort: port } = socket;
      const remote = address.transport === "unix" || hostname === undefined || port === undefined
        ? { transport: "unix" as const, path: "" }
        : { transport: "tcp" as const, hostname, port };
      const link = nodeLink(socket, {
        transport: address.transport,
        localAddress: address,
        remoteAddress: remote,
      });
      listener.#ready.push(givenLink(link, new Uint8Array(0), socket));
      listener.#wake?.();
    });
    listener.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ fd }, resolve);
    });
    // Whoever waits for a connection keeps the process alive; a listener does not.
    server.unref();
    return listener;
  }

  async accept(): Promise<Link | null> {
    using _hold = holdProcess();
    while (this.#server) {
      const link = this.#ready.shift();
      if (link) return link;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return null;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    this.#wake?.();
    for (const link of this.#ready.splice(0)) link.abort();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      // What was handed out lives on, and the server is not waited for because of it.
      resolve();
    });
  }
}

function acceptError(errno: number): Error {
  const code = errno === EMFILE || errno === ENFILE
    ? "EMFILE"
    : errno === ENOBUFS || errno === ENOMEM
    ? "ENOBUFS"
    : "ECONNABORTED";
  return Object.assign(new Error(`Cannot accept: error ${errno} of the system`), { code, errno });
}

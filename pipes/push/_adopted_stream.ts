/** A connection made of a descriptor. */

import type { Socket } from "node:net";
import type { HostAddress, UnixAddress } from "../address.ts";
import type { PipeOptions } from "../_base_pipe.ts";
import { connLink, type ConnLinkOptions, type StreamConn } from "../_conn_link.ts";
import type { Link } from "../_link.ts";
import { makePipe } from "../_make_pipe.ts";
import { nodeLink } from "../_node_link.ts";
import type { TcpPipe, UnixPipe } from "../pipe.ts";
import { checkNetworkOptions } from "../_network_keeper.ts";
import { tcpLinkOptions } from "../_tcp_transport.ts";
import type { SocketKind } from "./_adopt.ts";
import { mayUse, type StreamHandle, tcpHandleClass } from "./_internals.ts";
import { givenLink } from "./_given_link.ts";
import { PushError } from "./push_error.ts";
import { type ConnClass, connClass } from "./_conn_class.ts";

/** A connection that was made of a descriptor, and is not in use yet. */
export interface AdoptedStream {
  /** The tag. */
  readonly kind: "stream";
  /** What it is. */
  readonly transport: "tcp" | "unix";
  /** Our end. */
  readonly localAddress: HostAddress | UnixAddress;
  /** The other end. */
  readonly remoteAddress: HostAddress | UnixAddress;
  /** What was read from it before; a pipe gives it first. */
  readonly prefix: Uint8Array;
  /** What carries it: the runtime's own connections, or Node's sockets. */
  readonly by: "take-stream" | "node:net";
  /** The bare connection, whose owner is the caller then; what was read before is not in it. */
  connection(): StreamConn | Socket;
  /** The connection as pipes use it, what was read before included. */
  link(options?: ConnLinkOptions): Link;
  /** The connection as a pipe, what was read before included. */
  pipe(options?: PipeOptions): TcpPipe | UnixPipe;
  /** Lets go of it without a word to the other end: whoever else has the socket can go on. */
  abandon(): void;
}

/**
 * Makes a connection of a descriptor, which it owns.
 *
 * @param fd The descriptor of a connected stream.
 * @param found What is known of it.
 * @param prefix What was read from it before.
 * @throws {PushError} `descriptor` where the runtime does not take it; it is closed then.
 */
export async function adoptStream(
  fd: number,
  found: SocketKind,
  prefix: Uint8Array = new Uint8Array(0),
): Promise<AdoptedStream> {
  const conn = mayUse("take-stream") ? await connClass() : undefined;
  const TCP = conn && await tcpHandleClass();
  if (conn && TCP) {
    const handle = new TCP(0);
    const result = handle.open(fd);
    if (result === 0) return new TakenStream({ handle, conn, fd, found, prefix });
    throw refused(fd, result);
  }
  const { Socket } = await import("node:net");
  try {
    // Nothing is read before somebody asks for it.
    const options = { fd, manualStart: true, allowHalfOpen: true, readable: true, writable: true };
    return new NodeStream(new Socket(options), found, prefix);
  } catch (error) {
    throw refused(fd, error);
  }
}

interface Parts {
  readonly handle: StreamHandle;
  readonly conn: ConnClass;
  readonly fd: number;
  readonly found: SocketKind;
  readonly prefix: Uint8Array;
}

abstract class Stream {
  readonly kind = "stream";
  readonly transport: "tcp" | "unix";
  readonly localAddress: HostAddress | UnixAddress;
  readonly remoteAddress: HostAddress | UnixAddress;
  readonly prefix: Uint8Array;

  constructor({ transport, local, remote }: SocketKind, prefix: Uint8Array) {
    this.transport = transport === "unix" ? "unix" : "tcp";
    this.localAddress = local;
    this.remoteAddress = remote ?? { transport: "unix", path: "" };
    this.prefix = prefix;
  }

  abstract link(options?: ConnLinkOptions): Link;

  pipe(options: PipeOptions = {}): TcpPipe | UnixPipe {
    checkNetworkOptions(options);
    return makePipe(this.link(tcpLinkOptions(options)), options) as unknown as TcpPipe | UnixPipe;
  }
}

/** Over a connection of the runtime's own. */
class TakenStream extends Stream implements AdoptedStream {
  readonly by = "take-stream";
  readonly #parts: Parts;
  #gone = false;

  constructor(parts: Parts) {
    super(parts.found, parts.prefix);
    this.#parts = parts;
  }

  connection(): StreamConn {
    const { handle, conn: Conn, fd } = this.#parts;
    const rid = handle.takeStream?.();
    // The emptied handle would keep the number of the descriptor for itself, for ever.
    this.#gone = true;
    handle.close();
    if (rid === undefined) throw refused(fd, "it was taken already");
    return new Conn(rid, runtimeAddress(this.remoteAddress), runtimeAddress(this.localAddress), fd);
  }

  link(options: ConnLinkOptions = {}): Link {
    const link = connLink(this.connection(), options);
    return this.prefix.length === 0 ? link : givenLink(link, this.prefix);
  }

  abandon(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#parts.handle.close();
  }
}

/** Over a socket of Node's part. */
class NodeStream extends Stream implements AdoptedStream {
  readonly by = "node:net";
  readonly #socket: Socket;

  constructor(socket: Socket, found: SocketKind, prefix: Uint8Array) {
    super(found, prefix);
    this.#socket = socket;
    // Nobody may be listening yet; whoever reads or writes is told.
    socket.on("error", () => {});
  }

  connection(): Socket {
    return this.#socket;
  }

  link(): Link {
    const { transport, localAddress, remoteAddress } = this;
    const link = nodeLink(this.#socket, { transport, localAddress, remoteAddress });
    return givenLink(link, this.prefix, this.#socket);
  }

  abandon(): void {
    this.#socket.destroy();
  }
}

function runtimeAddress(address: HostAddress | UnixAddress): Deno.Addr {
  if (address.transport === "unix") return { transport: "unix", path: address.path };
  return { transport: "tcp", hostname: address.hostname, port: address.port };
}

function refused(fd: number, why: unknown): PushError {
  const text = why instanceof Error ? why.message : String(why);
  return new PushError(`Cannot adopt descriptor ${fd}: the runtime does not take it (${text})`, {
    code: "descriptor",
    operation: "adopt a descriptor",
    cause: why,
  });
}

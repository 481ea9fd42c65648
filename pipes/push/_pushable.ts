/** What can be handed over, and what each of them is. */

import type { Socket as DatagramSocket } from "node:dgram";
import type { Server, Socket } from "node:net";
import type { SocketAddress } from "../../internal/ffi/sockets_linux.ts";
import type { AdoptedKind } from "./_adopt.ts";
import { PushError } from "./push_error.ts";

/** A socket as the runtime, or Node's part of it, has it. */
export type BareSocket =
  | Deno.TcpConn
  | Deno.UnixConn
  | Deno.TcpListener
  | Deno.UnixListener
  | Deno.DatagramConn
  | Socket
  | Server
  | DatagramSocket;

/** One end of a socket, to compare by. */
export type End = SocketAddress | { readonly path: string } | null;

/** What is known of a socket without its descriptor. */
export type Described =
  & {
    readonly kind: AdoptedKind;
    readonly local: End;
    readonly remote: End;
  }
  & (
    | { readonly what: "conn"; readonly socket: Deno.TcpConn | Deno.UnixConn }
    | { readonly what: "listener"; readonly socket: Deno.TcpListener | Deno.UnixListener }
    | { readonly what: "datagram"; readonly socket: Deno.DatagramConn }
    | { readonly what: "node-socket"; readonly socket: Socket }
    | { readonly what: "node-server"; readonly socket: Server }
    | { readonly what: "node-datagram"; readonly socket: DatagramSocket }
  );

/**
 * Says what a socket is.
 *
 * @throws {PushError} `kind` when it cannot be handed over: what TLS agreed on stays in this process.
 * @throws {TypeError} When it is no socket at all.
 */
export function describe(socket: BareSocket): Described {
  const methods = new Set(
    ["handshake", "closeWrite", "accept", "receive", "resetAndDestroy", "getConnections", "addMembership"]
      .filter((name) => typeof (socket as unknown as Record<string, unknown>)?.[name] === "function"),
  );
  if (methods.has("handshake") || (socket as { readonly encrypted?: unknown })?.encrypted === true) {
    throw new PushError("Cannot push a connection of TLS: its keys stay in this process", {
      code: "kind",
      operation: "push a socket",
      hint: "Push it before the handshake, and let the other process do that",
    });
  }
  if (methods.has("resetAndDestroy")) return nodeSocket(socket as Socket);
  if (methods.has("getConnections")) {
    const server = socket as Server;
    const address = server.address();
    const local = typeof address === "string"
      ? { path: address }
      : address && endOf(address.address, address.port);
    return { what: "node-server", kind: "listener", socket: server, local, remote: null };
  }
  if (methods.has("addMembership")) {
    const datagrams = socket as DatagramSocket;
    const { address, port } = datagrams.address();
    return {
      what: "node-datagram",
      kind: "datagram",
      socket: datagrams,
      local: endOf(address, port),
      remote: null,
    };
  }
  if (methods.has("closeWrite")) {
    const conn = socket as Deno.TcpConn | Deno.UnixConn;
    return {
      ...{ what: "conn", kind: "stream", socket: conn },
      ...{ local: runtimeEnd(conn.localAddr), remote: runtimeEnd(conn.remoteAddr) },
    };
  }
  if (methods.has("accept")) {
    const listener = socket as Deno.TcpListener;
    return {
      what: "listener",
      kind: "listener",
      socket: listener,
      local: runtimeEnd(listener.addr),
      remote: null,
    };
  }
  if (methods.has("receive")) {
    const datagrams = socket as Deno.DatagramConn;
    return {
      what: "datagram",
      kind: "datagram",
      socket: datagrams,
      local: runtimeEnd(datagrams.addr),
      remote: null,
    };
  }
  throw new TypeError(
    `Cannot push: a connection, a listener or a socket for datagrams is needed, got ${typeof socket}`,
  );
}

function nodeSocket(socket: Socket): Described {
  if (socket.connecting || socket.destroyed) {
    throw new TypeError(`Cannot push: the socket is ${socket.destroyed ? "destroyed" : "not connected yet"}`);
  }
  const { localAddress = "", localPort = 0, remoteAddress, remotePort = 0 } = socket;
  const tcp = remoteAddress !== undefined;
  return {
    ...{ what: "node-socket", kind: "stream", socket },
    local: tcp ? endOf(localAddress, localPort) : { path: "" },
    remote: tcp ? endOf(remoteAddress, remotePort) : { path: "" },
  };
}

function runtimeEnd(address: Deno.Addr): End {
  if ("hostname" in address) return endOf(address.hostname, address.port);
  return { path: "path" in address ? address.path ?? "" : "" };
}

function endOf(hostname: string, port: number): SocketAddress {
  return { hostname, port };
}

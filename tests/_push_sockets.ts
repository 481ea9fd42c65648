/** Sockets as bare descriptors, and counting them. */

import { connect, type Socket } from "node:net";
import type { SocketCalls } from "../internal/ffi/socket_calls.ts";
import { handleOf } from "../pipes/push/_internals.ts";

/** A connection: the one end as a descriptor that nobody else has, the other one as usual. */
export interface Pair {
  /** The one end; whoever called owns it. */
  readonly fd: number;
  /** The other one. */
  readonly peer: Deno.Conn;
  /** Closes the other one. */
  close(): void;
}

/** A connection of TCP on this machine. */
export async function tcpPair(): Promise<Pair> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  return await pairOf(() => connect({ host: "127.0.0.1", port }), listener);
}

/** A connection of Unix sockets. */
export async function unixPair(): Promise<Pair> {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-push-" });
  const path = `${directory}/socket`;
  try {
    using listener = Deno.listen({ transport: "unix", path });
    return await pairOf(() => connect({ path }), listener);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function pairOf(open: () => Socket, listener: Deno.Listener): Promise<Pair> {
  const socket = open();
  const connected = new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  const [peer] = await Promise.all([listener.accept(), connected]);
  const fd = handleOf(socket)?.fdForIpc() ?? -1;
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.destroy();
  await closed;
  return { fd, peer, close: () => peer.close() };
}

/** How many descriptors this process has open. */
export function countDescriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

/** The count when it is no more than wanted, or what it comes to after a hundred turns of the event loop. */
export async function settledCount(wanted: number): Promise<number> {
  for (let turn = 0; turn < 100 && countDescriptors() > wanted; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return countDescriptors();
}

/** A listening socket of TCP on this machine, as a descriptor. */
export function listeningDescriptor({ call, check }: SocketCalls): number {
  const fd = call.socket(2, 1, 0);
  // struct sockaddr_in: 127.0.0.1, any port
  check(call.bind(fd, new Uint8Array([2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), 16), "bind");
  check(call.listen(fd, 16), "listen");
  return fd;
}

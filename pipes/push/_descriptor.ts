/** The descriptor of a socket of this process, by whichever way there is. */

import {
  duplicate,
  identityOf,
  inspectSocket,
  openDescriptors,
  type SocketFacts,
} from "../../internal/ffi/descriptors.ts";
import type { SocketCalls } from "../../internal/ffi/socket_calls.ts";
import { nameKey, type SocketName } from "../../internal/ffi/socket_layouts.ts";
import { tryCalls } from "./_descriptor_calls.ts";
import {
  datagramHandleOf,
  descriptorSymbolOf,
  handleOf,
  mayUse,
  ridOf,
  tcpHandleClass,
} from "./_internals.ts";
import type { Described, End } from "./_pushable.ts";
import { PushError } from "./push_error.ts";

/** A second descriptor of a socket. */
export interface FoundDescriptor {
  /** It; whoever asked owns it. Other programs do not inherit it. */
  readonly fd: number;
  /** How it was found. */
  readonly by: "handle" | "from-rid" | "symbol" | "scan";
}

/** How many descriptors are looked at in one turn of the event loop. */
const TURN = 1024;

/**
 * Finds the descriptor of a socket, and makes another one of it.
 *
 * @param described The socket.
 * @returns The descriptor.
 * @throws {PushError} `descriptor` where there is no way to it.
 */
export async function findDescriptor(described: Described): Promise<FoundDescriptor> {
  using calls = tryCalls();
  for (const rung of [byHandle, byRid, bySymbol]) {
    const found = await rung(described, calls);
    if (!found) continue;
    // What the runtime's inside says is checked where that can be done.
    if (!calls || matches(inspectSocket(calls, found.fd), described)) return found;
    calls.call.close(found.fd);
  }
  if (!calls) {
    throw notFound("the C library may not be used", "Allow it by --allow-ffi with the library's path");
  }
  return { fd: await scan(calls, described), by: "scan" };
}

function byHandle(described: Described): FoundDescriptor | null {
  if (!mayUse("handle")) return null;
  const { what, socket } = described;
  const handle = what === "node-datagram"
    ? datagramHandleOf(socket)
    : what === "node-socket" || what === "node-server"
    ? handleOf(socket)
    : undefined;
  const fd = handle?.fdForIpc() ?? -1;
  return fd < 0 ? null : { fd, by: "handle" };
}

async function byRid({ what, socket, local }: Described): Promise<FoundDescriptor | null> {
  if (!mayUse("from-rid") || what !== "conn" || !local || !("hostname" in local)) return null;
  const rid = ridOf(socket);
  const TCP = rid === undefined ? undefined : await tcpHandleClass();
  if (rid === undefined || !TCP) return null;
  const handle = new TCP(0);
  try {
    // A connection that is closed, or writes, is refused.
    if (handle.openFromRid?.(rid) !== 0) return null;
    const fd = handle.fdForIpc();
    return fd < 0 ? null : { fd, by: "from-rid" };
  } finally {
    handle.close();
  }
}

function bySymbol(described: Described, calls: SocketCalls | null): FoundDescriptor | null {
  if (!mayUse("symbol") || !calls || described.what !== "conn") return null;
  const fd = descriptorSymbolOf(described.socket);
  // After the end of a connection its number is soon another's.
  if (fd === undefined || !matches(inspectSocket(calls, fd), described)) return null;
  return { fd: duplicate(calls, fd), by: "symbol" };
}

/** Looks at all descriptors of the process. */
async function scan(calls: SocketCalls, described: Described): Promise<number> {
  if (described.what === "node-socket" && described.local && "path" in described.local) {
    throw notFound("Node's part does not tell the paths of a Unix socket, and it has no handle");
  }
  const found = new Map<string, number>();
  let looked = 0;
  for (const fd of openDescriptors(calls)) {
    if (++looked % TURN === 0) await new Promise<void>((resolve) => setTimeout(resolve, 0));
    if (!matches(inspectSocket(calls, fd), described)) continue;
    // Several descriptors of one socket are as good as one.
    found.set(identityOf(calls, fd) ?? String(fd), fd);
  }
  const [fd] = found.values();
  if (fd === undefined) throw notFound("no descriptor of this process has its addresses");
  if (found.size > 1) {
    throw notFound(
      `${found.size} sockets of this process have its addresses`,
      "Open or accept it by node:net, which tells the descriptors of Unix sockets",
    );
  }
  return duplicate(calls, fd);
}

/** Whether a descriptor may be the socket's. */
function matches(facts: SocketFacts | null, { kind, local, remote, what }: Described): boolean {
  if (facts === null) return false;
  const found = facts.type === "datagram" ? "datagram" : facts.listening ? "listener" : "stream";
  if (facts.type === "other" || found !== kind) return false;
  // Node's part does not tell the paths of its sockets.
  if (what === "node-socket" && local && "path" in local) return facts.family === "unix";
  return sameEnd(facts.local, local) && (kind !== "stream" || sameEnd(facts.remote, remote));
}

function sameEnd(name: SocketName | null, end: End): boolean {
  if (name === null || end === null) return name === end;
  if (name.family === "unix") return "path" in end && end.path === name.path;
  return "hostname" in end && nameKey(name) === nameKey(end);
}

function notFound(why: string, hint?: string): PushError {
  return new PushError(`Cannot push: the descriptor was not found, ${why}`, {
    code: "descriptor",
    operation: "push a socket",
    ...(hint === undefined ? {} : { hint }),
  });
}

/**
 * Letting go of a socket that another process has now. Closing a connection of the runtime shuts the socket down for all who
 * have it, whichever way it is closed; so its descriptor is made another socket's first, or it is taken out from below it.
 */

import { identityOf, openDescriptors, socketName } from "../../internal/ffi/descriptors.ts";
import type { SocketCalls } from "../../internal/ffi/socket_calls.ts";
import { permissionState, wouldPrompt } from "../../internal/permissions.ts";
import { tryCalls } from "./_descriptor_calls.ts";
import { descriptorSymbolOf, mayUse, serveConnection } from "./_internals.ts";
import { describe, type Described } from "./_pushable.ts";
import { findDescriptor } from "./_descriptor.ts";
import { closeDescriptor } from "./_adopt.ts";
import { PushError } from "./push_error.ts";

/** How a connection of the runtime is let go: its descriptor becomes another socket's, or the runtime's HTTP drops it. */
export type DetachWay = "swap" | "http-abort";

const WAYS: readonly DetachWay[] = ["swap", "http-abort"];

const switchedOff = new Set<DetachWay>();
const tested = new Map<DetachWay, Promise<boolean>>();

/** The epoll instances of the process: the runtime's own, as a rule. */
let epolls: readonly number[] = [];

// sys/epoll.h, bits/socket.h, asm-generic/fcntl.h
const EPOLL_CTL_DEL = 2;
const [AF_UNIX, SOCK_STREAM, SOCK_CLOEXEC] = [1, 1, 0x80000];
const [MSG_PEEK, MSG_DONTWAIT] = [0x2, 0x40];
const EVENT = new Uint8Array(new ArrayBuffer(16));

/**
 * Does without one of the ways, for tests.
 *
 * @returns What switches it on again.
 */
export function withoutWay(way: DetachWay): Disposable {
  switchedOff.add(way);
  return { [Symbol.dispose]: () => void switchedOff.delete(way) };
}

/** The ways that work here, best first. */
export async function waysThatWork(): Promise<DetachWay[]> {
  const found: DetachWay[] = [];
  for (const way of WAYS) {
    if (switchedOff.has(way) || (way === "http-abort" && !mayUse("http-abort"))) continue;
    if (await works(way)) found.push(way);
  }
  return found;
}

/** How a socket is to be let go. */
export interface DetachPlan {
  /** The way; `null` for what an ordinary close is good for. */
  readonly way: DetachWay | null;
  /** The number that the runtime has for it, where that is needed. */
  readonly own: number | null;
}

/**
 * Looks for the way in which a socket can be let go, before anybody else has it.
 *
 * @param described The socket.
 * @param fd Another descriptor of it.
 * @returns The way.
 * @throws {PushError} `detach` where there is none.
 */
export async function planDetach({ what, socket }: Described, fd: number): Promise<DetachPlan> {
  if (what !== "conn") return { way: null, own: null };
  for (const way of WAYS) {
    if (switchedOff.has(way) || (way === "http-abort" && !mayUse("http-abort"))) continue;
    if (!await works(way)) continue;
    if (way === "http-abort") return { way, own: null };
    using calls = tryCalls();
    const own = calls && numberOf(calls, socket, fd);
    if (own !== null) return { way, own };
  }
  throw new PushError("Cannot push: this runtime has no way to let go of a connection without ending it", {
    code: "detach",
    operation: "push a socket",
    hint: "Allow the C library by --allow-ffi with its path, or open and accept connections by node:net",
  });
}

/**
 * Lets go of a socket without a word to the other end.
 *
 * @param described The socket.
 * @param fd Another descriptor of it, which stays open.
 * @param plan What {@linkcode planDetach} said.
 */
export function detach(described: Described, fd: number, plan: DetachPlan): void {
  const { what, socket } = described;
  if (what === "node-socket") socket.destroy();
  else if (what === "node-server") withPathKept(described, () => void socket.close());
  else if (what === "listener") withPathKept(described, () => socket.close());
  else if (what === "conn") letGo(socket, fd, plan);
  else socket.close();
}

function letGo(conn: Deno.TcpConn | Deno.UnixConn, fd: number, { own }: DetachPlan): void {
  if (own !== null) {
    using calls = tryCalls();
    // It may have been closed meanwhile, and the number be another's.
    if (calls && identityOf(calls, own) === identityOf(calls, fd)) return swap(calls, conn, own);
  }
  if (!abortHttp(conn)) {
    throw new PushError(
      "Cannot let go of a connection: it is open here still, and another process has it too",
      {
        code: "detach",
        operation: "push a socket",
      },
    );
  }
}

/** The number under which the runtime has a connection, of which there is another descriptor. */
function numberOf(calls: SocketCalls, conn: object, other: number): number | null {
  const identity = identityOf(calls, other);
  const told = mayUse("symbol") ? descriptorSymbolOf(conn) : undefined;
  if (told !== undefined && told !== other && identityOf(calls, told) === identity) return told;
  // Comparing names first is cheaper by far than reading links.
  const name = JSON.stringify(socketName(calls, other, "getsockname"));
  const found: number[] = [];
  for (const fd of openDescriptors(calls)) {
    if (fd === other || JSON.stringify(socketName(calls, fd, "getsockname")) !== name) continue;
    if (identityOf(calls, fd) === identity) found.push(fd);
  }
  // With more of them nobody can tell which one is the runtime's.
  return found.length === 1 ? found[0] ?? null : null;
}

/** Puts a socket of nobody in the place of the connection's, and has the runtime close that. */
function swap(calls: SocketCalls, conn: Deno.Conn, own: number): void {
  const { call } = calls;
  const dummy = calls.check(call.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "open a socket");
  if (!forget(calls, own)) {
    epolls = [...openDescriptors(calls)].filter((fd) => identityOf(calls, fd) === "anon_inode:[eventpoll]");
    forget(calls, own);
  }
  const result = call.dup3(dummy, own, SOCK_CLOEXEC);
  call.close(dummy);
  calls.check(result, "let go of a connection");
  conn.close();
}

/** Ends what the runtime's epoll instances have to do with a descriptor; a stale one would tell of events long after. */
function forget({ call }: SocketCalls, fd: number): boolean {
  let done = false;
  for (const epoll of epolls) done = call.epoll_ctl(epoll, EPOLL_CTL_DEL, fd, EVENT) === 0 || done;
  return done;
}

/** The runtime's HTTP takes a connection over, and when it is called off in the same turn it drops it, unread and whole. */
function abortHttp(conn: Deno.Conn): boolean {
  const serve = mayUse("http-abort") ? serveConnection() : undefined;
  if (!serve) return false;
  const abort = new AbortController();
  const answer = (): Response => new Response(null, { status: 503 });
  const server = serve(conn, abort.signal, answer, answer, () => {});
  abort.abort();
  // That it was called off is no news.
  server.finished?.catch(() => {});
  return true;
}

/** Closing a listener of a Unix socket removes its file, which others connect by. */
function withPathKept({ local }: Described, close: () => void): void {
  const path = local && "path" in local ? local.path : "";
  if (path === "") return close();
  const aside = `${path}.${crypto.randomUUID().slice(0, 8)}`;
  Deno.linkSync(path, aside);
  close();
  Deno.renameSync(aside, path);
}

function works(way: DetachWay): Promise<boolean> {
  let result = tested.get(way);
  if (!result) tested.set(way, result = tryOut(way).catch(() => false));
  return result;
}

/** Tries a way on a connection of our own: the other end must not notice, and must get what is sent afterwards. */
async function tryOut(way: DetachWay): Promise<boolean> {
  using calls = tryCalls();
  if (way === "swap" && !calls) return false;
  if (way === "http-abort" && !serveConnection()) return false;
  const need = { name: "net", host: "127.0.0.1" } as const;
  // Where it cannot be tried, only what rests on the system alone is trusted.
  if (permissionState(need) === "denied" || wouldPrompt([need])) return way === "swap";
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { hostname, port } = listener.addr;
  const [near, far] = await Promise.all([Deno.connect({ hostname, port }), listener.accept()]);
  const described = describe(near);
  const { fd } = await findDescriptor(described);
  try {
    const own = way === "swap" && calls ? numberOf(calls, near, fd) : null;
    if (way === "swap" && own === null) return false;
    letGo(near, fd, { way, own });
    if (!calls) return await quiet(far);
    // An end would be there by now: within one machine it travels with the call that sends it.
    const { fd: peer } = await findDescriptor(describe(far));
    const ended = calls.call.recv(peer, EVENT, 1n, MSG_PEEK | MSG_DONTWAIT) === 0;
    calls.call.close(peer);
    if (ended || calls.call.send(fd, EVENT, 1n, MSG_DONTWAIT) !== 1) return false;
    return await far.read(new Uint8Array(2)) === 1;
  } finally {
    await closeDescriptor(calls, fd);
    far.close();
  }
}

/** Whether no end comes within some turns of the event loop, which is more than one on this machine takes. */
async function quiet(far: Deno.Conn): Promise<boolean> {
  const read = far.read(new Uint8Array(1)).then(() => false, () => false);
  const turns = async (): Promise<boolean> => {
    for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setTimeout(resolve, 1));
    return true;
  };
  return await Promise.race([read, turns()]);
}

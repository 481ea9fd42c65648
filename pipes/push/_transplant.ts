/**
 * A listener of the runtime's own goes on with another socket: on Linux, where the C library may be used, and only after it
 * has been tried on sockets of our own. The runtime knows its listener by the number of its descriptor, and so does the system
 * that wakes it (epoll(7)); both numbers stay, and what is behind them changes.
 */

import { identityOf, inspectSocket, openDescriptors } from "../../internal/ffi/descriptors.ts";
import { acquireLibc, readFile } from "../../internal/ffi/libc_linux.ts";
import type { SocketCalls } from "../../internal/ffi/socket_calls.ts";
import { permissionState, wouldPrompt } from "../../internal/permissions.ts";
import { tryCalls } from "./_descriptor_calls.ts";
import { mayUse } from "./_internals.ts";

// sys/epoll.h, asm-generic/fcntl.h
const [EPOLL_CTL_ADD, EPOLL_CTL_DEL, EEXIST] = [1, 2, 17];
const [O_CLOEXEC, F_DUPFD_CLOEXEC] = [0x80000, 1030];

/** struct epoll_event is packed on x86-64 only. */
const DATA_AT = Deno.build.arch === "x86_64" ? 4 : 8;

const NEED = { name: "net", host: "127.0.0.1" } as const;
const LOOPBACK = { hostname: "127.0.0.1", port: 0 } as const;

/** Where the runtime has a listener, and what it is woken by. */
interface Place {
  readonly fd: number;
  readonly watches: readonly Watch[];
}

interface Watch {
  readonly epoll: number;
  readonly event: Uint8Array<ArrayBuffer>;
}

let tried: Promise<string | null> | undefined;

/**
 * Why it cannot be done, in words, or `null` where it can. Found out once, by doing it.
 *
 * Needs the permission `net` for `127.0.0.1`.
 */
export async function transplantObstacle(): Promise<string | null> {
  if (!mayUse("transplant")) return "switched off";
  if (Deno.build.os !== "linux") return `not on ${Deno.build.os}`;
  if (permissionState(NEED) === "denied" || wouldPrompt([NEED])) {
    return "permission missing, add --allow-net=127.0.0.1";
  }
  using calls = tryCalls();
  if (!calls) return "permission missing, add --allow-ffi for the C library";
  return await (tried ??= selfTest(calls).catch((error) => (error as Error).message));
}

/**
 * Puts a listening TCP socket in the place of a listener of the runtime on `127.0.0.1`, whose own socket is closed by that.
 *
 * Where it fails, the descriptor is still its owner's.
 *
 * @param fd The socket's descriptor; it is closed when it has been done.
 * @param port The runtime's listener.
 * @throws {Error} When it cannot be done.
 */
export function transplant(fd: number, port: number): void {
  using calls = tryCalls();
  if (!calls) throw new Error("Cannot transplant a listener: the C library is missing");
  const place = findPlace(calls, port);
  const { call } = calls;
  for (const { epoll, event } of place.watches) call.epoll_ctl(epoll, EPOLL_CTL_DEL, place.fd, event);
  const moved = call.dup3(fd, place.fd, O_CLOEXEC) === place.fd;
  for (const { epoll, event } of place.watches) {
    // Two descriptors may name one instance.
    if (call.epoll_ctl(epoll, EPOLL_CTL_ADD, place.fd, event) === 0 || calls.errno() === EEXIST) continue;
    throw new Error(`Cannot transplant a listener: error ${calls.errno()} of epoll_ctl`);
  }
  if (!moved) throw new Error("Cannot transplant a listener: dup3 refused");
  call.close(fd);
}

function findPlace(calls: SocketCalls, port: number): Place {
  let fd: number | undefined;
  const epolls: number[] = [];
  for (const open of openDescriptors(calls)) {
    if (identityOf(calls, open)?.startsWith("anon_inode:[eventpoll]")) epolls.push(open);
    const facts = inspectSocket(calls, open);
    if (facts?.listening && facts.local && "port" in facts.local && facts.local.port === port) fd = open;
  }
  if (fd === undefined) throw new Error("Cannot transplant a listener: its descriptor was not found");
  const found = fd;
  const watches = epolls.flatMap((epoll) => watchesOf(epoll, found));
  if (watches.length === 0) throw new Error("Cannot transplant a listener: nothing waits for it");
  return { fd, watches };
}

/** What an instance is to do about a descriptor (proc_pid_fdinfo(5)): `tfd: 12 events: 80002019 data: 7f00 ...`, in hexadecimal. */
function watchesOf(epoll: number, fd: number): Watch[] {
  using libc = acquireLibc();
  const info = new TextDecoder().decode(
    readFile(libc, `/proc/self/fdinfo/${epoll}`, 1024 * 1024) ?? undefined,
  );
  return [...info.matchAll(/^tfd:\s+(\d+) events:\s+([0-9a-f]+) data:\s+([0-9a-f]+)/gm)].flatMap((line) => {
    const [, target, events = "", data = ""] = line;
    if (Number(target) !== fd) return [];
    const event = new Uint8Array(new ArrayBuffer(16));
    const view = new DataView(event.buffer);
    view.setUint32(0, Number.parseInt(events, 16), true);
    view.setBigUint64(DATA_AT, BigInt(`0x${data}`), true);
    return [{ epoll, event }];
  });
}

/** Puts a listener of ours in the place of another, and looks who answers where. */
async function selfTest(calls: SocketCalls): Promise<string | null> {
  const given = Deno.listen(LOOPBACK);
  using place = Deno.listen(LOOPBACK);
  const { port } = given.addr;
  const copy = calls.call.fcntl(findPlace(calls, port).fd, F_DUPFD_CLOEXEC, 3);
  given.close();
  const accepting = place.accept();
  transplant(copy, place.addr.port);
  using client = await Deno.connect({ ...LOOPBACK, port });
  using accepted = await accepting;
  const { localAddr, remoteAddr } = accepted;
  const isOurs = localAddr.port === port && remoteAddr.port === client.localAddr.port;
  return isOurs ? null : "another connection came than was expected";
}

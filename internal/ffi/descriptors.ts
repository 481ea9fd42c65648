/** What can be asked of a descriptor, and done to it. */

import { AF_UNIX, decodeName, LINUX_SOCKETS, type SocketName } from "./socket_layouts.ts";
import type { SocketCalls } from "./socket_calls.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const LAYOUT = LINUX_SOCKETS;
// fcntl.h, asm-generic/fcntl.h, asm-generic/socket.h: the same on x86-64 and AArch64.
const [F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_SETOWN] = [1, 2, 3, 4, 8];
const F_DUPFD_CLOEXEC = 1030;
const FD_CLOEXEC = 1;
const [O_NONBLOCK, O_ASYNC] = [0x800, 0x2000];
const SO_PEERCRED = 17;

/** Numbers are given out from the lowest free one on, so beyond a gap like this there is hardly anything. */
const GAP = 512;
/** The most descriptors that are looked at. */
const MOST = 65_536;

/** Where addresses and options are read into; nothing of it is kept. */
const SCRATCH: Bytes = new Uint8Array(new ArrayBuffer(128));
const LENGTH: Bytes = new Uint8Array(new ArrayBuffer(4));
const SCRATCH_VIEW = new DataView(SCRATCH.buffer);
const LENGTH_VIEW = new DataView(LENGTH.buffer);

/** What a socket is. */
export interface SocketFacts {
  /** Whether it is a stream, takes datagrams, or is anything else (raw, sequenced packets). */
  readonly type: "stream" | "datagram" | "other";
  /** What its addresses are, as far as known here. */
  readonly family: "inet" | "inet6" | "unix" | "other";
  /** Whether it accepts connections. */
  readonly listening: boolean;
  /** Its own address. */
  readonly local: SocketName | null;
  /** The other end's, `null` where it is not connected. */
  readonly remote: SocketName | null;
}

/** Who is at the other end of a Unix socket, as the system knows it. */
export interface PeerCredentials {
  /** Its process, at the time it connected. */
  readonly pid: number;
  /** Its user. */
  readonly uid: number;
  /** Its group. */
  readonly gid: number;
}

/** What a descriptor is; `null` for what is no socket. */
export function inspectSocket(sockets: SocketCalls, fd: number): SocketFacts | null {
  const type = socketOption(sockets, fd, LAYOUT.SOL_SOCKET, LAYOUT.SO_TYPE);
  if (type === null) return null;
  const local = socketName(sockets, fd, "getsockname");
  return {
    type: type === 1 ? "stream" : type === 2 ? "datagram" : "other",
    family: local?.family ?? "other",
    listening: socketOption(sockets, fd, LAYOUT.SOL_SOCKET, LAYOUT.SO_ACCEPTCONN) === 1,
    local,
    remote: socketName(sockets, fd, "getpeername"),
  };
}

/** One of a socket's addresses, `null` where it has none. */
export function socketName(
  { call }: SocketCalls,
  fd: number,
  which: "getsockname" | "getpeername",
): SocketName | null {
  LENGTH_VIEW.setUint32(0, SCRATCH.length, true);
  if (call[which](fd, SCRATCH, LENGTH) !== 0) return null;
  const size = Math.min(LENGTH_VIEW.getUint32(0, true), SCRATCH.length);
  // Linux gives an unnamed Unix socket nothing but its family.
  if (size === 2 && SCRATCH_VIEW.getUint16(0, true) === AF_UNIX) return { family: "unix", path: "" };
  return decodeName(LAYOUT, SCRATCH.subarray(0, size));
}

/** An option that is a number, `null` where there is none. */
export function socketOption({ call }: SocketCalls, fd: number, level: number, name: number): number | null {
  LENGTH_VIEW.setUint32(0, 4, true);
  return call.getsockopt(fd, level, name, SCRATCH, LENGTH) === 0 ? SCRATCH_VIEW.getInt32(0, true) : null;
}

/** Who is at the other end of a Unix socket (SO_PEERCRED, unix(7)), `null` where the system does not say. */
export function peerCredentials({ call }: SocketCalls, fd: number): PeerCredentials | null {
  LENGTH_VIEW.setUint32(0, 12, true);
  if (call.getsockopt(fd, LAYOUT.SOL_SOCKET, SO_PEERCRED, SCRATCH, LENGTH) !== 0) return null;
  return {
    pid: SCRATCH_VIEW.getInt32(0, true),
    uid: SCRATCH_VIEW.getUint32(4, true),
    gid: SCRATCH_VIEW.getUint32(8, true),
  };
}

/**
 * Makes a stranger's socket behave: it is not inherited by other programs, does not block, and neither delays closing
 * (SO_LINGER may hold up a close for as long as its last owner liked) nor sends signals.
 */
export function normaliseSocket({ call }: SocketCalls, fd: number): void {
  call.fcntl(fd, F_SETFD, FD_CLOEXEC);
  const flags = call.fcntl(fd, F_GETFL, 0);
  if (flags >= 0 && (flags & O_ASYNC) !== 0) call.fcntl(fd, F_SETOWN, 0);
  if (flags >= 0) call.fcntl(fd, F_SETFL, (flags | O_NONBLOCK) & ~O_ASYNC);
  // struct linger { int l_onoff; int l_linger; }
  SCRATCH.fill(0, 0, 8);
  call.setsockopt(fd, LAYOUT.SOL_SOCKET, LAYOUT.SO_LINGER, SCRATCH, 8);
}

/** A second descriptor of the same thing, which other programs do not inherit. */
export function duplicate(sockets: SocketCalls, fd: number): number {
  return sockets.check(sockets.call.fcntl(fd, F_DUPFD_CLOEXEC, 3), "duplicate a descriptor");
}

/** The descriptors of this process, ascending; those of the standard streams are left out. */
export function* openDescriptors({ call }: SocketCalls): Generator<number, void> {
  let last = 0;
  for (let fd = 3; fd - last < GAP && fd < MOST; fd++) {
    if (call.fcntl(fd, F_GETFD, 0) < 0) continue;
    last = fd;
    yield fd;
  }
}

/** What stands behind a descriptor, as the system names it: two of the same name are one thing. */
export function identityOf({ call }: SocketCalls, fd: number): string | null {
  const path = new TextEncoder().encode(`/proc/self/fd/${fd}\0`);
  const size = call.readlink(path, SCRATCH, BigInt(SCRATCH.length));
  return size < 0 ? null : new TextDecoder().decode(SCRATCH.subarray(0, size));
}

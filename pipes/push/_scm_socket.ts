/** Unix sockets as descriptors: the runtime must never read where descriptors travel, as it drops them. */

import { peerCredentials } from "../../internal/ffi/descriptors.ts";
import type { SocketCalls } from "../../internal/ffi/socket_calls.ts";
import { AF_UNIX, encodePath, LINUX_SOCKETS } from "../../internal/ffi/socket_layouts.ts";
import { cString } from "../../internal/ffi/libc_linux.ts";
import { PushError } from "./push_error.ts";

// bits/socket.h, asm-generic/fcntl.h, asm-generic/errno.h
const [SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC] = [1, 0x800, 0x80000];
const [O_NONBLOCK, O_CLOEXEC, O_NOFOLLOW] = [
  0x800,
  0x80000,
  Deno.build.arch === "aarch64" ? 0x8000 : 0x20000,
];
const [ENOENT, ENXIO, EAGAIN, EADDRINUSE, ECONNREFUSED] = [2, 6, 11, 98, 111];

/** How many connections may wait to be accepted. */
const BACKLOG = 128;

/** Whose processes are trusted: those of these users, or anybody's. */
export type TrustedUsers = readonly number[] | "anyone";

/** Who is at the other end. */
export interface PushPeer {
  /** Its process, at the time it connected or began to listen; 0 where the system does not tell. */
  readonly pid: number;
  /** Its user. */
  readonly uid: number;
}

/**
 * Checks a path.
 *
 * @throws {RangeError} When it cannot be one of a Unix socket.
 */
export function checkPath(path: string): void {
  encodePath(LINUX_SOCKETS, path);
}

/**
 * Connects to a path, without waiting.
 *
 * @param calls The C library.
 * @param path The path.
 * @param users Whose process may be there.
 * @returns The socket, and who is there.
 * @throws {PushError} `unreachable` or `peer`.
 */
export function connectPath(
  calls: SocketCalls,
  path: string,
  users: TrustedUsers | undefined,
): { readonly fd: number; readonly peer: PushPeer } {
  const fd = open(calls);
  try {
    const address = encodePath(LINUX_SOCKETS, path);
    if (calls.call.connect(fd, address, address.length) !== 0) {
      throw unreachable(path, calls.errno());
    }
    const peer = peerCredentials(calls, fd);
    if (!isTrusted(calls, peer, users)) {
      throw new PushError(
        `Cannot push to ${path}: a process of user ${peer?.uid ?? "unknown"} listens there`,
        {
          code: "peer",
          operation: "push a socket",
          hint: "Name the user in the option users if that is meant",
        },
      );
    }
    return { fd, peer: { pid: peer?.pid ?? 0, uid: peer?.uid ?? -1 } };
  } catch (error) {
    calls.call.close(fd);
    throw error;
  }
}

/**
 * Listens on a path, in the place of a process that has left its socket behind.
 *
 * @param calls The C library.
 * @param path The path.
 * @param users Whose processes may connect; with any but our own the file lets everybody try.
 * @returns The socket.
 * @throws {PushError} `listen`.
 */
export function listenPath(calls: SocketCalls, path: string, users: TrustedUsers | undefined): number {
  const address = encodePath(LINUX_SOCKETS, path);
  const fd = open(calls);
  try {
    // Linux gives the file the mode of the socket that is bound, so there is no moment in which others could connect.
    calls.call.fchmod(fd, users === undefined ? 0o600 : 0o666);
    for (let tries = 0;; tries++) {
      if (calls.call.bind(fd, address, address.length) === 0) break;
      const errno = calls.errno();
      if (errno !== EADDRINUSE || tries > 2) throw cannotListen(path, `error ${errno} of the system`);
      const obstacle = obstacleAt(calls, path);
      if (obstacle !== null) throw cannotListen(path, obstacle);
      calls.call.unlink(cString(path));
    }
    calls.check(calls.call.listen(fd, BACKLOG), "listen");
    return fd;
  } catch (error) {
    calls.call.close(fd);
    throw error;
  }
}

/** Removes the file of a socket that nobody listens on any more; somebody else's, who came meanwhile, stays. */
export function removePath(calls: SocketCalls, path: string): void {
  if (obstacleAt(calls, path) === null) calls.call.unlink(cString(path));
}

/** Whether a process belongs to somebody who is trusted. */
export function isTrusted(
  calls: SocketCalls,
  peer: { readonly uid: number } | null,
  users: TrustedUsers | undefined,
): boolean {
  if (users === "anyone") return true;
  return peer !== null && (users ?? [calls.call.geteuid()]).includes(peer.uid);
}

/** What is at a path besides a socket that nobody listens on; `null` where there is only that, or nothing. */
function obstacleAt(calls: SocketCalls, path: string): string | null {
  const { call } = calls;
  // A socket cannot be opened as a file; nothing else says it like that to one who only reads.
  const file = call.open(cString(path), O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW, 0);
  const refusal = file < 0 ? calls.errno() : 0;
  if (file >= 0) call.close(file);
  if (refusal === ENOENT) return null;
  if (refusal !== ENXIO) return "a file is there that is no socket";
  const fd = open(calls);
  try {
    const address = encodePath(LINUX_SOCKETS, path);
    if (call.connect(fd, address, address.length) === 0) return "a process listens there";
    const errno = calls.errno();
    return errno === ECONNREFUSED || errno === ENOENT ? null : "a process listens there";
  } finally {
    call.close(fd);
  }
}

function open(calls: SocketCalls): number {
  return calls.check(
    calls.call.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
    "open a Unix socket",
  );
}

function unreachable(path: string, errno: number): PushError {
  const why = errno === ENOENT
    ? "nothing is there"
    : errno === ECONNREFUSED
    ? "nobody listens there"
    : errno === EAGAIN
    ? "too many wait there to be accepted"
    : `error ${errno} of the system`;
  return new PushError(`Cannot push to ${path}: ${why}`, { code: "unreachable", operation: "push a socket" });
}

function cannotListen(path: string, why: string): PushError {
  return new PushError(`Cannot receive sockets on ${path}: ${why}`, {
    code: "listen",
    operation: "receive sockets",
  });
}

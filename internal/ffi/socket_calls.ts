/** The calls of the C library that sockets between processes need: opened once per isolate, with one piece of memory. */

import { HoldfastError } from "../errors.ts";
import { openLibc } from "./libc.ts";
import { systemError } from "./libc_linux.ts";
import { shareLibrary } from "./shared.ts";

const SYMBOLS = {
  /** int socket(int domain, int type, int protocol) */
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  /** int socketpair(int domain, int type, int protocol, int pair[2]) */
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  /** int bind(int fd, const struct sockaddr *addr, socklen_t len) */
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  /** int listen(int fd, int backlog) */
  listen: { parameters: ["i32", "i32"], result: "i32" },
  /** int connect(int fd, const struct sockaddr *addr, socklen_t len) */
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  /** int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags) */
  accept4: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  /** ssize_t sendmsg(int fd, const struct msghdr *message, int flags) */
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  /** ssize_t recvmsg(int fd, struct msghdr *message, int flags) */
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  /** ssize_t send(int fd, const void *buf, size_t n, int flags) */
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  /** ssize_t recv(int fd, void *buf, size_t n, int flags) */
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  /** int getsockopt(int fd, int level, int name, void *value, socklen_t *len) */
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  /** int setsockopt(int fd, int level, int name, const void *value, socklen_t len) */
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  /** int getsockname(int fd, struct sockaddr *addr, socklen_t *len) */
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  /** int getpeername(int fd, struct sockaddr *addr, socklen_t *len) */
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  /** int shutdown(int fd, int how) */
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  /** int dup3(int old, int new, int flags) */
  dup3: { parameters: ["i32", "i32", "i32"], result: "i32" },
  /** int fcntl(int fd, int cmd, int arg); variadic ones are called in their fixed form, as Linux allows */
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  /** int fchmod(int fd, mode_t mode) */
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
  /** int open(const char *path, int flags, mode_t mode) */
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  /** int unlink(const char *path) */
  unlink: { parameters: ["buffer"], result: "i32" },
  /** ssize_t readlink(const char *path, char *buf, size_t n) */
  readlink: { parameters: ["buffer", "buffer", "usize"], result: "i32" },
  /** int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event) */
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  /** int close(int fd) */
  close: { parameters: ["i32"], result: "i32" },
  /** uid_t geteuid(void) */
  geteuid: { parameters: [], result: "u32" },
  /** int poll(struct pollfd *fds, nfds_t n, int timeout), on a thread of its own */
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
  /** void *memcpy(void *to, const void *from, size_t n), for the address of memory: no other way needs so little permission */
  address: { name: "memcpy", parameters: ["buffer", "buffer", "usize"], result: "usize" },
  /** int *__errno_location(void), in glibc and musl */
  __errno_location: { parameters: [], result: "pointer" },
  /** void *memcpy(void *to, const void *from, size_t n) */
  memcpy: { parameters: ["buffer", "pointer", "usize"], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

type Bytes = Uint8Array<ArrayBuffer>;

/** The functions; results are negative on failure, sizes are bytes. */
export interface SocketSymbols {
  /** socket(2) */
  socket(domain: number, type: number, protocol: number): number;
  /** socketpair(2) */
  socketpair(domain: number, type: number, protocol: number, pair: Bytes): number;
  /** bind(2) */
  bind(fd: number, address: Bytes, length: number): number;
  /** listen(2) */
  listen(fd: number, backlog: number): number;
  /** connect(2) */
  connect(fd: number, address: Bytes, length: number): number;
  /** accept4(2) */
  accept4(fd: number, address: Bytes | null, length: Bytes | null, flags: number): number;
  /** sendmsg(2) */
  sendmsg(fd: number, message: Bytes, flags: number): number;
  /** recvmsg(2) */
  recvmsg(fd: number, message: Bytes, flags: number): number;
  /** send(2) */
  send(fd: number, data: Bytes, size: bigint, flags: number): number;
  /** recv(2) */
  recv(fd: number, into: Bytes, size: bigint, flags: number): number;
  /** getsockopt(2) */
  getsockopt(fd: number, level: number, name: number, value: Bytes, length: Bytes): number;
  /** setsockopt(2) */
  setsockopt(fd: number, level: number, name: number, value: Bytes, length: number): number;
  /** getsockname(2) */
  getsockname(fd: number, address: Bytes, length: Bytes): number;
  /** getpeername(2) */
  getpeername(fd: number, address: Bytes, length: Bytes): number;
  /** shutdown(2) */
  shutdown(fd: number, how: number): number;
  /** dup3(2) */
  dup3(from: number, to: number, flags: number): number;
  /** fcntl(2) */
  fcntl(fd: number, command: number, argument: number): number;
  /** fchmod(2) */
  fchmod(fd: number, mode: number): number;
  /** open(2) */
  open(path: Bytes, flags: number, mode: number): number;
  /** unlink(2) */
  unlink(path: Bytes): number;
  /** readlink(2) */
  readlink(path: Bytes, into: Bytes, size: bigint): number;
  /** epoll_ctl(2) */
  epoll_ctl(epoll: number, operation: number, fd: number, event: Bytes): number;
  /** close(2) */
  close(fd: number): number;
  /** geteuid(2) */
  geteuid(): number;
  /** poll(2), on a thread of its own */
  poll(descriptors: Bytes, count: bigint, timeout: number): Promise<number>;
  /** The address of memory: memcpy(3) of nothing onto itself. */
  address(of: Bytes, same: Bytes, size: bigint): bigint;
}

/** A hold on the functions. */
export interface SocketCalls extends Disposable {
  /** The functions. */
  readonly call: SocketSymbols;
  /** The error number of the last call that failed; read it before any other call. */
  errno(): number;
  /** Returns a result that is not negative, or throws with the error number in words. */
  check(result: number, operation: string): number;
}

const share = shareLibrary<SocketSymbols>(() => {
  const library = openLibc(SYMBOLS);
  const { symbols } = library;
  return {
    call: symbols,
    errnoPlace: symbols.__errno_location(),
    copy: (to, from, size) => symbols.memcpy(to, from, size),
    close: () => library.close(),
  };
}, systemError);

/**
 * Opens the C library, or takes a further hold on it. The last one to let go closes it.
 *
 * @returns The hold.
 * @throws {PermissionError} Without `--allow-ffi` for the library's path.
 * @throws {HoldfastError} `unsupported` on a system whose calls are not known here.
 */
export function acquireSockets(): SocketCalls {
  if (Deno.build.os !== "linux") {
    throw new HoldfastError(`Cannot use descriptors of sockets: not on ${Deno.build.os}`, {
      code: "unsupported",
      operation: "use descriptors of sockets",
    });
  }
  return share().held;
}

/** The calls of the Linux C library that Holdfast uses, and nothing of its pointers. */

import type { HoldfastError } from "../errors.ts";
import { openLibc } from "./libc.ts";
import { closeOrphans } from "./orphans.ts";
import { type Held, shareLibrary, systemErrors } from "./shared.ts";

// Results of type ssize_t are declared i32: what is read never exceeds a buffer of ours, and an i32 needs no bigint.
// The variadic ones (fcntl, open) are called in their fixed form, as x86-64 and AArch64 Linux allow.
const SYMBOLS = {
  /** int socket(int domain, int type, int protocol) */
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  /** int bind(int fd, const struct sockaddr *addr, socklen_t len) */
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  /** ssize_t sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr, socklen_t len) */
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "i32" },
  /** ssize_t recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *addr, socklen_t *len) */
  recvfrom: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "buffer"], result: "i32" },
  /** int setsockopt(int fd, int level, int name, const void *value, socklen_t len) */
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  /** int fcntl(int fd, int cmd, int arg) */
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  /** int fcntl(int fd, int cmd, struct f_owner_ex *owner) */
  fcntlOwner: { name: "fcntl", parameters: ["i32", "i32", "buffer"], result: "i32" },
  /** long syscall(long number) */
  syscall: { parameters: ["i64"], result: "i32" },
  /** int open(const char *path, int flags, mode_t mode) */
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  /** ssize_t read(int fd, void *buf, size_t n) */
  read: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  /** ssize_t readlink(const char *path, char *buf, size_t n) */
  readlink: { parameters: ["buffer", "buffer", "usize"], result: "i32" },
  /** int close(int fd) */
  close: { parameters: ["i32"], result: "i32" },
  /** int inotify_init1(int flags) */
  inotify_init1: { parameters: ["i32"], result: "i32" },
  /** int inotify_add_watch(int fd, const char *path, uint32_t mask) */
  inotify_add_watch: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  /** int inotify_rm_watch(int fd, int wd) */
  inotify_rm_watch: { parameters: ["i32", "i32"], result: "i32" },
  /** int clock_gettime(clockid_t clock, struct timespec *ts) */
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  /** int *__errno_location(void), in glibc and musl */
  __errno_location: { parameters: [], result: "pointer" },
  /** void *memcpy(void *to, const void *from, size_t n) */
  memcpy: { parameters: ["buffer", "pointer", "usize"], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

/** Error numbers of Linux (asm-generic/errno.h), the same on x86-64 and AArch64. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EBADF: 9,
  EAGAIN: 11,
  EACCES: 13,
  EBUSY: 16,
  EINVAL: 22,
  EOPNOTSUPP: 95,
  ENETUNREACH: 101,
  ENOBUFS: 105,
} as const;

/** Makes the error for a system call that failed, of the error number and of what was being done. */
export const systemError: (errno: number, operation: string) => HoldfastError = systemErrors(ERRNO);

type Bytes = Uint8Array<ArrayBuffer>;

/** The functions; results are negative on failure, sizes are bytes. */
export interface LibcCalls {
  /** socket(2) */
  socket(domain: number, type: number, protocol: number): number;
  /** bind(2) */
  bind(fd: number, address: Bytes, length: number): number;
  /** sendto(2) */
  sendto(fd: number, data: Bytes, size: bigint, flags: number, address: Bytes, length: number): number;
  /** recvfrom(2) */
  recvfrom(fd: number, into: Bytes, size: bigint, flags: number, address: Bytes, length: Bytes): number;
  /** setsockopt(2) */
  setsockopt(fd: number, level: number, name: number, value: Bytes, length: number): number;
  /** fcntl(2) */
  fcntl(fd: number, command: number, argument: number): number;
  /** fcntl(2), with F_GETOWN_EX and F_SETOWN_EX */
  fcntlOwner(fd: number, command: number, owner: Bytes): number;
  /** syscall(2), for those without arguments */
  syscall(number: bigint): number;
  /** open(2) */
  open(path: Bytes, flags: number, mode: number): number;
  /** read(2) */
  read(fd: number, into: Bytes, size: bigint): number;
  /** readlink(2) */
  readlink(path: Bytes, into: Bytes, size: bigint): number;
  /** close(2) */
  close(fd: number): number;
  /** inotify_init1(2) */
  inotify_init1(flags: number): number;
  /** inotify_add_watch(2) */
  inotify_add_watch(fd: number, path: Bytes, mask: number): number;
  /** inotify_rm_watch(2) */
  inotify_rm_watch(fd: number, watch: number): number;
  /** clock_gettime(2) */
  clock_gettime(clock: number, into: Bytes): number;
}

/** A hold on the C library, which is opened once per isolate. */
export type Libc = Held<LibcCalls>;

const share = shareLibrary<LibcCalls>(() => {
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
 * @throws {HoldfastError} `unsupported` where there is none.
 */
export function acquireLibc(): Libc {
  const { held, first } = share();
  if (first) closeOrphans(held);
  return held;
}

/** Text as a C string. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

/**
 * Reads a small file through the C library, which needs no `--allow-read`.
 *
 * @param libc The library.
 * @param path Absolute path.
 * @param limit How many bytes are taken at most.
 * @returns Its content, or `null` where it cannot be opened or read.
 */
export function readFile(libc: Libc, path: string, limit: number = 64 * 1024): Uint8Array | null {
  const O_CLOEXEC = 0x80000;
  const fd = libc.call.open(cString(path), O_CLOEXEC, 0);
  if (fd < 0) return null;
  try {
    const buffer = new Uint8Array(limit);
    let size = 0;
    while (size < limit) {
      const count = libc.call.read(fd, buffer.subarray(size), BigInt(limit - size));
      if (count < 0) return null;
      if (count === 0) break;
      size += count;
    }
    return buffer.subarray(0, size);
  } finally {
    libc.call.close(fd);
  }
}

/** The target of a symbolic link, as it is written there, or `null` where the path is no link. */
export function readLink(libc: Libc, path: string): string | null {
  const buffer = new Uint8Array(4096);
  const size = libc.call.readlink(cString(path), buffer, BigInt(buffer.length));
  return size < 0 ? null : new TextDecoder().decode(buffer.subarray(0, size));
}

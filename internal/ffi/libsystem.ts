/**
 * The calls of macOS's libSystem that Holdfast uses, and nothing of its pointers.
 *
 * On arm64 macOS the arguments behind the fixed ones of a variadic function travel on the stack: with six dummies in the
 * registers the real one is the ninth and lands there (dotnet/runtime issue 48796). On x86-64 they travel as any other.
 */

import { HoldfastError, isNotCapable, PermissionError } from "../errors.ts";
import { flagsOf } from "../permissions.ts";
import { LIBSYSTEM } from "./libc.ts";
import { type Held, type OpenLibrary, shareLibrary, systemErrors } from "./shared.ts";

// Results of type ssize_t are declared i32: what is read never exceeds a buffer of ours, and an i32 needs no bigint.
const FIXED = {
  /** int socket(int domain, int type, int protocol) */
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  /** int setsockopt(int fd, int level, int name, const void *value, socklen_t len) */
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  /** ssize_t recv(int fd, void *buf, size_t n, int flags) */
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  /** int open(const char *path, int flags, ...), whose third argument counts with O_CREAT only */
  open: { parameters: ["buffer", "i32"], result: "i32" },
  /** ssize_t read(int fd, void *buf, size_t n) */
  read: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  /** ssize_t write(int fd, const void *buf, size_t n) */
  write: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  /** int close(int fd) */
  close: { parameters: ["i32"], result: "i32" },
  /** int sysctl(int *name, u_int count, void *old, size_t *oldlen, void *new, size_t newlen) */
  sysctl: { parameters: ["buffer", "u32", "buffer", "buffer", "buffer", "usize"], result: "i32" },
  /** int clock_gettime(clockid_t clock, struct timespec *ts) */
  clock_gettime: { parameters: ["u32", "buffer"], result: "i32" },
  /** uint32_t notify_register_signal(const char *name, int sig, int *token) */
  notify_register_signal: { parameters: ["buffer", "i32", "buffer"], result: "u32" },
  /** uint32_t notify_register_check(const char *name, int *token) */
  notify_register_check: { parameters: ["buffer", "buffer"], result: "u32" },
  /** uint32_t notify_check(int token, int *changed) */
  notify_check: { parameters: ["i32", "buffer"], result: "u32" },
  /** uint32_t notify_cancel(int token) */
  notify_cancel: { parameters: ["i32"], result: "u32" },
  /** int *__error(void) */
  __error: { parameters: [], result: "pointer" },
  /** void *memcpy(void *to, const void *from, size_t n) */
  memcpy: { parameters: ["buffer", "pointer", "usize"], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

const X86_64 = {
  /** int fcntl(int fd, int cmd, ...) */
  fcntl: { parameters: ["i32", "i32", "i64"], result: "i32" },
  /** int ioctl(int fd, unsigned long request, ...) */
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const AARCH64 = {
  /** int fcntl(int fd, int cmd, ...) */
  fcntl: { parameters: ["i32", "i32", "i64", "i64", "i64", "i64", "i64", "i64", "i64"], result: "i32" },
  /** int ioctl(int fd, unsigned long request, ...) */
  ioctl: { parameters: ["i32", "u64", "i64", "i64", "i64", "i64", "i64", "i64", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The declarations: the fixed functions, and the variadic ones for each processor. */
export const SYMBOLS: {
  readonly fixed: Deno.ForeignLibraryInterface;
  readonly x86_64: Deno.ForeignLibraryInterface;
  readonly aarch64: Deno.ForeignLibraryInterface;
} = { fixed: FIXED, x86_64: X86_64, aarch64: AARCH64 };

/** Error numbers of macOS (sys/errno.h). */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  ENXIO: 6,
  EBADF: 9,
  ENOMEM: 12,
  EACCES: 13,
  EINVAL: 22,
  EAGAIN: 35,
  EADDRNOTAVAIL: 49,
  ENETUNREACH: 51,
  ENOBUFS: 55,
  EOPNOTSUPP: 102,
} as const;

/** Makes the error for a system call that failed, of the error number and of what was being done. */
export const systemError: (errno: number, operation: string) => HoldfastError = systemErrors(ERRNO);

type Bytes = Uint8Array<ArrayBuffer>;

/** The functions; results are negative on failure (those of notify(3) not 0), sizes are bytes. */
export interface LibSystemCalls {
  /** socket(2) */
  socket(domain: number, type: number, protocol: number): number;
  /** setsockopt(2) */
  setsockopt(fd: number, level: number, name: number, value: Bytes, length: number): number;
  /** recv(2) */
  recv(fd: number, into: Bytes, size: bigint, flags: number): number;
  /** open(2), of what exists */
  open(path: Bytes, flags: number): number;
  /** read(2) */
  read(fd: number, into: Bytes, size: bigint): number;
  /** write(2) */
  write(fd: number, data: Bytes, size: bigint): number;
  /** close(2) */
  close(fd: number): number;
  /** fcntl(2) */
  fcntl(fd: number, command: number, argument: number): number;
  /** ioctl(2) */
  ioctl(fd: number, request: bigint, data: Bytes): number;
  /** sysctl(3) */
  sysctl(
    name: Bytes,
    count: number,
    into: Bytes | null,
    size: Bytes,
    value: Bytes | null,
    length: bigint,
  ): number;
  /** clock_gettime(3) */
  clock_gettime(clock: number, into: Bytes): number;
  /** notify_register_signal(3) */
  notify_register_signal(name: Bytes, signal: number, token: Bytes): number;
  /** notify_register_check(3) */
  notify_register_check(name: Bytes, token: Bytes): number;
  /** notify_check(3) */
  notify_check(token: number, changed: Bytes): number;
  /** notify_cancel(3) */
  notify_cancel(token: number): number;
}

/** A hold on libSystem. */
export type LibSystem = Held<LibSystemCalls>;

const share = shareLibrary(
  () => Deno.build.arch === "aarch64" ? openAarch64() : openX86(),
  systemError,
);

/**
 * Opens libSystem, or takes a further hold on it. The last one to let go closes it.
 *
 * @returns The hold.
 * @throws {PermissionError} Without `--allow-ffi` for the library's path.
 * @throws {HoldfastError} `unsupported` where it cannot be opened.
 */
export function acquireLibSystem(): LibSystem {
  return share().held;
}

/**
 * Reads a small file through libSystem, which needs no `--allow-read`.
 *
 * @param system The library.
 * @param path Absolute path.
 * @param limit How many bytes are taken at most.
 * @returns Its content, or `null` where it cannot be opened or read.
 */
export function readFile(system: LibSystem, path: string, limit: number = 64 * 1024): Uint8Array | null {
  const O_CLOEXEC = 0x1000000;
  const fd = system.call.open(new TextEncoder().encode(`${path}\0`), O_CLOEXEC);
  if (fd < 0) return null;
  try {
    const buffer = new Uint8Array(limit);
    let size = 0;
    while (size < limit) {
      const count = system.call.read(fd, buffer.subarray(size), BigInt(limit - size));
      if (count < 0) return null;
      if (count === 0) break;
      size += count;
    }
    return buffer.subarray(0, size);
  } finally {
    system.call.close(fd);
  }
}

function openX86(): OpenLibrary<LibSystemCalls> {
  const library = dlopen({ ...FIXED, ...X86_64 });
  const { symbols } = library;
  return opened(library, {
    ...symbols,
    fcntl: (fd, command, argument) => symbols.fcntl(fd, command, BigInt(argument)),
  });
}

function openAarch64(): OpenLibrary<LibSystemCalls> {
  const library = dlopen({ ...FIXED, ...AARCH64 });
  const { symbols } = library;
  return opened(library, {
    ...symbols,
    fcntl: (fd, command, argument) => symbols.fcntl(fd, command, 0n, 0n, 0n, 0n, 0n, 0n, BigInt(argument)),
    ioctl: (fd, request, data) => symbols.ioctl(fd, request, 0n, 0n, 0n, 0n, 0n, 0n, data),
  });
}

function opened(
  library: { readonly symbols: Deno.StaticForeignLibraryInterface<typeof FIXED>; close(): void },
  call: LibSystemCalls,
): OpenLibrary<LibSystemCalls> {
  const { symbols } = library;
  return {
    call,
    errnoPlace: symbols.__error(),
    copy: (to, from, size) => symbols.memcpy(to, from, size),
    close: () => library.close(),
  };
}

function dlopen<const S extends Deno.ForeignLibraryInterface>(symbols: S): Deno.DynamicLibrary<S> {
  const operation = "open libSystem";
  try {
    return Deno.dlopen(LIBSYSTEM, symbols);
  } catch (error) {
    if (isNotCapable(error)) {
      throw new PermissionError(operation, flagsOf([{ name: "ffi", path: LIBSYSTEM }]), error);
    }
    throw new HoldfastError(`Cannot ${operation}: ${error instanceof Error ? error.message : error}`, {
      code: "unsupported",
      operation,
      cause: error,
      hint: 'Name another backend, for example "route-monitor" or "poll"',
    });
  }
}

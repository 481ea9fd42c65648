/** What Linux can do with sockets and the runtime does not offer: options of descriptors, resets, binding to an interface. */

import { HoldfastError } from "../errors.ts";
import { parseIp } from "../ip.ts";
import { openLibc } from "./libc.ts";
import { cString, systemError } from "./libc_linux.ts";
import { type Held, shareLibrary } from "./shared.ts";

const SYMBOLS = {
  /** int socket(int domain, int type, int protocol) */
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  /** int bind(int fd, const struct sockaddr *addr, socklen_t len) */
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  /** int connect(int fd, const struct sockaddr *addr, socklen_t len) */
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  /** int shutdown(int fd, int how) */
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  /** int close(int fd) */
  close: { parameters: ["i32"], result: "i32" },
  /** int poll(struct pollfd *fds, nfds_t n, int timeout), on a thread of its own */
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
  /** int getsockname(int fd, struct sockaddr *addr, socklen_t *len) */
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  /** int getpeername(int fd, struct sockaddr *addr, socklen_t *len) */
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  /** int getsockopt(int fd, int level, int name, void *value, socklen_t *len) */
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  /** int setsockopt(int fd, int level, int name, const void *value, socklen_t len) */
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  /** unsigned int if_nametoindex(const char *name) */
  if_nametoindex: { parameters: ["buffer"], result: "u32" },
  /** int *__errno_location(void), in glibc and musl */
  __errno_location: { parameters: [], result: "pointer" },
  /** void *memcpy(void *to, const void *from, size_t n) */
  memcpy: { parameters: ["buffer", "pointer", "usize"], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

// asm-generic/socket.h, bits/socket.h, netinet/tcp.h, asm-generic/errno.h: the same on x86-64 and AArch64.
const [AF_UNSPEC, AF_INET, AF_INET6] = [0, 2, 10];
const [SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC] = [1, 0x800, 0x80000];
const [SOL_SOCKET, IPPROTO_TCP] = [1, 6];
const [SO_ERROR, SO_BINDTODEVICE, SO_ACCEPTCONN] = [4, 25, 30];
const TCP_NODELAY = 1;
const [POLLOUT, SHUT_RDWR] = [4, 2];
const [EBADF, EINPROGRESS, ENODEV] = [9, 115, 19];

/** Numbers are given out from the lowest free one on, so beyond a gap like this there is hardly anything. */
const GAP = 256;

/** The most descriptors that are looked at for one of them. */
const MOST = 4096;

/** The names of the errors that connecting gives (asm-generic/errno.h). */
const CONNECT_ERRORS: Readonly<Record<number, string>> = {
  1: "EPERM",
  13: "EACCES",
  22: "EINVAL",
  97: "EAFNOSUPPORT",
  98: "EADDRINUSE",
  99: "EADDRNOTAVAIL",
  100: "ENETDOWN",
  101: "ENETUNREACH",
  103: "ECONNABORTED",
  104: "ECONNRESET",
  110: "ETIMEDOUT",
  111: "ECONNREFUSED",
  113: "EHOSTUNREACH",
};

type Calls = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
type Bytes = Uint8Array<ArrayBuffer>;

/** An address with its port, as sockets have them. */
export interface SocketAddress {
  /** The address; one of IPv6 may have a zone. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
}

const share = shareLibrary<Calls>(() => {
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
 * Lets whatever a listening socket accepts send small writes at once: on Linux an accepted socket has the options of its
 * listener (TCP_NODELAY, tcp(7)).
 *
 * @param address Where this process listens.
 * @returns Whether such a socket was found.
 * @throws {PermissionError} Without `--allow-ffi` for the C library.
 */
export function setListenerNoDelay(address: SocketAddress): boolean {
  using libc = share().held;
  const one = new Uint8Array(new Int32Array([1]).buffer);
  const set = (fd: number): boolean =>
    option(libc.call, fd, SOL_SOCKET, SO_ACCEPTCONN) === 1 &&
    libc.call.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, one, 4) === 0;
  return find(libc, address, undefined, set);
}

/**
 * Ends a connection of this process by a reset: what it has not sent is lost, and the other end is told so.
 *
 * @param local Its own end.
 * @param remote Its other end.
 * @returns Whether it was found.
 * @throws {PermissionError} Without `--allow-ffi` for the C library.
 */
export function resetConnection(local: SocketAddress, remote: SocketAddress): boolean {
  using libc = share().held;
  // Dissolving the association resets it at once (connect(2), "AF_UNSPEC"); a close would send a regular end first.
  const nowhere = new Uint8Array(16);
  nowhere[0] = AF_UNSPEC;
  return find(libc, local, remote, (fd) => libc.call.connect(fd, nowhere, nowhere.length) === 0);
}

/** What {@linkcode connectThrough} takes. */
export interface ConnectThroughOptions {
  /** The interface. */
  readonly device: string;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/**
 * Connects through one interface, whatever the routes say (SO_BINDTODEVICE, socket(7); from Linux 5.7 on without privileges).
 *
 * @param address Where to.
 * @param options The interface, and what calls it off.
 * @returns The descriptor of the connected socket, whose owner is the caller.
 * @throws {PermissionError} Without `--allow-ffi` for the C library.
 * @throws What the system said, with its `code`; {@linkcode HoldfastError} where there is no such interface.
 */
export async function connectThrough(
  address: SocketAddress,
  options: ConnectThroughOptions,
): Promise<number> {
  const { device, signal } = options;
  signal.throwIfAborted();
  using libc = share().held;
  const { call } = libc;
  const operation = `connect through "${device}"`;
  const name = encode(libc, address);
  const fd = libc.check(
    call.socket(name[0] ?? 0, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
    operation,
  );
  const abort = (): void => void call.shutdown(fd, SHUT_RDWR);
  try {
    const bytes = cString(device);
    if (call.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, bytes, bytes.length) !== 0) {
      throw deviceError(libc.errno(), device, operation);
    }
    if (call.connect(fd, name, name.length) !== 0) {
      const errno = libc.errno();
      if (errno !== EINPROGRESS) throw connectError(errno, operation);
      signal.addEventListener("abort", abort, { once: true });
      // struct pollfd { int fd; short events; short revents; }
      const poll = new Int32Array([fd, POLLOUT]);
      await call.poll(new Uint8Array(poll.buffer), 1n, -1);
      signal.throwIfAborted();
      const failed = option(call, fd, SOL_SOCKET, SO_ERROR);
      if (failed !== 0) throw connectError(failed, operation);
    }
    return fd;
  } catch (error) {
    call.close(fd);
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Does something with the sockets of this process that have these addresses, until it says that it is done. */
function find(
  libc: Held<Calls>,
  local: SocketAddress,
  remote: SocketAddress | undefined,
  work: (fd: number) => boolean,
): boolean {
  const [own, other] = [key(local), remote && key(remote)];
  let last = 0;
  for (let fd = 3; fd - last < GAP && fd < MOST; fd++) {
    const name = nameOf(libc, "getsockname", fd);
    if (name !== undefined) last = fd;
    if (name !== own || (other !== undefined && nameOf(libc, "getpeername", fd) !== other)) continue;
    if (work(fd)) return true;
  }
  return false;
}

/** The address of a socket in the form of {@linkcode key}; `null` for what has none, `undefined` for what is not open. */
function nameOf(
  libc: Held<Calls>,
  call: "getsockname" | "getpeername",
  fd: number,
): string | null | undefined {
  const bytes = new Uint8Array(128);
  const length = new Uint8Array(new Uint32Array([bytes.length]).buffer);
  if (libc.call[call](fd, bytes, length) !== 0) return libc.errno() === EBADF ? undefined : null;
  const view = new DataView(bytes.buffer);
  const family = view.getUint16(0, true);
  if (family !== AF_INET && family !== AF_INET6) return null;
  const address = family === AF_INET ? bytes.subarray(4, 8) : bytes.subarray(8, 24);
  return `${address.toHex()} ${view.getUint16(2)}`;
}

/** An address to compare by: the runtime prints one of IPv4 on a socket of IPv6 as IPv6, and so are its bytes. */
function key({ hostname, port }: SocketAddress): string {
  return `${parseIp(hostname.replace(/%.*$/, ""))?.toHex() ?? ""} ${port}`;
}

/** struct sockaddr_in, struct sockaddr_in6 */
function encode(libc: Held<Calls>, { hostname, port }: SocketAddress): Bytes {
  const [text = "", zone] = hostname.split("%");
  const address = parseIp(text);
  if (!address) throw new TypeError(`Cannot connect: an IP address is needed, got "${hostname}"`);
  const bytes = new Uint8Array(address.length === 4 ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, address.length === 4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  bytes.set(address, address.length === 4 ? 4 : 8);
  if (zone !== undefined && bytes.length === 28) {
    view.setUint32(24, libc.call.if_nametoindex(cString(zone)), true);
  }
  return bytes;
}

function option(call: Calls, fd: number, level: number, name: number): number {
  const value = new Int32Array(1);
  const length = new Uint8Array(new Uint32Array([4]).buffer);
  return call.getsockopt(fd, level, name, new Uint8Array(value.buffer), length) === 0 ? value[0] ?? -1 : -1;
}

function deviceError(errno: number, device: string, operation: string): HoldfastError {
  if (errno !== ENODEV) return systemError(errno, operation);
  return new HoldfastError(`Cannot ${operation}: there is no such interface`, {
    code: "no-interface",
    operation,
    hint: `Look at the names of the interfaces, "${device}" is not among them`,
  });
}

function connectError(errno: number, operation: string): Error {
  const code = CONNECT_ERRORS[errno] ?? `errno ${errno}`;
  return Object.assign(new Error(`Cannot ${operation}: ${code}`), { code, errno });
}

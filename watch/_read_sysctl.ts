/** Reads the network from macOS's tables: sysctl(3) for interfaces and neighbours, a routing socket for the way out. */

import { HoldfastError } from "../internal/errors.ts";
import { acquireLibSystem, ERRNO, type LibSystem, readFile, systemError } from "../internal/ffi/libsystem.ts";
import { parseIp } from "../internal/ip.ts";
import {
  type AddressState,
  type Details,
  gatewayMac,
  type Media,
  toDefaultRoute,
  toInterfaces,
} from "./_darwin_state.ts";
import type { Reader } from "./_readers.ts";
import { PROBE, type Reading } from "./_reading.ts";
import { readDns } from "./_resolv.ts";
import {
  AF,
  buildLookUp,
  parseRoute,
  parseRouteMessages,
  type RouteMessage,
  RTF,
  RTM,
} from "./_route_socket.ts";
import type { DnsConfig } from "./state.ts";

const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const MSG_DONTWAIT = 0x80;

const CTL_NET = 4;
const NET_RT_FLAGS = 2;
const NET_RT_IFLIST2 = 6;
/** How often a table that grew between the question for its size and the one for itself is asked for again. */
const TABLE_TRIES = 5;
const MAX_TABLE = 64 * 1024 * 1024;

/** struct ifmediareq: name 0/16, status 24/4, active 28/4. */
const SIOCGIFMEDIA = 0xc02c6938n;
const MEDIA_REQUEST = 44;
/** struct in6_ifreq: name 0/16, then sockaddr_in6 going in and flags u32, or times i64 expire and preferred, coming out. */
const SIOCGIFAFLAG_IN6 = 0xc1206949n;
const SIOCGIFALIFETIME_IN6 = 0xc1206951n;
const ADDRESS_REQUEST = 288;

/** Routing messages are far smaller; the socket gives one a call. */
const BUFFER = 16 * 1024;

/** Reads the kernel's tables by sysctl(3). */
export function sysctlReader(acquire: () => LibSystem = acquireLibSystem): Reader {
  const stack = new DisposableStack();
  try {
    const reader = stack.use(new SysctlReader(stack.use(acquire())));
    const owned = stack.move();
    return { name: "sysctl", read: () => reader.read(), [Symbol.dispose]: () => owned.dispose() };
  } catch (error) {
    stack.dispose();
    throw error;
  }
}

/** Opens a socket that children do not inherit. */
export function openSocket(system: LibSystem, domain: number, type: number, operation: string): number {
  const fd = system.check(system.call.socket(domain, type, 0), operation);
  if (system.call.fcntl(fd, F_SETFD, FD_CLOEXEC) >= 0) return fd;
  const error = systemError(system.errno(), operation);
  system.call.close(fd);
  throw error;
}

/** Opens a routing socket. */
export function openRouteSocket(system: LibSystem): number {
  return openSocket(system, AF.ROUTE, SOCK_RAW, "open routing socket");
}

/** Receives what a routing socket holds. */
export class RouteReceiver {
  readonly #system: LibSystem;
  readonly #fd: number;
  readonly #buffer = new Uint8Array(BUFFER);

  /**
   * @param system The library.
   * @param fd The socket.
   */
  constructor(system: LibSystem, fd: number) {
    this.#system = system;
    this.#fd = fd;
  }

  /** What one call gave (valid until the next), the error number, or `null` when there is nothing. */
  receive(): Uint8Array | number | null {
    while (true) {
      const size = this.#system.call.recv(this.#fd, this.#buffer, BigInt(BUFFER), MSG_DONTWAIT);
      if (size >= 0) return this.#buffer.subarray(0, size);
      const errno = this.#system.errno();
      if (errno !== ERRNO.EINTR) return errno === ERRNO.EAGAIN ? null : errno;
    }
  }
}

/** Reads the resolver's configuration, which configd keeps in resolv.conf as well. */
export function readDnsBySystem(system: LibSystem): DnsConfig | null {
  return readDns((path) => {
    const bytes = readFile(system, path);
    if (bytes) return new TextDecoder().decode(bytes);
    return system.errno() === ERRNO.ENOENT ? "" : null;
  });
}

/** Reads everything. */
export class SysctlReader implements Disposable {
  readonly #system: LibSystem;
  /** A socket to ask the interfaces by. */
  readonly #fd: number;
  readonly #details: Details;
  /** What to ask the way with; older kernels may not know the silent form. */
  #lookUp: number = RTM.GET_SILENT;
  #seq = 1;

  /**
   * @param system The library.
   * @throws {HoldfastError} `system` where a socket is refused.
   */
  constructor(system: LibSystem) {
    this.#system = system;
    this.#fd = openSocket(system, AF.INET6, SOCK_DGRAM, "open socket for interface requests");
    this.#details = {
      media: (name) => this.#media(name),
      address: (name, address) => this.#address(name, address),
    };
  }

  /** Closes the socket. */
  [Symbol.dispose](): void {
    this.#system.call.close(this.#fd);
  }

  /** Reads the tables. */
  read(): Reading {
    const at = Date.now();
    const interfaces = toInterfaces(this.#table(NET_RT_IFLIST2, 0), this.#details, at);
    const defaultRoute = {
      v4: toDefaultRoute(this.#way(PROBE.v4), 4, interfaces),
      v6: toDefaultRoute(this.#way(PROBE.v6), 6, interfaces),
    };
    const { v4, v6 } = defaultRoute;
    const neighbours = v4?.gateway || v6?.gateway ? this.#table(NET_RT_FLAGS, RTF.LLINFO) : new Uint8Array();
    const dns = readDnsBySystem(this.#system);
    return {
      at,
      interfaces,
      defaultRoute,
      gatewayMac: { v4: gatewayMac(neighbours, v4), v6: gatewayMac(neighbours, v6) },
      dns,
      blind: dns === null ? ["dns"] : [],
    };
  }

  /** A table of the routing code: how long it is, some more room as it may grow, then itself. */
  #table(what: number, argument: number): Uint8Array {
    const operation = "read routing table";
    const name = new Uint8Array(new Int32Array([CTL_NET, AF.ROUTE, 0, 0, what, argument]).buffer);
    const size = new BigUint64Array(1);
    const sizeBytes = new Uint8Array(size.buffer);
    const { call } = this.#system;
    for (let attempt = 1;; attempt++) {
      this.#system.check(call.sysctl(name, 6, null, sizeBytes, null, 0n), operation);
      const needed = Number(size[0]);
      const room = Math.min(needed + Math.ceil(needed / 8) + 1024, MAX_TABLE);
      const table = new Uint8Array(room);
      size[0] = BigInt(room);
      if (call.sysctl(name, 6, table, sizeBytes, null, 0n) >= 0) return table.subarray(0, Number(size[0]));
      const errno = this.#system.errno();
      if (errno !== ERRNO.ENOMEM || attempt === TABLE_TRIES) throw systemError(errno, operation);
    }
  }

  /**
   * Asks the kernel for the way to an address.
   *
   * It is its own look-up, right under VPNs that cover the world by two halves, names the source, and costs the same
   * whatever the size of the table. The silent form is answered to the asker alone: the answer to the plain one reaches
   * every routing socket on the machine. The socket is opened for the one question, as it also hears all that happens.
   */
  #way(destination: string): RouteMessage | null {
    const fd = openRouteSocket(this.#system);
    try {
      const seq = this.#seq = (this.#seq + 1) & 0x7fffffff;
      const bytes = parseIp(destination) ?? new Uint8Array();
      if (!this.#ask(fd, bytes, seq)) return null;
      const receiver = new RouteReceiver(this.#system, fd);
      while (true) {
        const received = receiver.receive();
        if (typeof received === "number") throw systemError(received, "read answer of routing socket");
        if (received === null) {
          throw new HoldfastError("Cannot read answer of routing socket: the kernel sent none", {
            code: "protocol",
            operation: "read answer of routing socket",
          });
        }
        for (const message of parseRouteMessages(received)) {
          if (message.type !== RTM.GET) continue;
          const answer = parseRoute(message);
          if (answer.pid === Deno.pid && answer.seq === seq) return answer;
        }
      }
    } finally {
      this.#system.call.close(fd);
    }
  }

  /** Sends a look-up; `false` where the kernel says at once that there is no way. */
  #ask(fd: number, destination: Uint8Array, seq: number): boolean {
    const question = buildLookUp(this.#lookUp, destination, seq);
    if (this.#system.call.write(fd, question, BigInt(question.length)) >= 0) return true;
    const errno = this.#system.errno();
    // Of the plain form the error comes back by the call itself.
    if (errno === ERRNO.ESRCH || errno === ERRNO.ENETUNREACH) return false;
    // Whoever is not root may ask, and do nothing else: that is what an unknown type is taken for.
    if (errno === ERRNO.EPERM && this.#lookUp === RTM.GET_SILENT) {
      this.#lookUp = RTM.GET;
      return this.#ask(fd, destination, seq);
    }
    throw systemError(errno, "ask routing socket");
  }

  #media(name: string): Media | null {
    const request = namedRequest(MEDIA_REQUEST, name);
    // Most virtual ones have no medium and refuse; whatever the reason, there is then nothing to know of a carrier.
    if (this.#system.call.ioctl(this.#fd, SIOCGIFMEDIA, request) < 0) return null;
    const fields = new DataView(request.buffer);
    return { status: fields.getInt32(24, true), active: fields.getInt32(28, true) };
  }

  #address(name: string, address: Uint8Array): AddressState | null {
    const flags = this.#askAddress(SIOCGIFAFLAG_IN6, name, address);
    const times = flags && this.#askAddress(SIOCGIFALIFETIME_IN6, name, address);
    return flags && times && {
      flags: flags.getUint32(16, true),
      expire: Number(times.getBigInt64(16, true)),
      preferred: Number(times.getBigInt64(24, true)),
    };
  }

  #askAddress(what: bigint, name: string, address: Uint8Array): DataView | null {
    const request = namedRequest(ADDRESS_REQUEST, name);
    request.set([28, AF.INET6], 16);
    request.set(address, 24);
    if (this.#system.call.ioctl(this.#fd, what, request) >= 0) return new DataView(request.buffer);
    const errno = this.#system.errno();
    // It went away between the table and the question.
    if (errno === ERRNO.EADDRNOTAVAIL || errno === ERRNO.ENXIO) return null;
    throw systemError(errno, "read state of address");
  }
}

/** A request that begins with an interface's name, of at most 15 bytes and a zero. */
function namedRequest(size: number, name: string): Uint8Array<ArrayBuffer> {
  const request = new Uint8Array(size);
  new TextEncoder().encodeInto(name, request.subarray(0, 15));
  return request;
}

/**
 * The native source on Linux: netlink notifications announced by SIGIO.
 *
 * No thread waits: the kernel raises SIGIO when a message arrives (O_ASYNC), the runtime's own signal handler runs, the
 * socket is drained, and all is read anew. Messages are hints; what they say is not used.
 */

import { acquireLibc, ERRNO, type Libc, systemError } from "../internal/ffi/libc_linux.ts";
import { formatIp } from "../internal/ip.ts";
import { DnsWatch } from "./_dns_linux.ts";
import { parseMessages, parseNeighbour, TYPE } from "./_netlink.ts";
import { NetlinkReader, NetlinkReceiver, openNetlink } from "./_read_netlink.ts";
import type { Reading, Source, SourceEvents } from "./_reading.ts";

/**
 * RTMGRP_LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE: an IPv4 default route
 * leaves with its link and without a message of its own, so routes alone are not enough.
 */
const GROUPS = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x40000;

const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33;
/** 4 MiB hold about 2,700 link messages of 1.5 KB; the default of 208 KiB holds 92. */
const RECEIVE_BUFFER = 4 * 1024 * 1024;

const F_SETFL = 4;
const O_NONBLOCK = 0x800;
const O_ASYNC = 0x2000;
const RT_TABLE_LOCAL = 255;

/** How often a reading is repeated because something changed while it was taken. */
const READ_TRIES = 3;

/**
 * Opens the source.
 *
 * @param events Where it reports.
 * @throws {PermissionError} Without `--allow-ffi` for the C library.
 * @throws {HoldfastError} `system` where the kernel (or a sandbox) refuses the socket or its groups.
 */
export function openNetlinkSource(events: SourceEvents): Source {
  const stack = new DisposableStack();
  try {
    const libc = stack.use(acquireLibc());
    const reader = stack.use(new NetlinkReader(libc));
    const dns = stack.use(new DnsWatch(libc));
    const fd = stack.adopt(openNetlink(libc, GROUPS), (fd) => void libc.call.close(fd));
    enlarge(libc, fd);
    const source = new NetlinkSource(libc, fd, reader, dns, events);
    const handler = (): void => source.onSignal();
    // The handler first: SIGIO without one ends the process. On the way back the descriptors are disarmed first.
    Deno.addSignalListener("SIGIO", handler);
    stack.defer(() => Deno.removeSignalListener("SIGIO", handler));
    for (const armed of [fd, dns.fd]) {
      if (armed < 0) continue;
      arm(libc, armed);
      stack.defer(() => void libc.call.fcntl(armed, F_SETFL, O_NONBLOCK));
    }
    source.owns(stack.move());
    return source;
  } catch (error) {
    stack.dispose();
    throw error;
  }
}

function enlarge(libc: Libc, fd: number): void {
  const size = new Uint8Array(new Uint32Array([RECEIVE_BUFFER]).buffer);
  if (libc.call.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, size, 4) === 0) return;
  // Not privileged: as much as net.core.rmem_max permits.
  libc.call.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, size, 4);
}

function arm(libc: Libc, fd: number): void {
  libc.check(libc.call.fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC), "arm descriptor for SIGIO");
}

class NetlinkSource implements Source {
  readonly backend = "netlink";
  readonly reader = "netlink";
  readonly #libc: Libc;
  readonly #reader: NetlinkReader;
  readonly #dns: DnsWatch;
  readonly #monitor: NetlinkReceiver;
  readonly #events: SourceEvents;
  #stack: DisposableStack | undefined;
  /** The gateways that the last reading found, whose neighbour entries matter. */
  #gateways = new Set<string>();

  constructor(libc: Libc, fd: number, reader: NetlinkReader, dns: DnsWatch, events: SourceEvents) {
    this.#libc = libc;
    this.#reader = reader;
    this.#dns = dns;
    this.#events = events;
    this.#monitor = new NetlinkReceiver(libc, fd);
  }

  owns(stack: DisposableStack): void {
    this.#stack = stack;
  }

  onSignal(): void {
    if (!this.#stack) return;
    try {
      const [netlink, dns] = [this.#drain(), this.#dns.drain()];
      if (netlink || dns) this.#events.hint();
    } catch (error) {
      this.#events.failed(error);
    }
  }

  read(): Reading {
    for (let attempt = 1;; attempt++) {
      const reading = this.#reader.read(this.#dns.read());
      this.#gateways = gatewaysOf(reading);
      // What came in meanwhile may have been read by half only.
      if (!this.#drain() || attempt === READ_TRIES) return reading;
    }
  }

  /** CLOCK_BOOTTIME goes on in sleep, CLOCK_MONOTONIC does not (clock_gettime(2)). */
  sleepClock(): number {
    return this.#clock(7) - this.#clock(1);
  }

  #clock(id: number): number {
    const time = new BigInt64Array(2);
    this.#libc.check(this.#libc.call.clock_gettime(id, new Uint8Array(time.buffer)), "read clock");
    return Number(time[0]) * 1000 + Number(time[1]) / 1e6;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stack?.dispose();
    this.#stack = undefined;
    return Promise.resolve();
  }

  /** Empties the socket; tells whether anything in it asks for a reading. */
  #drain(): boolean {
    let hint = false;
    while (true) {
      const datagram = this.#monitor.receive();
      if (datagram === null) return hint;
      if (datagram === ERRNO.ENOBUFS) {
        hint = true;
        // Until the queue is empty the kernel drops everything, so go on draining, and read afterwards.
        this.#events.overflow("the socket's buffer overflowed");
      } else if (typeof datagram === "number") throw systemError(datagram, "receive netlink message");
      else hint ||= this.#concerns(datagram);
    }
  }

  #concerns(datagram: Uint8Array): boolean {
    for (const { type, body } of parseMessages(datagram)) {
      switch (type) {
        case TYPE.NEWROUTE:
        case TYPE.DELROUTE:
          // rtm_table; routes of the local table come with each address, which is announced by itself.
          if (body[4] !== RT_TABLE_LOCAL) return true;
          break;
        case TYPE.NEWNEIGH:
        case TYPE.DELNEIGH: {
          const { index, address } = parseNeighbour(body);
          if (address && this.#gateways.has(`${index} ${formatIp(address)}`)) return true;
          break;
        }
        default:
          return true;
      }
    }
    return false;
  }
}

function gatewaysOf({ defaultRoute: { v4, v6 } }: Reading): Set<string> {
  return new Set([v4, v6].flatMap((route) => route?.gateway ? [`${route.index} ${route.gateway}`] : []));
}

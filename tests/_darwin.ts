/** A made-up Mac: libSystem on a network that is data. */

import { HoldfastError } from "../internal/errors.ts";
import type { LibSystem, LibSystemCalls } from "../internal/ffi/libsystem.ts";
import type { Machine } from "../watch/_source_routing_socket.ts";
import {
  addressMessage,
  bytesOf,
  interfaceMessage,
  joined,
  type MacInterface,
  type MacRoute,
  message,
  routeMessage,
  struct,
} from "./_darwin_bytes.ts";

/** What the made-up Mac is made of. */
export interface MacNetwork {
  readonly interfaces: readonly MacInterface[];
  readonly v4?: MacRoute;
  readonly v6?: MacRoute;
  readonly neighbours?: readonly MacRoute[];
  /** The resolver's file, or `null` where there is none. */
  readonly resolver?: string | null;
}

const EAGAIN = 35;
const ESRCH = 3;

/** libSystem on a made-up network: what was called stands in `log`, what is open in `open`. */
export class FakeMac {
  /** The network. */
  network: MacNetwork;
  /** What was called, in order. */
  readonly log: string[] = [];
  /** The descriptors and notification tokens that are open. */
  readonly open: Set<string> = new Set();
  /** What the monitoring socket holds; a number is an error number. */
  readonly queue: (Uint8Array | number)[] = [];
  /** Error numbers (of notify: statuses) to give for a call, in order; 0 lets it pass. */
  readonly fails: Partial<Record<keyof LibSystemCalls, number[]>> = {};
  /** Answers a look-up in place of the network. */
  answer: ((seq: number, family: 4 | 6) => Uint8Array[]) | undefined;
  /** Replaces the tables that sysctl gives. */
  table: ((what: number, table: Uint8Array) => Uint8Array) | undefined;
  /** By how many bytes the tables grow right after their size was told, once for each number. */
  readonly growth: number[] = [];
  /** Seconds that each clock shows. */
  readonly clocks: Record<number, number> = { 6: 5000, 8: 3000 };
  #errno = 0;
  #next = 3;
  #handler: (() => void) | undefined;
  readonly #posts = new Map<number, { readonly name: string; posted: boolean }>();
  readonly #answers = new Map<number, Uint8Array[]>();
  readonly #reading = new Map<number, Uint8Array>();

  constructor(network: MacNetwork) {
    this.network = network;
  }

  /** The system as a source takes it. */
  readonly machine: Machine = {
    acquire: () => this.system(),
    listen: (handler) => {
      this.log.push("listen");
      this.#handler = handler;
      return {
        [Symbol.dispose]: () => {
          this.log.push("unlisten");
          this.#handler = undefined;
        },
      };
    },
  };

  /** Raises SIGIO. */
  signal(): void {
    this.#handler?.();
  }

  /** What came in on the monitoring socket, and the signal that says so. */
  receive(...messages: readonly (Uint8Array | number)[]): void {
    this.queue.push(...messages);
    this.signal();
  }

  /** Posts to a name that is registered, and raises the signal. */
  post(name: string): void {
    for (const entry of this.#posts.values()) if (entry.name === name) entry.posted = true;
    this.signal();
  }

  /** The library. */
  system(): LibSystem {
    this.open.add("library");
    return {
      call: this.#calls(),
      errno: () => this.#errno,
      check: (result, operation) => {
        if (result >= 0) return result;
        throw new HoldfastError(`Cannot ${operation}: error ${this.#errno}`, { code: "system", operation });
      },
      [Symbol.dispose]: () => void this.open.delete("library"),
    };
  }

  #fail(errno: number): -1 {
    this.#errno = errno;
    return -1;
  }

  #refused(call: keyof LibSystemCalls): number {
    return this.fails[call]?.shift() ?? 0;
  }

  #calls(): LibSystemCalls {
    const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).replace(/\0.*$/s, "");
    const token = (into: Uint8Array, name: string): number => {
      const id = this.#next++;
      into.set(struct(4, [0, 4, id]));
      this.open.add(`token ${id}`);
      this.#posts.set(id, { name, posted: true });
      return id;
    };
    return {
      socket: (domain, type) => {
        const errno = this.#refused("socket");
        if (errno) return this.#fail(errno);
        const fd = this.#next++;
        this.open.add(`fd ${fd}`);
        this.log.push(`socket ${domain} ${type}`);
        if (domain === 17) this.#answers.set(fd, []);
        return fd;
      },
      setsockopt: (_fd, level, name, value) => {
        this.log.push(`setsockopt ${level} ${name} ${new DataView(value.buffer).getUint32(0, true)}`);
        return 0;
      },
      recv: (fd, into, size, flags) => {
        if (flags !== 0x80) throw new Error("a call that may wait");
        const errno = this.#refused("recv");
        if (errno) return this.#fail(errno);
        const answers = this.#answers.get(fd);
        const next = answers?.shift() ?? (this.#armed === fd ? this.queue.shift() : undefined);
        if (next === undefined) return this.#fail(EAGAIN);
        if (typeof next === "number") return this.#fail(next);
        into.set(next.subarray(0, Number(size)));
        return Math.min(next.length, Number(size));
      },
      open: (path) => {
        const errno = this.#refused("open");
        if (errno) return this.#fail(errno);
        const { resolver = "" } = this.network;
        if (text(path) !== "/etc/resolv.conf" || resolver === null) return this.#fail(2);
        const fd = this.#next++;
        this.open.add(`fd ${fd}`);
        this.#reading.set(fd, new TextEncoder().encode(resolver));
        return fd;
      },
      read: (fd, into, size) => {
        const errno = this.#refused("read");
        if (errno) return this.#fail(errno);
        const rest = this.#reading.get(fd) ?? new Uint8Array();
        // In pieces, as read(2) may.
        const part = rest.subarray(0, Math.min(Number(size), 10));
        into.set(part);
        this.#reading.set(fd, rest.subarray(part.length));
        return part.length;
      },
      write: (fd, data) => this.#write(fd, data),
      close: (fd) => {
        if (!this.open.delete(`fd ${fd}`)) throw new Error(`descriptor ${fd} is not open`);
        if (this.#answers.delete(fd)) this.log.push("close routing socket");
        return 0;
      },
      fcntl: (fd, command, argument) => {
        const errno = this.#refused("fcntl");
        if (errno) return this.#fail(errno);
        if (command === 6) this.#armed = fd;
        this.log.push(`fcntl ${command} ${argument === Deno.pid ? "pid" : argument}`);
        return 0;
      },
      ioctl: (_fd, request, data) => this.#ioctl(request, text(data.subarray(0, 16)), data),
      sysctl: (name, count, into, size, value) => {
        const errno = this.#refused("sysctl");
        if (errno) return this.#fail(errno);
        const [net, route, zero, family, what = 0, argument] = new Int32Array(name.slice().buffer);
        if (count !== 6 || value || net !== 4 || route !== 17 || zero !== 0 || family !== 0) {
          return this.#fail(22);
        }
        return this.#sysctl(what, argument ?? 0, into, size);
      },
      clock_gettime: (clock, into) => {
        const seconds = this.clocks[clock];
        if (seconds === undefined) return this.#fail(22);
        into.set(struct(16, [0, 8, Math.floor(seconds)], [8, 8, (seconds % 1) * 1e9]));
        return 0;
      },
      notify_register_signal: (name, signal, into) => {
        const status = this.#refused("notify_register_signal");
        if (status) return status;
        token(into, "");
        this.log.push(`signal ${signal} for ${text(name)}`);
        return 0;
      },
      notify_register_check: (name, into) => {
        const status = this.#refused("notify_register_check");
        if (status) return status;
        token(into, text(name));
        return 0;
      },
      notify_check: (id, into) => {
        const status = this.#refused("notify_check");
        const post = this.#posts.get(id);
        if (status || !post) return status || 2;
        into.set(struct(4, [0, 4, post.posted ? 1 : 0]));
        post.posted = false;
        return 0;
      },
      notify_cancel: (id) => {
        if (!this.open.delete(`token ${id}`)) throw new Error(`token ${id} is not open`);
        this.log.push("cancel");
        return 0;
      },
    };
  }

  #armed = -1;

  #write(fd: number, data: Uint8Array): number {
    const view = new DataView(data.buffer, data.byteOffset);
    const [length, version, type] = [view.getUint16(0, true), view.getUint8(2), view.getUint8(3)];
    if (length !== data.length || version !== 5 || view.getUint32(12, true) !== 0x11) return this.#fail(22);
    this.log.push(`look up ${type}`);
    const errno = this.#refused("write");
    if (errno) return this.#fail(errno);
    const family = view.getUint8(93) === 2 ? 4 : 6;
    const seq = view.getInt32(20, true);
    const answers = this.#answers.get(fd);
    if (this.answer) answers?.push(...this.answer(seq, family));
    else {
      const route = family === 4 ? this.network.v4 : this.network.v6;
      const answer = { pid: Deno.pid, seq, errno: route ? 0 : ESRCH };
      const nothing = {
        index: 0,
        flags: 0,
        destination: family === 4 ? "198.41.0.4" : "2001:503:ba3e::2:30",
      };
      // What else happens is heard on this socket as well, and somebody else's answer bears his number.
      answers?.push(routeMessage(7, nothing), routeMessage(4, nothing, { pid: 1, seq }));
      answers?.push(routeMessage(4, route ?? nothing, answer));
    }
    return data.length;
  }

  #ioctl(request: bigint, name: string, data: Uint8Array): number {
    const errno = this.#refused("ioctl");
    if (errno) return this.#fail(errno);
    const iface = this.network.interfaces.find((one) => one.name === name);
    if (!iface) return this.#fail(6);
    if (request === 0xc02c6938n) {
      if (data.length !== 44 || !iface.media) return this.#fail(102);
      data.set(struct(8, [0, 4, iface.media.status], [4, 4, iface.media.active]), 24);
      return 0;
    }
    const own = data.slice(24, 40).join();
    const entry = iface.addresses.find(({ address }) => bytesOf(address).join() === own);
    if (data.length !== 288 || data[16] !== 28 || data[17] !== 30 || !entry) return this.#fail(49);
    if (entry.errno) return this.#fail(entry.errno);
    const { flags = 0, preferred = 0, expire = 0 } = entry;
    if (request === 0xc1206949n) data.set(struct(4, [0, 4, flags]), 16);
    else if (request === 0xc1206951n) data.set(struct(16, [0, 8, expire], [8, 8, preferred]), 16);
    else return this.#fail(25);
    return 0;
  }

  #sysctl(what: number, argument: number, into: Uint8Array | null, size: Uint8Array): number {
    const { interfaces, neighbours = [] } = this.network;
    const parts = what === 6
      ? interfaces.flatMap((one) => [
        interfaceMessage(one),
        ...one.addresses.map((address) => addressMessage(one.index, address)),
        // RTM_NEWMADDR2, which is of no concern.
        message(0x13, struct(20, [12, 2, one.index])),
      ])
      : what === 2 && argument === 0x400
      ? neighbours.map((one) => routeMessage(4, one))
      : undefined;
    if (!parts) return this.#fail(22);
    const table = this.table?.(what, joined(...parts)) ?? joined(...parts);
    const grown = into === null ? 0 : this.growth.shift() ?? 0;
    const sizes = new DataView(size.buffer);
    if (into) {
      if (table.length + grown > Number(sizes.getBigUint64(0, true))) return this.#fail(12);
      into.set(table);
    }
    sizes.setBigUint64(0, BigInt(table.length), true);
    return 0;
  }
}

/** 02:00:00:00:01:01 */
export const ROUTER_MAC: readonly number[] = [2, 0, 0, 0, 1, 1];

/** A notebook at home: Wi-Fi with both families, a VPN interface that is idle, and what macOS makes for itself. */
export const HOME: MacNetwork = {
  interfaces: [
    {
      index: 1,
      name: "lo0",
      type: 24,
      flags: 0x8049,
      mtu: 16384,
      addresses: [
        { address: "127.0.0.1", prefix: 8 },
        { address: "::1", prefix: 128 },
        { address: "fe80::1", prefix: 64 },
      ],
    },
    {
      index: 6,
      name: "en0",
      type: 6,
      flags: 0x8863,
      mac: [2, 0, 0, 0, 0, 6],
      media: { status: 3, active: 0x80 },
      addresses: [
        { address: "fe80::ff:fe00:6", prefix: 64, flags: 0x400 },
        { address: "192.168.1.23", prefix: 24 },
        {
          address: "2001:db8:1::23",
          prefix: 64,
          flags: 0x440,
          preferred: 2_000_000_000,
          expire: 2_000_086_400,
        },
        {
          address: "2001:db8:1::beef",
          prefix: 64,
          flags: 0xc0,
          preferred: 2_000_000_000,
          expire: 2_000_086_400,
        },
      ],
    },
    {
      index: 7,
      name: "en5",
      type: 6,
      flags: 0x8863,
      mac: [2, 0, 0, 0, 0, 7],
      media: { status: 1, active: 0x22 },
      addresses: [],
    },
    {
      index: 10,
      name: "awdl0",
      type: 6,
      flags: 0x8843,
      mac: [2, 0, 0, 0, 0, 10],
      media: { status: 3, active: 0x80 },
      addresses: [{ address: "fe80::ff:fe00:a", prefix: 64 }],
    },
    {
      index: 15,
      name: "utun0",
      type: 1,
      flags: 0x8051,
      mtu: 1380,
      addresses: [{ address: "fe80::1234", prefix: 64 }],
    },
  ],
  v4: {
    index: 6,
    flags: 0x843,
    destination: "0.0.0.0",
    prefix: 0,
    gateway: "192.168.1.1",
    source: "192.168.1.23",
  },
  v6: {
    index: 6,
    flags: 0x843,
    destination: "::",
    prefix: 0,
    gateway: "fe80::1",
    source: "fe80::ff:fe00:6",
  },
  neighbours: [
    { index: 6, flags: 0x20405, destination: "192.168.1.9", gateway: [2, 0, 0, 0, 9, 9] },
    { index: 6, flags: 0x20405, destination: "192.168.1.1", gateway: ROUTER_MAC },
    { index: 15, flags: 0x405, destination: "fe80::1", gateway: [] },
    { index: 6, flags: 0x405, destination: "fe80::1", gateway: ROUTER_MAC },
  ],
  resolver: "search lan\nnameserver 192.168.1.1\nnameserver fe80::1%en0\n",
};

/** Reads the network from the kernel's tables: links, addresses, the routes to the public network, gateways. */

import { ERRNO, type Libc, systemError } from "../internal/ffi/libc_linux.ts";
import { claim } from "../internal/ffi/orphans.ts";
import { HoldfastError } from "../internal/errors.ts";
import { formatIp, parseIp } from "../internal/ip.ts";
import { sortAddresses, sortInterfaces } from "./diff.ts";
import {
  type AddressMessage,
  AF,
  buildRequests,
  FLAG,
  type LinkMessage,
  type Message,
  parseAddress,
  parseError,
  parseLink,
  parseMessages,
  parseNeighbour,
  parseRoute,
  type Request,
  type RouteMessage,
  TYPE,
} from "./_netlink.ts";
import { hardwareName, isRunning, kindOf, lifetime, PROBE, type Reading, scopeOf } from "./_reading.ts";
import type { Address, DefaultRoute, DnsConfig, Interface } from "./state.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0x80000;
const SOCK_NONBLOCK = 0x800;
const MSG_DONTWAIT = 0x40;

/** The kernel puts up to 32 KiB into one datagram of a dump, if it is offered as much (rtnetlink.c, netlink_dump). */
const BUFFER = 64 * 1024;
const BUFFER_SIZE = BigInt(BUFFER);

/** How often a dump that the kernel marks as interrupted is repeated before it is taken as it is. */
const DUMP_TRIES = 5;

const OPERSTATE = ["UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP"];
const IFF_UP = 1;
const IFF_RUNNING = 0x40;
const IFF_NOARP = 0x80;
const IFF_LOWER_UP = 0x10000;
const IFA_F = { TEMPORARY: 0x01, DADFAILED: 0x08, DEPRECATED: 0x20, TENTATIVE: 0x40 };
/** NUD_REACHABLE, STALE, DELAY, PROBE, PERMANENT: the states in which the hardware address is true. */
const NUD_VALID = 0x2 | 0x4 | 0x8 | 0x10 | 0x80;

/** Opens a netlink socket of the route family. */
export function openNetlink(libc: Libc, groups: number): number {
  const operation = "open netlink socket";
  const fd = libc.check(libc.call.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), operation);
  const address = new Uint8Array(12);
  const fields = new DataView(address.buffer);
  fields.setUint16(0, AF_NETLINK, true);
  fields.setUint32(8, groups, true);
  if (libc.call.bind(fd, address, address.length) < 0) {
    const error = systemError(libc.errno(), operation);
    libc.call.close(fd);
    throw error;
  }
  claim(libc, fd);
  return fd;
}

/** Receives one datagram, from the kernel only. */
export class NetlinkReceiver {
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #buffer = new Uint8Array(BUFFER);
  readonly #sender = new Uint8Array(12);
  readonly #senderLength = new Uint32Array(1);
  readonly #senderLengthBytes = new Uint8Array(this.#senderLength.buffer);
  readonly #senderFields = new DataView(this.#sender.buffer);

  /**
   * @param libc The C library.
   * @param fd The socket.
   */
  constructor(libc: Libc, fd: number) {
    this.#libc = libc;
    this.#fd = fd;
  }

  /** The next datagram (valid until the next call), the error number, or `null` when there is none. */
  receive(): Uint8Array | number | null {
    while (true) {
      this.#senderLength[0] = this.#sender.length;
      const { call } = this.#libc;
      const size = call.recvfrom(
        this.#fd,
        this.#buffer,
        BUFFER_SIZE,
        MSG_DONTWAIT,
        this.#sender,
        this.#senderLengthBytes,
      );
      if (size < 0) {
        const errno = this.#libc.errno();
        if (errno === ERRNO.EINTR) continue;
        return errno === ERRNO.EAGAIN ? null : errno;
      }
      // nl_pid 0 is the kernel; a privileged process could send as well.
      if (this.#senderFields.getUint32(4, true) === 0) return this.#buffer.subarray(0, size);
    }
  }
}

const NOBODY = new Uint8Array(12);
NOBODY[0] = AF_NETLINK;

/** The body of a request for all links: ifinfomsg of zeros, and the wish to leave statistics out (IFLA_EXT_MASK 29, 8). */
const LINKS: Request = {
  type: TYPE.GETLINK,
  flags: FLAG.DUMP,
  head: new Uint8Array(16),
  attributes: [[29, new Uint8Array([8, 0, 0, 0])]],
};
const ADDRESSES: Request = { type: TYPE.GETADDR, flags: FLAG.DUMP, head: new Uint8Array(8) };

const RTM_F_LOOKUP_TABLE = 0x1000;
const RTM_F_FIB_MATCH = 0x2000;

function lookUp(family: number, destination: string, flags: number): Request {
  const bytes = parseIp(destination) ?? new Uint8Array();
  const head = new Uint8Array(12);
  head[0] = family;
  head[1] = bytes.length * 8;
  new DataView(head.buffer).setUint32(8, flags, true);
  return { type: TYPE.GETROUTE, head, attributes: [[1, bytes]] };
}

/** The kernel's look-up gives the source, only the table's entry gives the metric; IPv6 gives both at once. */
const LOOKUPS: readonly Request[] = [
  lookUp(AF.INET, PROBE.v4, RTM_F_LOOKUP_TABLE),
  lookUp(AF.INET, PROBE.v4, RTM_F_LOOKUP_TABLE | RTM_F_FIB_MATCH),
  lookUp(AF.INET6, PROBE.v6, RTM_F_LOOKUP_TABLE),
];

function neighbour(index: number, gateway: Uint8Array): Request {
  const head = new Uint8Array(12);
  head[0] = gateway.length === 4 ? AF.INET : AF.INET6;
  new DataView(head.buffer).setUint32(4, index, true);
  return { type: TYPE.GETNEIGH, head, attributes: [[1, gateway]] };
}

/** Reads everything by a socket of its own, so that answers and notifications never mix. */
export class NetlinkReader implements Disposable {
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #receiver: NetlinkReceiver;
  #seq = 1;
  /** The kernel does not let itself be asked for one neighbour (before version 5.0). */
  #deaf = false;

  /**
   * @param libc The C library.
   * @throws {HoldfastError} `system` where the socket is refused.
   */
  constructor(libc: Libc) {
    this.#libc = libc;
    this.#fd = openNetlink(libc, 0);
    this.#receiver = new NetlinkReceiver(libc, this.#fd);
  }

  /** Closes the socket. */
  [Symbol.dispose](): void {
    this.#libc.call.close(this.#fd);
  }

  /**
   * Reads the tables.
   *
   * @param dns What the resolver's files say.
   */
  read(dns: DnsConfig | null): Reading {
    const links = this.#dump(LINKS, TYPE.NEWLINK, parseLink);
    const addresses = new Map<number, Address[]>();
    for (const message of this.#dump(ADDRESSES, TYPE.NEWADDR, parseAnyAddress)) {
      if (!message) continue;
      const { index } = message;
      const address = toAddress(message);
      const list = addresses.get(index);
      if (list) list.push(address);
      else addresses.set(index, [address]);
    }
    const interfaces = links.map((link) => toInterface(link, sortAddresses(addresses.get(link.index) ?? [])));
    const [four, fourEntry, six] = this.#ask(LOOKUPS, TYPE.NEWROUTE, parseRoute);
    const names = new Map(links.map((link) => [link.index, link.name]));
    const metric = fourEntry && fourEntry.oif === four?.oif ? fourEntry.metric ?? 0 : null;
    const gatewayMac = this.#gatewayMacs(four, six);
    const neighbourless = links.filter(({ flags }) => this.#deaf || (flags & IFF_NOARP) !== 0);
    return {
      at: Date.now(),
      interfaces: sortInterfaces(interfaces),
      defaultRoute: {
        v4: toDefaultRoute(four, names, metric),
        v6: toDefaultRoute(six, names, six?.metric ?? null),
      },
      gatewayMac,
      neighbourless: neighbourless.map(({ index }) => index),
      dns,
      blind: dns === null ? ["dns"] : [],
    };
  }

  #gatewayMacs(...routes: (RouteMessage | null | undefined)[]): Reading["gatewayMac"] {
    const requests: Request[] = [];
    const refused = (errno: number): void => void (this.#deaf ||= errno !== ERRNO.ENOENT);
    const slots = routes.map((route) =>
      route?.gateway && route.oif !== undefined ? requests.push(neighbour(route.oif, route.gateway)) - 1 : -1
    );
    const answers = requests.length > 0 ? this.#ask(requests, TYPE.NEWNEIGH, parseNeighbour, refused) : [];
    const [v4, v6] = slots.map((slot) => {
      const answer = slot < 0 ? null : answers[slot];
      return answer?.mac && (answer.state & NUD_VALID) !== 0 ? formatMac(answer.mac) : null;
    });
    return { v4: v4 ?? null, v6: v6 ?? null };
  }

  #send(requests: readonly Request[]): number {
    const first = this.#seq;
    this.#seq = (this.#seq + requests.length) >>> 0;
    const bytes = buildRequests(requests, first);
    const sent = this.#libc.call.sendto(this.#fd, bytes, BigInt(bytes.length), 0, NOBODY, NOBODY.length);
    this.#libc.check(sent, "send netlink request");
    return first;
  }

  /** Messages that answer requests from a sequence number on; answers are ready as soon as the request was taken. */
  *#answers(first: number): Generator<Message> {
    while (true) {
      const datagram = this.#receiver.receive();
      if (datagram === null) {
        throw new HoldfastError("Cannot read netlink answer: the kernel sent none", {
          code: "protocol",
          operation: "read netlink answer",
        });
      }
      if (typeof datagram === "number") throw systemError(datagram, "read netlink answer");
      for (const message of parseMessages(datagram)) {
        if (message.seq >= first) yield message;
      }
    }
  }

  #dump<T>(request: Request, type: number, parse: (body: Uint8Array) => T): T[] {
    for (let attempt = 1;; attempt++) {
      const found: T[] = [];
      let interrupted = false;
      for (const message of this.#answers(this.#send([request]))) {
        interrupted ||= (message.flags & FLAG.DUMP_INTR) !== 0;
        if (message.type === type) found.push(parse(message.body));
        else if (message.type === TYPE.ERROR) {
          throw systemError(parseError(message.body), "read netlink dump");
        } else if (message.type === TYPE.DONE) {
          interrupted ||= parseError(message.body) > 0;
          break;
        }
      }
      if (!interrupted || attempt === DUMP_TRIES) return found;
    }
  }

  /** One answer per request, `null` where the kernel says there is none, and `refused` is told why. */
  #ask<T>(
    requests: readonly Request[],
    type: number,
    parse: (body: Uint8Array) => T,
    refused?: (errno: number) => void,
  ): (T | null)[] {
    const answers: (T | null)[] = requests.map(() => null);
    const first = this.#send(requests);
    let open = requests.length;
    for (const message of this.#answers(first)) {
      if (message.type === type) answers[message.seq - first] = parse(message.body);
      else if (message.type === TYPE.ERROR) refused?.(parseError(message.body));
      if (--open === 0) break;
    }
    return answers;
  }
}

function formatMac(bytes: Uint8Array): string | null {
  if (bytes.length === 0) return null;
  let text = "";
  for (const byte of bytes) text += (text && ":") + (byte < 16 ? "0" : "") + byte.toString(16);
  return text;
}

function toInterface(link: LinkMessage, addresses: readonly Address[]): Interface {
  const up = (link.flags & IFF_UP) !== 0;
  const carrier = (link.flags & (IFF_RUNNING | IFF_LOWER_UP)) !== 0;
  return {
    index: link.index,
    name: link.name,
    kind: kindOf(link.name, hardwareName(link.hardware), link.kind),
    mac: link.mac?.length === 6 ? formatMac(link.mac) : null,
    mtu: link.mtu ?? null,
    up,
    running: isRunning(up, carrier, OPERSTATE[link.operstate] ?? ""),
    master: link.master ?? null,
    addresses,
  };
}

/** Other families (phonet, for one) answer the same request. */
function parseAnyAddress(body: Uint8Array): AddressMessage | null {
  return body[0] === AF.INET || body[0] === AF.INET6 ? parseAddress(body) : null;
}

function toAddress(message: AddressMessage): Address {
  const { flags, preferred, valid } = message;
  const family = message.family === AF.INET ? 4 : 6;
  return {
    address: formatIp(message.address),
    family,
    prefix: message.prefix,
    scope: scopeOf(message.scope),
    // The same bit means "secondary" for IPv4.
    temporary: family === 6 && (flags & IFA_F.TEMPORARY) !== 0,
    tentative: (flags & IFA_F.TENTATIVE) !== 0,
    // Preferred lifetime 0 means deprecated even while the flag flickers (Chromium issue 268042).
    deprecated: (flags & IFA_F.DEPRECATED) !== 0 || preferred === 0,
    conflict: (flags & IFA_F.DADFAILED) !== 0,
    preferredLifetime: lifetime(preferred),
    validLifetime: lifetime(valid),
  };
}

const RTN_UNICAST = 1;

function toDefaultRoute(
  route: RouteMessage | null | undefined,
  names: ReadonlyMap<number, string>,
  metric: number | null,
): DefaultRoute | null {
  if (!route || route.type !== RTN_UNICAST || route.oif === undefined) return null;
  const name = names.get(route.oif);
  if (name === undefined) return null;
  return {
    gateway: route.gateway ? formatIp(route.gateway) : null,
    interface: name,
    index: route.oif,
    metric,
    source: route.source ? formatIp(route.source) : null,
  };
}

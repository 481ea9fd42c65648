/**
 * The wire format of rtnetlink: pure functions over bytes.
 *
 * Layouts and numbers: Linux UAPI headers netlink.h, rtnetlink.h, if_link.h, if_addr.h, neighbour.h; rtnetlink(7). All
 * fields are in host byte order, which is little-endian on every system this runs on. What is parsed holds copies, as the
 * buffer below is used again for the next datagram.
 */

import { HoldfastError } from "../internal/errors.ts";

/** Message types. */
export const TYPE = {
  ERROR: 2,
  DONE: 3,
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  GETNEIGH: 30,
} as const;

/** Message flags. */
export const FLAG = { REQUEST: 1, DUMP_INTR: 0x10, DUMP: 0x300 } as const;

/** Address families. */
export const AF = { UNSPEC: 0, INET: 2, INET6: 10 } as const;

const HEADER = 16;

/** One netlink message: its header's fields and where its body lies. */
export interface Message {
  /** Message type. */
  readonly type: number;
  /** Message flags. */
  readonly flags: number;
  /** Sequence number of the request it answers, 0 for notifications. */
  readonly seq: number;
  /** What follows the header. */
  readonly body: Uint8Array;
}

/** Bytes that are no netlink. */
export class NetlinkError extends HoldfastError {
  /** The class's name. */
  override name = "NetlinkError";

  /** @param why What is wrong with the bytes. */
  constructor(why: string) {
    super(`Cannot parse netlink message: ${why}`, { code: "protocol", operation: "parse netlink message" });
  }
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function align4(n: number): number {
  return (n + 3) & ~3;
}

/**
 * Splits a datagram into messages.
 *
 * @param datagram What one receive call gave.
 * @throws {NetlinkError} When a length leads outside the datagram.
 */
export function* parseMessages(datagram: Uint8Array): Generator<Message> {
  const data = view(datagram);
  for (let at = 0; at < datagram.length;) {
    if (datagram.length - at < HEADER) {
      throw new NetlinkError(`${datagram.length - at} bytes left, less than a header`);
    }
    const length = data.getUint32(at, true);
    if (length < HEADER || length > datagram.length - at) {
      throw new NetlinkError(`length ${length} with ${datagram.length - at} bytes left`);
    }
    yield {
      type: data.getUint16(at + 4, true),
      flags: data.getUint16(at + 6, true),
      seq: data.getUint32(at + 8, true),
      body: datagram.subarray(at + HEADER, at + length),
    };
    at += align4(length);
  }
}

/** The attributes of a message, the last one of each number. */
export type Attributes = ReadonlyMap<number, Uint8Array>;

/**
 * Reads the attributes behind a fixed header.
 *
 * @param body The message's body.
 * @param offset Length of the fixed header.
 * @throws {NetlinkError} When an attribute leads outside the body.
 */
export function parseAttributes(body: Uint8Array, offset: number): Attributes {
  const attributes = new Map<number, Uint8Array>();
  const data = view(body);
  for (let at = offset; body.length - at >= 4;) {
    const length = data.getUint16(at, true);
    if (length < 4 || length > body.length - at) {
      throw new NetlinkError(`attribute length ${length} with ${body.length - at} bytes left`);
    }
    // The upper two bits say "nested" and "network byte order".
    attributes.set(data.getUint16(at + 2, true) & 0x3fff, body.subarray(at + 4, at + length));
    at += align4(length);
  }
  return attributes;
}

function fixed(body: Uint8Array, size: number, what: string): DataView {
  if (body.length < size) {
    throw new NetlinkError(`${what} of ${body.length} bytes, at least ${size} expected`);
  }
  return view(body);
}

function u32(value: Uint8Array | undefined): number | undefined {
  return value && value.length >= 4 ? view(value).getUint32(0, true) : undefined;
}

function u8(value: Uint8Array | undefined): number | undefined {
  return value?.[0];
}

const decoder = new TextDecoder();

/** A C string's text: up to its NUL, if there is one. */
function text(value: Uint8Array | undefined): string | undefined {
  if (!value) return undefined;
  const end = value.indexOf(0);
  return decoder.decode(end < 0 ? value : value.subarray(0, end));
}

/** A link as the kernel describes it. */
export interface LinkMessage {
  /** Interface index. */
  readonly index: number;
  /** ARPHRD_ hardware type. */
  readonly hardware: number;
  /** IFF_ flags. */
  readonly flags: number;
  /** Name. */
  readonly name: string;
  /** Hardware address. */
  readonly mac: Uint8Array | undefined;
  /** MTU in bytes; absent from wireless notices. */
  readonly mtu: number | undefined;
  /** IF_OPER_ state. */
  readonly operstate: number;
  /** Index of the bridge or bond. */
  readonly master: number | undefined;
  /** Kind, as in `ip link add type KIND`. */
  readonly kind: string | undefined;
}

/** Reads RTM_NEWLINK. */
export function parseLink(body: Uint8Array): LinkMessage {
  const head = fixed(body, 16, "link");
  const attributes = parseAttributes(body, 16);
  const info = attributes.get(18);
  return {
    hardware: head.getUint16(2, true),
    index: head.getUint32(4, true),
    flags: head.getUint32(8, true),
    name: text(attributes.get(3)) ?? "",
    mac: attributes.get(1)?.slice(),
    mtu: u32(attributes.get(4)),
    operstate: u8(attributes.get(16)) ?? 0,
    master: u32(attributes.get(10)),
    kind: info && text(parseAttributes(info, 0).get(1)),
  };
}

/** An address as the kernel describes it. */
export interface AddressMessage {
  /** AF_INET or AF_INET6. */
  readonly family: number;
  /** Prefix length. */
  readonly prefix: number;
  /** RT_SCOPE_. */
  readonly scope: number;
  /** Interface index. */
  readonly index: number;
  /** IFA_F_ flags. */
  readonly flags: number;
  /** The own address (on point-to-point links not the peer's). */
  readonly address: Uint8Array;
  /** Seconds, 0xffffffff for ever. */
  readonly preferred: number;
  /** Seconds, 0xffffffff for ever. */
  readonly valid: number;
}

/** What a lifetime without end looks like. */
export const FOREVER = 0xffffffff;

/** Reads RTM_NEWADDR. */
export function parseAddress(body: Uint8Array): AddressMessage {
  const head = fixed(body, 8, "address");
  const attributes = parseAttributes(body, 8);
  const cache = attributes.get(6);
  const times = cache && cache.length >= 8 ? view(cache) : undefined;
  const family = head.getUint8(0);
  const address = attributes.get(2) ?? attributes.get(1);
  if (!address || address.length !== addressLength(family)) {
    throw new NetlinkError(`address of ${address?.length ?? 0} bytes in family ${family}`);
  }
  const prefix = head.getUint8(1);
  if (prefix > address.length * 8) throw new NetlinkError(`prefix of ${prefix} bits in family ${family}`);
  return {
    family,
    prefix,
    scope: head.getUint8(3),
    index: head.getUint32(4, true),
    flags: u32(attributes.get(8)) ?? head.getUint8(2),
    address: address.slice(),
    preferred: times?.getUint32(0, true) ?? FOREVER,
    valid: times?.getUint32(4, true) ?? FOREVER,
  };
}

/** How many bytes an address of a family has; 0 for others. */
export function addressLength(family: number): number {
  return family === AF.INET ? 4 : family === AF.INET6 ? 16 : 0;
}

/** A route as the kernel describes it. */
export interface RouteMessage {
  /** AF_INET or AF_INET6. */
  readonly family: number;
  /** RTN_ type: 1 is unicast. */
  readonly type: number;
  /** Table number. */
  readonly table: number;
  /** Index of the outgoing interface. */
  readonly oif: number | undefined;
  /** Next hop's address (its length tells its family: RTA_VIA may give IPv6 to an IPv4 route). */
  readonly gateway: Uint8Array | undefined;
  /** Preferred source address. */
  readonly source: Uint8Array | undefined;
  /** Metric. */
  readonly metric: number | undefined;
}

/** Reads RTM_NEWROUTE; of several next hops the first is taken. */
export function parseRoute(body: Uint8Array): RouteMessage {
  const head = fixed(body, 12, "route");
  const attributes = parseAttributes(body, 12);
  const hop = firstHop(attributes.get(9));
  const via = attributes.get(18) ?? hop?.attributes.get(18);
  return {
    family: head.getUint8(0),
    type: head.getUint8(7),
    table: u32(attributes.get(15)) ?? head.getUint8(4),
    oif: u32(attributes.get(4)) ?? hop?.index,
    gateway: ip(attributes.get(5) ?? hop?.attributes.get(5) ?? via?.subarray(2)),
    source: ip(attributes.get(7)),
    metric: u32(attributes.get(6)),
  };
}

/** The bytes of an IP address; those of other families (a bridge's neighbours, MPLS next hops) are none. */
function ip(value: Uint8Array | undefined): Uint8Array | undefined {
  return value?.length === 4 || value?.length === 16 ? value.slice() : undefined;
}

function firstHop(multipath: Uint8Array | undefined): { index: number; attributes: Attributes } | undefined {
  if (!multipath || multipath.length < 8) return undefined;
  const data = view(multipath);
  const length = data.getUint16(0, true);
  if (length < 8 || length > multipath.length) throw new NetlinkError(`next hop length ${length}`);
  return { index: data.getUint32(4, true), attributes: parseAttributes(multipath.subarray(0, length), 8) };
}

/** A neighbour entry. */
export interface NeighbourMessage {
  /** Interface index. */
  readonly index: number;
  /** NUD_ state. */
  readonly state: number;
  /** The neighbour's IP address. */
  readonly address: Uint8Array | undefined;
  /** Its hardware address, once known. */
  readonly mac: Uint8Array | undefined;
}

/** Reads RTM_NEWNEIGH and RTM_DELNEIGH. */
export function parseNeighbour(body: Uint8Array): NeighbourMessage {
  const head = fixed(body, 12, "neighbour");
  const attributes = parseAttributes(body, 12);
  return {
    index: head.getUint32(4, true),
    state: head.getUint16(8, true),
    address: ip(attributes.get(1)),
    mac: attributes.get(2)?.slice(),
  };
}

/** The error number of an NLMSG_ERROR or NLMSG_DONE message: 0 or positive. */
export function parseError(body: Uint8Array): number {
  return body.length >= 4 ? -view(body).getInt32(0, true) : 0;
}

/** One request: its message type, flags, fixed header and attributes. */
export interface Request {
  /** Message type. */
  readonly type: number;
  /** Flags besides REQUEST. */
  readonly flags?: number;
  /** The fixed header behind the message header. */
  readonly head: Uint8Array;
  /** Attributes in order. */
  readonly attributes?: readonly (readonly [number: number, value: Uint8Array])[];
}

/**
 * Writes requests, one after the other, into one datagram.
 *
 * @param requests What to ask.
 * @param seq Sequence number of the first; each further one has one more.
 */
export function buildRequests(requests: readonly Request[], seq: number): Uint8Array<ArrayBuffer> {
  const sizes = requests.map(({ head, attributes = [] }) =>
    HEADER + align4(head.length) + attributes.reduce((sum, [, value]) => sum + 4 + align4(value.length), 0)
  );
  const out = new Uint8Array(sizes.reduce((a, b) => a + b, 0));
  const data = view(out);
  let at = 0;
  for (const [n, { type, flags = 0, head, attributes = [] }] of requests.entries()) {
    data.setUint32(at, sizes[n] ?? 0, true);
    data.setUint16(at + 4, type, true);
    data.setUint16(at + 6, FLAG.REQUEST | flags, true);
    data.setUint32(at + 8, seq + n, true);
    at += HEADER;
    out.set(head, at);
    at += align4(head.length);
    for (const [number, value] of attributes) {
      data.setUint16(at, 4 + value.length, true);
      data.setUint16(at + 2, number, true);
      out.set(value, at + 4);
      at += 4 + align4(value.length);
    }
  }
  return out;
}

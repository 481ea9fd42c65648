/**
 * The messages of the BSD routing socket as macOS has them: pure functions over bytes.
 *
 * One layout serves the socket's notifications, its answers, and the tables that sysctl(3) gives (NET_RT_IFLIST2,
 * NET_RT_DUMP2, NET_RT_FLAGS). Layouts and numbers: xnu bsd/net/route.h, if.h, if_dl.h, rtsock.c; route(4). Fields are in
 * host byte order, which is little-endian on every Mac this runs on. What is parsed holds copies.
 */

import { HoldfastError } from "../internal/errors.ts";

/** Message types. */
export const RTM = {
  ADD: 1,
  DELETE: 2,
  CHANGE: 3,
  GET: 4,
  MISS: 7,
  RESOLVE: 0xb,
  NEWADDR: 0xc,
  DELADDR: 0xd,
  IFINFO: 0xe,
  NEWMADDR: 0xf,
  DELMADDR: 0x10,
  GET_SILENT: 0x11,
  IFINFO2: 0x12,
  NEWMADDR2: 0x13,
  GET2: 0x14,
} as const;

/** Flags of routes. */
export const RTF = {
  UP: 1,
  GATEWAY: 2,
  HOST: 4,
  REJECT: 8,
  LLINFO: 0x400,
  BLACKHOLE: 0x1000,
  WASCLONED: 0x20000,
  IFSCOPE: 0x1000000,
} as const;

/** Address families. */
export const AF = { INET: 2, ROUTE: 17, LINK: 18, INET6: 30 } as const;

const VERSION = 5;

/** Where each address stands in a message that has it (RTAX_). */
const SLOT = { DST: 0, GATEWAY: 1, NETMASK: 2, IFP: 4, IFA: 5 } as const;
const SLOTS = 8;

const ROUTE_HEADER = 92;
const LINK_HEADER = 160;
const ADDRESS_HEADER = 20;

/** Bytes that are no routing message. */
export class RouteSocketError extends HoldfastError {
  /** The class's name. */
  override name = "RouteSocketError";

  /** @param why What is wrong with the bytes. */
  constructor(why: string) {
    super(`Cannot parse routing message: ${why}`, { code: "protocol", operation: "parse routing message" });
  }
}

/** One message: its type, and all of its bytes. */
export interface RouteSocketMessage {
  /** Message type. */
  readonly type: number;
  /** The message with its header. */
  readonly bytes: Uint8Array;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Splits what the socket or a table gave into messages; those of another version than 5 are passed over.
 *
 * @param bytes What one call gave.
 * @throws {RouteSocketError} When a length leads outside the bytes.
 */
export function* parseRouteMessages(bytes: Uint8Array): Generator<RouteSocketMessage> {
  const data = view(bytes);
  for (let at = 0; at < bytes.length;) {
    const left = bytes.length - at;
    const length = left < 4 ? 0 : data.getUint16(at, true);
    if (length < 4 || length > left) throw new RouteSocketError(`length ${length} with ${left} bytes left`);
    if (data.getUint8(at + 2) === VERSION) {
      yield { type: data.getUint8(at + 3), bytes: bytes.subarray(at, at + length) };
    }
    at += length;
  }
}

function fixed({ bytes }: RouteSocketMessage, size: number, what: string): DataView {
  if (bytes.length < size) {
    throw new RouteSocketError(`${what} of ${bytes.length} bytes, at least ${size} expected`);
  }
  return view(bytes);
}

/**
 * The socket addresses behind a message's header, each in its slot.
 *
 * Each takes a multiple of 4 bytes, one of length 0 takes 4, and the last one need not be filled up.
 */
function sockaddrs(bytes: Uint8Array, offset: number, present: number): (Uint8Array | undefined)[] {
  const found: (Uint8Array | undefined)[] = [];
  let at = offset;
  // The kernel's own reader ends with the bytes as well, whatever else was announced.
  for (let slot = 0; slot < SLOTS && at < bytes.length; slot++) {
    if ((present & (1 << slot)) === 0) continue;
    const length = bytes[at] ?? 0;
    if (length > bytes.length - at) {
      throw new RouteSocketError(`address of ${length} bytes with ${bytes.length - at} left`);
    }
    found[slot] = bytes.subarray(at, at + length);
    at += length === 0 ? 4 : (length + 3) & ~3;
  }
  return found;
}

/** How many bytes an address of a family has, and where in its structure it begins; nothing for other families. */
function place(family: number | undefined): { readonly offset: number; readonly size: number } | undefined {
  if (family === AF.INET) return { offset: 4, size: 4 };
  return family === AF.INET6 ? { offset: 8, size: 16 } : undefined;
}

/** Bytes from a structure that may be cut short: what is missing is zero. */
function padded(sockaddr: Uint8Array, offset: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  bytes.set(sockaddr.subarray(offset, offset + size));
  return bytes;
}

/** The IP address of a sockaddr_in or sockaddr_in6; `undefined` for other families. */
function ip(sockaddr: Uint8Array | undefined): Uint8Array | undefined {
  const where = place(sockaddr?.[1]);
  if (!sockaddr || !where) return undefined;
  const bytes = padded(sockaddr, where.offset, where.size);
  // The kernel keeps the interface's index in bytes 2 and 3 of what reaches no further than a link (KAME).
  if (bytes[0] === 0xfe && ((bytes[1] ?? 0) & 0xc0) === 0x80) bytes.fill(0, 2, 4);
  return bytes;
}

/** The length of the prefix that a netmask stands for, whose own family and length say nothing. */
function prefixOf(netmask: Uint8Array | undefined, family: number | undefined): number {
  const where = place(family);
  if (!where) return 0;
  // Without a mask it is one host.
  if (!netmask) return where.size * 8;
  let prefix = 0;
  for (const byte of padded(netmask, where.offset, where.size)) {
    prefix += Math.clz32(~(byte << 24));
    if (byte !== 0xff) break;
  }
  return prefix;
}

/** Name and hardware address of a sockaddr_dl. */
function link(
  sockaddr: Uint8Array | undefined,
): { readonly name: string; readonly mac: Uint8Array } | undefined {
  if (sockaddr?.[1] !== AF.LINK || sockaddr.length < 8) return undefined;
  const [, , , , , nameLength = 0, macLength = 0] = sockaddr;
  const end = 8 + nameLength + macLength;
  if (end > sockaddr.length) {
    throw new RouteSocketError(`link address of ${end} bytes in ${sockaddr.length}`);
  }
  const [name = ""] = new TextDecoder().decode(sockaddr.subarray(8, 8 + nameLength)).split("\0", 1);
  return { name, mac: sockaddr.slice(8 + nameLength, end) };
}

/** An interface as NET_RT_IFLIST2 describes it. */
export interface LinkMessage {
  /** Interface index. */
  readonly index: number;
  /** IFF_ flags. */
  readonly flags: number;
  /** IFT_ type. */
  readonly hardware: number;
  /** MTU in bytes. */
  readonly mtu: number;
  /** Name. */
  readonly name: string;
  /** Hardware address, empty where there is none. */
  readonly mac: Uint8Array;
}

/** Reads RTM_IFINFO2: struct if_msghdr2 with its if_data64 from byte 32 on. */
export function parseLink(message: RouteSocketMessage): LinkMessage {
  const head = fixed(message, LINK_HEADER, "interface");
  const found = link(sockaddrs(message.bytes, LINK_HEADER, head.getUint32(4, true))[SLOT.IFP]);
  if (!found) throw new RouteSocketError("interface without a name");
  return {
    index: head.getUint16(12, true),
    flags: head.getUint32(8, true),
    hardware: head.getUint8(32),
    mtu: head.getUint32(40, true),
    ...found,
  };
}

/** An address as the kernel describes it. */
export interface AddressMessage {
  /** Interface index. */
  readonly index: number;
  /** The own address, 4 or 16 bytes without zone; `undefined` for other families. */
  readonly address: Uint8Array | undefined;
  /** Prefix length. */
  readonly prefix: number;
}

/** Reads RTM_NEWADDR and RTM_DELADDR: struct ifa_msghdr. */
export function parseAddress(message: RouteSocketMessage): AddressMessage {
  const head = fixed(message, ADDRESS_HEADER, "address");
  const found = sockaddrs(message.bytes, ADDRESS_HEADER, head.getUint32(4, true));
  const own = found[SLOT.IFA];
  return {
    index: head.getUint16(12, true),
    address: ip(own),
    prefix: prefixOf(found[SLOT.NETMASK], own?.[1]),
  };
}

/** A route, a neighbour entry (a host route with RTF_LLINFO) or the answer to a look-up. */
export interface RouteMessage {
  /** Index of the outgoing interface. */
  readonly index: number;
  /** RTF_ flags. */
  readonly flags: number;
  /** Who asked, in an answer. */
  readonly pid: number;
  /** The asker's number for it. */
  readonly seq: number;
  /** Error number of an answer, 0 for none. */
  readonly errno: number;
  /** Where it leads, 4 or 16 bytes without zone; `undefined` for other families. */
  readonly destination: Uint8Array | undefined;
  /** Prefix length of the destination. */
  readonly prefix: number;
  /** The next hop's IP address; `undefined` where the interface itself is the way. */
  readonly gateway: Uint8Array | undefined;
  /** The hardware address of a neighbour, empty while it is not known. */
  readonly mac: Uint8Array | undefined;
  /** The address of this machine that the route goes with. */
  readonly source: Uint8Array | undefined;
}

/** Reads RTM_ADD, RTM_DELETE, RTM_CHANGE, RTM_GET (struct rt_msghdr) and RTM_GET2 (rt_msghdr2, of the same size). */
export function parseRoute(message: RouteSocketMessage): RouteMessage {
  const head = fixed(message, ROUTE_HEADER, "route");
  const found = sockaddrs(message.bytes, ROUTE_HEADER, head.getUint32(12, true));
  const [destination, gateway] = [found[SLOT.DST], found[SLOT.GATEWAY]];
  // rt_msghdr2 has other things where rt_msghdr has pid, seq and errno.
  const answer = message.type === RTM.GET;
  return {
    index: head.getUint16(4, true),
    flags: head.getUint32(8, true),
    pid: answer ? head.getInt32(16, true) : 0,
    seq: answer ? head.getInt32(20, true) : 0,
    errno: answer ? head.getInt32(24, true) : 0,
    destination: ip(destination),
    prefix: prefixOf(found[SLOT.NETMASK], destination?.[1]),
    gateway: ip(gateway),
    mac: link(gateway)?.mac,
    source: ip(found[SLOT.IFA]),
  };
}

/**
 * Writes the question which way leads to an address.
 *
 * With a struct sockaddr_dl left empty beside the destination, the answer names interface and source address.
 *
 * @param type RTM_GET, whose answer every routing socket hears, or RTM_GET_SILENT.
 * @param destination 4 or 16 bytes.
 * @param seq The number that the answer bears.
 */
export function buildLookUp(type: number, destination: Uint8Array, seq: number): Uint8Array<ArrayBuffer> {
  const [family, size, offset] = destination.length === 4 ? [AF.INET, 16, 4] : [AF.INET6, 28, 8];
  const linkSize = 20;
  const bytes = new Uint8Array(ROUTE_HEADER + size + linkSize);
  const data = view(bytes);
  data.setUint16(0, bytes.length, true);
  bytes.set([VERSION, type], 2);
  data.setUint32(12, (1 << SLOT.DST) | (1 << SLOT.IFP), true);
  data.setInt32(20, seq, true);
  bytes.set([size, family], ROUTE_HEADER);
  bytes.set(destination, ROUTE_HEADER + offset);
  bytes.set([linkSize, AF.LINK], ROUTE_HEADER + size);
  return bytes;
}

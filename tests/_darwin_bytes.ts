/** Routing messages as macOS writes them, after Apple's headers and without a look at the parser. */

import { parseIp } from "../internal/ip.ts";

/** A number in a structure: offset, size in bytes, value. */
type Field = readonly [offset: number, size: 1 | 2 | 4 | 8, value: number];

/** Bytes of a structure, little-endian. */
export function struct(size: number, ...fields: readonly Field[]): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  for (const [offset, width, value] of fields) {
    if (width === 1) view.setUint8(offset, value);
    else if (width === 2) view.setUint16(offset, value, true);
    else if (width === 4) view.setInt32(offset, value | 0, true);
    else view.setBigInt64(offset, BigInt(value), true);
  }
  return bytes;
}

/** The bytes of an address. */
export function bytesOf(address: string): Uint8Array {
  const bytes = parseIp(address);
  if (!bytes) throw new Error(`no address: ${address}`);
  return bytes;
}

/** struct sockaddr_in or sockaddr_in6; a link-local address carries its interface's index as the kernel keeps it. */
export function sockaddr(address: string, zone: number = 0): Uint8Array {
  const bytes = bytesOf(address);
  if (bytes.length === 4) return Uint8Array.of(16, 2, 0, 0, ...bytes, ...new Uint8Array(8));
  if (zone !== 0) bytes.set([zone >> 8, zone & 255], 2);
  return Uint8Array.of(28, 30, 0, 0, 0, 0, 0, 0, ...bytes, 0, 0, 0, 0);
}

/** struct sockaddr_dl, at least as long as the compiler makes it. */
export function linkAddress(index: number, name: string, mac: readonly number[]): Uint8Array {
  const data = [...new TextEncoder().encode(name), ...mac];
  const size = Math.max(20, 8 + data.length);
  const bytes = struct(size, [0, 1, size], [1, 1, 18], [2, 2, index], [5, 1, name.length], [
    6,
    1,
    mac.length,
  ]);
  bytes.set(data, 8);
  return bytes;
}

/** A netmask as the kernel writes it: cut after its last byte that is not zero, without a family. */
export function netmask(prefix: number, family: 4 | 6): Uint8Array {
  const start = family === 4 ? 4 : 8;
  const whole = new Uint8Array(start + (family === 4 ? 4 : 16));
  for (let bit = 0; bit < prefix; bit++) {
    whole[start + (bit >> 3)] = (whole[start + (bit >> 3)] ?? 0) | 128 >> (bit & 7);
  }
  const size = prefix === 0 ? 0 : start + Math.ceil(prefix / 8);
  whole[0] = size;
  whole[1] = prefix % 2 === 0 ? 0 : 255;
  return whole.slice(0, size);
}

/** A message: header with its length, version 5 and type, then addresses, each filled up to a multiple of 4. */
export function message(
  type: number,
  header: Uint8Array,
  addresses: readonly (Uint8Array | undefined)[] = [],
  addressMaskAt: number = 4,
): Uint8Array {
  const parts: number[] = [...header];
  let mask = 0;
  for (const [slot, address] of addresses.entries()) {
    if (!address) continue;
    mask |= 1 << slot;
    parts.push(...address);
    const filled = Math.max(4, Math.ceil(address.length / 4) * 4);
    for (let size = address.length; size < filled; size++) parts.push(0);
  }
  const bytes = Uint8Array.from(parts);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, bytes.length, true);
  view.setUint8(2, 5);
  view.setUint8(3, type);
  if (addressMaskAt < header.length) view.setUint32(addressMaskAt, mask, true);
  return bytes;
}

/** An interface of the made-up Mac. */
export interface MacInterface {
  readonly index: number;
  readonly name: string;
  /** IFT_ type; 6 is Ethernet. */
  readonly type: number;
  /** IFF_ flags; 0x8863 is what Ethernet has that is on. */
  readonly flags: number;
  readonly mtu?: number;
  readonly mac?: readonly number[];
  /** IFM_ status and word in use, as in struct ifmediareq. */
  readonly media?: { readonly status: number; readonly active: number };
  readonly addresses: readonly MacAddress[];
}

/** One of its addresses. */
export interface MacAddress {
  readonly address: string;
  readonly prefix: number;
  /** IN6_IFF_ flags. */
  readonly flags?: number;
  readonly preferred?: number;
  readonly expire?: number;
  /** The error number that asking for its state gives. */
  readonly errno?: number;
}

/** A route or a neighbour. */
export interface MacRoute {
  readonly index: number;
  readonly flags: number;
  readonly destination: string;
  readonly prefix?: number;
  /** An IP address, or a hardware address. */
  readonly gateway?: string | readonly number[];
  readonly source?: string;
}

/** RTM_IFINFO2: struct if_msghdr2 (160 bytes) with if_data64 from 32 on, then name and hardware address in slot 4. */
export function interfaceMessage(
  { index, name, type, flags, mtu = 1500, mac = [] }: MacInterface,
): Uint8Array {
  const header = struct(160, [8, 4, flags], [12, 2, index], [32, 1, type], [40, 4, mtu]);
  return message(0x12, header, [, , , , linkAddress(index, name, mac)]);
}

/** RTM_NEWADDR: struct ifa_msghdr (20 bytes), then netmask in slot 2 and address in slot 5. */
export function addressMessage(
  index: number,
  { address, prefix }: MacAddress,
  type: number = 0xc,
): Uint8Array {
  const family = address.includes(":") ? 6 : 4;
  const own = sockaddr(address, address.startsWith("fe80") ? index : 0);
  return message(type, struct(20, [12, 2, index]), [, , netmask(prefix, family), , , own]);
}

/** RTM_GET and its like: struct rt_msghdr (92 bytes), then destination, gateway, netmask, interface and own address. */
export function routeMessage(
  type: number,
  route: MacRoute,
  answer: { readonly pid?: number; readonly seq?: number; readonly errno?: number } = {},
): Uint8Array {
  const { index, flags, destination, prefix, gateway, source } = route;
  const { pid = 0, seq = 0, errno = 0 } = answer;
  const family = destination.includes(":") ? 6 : 4;
  const zone = (address: string): number => address.startsWith("fe80") ? index : 0;
  const next = typeof gateway === "string"
    ? sockaddr(gateway, zone(gateway))
    : gateway && linkAddress(index, "", gateway);
  const header = struct(92, [4, 2, index], [8, 4, flags], [16, 4, pid], [20, 4, seq], [24, 4, errno]);
  return message(type, header, [
    sockaddr(destination, zone(destination)),
    next,
    prefix === undefined ? undefined : netmask(prefix, family),
    ,
    source === undefined ? undefined : linkAddress(index, "x", []),
    source === undefined ? undefined : sockaddr(source, zone(source)),
  ], 12);
}

/** Messages one after the other. */
export function joined(...messages: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(messages.flatMap((one) => [...one]));
}

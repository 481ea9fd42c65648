/**
 * The tables of the Windows IP Helper: pure functions over copied bytes.
 *
 * Integers are little-endian, addresses in network order. Whatever the bytes are, nothing outside of them is read and
 * every loop ends.
 */

import { HoldfastError } from "../internal/errors.ts";
import { AF, LAYOUT } from "./_windows_layout.ts";
import type {
  Adapter,
  AdapterAddress,
  IfRow,
  NeighbourRow,
  RouteRow,
  TableRoute,
} from "./_windows_reading.ts";

/** Bytes that are no table. */
export class WindowsTableError extends HoldfastError {
  /** The class's name. */
  override name = "WindowsTableError";

  /** @param why What is wrong with the bytes. */
  constructor(why: string) {
    super(`Cannot parse Windows table: ${why}`, { code: "protocol", operation: "parse Windows table" });
  }
}

/** A piece of memory: the bytes, and the address that the pointers in it count from. */
export interface Memory {
  /** Where it began. */
  readonly base: bigint;
  /** What was there. */
  readonly bytes: Uint8Array;
}

const GAA = LAYOUT.IP_ADAPTER_ADDRESSES_LH;
const UNICAST = LAYOUT.IP_ADAPTER_UNICAST_ADDRESS_LH;
const SERVER = LAYOUT.IP_ADAPTER_DNS_SERVER_ADDRESS_XP;
const SUFFIX = LAYOUT.IP_ADAPTER_DNS_SUFFIX;
const SOCKADDR = LAYOUT.SOCKADDR_INET;

/** The longest string taken, in characters; names have at most 256, descriptions as many. */
const MAX_TEXT = 1024;

/**
 * Reads the list that GetAdaptersAddresses makes.
 *
 * @param memory The buffer that was given to it, and where that lay.
 * @throws {WindowsTableError} Where a pointer leads outside, a list has no end, or a field cannot be.
 */
export function parseAdapters(memory: Memory): Adapter[] {
  const reader = new MemoryReader(memory);
  return reader.list(memory.base, GAA.size, GAA.Next, (at) => parseAdapter(reader, at));
}

function parseAdapter(reader: MemoryReader, at: number): Adapter {
  const { data } = reader;
  const length = data.getUint32(at + GAA.Length, true);
  if (length < GAA.size) throw new WindowsTableError(`an adapter of ${length} bytes, less than ${GAA.size}`);
  const macLength = data.getUint32(at + GAA.PhysicalAddressLength, true);
  if (macLength > 8) throw new WindowsTableError(`a hardware address of ${macLength} bytes`);
  // Since Windows Vista both families have the same index; one that is bound to a single family names that alone.
  const index = data.getUint32(at + GAA.IfIndex, true) || data.getUint32(at + GAA.Ipv6IfIndex, true);
  const addresses = reader.list(
    reader.pointer(at + GAA.FirstUnicastAddress),
    UNICAST.size,
    UNICAST.Next,
    (at) => parseUnicast(reader, at),
  );
  const dns = reader.list(
    reader.pointer(at + GAA.FirstDnsServerAddress),
    SERVER.size,
    SERVER.Next,
    (at) => reader.socketAddress(at + SERVER["Address.lpSockaddr"], at + SERVER["Address.iSockaddrLength"]),
  );
  const suffixes = reader.list(
    reader.pointer(at + GAA.FirstDnsSuffix),
    SUFFIX.size,
    SUFFIX.Next,
    (at) => reader.wideText(at + SUFFIX.String, 256),
  );
  return {
    index,
    name: reader.text(reader.pointer(at + GAA.FriendlyName)),
    description: reader.text(reader.pointer(at + GAA.Description)),
    type: data.getUint32(at + GAA.IfType, true),
    operStatus: data.getUint32(at + GAA.OperStatus, true),
    mac: reader.bytes.slice(at + GAA.PhysicalAddress, at + GAA.PhysicalAddress + macLength),
    mtu: data.getUint32(at + GAA.Mtu, true),
    metric: {
      v4: data.getUint32(at + GAA.Ipv4Metric, true),
      v6: data.getUint32(at + GAA.Ipv6Metric, true),
    },
    addresses: addresses.filter((address) => address !== null),
    dns: dns.filter((address) => address !== null),
    search: [...new Set([reader.text(reader.pointer(at + GAA.DnsSuffix)), ...suffixes])].filter((one) =>
      one !== ""
    ),
  };
}

function parseUnicast(reader: MemoryReader, at: number): AdapterAddress | null {
  const { data } = reader;
  const address = reader.socketAddress(
    at + UNICAST["Address.lpSockaddr"],
    at + UNICAST["Address.iSockaddrLength"],
  );
  if (!address) return null;
  const prefix = data.getUint8(at + UNICAST.OnLinkPrefixLength);
  if (prefix > address.length * 8) {
    throw new WindowsTableError(`a prefix of ${prefix} bits for ${address.length} bytes`);
  }
  return {
    address,
    prefix,
    dadState: data.getUint32(at + UNICAST.DadState, true),
    suffixOrigin: data.getUint32(at + UNICAST.SuffixOrigin, true),
    preferred: data.getUint32(at + UNICAST.PreferredLifetime, true),
    valid: data.getUint32(at + UNICAST.ValidLifetime, true),
  };
}

/** Follows pointers inside one piece of memory. */
class MemoryReader {
  readonly bytes: Uint8Array;
  readonly data: DataView;
  readonly #base: bigint;
  /** How many nodes may still be visited: lists that share nodes or bite their tails end with it. */
  #budget: number;

  constructor({ base, bytes }: Memory) {
    this.#base = base;
    this.bytes = bytes;
    this.data = view(bytes);
    // A node takes 32 bytes or more.
    this.#budget = bytes.length / 32;
  }

  /** The pointer that stands at an offset. */
  pointer(at: number): bigint {
    return this.data.getBigUint64(at, true);
  }

  /** The offset of what a pointer leads to. */
  #offset(pointer: bigint, size: number): number {
    const offset = pointer - this.#base;
    if (offset < 0n || offset + BigInt(size) > BigInt(this.bytes.length)) {
      throw new WindowsTableError(`a pointer to offset ${offset} of ${this.bytes.length} bytes`);
    }
    return Number(offset);
  }

  /** What the nodes of a linked list hold. */
  list<T>(first: bigint, size: number, next: number, parse: (at: number) => T): T[] {
    const found: T[] = [];
    for (let pointer = first; pointer !== 0n;) {
      if (--this.#budget < 0) throw new WindowsTableError("a list without end");
      const at = this.#offset(pointer, size);
      found.push(parse(at));
      pointer = this.pointer(at + next);
    }
    return found;
  }

  /** The text that a pointer leads to; none for none. */
  text(pointer: bigint): string {
    if (pointer === 0n) return "";
    const at = this.#offset(pointer, 2);
    return this.wideText(at, Math.min(MAX_TEXT, (this.bytes.length - at) >> 1));
  }

  /** UTF-16 up to its end, of which there is room for some characters. */
  wideText(at: number, room: number): string {
    let text = "";
    for (let i = 0; i < room; i++) {
      const unit = this.data.getUint16(at + 2 * i, true);
      if (unit === 0) return text.toWellFormed();
      text += String.fromCharCode(unit);
    }
    throw new WindowsTableError(`a text without end in ${room} characters`);
  }

  /** The address in a SOCKET_ADDRESS, a pointer and a length; `null` for families other than IP. */
  socketAddress(pointerAt: number, lengthAt: number): Uint8Array | null {
    const length = this.data.getInt32(lengthAt, true);
    // sockaddr_in has 16 bytes, sockaddr_in6 has 28.
    if (length < 16 || length > 128) throw new WindowsTableError(`a socket address of ${length} bytes`);
    const at = this.#offset(this.pointer(pointerAt), length);
    return parseSocketAddress(this.bytes.subarray(at, at + length));
  }
}

/**
 * Reads a SOCKADDR_INET, or one of the two it is made of.
 *
 * @param bytes At least 16 bytes for IPv4, 24 for IPv6.
 * @returns 4 or 16 bytes, or `null` for other families.
 * @throws {WindowsTableError} When it is too short for its family.
 */
export function parseSocketAddress(bytes: Uint8Array): Uint8Array | null {
  const family = bytes.length < 2 ? AF.UNSPEC : view(bytes).getUint16(0, true);
  if (family !== AF.INET && family !== AF.INET6) return null;
  const start = family === AF.INET ? SOCKADDR["Ipv4.sin_addr"] : SOCKADDR["Ipv6.sin6_addr"];
  const end = start + (family === AF.INET ? 4 : 16);
  if (bytes.length < end) {
    throw new WindowsTableError(`${bytes.length} bytes for an address of family ${family}`);
  }
  return bytes.slice(start, end);
}

/** Writes a SOCKADDR_INET with port 0. */
export function socketAddress(address: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SOCKADDR.size);
  const four = address.length === 4;
  view(bytes).setUint16(0, four ? AF.INET : AF.INET6, true);
  bytes.set(address, four ? SOCKADDR["Ipv4.sin_addr"] : SOCKADDR["Ipv6.sin6_addr"]);
  return bytes;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The sizes of the rows of the tables that are read. */
export const ROW: Readonly<Record<"interface" | "neighbour" | "route", number>> = {
  interface: LAYOUT.MIB_IF_ROW2.size,
  neighbour: LAYOUT.MIB_IPNET_ROW2.size,
  route: LAYOUT.MIB_IPFORWARD_ROW2.size,
};

/** Where the first row of a table stands. */
export const TABLE_HEADER: number = LAYOUT.MIB_IF_TABLE2.Table;

/** Ten times the largest route table a PC has been seen with; what claims more is no table. */
const MAX_ROWS = 100_000;

/**
 * How many bytes a table has, as its first four bytes say.
 *
 * @throws {WindowsTableError} When it claims more rows than can be.
 */
export function tableSize(head: Uint8Array, rowSize: number): number {
  if (head.length < 4) throw new WindowsTableError(`a table of ${head.length} bytes`);
  const count = view(head).getUint32(0, true);
  if (count > MAX_ROWS) throw new WindowsTableError(`a table of ${count} rows`);
  return TABLE_HEADER + count * rowSize;
}

function rows<T>(table: Uint8Array, rowSize: number, parse: (row: DataView, bytes: Uint8Array) => T): T[] {
  const size = tableSize(table, rowSize);
  if (size > table.length) throw new WindowsTableError(`${table.length} bytes of a table of ${size}`);
  const found: T[] = [];
  for (let at = TABLE_HEADER; at < size; at += rowSize) {
    const bytes = table.subarray(at, at + rowSize);
    found.push(parse(view(bytes), bytes));
  }
  return found;
}

/**
 * Reads the table that GetIfTable2 makes.
 *
 * @throws {WindowsTableError} When rows are missing.
 */
export function parseIfTable(table: Uint8Array): IfRow[] {
  const { InterfaceIndex, AdminStatus, MediaConnectState } = LAYOUT.MIB_IF_ROW2;
  return rows(table, ROW.interface, (row) => ({
    index: row.getUint32(InterfaceIndex, true),
    adminStatus: row.getUint32(AdminStatus, true),
    mediaState: row.getUint32(MediaConnectState, true),
  }));
}

/**
 * Reads the table that GetIpNetTable2 makes.
 *
 * @throws {WindowsTableError} When rows are missing.
 */
export function parseNeighbourTable(table: Uint8Array): NeighbourRow[] {
  const layout = LAYOUT.MIB_IPNET_ROW2;
  return rows(table, ROW.neighbour, (row, bytes) => {
    const address = parseSocketAddress(bytes.subarray(layout.Address, layout.Address + SOCKADDR.size));
    const macLength = Math.min(row.getUint32(layout.PhysicalAddressLength, true), 8);
    return address && {
      index: row.getUint32(layout.InterfaceIndex, true),
      address,
      mac: bytes.slice(layout.PhysicalAddress, layout.PhysicalAddress + macLength),
      state: row.getUint32(layout.State, true),
    };
  }).filter((row) => row !== null);
}

/**
 * Reads the row that GetBestRoute2 fills.
 *
 * @throws {WindowsTableError} When it is too short.
 */
export function parseRoute(bytes: Uint8Array): RouteRow {
  const { size, InterfaceIndex, NextHop, Metric } = LAYOUT.MIB_IPFORWARD_ROW2;
  if (bytes.length < size) throw new WindowsTableError(`a route of ${bytes.length} bytes`);
  const nextHop = parseSocketAddress(bytes.subarray(NextHop, NextHop + SOCKADDR.size));
  const row = view(bytes);
  return {
    index: row.getUint32(InterfaceIndex, true),
    nextHop: nextHop?.some((byte) => byte !== 0) ? nextHop : null,
    metric: row.getUint32(Metric, true),
  };
}

/**
 * Reads the table that GetIpForwardTable2 makes.
 *
 * @throws {WindowsTableError} When rows are missing.
 */
export function parseRouteTable(table: Uint8Array): TableRoute[] {
  const layout = LAYOUT.MIB_IPFORWARD_ROW2;
  const start = layout["DestinationPrefix.Prefix"];
  return rows(table, ROW.route, (row, bytes) => {
    const destination = parseSocketAddress(bytes.subarray(start, start + SOCKADDR.size));
    const prefix = row.getUint8(layout["DestinationPrefix.PrefixLength"]);
    if (!destination || prefix > destination.length * 8) return null;
    return { ...parseRoute(bytes), destination, prefix };
  }).filter((row) => row !== null);
}

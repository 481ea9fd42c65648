/** Reads the network from the tables of the Windows IP Helper: the thin shell around `_windows_tables.ts`. */

import { acquireWindows, addressIn, type Windows, windowsError } from "../internal/ffi/windows.ts";
import { parseIp } from "../internal/ip.ts";
import type { Reader } from "./_readers.ts";
import { PROBE, type Reading } from "./_reading.ts";
import { AF, LAYOUT } from "./_windows_layout.ts";
import {
  type Adapter,
  bestRoute,
  fitsTogether,
  type FoundRoute,
  toReading,
  type WindowsFacts,
} from "./_windows_reading.ts";
import {
  type Memory,
  parseAdapters,
  parseIfTable,
  parseNeighbourTable,
  parseRoute,
  parseRouteTable,
  parseSocketAddress,
  ROW,
  socketAddress,
  TABLE_HEADER,
  tableSize,
} from "./_windows_tables.ts";

/** GAA_FLAG_SKIP_ANYCAST, SKIP_MULTICAST, INCLUDE_GATEWAYS. */
const GAA_FLAGS = 0x2 | 0x4 | 0x80;

/** Fixed memory of zeros. */
const LPTR = 0x40;

/** What Microsoft advises to begin with, so that one call does nearly always. */
const FIRST_SIZE = 16 * 1024;
/** More than a machine with thousands of addresses needs. */
const MAX_SIZE = 16 * 1024 * 1024;

const ERROR = {
  FILE_NOT_FOUND: 2,
  NOT_SUPPORTED: 50,
  BUFFER_OVERFLOW: 111,
  NO_DATA: 232,
  NOT_FOUND: 1168,
  NETWORK_UNREACHABLE: 1231,
  HOST_UNREACHABLE: 1232,
};

/** The ways in which Windows says that there is no way, or no such family at all. */
const NO_ROUTE = new Set([
  ERROR.FILE_NOT_FOUND,
  ERROR.NOT_SUPPORTED,
  ERROR.NOT_FOUND,
  ERROR.NETWORK_UNREACHABLE,
  ERROR.HOST_UNREACHABLE,
]);

/** How often a reading is repeated because its parts do not fit together. */
const READ_TRIES = 3;

/** The bytes of one reading, before anything is made of them. */
export interface WindowsBytes {
  /** The list of adapters. */
  readonly adapters: Memory;
  /** The interface table, or `null` where it is not to be had. */
  readonly links: Uint8Array | null;
  /** What there is of IPv4. */
  readonly v4: FamilyBytes;
  /** What there is of IPv6. */
  readonly v6: FamilyBytes;
}

/** What is asked once per family. */
export interface FamilyBytes {
  /** Row and source address that the look-up of a public address gave, or `null` where it gave none. */
  readonly route: { readonly row: Uint8Array; readonly source: Uint8Array } | null;
  /** The route table, where Windows cannot look up (Wine 8). */
  readonly routes: Uint8Array | null;
  /** The neighbour table, or `null` where it is not to be had. */
  readonly neighbours: Uint8Array | null;
}

/**
 * Reads by the tables of Windows.
 *
 * @param windows The libraries; opened and closed with the reader if none are given.
 * @throws {PermissionError} Without `--allow-ffi` for the libraries.
 */
export function windowsReader(windows: Windows = acquireWindows()): Reader {
  return {
    name: "iphlpapi",
    read: () => readWindows(windows),
    [Symbol.dispose]: () => windows[Symbol.dispose](),
  };
}

/**
 * Takes one reading.
 *
 * @param windows The libraries.
 * @throws {HoldfastError} `system` where Windows refuses, `protocol` where what it gives cannot be.
 */
export function readWindows(windows: Windows): Reading {
  for (let attempt = 1;; attempt++) {
    const facts = parseWindows(readBytes(windows));
    if (fitsTogether(facts) || attempt === READ_TRIES) return toReading(facts, Date.now());
  }
}

/** Makes facts of bytes. */
export function parseWindows(bytes: WindowsBytes): WindowsFacts {
  const adapters = bytes.adapters.bytes.length === 0 ? [] : parseAdapters(bytes.adapters);
  const { v4, v6 } = bytes;
  const neighbours = [v4, v6].flatMap(({ neighbours }) => neighbours ?? []);
  return {
    adapters,
    links: bytes.links ? parseIfTable(bytes.links) : [],
    neighbours: neighbours.length > 0 ? neighbours.flatMap(parseNeighbourTable) : null,
    routes: { v4: routeIn(v4, adapters, PROBE.v4), v6: routeIn(v6, adapters, PROBE.v6) },
  };
}

function routeIn(
  { route, routes }: FamilyBytes,
  adapters: readonly Adapter[],
  to: string,
): FoundRoute | null {
  if (!route) return routes && bestRoute(parseRouteTable(routes), adapters, bytesOf(to));
  const source = parseSocketAddress(route.source);
  return { ...parseRoute(route.row), source: source?.some((byte) => byte !== 0) ? source : null };
}

function bytesOf(address: string): Uint8Array {
  return parseIp(address) ?? new Uint8Array(4);
}

/**
 * Asks Windows for everything.
 *
 * @param windows The libraries.
 * @throws {HoldfastError} `system` where Windows refuses.
 */
export function readBytes(windows: Windows): WindowsBytes {
  return {
    adapters: readAdapters(windows),
    links: readTable(windows, (table) => windows.call.GetIfTable2(table), ROW.interface),
    v4: readFamily(windows, AF.INET, PROBE.v4),
    v6: readFamily(windows, AF.INET6, PROBE.v6),
  };
}

function readFamily(windows: Windows, family: number, destination: string): FamilyBytes {
  const { call } = windows;
  const row = new Uint8Array(ROW.route);
  const source = new Uint8Array(LAYOUT.SOCKADDR_INET.size);
  const code = call.GetBestRoute2(0n, 0, 0n, socketAddress(bytesOf(destination)), 0, row, source);
  if (code !== 0 && !NO_ROUTE.has(code)) throw windowsError(code, "look up the default route");
  const tableOf = (ask: "GetIpForwardTable2" | "GetIpNetTable2", size: number): Uint8Array | null =>
    readTable(windows, (table) => call[ask](family, table), size);
  return {
    route: code === 0 ? { row, source } : null,
    routes: code === ERROR.NOT_SUPPORTED ? tableOf("GetIpForwardTable2", ROW.route) : null,
    neighbours: code === 0 || code === ERROR.NOT_SUPPORTED ? tableOf("GetIpNetTable2", ROW.neighbour) : null,
  };
}

function readAdapters({ call }: Windows): Memory {
  const operation = "list network adapters";
  const size = new Uint32Array([FIRST_SIZE]);
  const sizeBytes = new Uint8Array(size.buffer);
  for (let wanted = FIRST_SIZE; wanted <= MAX_SIZE; wanted = Math.max(2 * wanted, size[0] ?? 0)) {
    size[0] = wanted;
    // Memory of Windows' own, as its address is needed to follow the pointers in it.
    const base = call.LocalAlloc(LPTR, BigInt(wanted));
    if (base === 0n) throw windowsError(8, operation);
    try {
      const code = call.GetAdaptersAddresses(AF.UNSPEC, GAA_FLAGS, 0n, base, sizeBytes);
      if (code === ERROR.NO_DATA) return { base, bytes: new Uint8Array() };
      if (code !== 0 && code !== ERROR.BUFFER_OVERFLOW) throw windowsError(code, operation);
      if (code === 0) return { base, bytes: copy(call, base, wanted) };
    } finally {
      call.LocalFree(base);
    }
  }
  throw windowsError(ERROR.BUFFER_OVERFLOW, operation);
}

function copy(call: Windows["call"], from: bigint, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  call.RtlMoveMemory(bytes, from, BigInt(size));
  return bytes;
}

/** A table that makes the reading better, and without which there still is one. */
function readTable(
  { call }: Windows,
  ask: (table: Uint8Array<ArrayBuffer>) => number,
  rowSize: number,
): Uint8Array | null {
  const out = new Uint8Array(8);
  if (ask(out) !== 0) return null;
  const table = addressIn(out);
  if (table === 0n) return null;
  try {
    return copy(call, table, tableSize(copy(call, table, TABLE_HEADER), rowSize));
  } finally {
    call.FreeMibTable(table);
  }
}

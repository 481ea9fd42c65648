/** Makes a reading of what Windows tells, whichever way it was asked: pure functions over plain data. */

import { formatIp } from "../internal/ip.ts";
import { sortAddresses, sortInterfaces } from "./diff.ts";
import { addressScope } from "./_read_interfaces.ts";
import { isRunning, lifetime, type Reading } from "./_reading.ts";
import type { Address, DefaultRoute, DnsConfig, Interface, InterfaceKind } from "./state.ts";

/** One address of an adapter. */
export interface AdapterAddress {
  /** The address, 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** Length of the prefix in bits. */
  readonly prefix: number;
  /** NL_DAD_STATE: 0 invalid, 1 tentative, 2 duplicate, 3 deprecated, 4 preferred. */
  readonly dadState: number;
  /** NL_SUFFIX_ORIGIN: 5 is random, a temporary address. */
  readonly suffixOrigin: number;
  /** Seconds; 0xffffffff for ever. */
  readonly preferred: number;
  /** Seconds; 0xffffffff for ever. */
  readonly valid: number;
}

/** One network adapter. */
export interface Adapter {
  /** Its index. */
  readonly index: number;
  /** Its name for people, for example `"Wi-Fi"`. */
  readonly name: string;
  /** What its driver calls it. */
  readonly description: string;
  /** IANA interface type: 6 Ethernet, 24 loopback, 71 Wi-Fi. */
  readonly type: number;
  /** IF_OPER_STATUS: 1 up, 2 down, 6 not present. */
  readonly operStatus: number;
  /** Hardware address, up to 8 bytes. */
  readonly mac: Uint8Array;
  /** Largest packet in bytes; 0xffffffff where there is no limit. */
  readonly mtu: number;
  /** The metrics of the interface itself. */
  readonly metric: { readonly v4: number; readonly v6: number };
  /** Its addresses. */
  readonly addresses: readonly AdapterAddress[];
  /** Its name servers, 4 or 16 bytes each, in order. */
  readonly dns: readonly Uint8Array[];
  /** Its search list, in order. */
  readonly search: readonly string[];
}

/** What the interface table says of one interface. */
export interface IfRow {
  /** Its index. */
  readonly index: number;
  /** NET_IF_ADMIN_STATUS: 1 up, 2 down. */
  readonly adminStatus: number;
  /** NET_IF_MEDIA_CONNECT_STATE: 0 unknown, 1 connected, 2 disconnected. */
  readonly mediaState: number;
}

/** A route that was looked up. */
export interface RouteRow {
  /** Index of the interface. */
  readonly index: number;
  /** The next hop, 4 or 16 bytes, or `null` where the interface itself is the way. */
  readonly nextHop: Uint8Array | null;
  /** The route's own metric, without that of its interface. */
  readonly metric: number;
}

/** One entry of the route table. */
export interface TableRoute extends RouteRow {
  /** The network it leads to, 4 or 16 bytes. */
  readonly destination: Uint8Array;
  /** Length of its prefix in bits. */
  readonly prefix: number;
}

/** One entry of the neighbour table. */
export interface NeighbourRow {
  /** Index of the interface. */
  readonly index: number;
  /** The neighbour's address, 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** Its hardware address. */
  readonly mac: Uint8Array;
  /** NL_NEIGHBOR_STATE: 0 unreachable, 1 incomplete, 2 probe, 3 delay, 4 stale, 5 reachable, 6 permanent. */
  readonly state: number;
}

/** A route that was looked up, and the source address that goes with it. */
export interface FoundRoute extends RouteRow {
  /** The address that Windows prefers as source, 4 or 16 bytes, or `null` where unknown. */
  readonly source: Uint8Array | null;
}

/** All that Windows tells in one reading. */
export interface WindowsFacts {
  /** The adapters. */
  readonly adapters: readonly Adapter[];
  /** The rows of the interface table, as far as they are known. */
  readonly links: readonly IfRow[];
  /** The ways to the public network. */
  readonly routes: { readonly v4: FoundRoute | null; readonly v6: FoundRoute | null };
  /** The neighbour table, or `null` where it is not to be had. */
  readonly neighbours: readonly NeighbourRow[] | null;
}

/**
 * The way to an address by the route table, for a Windows that has no look-up: the longest prefix that matches, then the
 * least sum of metrics, then the lower index.
 */
export function bestRoute(
  table: readonly TableRoute[],
  adapters: readonly Adapter[],
  to: Uint8Array,
): FoundRoute | null {
  const metrics = new Map(
    adapters.map(({ index, metric }) => [index, to.length === 4 ? metric.v4 : metric.v6]),
  );
  const cost = (route: TableRoute): number => route.metric + (metrics.get(route.index) ?? 0);
  const [best] = table.filter((route) => matches(route, to)).toSorted((a, b) =>
    b.prefix - a.prefix || cost(a) - cost(b) || a.index - b.index
  );
  return best ? { index: best.index, nextHop: best.nextHop, metric: best.metric, source: null } : null;
}

function matches({ destination, prefix }: TableRoute, to: Uint8Array): boolean {
  return destination.length === to.length && destination.every((byte, i) => {
    const bits = Math.min(8, Math.max(0, prefix - 8 * i));
    return ((byte ^ (to[i] ?? 0)) >> (8 - bits)) === 0;
  });
}

/** Whether what was read piece by piece fits together: a route leads through an adapter that was listed. */
export function fitsTogether({ adapters, routes: { v4, v6 } }: WindowsFacts): boolean {
  return [v4, v6].every((route) => route === null || adapters.some(({ index }) => index === route.index));
}

/**
 * Makes the reading.
 *
 * @param facts What Windows tells.
 * @param at When it was asked, in milliseconds since 1970.
 */
export function toReading(facts: WindowsFacts, at: number): Reading {
  const { adapters, routes, neighbours } = facts;
  const links = new Map(facts.links.map((link) => [link.index, link]));
  const interfaces = adapters.map((adapter) => toInterface(adapter, links.get(adapter.index)));
  return {
    at,
    interfaces: sortInterfaces(interfaces),
    defaultRoute: { v4: toRoute(routes.v4, adapters, "v4"), v6: toRoute(routes.v6, adapters, "v6") },
    gatewayMac: { v4: macOf(routes.v4, neighbours), v6: macOf(routes.v6, neighbours) },
    ...(neighbours ? {} : { neighbourless: adapters.map(({ index }) => index) }),
    dns: toDns(adapters, interfaces),
    blind: [],
  };
}

/** Interface types (IANA ifType-MIB) that are not "other". */
const KINDS: Readonly<Record<number, InterfaceKind>> = {
  6: "ethernet",
  23: "tunnel", // PPP: what Windows dials, VPNs before all
  24: "loopback",
  53: "tunnel", // proprietary virtual: Wintun and WireGuard
  71: "wifi",
  131: "tunnel",
  135: "vlan",
  161: "bond",
  209: "bridge",
  243: "cellular",
  244: "cellular",
};

function kindOf({ type, description }: Adapter): InterfaceKind {
  if (type !== 6) return KINDS[type] ?? "other";
  // What is an end of a virtual cable, or made by a VPN's driver, says "Ethernet" too.
  if (/^Hyper-V Virtual Ethernet Adapter/.test(description)) return "veth";
  return /^(TAP-|Wintun|WireGuard)/.test(description) ? "tunnel" : "ethernet";
}

const OPER = ["", "UP", "DOWN", "TESTING", "UNKNOWN", "DORMANT", "NOTPRESENT", "LOWERLAYERDOWN"];

function toInterface(adapter: Adapter, link: IfRow | undefined): Interface {
  const status = OPER[adapter.operStatus] ?? "";
  const up = link ? link.adminStatus === 1 : status !== "NOTPRESENT";
  return {
    index: adapter.index,
    name: adapter.name,
    kind: kindOf(adapter),
    mac: adapter.mac.length === 6 ? formatMac(adapter.mac) : null,
    // The loopback interface has no limit.
    mtu: adapter.mtu === 0xffffffff ? null : adapter.mtu,
    up,
    running: isRunning(up, link?.mediaState !== 2, status),
    master: null,
    addresses: sortAddresses(adapter.addresses.map(toAddress)),
  };
}

function toAddress(one: AdapterAddress): Address {
  const { address, prefix, dadState, suffixOrigin, preferred, valid } = one;
  const family = address.length === 4 ? 4 : 6;
  return {
    address: formatIp(address),
    family,
    prefix,
    scope: addressScope(address),
    temporary: family === 6 && suffixOrigin === 5,
    // An invalid one is on its way out, and must not be used either.
    tentative: dadState === 1 || dadState === 0,
    deprecated: dadState === 3 || preferred === 0,
    conflict: dadState === 2,
    preferredLifetime: lifetime(preferred),
    validLifetime: lifetime(valid),
  };
}

function formatMac(bytes: Uint8Array): string {
  return bytes.toHex().replace(/..(?!$)/g, "$&:");
}

function toRoute(
  route: FoundRoute | null,
  adapters: readonly Adapter[],
  family: "v4" | "v6",
): DefaultRoute | null {
  const adapter = route && adapters.find(({ index }) => index === route.index);
  if (!adapter) return null;
  return {
    gateway: route.nextHop && formatIp(route.nextHop),
    interface: adapter.name,
    index: route.index,
    // What Windows compares is the sum; either alone picks the wrong one (tailscale pull request 2715).
    metric: route.metric + adapter.metric[family],
    source: route.source && formatIp(route.source),
  };
}

/** From NlnsProbe on the hardware address is true. */
const NLNS_PROBE = 2;

function macOf(route: FoundRoute | null, neighbours: readonly NeighbourRow[] | null): string | null {
  const gateway = route?.nextHop && formatIp(route.nextHop);
  const found = gateway &&
    neighbours?.find(({ index, address, mac, state }) =>
      index === route.index && state >= NLNS_PROBE && mac.length > 0 && formatIp(address) === gateway
    );
  return found ? formatMac(found.mac) : null;
}

/** The servers that Windows names where nobody configured any: well-known site-local addresses, withdrawn by RFC 3879. */
const PLACEHOLDER = /^fec0:0:0:ffff::[123]$/;

/** A look-up asks the servers of the interface with the least metric first. */
function toDns(adapters: readonly Adapter[], interfaces: readonly Interface[]): DnsConfig {
  const running = new Set(interfaces.filter((iface) => iface.running).map(({ index }) => index));
  const order = adapters.filter(({ index }) => running.has(index))
    .toSorted((a, b) => leastMetric(a) - leastMetric(b) || a.index - b.index);
  const servers = order.flatMap(({ dns }) => dns.map(formatIp)).filter((server) => !PLACEHOLDER.test(server));
  return { servers: [...new Set(servers)], search: [...new Set(order.flatMap(({ search }) => search))] };
}

function leastMetric({ metric: { v4, v6 } }: Adapter): number {
  return Math.min(v4, v6);
}

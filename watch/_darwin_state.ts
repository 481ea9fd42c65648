/** What macOS's tables mean: messages and answers in, a reading out. Pure functions. */

import { formatIp, parseIp } from "../internal/ip.ts";
import { sortAddresses, sortInterfaces } from "./diff.ts";
import { addressScope } from "./_read_interfaces.ts";
import { PROBE } from "./_reading.ts";
import {
  parseAddress,
  parseLink,
  parseRoute,
  parseRouteMessages,
  type RouteMessage,
  RTF,
  RTM,
} from "./_route_socket.ts";
import type { Address, DefaultRoute, Family, Interface, InterfaceKind } from "./state.ts";

const IFF_UP = 1;
const IFF_RUNNING = 0x40;

/** Interface types (IFT_, net/if_types.h). */
const IFT = {
  ETHER: 6,
  PPP: 23,
  LOOP: 24,
  GIF: 55,
  STF: 57,
  VLAN: 135,
  LAG: 136,
  BRIDGE: 209,
  CELLULAR: 255,
};

/** The types whose drivers know a carrier. */
const WITH_MEDIA: ReadonlySet<number> = new Set([IFT.ETHER, IFT.VLAN, IFT.LAG, IFT.BRIDGE]);

/** What a driver says of its medium (net/if_media.h). */
export interface Media {
  /** IFM_ word of the medium in use. */
  readonly active: number;
  /** IFM_AVALID 1 and IFM_ACTIVE 2. */
  readonly status: number;
}

const IFM_AVALID = 1;
const IFM_ACTIVE = 2;
const IFM_NMASK = 0xe0;
const IFM_IEEE80211 = 0x80;

/** State of an IPv6 address. */
export interface AddressState {
  /** IN6_IFF_ flags. */
  readonly flags: number;
  /** Until when it is preferred, in seconds since 1970; 0 for ever. */
  readonly preferred: number;
  /** Until when it is valid, likewise. */
  readonly expire: number;
}

/** IN6_IFF_, netinet6/in6_var.h. */
const IN6 = { TENTATIVE: 2, DUPLICATED: 4, DETACHED: 8, DEPRECATED: 0x10, TEMPORARY: 0x80 };

/** What the table of interfaces leaves out, asked one by one. */
export interface Details {
  /** An interface's medium, or `null` where its driver has none. */
  media(name: string): Media | null;
  /** The state of an interface's IPv6 address, or `null` where that is gone meanwhile. */
  address(name: string, address: Uint8Array): AddressState | null;
}

/**
 * Makes interfaces of the table that NET_RT_IFLIST2 gives.
 *
 * @param table The table.
 * @param details What it leaves out.
 * @param at When it was read, in milliseconds since 1970.
 * @throws {RouteSocketError} When the bytes are no such table.
 */
export function toInterfaces(table: Uint8Array, details: Details, at: number): Interface[] {
  const interfaces = new Map<number, Interface>();
  const addresses = new Map<number, Address[]>();
  for (const message of parseRouteMessages(table)) {
    if (message.type === RTM.IFINFO2) {
      const link = parseLink(message);
      const { index, name } = link;
      const media = WITH_MEDIA.has(link.hardware) ? details.media(name) : null;
      const up = (link.flags & IFF_UP) !== 0;
      // RUNNING stays set without a cable; the medium's state is what `ifconfig` prints as "status".
      const carrier = !media || (media.status & IFM_AVALID) === 0 || (media.status & IFM_ACTIVE) !== 0;
      const list: Address[] = [];
      addresses.set(index, list);
      interfaces.set(index, {
        index,
        name,
        kind: darwinKind(name, hardwareName(link.hardware, media)),
        mac: formatMac(link.mac),
        mtu: link.mtu,
        up,
        running: up && carrier && (link.flags & IFF_RUNNING) !== 0,
        master: null,
        addresses: list,
      });
    } else if (message.type === RTM.NEWADDR) {
      const { index, address, prefix } = parseAddress(message);
      const owner = interfaces.get(index);
      if (!owner || !address) continue;
      const entry = toAddress(owner.name, address, prefix, details, at);
      if (entry) addresses.get(index)?.push(entry);
    }
  }
  for (const list of addresses.values()) sortAddresses(list);
  return sortInterfaces([...interfaces.values()]);
}

function toAddress(
  name: string,
  bytes: Uint8Array,
  prefix: number,
  details: Details,
  at: number,
): Address | null {
  const v6 = bytes.length === 16;
  const state = v6 ? details.address(name, bytes) : { flags: 0, preferred: 0, expire: 0 };
  if (!state) return null;
  const { flags } = state;
  const preferredLifetime = remaining(state.preferred, at);
  return {
    address: formatIp(bytes),
    family: v6 ? 6 : 4,
    prefix,
    scope: addressScope(bytes),
    temporary: (flags & IN6.TEMPORARY) !== 0,
    tentative: (flags & IN6.TENTATIVE) !== 0,
    // A detached one stands on a prefix that no router announces any more.
    deprecated: (flags & (IN6.DEPRECATED | IN6.DETACHED)) !== 0 || preferredLifetime === 0,
    conflict: (flags & IN6.DUPLICATED) !== 0,
    preferredLifetime,
    validLifetime: remaining(state.expire, at),
  };
}

function remaining(until: number, at: number): number | null {
  return until === 0 ? null : Math.max(0, until * 1000 - at);
}

/** What an interface's driver is, in words that its name cannot say. */
export type DarwinHardware = "ethernet" | "wifi" | "cellular" | "bridge" | "vlan" | "bond" | "other";

function hardwareName(type: number, media: Media | null): DarwinHardware {
  switch (type) {
    case IFT.ETHER:
      return media && (media.active & IFM_NMASK) === IFM_IEEE80211 ? "wifi" : "ethernet";
    case IFT.BRIDGE:
      return "bridge";
    case IFT.VLAN:
      return "vlan";
    case IFT.LAG:
      return "bond";
    case IFT.CELLULAR:
      return "cellular";
    default:
      return "other";
  }
}

/** Interfaces that macOS or a hypervisor makes for itself; what is found here is told by name, whatever the driver says. */
const BY_NAME: readonly (readonly [RegExp, InterfaceKind])[] = [
  [/^lo\d/, "loopback"],
  [/^(utun|ipsec|gif|stf|ppp|tun|tap)\d/, "tunnel"],
  // Ends of pairs: made by `ifconfig feth0 create`, and by the virtual machines' framework.
  [/^(feth|vmenet)\d/, "veth"],
  [/^bridge\d/, "bridge"],
  [/^vlan\d/, "vlan"],
  [/^bond\d/, "bond"],
  [/^pdp_ip\d/, "cellular"],
  // Peer-to-peer radio, access point, the link to the coprocessor.
  [/^(awdl|llw|p2p|ap|anpi|XHC)\d/, "other"],
];

/**
 * What kind of interface it is.
 *
 * @param name Its name.
 * @param hardware What its driver is.
 */
export function darwinKind(name: string, hardware: DarwinHardware): InterfaceKind {
  return BY_NAME.find(([pattern]) => pattern.test(name))?.[1] ?? hardware;
}

/** A hardware address as text; `null` where there is none, or where the kernel hides it from who may not know it. */
export function formatMac(bytes: Uint8Array | undefined): string | null {
  if (bytes?.length !== 6) return null;
  const text = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  return text === "02:00:00:00:00:00" || text === "00:00:00:00:00:00" ? null : text;
}

/**
 * Makes the default route of the answer to a look-up.
 *
 * @param answer The answer, or `null` where the kernel knows no way.
 * @param family What was asked for.
 * @param interfaces The interfaces, to name the one it leads through.
 */
export function toDefaultRoute(
  answer: RouteMessage | null,
  family: Family,
  interfaces: readonly Interface[],
): DefaultRoute | null {
  if (!answer || answer.errno !== 0 || (answer.flags & (RTF.REJECT | RTF.BLACKHOLE)) !== 0) return null;
  const iface = interfaces.find(({ index }) => index === answer.index);
  if (!iface) return null;
  const gateway = answer.flags & RTF.GATEWAY ? answer.gateway : undefined;
  return {
    gateway: gateway ? formatIp(gateway) : null,
    interface: iface.name,
    index: iface.index,
    metric: null,
    source: sourceOf(answer, iface, family),
  };
}

/** The address that a route goes with; IPv6 routes go with the link's own, and the real one is chosen for each packet. */
function sourceOf({ source }: RouteMessage, iface: Interface, family: Family): string | null {
  if (source && addressScope(source) === "global") return formatIp(source);
  return chooseSource(iface, family, null);
}

/**
 * The address that a packet to the public network leaves with, by the rules of RFC 6724 section 5 as far as they tell
 * addresses of one interface apart: not deprecated, temporary before stable (macOS prefers those), longest common prefix.
 *
 * @param iface The interface.
 * @param family 4 or 6.
 * @param gateway The gateway: an IPv4 address on its network comes first.
 */
export function chooseSource(iface: Interface, family: Family, gateway: string | null): string | null {
  const towards = parseIp(family === 4 ? gateway ?? PROBE.v4 : PROBE.v6) ?? new Uint8Array();
  let best: Address | undefined;
  let bestScore = -1;
  for (const address of iface.addresses) {
    if (address.family !== family || address.scope !== "global" || address.tentative || address.conflict) {
      continue;
    }
    const common = commonPrefix(parseIp(address.address) ?? new Uint8Array(), towards);
    const score = (address.deprecated ? 0 : 1000) + (address.temporary ? 500 : 0) + common;
    if (score > bestScore) [best, bestScore] = [address, score];
  }
  return best?.address ?? null;
}

function commonPrefix(a: Uint8Array, b: Uint8Array): number {
  const differs = a.findIndex((byte, n) => byte !== b[n]);
  if (differs < 0) return a.length * 8;
  return differs * 8 + Math.clz32((a[differs] ?? 0) ^ (b[differs] ?? 0)) - 24;
}

/**
 * Finds the hardware address of a route's gateway in the table of neighbours (NET_RT_FLAGS with RTF_LLINFO).
 *
 * @param table The table.
 * @param route The route.
 * @throws {RouteSocketError} When the bytes are no such table.
 */
export function gatewayMac(table: Uint8Array, route: DefaultRoute | null): string | null {
  if (!route?.gateway) return null;
  for (const message of parseRouteMessages(table)) {
    if (message.type !== RTM.GET) continue;
    const entry = parseRoute(message);
    if (entry.index !== route.index || (entry.flags & RTF.LLINFO) === 0 || !entry.destination) continue;
    // A neighbour that has given no answer for long is marked as rejected, with what was known of it still there.
    if ((entry.flags & RTF.REJECT) !== 0) continue;
    if (formatIp(entry.destination) === route.gateway) return formatMac(entry.mac);
  }
  return null;
}

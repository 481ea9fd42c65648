/** What a source reads: the network as it is, before a watcher filters it. */

import type { BackendName } from "./events.ts";
import {
  type AddressScope,
  type Interface,
  type InterfaceKind,
  type NetworkState,
  onlineFamilies,
} from "./state.ts";

/** The parts of a state that a source reads; the rest follows from them. */
export type Reading = Pick<NetworkState, "at" | "interfaces" | "defaultRoute" | "dns" | "blind"> & {
  /** Hardware addresses of the gateways, where the neighbour table knows them. */
  readonly gatewayMac: { readonly v4: string | null; readonly v6: string | null };
  /**
   * Indexes of interfaces where a missing hardware address says nothing: they resolve none, or their neighbours are out
   * of sight. Those that have no hardware address of their own need not be named.
   */
  readonly neighbourless?: readonly number[];
};

/** What a source tells besides being read. */
export interface SourceEvents {
  /** Something may have changed: read again. */
  hint(): void;
  /** Messages were lost; a reading makes up for them. */
  overflow(detail: string): void;
  /** The source does not work any more. */
  failed(error: unknown): void;
}

/** A way to learn of changes and to read the network. */
export interface Source extends AsyncDisposable {
  /** Its name. */
  readonly backend: BackendName;
  /** What it reads the network with. */
  readonly reader: ReaderName;
  /** Reads everything. Synchronous where the system allows. */
  read(): Reading | Promise<Reading>;
  /** Milliseconds that the machine has spent asleep since some moment, where the system has such a clock. */
  sleepClock?(): number;
}

/** Opens a source. */
export type SourceFactory = (events: SourceEvents) => Source | Promise<Source>;

/** What the network is read with: the system's own tables, a tool of the system, or the runtime's own list of addresses. */
export type ReaderName = "netlink" | "ip" | "sysctl" | "ifconfig" | "iphlpapi" | "powershell" | "interfaces";

/** Makes the full state of a reading. */
export function toState(
  reading: Pick<NetworkState, "at" | "interfaces" | "defaultRoute" | "dns" | "blind">,
  external: NetworkState["external"] = null,
): NetworkState {
  const { at, interfaces, defaultRoute, dns, blind } = reading;
  const families = onlineFamilies(reading);
  return { at, online: families.length > 0, families, interfaces, defaultRoute, dns, external, blind };
}

/** Public addresses whose way is looked up: those of a root name server (A.ROOT-SERVERS.NET), to whom nothing is sent. */
export const PROBE = { v4: "198.41.0.4", v6: "2001:503:ba3e::2:30" } as const;

const TUNNELS = new Set([
  "tun",
  "wireguard",
  "ipip",
  "sit",
  "gre",
  "gretap",
  "ip6gre",
  "ip6gretap",
  "ip6tnl",
  "erspan",
  "vti",
  "vti6",
  "vxlan",
  "geneve",
  "xfrm",
  "l2tp",
  "gtp",
  "amt",
]);

/** Hardware types as `ip -j link` names them (`link_type`), of ARPHRD_ numbers (if_arp.h). */
const HARDWARE: Readonly<Record<number, string>> = {
  1: "ether",
  512: "ppp",
  519: "rawip",
  768: "ipip",
  769: "tunnel6",
  772: "loopback",
  776: "sit",
  778: "gre",
  801: "ieee802.11",
  65534: "none",
};

/** The name of an ARPHRD_ number. */
export function hardwareName(type: number): string {
  return HARDWARE[type] ?? `${type}`;
}

/**
 * What kind of interface it is.
 *
 * @param name Its name: wireless and cellular ones are told by it (`wl...`, `ww...`), as their drivers all say "ether".
 * @param hardware Hardware type, as {@linkcode hardwareName} gives it.
 * @param info The kind that it was created with, if any.
 */
export function kindOf(name: string, hardware: string, info: string | undefined): InterfaceKind {
  if (hardware === "loopback") return "loopback";
  if (info === "veth" || info === "bridge" || info === "vlan") return info;
  if (info === "bond" || info === "team") return "bond";
  if (info !== undefined && TUNNELS.has(info)) return "tunnel";
  if (hardware === "ieee802.11" || /^wl/.test(name)) return "wifi";
  if (hardware === "rawip" || /^ww/.test(name)) return "cellular";
  if (
    hardware === "none" || hardware === "ipip" || hardware === "tunnel6" || hardware === "sit" ||
    hardware === "gre"
  ) {
    return "tunnel";
  }
  if (hardware !== "ether" || info === "dummy" || info === "ifb") return "other";
  return "ethernet";
}

/** Whether an interface passes packets: on, carrier there, and not held back (operstate unknown is what tunnels have). */
export function isRunning(up: boolean, carrier: boolean, operstate: string): boolean {
  return up && carrier && (operstate === "UP" || operstate === "UNKNOWN");
}

/** What an RT_SCOPE_ number (rtnetlink.h) means; those between are the administrator's own and reach at least a site. */
export function scopeOf(scope: number): AddressScope {
  return scope >= 254 ? "host" : scope === 253 ? "link" : scope >= 200 ? "site" : "global";
}

/** Seconds of a lifetime as milliseconds; `null` for ever. */
export function lifetime(seconds: number): number | null {
  return seconds === 0xffffffff ? null : seconds * 1000;
}

/** Interface index to interface. */
export function byIndex(interfaces: readonly Interface[]): Map<number, Interface> {
  return new Map(interfaces.map((iface) => [iface.index, iface]));
}

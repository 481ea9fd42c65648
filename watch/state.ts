/** What the network is: plain, readonly data, and what follows from it. */

/** An address family: 4 or 6. */
export type Family = 4 | 6;

/** What kind of interface it is, as far as the system tells. */
export type InterfaceKind =
  | "ethernet"
  | "wifi"
  | "cellular"
  | "loopback"
  | "bridge"
  | "veth"
  | "tunnel"
  | "bond"
  | "vlan"
  | "other";

/** How far an address reaches (RFC 4007 for IPv6, `rtm_scope` for IPv4). */
export type AddressScope = "global" | "site" | "link" | "host";

/** One address of an interface. */
export interface Address {
  /** The address in its canonical text form (RFC 5952 for IPv6), without zone. */
  readonly address: string;
  /** 4 or 6. */
  readonly family: Family;
  /** Length of the network prefix in bits. */
  readonly prefix: number;
  /** How far it reaches. */
  readonly scope: AddressScope;
  /** A temporary IPv6 address (RFC 8981). */
  readonly temporary: boolean;
  /** Duplicate address detection (RFC 4862) has not finished, and the address must not be used yet. */
  readonly tentative: boolean;
  /** Still valid, but not to be chosen for new connections. */
  readonly deprecated: boolean;
  /** Duplicate address detection found another owner; the address stays listed and cannot be used. */
  readonly conflict: boolean;
  /** For how many milliseconds, counted from the state's `at`, it stays preferred; `null` for ever. */
  readonly preferredLifetime: number | null;
  /** For how many milliseconds, counted from the state's `at`, it stays valid; `null` for ever. */
  readonly validLifetime: number | null;
}

/** One network interface. */
export interface Interface {
  /** The system's number for it; the identity of an interface while it exists (names change). 0 where unknown. */
  readonly index: number;
  /** Its name, for example `"wlan0"`. */
  readonly name: string;
  /** What it is. */
  readonly kind: InterfaceKind;
  /** Hardware address, lower case with colons, or `null`. */
  readonly mac: string | null;
  /** Largest packet in bytes, or `null` where unknown. */
  readonly mtu: number | null;
  /** Switched on by the administrator. */
  readonly up: boolean;
  /** On and with carrier: able to pass packets. */
  readonly running: boolean;
  /** Index of the bridge or bond that it is a port of, or `null`. */
  readonly master: number | null;
  /** Its addresses, in a fixed order (family, then text). */
  readonly addresses: readonly Address[];
}

/** The route that traffic to the public network takes, from the kernel's own look-up. */
export interface DefaultRoute {
  /** Address of the next hop, or `null` where the interface itself is the way (tunnels, PPP). */
  readonly gateway: string | null;
  /** Name of the interface. */
  readonly interface: string;
  /** Index of the interface. */
  readonly index: number;
  /** The route's metric; the lower one wins. `null` where unknown. */
  readonly metric: number | null;
  /** The source address the system prefers for it, or `null` where unknown. */
  readonly source: string | null;
}

/** The resolver's configuration: what a plain look-up uses. */
export interface DnsConfig {
  /** Addresses of the name servers, in order; a port is not part of it. */
  readonly servers: readonly string[];
  /** The search list, in order. */
  readonly search: readonly string[];
}

/** What a reading could not see. A field named here holds its neutral value, and is never the cause of an event. */
export type Blindness = "links" | "routes" | "dns";

/** The public address of one family, as servers outside saw it. */
export interface ExternalFamily {
  /** The public address. */
  readonly address: string;
  /** How many of the servers that answered agree on it. */
  readonly agreed: number;
  /** How many servers answered. */
  readonly answered: number;
}

/** The public addresses, as servers outside saw them. */
export interface ExternalAddresses {
  /** Public IPv4 address, or `null` where none is known. */
  readonly v4: ExternalFamily | null;
  /** Public IPv6 address, or `null` where none is known. */
  readonly v6: ExternalFamily | null;
}

/** One complete, consistent reading of the network. */
export interface NetworkState {
  /** When it was read, in milliseconds since 1970. */
  readonly at: number;
  /** A default route of some family leads through a running interface with a usable address of that family. */
  readonly online: boolean;
  /** The families that are online, in order. */
  readonly families: readonly Family[];
  /** All interfaces, in order of their index. */
  readonly interfaces: readonly Interface[];
  /** The route to the public network per family, or `null` where there is none. */
  readonly defaultRoute: { readonly v4: DefaultRoute | null; readonly v6: DefaultRoute | null };
  /** The resolver's configuration, or `null` where it cannot be read. */
  readonly dns: DnsConfig | null;
  /** The public addresses, or `null` before the first answer or where nobody asked. */
  readonly external: ExternalAddresses | null;
  /** What this reading could not see. */
  readonly blind: readonly Blindness[];
}

/** Whether an address can be used as it is: global or private, past duplicate detection, not taken by another. */
export function isUsableAddress(address: Address): boolean {
  return !address.tentative && !address.conflict && address.scope !== "link" && address.scope !== "host";
}

/** Whether an interface passes packets and has a usable address of a family (of any, if none is given). */
export function isUsableInterface(iface: Interface, family?: Family): boolean {
  return iface.running &&
    iface.addresses.some((a) => (family === undefined || a.family === family) && isUsableAddress(a));
}

/** The default route of a family. */
export function routeOf(state: Pick<NetworkState, "defaultRoute">, family: Family): DefaultRoute | null {
  return family === 4 ? state.defaultRoute.v4 : state.defaultRoute.v6;
}

/**
 * The families that are online in a reading.
 *
 * Where routes are out of sight, a usable address outside of container plumbing has to do.
 */
export function onlineFamilies(
  state: Pick<NetworkState, "interfaces" | "defaultRoute" | "blind">,
): readonly Family[] {
  const isOnline = (family: Family): boolean => {
    if (state.blind.includes("routes")) {
      return state.interfaces.some((i) => isUsableInterface(i, family) && !isPlumbing(i, state));
    }
    const route = routeOf(state, family);
    const iface = route && state.interfaces.find((i) => i.index === route.index);
    return !!iface && isUsableInterface(iface, family);
  };
  return ([4, 6] as const).filter(isOnline);
}

/** The names that container runtimes and hypervisors give to their bridges and helpers. */
const CONTAINER_NAME =
  /^(docker\d|docker_gwbridge|br-[0-9a-f]{12}|virbr\d|vmnet\d|cni\d|cni-podman\d|podman\d|lxcbr\d|lxdbr\d|incusbr\d|flannel|cali|cilium|kube-|nerdctl)/;

/** What macOS keeps for itself: the radio of AirDrop, and the way to the coprocessor. */
const MACOS_NAME = /^(awdl|llw|anpi)\d/;

/** Whether an address is meant for traffic beyond its link, be it usable yet or not. */
function isRoutable(address: Address): boolean {
  return address.scope === "global" || address.scope === "site";
}

/**
 * Whether an interface is container plumbing: a veth end, a bridge or a port of a bridge with no address beyond its
 * link, or what a container runtime or macOS made by name - unless a default route leads through it.
 */
export function isPlumbing(
  iface: Interface,
  state: Pick<NetworkState, "interfaces" | "defaultRoute">,
): boolean {
  const { v4, v6 } = state.defaultRoute;
  if (v4?.interface === iface.name || v6?.interface === iface.name) return false;
  if (CONTAINER_NAME.test(iface.name) || MACOS_NAME.test(iface.name)) return true;
  if (iface.kind !== "veth" && iface.kind !== "bridge" && !isBridgePort(iface, state)) return false;
  return !iface.addresses.some(isRoutable);
}

function isBridgePort(iface: Interface, state: Pick<NetworkState, "interfaces">): boolean {
  return iface.master !== null &&
    state.interfaces.some((other) => other.index === iface.master && other.kind === "bridge");
}

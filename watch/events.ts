/** What can happen to a network: the events a watcher tells. */

import type {
  Address,
  DefaultRoute,
  DnsConfig,
  ExternalAddresses,
  Family,
  Interface,
  NetworkState,
} from "./state.ts";

/** What all events have. */
export interface EventStamp {
  /** When the reading that showed it was taken, in milliseconds since 1970. */
  readonly at: number;
}

/** A family got (or lost) its usable default path. */
export interface OnlineEvent extends EventStamp {
  /** `online`: usable now; `offline`: not any more. */
  readonly type: "online" | "offline";
  /** The family that changed. */
  readonly family: Family;
  /** The families that are online now; empty: the machine is offline. */
  readonly families: readonly Family[];
}

/** An interface appeared (with all it has) or went away. */
export interface InterfaceEvent extends EventStamp {
  /** Which of the two. */
  readonly type: "interfaceadd" | "interfaceremove";
  /** The interface's name. */
  readonly interface: string;
  /** Its index. */
  readonly index: number;
  /** The interface as it is now, or as it was last. */
  readonly details: Interface;
}

/** What of an interface can change. `addresses` is among it only for container plumbing, which raises no address events. */
export type InterfaceFields = Partial<Omit<Interface, "index">>;

/** Something about an interface changed: name, kind, hardware address, size, switched on or off, carrier, bridge. */
export interface InterfaceChangeEvent extends EventStamp {
  /** The tag. */
  readonly type: "interfacechange";
  /** The interface's name now. */
  readonly interface: string;
  /** Its index. */
  readonly index: number;
  /** The fields that changed, as they were. */
  readonly from: InterfaceFields;
  /** The same fields, as they are. */
  readonly to: InterfaceFields;
}

/** An address appeared or went away. */
export interface AddressEvent extends EventStamp, Address {
  /** Which of the two. */
  readonly type: "addressadd" | "addressremove";
  /** Name of the interface. */
  readonly interface: string;
  /** Index of the interface. */
  readonly index: number;
}

/** What of an address can change while it stays. */
export type AddressFields = Partial<
  Pick<Address, "scope" | "temporary" | "tentative" | "deprecated" | "conflict">
>;

/** An address stays and something about it changed: it became usable, deprecated ... */
export interface AddressChangeEvent extends EventStamp {
  /** The tag. */
  readonly type: "addresschange";
  /** Name of the interface. */
  readonly interface: string;
  /** Index of the interface. */
  readonly index: number;
  /** The address. */
  readonly address: string;
  /** Its family. */
  readonly family: Family;
  /** Its prefix length. */
  readonly prefix: number;
  /** The fields that changed, as they were. */
  readonly from: AddressFields;
  /** The same fields, as they are. */
  readonly to: AddressFields;
}

/** Duplicate address detection found that somebody else has the address. */
export interface AddressConflictEvent extends EventStamp {
  /** The tag. */
  readonly type: "addressconflict";
  /** Name of the interface. */
  readonly interface: string;
  /** Index of the interface. */
  readonly index: number;
  /** The address. */
  readonly address: string;
  /** Its family. */
  readonly family: Family;
}

/** The default route of a family changed. */
export interface RouteEvent extends EventStamp {
  /**
   * `gatewaychange`: another next hop or interface, or none; `defaultinterfacechange`: another interface, or none;
   * `routechange`: gateway and interface stay, metric or preferred source differ.
   */
  readonly type: "gatewaychange" | "defaultinterfacechange" | "routechange";
  /** The family. */
  readonly family: Family;
  /** The route as it was, `null` for none. */
  readonly from: DefaultRoute | null;
  /** The route as it is, `null` for none. */
  readonly to: DefaultRoute | null;
}

/** The resolver's configuration changed. */
export interface DnsEvent extends EventStamp {
  /** The tag. */
  readonly type: "dnschange";
  /** As it was. */
  readonly from: DnsConfig | null;
  /** As it is. */
  readonly to: DnsConfig | null;
}

/** What tells one network from another that uses the same addresses. */
export interface NetworkIdentity {
  /** Address of the gateway. */
  readonly gateway: string;
  /** Hardware address of the gateway. */
  readonly mac: string;
  /** The network that the gateway is in, as `address/bits`, or `null` where it is in none of ours. */
  readonly network: string | null;
}

/** It is another network, even if all addresses should be the same: the gateway's hardware or its prefix differ. */
export interface IdentityEvent extends EventStamp {
  /** The tag. */
  readonly type: "identitychange";
  /** The family in which it showed. */
  readonly family: Family;
  /** The network that was known last. */
  readonly from: NetworkIdentity;
  /** The network it is now. */
  readonly to: NetworkIdentity;
}

/** The public address changed, appeared or vanished. */
export interface ExternalEvent extends EventStamp {
  /** The tag. */
  readonly type: "externalchange";
  /** As it was. */
  readonly from: ExternalAddresses | null;
  /** As it is. */
  readonly to: ExternalAddresses | null;
}

/** The machine woke from sleep. */
export interface WakeEvent extends EventStamp {
  /** The tag. */
  readonly type: "wake";
  /** For how many milliseconds it slept. */
  readonly slept: number;
}

/** How a watcher comes to know of changes. */
export type BackendName =
  | "netlink"
  | "routing-socket"
  | "iphlpapi"
  | "ip-monitor"
  | "route-monitor"
  | "powershell"
  | "poll";

/** Something about the backend itself. */
export interface BackendEvent extends EventStamp {
  /** The tag. */
  readonly type: "backend";
  /** The backend in use now. */
  readonly backend: BackendName;
  /** `fallback`: a better one failed; `recovered`: a better one works again; `overflow`: messages were lost, and all was read anew. */
  readonly reason: "fallback" | "recovered" | "overflow";
  /** What happened, for people. */
  readonly detail: string;
}

/** In place of events that a slow consumer has missed. */
export interface ResyncEvent extends EventStamp {
  /** The tag. */
  readonly type: "resync";
  /** The state now; what was known before is void. */
  readonly state: NetworkState;
}

/** A single event, published at kernel speed. */
export type NetworkEvent =
  | OnlineEvent
  | InterfaceEvent
  | InterfaceChangeEvent
  | AddressEvent
  | AddressChangeEvent
  | AddressConflictEvent
  | RouteEvent
  | DnsEvent
  | IdentityEvent
  | ExternalEvent
  | WakeEvent
  | BackendEvent
  | ResyncEvent;

/** What a settled change means for those who hold connections. */
export type Major = "required" | "advised" | "none";

/** A settled change: the network has been quiet since. */
export interface NetworkChange extends EventStamp {
  /** The tag. */
  readonly type: "change";
  /** The settled state before. */
  readonly previous: NetworkState;
  /** The settled state now. */
  readonly next: NetworkState;
  /** What lies between the two: applied to `previous` they give `next`. */
  readonly events: readonly NetworkEvent[];
  /** `required`: the old source address or interface is gone; `advised`: another network or gateway; `none`: neither. */
  readonly major: Major;
  /** Why it is that much, one line each. */
  readonly reasons: readonly string[];
}

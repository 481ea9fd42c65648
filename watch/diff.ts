/** The difference of two readings as events, and the way back: pure functions. */

import type { AddressFields, InterfaceFields, NetworkEvent, RouteEvent } from "./events.ts";
import {
  type Address,
  type Blindness,
  type DefaultRoute,
  type DnsConfig,
  type Family,
  type Interface,
  isPlumbing,
  type NetworkState,
  routeOf,
} from "./state.ts";

const FAMILIES = [4, 6] as const;
const INTERFACE_FIELDS = ["name", "kind", "mac", "mtu", "up", "running", "master"] as const;
const ADDRESS_FIELDS = ["scope", "temporary", "tentative", "deprecated", "conflict"] as const;

/** Whether an interface's addresses count; see {@linkcode isPlumbing}. */
export type Relevance = (iface: Interface, state: NetworkState) => boolean;

const byDefault: Relevance = (iface, state) => !isPlumbing(iface, state);

/**
 * Tells what happened between two states, in a fixed order: interfaces, addresses, routes, resolver, public address,
 * offline, online.
 *
 * What either state is blind to is never a difference, nor are lifetimes.
 *
 * @param before The earlier state.
 * @param after The later state.
 * @param isRelevant Whose addresses get events of their own; those of others are a field of `interfacechange`.
 * @returns The events; applied to `before` by {@linkcode applyEvents} they give `after`.
 */
export function diffStates(
  before: NetworkState,
  after: NetworkState,
  isRelevant: Relevance = byDefault,
): NetworkEvent[] {
  const blind = new Set([...before.blind, ...after.blind]);
  const events = diffInterfaces(before, after, isRelevant);
  if (!blind.has("routes")) events.push(...FAMILIES.flatMap((family) => diffRoute(before, after, family)));
  const { at } = after;
  if (!blind.has("dns") && !equalDns(before.dns, after.dns)) {
    events.push({ type: "dnschange", at, from: before.dns, to: after.dns });
  }
  if (!equalExternal(before.external, after.external)) {
    events.push({ type: "externalchange", at, from: before.external, to: after.external });
  }
  const { families } = after;
  for (const family of FAMILIES) {
    if (before.families.includes(family) && !families.includes(family)) {
      events.push({ type: "offline", at, family, families });
    }
  }
  for (const family of FAMILIES) {
    if (!before.families.includes(family) && families.includes(family)) {
      events.push({ type: "online", at, family, families });
    }
  }
  return events;
}

/** Interfaces are told apart by index, and by name where one of the two readings has no indexes. */
function keyer(before: NetworkState, after: NetworkState): (iface: Interface) => string | number {
  return before.blind.includes("links") || after.blind.includes("links") ? (i) => i.name : (i) => i.index;
}

function diffInterfaces(before: NetworkState, after: NetworkState, isRelevant: Relevance): NetworkEvent[] {
  const key = keyer(before, after);
  const old = new Map(before.interfaces.map((iface) => [key(iface), iface]));
  const { at } = after;
  const links: NetworkEvent[] = [];
  const addresses: NetworkEvent[] = [];
  const gone: NetworkEvent[] = [];
  const linksUnseen = before.blind.includes("links") || after.blind.includes("links");
  for (const iface of after.interfaces) {
    const was = old.get(key(iface));
    old.delete(key(iface));
    if (was === iface || !was && isUnseen(iface, before)) continue;
    if (!was) {
      links.push({ type: "interfaceadd", at, interface: iface.name, index: iface.index, details: iface });
      if (isRelevant(iface, after)) addresses.push(...diffAddresses({ ...iface, addresses: [] }, iface, at));
      continue;
    }
    const from: Record<string, unknown> = {};
    const to: Record<string, unknown> = {};
    for (const field of linksUnseen ? [] : INTERFACE_FIELDS) {
      if (was[field] === iface[field]) continue;
      from[field] = was[field];
      to[field] = iface[field];
    }
    const changes = diffAddresses(was, iface, at, linksUnseen ? [] : ADDRESS_FIELDS);
    if (changes.length > 0) {
      if (isRelevant(was, before) || isRelevant(iface, after)) addresses.push(...changes);
      else [from["addresses"], to["addresses"]] = [was.addresses, iface.addresses];
    }
    if (Object.keys(to).length === 0) continue;
    links.push({
      type: "interfacechange",
      at,
      interface: iface.name,
      index: iface.index,
      from: from as InterfaceFields,
      to: to as InterfaceFields,
    });
  }
  for (const iface of old.values()) {
    if (isUnseen(iface, after)) continue;
    if (isRelevant(iface, before)) gone.push(...diffAddresses(iface, { ...iface, addresses: [] }, at));
    gone.push({ type: "interfaceremove", at, interface: iface.name, index: iface.index, details: iface });
  }
  return [...gone, ...links, ...addresses];
}

/** A reading that is blind to links shows an interface by its addresses alone. */
function isUnseen(iface: Interface, state: NetworkState): boolean {
  return iface.addresses.length === 0 && state.blind.includes("links");
}

/** One address may stand on an interface once per prefix length, or more often with several peers, which tell nothing. */
function addressKey({ address, prefix }: Pick<Address, "address" | "prefix">): string {
  return `${address}/${prefix}`;
}

function byKey(addresses: readonly Address[]): Map<string, Address> {
  return new Map(addresses.map((address) => [addressKey(address), address]));
}

function diffAddresses(
  before: Interface,
  after: Interface,
  at: number,
  fields: readonly (typeof ADDRESS_FIELDS)[number][] = ADDRESS_FIELDS,
): NetworkEvent[] {
  if (before.addresses.length === 0 && after.addresses.length === 0) return [];
  const old = byKey(before.addresses);
  const where = { at, interface: after.name, index: after.index };
  const added: NetworkEvent[] = [];
  const changed: NetworkEvent[] = [];
  for (const address of byKey(after.addresses).values()) {
    const was = old.get(addressKey(address));
    old.delete(addressKey(address));
    if (!was) added.push({ type: "addressadd", ...where, ...address });
    else changed.push(...diffAddress(was, address, where, fields));
    if (address.conflict && !was?.conflict && fields.includes("conflict")) {
      const { address: text, family } = address;
      (was ? changed : added).push({ type: "addressconflict", ...where, address: text, family });
    }
  }
  const removed = [...old.values()].map((address) => ({
    type: "addressremove" as const,
    ...where,
    ...address,
  }));
  return [...removed, ...changed, ...added];
}

function diffAddress(
  was: Address,
  is: Address,
  where: { readonly at: number; readonly interface: string; readonly index: number },
  seen: readonly (typeof ADDRESS_FIELDS)[number][],
): NetworkEvent[] {
  const fields = seen.filter((field) => was[field] !== is[field]);
  if (fields.length === 0) return [];
  const pick = (address: Address): AddressFields =>
    Object.fromEntries(fields.map((field) => [field, address[field]]));
  const { address, family, prefix } = is;
  return [{ type: "addresschange", ...where, address, family, prefix, from: pick(was), to: pick(is) }];
}

function diffRoute(before: NetworkState, after: NetworkState, family: Family): NetworkEvent[] {
  const [from, to] = [routeOf(before, family), routeOf(after, family)];
  // A renamed interface is told by `interfacechange`, which renames it here too; one that was gone meanwhile is another.
  const known = from?.interface === to?.interface ||
    before.interfaces.some(({ index }) => index === from?.index);
  const sameInterface = from?.index === to?.index && known;
  const types: RouteEvent["type"][] = [];
  if (from?.gateway !== to?.gateway || !sameInterface) types.push("gatewaychange");
  if (!sameInterface) types.push("defaultinterfacechange");
  if (types.length === 0 && (from?.metric !== to?.metric || from?.source !== to?.source)) {
    types.push("routechange");
  }
  return types.map((type) => ({ type, at: after.at, family, from, to }));
}

function equalLists(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, n) => value === b[n]);
}

/** Whether two resolver configurations are the same. */
export function equalDns(a: DnsConfig | null, b: DnsConfig | null): boolean {
  if (a === null || b === null) return a === b;
  return equalLists(a.servers, b.servers) && equalLists(a.search, b.search);
}

function equalExternal(a: NetworkState["external"], b: NetworkState["external"]): boolean {
  return a?.v4?.address === b?.v4?.address && a?.v6?.address === b?.v6?.address;
}

/** Whether two states are the same but for time, lifetimes and what either is blind to. */
export function equalStates(a: NetworkState, b: NetworkState): boolean {
  return diffStates(a, b, () => true).length === 0;
}

/**
 * What to compare the next state with: routes and resolver stay as they were seen last while they are out of sight, so
 * that what happened to them meanwhile is told when they are in sight again.
 *
 * @param seen What the state was compared with.
 * @param now The state.
 */
export function asLastSeen(seen: NetworkState, now: NetworkState): NetworkState {
  const keeps = (field: Blindness): boolean => now.blind.includes(field) && !seen.blind.includes(field);
  const [routes, dns] = [keeps("routes"), keeps("dns")];
  if (!routes && !dns) return now;
  return {
    ...now,
    defaultRoute: routes ? seen.defaultRoute : now.defaultRoute,
    dns: dns ? seen.dns : now.dns,
    blind: now.blind.filter((field) => field === "links" || !keeps(field)),
  };
}

/**
 * Applies events to a state.
 *
 * @param state The state before.
 * @param events What happened, in order.
 * @returns The state after; `at` is that of the last event.
 */
export function applyEvents(state: NetworkState, events: readonly NetworkEvent[]): NetworkState {
  return events.reduce(applyEvent, state);
}

function applyEvent(state: NetworkState, event: NetworkEvent): NetworkState {
  const { at } = event;
  switch (event.type) {
    case "interfaceadd":
      return { ...state, at, interfaces: sortInterfaces([...state.interfaces, event.details]) };
    case "interfaceremove":
      return { ...state, at, interfaces: state.interfaces.filter((iface) => !isSame(iface, event)) };
    case "interfacechange":
      return rename(
        { ...state, at, interfaces: mapInterface(state, event, (i) => ({ ...i, ...event.to })) },
        event,
      );
    case "addressadd":
    case "addressremove":
      return { ...state, at, interfaces: mapInterface(state, event, (i) => applyAddress(i, event)) };
    case "addresschange":
      return {
        ...state,
        at,
        interfaces: mapInterface(state, event, (i) => ({
          ...i,
          addresses: i.addresses.map((a) => addressKey(a) === addressKey(event) ? { ...a, ...event.to } : a),
        })),
      };
    case "gatewaychange":
    case "defaultinterfacechange":
    case "routechange":
      return { ...state, at, defaultRoute: { ...state.defaultRoute, [`v${event.family}`]: event.to } };
    case "dnschange":
      return { ...state, at, dns: event.to };
    case "externalchange":
      return { ...state, at, external: event.to };
    case "online":
    case "offline":
      return { ...state, at, families: event.families, online: event.families.length > 0 };
    case "resync":
      return event.state;
    default:
      return { ...state, at };
  }
}

function isSame(iface: Interface, event: { readonly interface: string; readonly index: number }): boolean {
  return event.index === 0 || iface.index === 0
    ? iface.name === event.interface
    : iface.index === event.index;
}

function mapInterface(
  state: NetworkState,
  event: { readonly interface: string; readonly index: number },
  change: (iface: Interface) => Interface,
): readonly Interface[] {
  return state.interfaces.map((iface) => isSame(iface, event) ? change(iface) : iface);
}

/** Default routes name their interface. */
function rename(
  state: NetworkState,
  event: { readonly interface: string; readonly index: number },
): NetworkState {
  const follow = (route: DefaultRoute | null): DefaultRoute | null =>
    route && route.index === event.index && route.interface !== event.interface
      ? { ...route, interface: event.interface }
      : route;
  const { v4, v6 } = state.defaultRoute;
  return { ...state, defaultRoute: { v4: follow(v4), v6: follow(v6) } };
}

function applyAddress(
  iface: Interface,
  event: Extract<NetworkEvent, { readonly prefix: number }>,
): Interface {
  const rest = iface.addresses.filter((address) => addressKey(address) !== addressKey(event));
  if (event.type !== "addressadd") return { ...iface, addresses: rest };
  const { type: _type, at: _at, interface: _name, index: _index, ...address } = event;
  return { ...iface, addresses: sortAddresses([...rest, address]) };
}

function order(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Interfaces in their fixed order: by index, then by name. */
export function sortInterfaces(interfaces: Interface[]): Interface[] {
  return interfaces.sort((a, b) => order(a.index, b.index) || order(a.name, b.name));
}

/** Addresses in their fixed order: by family, text and prefix length. */
export function sortAddresses(addresses: Address[]): Address[] {
  return addresses.sort((a, b) => a.family - b.family || order(a.address, b.address) || a.prefix - b.prefix);
}

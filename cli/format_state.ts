/** The state of the network as text for people. */

import type {
  Address,
  DefaultRoute,
  DnsConfig,
  ExternalFamily,
  Family,
  Interface,
  NetworkState,
} from "../watch/state.ts";
import { columns } from "./columns.ts";
import { allPrintable, type Style } from "./style.ts";

/**
 * A state as a small report: online or not, default routes, name servers, public address, interfaces.
 *
 * @param state The state.
 * @param backend What read it.
 * @param style Colours.
 * @returns The lines.
 */
export function formatState(state: NetworkState, backend: string, style: Style): string[] {
  const { defaultRoute, dns, external, blind, interfaces } = allPrintable(state);
  const rows = [
    [style.dim("network"), onlineText(state, style)],
    ["", ""],
    [style.dim("IPv4"), routeText(defaultRoute.v4, blind.includes("routes"))],
    [style.dim("IPv6"), routeText(defaultRoute.v6, blind.includes("routes"))],
    [style.dim("dns"), blind.includes("dns") ? "out of sight" : dnsText(dns)],
    ...(external ? externalRows(external, style) : []),
    [style.dim("backend"), backend],
  ];
  const seen = blind.length === 0 ? [] : ["", style.changed(`out of sight here: ${blind.join(", ")}`)];
  return [
    ...columns(rows.filter(([name]) => name !== "")),
    "",
    ...columns([
      ["INTERFACE", "KIND", "STATE", "MTU", "HARDWARE", "ADDRESSES"].map(style.dim),
      ...interfaces.flatMap((iface) => interfaceRows(iface, style)),
    ]),
    ...seen,
  ];
}

/** `"IPv4"` or `"IPv6"`. */
export function familyName(family: Family): string {
  return `IPv${family}`;
}

/** A default route in words: `"via 10.0.0.1 on v0, metric 100, from 10.0.0.2"`. */
export function routeText(route: DefaultRoute | null, blind = false): string {
  if (blind) return "out of sight";
  if (!route) return "no default route";
  const parts = [
    route.gateway === null ? `on ${route.interface}` : `via ${route.gateway} on ${route.interface}`,
  ];
  if (route.metric !== null) parts.push(`metric ${route.metric}`);
  if (route.source !== null) parts.push(`from ${route.source}`);
  return parts.join(", ");
}

/** Name servers and search list in words. */
export function dnsText(dns: DnsConfig | null): string {
  if (!dns) return "none";
  const servers = dns.servers.join(", ") || "no server";
  return dns.search.length === 0 ? servers : `${servers} (search ${dns.search.join(" ")})`;
}

/** An address with its prefix, and what is unusual about it. */
export function addressText(address: Address): string {
  const notes = addressNotes(address);
  const text = `${address.address}/${address.prefix}`;
  return notes.length === 0 ? text : `${text} (${notes.join(", ")})`;
}

/** What is unusual about an address. */
export function addressNotes(address: Address): string[] {
  return [
    address.conflict ? "taken by another machine" : "",
    address.tentative && !address.conflict ? "not usable yet" : "",
    address.deprecated ? "deprecated" : "",
    address.temporary ? "temporary" : "",
    address.scope === "link" ? "link-local" : "",
  ].filter((note) => note !== "");
}

/** A public address and who agrees on it. */
export function externalText(seen: ExternalFamily | null): string {
  if (!seen) return "unknown";
  return `${seen.address} (${seen.agreed} of ${seen.answered} ${seen.answered === 1 ? "server" : "servers"})`;
}

function onlineText({ online, families }: NetworkState, style: Style): string {
  if (!online) return style.bad("offline");
  return style.good(`online by ${families.map(familyName).join(" and ")}`);
}

function externalRows(external: NonNullable<NetworkState["external"]>, style: Style): string[][] {
  const rows: string[][] = [];
  if (external.v4 || !external.v6) rows.push([style.dim("external"), externalText(external.v4)]);
  if (external.v6) rows.push([style.dim("external"), externalText(external.v6)]);
  return rows;
}

function interfaceRows(iface: Interface, style: Style): string[][] {
  const [first = "", ...more] = iface.addresses.map((address) => {
    const text = addressText(address);
    return address.conflict ? style.bad(text) : address.tentative ? style.changed(text) : text;
  });
  const state = iface.running ? style.good("up") : iface.up ? style.bad("no carrier") : style.dim("off");
  return [
    [iface.name, iface.kind, state, String(iface.mtu ?? "-"), iface.mac ?? "-", first],
    ...more.map((address) => ["", "", "", "", "", address]),
  ];
}

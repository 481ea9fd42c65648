/** The way that a pipe takes through this machine, and which events of the network concern it. */

import { isLoopback, isUnicast, parseIp } from "../internal/ip.ts";
import type { NetworkViewEvent, NetworkViewRoute, NetworkViewState } from "../internal/network_view.ts";
import { isNear } from "../recover/_near.ts";
import type { PipeAddress } from "./address.ts";
import type { PipeNetworkEvent } from "./pipe.ts";

/** The way of one connection. */
export interface PipePath {
  /** How far it goes: to this machine itself, to a neighbour on one of its links, or beyond a gateway. */
  readonly reach: "machine" | "link" | "wide";
  /** The family, where it is known. */
  readonly family: 4 | 6 | null;
  /** The own address as text; `null` where there is none that could come and go. */
  readonly address: string | null;
  /** The own address in the form of {@linkcode addressKey}. */
  readonly key: string | null;
  /** Name of the interface that has the own address, where it is known. */
  readonly interface: string | null;
  /** Whether it goes by the default route, as far as can be told. */
  readonly byDefault: boolean;
}

/**
 * Brings an address into the one form by which it is compared: without zone, as IPv4 where it is one in disguise.
 *
 * @param text The address.
 * @returns The form; `null` where the text is no address, or one that never comes nor goes: loopback, unspecified, that of a group.
 */
export function addressKey(text: string): string | null {
  const bytes = bytesOf(text);
  if (!bytes || isLoopback(bytes) || !isUnicast(bytes)) return null;
  return bytes.toHex();
}

/** The keys of all addresses that a network shows; `null` where it shows no interface at all, and so is blind. */
export function addressKeys({ interfaces }: NetworkViewState): ReadonlySet<string | null> | null {
  if (interfaces.length === 0) return null;
  return new Set(interfaces.flatMap(({ addresses }) => addresses.map(({ address }) => addressKey(address))));
}

/**
 * Finds out which way a connection takes.
 *
 * @param local Our end.
 * @param remote The other end.
 * @param state The network, where there is a view of it.
 */
export function pathOf(
  local: PipeAddress,
  remote: PipeAddress,
  state: NetworkViewState | undefined,
): PipePath {
  const address = "hostname" in local ? local.hostname : "";
  const host = "hostname" in remote ? remote.hostname : "";
  const key = addressKey(address);
  const bytes = bytesOf(host) ?? bytesOf(address);
  const family = bytes ? bytes.length === 4 ? 4 : 6 : null;
  const name = state && key !== null ? interfaceOf(address, key, state) : null;
  const route = family === 4 ? state?.defaultRoute.v4 : family === 6 ? state?.defaultRoute.v6 : null;
  return {
    reach: reachOf(address, host, state),
    family,
    address: key === null ? null : address,
    key,
    interface: name,
    byDefault: !route || name === null || route.interface === name ||
      (route.source !== null && addressKey(route.source) === key),
  };
}

/**
 * Tells whether an event concerns a path.
 *
 * The wake of the machine concerns all; the addresses of its interface every path that has one; the way to the public network
 * only what goes beyond a gateway, and only in its own family.
 *
 * @param path The path.
 * @param event What happened to the network.
 * @returns What the pipe tells, or `null` where it is none of its business.
 */
export function concern(path: PipePath, event: NetworkViewEvent): PipeNetworkEvent | null {
  switch (event.type) {
    case "wake":
      return event;
    case "online":
    case "offline":
      return path.reach === "wide" && path.byDefault && isFamily(path, event.family)
        ? { ...event, type: event.type }
        : null;
    case "gatewaychange":
    case "defaultinterfacechange":
      return path.reach === "wide" && isFamily(path, event.family) && isOnRoute(path, event)
        ? { ...event, type: event.type }
        : null;
    case "addressadd":
    case "addressremove":
    case "addresschange":
    case "addressconflict": {
      if (path.interface !== event.interface || !isFamily(path, event.family)) return null;
      // That one has an event of its own.
      if (event.type === "addressremove" && addressKey(event.address) === path.key) return null;
      return { ...event, type: "addresschange" };
    }
    default:
      return null;
  }
}

function isFamily({ family }: PipePath, other: 4 | 6): boolean {
  return family === null || family === other;
}

/** Whether a change of the default route is one of the own path: what is bound to another way stays there. */
function isOnRoute(
  path: PipePath,
  { from, to }: { readonly from: NetworkViewRoute | null; readonly to: NetworkViewRoute | null },
): boolean {
  return path.byDefault || from?.interface === path.interface || to?.interface === path.interface;
}

function reachOf(address: string, host: string, state: NetworkViewState | undefined): PipePath["reach"] {
  const own = bytesOf(address);
  const other = bytesOf(host);
  if (host === "" || other && isLoopback(other) || own && isLoopback(own)) return "machine";
  if (/^(.*\.)?localhost$/i.test(host)) return "machine";
  const blind: NetworkViewState = {
    at: 0,
    online: true,
    families: [],
    interfaces: [],
    defaultRoute: { v4: null, v6: null },
  };
  return isNear(host, state ?? blind) ? "link" : "wide";
}

function interfaceOf(address: string, key: string, { interfaces }: NetworkViewState): string | null {
  const having = interfaces.filter(({ addresses }) =>
    addresses.some((own) => addressKey(own.address) === key)
  );
  const zone = address.split("%")[1];
  return (having.find(({ name }) => name === zone) ?? having[0])?.name ?? null;
}

/** Four bytes or sixteen; four also where sixteen stand for them (RFC 4291 section 2.5.5.2). */
function bytesOf(text: string): Uint8Array | null {
  const bytes = parseIp(text.replace(/%.*$/, ""));
  const mapped = bytes?.length === 16 && bytes.toHex().startsWith("00000000000000000000ffff");
  return mapped ? bytes.subarray(12) : bytes;
}

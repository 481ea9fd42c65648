/** Which network it is: what was learnt in one must not be held against another. */

import { networkOf, parseIp } from "../internal/ip.ts";
import type { NetworkView, NetworkViewRoute, NetworkViewState } from "../internal/network_view.ts";

/** What was found out of a view: the hardware addresses of the gateways it has named, and the key of one state. */
interface Seen {
  v4: string;
  v6: string;
  state: NetworkViewState | null;
  key: string;
}

const views = new WeakMap<NetworkView, Seen>();

/**
 * Names the network that a view shows now: interface, gateway and prefix of each family's default route, and the
 * gateway's hardware address once the view has told two networks apart by it.
 *
 * The first call for a view subscribes to its `identitychange`; the subscription lives as long as the view.
 *
 * @param network The view; without one there is one network, the empty text.
 * @returns The same text for the same network, for use as a key; the empty text while there is no default route.
 *
 * @example
 * ```ts
 * import { browserNetwork, networkKey } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * using network = browserNetwork(new EventTarget(), { onLine: true });
 * assertEquals(networkKey(network), "");
 * ```
 */
export function networkKey(network: NetworkView | undefined): string {
  if (!network) return "";
  const { state } = network;
  const seen = views.get(network) ?? follow(network);
  // Policies ask for each attempt, and states are replaced as a whole.
  if (seen.state !== state) {
    seen.state = state;
    seen.key = keyOf(state, seen);
  }
  return seen.key;
}

function follow(network: NetworkView): Seen {
  const seen: Seen = { v4: "", v6: "", state: null, key: "" };
  views.set(network, seen);
  network.subscribe((event) => {
    if (event.type !== "identitychange") return;
    seen[event.family === 4 ? "v4" : "v6"] = event.to.mac;
    seen.state = null;
  });
  return seen;
}

function keyOf(state: NetworkViewState, seen: Seen): string {
  const { v4, v6 } = state.defaultRoute;
  const parts = [v4 && routeKey(v4, state, seen.v4), v6 && routeKey(v6, state, seen.v6)];
  return parts.filter((part) => part !== null).join(" ");
}

function routeKey(route: NetworkViewRoute, state: NetworkViewState, mac: string): string {
  return `${route.interface}/${route.gateway ?? ""}/${prefixOf(route, state)}/${mac}`;
}

/** The network part of the address that the route prefers; the rest of it may be given out anew at every visit. */
function prefixOf({ interface: name, source }: NetworkViewRoute, { interfaces }: NetworkViewState): string {
  const bytes = source === null ? null : parseIp(source);
  const address = interfaces.find((i) => i.name === name)?.addresses.find((a) => a.address === source);
  if (!bytes || address?.prefix === undefined) return "";
  const { prefix } = address;
  return `${networkOf(bytes, prefix).toHex()}:${prefix}`;
}

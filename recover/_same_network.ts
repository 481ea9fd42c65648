/** Whether two states of the network differ in anything that an attempt could notice. */

import type { NetworkViewRoute, NetworkViewState } from "../internal/network_view.ts";

/**
 * Compares what matters to a connection: families, default routes and addresses. Two readings of a network at rest are the
 * same, whenever they were taken.
 *
 * @param a One state.
 * @param b The other.
 * @returns Whether they are the same.
 */
export function sameNetwork(a: NetworkViewState, b: NetworkViewState): boolean {
  return a === b || essence(a) === essence(b);
}

function essence({ online, families, interfaces, defaultRoute: { v4, v6 } }: NetworkViewState): string {
  const addresses = interfaces.map((one) => [one.name, ...one.addresses.map(({ address }) => address)]);
  return JSON.stringify([online, families, addresses, route(v4), route(v6)]);
}

function route(one: NetworkViewRoute | null): unknown {
  return one && [one.interface, one.gateway, one.source];
}

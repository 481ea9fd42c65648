/** What a reading says of the next hop: whether the system knows its hardware address. */

import type { NetworkViewNeighbour } from "../internal/network_view.ts";
import type { Reading } from "./_reading.ts";
import { type Family, routeOf } from "./state.ts";

/**
 * Tells what is known of the gateway of a family's default route.
 *
 * @param reading The reading.
 * @param family The family.
 * @returns `unknown` for a route without gateway, an interface that resolves no hardware addresses, and a table out of sight.
 */
export function neighbourOf(
  reading: Pick<Reading, "interfaces" | "defaultRoute" | "gatewayMac" | "neighbourless">,
  family: Family,
): NetworkViewNeighbour {
  const route = routeOf(reading, family);
  if (!route || route.gateway === null) return "unknown";
  if (reading.gatewayMac[`v${family}`] !== null) return "resolved";
  const iface = reading.interfaces.find(({ index }) => index === route.index);
  const blind = !iface || iface.mac === null || iface.kind === "tunnel" ||
    reading.neighbourless?.includes(route.index);
  return blind ? "unknown" : "unresolved";
}

/** Which network it is: two networks may use the same addresses, but hardly the same gateway hardware. */

import { formatIp, networkOf, parseIp, sharePrefix } from "../internal/ip.ts";
import type { IdentityEvent, NetworkIdentity } from "./events.ts";
import type { Reading } from "./_reading.ts";
import type { Address, Family } from "./state.ts";

/** Remembers the network of each family, and tells when it is another one. */
export class IdentityTracker {
  readonly #known = new Map<Family, NetworkIdentity>();

  /**
   * Takes a reading in. A gateway whose hardware address is not known yet says nothing.
   *
   * @returns One event per family that is in another network now.
   */
  update(reading: Pick<Reading, "at" | "interfaces" | "defaultRoute" | "gatewayMac">): IdentityEvent[] {
    const events: IdentityEvent[] = [];
    for (const family of [4, 6] as const) {
      const to = identityOf(reading, family);
      if (!to) continue;
      const from = this.#known.get(family);
      const same = from && isSameNetwork(from, to);
      // A gateway that is in none of our networks for a while does not make the network forgotten.
      this.#known.set(family, same && to.network === null ? { ...to, network: from.network } : to);
      if (from && !same) {
        events.push({ type: "identitychange", at: reading.at, family, from, to });
      }
    }
    return events;
  }
}

function isSameNetwork(a: NetworkIdentity, b: NetworkIdentity): boolean {
  return a.mac === b.mac && (a.network === b.network || a.network === null || b.network === null);
}

/** What tells the network of a family from others, as far as a reading shows it. */
export function identityOf(
  reading: Pick<Reading, "interfaces" | "defaultRoute" | "gatewayMac">,
  family: Family,
): NetworkIdentity | null {
  const key = family === 4 ? "v4" : "v6";
  const [route, mac] = [reading.defaultRoute[key], reading.gatewayMac[key]];
  if (!route?.gateway || mac === null) return null;
  const gateway = parseIp(route.gateway);
  const iface = reading.interfaces.find(({ index }) => index === route.index);
  // An IPv6 gateway is known by its link-local address, and prefixes come and go: there the hardware alone tells.
  const own = family === 6 || !gateway
    ? undefined
    : iface?.addresses.find((address) => contains(address, gateway));
  return { gateway: route.gateway, mac, network: own ? networkText(own) : null };
}

function contains({ address, prefix }: Address, other: Uint8Array): boolean {
  const own = parseIp(address);
  return own !== null && sharePrefix(own, other, prefix);
}

function networkText({ address, prefix }: Address): string {
  return `${formatIp(networkOf(parseIp(address) ?? new Uint8Array(), prefix))}/${prefix}`;
}

/** Whether this machine still has an address: on Linux an address that goes takes its connections with it in silence. */

import { isNotCapable } from "../internal/errors.ts";
import { isLoopback, isUnicast, parseIp } from "../internal/ip.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { wouldPrompt } from "../internal/permissions.ts";

/**
 * Looks for an address among those that the network or, without one, the runtime shows.
 *
 * @param address The address in the form of {@linkcode localAddressOf}.
 * @param network The network.
 * @returns Whether it is there; `true` as well where nobody can tell.
 */
export function hasLocalAddress(address: string, network: NetworkView | undefined): boolean {
  const known = network ? addressesOf(network) : systemAddresses();
  // A view that shows no interface at all is blind: there always is a loopback.
  return known === null || known.length === 0 || known.some((other) => localAddressOf(other) === address);
}

/** Whether a text is an address, with zone or without. */
export function isIp(text: string): boolean {
  return parseIp(withoutZone(text)) !== null;
}

/**
 * Brings an address into the one form by which it is compared: without zone, as IPv4 where it is one in disguise.
 *
 * @param text The address, as a socket tells it.
 * @returns The form; `null` where the text is no address, or one that never comes nor goes: loopback, unspecified, that of a group.
 */
export function localAddressOf(text: string): string | null {
  const bytes = parseIp(withoutZone(text));
  if (!bytes || isLoopback(bytes) || !isUnicast(bytes)) return null;
  const hex = bytes.toHex();
  return hex.startsWith(MAPPED) ? hex.slice(MAPPED.length) : hex;
}

/** The beginning of an IPv4 address that is written as one of IPv6 (RFC 4291, 2.5.5.2). */
const MAPPED = "00000000000000000000ffff";

function withoutZone(text: string): string {
  return text.replace(/%.*$/, "");
}

function addressesOf({ state }: NetworkView): readonly string[] {
  return state.interfaces.flatMap(({ addresses }) => addresses.map(({ address }) => address));
}

function systemAddresses(): readonly string[] | null {
  try {
    if (!globalThis.Deno?.networkInterfaces || wouldPrompt([{ name: "sys", kind: "networkInterfaces" }])) {
      return null;
    }
    return Deno.networkInterfaces().map(({ address }) => address);
  } catch (error) {
    // Then nobody can tell, and silence alone decides.
    if (isNotCapable(error)) return null;
    throw error;
  }
}

/** In which order addresses are tried (RFC 8305 sections 4 and 5). */

import { parseIp } from "../internal/ip.ts";
import type { NetworkViewState } from "../internal/network_view.ts";
import { isNear } from "./_near.ts";

/** What the order depends on. */
export interface AddressOrder {
  /** The family that comes first. */
  readonly family: 4 | 6;
  /** Addresses that are known to work, best first. */
  readonly known: readonly string[];
}

/** The family of an address; a zone may follow it. */
export function familyOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

/**
 * Sorts addresses: those known to work first, then both families by turns, each in the order that the resolver gave.
 *
 * @param addresses What has not been tried yet.
 * @param order Who comes first.
 * @param last The family of the attempt before, if there was one.
 */
export function sortAddresses(
  addresses: readonly string[],
  { family, known }: AddressOrder,
  last?: 4 | 6,
): readonly string[] {
  const first = known.filter((address) => addresses.includes(address));
  const rest = addresses.filter((address) => !first.includes(address));
  const before = first.length > 0 ? familyOf(first[first.length - 1] ?? "") : last;
  const next = before === undefined ? family : before === 4 ? 6 : 4;
  const turns = [
    rest.filter((address) => familyOf(address) === next),
    rest.filter((address) => familyOf(address) !== next),
  ] as const;
  const length = Math.max(turns[0].length, turns[1].length);
  const mixed = Array.from({ length }, (_, n) => [turns[0][n], turns[1][n]]).flat();
  return [...first, ...mixed.filter((address) => address !== undefined)];
}

/** Whether an address cannot be used without the name of an interface (RFC 4291 section 2.5.6: `fe80::/10`). */
export function isLinkLocal6(address: string): boolean {
  return /^fe[89ab][0-9a-f]:/i.test(address);
}

/**
 * Whether an address can be reached as things are: its family has a way to the public network, or it needs none.
 *
 * @param address The address, with or without zone.
 * @param state The network.
 */
export function isInReach(address: string, state: NetworkViewState): boolean {
  return state.families.includes(familyOf(address)) || isNear(address, state);
}

/** The addresses that nothing but this machine answers to: they are no answer for a public name. */
export function isOwnMachine(address: string): boolean {
  const bytes = parseIp(address);
  if (!bytes) return false;
  return bytes.length === 4 ? bytes[0] === 0 || bytes[0] === 127 : bytes.every((byte) => byte === 0);
}

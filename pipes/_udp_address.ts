/** Addresses as datagrams need them: exact, with zones, and comparable. */

import { isNotCapable } from "../internal/errors.ts";
import { formatIp, parseIp } from "../internal/ip.ts";
import type { NetworkViewState } from "../internal/network_view.ts";
import { wouldPrompt } from "../internal/permissions.ts";
import { familyOf, isInReach, isLinkLocal6 } from "../recover/_address_sort.ts";
import type { HostAddress } from "./address.ts";

/** An interface of this machine, as far as the runtime shows it. */
export interface Nic {
  readonly name: string;
  readonly index: number | null;
  readonly v4: readonly string[];
  readonly v6: readonly string[];
}

/** Which way out of this machine is taken: an address of its own, or an interface. */
export interface UdpVia {
  readonly address?: string;
  readonly interface?: string;
}

/** Makes the address of an end. */
export function udpAddress(hostname: string, port: number): HostAddress {
  return { transport: "udp", hostname, port };
}

/** What makes two ends the same: address and port, each in its one form. A zone that only one side knows does not count. */
export function endKey({ hostname, port }: HostAddress): string {
  const zone = hostname.indexOf("%");
  return `${zone < 0 ? hostname : hostname.slice(0, zone)} ${port}`;
}

/** Whether an address is one of a group. */
export function isMulticast(hostname: string): boolean {
  const bytes = parseIp(withoutZone(hostname));
  const [first = 0] = bytes ?? [];
  return bytes?.length === 4 ? first >= 224 && first < 240 : first === 0xff;
}

/** Whether an address means nothing without an interface: `fe80::/10`, and the groups of one link (RFC 4291 section 2.7). */
export function needsZone(hostname: string): boolean {
  return isLinkLocal6(hostname) || /^ff[0-9a-f][12]:/i.test(hostname);
}

/** The interface's name behind the percent sign. */
export function zoneOf(hostname: string): string | undefined {
  return hostname.split("%")[1];
}

/** The address before the percent sign. */
export function withoutZone(hostname: string): string {
  return hostname.split("%")[0] ?? "";
}

/** Writes an address in the one form that is shown, with its zone. */
export function canonical(hostname: string): string {
  const bytes = parseIp(withoutZone(hostname));
  const zone = zoneOf(hostname);
  return bytes ? formatIp(bytes) + (zone === undefined ? "" : `%${zone}`) : hostname;
}

/** The interfaces, or `null` where the runtime does not let us see them. */
export function nics(): readonly Nic[] | null {
  try {
    if (wouldPrompt([{ name: "sys", kind: "networkInterfaces" }])) return null;
    const all = Map.groupBy(Deno.networkInterfaces(), ({ name }) => name);
    return [...all].map(([name, rows]) => ({
      name,
      index: rows.find(({ scopeid }) => scopeid)?.scopeid ?? null,
      v4: rows.filter(({ family }) => family === "IPv4").map(({ address }) => address),
      v6: rows.filter(({ family }) => family === "IPv6").map(({ address }) => address),
    }));
  } catch (error) {
    if (isNotCapable(error)) return null;
    throw error;
  }
}

/** Whether an interface never leads out of this machine. */
export function isLoopbackNic({ v4, v6 }: Nic): boolean {
  return v6.includes("::1") || v4.some((address) => address.startsWith("127."));
}

/**
 * The zone of a link-local sender, which the runtime does not tell: it is known where only one interface has link-local
 * addresses.
 */
export function onlyZone(): string | undefined {
  const found = (nics() ?? []).filter(({ v6 }) => v6.some(isLinkLocal6));
  return found.length === 1 ? found[0]?.name : undefined;
}

/**
 * Chooses the address of a name. Nothing proves an address of UDP, so the family decides: one that has a way out now; of
 * two that have, or where nobody can tell, IPv4, which is least often there and dead.
 *
 * @param addresses What the name has.
 * @param options The family that it must be, and the network where it is watched.
 * @returns The address, or `undefined` where there is none.
 */
export function chooseAddress(
  addresses: readonly string[],
  { family, state }: { readonly family?: 4 | 6 | undefined; readonly state?: NetworkViewState | undefined },
): string | undefined {
  const fit = addresses.filter((address) => family === undefined || familyOf(address) === family);
  const sorted = fit.toSorted((a, b) => familyOf(a) - familyOf(b));
  const reachable = state ? sorted.filter((address) => isInReach(address, state)) : sorted.filter(hasSource);
  return reachable[0] ?? sorted[0];
}

/** Whether this machine has an address that could reach another one. */
function hasSource(address: string): boolean {
  const all = nics();
  if (!all) return true;
  const own = all.filter((nic) => !isLoopbackNic(nic));
  if (familyOf(address) === 4) return /^127\./.test(address) || own.some(({ v4 }) => v4.length > 0);
  return address === "::1" || own.some(({ v6 }) => v6.some((one) => !isLinkLocal6(one) && one !== "::1"));
}

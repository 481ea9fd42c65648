/** From what a caller wrote to the one address that datagrams go to. */

import { systemClock } from "../internal/clock.ts";
import { parseIp } from "../internal/ip.ts";
import { familyOf } from "../recover/_address_sort.ts";
import { gather } from "../recover/_gather.ts";
import { systemResolvers } from "../recover/_resolve.ts";
import { parseTarget } from "../recover/_target.ts";
import type { HostAddress } from "./address.ts";
import { canonical, chooseAddress, needsZone, udpAddress, withoutZone, zoneOf } from "./_udp_address.ts";
import type { UdpLinkOptions } from "./_udp_link.ts";

/** How long a name server may take, in milliseconds. */
const PATIENCE = 3000;

/**
 * Finds the address.
 *
 * @param target A name or address, and the port.
 * @param operation What is being done, for messages.
 * @param options What the address has to fit.
 * @throws {TypeError} When it does not fit.
 * @throws What the resolver said, where it gave no address.
 */
export async function resolveUdp(
  target: HostAddress,
  operation: string,
  options: Pick<UdpLinkOptions, "via" | "family" | "network" | "resolver" | "signal" | "clock">,
): Promise<HostAddress> {
  const { via = {}, network } = options;
  checkVia(operation, via.address);
  const family = via.address === undefined ? options.family : familyOf(via.address);
  if (options.family !== undefined && family !== options.family) {
    throw new TypeError(
      `Cannot ${operation}: via.address "${via.address}" is not of family ${options.family}`,
    );
  }
  const hostname = withZone(target.hostname, via.interface, operation);
  const { isAddress } = parseTarget({ hostname, port: target.port });
  const addresses = isAddress ? [hostname] : await lookUp(hostname, target.port, options);
  const address = chooseAddress(addresses, { family, state: network?.state });
  if (address !== undefined) return udpAddress(here(canonical(address)), target.port);
  if (isAddress) throw new TypeError(`Cannot ${operation}: the address is not of family ${family}`);
  throw new Deno.errors.NotFound(`"${hostname}" has no address${family ? ` of family ${family}` : ""}`);
}

/** Who sends to no address sends to this machine, and is answered from one that it has. */
function here(address: string): string {
  return address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "::1" : address;
}

/** The addresses of a name. */
export async function lookUp(
  hostname: string,
  port: number,
  { resolver, signal, clock = systemClock, family }: Pick<
    UdpLinkOptions,
    "resolver" | "signal" | "clock" | "family"
  >,
): Promise<readonly string[]> {
  const found: string[] = [];
  const failures = await gather({
    hostname,
    types: family === 6 ? ["AAAA"] : family === 4 ? ["A"] : ["A", "AAAA"],
    resolvers: resolver ? [resolver] : systemResolvers(hostname, port),
    resolutionDelay: 50,
    timeout: PATIENCE,
    clock,
    signal: signal ?? new AbortController().signal,
    found: (addresses) => void found.push(...addresses),
  });
  if (found.length === 0 && failures[0]) throw failures[0].error;
  return found;
}

/** Makes sure that an address can be bound. */
export function checkVia(operation: string, address: string | undefined): void {
  if (address === undefined || parseIp(withoutZone(address))) return;
  throw new TypeError(
    `Cannot ${operation}: via.address must be an IP address, got ${JSON.stringify(address)}`,
  );
}

/** A link-local address gets the interface that was asked for as its zone. */
function withZone(hostname: string, iface: string | undefined, operation: string): string {
  if (iface === undefined || !needsZone(hostname)) return hostname;
  const zone = zoneOf(hostname);
  if (zone === undefined) return `${hostname}%${iface}`;
  if (zone === iface) return hostname;
  throw new TypeError(
    `Cannot ${operation}: the zone "${zone}" and via.interface "${iface}" contradict each other`,
  );
}

/** Whether a host is an address, with a zone or without. */
export function isIpText(hostname: string): boolean {
  return parseIp(withoutZone(hostname)) !== null;
}

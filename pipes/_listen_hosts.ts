/** Which addresses "everywhere", "here" and "nearby" are. */

import { parseIp } from "../internal/ip.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { withPermission } from "../internal/permissions.ts";
import type { ListenOptions } from "./listen.ts";

/** Addresses to listen on. */
export interface Hosts {
  /** Them, or a name that the system looks up. */
  readonly names: readonly string[];
  /** Whether all of them must be there, or whichever are. */
  readonly required: "all" | "some";
  /** Whether somebody named them; the others come and go with the network. */
  readonly fixed: boolean;
}

/**
 * Finds the addresses.
 *
 * @param hostname The URL's host, which may be empty.
 * @param options Where the user wants to listen, and the network.
 * @throws {TypeError} When that makes no sense.
 */
export function hostsOf(hostname: string, { on, network }: Pick<ListenOptions, "on" | "network">): Hosts {
  const scope = on ?? (hostname === "" ? "all" : hostname === "localhost" ? "loopback" : [hostname]);
  switch (scope) {
    case "all":
      // One socket of IPv6 mostly serves both.
      return { names: ["::", "0.0.0.0"], required: "some", fixed: true };
    case "loopback":
      return { names: ["127.0.0.1", "::1"], required: "some", fixed: true };
    case "local":
      return { names: ["127.0.0.1", "::1", ...privateAddresses(network)], required: "some", fixed: false };
  }
  if (!Array.isArray(scope) || scope.length === 0 || !scope.every((one) => typeof one === "string" && one)) {
    const known = '"all", "local", "loopback" or a list of addresses';
    throw new TypeError(`Cannot listen: on must be ${known}, got ${JSON.stringify(scope)}`);
  }
  return { names: [...new Set<string>(scope)], required: "all", fixed: true };
}

function privateAddresses(network: NetworkView | undefined): readonly string[] {
  const known = network
    ? network.state.interfaces.flatMap(({ addresses }) => addresses.map(({ address }) => address))
    : withPermission(
      "listen on the private addresses",
      [{ name: "sys", kind: "networkInterfaces" }],
      () => Deno.networkInterfaces().map(({ address }) => address),
    );
  return [...new Set(known.filter(isPrivate))];
}

/** RFC 1918 section 3, RFC 4193 section 3.1. */
function isPrivate(address: string): boolean {
  const bytes = parseIp(address);
  if (!bytes) return false;
  const [first = 0, second = 0] = bytes;
  if (bytes.length === 16) return (first & 0xfe) === 0xfc;
  return first === 10 || (first === 172 && (second & 0xf0) === 16) || (first === 192 && second === 168);
}

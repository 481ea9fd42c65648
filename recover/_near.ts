/** Which targets are reached without a gateway: this machine itself, and what lies on its own links. */

import { isLoopback, parseIp, sharePrefix } from "../internal/ip.ts";
import type { NetworkViewState } from "../internal/network_view.ts";

/**
 * Whether the way to a host does not lead through a gateway, as far as can be told without looking a name up.
 *
 * @param hostname A name or an IP address.
 * @param state The network, for the addresses that this machine has.
 */
export function isNear(hostname: string, state: NetworkViewState): boolean {
  const name = hostname.toLowerCase();
  // RFC 6761 section 6.3.
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  const bytes = parseIp(name.split("%")[0] ?? "");
  if (!bytes) return false;
  return isLoopback(bytes) || isLinkLocal(bytes) ||
    state.interfaces.some(({ addresses }) => addresses.some((own) => contains(own, bytes)));
}

function isLinkLocal(bytes: Uint8Array): boolean {
  const [first = 0, second = 0] = bytes;
  return bytes.length === 4 ? first === 169 && second === 254 : first === 0xfe && (second & 0xc0) === 0x80;
}

function contains(
  { address, prefix }: { readonly address: string; readonly prefix?: number },
  other: Uint8Array,
): boolean {
  const own = parseIp(address);
  return own !== null && sharePrefix(own, other, prefix ?? own.length * 8);
}

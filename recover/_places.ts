/** Questions about addresses in text form, as errors and callers give them. */

import { isLoopback, parseIp, sharePrefix } from "../internal/ip.ts";
import type { NetworkViewState } from "../internal/network_view.ts";

/** Whether it is a link-local IPv6 address that does not name its interface. */
export function isLinkLocalWithoutZone(address: string | undefined): boolean {
  return address !== undefined && /^\[?fe[89ab][0-9a-f]:/i.test(address) && !address.includes("%");
}

/** Whether it is 0.0.0.0 or ::, which is no address of anybody. */
export function isUnspecified(address: string | undefined): boolean {
  return address !== undefined && parseIp(address)?.every((byte) => byte === 0) === true;
}

/** Whether it never leaves the machine: a loopback address, the name for it, or a path. */
export function isLoopbackText(address: string | undefined): boolean {
  if (address === undefined) return false;
  if (address === "localhost" || address.startsWith("/")) return true;
  const bytes = parseIp(address);
  return bytes !== null && isLoopback(bytes);
}

/** Whether an interface has an address in the same network as this one. */
export function isOnLink(address: string | undefined, network: NetworkViewState | undefined): boolean {
  const bytes = address === undefined ? null : parseIp(address);
  if (bytes === null || network === undefined) return false;
  return network.interfaces.some(({ addresses }) =>
    addresses.some(({ address, prefix }) => {
      const own = parseIp(address);
      // Without a prefix everything would be on the link.
      return own !== null && prefix !== undefined && prefix > 0 && sharePrefix(bytes, own, prefix);
    })
  );
}

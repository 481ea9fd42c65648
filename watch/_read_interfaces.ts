/** Reads addresses from the runtime alone, which tells neither links nor routes. */

import { HoldfastError, isNotCapable } from "../internal/errors.ts";
import { withPermission } from "../internal/permissions.ts";
import { formatIp, parseIp } from "../internal/ip.ts";
import { sortAddresses, sortInterfaces } from "./diff.ts";
import type { Reading } from "./_reading.ts";
import type { Address, AddressScope, Interface, InterfaceKind } from "./state.ts";

/** Without link data the name has to do. */
function kindByName(name: string): InterfaceKind {
  if (/^lo\d*$|^Loopback/.test(name)) return "loopback";
  if (/^(wl|wifi|Wi-Fi)/.test(name)) return "wifi";
  if (/^(ww|pdp_ip|rmnet)/.test(name)) return "cellular";
  if (/^veth/.test(name)) return "veth";
  if (/^(br|docker|virbr|bridge)/.test(name)) return "bridge";
  if (/^(tun|tap|wg|utun|tailscale|zt|ppp|gif|ipsec)/.test(name)) return "tunnel";
  if (/^bond/.test(name)) return "bond";
  return /^(e[nt]|Ethernet)/.test(name) ? "ethernet" : "other";
}

/** How far an address reaches by its bits (RFC 4291 section 2.5, RFC 3927, RFC 1122 section 3.2.1.3). */
export function addressScope(bytes: Uint8Array): AddressScope {
  const [a = 0, b = 0] = bytes;
  if (bytes.length === 4) return a === 127 ? "host" : a === 169 && b === 254 ? "link" : "global";
  if (bytes.subarray(0, 15).every((byte) => byte === 0) && bytes[15] === 1) return "host";
  return a === 0xfe && (b & 0xc0) === 0x80 ? "link" : "global";
}

/**
 * Reads what `Deno.networkInterfaces()` tells: addresses, also of interfaces that are off; no flag of any kind.
 *
 * @throws {PermissionError} Without `--allow-sys=networkInterfaces`.
 * @throws {HoldfastError} `system` where the system refuses it.
 */
export function readInterfaces(): Pick<Reading, "interfaces" | "defaultRoute" | "gatewayMac"> {
  const operation = "list network interfaces";
  const list = withPermission(operation, [{ name: "sys", kind: "networkInterfaces" }], () => {
    try {
      return Deno.networkInterfaces();
    } catch (error) {
      if (isNotCapable(error) || !(error instanceof Error)) throw error;
      // getifaddrs(3) needs a netlink socket as well, which a sandbox may refuse.
      throw new HoldfastError(`Cannot ${operation}: ${error.message}`, {
        code: "system",
        operation,
        cause: error,
      });
    }
  });
  const byName = new Map<string, { mac: string; addresses: Address[] }>();
  for (const { name, mac, address, family, cidr } of list) {
    const entry = byName.get(name) ?? { mac, addresses: [] };
    byName.set(name, entry);
    const bytes = parseIp(address.replace(/%.*$/, ""));
    if (!bytes) continue;
    entry.addresses.push({
      address: formatIp(bytes),
      family: family === "IPv4" ? 4 : 6,
      prefix: Number(cidr.split("/")[1] ?? bytes.length * 8),
      scope: addressScope(bytes),
      temporary: false,
      tentative: false,
      deprecated: false,
      conflict: false,
      preferredLifetime: null,
      validLifetime: null,
    });
  }
  const interfaces = [...byName].map(([name, { mac, addresses }]): Interface => ({
    index: 0,
    name,
    kind: kindByName(name),
    mac: mac.toLowerCase(),
    mtu: null,
    up: true,
    running: true,
    master: null,
    addresses: sortAddresses(addresses),
  }));
  return {
    interfaces: sortInterfaces(interfaces),
    defaultRoute: { v4: null, v6: null },
    gatewayMac: { v4: null, v6: null },
  };
}

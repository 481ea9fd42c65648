/** How the system finds the addresses of a name, in ways that can be called off where there are such. */

import { HoldfastError } from "../internal/errors.ts";
import { permissionState, wouldPrompt } from "../internal/permissions.ts";
import { isLinkLocal6, isOwnMachine } from "./_address_sort.ts";
import type { AddressRecord, DialResolver } from "./_gather.ts";
import { hostsResolver } from "./_hosts.ts";

/** The code of the error for answers that nobody must follow. */
export const SINKHOLED = "name-sinkholed";

/**
 * Whom to ask for a name, one after the other until one knows it.
 *
 * - `localhost` and names that end in it are this machine (RFC 6761 section 6.3), nobody is asked
 * - the hosts file, where it may be read: it counts for both families, whichever it names
 * - on Linux the name servers of `/etc/resolv.conf`: these questions can be called off, and a lost answer leaves nothing
 *   behind. Elsewhere that file is not the whole truth (each VPN may have a resolver of its own), nor is it for `.local`
 * - what the system has besides, `getaddrinfo`, which cannot be called off and tells best why there is no answer
 *
 * @param hostname The name.
 * @param port The port, for which the runtime may allow to look the name up.
 */
export function systemResolvers(hostname: string, port: number): readonly DialResolver[] {
  if (isLocalhost(hostname)) return [(_, type) => Promise.resolve(type === "A" ? ["127.0.0.1"] : ["::1"])];
  const system = checked(lookupResolver(port));
  const last = lastLabel(hostname);
  if (Deno.build.os !== "linux" || last === "local") return [hostsResolver, system];
  return [hostsResolver, checked(dnsResolver), system];
}

/** Whether a name can mean nothing but this machine. */
export function isLocalhost(hostname: string): boolean {
  return lastLabel(hostname) === "localhost";
}

/** The parts of the name space that nobody in the public Internet answers for (RFC 6761, RFC 6762, RFC 8375, and ICANN). */
const PRIVATE = new Set(["localhost", "local", "test", "internal", "lan", "arpa"]);

function lastLabel(hostname: string): string {
  return hostname.toLowerCase().replace(/\.$/, "").split(".").at(-1) ?? "";
}

function isPublic(hostname: string): boolean {
  return hostname.replace(/\.$/, "").includes(".") && !PRIVATE.has(lastLabel(hostname));
}

/** Asks the name servers. Both families are two questions, and a signal ends each at once. */
const dnsResolver: DialResolver = async (hostname, type, { signal }) => {
  // The servers' addresses are not known here, so that only the whole permission is sure not to make the runtime ask.
  if (wouldPrompt([{ name: "net" }])) return [];
  return await Deno.resolveDns(hostname, type, { signal });
};

/** Asks the system, for one family only: asked for both, it gives nothing before it has both. */
function lookupResolver(port: number): DialResolver {
  return async (hostname, type) => {
    // Imported late: it costs some milliseconds, and most names are found without.
    const { lookup } = await import("node:dns");
    const family = type === "A" ? 4 : 6;
    return await new Promise((resolve, reject) => {
      // The runtime checks the permission for host and port where it is told the port.
      const options = { family, all: true, port } as const;
      lookup(hostname, options, (error, addresses) => {
        if (!error) return resolve(addresses.map(({ address }) => address));
        // The runtime's own refusal looks like the system's.
        const refused = error.code === "EPERM" &&
          permissionState({ name: "net", host: `${hostname}:${port}` }) !== "granted";
        reject(refused ? new Deno.errors.NotCapable(error.message) : error);
      });
    });
  };
}

/** Refuses answers that would lead a connection to a public name into this machine. */
function checked(resolver: DialResolver): DialResolver {
  return async (hostname, type, options) => {
    const all = await resolver(hostname, type, options);
    // Without a zone it could be on any link.
    const addresses = all.filter((address) => !isLinkLocal6(address));
    if (!isPublic(hostname)) return addresses;
    const good = addresses.filter((address) => !isOwnMachine(address));
    if (addresses.length > 0 && good.length === 0) throw sinkholed(hostname, type, addresses);
    return good;
  };
}

function sinkholed(hostname: string, type: AddressRecord, addresses: readonly string[]): HoldfastError {
  return new HoldfastError(
    `Cannot use the ${type} answer for "${hostname}": ${addresses.join(", ")} is this machine`,
    {
      code: SINKHOLED,
      operation: "resolve",
      hint:
        "A filter or a captive portal answers for this name; if your hosts file does so, allow --allow-read for it",
    },
  );
}

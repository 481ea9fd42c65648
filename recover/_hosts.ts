/** The hosts file: names that this machine knows by itself. */

import { parseIp } from "../internal/ip.ts";
import { isNotCapable } from "../internal/errors.ts";
import { wouldPrompt } from "../internal/permissions.ts";
import type { DialResolver } from "./_gather.ts";

/** A file that is longer is no hosts file that anybody wrote for this. */
const MAX_LENGTH = 1 << 20;

/**
 * Looks a name up in the hosts file, where that may be read. A name that stands there is what the file says, in both
 * families: whoever puts the address of one family there does not want that of the other to come from elsewhere.
 */
export const hostsResolver: DialResolver = async (hostname, type) => {
  const path = Deno.build.os === "windows" ? "C:\\Windows\\System32\\drivers\\etc\\hosts" : "/etc/hosts";
  if (wouldPrompt([{ name: "read", path }])) return [];
  try {
    const { size } = await Deno.stat(path);
    if (size > MAX_LENGTH) return [];
    return parseHosts(await Deno.readTextFile(path), hostname, type === "A" ? 4 : 16);
  } catch (error) {
    // Without the file, or the permission to read it, the resolvers that follow have to do.
    if (isNotCapable(error) || error instanceof Deno.errors.NotFound) return [];
    if (error instanceof Deno.errors.PermissionDenied) return [];
    throw error;
  }
};

/**
 * Finds the addresses of a name (hosts(5)).
 *
 * @param text The file; anything may be in it.
 * @param hostname The name.
 * @param length How many bytes an address has: 4 or 16.
 */
export function parseHosts(text: string, hostname: string, length: 4 | 16): readonly string[] {
  const wanted = hostname.toLowerCase().replace(/\.$/, "");
  return text.split("\n").flatMap((line) => {
    const [address = "", ...names] = (line.split("#")[0] ?? "").trim().split(/\s+/);
    if (!names.some((name) => name.toLowerCase() === wanted)) return [];
    return parseIp(address.split("%")[0] ?? "")?.length === length ? [address] : [];
  });
}

/** Parses what macOS's `route` and `netstat` print, tools' output and so not to be trusted: pure functions. */

import { formatIp, parseIp } from "../internal/ip.ts";
import { chooseSource, formatMac } from "./_darwin_state.ts";
import type { DefaultRoute, Family, Interface } from "./state.ts";

/** An address in its canonical form without zone; `undefined` where it is none. */
function ip(text: string | undefined): string | undefined {
  const bytes = parseIp(text?.split("%")[0] ?? "");
  return bytes ? formatIp(bytes) : undefined;
}

/**
 * Makes the default route of what `route -n get ADDRESS` prints.
 *
 * @param output What `route` wrote; without a way it writes no `interface:`.
 * @param family What was asked for.
 * @param interfaces The interfaces, to name the one it leads through.
 */
export function parseRouteGet(
  output: string,
  family: Family,
  interfaces: readonly Interface[],
): DefaultRoute | null {
  const fields = new Map<string, string>();
  for (const line of output.split("\n")) {
    const at = line.indexOf(": ");
    if (at >= 0) fields.set(line.slice(0, at).trim(), line.slice(at + 2).trim());
  }
  const iface = interfaces.find(({ name }) => name === fields.get("interface"));
  const flags = flagsOf(output);
  if (!iface || flags.includes("REJECT") || flags.includes("BLACKHOLE")) return null;
  const gateway = ip(fields.get("gateway")) ?? null;
  return {
    gateway,
    interface: iface.name,
    index: iface.index,
    metric: null,
    source: chooseSource(iface, family, gateway),
  };
}

/**
 * Finds the hardware address of a route's gateway in what `netstat -rn` prints: `10.0.0.1  2:0:0:0:1:1  UHLWIir  en0  1190`.
 *
 * @param output What `netstat` wrote.
 * @param route The route.
 */
export function parseGatewayMac(output: string, route: DefaultRoute | null): string | null {
  if (!route?.gateway) return null;
  for (const line of output.split("\n")) {
    const [destination, gateway = "", flags = "", netif] = line.trim().split(/\s+/);
    if (netif !== route.interface || !flags.includes("L") || ip(destination) !== route.gateway) continue;
    // Rejected: it has given no answer for long.
    if (flags.includes("R")) continue;
    // Older versions put dots between the bytes.
    const parts = gateway.split(/[:.]/);
    if (parts.length !== 6 || !parts.every((part) => /^[0-9a-f]{1,2}$/.test(part))) continue;
    return formatMac(Uint8Array.from(parts, (part) => parseInt(part, 16)));
  }
  return null;
}

/** The messages of `route monitor` that come without anything having changed; the first of them at each failed look-up. */
const NOISE = /^RTM_(MISS|GET|RESOLVE|NEWMADDR|DELMADDR)\b/;

/**
 * Whether a line of `route -n monitor` asks for a reading: each message begins with its name, as in
 * `RTM_ADD: Add Route: len 140, pid: 123, seq 1, errno 0, flags:<UP,GATEWAY,DONE,STATIC>`.
 *
 * @param line The line.
 */
export function isRouteNews(line: string): boolean {
  if (!line.startsWith("RTM_") || NOISE.test(line)) return false;
  const flags = flagsOf(line);
  // Neighbours and routes to single hosts that the kernel makes for itself; the table tells what became of the gateway.
  return !flags.includes("LLINFO") && !flags.includes("WASCLONED");
}

/** The words of `flags:<UP,GATEWAY>`, or of `flags: <UP,GATEWAY>`. */
function flagsOf(text: string): string[] {
  const at = text.indexOf("flags:");
  if (at < 0) return [];
  const [words = ""] = text.slice(at + "flags:".length).split(">", 1);
  return words.replace("<", "").trim().split(",");
}

/** Parses what `scutil --dns` prints, a tool's output and so not to be trusted: pure. */

import { HoldfastError } from "../internal/errors.ts";
import { parseIp } from "../internal/ip.ts";
import type { DnsConfig } from "./state.ts";

/** How much of either list is taken. */
const MAX_ENTRIES = 64;

/**
 * Parses the output of `scutil --dns`.
 *
 * The first resolver is the default one, whose servers and search list a plain look-up uses; those behind it are for single
 * domains, and those of the second part for single interfaces.
 *
 * @param output What `scutil` wrote.
 * @throws {HoldfastError} `protocol` where it is not what `scutil` writes.
 */
export function parseScutilDns(output: string): DnsConfig {
  const lines = output.split("\n");
  // Without any network it says "No DNS configuration available".
  if (!lines.some((line) => /^(No )?DNS configuration\b/.test(line))) {
    throw new HoldfastError(
      `Cannot parse the output of "scutil": expected "DNS configuration", got "${output.slice(0, 80)}"`,
      { code: "protocol", operation: "parse the output of scutil" },
    );
  }
  const servers: string[] = [];
  const search: string[] = [];
  const first = lines.findIndex((line) => line.startsWith("resolver #1"));
  for (const line of first < 0 ? [] : lines.slice(first + 1)) {
    if (!line.startsWith(" ")) break;
    const [, keyword, value] = /^ +(nameserver|search domain)\[\d+\] : (\S+)/.exec(line) ?? [];
    if (value === undefined) continue;
    if (keyword === "search domain") search.push(value);
    else if (parseIp(value.split("%")[0] ?? "")) servers.push(value);
  }
  return { servers: servers.slice(0, MAX_ENTRIES), search: search.slice(0, MAX_ENTRIES) };
}

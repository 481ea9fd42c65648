/** The resolver's files: resolv.conf(5), and the one that systemd-resolved keeps beside its stub. */

import { parseIp } from "../internal/ip.ts";
import type { DnsConfig } from "./state.ts";

/** Where programs look. */
export const RESOLV_CONF = "/etc/resolv.conf";

/** Where systemd-resolved lists the servers that stand behind its stub, which itself never changes (systemd issue 3225). */
export const RESOLVED_CONF = "/run/systemd/resolve/resolv.conf";

/** The addresses of systemd-resolved's stub. */
const STUBS = new Set(["127.0.0.53", "127.0.0.54"]);

/** How much of either list is taken from a file that somebody else writes. */
const MAX_ENTRIES = 64;

/**
 * Parses resolv.conf(5).
 *
 * What is no address is not a server; the last of `domain` and `search` lines wins; everything else is passed over.
 *
 * @param text The file's content.
 */
export function parseResolvConf(text: string): DnsConfig {
  const servers: string[] = [];
  let search: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    // Comments begin in the first column by the manual; resolvers also stop at one that stands behind a value.
    const [keyword, ...values] = upTo(line, /[#;]/).trim().split(/\s+/);
    const [first] = values;
    if (first === undefined) continue;
    if (keyword === "nameserver" && parseIp(upTo(first, /%/))) servers.push(first);
    else if (keyword === "search") search = values;
    else if (keyword === "domain") search = [first];
  }
  return { servers: servers.slice(0, MAX_ENTRIES), search: search.slice(0, MAX_ENTRIES) };
}

/** What stands before the first match; a pattern that also matched the rest would take quadratic time on some lines. */
function upTo(text: string, end: RegExp): string {
  const at = text.search(end);
  return at < 0 ? text : text.slice(0, at);
}

/**
 * Reads the resolver's configuration.
 *
 * A file that does not exist names no server, and is no less readable for it.
 *
 * @param readText Gives a file's content, `""` where there is no such file, or `null` where it cannot be read.
 * @returns The configuration, or `null` where it cannot be read.
 */
export function readDns(readText: (path: string) => string | null): DnsConfig | null {
  const text = readText(RESOLV_CONF);
  if (text === null) return null;
  const config = parseResolvConf(text);
  if (config.servers.length === 0 || !config.servers.every((server) => STUBS.has(server))) return config;
  const behind = readText(RESOLVED_CONF);
  return behind ? parseResolvConf(behind) : config;
}

/** The directories to watch, and the names in them that matter: files are replaced, so watching a file goes deaf. */
export function watchedNames(target: string | null): Map<string, Set<string>> {
  const names = new Map<string, Set<string>>();
  for (const path of [RESOLV_CONF, RESOLVED_CONF, target ?? RESOLV_CONF]) {
    const slash = path.lastIndexOf("/");
    const directory = path.slice(0, slash) || "/";
    names.set(directory, (names.get(directory) ?? new Set()).add(path.slice(slash + 1)));
  }
  return names;
}

/** Makes an absolute path of a link's target; `..` is resolved by its text. */
export function resolveTarget(link: string, target: string): string {
  const parts = target.startsWith("/") ? [] : link.split("/").slice(1, -1);
  for (const part of target.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** Parses what `ip -j -d` prints, a tool's output and so not to be trusted: pure functions. */

import { HoldfastError } from "../internal/errors.ts";
import { formatIp, parseIp } from "../internal/ip.ts";
import { sortAddresses, sortInterfaces } from "./diff.ts";
import { isRunning, kindOf, lifetime, PROBE, type Reading, scopeOf } from "./_reading.ts";
import type { Address, AddressScope, DefaultRoute, Interface } from "./state.ts";

/** The commands of one `ip -batch`, whose answers {@linkcode parseIpBatch} tells apart by what they hold. */
export const IP_BATCH: string = [
  "address show",
  `route get ${PROBE.v4}`,
  `route get fibmatch ${PROBE.v4}`,
  `route get ${PROBE.v6}`,
  "neighbour show",
  "",
].join("\n");

type Json = Readonly<Record<string, unknown>>;

/** What the batch tells: a reading but for the resolver. */
export type IpReading = Pick<Reading, "interfaces" | "defaultRoute" | "gatewayMac" | "neighbourless">;

/**
 * Parses the output of {@linkcode IP_BATCH}: one JSON array a line, none for a look-up that found no route.
 *
 * @param output What `ip` wrote.
 * @throws {HoldfastError} `protocol` where it is not what `ip` writes.
 */
export function parseIpBatch(output: string): IpReading {
  const rows = output.split("\n").filter((line) => line.trim() !== "").map(parseRows);
  const links = rows.find((list) => list.some((row) => "addr_info" in row)) ?? [];
  const routes = rows.flat().filter((row) =>
    typeof row["type"] === "string" && "dst" in row && !("lladdr" in row)
  );
  const four = routes.find((row) => row["dst"] === PROBE.v4);
  const six = routes.find((row) => row["dst"] === PROBE.v6);
  const entry = routes.find((row) => row !== four && row !== six);
  const neighbours = rows.flat().filter((row) => Array.isArray(row["state"]));
  const indexes = new Map(links.map((row) => [text(row, "ifname"), number(row, "ifindex")]));
  const interfaces = links.flatMap((row) => toInterface(row, indexes));
  const v4 = toDefaultRoute(
    four,
    indexes,
    entry && usesDevice(entry, text(four, "dev")) ? number(entry, "metric") ?? 0 : null,
  );
  const v6 = toDefaultRoute(six, indexes, number(six, "metric") ?? null);
  return {
    interfaces: sortInterfaces(interfaces),
    defaultRoute: { v4, v6 },
    gatewayMac: { v4: macOf(v4, neighbours), v6: macOf(v6, neighbours) },
    neighbourless: links.flatMap((row) => isNoArp(row) ? number(row, "ifindex") ?? [] : []),
  };
}

function parseRows(line: string): Json[] {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw unexpected(line, error);
  }
  if (!Array.isArray(value)) throw unexpected(line);
  return value.filter((row): row is Json => typeof row === "object" && row !== null);
}

function unexpected(line: string, cause?: unknown): HoldfastError {
  return new HoldfastError(
    `Cannot parse the output of "ip": expected a JSON array, got "${line.slice(0, 80)}"`,
    {
      code: "protocol",
      operation: "parse the output of ip",
      cause,
      hint: "Holdfast needs iproute2 4.14 or later, which knows -json",
    },
  );
}

function text(row: Json | undefined, key: string): string | undefined {
  const value = row?.[key];
  return typeof value === "string" ? value : undefined;
}

function number(row: Json | undefined, key: string): number | undefined {
  const value = row?.[key];
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/** An address in its canonical form; `undefined` where it is none. */
function ip(value: string | undefined): string | undefined {
  const bytes = value === undefined ? null : parseIp(value);
  return bytes ? formatIp(bytes) : undefined;
}

function toInterface(row: Json, indexes: ReadonlyMap<string | undefined, number | undefined>): Interface[] {
  const [name, index] = [text(row, "ifname"), number(row, "ifindex")];
  if (name === undefined || index === undefined) return [];
  const flags = Array.isArray(row["flags"]) ? row["flags"] : [];
  const up = flags.includes("UP");
  // `ip` prints NO-CARRIER in place of a missing RUNNING.
  const carrier = flags.includes("LOWER_UP") || up && !flags.includes("NO-CARRIER");
  const mac = text(row, "address")?.toLowerCase();
  const info = row["linkinfo"] as Json | undefined;
  const addresses = Array.isArray(row["addr_info"]) ? row["addr_info"] : [];
  return [{
    index,
    name,
    kind: kindOf(name, text(row, "link_type") ?? "", text(info, "info_kind")),
    mac: mac && /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac) ? mac : null,
    mtu: number(row, "mtu") ?? null,
    up,
    running: isRunning(up, carrier, text(row, "operstate") ?? ""),
    master: indexes.get(text(row, "master") ?? "") ?? null,
    addresses: sortAddresses(addresses.flatMap(toAddress)),
  }];
}

/** Scope names of iproute2, or numbers; the administrator's own names (rt_scopes) stand for something wider than a link. */
function toScope(scope: string | undefined): AddressScope {
  if (scope === "link" || scope === "host" || scope === "global") return scope;
  if (scope === "nowhere") return "host";
  return scope !== undefined && /^\d{1,3}$/.test(scope) ? scopeOf(Number(scope)) : "site";
}

function toAddress(row: Json): Address[] {
  const bytes = parseIp(text(row, "local") ?? "");
  const prefix = number(row, "prefixlen") ?? -1;
  if (!bytes || !Number.isInteger(prefix) || prefix < 0 || prefix > bytes.length * 8) return [];
  const [address, family] = [formatIp(bytes), bytes.length === 4 ? 4 as const : 6 as const];
  const preferred = number(row, "preferred_life_time") ?? 0xffffffff;
  return [{
    address,
    family,
    prefix,
    scope: toScope(text(row, "scope")),
    temporary: row["temporary"] === true,
    tentative: row["tentative"] === true,
    deprecated: row["deprecated"] === true || preferred === 0,
    conflict: row["dadfailed"] === true,
    preferredLifetime: lifetime(preferred),
    validLifetime: lifetime(number(row, "valid_life_time") ?? 0xffffffff),
  }];
}

/** Whether a table's entry leads through an interface, be it by one next hop of several. */
function usesDevice(entry: Json, device: string | undefined): boolean {
  const hops = Array.isArray(entry["nexthops"]) ? entry["nexthops"] as Json[] : [entry];
  return text(hops[0], "dev") === device;
}

function toDefaultRoute(
  row: Json | undefined,
  indexes: ReadonlyMap<string | undefined, number | undefined>,
  metric: number | null,
): DefaultRoute | null {
  const name = text(row, "dev");
  const index = indexes.get(name);
  if (!row || name === undefined || index === undefined || row["type"] !== "unicast") return null;
  const via = row["via"] as Json | undefined;
  return {
    gateway: ip(text(row, "gateway") ?? text(via, "host")) ?? null,
    interface: name,
    index,
    metric,
    source: ip(text(row, "prefsrc")) ?? null,
  };
}

function isNoArp(row: Json): boolean {
  return Array.isArray(row["flags"]) && row["flags"].includes("NOARP");
}

/** The states in which a neighbour's hardware address is true. */
const VALID = new Set(["REACHABLE", "STALE", "DELAY", "PROBE", "PERMANENT"]);

function macOf(route: DefaultRoute | null, neighbours: readonly Json[]): string | null {
  const found = route?.gateway &&
    neighbours.find((row) =>
      text(row, "dev") === route.interface && ip(text(row, "dst")) === route.gateway &&
      (row["state"] as unknown[]).some((state) => typeof state === "string" && VALID.has(state))
    );
  return found ? text(found, "lladdr")?.toLowerCase() ?? null : null;
}

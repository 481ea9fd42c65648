/** Parses what the reading script prints, a tool's output and so not to be trusted: pure functions. */

import { HoldfastError } from "../internal/errors.ts";
import { parseIp } from "../internal/ip.ts";
import { PROBE } from "./_reading.ts";
import type { Adapter, AdapterAddress, FoundRoute, NeighbourRow, WindowsFacts } from "./_windows_reading.ts";

type Json = Readonly<Record<string, unknown>>;

/** How much of any list is taken: more is no machine. */
const MAX_ROWS = 16_384;

/**
 * Parses one reading.
 *
 * What is of the wrong type is taken for absent; an interface without index and name is none.
 *
 * @param output What PowerShell wrote.
 * @throws {HoldfastError} `protocol` where it is not the object that the script prints.
 */
export function parsePowershell(output: string): WindowsFacts {
  const text = output.replace(/^\ufeff/, "").trim();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw unexpected(text, error);
  }
  if (!isObject(value) || !("interfaces" in value)) throw unexpected(text);
  const routes = rows(value["routes"]);
  return {
    adapters: rows(value["interfaces"]).flatMap(toAdapter),
    links: [],
    routes: { v4: toRoute(routes, PROBE.v4), v6: toRoute(routes, PROBE.v6) },
    neighbours: rows(value["neighbours"]).flatMap(toNeighbour),
  };
}

function unexpected(text: string, cause?: unknown): HoldfastError {
  const got = text === "" ? "nothing" : `"${text.slice(0, 80)}"`;
  return new HoldfastError(`Cannot parse the output of PowerShell: expected a JSON object, got ${got}`, {
    code: "protocol",
    operation: "parse the output of PowerShell",
    cause,
    hint: "Holdfast needs Windows PowerShell 5.1 on Windows 8 or later",
  });
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function rows(value: unknown): Json[] {
  return list(value).filter(isObject);
}

/** PowerShell makes a list of one into that one, and of none into nothing. */
function list(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value.slice(0, MAX_ROWS) : [value];
}

function text(row: Json, key: string): string {
  const value = row[key];
  return typeof value === "string" ? value : "";
}

/** A number of 32 bits, or what stands for one that is missing. */
function uint(row: Json, key: string, otherwise: number): number {
  const value = row[key];
  const fits = typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
  return fits ? value : otherwise;
}

/** The zone of an IPv6 address, behind "%", is not part of it. */
function ip(value: unknown): Uint8Array | null {
  return typeof value === "string" ? parseIp(value.replace(/%.*$/s, "")) : null;
}

/** "02-00-00-00-00-01" or the same without anything between. */
function macOf(value: string): Uint8Array {
  const digits = value.replaceAll(/[-:]/g, "");
  return /^([0-9a-f]{2}){1,8}$/i.test(digits) ? Uint8Array.fromHex(digits) : new Uint8Array();
}

function toAdapter(row: Json): Adapter[] {
  const [index, name] = [uint(row, "index", 0), text(row, "name")];
  if (index === 0 || name === "") return [];
  const search = text(row, "suffix");
  return [{
    index,
    name,
    description: text(row, "description"),
    type: uint(row, "type", 1),
    operStatus: uint(row, "status", 4),
    mac: macOf(text(row, "mac")),
    // .NET gives -1 where there is no limit.
    mtu: uint(row, "mtu", 0xffff_ffff),
    // That of the route has them in it.
    metric: { v4: 0, v6: 0 },
    addresses: rows(row["addresses"]).flatMap(toAddress),
    dns: list(row["dns"]).flatMap((one) => ip(one) ?? []),
    search: search === "" ? [] : [search],
  }];
}

function toAddress(row: Json): AdapterAddress[] {
  const address = ip(row["address"]);
  if (!address) return [];
  const bits = address.length * 8;
  return [{
    address,
    prefix: Math.min(uint(row, "prefix", bits), bits),
    dadState: uint(row, "dad", 4),
    suffixOrigin: uint(row, "suffix", 0),
    preferred: uint(row, "preferred", 0xffff_ffff),
    valid: uint(row, "valid", 0xffff_ffff),
  }];
}

function toRoute(routes: readonly Json[], to: string): FoundRoute | null {
  const row = routes.find((row) => row["to"] === to);
  const index = row ? uint(row, "index", 0) : 0;
  if (!row || index === 0) return null;
  const hop = ip(row["nextHop"]);
  return {
    index,
    nextHop: hop?.some((byte) => byte !== 0) ? hop : null,
    metric: uint(row, "metric", 0),
    source: ip(row["source"]),
  };
}

/** Names of Get-NetNeighbor for NL_NEIGHBOR_STATE, in the order of their numbers. */
const STATES = ["Unreachable", "Incomplete", "Probe", "Delay", "Stale", "Reachable", "Permanent"];

function toNeighbour(row: Json): NeighbourRow[] {
  const address = ip(row["address"]);
  if (!address) return [];
  return [{
    index: uint(row, "index", 0),
    address,
    mac: macOf(text(row, "mac")),
    state: Math.max(0, STATES.indexOf(text(row, "state"))),
  }];
}

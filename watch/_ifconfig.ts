/** Parses what macOS's `ifconfig -a -L -v` prints, a tool's output and so not to be trusted: pure functions. */

import { HoldfastError } from "../internal/errors.ts";
import { formatIp, parseIp } from "../internal/ip.ts";
import { type DarwinHardware, darwinKind, formatMac } from "./_darwin_state.ts";
import { sortAddresses, sortInterfaces } from "./diff.ts";
import { addressScope } from "./_read_interfaces.ts";
import type { Address, Interface } from "./state.ts";

/** `en0: flags=8863<UP,BROADCAST,...> mtu 1500 index 6` */
const HEAD = /^([^\s:]+): flags=[0-9a-f]+<([^>]*)>(.*)$/;

/**
 * Parses the output of `ifconfig -a -L -v`.
 *
 * @param output What `ifconfig` wrote.
 * @throws {HoldfastError} `protocol` where it is not what `ifconfig` writes.
 */
export function parseIfconfig(output: string): Interface[] {
  const interfaces: Interface[] = [];
  let lines: string[] = [];
  for (const line of output.split("\n").reverse()) {
    if (/^\s/.test(line) || line === "") {
      lines.push(line.trim());
      continue;
    }
    const head = HEAD.exec(line);
    if (!head) throw unexpected(line);
    interfaces.push(toInterface(head, lines.reverse()));
    lines = [];
  }
  return sortInterfaces(interfaces);
}

function unexpected(line: string): HoldfastError {
  return new HoldfastError(
    `Cannot parse the output of "ifconfig": expected an interface, got "${line.slice(0, 80)}"`,
    { code: "protocol", operation: "parse the output of ifconfig" },
  );
}

function number(text: string, pattern: RegExp): number | null {
  const digits = pattern.exec(text)?.[1];
  return digits === undefined ? null : Number(digits);
}

function toInterface([, name = "", words = "", rest = ""]: RegExpExecArray, lines: string[]): Interface {
  const flags = new Set(words.split(","));
  const up = flags.has("UP");
  const value = (keyword: string): string | undefined =>
    lines.find((line) => line.startsWith(keyword))?.slice(keyword.length);
  return {
    // `-v` shows it; 0 is what nobody has.
    index: number(rest, /\bindex (\d{1,9})/) ?? 0,
    name,
    kind: darwinKind(name, hardwareOf(name, value("type: "))),
    mac: formatMac(macBytes(value("ether ") ?? value("lladdr "))),
    mtu: number(rest, /\bmtu (\d{1,9})/),
    up,
    // RUNNING stays set without a cable.
    running: up && flags.has("RUNNING") && value("status: ") !== "inactive",
    master: null,
    addresses: sortAddresses(lines.flatMap(toAddress)),
  };
}

function hardwareOf(name: string, type: string | undefined): DarwinHardware {
  if (type === "Wi-Fi") return "wifi";
  if (type === "Cellular") return "cellular";
  // Types of Ethernet have no word in common ("Ethernet", "IP over Thunderbolt", "Bluetooth PAN"), but a name.
  return /^en\d/.test(name) || type?.includes("Ethernet") ? "ethernet" : "other";
}

function macBytes(text: string | undefined): Uint8Array | undefined {
  const parts = text?.trim().split(":") ?? [];
  return parts.every((part) => /^[0-9a-f]{1,2}$/i.test(part))
    ? Uint8Array.from(parts, (part) => parseInt(part, 16))
    : undefined;
}

/** `inet 10.0.0.2 netmask 0xffffff00 broadcast ...`, `inet6 fe80::1%en0 prefixlen 64 tentative scopeid 0x6 pltime 12 vltime 34` */
function toAddress(line: string): Address[] {
  const [keyword, text = "", ...words] = line.split(/\s+/);
  const family = keyword === "inet" ? 4 : keyword === "inet6" ? 6 : null;
  const bytes = parseIp(text.split("%")[0] ?? "");
  if (family === null || bytes?.length !== (family === 4 ? 4 : 16)) return [];
  const after = (word: string): string | undefined => {
    const at = words.indexOf(word);
    return at < 0 ? undefined : words[at + 1];
  };
  const prefix = family === 4 ? maskLength(after("netmask")) : Number(after("prefixlen"));
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > bytes.length * 8) return [];
  const preferredLifetime = lifetime(after("pltime"));
  return [{
    address: formatIp(bytes),
    family,
    prefix,
    scope: addressScope(bytes),
    temporary: words.includes("temporary"),
    tentative: words.includes("tentative"),
    deprecated: words.includes("deprecated") || words.includes("detached") || preferredLifetime === 0,
    conflict: words.includes("duplicated"),
    preferredLifetime,
    validLifetime: lifetime(after("vltime")),
  }];
}

/** The length of the prefix of a mask like `0xffffff00`; not a number where it is none. */
function maskLength(text: string | undefined): number {
  return /^0x[0-9a-f]{1,8}$/.test(text ?? "") ? Math.clz32(~Number(text)) : NaN;
}

/** Seconds as milliseconds; `null` for ever. */
function lifetime(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,12}$/.test(text) ? Number(text) * 1000 : null;
}

/** Hostile output for the parser of `ip`: whatever it is, a reading comes out or the typed error. */

import { assert, assertEquals } from "@std/assert";
import { formatIp, parseIp } from "../internal/ip.ts";
import { HoldfastError } from "../internal/errors.ts";
import { type IpReading, parseIpBatch } from "../watch/_ip_json.ts";
import { PROBE, toState } from "../watch/_reading.ts";
import { fuzz, mutate, type Random, spoil } from "./_fuzz.ts";
import { ipOutput, SCENES } from "./_recordings.ts";
import { scale } from "./_require.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const recorded = SCENES.map(ipOutput);
const encoded = recorded.map((text) => encoder.encode(text));

/** Values that stand where others are expected. */
const ODD: readonly unknown[] = [
  null,
  true,
  "",
  "x",
  "lo",
  "v0",
  "inet6",
  "fe80::1",
  "192.168.1.1",
  PROBE.v4,
  PROBE.v6,
  "unicast",
  "PERMANENT",
  "dadfailed",
  "100",
  "999",
  0,
  -1,
  1,
  3,
  4294967295,
  1e308,
  2.5,
  [],
  {},
  [[]],
  [null],
  { toString: 1, valueOf: 1 },
  { length: 9, dev: "v0" },
  { family: "inet6", host: "fe80::1" },
  [{ dev: "v0" }],
  ["UP"],
];

function anyOutput(random: Random): string {
  switch (random.below(10)) {
    case 0:
      return decoder.decode(random.bytes(random.below(300)));
    case 1:
    case 2:
      return decoder.decode(mutate(random, random.one(encoded), encoded));
    case 3:
      return random.one(["[", '[{"a":', '{"', '["'])
        .repeat(random.one([1, 10, 50_000]));
    default: {
      const lines = random.one(recorded).split("\n").filter((line) => line !== "");
      for (let left = random.one([1, 1, 2, 4]); left > 0 && lines.length > 0; left--) {
        const at = random.below(lines.length);
        lines[at] = JSON.stringify(spoil(random, JSON.parse(lines[at] || "[]"), ODD));
        if (random.below(8) === 0) lines.splice(random.below(lines.length), 1);
        if (random.below(8) === 0) lines.push(random.one(recorded).split("\n").at(random.below(5)) ?? "");
      }
      return lines.filter((line) => line !== "").join("\n");
    }
  }
}

function checkIp(text: string | null): void {
  if (text === null) return;
  const bytes = parseIp(text);
  assert(bytes && formatIp(bytes) === text, `"${text}" is no address in canonical form`);
}

function check(reading: IpReading): void {
  for (const iface of reading.interfaces) {
    assertEquals([typeof iface.index, typeof iface.name], ["number", "string"]);
    assert(iface.mac === null || /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(iface.mac));
    assert(iface.mtu === null || Number.isFinite(iface.mtu));
    for (const { address, family, prefix, scope } of iface.addresses) {
      checkIp(address);
      assertEquals(family, address.includes(":") ? 6 : 4);
      assert(Number.isInteger(prefix) && prefix >= 0 && prefix <= (family === 4 ? 32 : 128));
      assert(["global", "site", "link", "host"].includes(scope));
    }
  }
  for (const route of [reading.defaultRoute.v4, reading.defaultRoute.v6]) {
    if (!route) continue;
    checkIp(route.gateway);
    checkIp(route.source);
    assert(reading.interfaces.some(({ index, name }) => index === route.index && name === route.interface));
  }
  toState({ ...reading, at: 0, dns: null, blind: [] });
}

Deno.test("any output of ip is a reading, or refused by the typed error", () => {
  const ends = fuzz(scale(5_000, 100_000), anyOutput, (output) => {
    try {
      const reading = parseIpBatch(output);
      check(reading);
      return reading.defaultRoute.v4 ? "routed" : reading.interfaces.length > 0 ? "interfaces" : "nothing";
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== "protocol") throw error;
      return "refused";
    }
  });
  // A fuzz that never gets past the door proves nothing: each end has to come up.
  assertEquals([...ends.keys()].toSorted(), ["interfaces", "nothing", "refused", "routed"]);
});

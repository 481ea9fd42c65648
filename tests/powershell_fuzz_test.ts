/** Hostile output for the parser of PowerShell's reading: whatever it is, facts come out or the typed error. */

import { assert, assertEquals } from "@std/assert";
import { HoldfastError } from "../internal/errors.ts";
import { formatIp } from "../internal/ip.ts";
import { parsePowershell } from "../watch/_powershell_json.ts";
import { PROBE, toState } from "../watch/_reading.ts";
import { toReading, type WindowsFacts } from "../watch/_windows_reading.ts";
import { fuzz, mutate, type Random, spoil } from "./_fuzz.ts";
import { scale } from "./_require.ts";

const recorded = Deno.readTextFileSync(new URL("fixtures/windows/powershell.json", import.meta.url));
const encoded = new TextEncoder().encode(recorded);
const decoder = new TextDecoder();

/** Values that stand where others are expected. */
const ODD: readonly unknown[] = [
  null,
  true,
  "",
  "x",
  0,
  -1,
  1.5,
  12,
  4294967295,
  4294967296,
  "192.168.1.1",
  "fe80::1%12",
  "0.0.0.0",
  "::",
  "fe80::1%",
  PROBE.v4,
  PROBE.v6,
  "02-00-00-00-00-01",
  "0200",
  "zz",
  "Reachable",
  "Permanent",
  [],
  {},
  [[]],
  [null],
  { index: 12, name: "Wi-Fi" },
  { to: PROBE.v6, index: 12, nextHop: "::", metric: 1 },
  [{ address: "192.168.1.1", mac: "02:00:00:00:01:01", index: 12, state: "Stale" }],
];

function anyOutput(random: Random): string {
  switch (random.below(8)) {
    case 0:
      return decoder.decode(random.bytes(random.below(200)));
    case 1:
      return decoder.decode(mutate(random, encoded, [encoded]));
    case 2:
      return random.one(["[", '{"interfaces":', '{"interfaces":[{"', "", "\ufeff", "null", "7", "[]"]).repeat(
        random.one([1, 10, 10_000]),
      );
    default: {
      let value: unknown = JSON.parse(recorded);
      for (let left = random.one([0, 1, 1, 2, 5]); left > 0; left--) value = spoil(random, value, ODD);
      return `${random.one(["", "", "\ufeff", "\r\n"])}${JSON.stringify(value) ?? ""}\r\n`;
    }
  }
}

function check(facts: WindowsFacts): void {
  for (const { index, name, mac, dns } of facts.adapters) {
    assert(Number.isInteger(index) && index > 0 && name !== "" && mac.length <= 8);
    for (const server of dns) assert(formatIp(server) !== "");
  }
  const { interfaces, defaultRoute: { v4 } } = toState(toReading(facts, 0));
  for (const { addresses } of interfaces) {
    for (const { family, prefix } of addresses) {
      assert(Number.isInteger(prefix) && prefix >= 0 && prefix <= (family === 4 ? 32 : 128));
    }
  }
  assert(v4 === null || interfaces.some(({ index, name }) => index === v4.index && name === v4.interface));
}

Deno.test("any output of PowerShell is a reading, or refused by the typed error", () => {
  const ends = fuzz(scale(5_000, 100_000), anyOutput, (output) => {
    try {
      const facts = parsePowershell(output);
      check(facts);
      return facts.routes.v4 ? "routed" : facts.adapters.length > 0 ? "adapters" : "nothing";
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== "protocol") throw error;
      return "refused";
    }
  });
  // A fuzz that never gets past the door proves nothing: each end has to come up.
  assertEquals([...ends.keys()].toSorted(), ["adapters", "nothing", "refused", "routed"]);
});

/** Hostile bytes for the parsers of Windows tables: whatever they are, rows come out or the typed error. */

import { assert, assertEquals } from "@std/assert";
import { formatIp } from "../internal/ip.ts";
import { LAYOUT } from "../watch/_windows_layout.ts";
import { bestRoute, toReading } from "../watch/_windows_reading.ts";
import {
  type Memory,
  parseAdapters,
  parseIfTable,
  parseNeighbourTable,
  parseRoute,
  parseRouteTable,
  parseSocketAddress,
  ROW,
  socketAddress,
  tableSize,
  WindowsTableError,
} from "../watch/_windows_tables.ts";
import { fuzz, mutate, type Random } from "./_fuzz.ts";
import { scale } from "./_require.ts";
import {
  adapter,
  buildAdapters,
  buildIfTable,
  buildNeighbourTable,
  buildRoute,
  buildRouteTable,
  foreignAddress,
  recordedSession,
} from "./_windows_tables.ts";

const V4 = Uint8Array.of(192, 168, 1, 23);
const V6 = Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const address = { address: V4, prefix: 24, dadState: 4, suffixOrigin: 3, preferred: 1800, valid: 3600 };

const memories: readonly Memory[] = [
  buildAdapters([
    adapter({
      addresses: [address, { ...address, address: V6, prefix: 64 }],
      dns: [V4, V6],
      search: ["a.example"],
    }),
    adapter({
      index: 8,
      name: "Wi-Fi",
      type: 71,
      mac: new Uint8Array(),
      search: ["", "b.example", "c.example"],
    }),
  ]),
  buildAdapters([adapter({ name: "", addresses: [address] })]),
  ...recordedSession().map(({ tables }) => tables.adapters),
];
const route = { index: 7, nextHop: V4, metric: 5 };
const tables: readonly Uint8Array[] = [
  buildIfTable([{ index: 7, adminStatus: 1, mediaState: 2 }, { index: 8, adminStatus: 2, mediaState: 0 }]),
  buildNeighbourTable([{ index: 7, address: V4, mac: Uint8Array.of(2, 0, 0, 0, 1, 1), state: 5 }, {
    index: 7,
    address: V6,
    mac: new Uint8Array(),
    state: 1,
  }]),
  buildRouteTable([{ ...route, destination: new Uint8Array(4), prefix: 0 }, {
    ...route,
    destination: V6,
    prefix: 64,
  }]),
  ...recordedSession().flatMap(({ tables: { links, v4 } }) => [links, v4.routes, v4.neighbours])
    .filter((table) => table !== null),
];
const rows = [
  buildRoute(route),
  buildRoute({ ...route, nextHop: null }),
  socketAddress(V6),
  foreignAddress(),
];
const pieces = [...memories.map(({ bytes }) => bytes), ...tables, ...rows];

/** Points somewhere else: near, far, at itself, or nowhere. */
function redirect(random: Random, { base, bytes }: Memory): void {
  const at = random.below(bytes.length >> 3) * 8;
  const to = random.one([
    0n,
    BigInt(at),
    BigInt(random.below(bytes.length)),
    BigInt(bytes.length - 1),
    -8n,
    1n << 60n,
  ]);
  new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(
    at,
    BigInt.asUintN(64, to === 0n ? 0n : base + to),
    true,
  );
}

function anyMemory(random: Random): Memory {
  const { base, bytes } = random.one([
    ...memories.slice(0, 2),
    ...memories.slice(0, 2),
    random.one(memories),
  ]);
  const kind = random.below(4);
  const memory = { base, bytes: kind === 0 ? mutate(random, bytes, pieces) : bytes.slice() };
  if (memory.bytes.length < 8) return memory;
  for (let left = random.below(4); left > 0; left--) {
    if (kind < 3) redirect(random, memory);
    else {
      // A field of the first adapter, or of one of its addresses.
      const fields = Object.values(LAYOUT.IP_ADAPTER_ADDRESSES_LH).filter((at) =>
        at < LAYOUT.IP_ADAPTER_ADDRESSES_LH.size
      );
      const at = random.below(2) === 0 ? random.one(fields) : random.below(memory.bytes.length);
      memory.bytes[at] = random.one([0, 1, 2, 9, 15, 23, 129, 255]);
    }
  }
  return memory;
}

/** "read", or that it was refused by the only error allowed. */
function outcome(action: () => void): string {
  try {
    action();
    return "read";
  } catch (error) {
    if (!(error instanceof WindowsTableError) || error.code !== "protocol") throw error;
    return "refused";
  }
}

Deno.test("any memory is a list of adapters, or refused by the typed error", () => {
  const ends = fuzz(scale(5_000, 100_000), anyMemory, (memory) =>
    outcome(() => {
      const adapters = parseAdapters(memory);
      const { interfaces } = toReading(
        { adapters, links: [], neighbours: [], routes: { v4: { ...route, source: V4 }, v6: null } },
        0,
      );
      assertEquals(interfaces.length, adapters.length);
      for (const { name, mac, search, dns } of adapters) {
        assert(name.isWellFormed() && name.length <= 1024 && mac.length <= 8);
        assert(!search.includes(""));
        for (const server of dns) assert(formatIp(server) !== "");
      }
      for (const { addresses } of interfaces) {
        for (const { family, prefix } of addresses) assert(prefix <= (family === 4 ? 32 : 128));
      }
    }));
  assertEquals([...ends.keys()].toSorted(), ["read", "refused"]);
});

Deno.test("any bytes are a table, a row or an address, or refused by the typed error", () => {
  const parsers: readonly ((bytes: Uint8Array) => void)[] = [
    (bytes) => assert(parseIfTable(bytes).length * ROW.interface <= bytes.length),
    (bytes) =>
      assert(parseNeighbourTable(bytes).every(({ mac, address }) => mac.length <= 8 && formatIp(address))),
    (bytes) => void bestRoute(parseRouteTable(bytes), [adapter()], V4),
    (bytes) => assert(formatIp(parseRoute(bytes).nextHop ?? V4)),
    (bytes) => assert([undefined, 4, 16].includes(parseSocketAddress(bytes)?.length)),
    (bytes) => assert(tableSize(bytes, ROW.route) >= 8),
  ];
  const make = (random: Random): { bytes: Uint8Array; parse: (bytes: Uint8Array) => void } => {
    const input = random.one([...tables, ...rows]);
    const bytes = random.below(10) === 0 ? input : mutate(random, input, pieces);
    return { bytes, parse: random.one(parsers) };
  };
  const ends = fuzz(scale(5_000, 100_000), make, ({ bytes, parse }) => outcome(() => parse(bytes)));
  assertEquals([...ends.keys()].toSorted(), ["read", "refused"]);
});

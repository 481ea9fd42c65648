import { assert, assertEquals, assertThrows } from "@std/assert";
import { HoldfastError } from "../internal/errors.ts";
import { parseIp } from "../internal/ip.ts";
import { FakeWindows, type FakeWindowsOptions } from "../tests/_fake_windows.ts";
import {
  adapter,
  buildAdapters,
  buildIfTable,
  buildNeighbourTable,
  buildRoute,
  buildRouteTable,
  foreignAddress,
} from "../tests/_windows_tables.ts";
import { readWindows, type WindowsBytes, windowsReader } from "./_read_windows.ts";
import { bestRoute } from "./_windows_reading.ts";
import {
  parseAdapters,
  parseIfTable,
  parseNeighbourTable,
  socketAddress,
  WindowsTableError,
} from "./_windows_tables.ts";
import type { Reading } from "./_reading.ts";

function ip(text: string): Uint8Array {
  const bytes = parseIp(text);
  assert(bytes, text);
  return bytes;
}

const ADDRESS = {
  address: ip("192.168.1.23"),
  prefix: 24,
  dadState: 4,
  suffixOrigin: 3,
  preferred: 1800,
  valid: 3600,
};

const NOTHING = { route: null, routes: null, neighbours: null };

function tables(fields: Partial<WindowsBytes> = {}): WindowsBytes {
  return {
    adapters: buildAdapters([adapter({ addresses: [ADDRESS] })]),
    links: null,
    v4: NOTHING,
    v6: NOTHING,
    ...fields,
  };
}

/** A reading of a made-up Windows, which must leave nothing open. */
function read(fields: Partial<WindowsBytes> = {}, options: FakeWindowsOptions = {}): Reading {
  const windows = new FakeWindows({ tables: () => tables(fields), ...options });
  const reading = readWindows(windows);
  assertEquals([...windows.open], []);
  return reading;
}

Deno.test("a reading of a laptop at home names everything", () => {
  const { at: _, ...reading } = read({
    adapters: buildAdapters([
      adapter({
        addresses: [
          ADDRESS,
          {
            ...ADDRESS,
            address: ip("2001:db8:1::beef"),
            prefix: 64,
            suffixOrigin: 5,
            preferred: 0xffff_ffff,
          },
        ],
        dns: [ip("192.168.1.1"), ip("fec0:0:0:ffff::1")],
        search: ["home.example", "office.example"],
      }),
      adapter({
        index: 1,
        name: "Loopback Pseudo-Interface 1",
        type: 24,
        mac: new Uint8Array(),
        mtu: 0xffff_ffff,
        metric: { v4: 75, v6: 75 },
        addresses: [{ ...ADDRESS, address: ip("127.0.0.1"), prefix: 8 }],
      }),
    ]),
    v4: {
      route: {
        row: buildRoute({ index: 7, nextHop: ip("192.168.1.1"), metric: 10 }),
        source: socketAddress(ip("192.168.1.23")),
      },
      routes: null,
      neighbours: buildNeighbourTable([
        { index: 9, address: ip("192.168.1.1"), mac: Uint8Array.of(2, 0, 0, 0, 9, 9), state: 5 },
        { index: 7, address: ip("192.168.1.1"), mac: Uint8Array.of(2, 0, 0, 0, 1, 1), state: 4 },
      ]),
    },
  });
  const address = { temporary: false, tentative: false, deprecated: false, conflict: false };
  const lifetimes = { preferredLifetime: 1_800_000, validLifetime: 3_600_000 };
  assertEquals<unknown>(reading, {
    interfaces: [
      {
        index: 1,
        name: "Loopback Pseudo-Interface 1",
        kind: "loopback",
        mac: null,
        mtu: null,
        up: true,
        running: true,
        master: null,
        addresses: [
          { address: "127.0.0.1", family: 4, prefix: 8, scope: "host", ...address, ...lifetimes },
        ],
      },
      {
        index: 7,
        name: "Ethernet",
        kind: "ethernet",
        mac: "02:00:00:00:00:01",
        mtu: 1500,
        up: true,
        running: true,
        master: null,
        addresses: [
          { address: "192.168.1.23", family: 4, prefix: 24, scope: "global", ...address, ...lifetimes },
          {
            address: "2001:db8:1::beef",
            family: 6,
            prefix: 64,
            scope: "global",
            ...address,
            temporary: true,
            preferredLifetime: null,
            validLifetime: 3_600_000,
          },
        ],
      },
    ],
    defaultRoute: {
      v4: { gateway: "192.168.1.1", interface: "Ethernet", index: 7, metric: 35, source: "192.168.1.23" },
      v6: null,
    },
    gatewayMac: { v4: "02:00:00:00:01:01", v6: null },
    dns: { servers: ["192.168.1.1"], search: ["home.example", "office.example"] },
    blind: [],
  });
});

Deno.test("duplicate detection: tentative, taken by another, deprecated, and invalid ones", () => {
  const flags = [0, 1, 2, 3, 4].map((dadState) => {
    const { interfaces: [iface] } = read({
      adapters: buildAdapters([adapter({ addresses: [{ ...ADDRESS, dadState }] })]),
    });
    const [address] = iface?.addresses ?? [];
    return [address?.tentative, address?.conflict, address?.deprecated];
  });
  const [no, yes] = [false, true];
  assertEquals(flags, [[yes, no, no], [yes, no, no], [no, yes, no], [no, no, yes], [no, no, no]]);
});

Deno.test("an interface runs when it is on, has its medium, and Windows says it is up or cannot tell", () => {
  const seen = (operStatus: number, adminStatus: number, mediaState: number): unknown => {
    const { interfaces: [iface] } = read({
      adapters: buildAdapters([adapter({ operStatus })]),
      links: buildIfTable([{ index: 3, adminStatus: 9, mediaState: 9 }, {
        index: 7,
        adminStatus,
        mediaState,
      }]),
    });
    return [iface?.up, iface?.running];
  };
  assertEquals(seen(1, 1, 1), [true, true]);
  assertEquals(seen(4, 1, 0), [true, true]);
  assertEquals(seen(1, 1, 2), [true, false]);
  assertEquals(seen(2, 1, 2), [true, false]);
  assertEquals(seen(5, 1, 1), [true, false]);
  assertEquals(seen(2, 2, 0), [false, false]);
  assertEquals(seen(99, 1, 1), [true, false]);
  // Without the interface table what is not there at all counts as off.
  const status = (operStatus: number): unknown => {
    const { interfaces: [iface] } = read({ adapters: buildAdapters([adapter({ operStatus })]) });
    return [iface?.up, iface?.running];
  };
  assertEquals([1, 2, 6].map(status), [[true, true], [true, false], [false, false]]);
});

Deno.test("kinds follow the type, and virtual cables and VPNs their driver's words", () => {
  const kind = (type: number, description = ""): unknown =>
    read({ adapters: buildAdapters([adapter({ type, description })]) }).interfaces[0]?.kind;
  assertEquals([6, 23, 24, 53, 71, 131, 135, 161, 209, 243, 244, 1].map((type) => kind(type)), [
    ...["ethernet", "tunnel", "loopback", "tunnel", "wifi", "tunnel", "vlan", "bond", "bridge"],
    ...["cellular", "cellular", "other"],
  ]);
  assertEquals(kind(6, "Hyper-V Virtual Ethernet Adapter #2"), "veth");
  assertEquals(kind(6, "TAP-Windows Adapter V9"), "tunnel");
});

Deno.test("name servers come in the order of metrics, once each, from interfaces that run", () => {
  const reading = read({
    adapters: buildAdapters([
      adapter({ index: 2, operStatus: 2, dns: [ip("10.9.9.9")], metric: { v4: 1, v6: 1 } }),
      adapter({ index: 3, dns: [ip("10.0.0.3"), ip("10.0.0.1")], metric: { v4: 50, v6: 50 }, search: ["b"] }),
      adapter({ index: 4, dns: [ip("10.0.0.1")], metric: { v4: 90, v6: 20 }, search: ["a", "b"] }),
    ]),
  });
  assertEquals(reading.dns, { servers: ["10.0.0.1", "10.0.0.3"], search: ["a", "b"] });
});

Deno.test("the gateway's hardware address is only told while it is true", () => {
  const mac = (state: number, length = 6): unknown =>
    read({
      v4: {
        route: {
          row: buildRoute({ index: 7, nextHop: ip("192.168.1.1"), metric: 0 }),
          source: foreignAddress(),
        },
        routes: null,
        neighbours: buildNeighbourTable([
          { index: 7, address: ip("192.168.1.1"), mac: new Uint8Array(length).fill(0xab), state },
        ]),
      },
    }).gatewayMac.v4;
  const known = "ab:ab:ab:ab:ab:ab";
  assertEquals([0, 1, 2, 3, 4, 5, 6].map((state) => mac(state)), [
    null,
    null,
    known,
    known,
    known,
    known,
    known,
  ]);
  assertEquals(mac(5, 0), null);
});

Deno.test("an on-link default route has no gateway, and one without a source says so", () => {
  const { defaultRoute } = read({
    v6: {
      route: {
        row: buildRoute({ index: 7, nextHop: null, metric: 1 }),
        source: socketAddress(new Uint8Array(16)),
      },
      routes: null,
      neighbours: null,
    },
  });
  assertEquals(defaultRoute.v6, { gateway: null, interface: "Ethernet", index: 7, metric: 36, source: null });
});

Deno.test("where Windows cannot look up, the route table is searched as it would", () => {
  const route = (destination: string, prefix: number, index: number, metric: number) => ({
    destination: ip(destination),
    prefix,
    index,
    metric,
    nextHop: ip("10.0.0.1"),
  });
  const adapters = [
    adapter({ index: 2, metric: { v4: 5, v6: 90 } }),
    adapter({ index: 3, metric: { v4: 50, v6: 1 } }),
  ];
  const to = ip("198.41.0.4");
  const best = (...table: ReturnType<typeof route>[]): unknown => bestRoute(table, adapters, to)?.index;
  assertEquals(best(), undefined);
  assertEquals(best(route("10.0.0.0", 8, 2, 0), route("::", 0, 2, 0)), undefined);
  // The sum counts, then the longest prefix before it: a VPN takes both halves.
  assertEquals(best(route("0.0.0.0", 0, 3, 10), route("0.0.0.0", 0, 2, 40)), 2);
  assertEquals(best(route("0.0.0.0", 0, 2, 0), route("128.0.0.0", 1, 3, 99)), 3);
  assertEquals(best(route("198.41.0.0", 22, 3, 0), route("198.41.0.5", 32, 2, 0)), 3);
  assertEquals(best(route("0.0.0.0", 0, 9, 5), route("0.0.0.0", 0, 2, 0)), 2);
  const { defaultRoute } = read({
    v4: {
      route: null,
      routes: buildRouteTable([{ ...route("0.0.0.0", 0, 7, 3) }]),
      neighbours: null,
    },
  }, { noRoute: 50 });
  assertEquals(defaultRoute.v4?.metric, 28);
});

Deno.test("no way out is no error, whatever number says so; any other is one", () => {
  for (const noRoute of [2, 50, 1168, 1231, 1232]) {
    assertEquals(read({}, { noRoute }).defaultRoute, { v4: null, v6: null });
  }
  const error = assertThrows(() => read({}, { noRoute: 87 }), HoldfastError);
  assertEquals([error.code, error.message], ["system", "Cannot look up the default route: Windows error 87"]);
});

Deno.test("a buffer that was too small is tried larger, up to a limit; refusals are named, and memory given back", () => {
  const sizes: number[] = [];
  const reading = read({}, {
    adapters(size) {
      sizes.push(size);
      return size < 60_000 ? 111 : 0;
    },
  });
  assertEquals([sizes, reading.interfaces.length], [[16_384, 32_768, 65_536], 1]);
  for (const code of [5, 111]) {
    const windows = new FakeWindows({ adapters: () => code });
    assertThrows(
      () => readWindows(windows),
      HoldfastError,
      `Cannot list network adapters: Windows error ${code}`,
    );
    assertEquals([...windows.open], []);
  }
});

Deno.test("a machine without an adapter is read, too", () => {
  assertEquals(read({ adapters: buildAdapters([]) }).interfaces, []);
});

Deno.test("a route through an adapter that was not there yet is read again, and is none if that does not help", () => {
  const row = buildRoute({ index: 8, nextHop: ip("10.0.0.1"), metric: 0 });
  const v4 = { route: { row, source: socketAddress(ip("10.0.0.2")) }, routes: null, neighbours: null };
  let readings = 0;
  const late = new FakeWindows({
    // Asked for five parts a reading.
    tables: () =>
      tables({ v4, adapters: buildAdapters(readings++ < 6 ? [adapter()] : [adapter({ index: 8 })]) }),
  });
  assertEquals(readWindows(late).defaultRoute.v4?.index, 8);
  assertEquals(read({ v4 }).defaultRoute.v4, null);
});

Deno.test("a reader lets go of the libraries", () => {
  const windows = new FakeWindows({ tables: () => tables() });
  {
    using reader = windowsReader(windows.acquire());
    assertEquals(reader.name, "iphlpapi");
    assertEquals(windows.open.size, 1);
  }
  assertEquals([...windows.open], []);
});

Deno.test("tables with rows missing, too many rows or broken lists are refused", () => {
  const table = buildIfTable([{ index: 1, adminStatus: 1, mediaState: 1 }]);
  assertThrows(() => parseIfTable(table.subarray(0, -1)), WindowsTableError, "1359 bytes of a table of 1360");
  assertThrows(() => parseNeighbourTable(new Uint8Array(8).fill(255)), WindowsTableError, "4294967295 rows");
  const { base, bytes } = buildAdapters([adapter()]);
  const next = (value: bigint): void => new DataView(bytes.buffer).setBigUint64(8, value, true);
  next(base);
  assertThrows(() => parseAdapters({ base, bytes }), WindowsTableError, "a list without end");
  next(base + BigInt(bytes.length) - 447n);
  assertThrows(() => parseAdapters({ base, bytes }), WindowsTableError, "a pointer to offset");
  next(base - 8n);
  assertThrows(() => parseAdapters({ base, bytes }), WindowsTableError, "a pointer to offset -8");
});

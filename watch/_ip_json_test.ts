import { assert, assertEquals, assertThrows } from "@std/assert";
import { HoldfastError } from "../internal/errors.ts";
import { exchanges, fakeLibc, ipOutput, type Scene, SCENES } from "../tests/_recordings.ts";
import { IP_BATCH, type IpReading, parseIpBatch } from "./_ip_json.ts";
import { NetlinkReader } from "./_read_netlink.ts";

/** One line of output: a list with one row. */
function line(...rows: unknown[]): string {
  return `${JSON.stringify(rows)}\n`;
}

const link = { ifindex: 2, ifname: "eth0", flags: ["UP", "LOWER_UP"], link_type: "ether", operstate: "UP" };
const address = { family: "inet", local: "192.0.2.1", prefixlen: 24, scope: "global" };
const route = {
  type: "unicast",
  dst: "198.41.0.4",
  dev: "eth0",
  gateway: "192.0.2.254",
  prefsrc: "192.0.2.1",
};

/** What netlink said of the same moment, without lifetimes, which are counted in seconds that go by. */
function byNetlink(scene: Scene): IpReading {
  const recorded = exchanges(scene);
  let n = 0;
  using reader = new NetlinkReader(fakeLibc({ answer: () => recorded[n++]?.answers ?? [] }));
  const { interfaces, defaultRoute, gatewayMac, neighbourless = [] } = reader.read(null);
  return { interfaces, defaultRoute, gatewayMac, neighbourless };
}

function withoutLifetimes(reading: IpReading): unknown {
  return JSON.parse(JSON.stringify(reading, (key, value) => key.endsWith("Lifetime") ? typeof value : value));
}

for (const scene of SCENES) {
  Deno.test(`the recorded network "${scene}" reads the same by ip as by netlink`, () => {
    assertEquals(withoutLifetimes(parseIpBatch(ipOutput(scene))), withoutLifetimes(byNetlink(scene)));
  });
}

Deno.test("lifetimes are milliseconds, and null for ever", () => {
  const { interfaces } = parseIpBatch(ipOutput("home"));
  const v0 = interfaces.find(({ name }) => name === "v0");
  const times = v0?.addresses.map(({ validLifetime }) => validLifetime);
  assert(times?.[0] && times[0] > 3_500_000 && times[0] <= 3_600_000);
  assertEquals(times[1], null);
});

Deno.test("the batch asks for addresses, look-ups of both families and neighbours", () => {
  assertEquals(IP_BATCH.trimEnd().split("\n").map((command) => command.split(" ")[0]), [
    "address",
    "route",
    "route",
    "route",
    "neighbour",
  ]);
});

Deno.test("output without anything in it is an empty reading", () => {
  assertEquals(parseIpBatch("\n [] \n\n"), {
    interfaces: [],
    defaultRoute: { v4: null, v6: null },
    gatewayMac: { v4: null, v6: null },
    neighbourless: [],
  });
});

Deno.test("interfaces that resolve no hardware addresses are named", () => {
  const rows = line({ ...link, addr_info: [] }, {
    ...link,
    ifindex: 9,
    flags: ["UP", "NOARP"],
    addr_info: [],
  });
  assertEquals(parseIpBatch(rows).neighbourless, [9]);
});

Deno.test("a missing RUNNING does not count where ip prints no NO-CARRIER", () => {
  const running = (fields: Record<string, unknown>): boolean | undefined =>
    parseIpBatch(line({ ...link, ...fields, addr_info: [] })).interfaces[0]?.running;
  assertEquals(running({}), true);
  assertEquals(running({ flags: ["UP"], operstate: "UNKNOWN" }), true);
  assertEquals(running({ flags: ["UP", "NO-CARRIER"] }), false);
  assertEquals(running({ flags: ["LOWER_UP"] }), false);
  assertEquals(running({ operstate: "DORMANT" }), false);
  assertEquals(running({ flags: "UP" }), false);
});

Deno.test("rows without name, index, address or prefix are passed over, and odd values are as good as none", () => {
  const rows = line(
    {
      ...link,
      addr_info: [
        null,
        5,
        [],
        {},
        { ...address, prefixlen: "24" },
        ...[-1, 33, 2.5, 1e300].map((prefixlen) => ({ ...address, prefixlen })),
        { ...address, local: "x" },
        address,
      ],
    },
    { ...link, ifindex: "3", addr_info: [] },
    { ...link, ifname: 4 },
    {
      ...link,
      ifindex: 5,
      ifname: "odd",
      mtu: "1500",
      address: "zz",
      linkinfo: null,
      addr_info: {},
      master: "no",
    },
    null,
    "text",
  );
  const { interfaces } = parseIpBatch(rows);
  assertEquals(interfaces.map(({ index, mac, mtu, master }) => [index, mac, mtu, master]), [
    [2, null, null, null],
    [5, null, null, null],
  ]);
  assertEquals(interfaces[0]?.addresses.map((a) => [a.address, a.prefix, a.preferredLifetime]), [
    ["192.0.2.1", 24, null],
  ]);
});

Deno.test("scopes are names of iproute2 or numbers, and other names reach a site", () => {
  const scopes = ["global", "link", "host", "nowhere", "site", "100", "200", "253", "254", "mine", undefined];
  const addr_info = scopes.map((scope, n) => ({ ...address, local: `192.0.2.${10 + n}`, scope }));
  const { interfaces } = parseIpBatch(line({ ...link, addr_info }));
  assertEquals(interfaces[0]?.addresses.map(({ scope }) => scope), [
    ...["global", "link", "host", "host", "site", "global", "site", "link", "host", "site", "site"] as const,
  ]);
});

Deno.test("a deprecated address may be told by its lifetime alone", () => {
  const { interfaces } = parseIpBatch(
    line({ ...link, addr_info: [{ ...address, preferred_life_time: 0, temporary: true, tentative: true }] }),
  );
  const [one] = interfaces[0]?.addresses ?? [];
  assertEquals([one?.deprecated, one?.temporary, one?.tentative, one?.conflict], [true, true, true, false]);
});

Deno.test("the metric comes from the table's entry, if that leads through the same interface", () => {
  const metric = (...entries: unknown[]): number | null | undefined =>
    parseIpBatch(line({ ...link, addr_info: [] }) + line(route) + line(...entries)).defaultRoute.v4?.metric;
  assertEquals(metric({ type: "unicast", dst: "default", dev: "eth0", metric: 7 }), 7);
  assertEquals(metric({ type: "unicast", dst: "default", dev: "eth0" }), 0);
  assertEquals(metric({ type: "unicast", dst: "default", dev: "eth1", metric: 7 }), null);
  assertEquals(metric({ type: "unicast", dst: "default", nexthops: [{ dev: "eth0" }, { dev: "eth1" }] }), 0);
  assertEquals(metric({ type: "unicast", dst: "default", nexthops: [null] }), null);
  assertEquals(metric(), null);
});

Deno.test("a look-up that leads nowhere, or through an interface that is not listed, is no default route", () => {
  const of = (fields: Record<string, unknown>): unknown =>
    parseIpBatch(line({ ...link, addr_info: [] }) + line({ ...route, ...fields })).defaultRoute.v4;
  assertEquals(of({ type: "unreachable" }), null);
  assertEquals(of({ dev: "eth9" }), null);
  assertEquals(of({ dev: undefined }), null);
  const base = { interface: "eth0", index: 2, metric: null, source: "192.0.2.1" };
  assertEquals(of({ gateway: "x" }), { ...base, gateway: null });
  assertEquals(of({ gateway: undefined, via: { family: "inet6", host: "fe80::1" } }), {
    ...base,
    gateway: "fe80::1",
  });
  assertEquals(of({ prefsrc: 5 }), { ...base, gateway: "192.0.2.254", source: null });
});

Deno.test("a gateway's hardware address counts in the states in which it is true", () => {
  const mac = (state: unknown, fields: Record<string, unknown> = {}): string | null =>
    parseIpBatch(
      line({ ...link, addr_info: [] }) + line(route) +
        line({ dst: "192.0.2.254", dev: "eth0", lladdr: "02:00:00:00:00:0A", state, ...fields }),
    ).gatewayMac.v4;
  for (const state of ["REACHABLE", "STALE", "DELAY", "PROBE", "PERMANENT"]) {
    assertEquals(mac([state]), "02:00:00:00:00:0a");
  }
  assertEquals([mac(["FAILED"]), mac(["INCOMPLETE"]), mac([]), mac("STALE")], [null, null, null, null]);
  assertEquals(mac(["STALE"], { dev: "eth1" }), null);
  assertEquals(mac(["STALE"], { dst: "192.0.2.253" }), null);
  assertEquals(mac(["STALE"], { lladdr: 5 }), null);
  assertEquals(mac([{ toString: 1, valueOf: 1 }]), null, "no text is made of what is none");
});

Deno.test("what is no JSON, or no list, is refused with its beginning and what could be wrong", () => {
  for (
    const text of ['Object "-j" is unknown', "{}", "5", "null", `"${"x".repeat(500)}"`, "[".repeat(100_000)]
  ) {
    const error = assertThrows(() => parseIpBatch(text), HoldfastError, 'Cannot parse the output of "ip"');
    assertEquals(error.code, "protocol");
    assert(error.message.length < 200);
    assert(error.message.includes(text.slice(0, 80)));
    assert(error.hint?.includes("iproute2 4.14"));
  }
});

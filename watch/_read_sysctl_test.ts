import { assertEquals, assertThrows } from "@std/assert";
import { HoldfastError } from "../internal/errors.ts";
import { FakeMac, HOME } from "../tests/_darwin.ts";
import { routeMessage } from "../tests/_darwin_bytes.ts";
import { openRouteSocket, SysctlReader, sysctlReader } from "./_read_sysctl.ts";
import { type Reading, toState } from "./_reading.ts";

function read(mac: FakeMac): Reading {
  using reader = sysctlReader(() => mac.system());
  return reader.read() as Reading;
}

/** What is still open once all is closed. */
function leaks(mac: FakeMac): unknown {
  return [...mac.open];
}

Deno.test("a made-up Mac at home is read whole", () => {
  const mac = new FakeMac(HOME);
  const reading = read(mac);
  assertEquals(reading.interfaces.map(({ name, kind, up, running }) => [name, kind, up, running]), [
    ["lo0", "loopback", true, true],
    ["en0", "wifi", true, true],
    ["en5", "ethernet", true, false],
    ["awdl0", "other", true, true],
    ["utun0", "tunnel", true, true],
  ]);
  const en0 = reading.interfaces[1];
  assertEquals([en0?.mac, en0?.mtu, en0?.master], ["02:00:00:00:00:06", 1500, null]);
  assertEquals(en0?.addresses.map((a) => [`${a.address}/${a.prefix}`, a.scope, a.temporary]), [
    ["192.168.1.23/24", "global", false],
    ["2001:db8:1::23/64", "global", false],
    ["2001:db8:1::beef/64", "global", true],
    ["fe80::ff:fe00:6/64", "link", false],
  ]);
  const way = { interface: "en0", index: 6, metric: null };
  assertEquals(reading.defaultRoute, {
    v4: { ...way, gateway: "192.168.1.1", source: "192.168.1.23" },
    v6: { ...way, gateway: "fe80::1", source: "2001:db8:1::beef" },
  });
  assertEquals(reading.gatewayMac, { v4: "02:00:00:00:01:01", v6: "02:00:00:00:01:01" });
  assertEquals(reading.dns, { servers: ["192.168.1.1", "fe80::1%en0"], search: ["lan"] });
  assertEquals(reading.blind, []);
  assertEquals(toState(reading).families, [4, 6]);
  assertEquals(leaks(mac), []);
});

Deno.test("a way that the kernel does not know is none, and nobody is asked for neighbours then", () => {
  const mac = new FakeMac({ interfaces: HOME.interfaces });
  let tables = 0;
  mac.table = (_what, table) => (tables++, table);
  const { defaultRoute, gatewayMac } = read(mac);
  assertEquals([defaultRoute, gatewayMac], [{ v4: null, v6: null }, { v4: null, v6: null }]);
  assertEquals(tables, 2, "the size of the interfaces' table, and the table");
});

Deno.test("the way is asked for silently, by sockets that live for one question", () => {
  const mac = new FakeMac(HOME);
  read(mac);
  assertEquals(mac.log.filter((line) => !line.startsWith("fcntl")), [
    "socket 30 2",
    ...["socket 17 3", "look up 17", "close routing socket"],
    ...["socket 17 3", "look up 17", "close routing socket"],
  ]);
});

Deno.test("a kernel that does not know the silent question is asked aloud from then on", () => {
  const mac = new FakeMac(HOME);
  mac.fails.write = [1];
  const { defaultRoute } = read(mac);
  assertEquals([defaultRoute.v4?.gateway, defaultRoute.v6?.gateway], ["192.168.1.1", "fe80::1"]);
  assertEquals(mac.log.filter((line) => line.startsWith("look up")), [
    "look up 17",
    "look up 4",
    "look up 4",
  ]);
  const error = assertThrows(() => {
    using reader = new SysctlReader(mac.system());
    mac.fails.write = [1, 1];
    reader.read();
  }, HoldfastError);
  assertEquals(error.message, "Cannot ask routing socket: EPERM", "who may not ask aloud either is told so");
});

Deno.test("no way is what the plain question is told at once", () => {
  for (const errno of [3, 51]) {
    const mac = new FakeMac(HOME);
    mac.fails.write = [errno];
    const { v4, v6 } = read(mac).defaultRoute;
    assertEquals([v4, v6?.gateway], [null, "fe80::1"]);
  }
});

Deno.test("a table that grew after its size was told is asked for again, with room to spare", () => {
  const mac = new FakeMac(HOME);
  mac.growth.push(100_000, 100_000);
  assertEquals(read(mac).interfaces.length, 5);
  // An eighth and a kilobyte more than was told.
  const some = new FakeMac(HOME);
  some.growth.push(1000);
  assertEquals(read(some).interfaces.length, 5);
  assertEquals(some.growth, []);
});

Deno.test("a table that grows for ever is an error", () => {
  const mac = new FakeMac(HOME);
  mac.growth.push(...Array(5).fill(100_000));
  assertThrows(() => read(mac), HoldfastError, "Cannot read routing table: ENOMEM");
  assertEquals([leaks(mac), mac.growth], [[], []], "five attempts");
});

Deno.test("what the kernel refuses is an error with its name, and leaves nothing open", () => {
  const cases: [keyof FakeMac["fails"], number[], string][] = [
    ["socket", [1], "Cannot open socket for interface requests: error 1"],
    ["socket", [0, 55], "Cannot open routing socket: error 55"],
    ["fcntl", [9], "Cannot open socket for interface requests: EBADF"],
    ["sysctl", [1], "Cannot read routing table: error 1"],
    ["sysctl", [0, 22], "Cannot read routing table: EINVAL"],
    ["write", [55], "Cannot ask routing socket: ENOBUFS"],
    ["recv", [9], "Cannot read answer of routing socket: EBADF"],
    ["ioctl", [0, 22], "Cannot read state of address: EINVAL"],
  ];
  for (const [call, numbers, text] of cases) {
    const mac = new FakeMac(HOME);
    mac.fails[call] = numbers;
    const error = assertThrows(() => read(mac), HoldfastError);
    assertEquals([error.message, leaks(mac)], [text, []], call);
  }
});

Deno.test("a receiving that a signal interrupted goes on", () => {
  const mac = new FakeMac(HOME);
  mac.fails.recv = [4, 4];
  assertEquals(read(mac).defaultRoute.v4?.gateway, "192.168.1.1");
});

Deno.test("an answer that does not come is an error, somebody else's none of ours", () => {
  const route = { index: 6, flags: 3, destination: "0.0.0.0", prefix: 0, gateway: "192.168.1.1" };
  for (
    const answer of [
      () => [],
      (seq: number) => [routeMessage(4, route, { pid: Deno.pid + 1, seq })],
      (seq: number) => [routeMessage(4, route, { pid: Deno.pid, seq: seq + 1 })],
      (seq: number) => [routeMessage(1, route, { pid: Deno.pid, seq })],
    ]
  ) {
    const mac = new FakeMac(HOME);
    mac.answer = answer;
    assertThrows(
      () => read(mac),
      HoldfastError,
      "Cannot read answer of routing socket: the kernel sent none",
    );
    assertEquals(leaks(mac), []);
  }
});

Deno.test("an address that went away between the table and the question is left out", () => {
  for (const errno of [49, 6]) {
    const [lo0, en0, ...others] = HOME.interfaces;
    if (!lo0 || !en0) throw new Error("no such interfaces");
    const addresses = en0.addresses.map((a) => a.address === "2001:db8:1::beef" ? { ...a, errno } : a);
    const mac = new FakeMac({ ...HOME, interfaces: [lo0, { ...en0, addresses }, ...others] });
    const found = read(mac).interfaces[1]?.addresses.map(({ address }) => address);
    assertEquals(found, ["192.168.1.23", "2001:db8:1::23", "fe80::ff:fe00:6"]);
  }
});

Deno.test("a resolver's file that is not there names no server, one that may not be read is out of sight", () => {
  assertEquals(read(new FakeMac({ ...HOME, resolver: null })).dns, { servers: [], search: [] });
  const mac = new FakeMac(HOME);
  mac.fails.open = [13];
  const { dns, blind } = read(mac);
  assertEquals([dns, blind], [null, ["dns"]]);
});

Deno.test("a routing socket is closed again when children would inherit it", () => {
  const mac = new FakeMac(HOME);
  mac.fails.fcntl = [22];
  assertThrows(() => openRouteSocket(mac.system()), HoldfastError, "Cannot open routing socket: EINVAL");
  assertEquals([...mac.open], ["library"]);
});

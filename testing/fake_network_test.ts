import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { isPlumbing } from "../watch/state.ts";
import type { SourceEvents } from "../watch/_reading.ts";
import type { BackendName } from "../watch/events.ts";
import { watchNetwork } from "../watch/watch.ts";
import { FakeClock } from "./fake_clock.ts";
import { type FakeNetwork, fakeNetwork } from "./fake_network.ts";

/** What a source would tell. */
function listen(
  network: FakeNetwork,
): { readonly heard: string[]; read(): ReturnType<Source["read"]> } & AsyncDisposable {
  const heard: string[] = [];
  const events: SourceEvents = {
    hint: () => void heard.push("hint"),
    overflow: (detail) => void heard.push(`overflow: ${detail}`),
    failed: (error) => void heard.push(`failed: ${error}`),
  };
  const source = network.source(events) as Source;
  return { heard, read: () => source.read(), [Symbol.asyncDispose]: () => source[Symbol.asyncDispose]() };
}

type Source = Awaited<ReturnType<FakeNetwork["source"]>>;

Deno.test("a made-up network begins with a loopback interface and nothing else", async () => {
  const network = fakeNetwork({ now: () => 42 });
  await using listener = listen(network);
  assertEquals(await listener.read(), {
    at: 42,
    interfaces: [{
      index: 1,
      name: "lo",
      kind: "loopback",
      mac: "00:00:00:00:00:00",
      mtu: 65536,
      up: true,
      running: true,
      master: null,
      addresses: [{
        address: "127.0.0.1",
        family: 4,
        prefix: 8,
        scope: "host",
        temporary: false,
        tentative: false,
        deprecated: false,
        conflict: false,
        preferredLifetime: null,
        validLifetime: null,
      }],
    }],
    defaultRoute: { v4: null, v6: null },
    gatewayMac: { v4: null, v6: null },
    dns: { servers: [], search: [] },
    blind: [],
  });
});

Deno.test("each change is one hint, and several in change() are one, however deep, and though it throws", async () => {
  const network = fakeNetwork();
  await using listener = listen(network);
  network.setInterface("eth0");
  network.setAddress("eth0", "192.0.2.1/24");
  assertEquals(listener.heard.splice(0), ["hint", "hint"]);
  network.change(() => {
    network.setDns(null);
    network.change(() => network.setGatewayMac(4, "02:00:00:00:00:01"));
    network.setDefaultRoute(4, { interface: "eth0" });
  });
  assertEquals(listener.heard.splice(0), ["hint"]);
  assertThrows(() =>
    network.change(() => {
      network.removeInterface("eth0");
      throw new RangeError("as planned");
    }), RangeError);
  assertEquals(listener.heard, ["hint"]);
});

Deno.test("interfaces keep their index and addresses when they are set again, and get what they are not given", async () => {
  const network = fakeNetwork();
  await using listener = listen(network);
  network.setInterface("eth0", { mtu: 9000 });
  network.setAddress("eth0", "192.0.2.1/24");
  network.setInterface("eth0", { running: false });
  network.setInterface("wlan0", { index: 7, kind: "wifi" });
  network.setInterface("eth1");
  const { interfaces } = await listener.read();
  assertEquals(interfaces.map(({ index, name, mtu, running }) => [index, name, mtu, running]), [
    [1, "lo", 65536, true],
    [2, "eth0", 9000, false],
    [7, "wlan0", 1500, true],
    [8, "eth1", 1500, true],
  ]);
  assertEquals(interfaces[1]?.addresses.length, 1);
  assertEquals(interfaces[1]?.mac, "02:00:00:00:00:02");
});

Deno.test("addresses are taken in address/prefix form, and one that is set again is replaced", async () => {
  const network = fakeNetwork();
  await using listener = listen(network);
  network.setInterface("eth0");
  network.setAddress("eth0", "2001:DB8:0::1/64", { tentative: true });
  network.setAddress("eth0", "2001:db8::1/64", { validLifetime: 5 });
  network.setAddress("eth0", "192.0.2.1/24");
  const [, eth0] = (await listener.read()).interfaces;
  assertEquals(eth0?.addresses.map((a) => [a.address, a.prefix, a.family, a.tentative, a.validLifetime]), [
    ["192.0.2.1", 24, 4, false, null],
    ["2001:db8::1", 64, 6, false, 5],
  ]);
  network.removeAddress("eth0", "2001:db8::1/64");
  assertEquals((await listener.read()).interfaces[1]?.addresses.length, 1);
});

Deno.test("a slip of the test is told by its name", () => {
  const network = fakeNetwork();
  assertThrows(() => network.setAddress("eth9", "192.0.2.1/24"), TypeError, 'there is no interface "eth9"');
  assertThrows(
    () => network.setDefaultRoute(4, { interface: "eth9" }),
    TypeError,
    'there is no interface "eth9"',
  );
  assertThrows(() => network.removeInterface("eth9"), TypeError, 'there is no interface "eth9"');
  assertThrows(
    () => network.removeAddress("lo", "127.0.0.2/8"),
    TypeError,
    'interface "lo" has no "127.0.0.2/8"',
  );
  for (const cidr of ["192.0.2.1", "192.0.2.1/33", "192.0.2.1/x", "x/24", "192.0.2.1/24/", "::1/129"]) {
    assertThrows(() => network.setAddress("lo", cidr), TypeError, `Cannot use address "${cidr}"`);
  }
});

Deno.test("a default route gets the index and the source of its interface, and goes away with it", async () => {
  const network = fakeNetwork();
  await using listener = listen(network);
  network.setInterface("eth0");
  network.setAddress("eth0", "169.254.0.1/16", { scope: "link" });
  network.setAddress("eth0", "192.0.2.1/24");
  network.setDefaultRoute(4, { interface: "eth0", gateway: "192.0.2.254" });
  network.setDefaultRoute(6, { interface: "eth0", source: "2001:db8::1", metric: 5 });
  assertEquals((await listener.read()).defaultRoute, {
    v4: { interface: "eth0", index: 2, gateway: "192.0.2.254", metric: 0, source: "192.0.2.1" },
    v6: { interface: "eth0", index: 2, gateway: null, metric: 5, source: "2001:db8::1" },
  });
  network.setDefaultRoute(6, null);
  network.removeInterface("eth0");
  assertEquals((await listener.read()).defaultRoute, { v4: null, v6: null });
});

Deno.test("an interface is renamed by setting its index under another name, and routes follow", async () => {
  const network = fakeNetwork();
  network.setInterface("eth0");
  network.setAddress("eth0", "192.0.2.1/24");
  network.setDefaultRoute(4, { interface: "eth0" });
  await using watcher = await watchNetwork({ source: network.source, clock: new FakeClock() });
  const heard: string[] = [];
  watcher.subscribe(({ type }) => heard.push(type));
  network.setInterface("lan0", { index: 2 });
  assertEquals(heard, ["interfacechange"]);
  assertEquals(watcher.state.interfaces.map(({ index, name }) => [index, name]), [[1, "lo"], [2, "lan0"]]);
  assertEquals([watcher.state.defaultRoute.v4?.interface, watcher.state.online], ["lan0", true]);
  assertThrows(() => network.removeInterface("eth0"), TypeError, 'there is no interface "eth0"');
});

Deno.test("a resolver that cannot be read makes the reading blind to it", async () => {
  const network = fakeNetwork();
  await using listener = listen(network);
  network.setDns(null);
  const { dns, blind } = await listener.read();
  assertEquals([dns, blind], [null, ["dns"]]);
});

Deno.test("readings are not changed by what happens later", async () => {
  const network = fakeNetwork();
  await using listener = listen(network);
  network.setInterface("eth0");
  const before = await listener.read();
  const copy = structuredClone(before);
  network.setAddress("eth0", "192.0.2.1/24");
  network.setDefaultRoute(4, { interface: "eth0" });
  network.setGatewayMac(4, "02:00:00:00:00:01");
  assertEquals(before, copy);
});

Deno.test("overflow() tells of lost messages and asks for a reading", async () => {
  const network = fakeNetwork();
  await using listener = listen(network);
  network.overflow();
  assertEquals(listener.heard, ["overflow: made up by a test", "hint"]);
});

Deno.test("fail() fails what is open, its readings, and what is opened until it is mended", async () => {
  const network = fakeNetwork();
  {
    await using listener = listen(network);
    network.fail();
    assertEquals(listener.heard, ["failed: Error: Cannot read: made to fail by a test"]);
    await assertRejects(async () => await listener.read(), Error, "made to fail by a test");
    assertThrows(() => listen(network), Error, "made to fail by a test");
    assertEquals(network.open, 1);
    network.fail(false);
    assertEquals(listener.heard.length, 1);
    assert((await listener.read()).interfaces.length > 0);
  }
  assertEquals(network.open, 0);
});

Deno.test("any number of sources hear of a change; a closed one hears nothing", async () => {
  const network = fakeNetwork();
  const first = listen(network);
  await using second = listen(network);
  assertEquals(network.open, 2);
  network.setDns(null);
  await first[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
  network.setDns(null);
  assertEquals([first.heard, second.heard, network.open], [["hint"], ["hint", "hint"], 1]);
});

Deno.test("a watcher names the backend that the network is made up for, and sees each change at once", async () => {
  const clock = new FakeClock({ now: 1000 });
  for (const backend of [undefined, "poll"] as (BackendName | undefined)[]) {
    const network = fakeNetwork({ ...(backend && { backend }), now: () => clock.now() });
    await using watcher = await watchNetwork({ source: network.source, clock });
    assertEquals(watcher.backend, backend ?? "netlink");
    network.change(() => {
      network.setInterface("docker0", { kind: "bridge" });
      network.setAddress("docker0", "172.17.0.1/16");
    });
    const docker = watcher.state.interfaces.find(({ name }) => name === "docker0");
    assert(docker && isPlumbing(docker, watcher.state));
    assertEquals(watcher.state.at, 1000);
  }
});

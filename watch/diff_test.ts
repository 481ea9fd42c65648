import { assertEquals } from "@std/assert";
import { applyEvents, asLastSeen, diffStates, equalStates, sortAddresses, sortInterfaces } from "./diff.ts";
import type { NetworkEvent } from "./events.ts";
import { toState } from "./_reading.ts";
import type { Address, DefaultRoute, Interface, NetworkState } from "./state.ts";

function address(cidr: string, fields: Partial<Address> = {}): Address {
  const [text = "", prefix] = cidr.split("/");
  const flags = { temporary: false, tentative: false, deprecated: false, conflict: false };
  return {
    address: text,
    family: text.includes(":") ? 6 : 4,
    prefix: Number(prefix),
    scope: "global",
    ...flags,
    preferredLifetime: null,
    validLifetime: null,
    ...fields,
  };
}

function iface(index: number, name: string, fields: Partial<Interface> = {}): Interface {
  const link = { kind: "ethernet", mac: null, mtu: 1500, up: true, running: true, master: null } as const;
  return { index, name, ...link, addresses: [], ...fields };
}

function route(index: number, name: string, fields: Partial<DefaultRoute> = {}): DefaultRoute {
  return { gateway: "192.0.2.254", interface: name, index, metric: 0, source: "192.0.2.1", ...fields };
}

function state(interfaces: Interface[], fields: Partial<NetworkState> = {}): NetworkState {
  const rest = { defaultRoute: { v4: null, v6: null }, dns: { servers: [], search: [] }, blind: [] };
  return toState({ at: 7, interfaces, ...rest, ...fields }, fields.external ?? null);
}

/** Events in one line each. */
function lines(events: readonly NetworkEvent[]): string[] {
  return events.map((event) => {
    const { type, at: _, ...rest } = event;
    const where = "interface" in rest ? ` ${rest.interface}` : "family" in rest ? ` IPv${rest.family}` : "";
    return type + where + ("address" in rest ? ` ${rest.address}` : "");
  });
}

const one = iface(2, "eth0", { addresses: [address("192.0.2.1/24")] });
const online = state([one], { defaultRoute: { v4: route(2, "eth0"), v6: null } });
const offline = state([]);

Deno.test("an interface that comes up with everything: it, its addresses, the routes, then online", () => {
  assertEquals(lines(diffStates(offline, online)), [
    "interfaceadd eth0",
    "addressadd eth0 192.0.2.1",
    "gatewaychange IPv4",
    "defaultinterfacechange IPv4",
    "online IPv4",
  ]);
});

Deno.test("an interface that goes away: its addresses, it, the routes, then offline", () => {
  assertEquals(lines(diffStates(online, offline)), [
    "addressremove eth0 192.0.2.1",
    "interfaceremove eth0",
    "gatewaychange IPv4",
    "defaultinterfacechange IPv4",
    "offline IPv4",
  ]);
});

Deno.test("offline of one family comes before online of the other", () => {
  const six = iface(2, "eth0", { addresses: [address("2001:db8::1/64")] });
  const other = state([six], { defaultRoute: { v4: null, v6: route(2, "eth0") } });
  assertEquals(lines(diffStates(online, other)).slice(-2), ["offline IPv4", "online IPv6"]);
});

Deno.test("events carry the fields that changed, as they were and as they are", () => {
  const changed = iface(2, "eth0", { mtu: 1400, running: false, addresses: one.addresses });
  assertEquals(diffStates(state([one]), state([changed])), [{
    type: "interfacechange",
    at: 7,
    interface: "eth0",
    index: 2,
    from: { mtu: 1500, running: true },
    to: { mtu: 1400, running: false },
  }]);
  const tentative = iface(2, "eth0", { addresses: [address("192.0.2.1/24", { tentative: true })] });
  assertEquals(diffStates(state([tentative]), state([one])), [{
    type: "addresschange",
    at: 7,
    interface: "eth0",
    index: 2,
    address: "192.0.2.1",
    family: 4,
    prefix: 24,
    from: { tentative: true },
    to: { tentative: false },
  }]);
});

Deno.test("a conflict is told besides the change, also of an address that is new", () => {
  const conflict = iface(2, "eth0", { addresses: [address("192.0.2.1/24", { conflict: true })] });
  assertEquals(lines(diffStates(state([one]), state([conflict]))), [
    "addresschange eth0 192.0.2.1",
    "addressconflict eth0 192.0.2.1",
  ]);
  assertEquals(lines(diffStates(state([iface(2, "eth0")]), state([conflict]))), [
    "addressadd eth0 192.0.2.1",
    "addressconflict eth0 192.0.2.1",
  ]);
  assertEquals(lines(diffStates(state([conflict]), state([one]))), ["addresschange eth0 192.0.2.1"]);
});

Deno.test("of addresses on one interface: removed, changed, added", () => {
  const before = iface(2, "eth0", { addresses: [address("192.0.2.1/24"), address("192.0.2.2/24")] });
  const after = iface(2, "eth0", {
    addresses: [address("192.0.2.0/24"), address("192.0.2.2/24", { deprecated: true })],
  });
  assertEquals(lines(diffStates(state([before]), state([after]))), [
    "addressremove eth0 192.0.2.1",
    "addresschange eth0 192.0.2.2",
    "addressadd eth0 192.0.2.0",
  ]);
});

Deno.test("one address with two prefix lengths is two addresses", () => {
  const after = iface(2, "eth0", { addresses: [address("192.0.2.1/24"), address("192.0.2.1/32")] });
  const events = diffStates(state([one]), state([after]));
  assertEquals(events.map((event) => event.type === "addressadd" && event.prefix), [32]);
});

Deno.test("an address that is listed twice, as one with two peers is, is no event each time it is read", () => {
  const twice = (): NetworkState =>
    state([iface(2, "tun0", { addresses: [address("192.0.2.1/32"), address("192.0.2.1/32")] })]);
  assertEquals(diffStates(twice(), twice()), []);
  assertEquals(lines(diffStates(state([iface(2, "tun0")]), twice())), ["addressadd tun0 192.0.2.1"]);
  assertEquals(lines(diffStates(twice(), state([iface(2, "tun0")]))), ["addressremove tun0 192.0.2.1"]);
});

Deno.test("a route: another gateway, another interface, another metric or source", () => {
  const by = (v4: DefaultRoute | null): NetworkState => state([one], { defaultRoute: { v4, v6: null } });
  const types = (to: DefaultRoute | null): string[] =>
    diffStates(by(route(2, "eth0")), by(to)).map(({ type }) => type)
      .filter((type) => type !== "online" && type !== "offline");
  assertEquals(types(route(2, "eth0", { gateway: null })), ["gatewaychange"]);
  assertEquals(types(route(3, "eth1")), ["gatewaychange", "defaultinterfacechange"]);
  assertEquals(types(null), ["gatewaychange", "defaultinterfacechange"]);
  assertEquals(types(route(2, "eth0", { metric: 5 })), ["routechange"]);
  assertEquals(types(route(2, "eth0", { source: null })), ["routechange"]);
  assertEquals(types(route(2, "eth0", { gateway: null, metric: 5 })), ["gatewaychange"]);
  const toTunnel = diffStates(by(null), by(route(2, "tun0", { gateway: null }))).map(({ type }) => type);
  assertEquals(toTunnel.slice(0, 2), ["gatewaychange", "defaultinterfacechange"]);
});

Deno.test("the resolver's order counts, and who agreed on a public address does not", () => {
  const dns = (...servers: string[]): NetworkState => state([], { dns: { servers, search: [] } });
  assertEquals(lines(diffStates(dns("a", "b"), dns("b", "a"))), ["dnschange"]);
  assertEquals(lines(diffStates(dns("a"), dns("a"))), []);
  assertEquals(lines(diffStates(dns("a"), state([], { dns: null }))), ["dnschange"]);
  const seen = (text: string, agreed: number): NetworkState =>
    state([], { external: { v4: { address: text, agreed, answered: 3 }, v6: null } });
  assertEquals(lines(diffStates(seen("198.51.100.1", 2), seen("198.51.100.1", 3))), []);
  assertEquals(lines(diffStates(seen("198.51.100.1", 2), seen("198.51.100.2", 2))), ["externalchange"]);
});

Deno.test("addresses of container plumbing are a field of its change, and of nothing else", () => {
  const docker = iface(5, "docker0", { kind: "bridge" });
  const addressed = { ...docker, addresses: [address("172.17.0.1/16")] };
  assertEquals(lines(diffStates(state([]), state([addressed]))), ["interfaceadd docker0"]);
  assertEquals(diffStates(state([docker]), state([addressed])), [{
    type: "interfacechange",
    at: 7,
    interface: "docker0",
    index: 5,
    from: { addresses: [] },
    to: { addresses: addressed.addresses },
  }]);
  assertEquals(lines(diffStates(state([addressed]), state([]))), ["interfaceremove docker0"]);
  assertEquals(lines(diffStates(state([docker]), state([addressed]), () => true)), [
    "addressadd docker0 172.17.0.1",
  ]);
});

Deno.test("an interface without addresses is not gone where links are out of sight, and is not new afterwards", () => {
  const full = state([one, iface(3, "eth1")], { defaultRoute: online.defaultRoute });
  const blind = state([iface(0, "eth0", { addresses: one.addresses, mtu: null })], {
    blind: ["links", "routes"],
  });
  assertEquals([diffStates(full, blind), diffStates(blind, full)], [[], []]);
  const without = state([], { blind: ["links", "routes"] });
  assertEquals(lines(diffStates(full, without)), [
    "addressremove eth0 192.0.2.1",
    "interfaceremove eth0",
    "offline IPv4",
  ]);
});

Deno.test("where links are out of sight interfaces are told apart by name", () => {
  const blind = (name: string, ...cidrs: string[]): NetworkState =>
    state([iface(0, name, { addresses: cidrs.map((cidr) => address(cidr)) })], {
      blind: ["links", "routes"],
    });
  const events = diffStates(state([one]), blind("eth0", "192.0.2.9/24"));
  assertEquals(lines(events).slice(0, 2), ["addressremove eth0 192.0.2.1", "addressadd eth0 192.0.2.9"]);
  const [known] = applyEvents(state([one]), events).interfaces;
  assertEquals([known?.index, known?.addresses.map((a) => a.address)], [2, ["192.0.2.9"]]);
});

Deno.test("applyEvents() follows a renamed interface in the routes, and takes the state of a resync", () => {
  const renamed = state([{ ...one, name: "lan0" }], { defaultRoute: { v4: route(2, "lan0"), v6: null } });
  const events = diffStates(online, renamed);
  assertEquals(lines(events), ["interfacechange lan0"]);
  assertEquals(applyEvents(online, events).defaultRoute.v4?.interface, "lan0");
  assertEquals(applyEvents(offline, [{ type: "resync", at: 9, state: online }]), online);
});

Deno.test("applyEvents() passes over what is no difference, but for the time", () => {
  const events: NetworkEvent[] = [
    { type: "wake", at: 8, slept: 20_000 },
    { type: "backend", at: 9, backend: "poll", reason: "fallback", detail: "" },
  ];
  assertEquals(applyEvents(online, events), { ...online, at: 9 });
  assertEquals(applyEvents(online, []), online);
});

Deno.test("equalStates() counts the addresses of container plumbing, too", () => {
  const docker = (...cidrs: string[]): NetworkState =>
    state([iface(5, "docker0", { kind: "bridge", addresses: cidrs.map((cidr) => address(cidr)) })]);
  assertEquals(equalStates(docker("172.17.0.1/16"), docker("172.18.0.1/16")), false);
  assertEquals(equalStates(docker("172.17.0.1/16"), docker("172.17.0.1/16")), true);
});

Deno.test("asLastSeen() keeps what is out of sight, as long as it is", () => {
  const blind = state([one], { dns: null, blind: ["links", "routes", "dns"] });
  const kept = asLastSeen(online, blind);
  assertEquals([kept.defaultRoute, kept.dns, kept.blind], [online.defaultRoute, online.dns, ["links"]]);
  assertEquals(asLastSeen(kept, blind), kept);
  assertEquals(asLastSeen(kept, offline), offline);
  assertEquals(asLastSeen(blind, blind), blind, "what was never seen cannot be kept");
});

Deno.test("interfaces and addresses have one order", () => {
  const names = sortInterfaces([iface(3, "a"), iface(0, "z"), iface(0, "b"), iface(2, "c")]);
  assertEquals(names.map(({ name }) => name), ["b", "z", "c", "a"]);
  const list = ["2001:db8::1/64", "192.0.2.1/32", "192.0.2.1/24", "10.0.0.1/8"].map((cidr) => address(cidr));
  assertEquals(sortAddresses(list).map((a) => `${a.address}/${a.prefix}`), [
    "10.0.0.1/8",
    "192.0.2.1/24",
    "192.0.2.1/32",
    "2001:db8::1/64",
  ]);
});

import { assertEquals } from "@std/assert";
import { HOME, ROUTER_MAC } from "../tests/_darwin.ts";
import {
  addressMessage,
  interfaceMessage,
  joined,
  type MacInterface,
  type MacRoute,
  message,
  routeMessage,
  struct,
} from "../tests/_darwin_bytes.ts";
import {
  type AddressState,
  chooseSource,
  darwinKind,
  type Details,
  formatMac,
  gatewayMac,
  type Media,
  toDefaultRoute,
  toInterfaces,
} from "./_darwin_state.ts";
import { parseRoute, parseRouteMessages, type RouteMessage } from "./_route_socket.ts";
import type { DefaultRoute, Interface } from "./state.ts";

const NOTHING: AddressState = { flags: 0, preferred: 0, expire: 0 };

function read(
  iface: Partial<MacInterface>,
  details: Partial<Details> = {},
  at: number = 0,
): Interface | undefined {
  const whole: MacInterface = { index: 6, name: "en0", type: 6, flags: 0x8863, addresses: [], ...iface };
  const table = joined(
    interfaceMessage(whole),
    ...whole.addresses.map((address) => addressMessage(whole.index, address)),
  );
  return toInterfaces(table, { media: () => null, address: () => NOTHING, ...details }, at)[0];
}

const media = (status: number, active: number): Partial<Details> => ({
  media: (): Media => ({ status, active }),
});

Deno.test("an interface passes packets when it is on, running, and its medium does not say otherwise", () => {
  const states = (flags: number, details?: Partial<Details>): unknown => {
    const iface = read({ flags }, details);
    return [iface?.up, iface?.running];
  };
  assertEquals(states(0x8863), [true, true], "a driver without a medium");
  assertEquals(states(0x8863, media(3, 0)), [true, true], "a cable");
  assertEquals(states(0x8863, media(1, 0)), [true, false], "no cable, though RUNNING is set");
  assertEquals(states(0x8863, media(0, 0)), [true, true], "a medium that does not know");
  assertEquals(states(0x8823), [true, false], "up, not running");
  assertEquals(states(0x8862, media(3, 0)), [false, false], "off");
});

Deno.test("only drivers that have a medium are asked for it", () => {
  const asked: string[] = [];
  const details = { media: (name: string) => (asked.push(name), null) };
  for (
    const [name, type] of [["lo0", 24], ["utun3", 1], ["gif0", 55], ["en0", 6], ["bridge0", 209]] as const
  ) {
    read({ name, type }, details);
  }
  assertEquals(asked, ["en0", "bridge0"]);
});

Deno.test("kinds come from driver, medium and name", () => {
  const kind = (name: string, type: number, details?: Partial<Details>): unknown =>
    read({ name, type }, details)?.kind;
  assertEquals(kind("en0", 6, media(3, 0x80)), "wifi");
  assertEquals(kind("en0", 6, media(3, 0x26)), "ethernet");
  assertEquals(kind("en0", 6), "ethernet");
  assertEquals(kind("xyz0", 209), "bridge");
  assertEquals(kind("xyz0", 135), "vlan");
  assertEquals(kind("xyz0", 136), "bond");
  assertEquals(kind("xyz0", 255), "cellular");
  assertEquals(kind("fw0", 144), "other");
});

Deno.test("what macOS makes for itself is told by name, whatever the driver says", () => {
  const kinds = ["lo0", "utun4", "ipsec0", "gif0", "stf0", "ppp0", "feth1", "vmenet0", "bridge100", "vlan0"]
    .concat(["bond0", "pdp_ip0", "awdl0", "llw0", "p2p0", "ap1", "anpi0", "en0"])
    .map((name) => darwinKind(name, "ethernet"));
  assertEquals(kinds, [
    ...["loopback", "tunnel", "tunnel", "tunnel", "tunnel", "tunnel", "veth", "veth", "bridge", "vlan"],
    ...["bond", "cellular", "other", "other", "other", "other", "other", "ethernet"],
  ] as Interface["kind"][]);
});

Deno.test("flags of an IPv6 address are told in our words", () => {
  const flags = (value: number): unknown => {
    const [address] = read({ addresses: [{ address: "2001:db8::1", prefix: 64 }] }, {
      address: () => ({ ...NOTHING, flags: value }),
    })?.addresses ?? [];
    return [address?.tentative, address?.conflict, address?.deprecated, address?.temporary];
  };
  assertEquals(flags(0), [false, false, false, false]);
  assertEquals(flags(2), [true, false, false, false]);
  assertEquals(flags(4), [false, true, false, false]);
  assertEquals(flags(8), [false, false, true, false], "detached");
  assertEquals(flags(0x10), [false, false, true, false]);
  assertEquals(flags(0x80), [false, false, false, true]);
  assertEquals(flags(0x200), [false, false, false, false], "optimistic ones may be used");
});

Deno.test("lifetimes are what is left, never less than nothing, and null for ever", () => {
  const left = (preferred: number, expire: number): unknown => {
    const [address] = read({ addresses: [{ address: "2001:db8::1", prefix: 64 }] }, {
      address: () => ({ flags: 0, preferred, expire }),
    }, 1_000_500)?.addresses ?? [];
    return [address?.preferredLifetime, address?.validLifetime, address?.deprecated];
  };
  assertEquals(left(0, 0), [null, null, false]);
  assertEquals(left(1001, 2000), [500, 999_500, false]);
  assertEquals(left(1000, 2000), [0, 999_500, true], "nothing left of the preferred one is deprecated");
});

Deno.test("an address that is gone before its state was told is left out, IPv4 ones need none", () => {
  const details = { address: () => null };
  const addresses = [{ address: "2001:db8::1", prefix: 64 }, { address: "10.0.0.1", prefix: 8 }];
  assertEquals(read({ addresses }, details)?.addresses.map(({ address }) => address), ["10.0.0.1"]);
});

Deno.test("addresses without an interface, and of other families, are passed over", () => {
  const link = message(0xc, struct(20, [12, 2, 6]), [, , , , , Uint8Array.of(8, 18, 0, 0, 0, 0, 0, 0)]);
  const table = joined(addressMessage(9, { address: "10.0.0.1", prefix: 8 }), link);
  assertEquals(toInterfaces(table, { media: () => null, address: () => NOTHING }, 0), []);
  const en0 = interfaceMessage({ index: 6, name: "en0", type: 6, flags: 1, addresses: [] });
  const [iface] = toInterfaces(joined(en0, table), { media: () => null, address: () => NOTHING }, 0);
  assertEquals(iface?.addresses, []);
});

Deno.test("scopes follow from the addresses", () => {
  const scope = (address: string): unknown =>
    read({ addresses: [{ address, prefix: 8 }] })?.addresses[0]?.scope;
  const addresses = ["127.0.0.1", "169.254.9.9", "192.168.1.1", "::1", "fe80::1", "fd00::1", "2001:db8::1"];
  assertEquals(addresses.map(scope), ["host", "link", "global", "host", "link", "global", "global"]);
});

Deno.test("a hardware address has six bytes, and one that the kernel hides is none", () => {
  assertEquals(formatMac(Uint8Array.of(2, 171, 0, 0, 0, 9)), "02:ab:00:00:00:09");
  assertEquals(formatMac(Uint8Array.of(2, 0, 0, 0, 0, 0)), null);
  assertEquals(formatMac(new Uint8Array(6)), null);
  assertEquals([formatMac(new Uint8Array(8)), formatMac(new Uint8Array()), formatMac(undefined)], [
    null,
    null,
    null,
  ]);
});

const EN0: Interface = {
  index: 6,
  name: "en0",
  kind: "ethernet",
  mac: null,
  mtu: 1500,
  up: true,
  running: true,
  master: null,
  addresses: [],
};

function own(
  address: string,
  more: Partial<Interface["addresses"][number]> = {},
): Interface["addresses"][number] {
  return {
    address,
    family: address.includes(":") ? 6 : 4,
    prefix: 64,
    scope: "global",
    temporary: false,
    tentative: false,
    deprecated: false,
    conflict: false,
    preferredLifetime: null,
    validLifetime: null,
    ...more,
  };
}

function answer(route: Partial<MacRoute>, errno: number = 0): RouteMessage {
  const whole = { index: 6, flags: 3, destination: "0.0.0.0", prefix: 0, ...route };
  const [first] = [...parseRouteMessages(routeMessage(4, whole, { errno }))];
  return parseRoute(first ?? { type: 4, bytes: new Uint8Array() });
}

Deno.test("a default route names gateway, interface and source, and no metric, which macOS has not", () => {
  const route = answer({ gateway: "192.168.1.1", source: "192.168.1.23" });
  assertEquals(toDefaultRoute(route, 4, [EN0]), {
    gateway: "192.168.1.1",
    interface: "en0",
    index: 6,
    metric: null,
    source: "192.168.1.23",
  });
});

Deno.test("no answer, an error, a refusal or an unknown interface is no default route", () => {
  assertEquals(toDefaultRoute(null, 4, [EN0]), null);
  assertEquals(toDefaultRoute(answer({}, 3), 4, [EN0]), null);
  assertEquals(toDefaultRoute(answer({ flags: 3 | 8 }), 4, [EN0]), null);
  assertEquals(toDefaultRoute(answer({ flags: 3 | 0x1000 }), 4, [EN0]), null);
  assertEquals(toDefaultRoute(answer({ index: 9 }), 4, [EN0]), null);
});

Deno.test("a route whose way is the interface itself has no gateway", () => {
  const tunnel = answer({ flags: 1, gateway: [1, 2, 3, 4, 5, 6] });
  assertEquals(toDefaultRoute(tunnel, 4, [EN0])?.gateway, null);
  assertEquals(toDefaultRoute(answer({ flags: 1, gateway: "10.0.0.1" }), 4, [EN0])?.gateway, null);
});

Deno.test("an IPv6 route goes with the link's address, and the packet with the one that RFC 6724 chooses", () => {
  const iface = { ...EN0, addresses: [own("fe80::6", { scope: "link" }), own("2001:db8:1::23")] };
  const route = answer({ destination: "::", gateway: "fe80::1", source: "fe80::6" });
  assertEquals(toDefaultRoute(route, 6, [iface])?.source, "2001:db8:1::23");
});

Deno.test("of several addresses the fresh temporary one with most in common is chosen", () => {
  const choose = (...addresses: Interface["addresses"]): unknown =>
    chooseSource({ ...EN0, addresses }, 6, null);
  assertEquals(choose(), null);
  assertEquals(choose(own("10.0.0.1")), null, "another family");
  assertEquals(choose(own("2001:db8::1", { tentative: true }), own("2001:db8::2", { conflict: true })), null);
  assertEquals(choose(own("2001:db8::1"), own("2001:db8::2", { temporary: true })), "2001:db8::2");
  assertEquals(
    choose(own("2001:db8::1"), own("2001:db8::2", { temporary: true, deprecated: true })),
    "2001:db8::1",
  );
  assertEquals(choose(own("2001:db8::1", { deprecated: true })), "2001:db8::1", "better than none");
  // The public network is 2000::/3: a unique local address has less in common with it.
  assertEquals(choose(own("fd00::1"), own("2001:db8::1")), "2001:db8::1");
  assertEquals(choose(own("2001:503:ba3e::2:30"), own("2001:503:ba3e::2:31")), "2001:503:ba3e::2:30");
});

Deno.test("of several IPv4 addresses the one beside the gateway is chosen", () => {
  const iface = { ...EN0, addresses: [own("10.0.0.5"), own("192.168.1.5")] };
  assertEquals(chooseSource(iface, 4, "192.168.1.1"), "192.168.1.5");
  assertEquals(chooseSource(iface, 4, "10.0.0.1"), "10.0.0.5");
});

Deno.test("the gateway's hardware address is the one of its interface and its address", () => {
  const route = (index: number, gateway: string | null): DefaultRoute => ({
    ...{ interface: "x", metric: null, source: null },
    index,
    gateway,
  });
  const table = joined(
    message(0x14, struct(92)),
    ...(HOME.neighbours ?? []).map((one) => routeMessage(4, one)),
    routeMessage(4, { index: 6, flags: 3, destination: "10.0.0.1", gateway: ROUTER_MAC }),
    routeMessage(4, { index: 6, flags: 0x400, destination: "10.0.0.2", gateway: "10.0.0.1" }),
  );
  assertEquals(gatewayMac(table, route(6, "192.168.1.1")), "02:00:00:00:01:01");
  assertEquals(gatewayMac(table, route(6, "fe80::1")), "02:00:00:00:01:01");
  assertEquals(gatewayMac(table, route(15, "fe80::1")), null, "not known yet");
  assertEquals(gatewayMac(table, route(7, "192.168.1.1")), null, "of another interface");
  assertEquals(gatewayMac(table, route(6, "10.0.0.1")), null, "a route, no neighbour");
  assertEquals(gatewayMac(table, route(6, "10.0.0.2")), null, "a neighbour without a hardware address");
  assertEquals([gatewayMac(table, null), gatewayMac(table, route(6, null))], [null, null]);
});

import { assertEquals, assertStringIncludes } from "@std/assert";
import type { NetworkChange, NetworkEvent } from "../watch/events.ts";
import type { Address, DefaultRoute, Interface, NetworkState } from "../watch/state.ts";
import { formatEvent, sentenceOf } from "./format_event.ts";
import { formatState } from "./format_state.ts";
import { styleFor } from "./style.ts";

const plain = styleFor(false);
const at = 1_700_000_000_000;

const address: Address = {
  address: "10.0.0.2",
  family: 4,
  prefix: 24,
  scope: "global",
  temporary: false,
  tentative: false,
  deprecated: false,
  conflict: false,
  preferredLifetime: null,
  validLifetime: null,
};

const v0: Interface = {
  index: 7,
  name: "v0",
  kind: "veth",
  mac: "02:00:00:00:00:01",
  mtu: 1500,
  up: true,
  running: true,
  master: null,
  addresses: [address, {
    ...address,
    address: "fe80::1",
    family: 6,
    prefix: 64,
    scope: "link",
    tentative: true,
  }],
};

const route: DefaultRoute = {
  gateway: "10.0.0.1",
  interface: "v0",
  index: 7,
  metric: 100,
  source: "10.0.0.2",
};

const state: NetworkState = {
  at,
  online: true,
  families: [4],
  interfaces: [v0, {
    ...v0,
    index: 8,
    name: "eth1",
    kind: "ethernet",
    running: false,
    mac: null,
    addresses: [],
  }],
  defaultRoute: { v4: route, v6: null },
  dns: { servers: ["10.0.0.1", "9.9.9.9"], search: ["example.org"] },
  external: { v4: { address: "192.0.2.7", agreed: 2, answered: 2 }, v6: null },
  blind: [],
};

Deno.test("a state is a report with the routes, the name servers and a table of the interfaces", () => {
  assertEquals(formatState(state, "netlink", plain), [
    "network   online by IPv4",
    "IPv4      via 10.0.0.1 on v0, metric 100, from 10.0.0.2",
    "IPv6      no default route",
    "dns       10.0.0.1, 9.9.9.9 (search example.org)",
    "external  192.0.2.7 (2 of 2 servers)",
    "backend   netlink",
    "",
    "INTERFACE  KIND      STATE       MTU   HARDWARE           ADDRESSES",
    "v0         veth      up          1500  02:00:00:00:00:01  10.0.0.2/24",
    "                                                          fe80::1/64 (not usable yet, link-local)",
    "eth1       ethernet  no carrier  1500  -",
  ]);
});

Deno.test("a state says what could not be seen instead of calling it missing", () => {
  const blind: NetworkState = {
    ...state,
    dns: null,
    defaultRoute: { v4: null, v6: null },
    blind: ["routes", "dns"],
  };
  const text = formatState(blind, "poll", plain).join("\n");
  assertStringIncludes(text, "IPv4      out of sight");
  assertStringIncludes(text, "dns       out of sight");
  assertStringIncludes(text, "out of sight here: routes, dns");
});

Deno.test("an offline machine without anything is a report as well", () => {
  const none: NetworkState = {
    ...state,
    online: false,
    families: [],
    interfaces: [],
    defaultRoute: { v4: null, v6: null },
    dns: null,
    external: null,
  };
  assertEquals(formatState(none, "poll", plain)[0], "network  offline");
});

const identity = { gateway: "10.0.0.1", mac: "02:00:00:00:00:0a", network: "10.0.0.0/24" };
const change: NetworkChange = {
  type: "change",
  at,
  previous: state,
  next: state,
  events: [{ type: "wake", at, slept: 1 }],
  major: "required",
  reasons: ["the source address 10.0.0.2 is gone"],
};

/** Each type of event, and the words for it. */
const WORDS: readonly (readonly [NetworkEvent | NetworkChange, string])[] = [
  [{ type: "online", at, family: 4, families: [4] }, "online by IPv4"],
  [{ type: "online", at, family: 6, families: [4, 6] }, "online by IPv6, still online by IPv4"],
  [{ type: "offline", at, family: 4, families: [] }, "offline by IPv4"],
  [{ type: "offline", at, family: 4, families: [6] }, "offline by IPv4, still online by IPv6"],
  [{ type: "interfaceadd", at, interface: "v0", index: 7, details: v0 }, "interface v0 appeared (veth, up)"],
  [{ type: "interfaceremove", at, interface: "v0", index: 7, details: v0 }, "interface v0 is gone"],
  [
    {
      type: "interfacechange",
      at,
      interface: "v0",
      index: 7,
      from: { running: true },
      to: { running: false },
    },
    "interface v0: carrier lost",
  ],
  [
    {
      type: "interfacechange",
      at,
      interface: "lan",
      index: 7,
      from: {
        name: "v0",
        up: false,
        running: false,
        mtu: 1500,
        mac: null,
        kind: "other",
        master: 3,
        addresses: [],
      },
      to: {
        name: "lan",
        up: true,
        running: true,
        mtu: 1400,
        mac: "02::",
        kind: "veth",
        master: null,
        addresses: [address],
      },
    },
    "interface lan: renamed from v0, switched on, carrier is there, hardware address none -> 02::, mtu 1500 -> 1400, " +
    "kind other -> veth, left its bridge or bond, addresses 0 -> 1",
  ],
  [{ ...address, type: "addressadd", at, interface: "v0", index: 7 }, "address 10.0.0.2/24 on v0 added"],
  [
    { ...address, tentative: true, type: "addressadd", at, interface: "v0", index: 7 },
    "address 10.0.0.2/24 on v0 added (not usable yet)",
  ],
  [{ ...address, type: "addressremove", at, interface: "v0", index: 7 }, "address 10.0.0.2/24 on v0 removed"],
  [
    {
      type: "addresschange",
      at,
      interface: "v0",
      index: 7,
      address: "2001:db8::2",
      family: 6,
      prefix: 64,
      from: { tentative: true },
      to: { tentative: false },
    },
    "address 2001:db8::2/64 on v0: usable now",
  ],
  [
    { type: "addressconflict", at, interface: "v0", index: 7, address: "2001:db8::2", family: 6 },
    "address 2001:db8::2 on v0 is taken by another machine",
  ],
  [{ type: "gatewaychange", at, family: 4, from: route, to: null }, "gateway 10.0.0.1 on v0 -> none (IPv4)"],
  [
    { type: "gatewaychange", at, family: 4, from: null, to: { ...route, gateway: null } },
    "gateway none -> v0 (IPv4)",
  ],
  [
    { type: "defaultinterfacechange", at, family: 4, from: route, to: { ...route, interface: "v1" } },
    "default interface v0 -> v1 (IPv4)",
  ],
  [
    { type: "routechange", at, family: 4, from: route, to: { ...route, metric: 50, source: null } },
    "route by 10.0.0.1 on v0: metric 100 -> 50, source 10.0.0.2 -> none (IPv4)",
  ],
  [
    { type: "dnschange", at, from: state.dns, to: null },
    "dns 10.0.0.1, 9.9.9.9 (search example.org) -> none",
  ],
  [
    {
      type: "identitychange",
      at,
      family: 4,
      from: identity,
      to: { ...identity, mac: "02:00:00:00:00:0b", network: null },
    },
    "another network: gateway 10.0.0.1 at 02:00:00:00:00:0a in 10.0.0.0/24 -> 10.0.0.1 at 02:00:00:00:00:0b (IPv4)",
  ],
  [
    { type: "externalchange", at, from: null, to: state.external },
    "external unknown -> 192.0.2.7 (2 of 2 servers)",
  ],
  [{ type: "wake", at, slept: 200_000 }, "woke up after 3m 20s of sleep"],
  [
    { type: "backend", at, backend: "poll", reason: "fallback", detail: "ip-monitor ended" },
    "backend poll (fallback): ip-monitor ended",
  ],
  [{ type: "resync", at, state }, "events were missed: the state was read anew"],
  [change, "settled after 1 event, open connections must be renewed: the source address 10.0.0.2 is gone"],
];

Deno.test("every type of event has its words", () => {
  for (const [event, words] of WORDS) assertEquals(sentenceOf(event).text, words);
});

Deno.test("a line has the time of day, the time since the line before, and a mark on settled changes", () => {
  const line = formatEvent({ type: "wake", at, slept: 1000 }, at - 349, plain);
  assertEquals(line.replace(/^\d\d:\d\d:\d\d\.\d{3}/, "TIME"), "TIME    +0.3s   woke up after 1.0s of sleep");
  assertStringIncludes(formatEvent(change, at, plain), "   +0.0s = settled after 1 event");
});

Deno.test("the name of an interface cannot steer the terminal", () => {
  const text = formatEvent(
    { type: "interfaceremove", at, interface: "\x1b[2J", index: 1, details: v0 },
    at,
    plain,
  );
  assertStringIncludes(text, "interface \\u001b[2J is gone");
  const report = formatState({ ...state, interfaces: [{ ...v0, name: "\x1b[2J" }] }, "poll", plain).join(
    "\n",
  );
  assertEquals(report.includes("\x1b"), false);
});

Deno.test("gains are green, losses red, settled changes strong", () => {
  const colors = styleFor(true);
  assertStringIncludes(
    formatEvent({ type: "online", at, family: 4, families: [4] }, at, colors),
    "\x1b[32monline",
  );
  assertStringIncludes(
    formatEvent({ type: "offline", at, family: 4, families: [] }, at, colors),
    "\x1b[31moffline",
  );
  assertStringIncludes(formatEvent(change, at, colors), "\x1b[1msettled");
});

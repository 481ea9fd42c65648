import { assertEquals, assertStringIncludes } from "@std/assert";
import { ADDRESS, AT, CHANGE, EVENTS, NOTHING, ROUTE, STATE, V0 } from "../tests/_samples.ts";
import type { NetworkChange, NetworkEvent } from "../watch/events.ts";
import { formatEvent, sentenceOf } from "./format_event.ts";
import { formatState } from "./format_state.ts";
import { styleFor } from "./style.ts";

const plain = styleFor(false);

Deno.test("a state is a report with the routes, the name servers and a table of the interfaces", () => {
  assertEquals(formatState(STATE, "netlink", plain), [
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
    "eth1       ethernet  no carrier  -     -",
  ]);
});

Deno.test("a state says what could not be seen instead of calling it missing", () => {
  assertEquals(formatState(NOTHING, "poll", plain), [
    "network  offline",
    "IPv4     out of sight",
    "IPv6     out of sight",
    "dns      out of sight",
    "backend  poll",
    "",
    "INTERFACE  KIND  STATE  MTU  HARDWARE  ADDRESSES",
    "",
    "out of sight here: links, routes, dns",
  ]);
});

Deno.test("a state shows both public addresses, and an unknown one as unknown", () => {
  const seen = { address: "2001:db8::7", agreed: 1, answered: 1 };
  const text = formatState({ ...STATE, external: { v4: null, v6: seen } }, "poll", plain).join("\n");
  assertStringIncludes(text, "external  2001:db8::7 (1 of 1 server)\n");
  const unknown = formatState({ ...STATE, external: { v4: null, v6: null } }, "poll", plain).join("\n");
  assertStringIncludes(unknown, "external  unknown\n");
});

const ON_V0 = { at: AT, interface: "v0", index: 7 } as const;

/** What stands for each event. */
const WORDS: { readonly [T in NetworkEvent["type"]]: string } = {
  online: "online by IPv4",
  offline: "offline by IPv4",
  interfaceadd: "interface v0 appeared (veth, up)",
  interfaceremove: "interface v0 is gone",
  interfacechange: "interface v0: carrier lost",
  addressadd: "address 10.0.0.2/24 on v0 added",
  addressremove: "address 10.0.0.2/24 on v0 removed",
  addresschange: "address 2001:db8::2/64 on v0: usable now",
  addressconflict: "address 2001:db8::2 on v0 is taken by another machine",
  gatewaychange: "gateway 10.0.0.1 on v0 -> none (IPv4)",
  defaultinterfacechange: "default interface v0 -> v1 (IPv4)",
  routechange: "route by 10.0.0.1 on v0: metric 100 -> 50, source 10.0.0.2 -> none (IPv4)",
  dnschange: "dns 10.0.0.1, 9.9.9.9 (search example.org) -> none",
  identitychange:
    "another network: gateway 10.0.0.1 at 02:00:00:00:00:0a in 10.0.0.0/24 -> 10.0.0.1 at 02:00:00:00:00:0b (IPv4)",
  externalchange: "external unknown -> 192.0.2.7 (2 of 2 servers)",
  wake: "woke up after 3m 20s of sleep",
  backend: "backend poll (fallback): ip-monitor ended",
  resync: "events were missed: the state was read anew",
};

Deno.test("every type of event has its words", () => {
  for (const event of Object.values(EVENTS)) assertEquals(sentenceOf(event).text, WORDS[event.type]);
});

Deno.test("an event says what else is to know", () => {
  const cases: readonly (readonly [NetworkEvent | NetworkChange, string])[] = [
    [{ type: "online", at: AT, family: 6, families: [4, 6] }, "online by IPv6, still online by IPv4"],
    [{ type: "offline", at: AT, family: 4, families: [6] }, "offline by IPv4, still online by IPv6"],
    [
      {
        type: "interfacechange",
        at: AT,
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
          addresses: [ADDRESS],
        },
      },
      "interface lan: renamed from v0, switched on, carrier is there, hardware address none -> 02::, " +
      "mtu 1500 -> 1400, kind other -> veth, left its bridge or bond, addresses 10.0.0.2/24",
    ],
    [
      { type: "addressadd", ...ON_V0, ...ADDRESS, tentative: true, temporary: true },
      "address 10.0.0.2/24 on v0 added (not usable yet, temporary)",
    ],
    [
      {
        type: "addresschange",
        ...ON_V0,
        address: "2001:db8::2",
        family: 6,
        prefix: 64,
        from: { conflict: false, tentative: true, deprecated: false, temporary: false, scope: "site" },
        to: { conflict: true, tentative: false, deprecated: true, temporary: true, scope: "global" },
      },
      "address 2001:db8::2/64 on v0: taken by another machine, usable now, deprecated, temporary, scope site -> global",
    ],
    [
      { type: "gatewaychange", at: AT, family: 6, from: null, to: { ...ROUTE, gateway: null } },
      "gateway none -> v0 (IPv6)",
    ],
    [
      { ...CHANGE, events: [EVENTS.wake], major: "none", reasons: [] },
      "settled after 1 event, open connections can stay",
    ],
    [
      { ...CHANGE, events: [EVENTS.wake, EVENTS.online] },
      "settled after 2 events, open connections must be renewed: the source address 10.0.0.2 is gone",
    ],
  ];
  for (const [event, words] of cases) assertEquals(sentenceOf(event).text, words);
});

Deno.test("a line has the time of day, the time since the line before, and a mark on settled changes", () => {
  const line = formatEvent(EVENTS.offline, AT - 349, plain);
  assertEquals(line.replace(/^\d\d:\d\d:\d\d\.\d{3}/, "TIME"), "TIME    +0.3s   offline by IPv4");
  assertStringIncludes(formatEvent(CHANGE, AT, plain), "   +0.0s = settled after 18 events");
});

Deno.test("a line says no time of less than nothing when the clock was set back", () => {
  assertStringIncludes(formatEvent(EVENTS.offline, AT + 60_000, plain), "+0.0s");
});

Deno.test("the name of an interface cannot steer the terminal", () => {
  const event = { type: "interfaceremove", at: AT, interface: "\x1b[2J", index: 1, details: V0 } as const;
  assertStringIncludes(formatEvent(event, AT, plain), "interface \\u001b[2J is gone");
  const report = formatState({ ...STATE, interfaces: [{ ...V0, name: "\x1b[2J" }] }, "poll", plain).join(
    "\n",
  );
  assertEquals(report.includes("\x1b"), false);
});

Deno.test("gains are green, losses red, settled changes strong", () => {
  const colors = styleFor(true);
  assertStringIncludes(formatEvent(EVENTS.online, AT, colors), "\x1b[32monline");
  assertStringIncludes(formatEvent(EVENTS.offline, AT, colors), "\x1b[31moffline");
  assertStringIncludes(formatEvent(CHANGE, AT, colors), "\x1b[1msettled");
});

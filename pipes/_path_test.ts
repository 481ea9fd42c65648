import { assertEquals } from "@std/assert";
import type { NetworkViewEvent, NetworkViewRoute, NetworkViewState } from "../internal/network_view.ts";
import type { PipeAddress } from "./address.ts";
import { addressKey, concern, pathOf, type PipePath } from "./_path.ts";

const ETH: NetworkViewRoute = { interface: "eth0", gateway: "192.168.1.1", source: "192.168.1.5" };
const WLAN: NetworkViewRoute = { interface: "wlan0", gateway: "10.0.0.1", source: "10.0.0.9" };
const STATE: NetworkViewState = {
  at: 0,
  online: true,
  families: [4, 6],
  interfaces: [
    { name: "lo", addresses: [{ address: "127.0.0.1", prefix: 8 }] },
    {
      name: "eth0",
      addresses: [
        { address: "192.168.1.5", prefix: 24 },
        { address: "2001:db8::5", prefix: 64 },
        { address: "fe80::5", prefix: 64 },
      ],
    },
    { name: "wlan0", addresses: [{ address: "10.0.0.9", prefix: 24 }, { address: "fe80::9", prefix: 64 }] },
    { name: "tun0", addresses: [{ address: "10.8.0.2", prefix: 32 }] },
  ],
  defaultRoute: {
    v4: ETH,
    v6: { interface: "eth0", gateway: "fe80::1", source: "2001:db8::5" },
  },
};

const tcp = (hostname: string): PipeAddress => ({ transport: "tcp", hostname, port: 1 });
const path = (local: string, remote: string, state = STATE): PipePath =>
  pathOf(tcp(local), tcp(remote), state);

const EVENTS: readonly NetworkViewEvent[] = [
  { type: "wake", at: 1, slept: 2 },
  { type: "offline", at: 1, family: 4, families: [6] },
  { type: "online", at: 1, family: 4, families: [4, 6] },
  { type: "gatewaychange", at: 1, family: 4, from: ETH, to: { ...ETH, gateway: "192.168.1.2" } },
  { type: "defaultinterfacechange", at: 1, family: 4, from: ETH, to: WLAN },
  { type: "addressadd", at: 1, interface: "eth0", address: "192.168.1.6", family: 4 },
  { type: "dnschange", at: 1 },
  { type: "routechange", at: 1, family: 4, from: ETH, to: ETH },
];
const concerned = (one: PipePath): string =>
  EVENTS.flatMap((event) => concern(one, event)?.type ?? []).join(" ");

const ROUTE = "offline online gatewaychange defaultinterfacechange";

Deno.test("a path beyond the gateway is concerned by the default route of its family, and by its interface", () => {
  assertEquals(concerned(path("192.168.1.5", "203.0.113.1")), `wake ${ROUTE} addresschange`);
  assertEquals(concerned(path("::ffff:192.168.1.5", "::ffff:203.0.113.1")), `wake ${ROUTE} addresschange`);
  assertEquals(concerned(path("2001:db8::5", "2001:db8:f::1")), "wake");
});

Deno.test("what stays on this machine or on its links does not care for the default route", () => {
  for (
    const [local, remote, told] of [
      ["127.0.0.1", "127.0.0.1", "wake"],
      ["::1", "::1", "wake"],
      ["192.168.1.5", "192.168.1.7", "wake addresschange"],
      ["192.168.1.5", "192.168.1.5", "wake addresschange"],
      ["10.0.0.9", "169.254.3.4", "wake"],
      ["fe80::5%eth0", "fe80::77%eth0", "wake"],
    ] as const
  ) assertEquals(concerned(path(local, remote)), told, `${local} -> ${remote}`);
  const unix: PipeAddress = { transport: "unix", path: "/run/a.sock" };
  assertEquals(concerned(pathOf(unix, unix, STATE)), "wake");
});

Deno.test("a path by another interface cares for the default route when that comes or goes there", () => {
  assertEquals(concerned(path("10.8.0.2", "203.0.113.1")), "wake");
  assertEquals(concerned(path("10.0.0.9", "203.0.113.1")), "wake defaultinterfacechange");
});

Deno.test("an address that came by the zone's interface, and one that only the zone tells apart", () => {
  assertEquals(path("fe80::5%eth0", "fe80::77%eth0").interface, "eth0");
  assertEquals(path("fe80::9%wlan0", "fe80::77%wlan0").interface, "wlan0");
  const twice = {
    ...STATE,
    interfaces: [...STATE.interfaces, { name: "usb0", addresses: [{ address: "fe80::5" }] }],
  };
  assertEquals(path("fe80::5%usb0", "fe80::77%usb0", twice).interface, "usb0");
});

Deno.test("without a view, or with a socket bound to nothing, whatever may concern it does", () => {
  const blind = pathOf(tcp("192.168.1.5"), tcp("203.0.113.1"), undefined);
  assertEquals([blind.reach, blind.interface, blind.byDefault], ["wide", null, true]);
  assertEquals(concerned(blind), `wake ${ROUTE}`);
  assertEquals(concerned(path("0.0.0.0", "203.0.113.1")), `wake ${ROUTE}`);
  assertEquals(concerned(path("0.0.0.0", "example.test")), `wake ${ROUTE}`);
});

Deno.test("the own address that goes is told as lost, and not as a change besides", () => {
  const one = path("192.168.1.5", "203.0.113.1");
  const event = { at: 1, interface: "eth0", family: 4 } as const;
  assertEquals(concern(one, { ...event, type: "addressremove", address: "192.168.1.5" }), null);
  assertEquals(
    concern(one, { ...event, type: "addressremove", address: "192.168.1.6" })?.type,
    "addresschange",
  );
  assertEquals(
    concern(one, { ...event, type: "addressconflict", address: "192.168.1.5" })?.type,
    "addresschange",
  );
});

Deno.test("addresses are the same in every spelling; loopback and unspecified ones never go", () => {
  assertEquals(addressKey("::ffff:10.0.0.9"), addressKey("10.0.0.9"));
  assertEquals(addressKey("fe80:0:0::5%eth0"), addressKey("fe80::5"));
  for (
    const text of ["239.1.2.3", "ff02::fb%eth0", "127.0.0.1", "::1", "0.0.0.0", "::", "", "example.test"]
  ) {
    assertEquals(addressKey(text), null, text);
  }
});

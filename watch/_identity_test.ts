import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { scale, seed } from "../tests/_require.ts";
import { identityOf, IdentityTracker } from "./_identity.ts";
import type { Reading } from "./_reading.ts";
import type { Address } from "./state.ts";

type Part = Pick<Reading, "at" | "interfaces" | "defaultRoute" | "gatewayMac">;

const HOME = "02:00:00:00:01:01";
const CAFE = "02:00:00:00:02:02";

/** A machine with one card, whose gateway has some hardware address. */
function part(
  mac: string | null,
  cidr: string = "192.168.1.2/24",
  gateway: string | null = "192.168.1.1",
): Part {
  const [text = "", prefix] = cidr.split("/");
  const flags = { temporary: false, tentative: false, deprecated: false, conflict: false };
  const address: Address = {
    address: text,
    family: 4,
    prefix: Number(prefix),
    scope: "global",
    ...flags,
    preferredLifetime: null,
    validLifetime: null,
  };
  const link = { kind: "ethernet", mac: null, mtu: 1500, up: true, running: true, master: null } as const;
  const v4 = { gateway, interface: "eth0", index: 2, metric: 0, source: text };
  return {
    at: 5,
    interfaces: [{ index: 2, name: "eth0", ...link, addresses: [address] }],
    defaultRoute: { v4, v6: null },
    gatewayMac: { v4: mac, v6: null },
  };
}

/** The same way for IPv6, by a gateway known by its link-local address. */
function six(mac: string | null): Part {
  const { v4 } = part(mac).defaultRoute;
  const v6 = v4 && { ...v4, gateway: "fe80::1" };
  return { ...part(null), defaultRoute: { v4: null, v6 }, gatewayMac: { v4: null, v6: mac } };
}

Deno.test("identityOf() names the gateway, its hardware and the network that both are in", () => {
  const identity = (cidr: string, gateway: string): string | null | undefined =>
    identityOf(part(HOME, cidr, gateway), 4)?.network;
  assertEquals(identityOf(part(HOME), 4), { gateway: "192.168.1.1", mac: HOME, network: "192.168.1.0/24" });
  assertEquals(identity("10.1.2.3/8", "10.255.255.254"), "10.0.0.0/8");
  assertEquals(identity("10.1.2.131/25", "10.1.2.254"), "10.1.2.128/25");
  assertEquals(identity("10.1.2.131/25", "10.1.2.1"), null, "a gateway outside of our networks");
  assertEquals(identity("10.1.2.3/0", "10.9.9.9"), "0.0.0.0/0");
  assertEquals(identity("10.1.2.3/32", "10.1.2.3"), "10.1.2.3/32");
});

Deno.test("identityOf() knows nothing without gateway or hardware address, and no prefix for IPv6", () => {
  assertEquals(identityOf(part(null), 4), null);
  assertEquals(identityOf(part(HOME, "192.168.1.2/24", null), 4), null);
  assertEquals(identityOf(part(HOME), 6), null);
  assertEquals(identityOf(six(HOME), 6), { gateway: "fe80::1", mac: HOME, network: null });
});

Deno.test("other hardware behind the same address is another network, and is told once", () => {
  const tracker = new IdentityTracker();
  assertEquals(tracker.update(part(HOME)), [], "the first is the one we are in");
  assertEquals(tracker.update(part(HOME)), []);
  const [event, ...more] = tracker.update(part(CAFE));
  assertEquals([event?.type, event?.family, event?.at, more], ["identitychange", 4, 5, []]);
  assertEquals([event?.from.mac, event?.to.mac], [HOME, CAFE]);
  assertEquals(tracker.update(part(CAFE)), []);
});

Deno.test("another network behind the same hardware is another network", () => {
  const tracker = new IdentityTracker();
  tracker.update(part(HOME));
  assertEquals(tracker.update(part(HOME, "10.0.0.2/24", "10.0.0.1")).length, 1);
});

Deno.test("another address or another gateway in the same network is no other network", () => {
  const tracker = new IdentityTracker();
  tracker.update(part(HOME));
  assertEquals(tracker.update(part(HOME, "192.168.1.77/24")), []);
  assertEquals(tracker.update(part(HOME, "192.168.1.2/24", "192.168.1.254")), []);
});

Deno.test("a gateway that is not known yet, or out of our networks, says nothing and forgets nothing", () => {
  const tracker = new IdentityTracker();
  tracker.update(part(HOME));
  assertEquals(tracker.update(part(null)), []);
  assertEquals(tracker.update(part(HOME, "192.168.1.2/24", null)), []);
  assertEquals(tracker.update(part(HOME, "10.0.0.2/32", "10.0.0.1")), []);
  assertEquals(
    tracker.update(part(HOME, "172.16.0.2/24", "172.16.0.1")).length,
    1,
    "not the network known before",
  );
  assertEquals(tracker.update(part(CAFE)).length, 1);
});

Deno.test("families are tracked apart", () => {
  const tracker = new IdentityTracker();
  tracker.update(part(HOME));
  assertEquals(tracker.update(six(CAFE)), []);
  assertEquals(tracker.update(six(HOME)).map(({ family }) => family), [6]);
  assertEquals(tracker.update(part(HOME)), []);
});

Deno.test("property: told is what differs from what was known last, and the tale has no gaps", () => {
  const step = fc.record({
    mac: fc.constantFrom(HOME, CAFE, null),
    cidr: fc.constantFrom("192.168.1.2/24", "192.168.1.3/24", "10.0.0.2/8"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const tracker = new IdentityTracker();
      let known: string | undefined;
      for (const { mac, cidr } of steps) {
        const network = cidr.startsWith("10.") ? "10.0.0.0/8" : "192.168.1.0/24";
        const events = tracker.update(part(mac, cidr, cidr.startsWith("10.") ? "10.0.0.1" : "192.168.1.1"));
        const now = mac === null ? known : `${mac} ${network}`;
        assertEquals(events.length, known !== undefined && now !== known ? 1 : 0);
        for (const { from, to } of events) {
          assertEquals(`${from.mac} ${from.network}`, known);
          assertEquals(`${to.mac} ${to.network}`, now);
          assert(from.mac !== to.mac || from.network !== to.network);
        }
        known = now;
      }
    }),
    { seed: seed(), numRuns: scale(300) },
  );
});

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { scale, seed } from "../tests/_require.ts";
import type { IdentityEvent } from "./events.ts";
import { MajorJudge } from "./_major.ts";
import { toState } from "./_reading.ts";
import type { Address, DefaultRoute, Interface, NetworkState } from "./state.ts";

function address(text: string, fields: Partial<Address> = {}): Address {
  const flags = { temporary: false, tentative: false, deprecated: false, conflict: false };
  return {
    address: text,
    family: text.includes(":") ? 6 : 4,
    prefix: 24,
    scope: "global",
    ...flags,
    preferredLifetime: null,
    validLifetime: null,
    ...fields,
  };
}

function card(index: number, addresses: string[], fields: Partial<Interface> = {}): Interface {
  const link = { kind: "ethernet", mac: null, mtu: 1500, up: true, running: true, master: null } as const;
  return {
    index,
    name: `eth${index}`,
    ...link,
    addresses: addresses.map((text) => address(text)),
    ...fields,
  };
}

function by(index: number, source: string | null, gateway: string = "192.0.2.254"): DefaultRoute {
  return { gateway, interface: `eth${index}`, index, metric: 0, source };
}

function state(
  interfaces: Interface[],
  v4: DefaultRoute | null = null,
  rest: Partial<NetworkState> = {},
): NetworkState {
  return toState({ at: 0, interfaces, defaultRoute: { v4, v6: null }, dns: null, blind: [], ...rest });
}

const home = state([card(1, ["192.0.2.1"])], by(1, "192.0.2.1"));

/** What a judge says to states, one after the other. */
function judge(first: NetworkState, ...states: NetworkState[]): string[] {
  const one = new MajorJudge(first);
  return states.map((next) => {
    const { major, reasons } = one.judge(next, []);
    return [major, ...reasons].join(": ");
  });
}

Deno.test("the loss of the path is told with its reason, whichever way it is lost", () => {
  assertEquals(judge(home, state([])), ["required: interface eth1 is gone"]);
  assertEquals(judge(home, state([card(1, ["192.0.2.1"], { running: false })], by(1, "192.0.2.1"))), [
    "required: interface eth1 is without carrier",
  ]);
  assertEquals(judge(home, state([card(1, ["192.0.2.1"], { up: false, running: false })])), [
    "required: interface eth1 is switched off",
  ]);
  assertEquals(judge(home, state([card(1, ["192.0.2.7"])], by(1, "192.0.2.7"))), [
    "required: source address 192.0.2.1 is gone from eth1",
  ]);
  const conflict = card(1, [], { addresses: [address("192.0.2.1", { conflict: true })] });
  assertEquals(judge(home, state([conflict], by(1, null))), [
    "required: source address 192.0.2.1 is gone from eth1",
  ]);
});

Deno.test("a loss is told once, and nothing more when the same path comes back", () => {
  const other = state([card(1, [])], null);
  assertEquals(judge(home, state([]), state([]), other, home, state([])), [
    "required: interface eth1 is gone",
    "none",
    "none",
    "none",
    "required: interface eth1 is gone",
  ]);
});

Deno.test("after a loss another source is told as required, another gateway as advised", () => {
  const moved = state([card(2, ["198.51.100.7"])], by(2, "198.51.100.7"));
  assertEquals(judge(home, state([]), moved, moved), [
    "required: interface eth1 is gone",
    "required: IPv4 is back with another source address: 198.51.100.7",
    "none",
  ]);
  const gateway = state([card(1, ["192.0.2.1"])], by(1, "192.0.2.1", "192.0.2.253"));
  assertEquals(
    judge(home, state([]), gateway)[1],
    "advised: IPv4 gateway is now 192.0.2.253 instead of 192.0.2.254",
  );
});

Deno.test("a path that moves while the old one still works is advised", () => {
  const both = state([card(1, ["192.0.2.1"]), card(2, ["198.51.100.7"])], by(2, "198.51.100.7"));
  assertEquals(judge(home, both), ["advised: IPv4 now goes by eth2 instead of eth1"]);
  assertEquals(judge(home, state([card(1, ["192.0.2.1"])], { ...by(1, "192.0.2.1"), gateway: null })), [
    "advised: IPv4 gateway is now none instead of 192.0.2.254",
  ]);
});

Deno.test("a loss and a new path in one change are one required", () => {
  const moved = state([card(2, ["198.51.100.7"])], by(2, "198.51.100.7"));
  assertEquals(judge(home, moved, moved), ["required: interface eth1 is gone", "none"]);
});

Deno.test("no route, with address and interface still there, is none by itself", () => {
  assertEquals(judge(home, state([card(1, ["192.0.2.1"])]), home), ["none", "none"]);
});

Deno.test("a family that was never online has nothing to lose", () => {
  assertEquals(judge(state([]), state([]), home, state([])), [
    "none",
    "none",
    "required: interface eth1 is gone",
  ]);
});

Deno.test("another preferred source is none while the old address is there", () => {
  const two = card(1, ["192.0.2.1", "192.0.2.2"]);
  assertEquals(judge(state([two], by(1, "192.0.2.1")), state([two], by(1, "192.0.2.2"))), ["none"]);
});

Deno.test("another network is advised, in each family by itself", () => {
  const identity = { gateway: "192.0.2.254", mac: "02:00:00:00:00:01", network: null };
  const to = { ...identity, mac: "02:00:00:00:00:02" };
  const event = (family: 4 | 6): IdentityEvent => ({
    type: "identitychange",
    at: 0,
    family,
    from: identity,
    to,
  });
  assertEquals(new MajorJudge(home).judge(home, [event(4), event(6)]), {
    major: "advised",
    reasons: [
      "another IPv4 network: gateway 192.0.2.254 is now 02:00:00:00:00:02",
      "another IPv6 network: gateway 192.0.2.254 is now 02:00:00:00:00:02",
    ],
  });
  const lost = new MajorJudge(home).judge(state([]), [event(4)]);
  assertEquals([lost.major, lost.reasons.length], ["required", 2]);
});

Deno.test("where links and routes are out of sight, an interface is known by its name and the way is not judged", () => {
  const blind = (interfaces: Interface[]): NetworkState =>
    state(interfaces, null, { blind: ["links", "routes"] });
  const same = blind([card(1, ["192.0.2.1"], { index: 0 })]);
  const other = blind([card(1, ["192.0.2.9"], { index: 0 })]);
  assertEquals(judge(home, same, same, home), ["none", "none", "none"]);
  const back = state([card(1, ["192.0.2.9"])], by(1, "192.0.2.9"));
  assertEquals(judge(home, other, other, back, back), [
    "required: source address 192.0.2.1 is gone from eth1",
    "none",
    "required: IPv4 is back with another source address: 192.0.2.9",
    "none",
  ]);
});

Deno.test("property: required is told once per loss, and again only for a path that is back with another source", () => {
  const sources = ["192.0.2.1", "192.0.2.2"] as const;
  const anyCard = (index: number): fc.Arbitrary<Interface | null> =>
    fc.option(
      fc.record({ running: fc.boolean(), addresses: fc.subarray([...sources]) })
        .map(({ running, addresses }) => card(index, addresses, { running })),
    );
  const anyStep = fc.record({
    one: anyCard(1),
    two: anyCard(2),
    route: fc.option(fc.record({ index: fc.constantFrom(1, 2), source: fc.constantFrom(...sources) })),
  }).map(({ one, two, route }) => {
    const interfaces = [one, two].filter((iface) => iface !== null);
    const through = interfaces.find(({ index }) => index === route?.index);
    const has = through?.addresses.some((a) => a.address === route?.source);
    return state(interfaces, has && route ? by(route.index, route.source) : null);
  });
  fc.assert(
    fc.property(fc.array(anyStep, { minLength: 1, maxLength: 20 }), ([first, ...rest]) => {
      if (!first) return;
      const one = new MajorJudge(first);
      /** The model: the last path that was online, and whether its loss has been told since. */
      let path = first.online ? first.defaultRoute.v4 : null;
      let told = false;
      for (const next of rest) {
        const { major } = one.judge(next, []);
        const iface = next.interfaces.find(({ index }) => index === path?.index);
        const alive = !!iface?.running && iface.addresses.some((a) => a.address === path?.source);
        const lost: boolean = path !== null && !alive && !told;
        const changed = path !== null && told && next.online && next.defaultRoute.v4?.source !== path.source;
        assertEquals(major === "required", lost || changed);
        told ||= lost;
        if (!next.online) continue;
        path = next.defaultRoute.v4;
        told = false;
      }
    }),
    { seed: seed(), numRuns: scale(1000) },
  );
});

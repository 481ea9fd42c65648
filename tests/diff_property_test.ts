import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { applyEvents, asLastSeen, diffStates, equalStates, sortInterfaces } from "../watch/diff.ts";
import type { NetworkEvent } from "../watch/events.ts";
import { isPlumbing, type NetworkState } from "../watch/state.ts";
import { scale, seed } from "./_require.ts";
import { anyState, essence } from "./_states.ts";

const ALL = ["links", "routes", "dns"] as const;

/** fast-check prints the seed and the counterexample on failure. */
function check<T extends [unknown, ...unknown[]]>(runs: number, property: fc.IProperty<T>): void {
  fc.assert(property, { seed: seed(), numRuns: scale(runs) });
}

/** The same state, read at another moment with other lifetimes left. */
function reread(state: NetworkState): NetworkState {
  const interfaces = state.interfaces.map((iface) => ({
    ...iface,
    addresses: iface.addresses.map((one) => ({ ...one, preferredLifetime: 1, validLifetime: 2 })),
  }));
  return structuredClone({ ...state, at: state.at + 1, interfaces });
}

Deno.test("property: no event without a difference; time and lifetimes are none", () => {
  check(
    2000,
    fc.property(anyState(...ALL), (state) => {
      assertEquals(diffStates(state, reread(state)), []);
      assertEquals(diffStates(state, reread(state), () => true), []);
      assert(equalStates(state, reread(state)));
    }),
  );
});

Deno.test("property: each event names a difference", () => {
  check(
    2000,
    fc.property(anyState(...ALL), anyState(...ALL), (before, after) => {
      for (const event of diffStates(before, after)) {
        assertEquals(event.at, after.at);
        switch (event.type) {
          case "interfacechange":
          case "addresschange":
            assert(Object.keys(event.to).length > 0);
            assertEquals(Object.keys(event.from), Object.keys(event.to));
            for (const [field, value] of Object.entries(event.from)) {
              assert(JSON.stringify(value) !== JSON.stringify((event.to as Record<string, unknown>)[field]));
            }
            break;
          case "gatewaychange":
          case "defaultinterfacechange":
          case "routechange":
          case "dnschange":
          case "externalchange":
            assert(JSON.stringify(event.from) !== JSON.stringify(event.to));
            break;
          case "online":
          case "offline":
            assertEquals(event.families, after.families);
            assertEquals(before.families.includes(event.family), event.type === "offline");
            assertEquals(after.families.includes(event.family), event.type === "online");
            break;
          case "interfaceadd":
          case "interfaceremove":
          case "addressadd":
          case "addressremove":
          case "addressconflict":
            break;
          default:
            throw new Error(`no difference is a ${event.type}`);
        }
      }
    }),
  );
});

Deno.test("property: the events applied to the state before give the state after", () => {
  check(
    3000,
    fc.property(anyState(...ALL), anyState(...ALL), (before, after) => {
      const applied = applyEvents(before, diffStates(before, after));
      assert(equalStates(applied, after));
      assertEquals(diffStates(applied, after), []);
    }),
  );
});

Deno.test("property: between readings that see everything, the state after is given to the last field", () => {
  check(
    3000,
    fc.property(anyState(), anyState(), (before, after) => {
      const events = diffStates(before, after);
      assertEquals(essence(applyEvents(before, events)), essence(after));
      // The other way of counting plumbing comes to the same.
      assertEquals(essence(applyEvents(before, diffStates(before, after, () => true))), essence(after));
      assertEquals(equalStates(before, after), events.length === 0);
    }),
  );
});

Deno.test("property: a whole story applied to its beginning gives its end", () => {
  check(
    500,
    fc.property(fc.array(anyState(), { minLength: 2, maxLength: 12 }), ([first, ...rest]) => {
      assert(first);
      let [known, before] = [first, first];
      for (const after of rest) {
        known = applyEvents(known, diffStates(before, after));
        before = after;
      }
      assertEquals(essence(known), essence(before));
      const { interfaces } = known;
      assertEquals(interfaces, sortInterfaces([...interfaces]), "interfaces stay in order");
    }),
  );
});

Deno.test("property: what happens to routes and resolver while they are out of sight is told afterwards", () => {
  const story = fc.tuple(
    anyState(),
    fc.array(anyState("routes", "dns"), { maxLength: 6 }),
    anyState(),
  );
  check(
    1000,
    fc.property(story, ([first, between, last]) => {
      let [known, seen] = [first, first];
      for (const after of [...between, last]) {
        const events = diffStates(seen, after);
        for (const { type } of events) {
          if (after.blind.includes("dns")) assert(type !== "dnschange");
          if (after.blind.includes("routes")) assert(!/^(gateway|defaultinterface|route)change$/.test(type));
        }
        known = applyEvents(known, events);
        seen = asLastSeen(seen, after);
      }
      assertEquals(essence(known), essence(last));
    }),
  );
});

Deno.test("property: what either reading is blind to is never a difference", () => {
  check(
    2000,
    fc.property(anyState(), fc.subarray([...ALL], { minLength: 1 }), (state, hidden) => {
      const routes = hidden.includes("routes") || hidden.includes("links");
      const blind: NetworkState = {
        ...state,
        blind: hidden,
        dns: hidden.includes("dns") ? null : state.dns,
        defaultRoute: routes ? { v4: null, v6: null } : state.defaultRoute,
        interfaces: !hidden.includes("links") ? state.interfaces : sortInterfaces(
          state.interfaces.filter(({ addresses }) => addresses.length > 0).map((iface) => ({
            ...iface,
            ...{ index: 0, kind: "other", mac: null, mtu: null, up: true, running: true, master: null },
            addresses: iface.addresses.map((one) => ({
              ...one,
              ...{ temporary: false, tentative: false, deprecated: false, conflict: false, scope: "global" },
            })),
          })),
        ),
        ...(hidden.includes("links") ? { blind: [...new Set([...hidden, "routes" as const])] } : {}),
      };
      assertEquals(diffStates(state, blind), []);
      assertEquals(diffStates(blind, state), []);
    }),
  );
});

/** The place of an event in the order that `diffStates()` keeps. */
function rank(event: NetworkEvent, after: NetworkState): number {
  switch (event.type) {
    case "addressremove":
      return after.interfaces.some(({ index }) => index === event.index) ? 2 : 0;
    case "interfaceremove":
      return 0;
    case "interfaceadd":
    case "interfacechange":
      return 1;
    case "addressadd":
    case "addresschange":
    case "addressconflict":
      return 2;
    case "gatewaychange":
    case "defaultinterfacechange":
    case "routechange":
      return event.family;
    case "dnschange":
      return 7;
    case "externalchange":
      return 8;
    case "offline":
      return event.family + 10;
    case "online":
      return event.family + 20;
    default:
      throw new Error(`no difference is a ${event.type}`);
  }
}

Deno.test("property: interfaces gone, links, addresses, routes, resolver, public address, offline, online", () => {
  check(
    2000,
    fc.property(anyState(), anyState(), (before, after) => {
      const ranks = diffStates(before, after).map((event) => rank(event, after));
      assertEquals(ranks, ranks.toSorted((a, b) => a - b));
    }),
  );
});

Deno.test("property: an address is removed before its interface, and added after it", () => {
  check(
    2000,
    fc.property(anyState(), anyState(), (before, after) => {
      const known = new Set(before.interfaces.map(({ index }) => index));
      for (const event of diffStates(before, after)) {
        if (event.type === "interfaceadd") known.add(event.index);
        else if (event.type === "interfaceremove") assert(known.delete(event.index));
        else if ("index" in event) assert(known.has(event.index), `${event.type} without its interface`);
      }
    }),
  );
});

Deno.test("property: container plumbing raises no address event of its own, and loses none", () => {
  check(
    3000,
    fc.property(anyState(), anyState(), (before, after) => {
      const counts = (index: number): boolean =>
        [before, after].some((state) => {
          const iface = state.interfaces.find((one) => one.index === index);
          return iface && !isPlumbing(iface, state);
        });
      const events = diffStates(before, after);
      for (const event of events) {
        if (/^address/.test(event.type) && "index" in event) assert(counts(event.index), event.type);
        if (event.type === "interfacechange" && event.to.addresses) assert(!counts(event.index));
      }
      assertEquals(essence(applyEvents(before, events)), essence(after));
    }),
  );
});

Deno.test("property: a renamed interface is one event, whatever leads through it", () => {
  check(
    500,
    fc.property(anyState(), fc.nat(9), (state, pick) => {
      fc.pre(state.interfaces.length > 0);
      const old = state.interfaces[pick % state.interfaces.length];
      assert(old);
      const name = "renamed0";
      const follow = <R extends { readonly index: number } | null>(route: R): R =>
        route?.index === old.index ? { ...route, interface: name } : route;
      const { v4, v6 } = state.defaultRoute;
      const next: NetworkState = {
        ...state,
        interfaces: state.interfaces.map((iface) => iface === old ? { ...iface, name } : iface),
        defaultRoute: { v4: follow(v4), v6: follow(v6) },
      };
      const events = diffStates(state, next);
      assertEquals(events.map(({ type }) => type), ["interfacechange"]);
      assertEquals(essence(applyEvents(state, events)), essence(next));
    }),
  );
});

Deno.test("property: two interfaces that swap their names stay who they are", () => {
  check(
    500,
    fc.property(anyState(), (state) => {
      const [a, b] = state.interfaces;
      fc.pre(a !== undefined && b !== undefined);
      const names = new Map([[a.index, b.name], [b.index, a.name]]);
      const swap = <R extends { readonly index: number; readonly interface: string } | null>(route: R): R =>
        route && { ...route, interface: names.get(route.index) ?? route.interface };
      const { v4, v6 } = state.defaultRoute;
      const next: NetworkState = {
        ...state,
        interfaces: state.interfaces.map((iface) => ({
          ...iface,
          name: names.get(iface.index) ?? iface.name,
        })),
        defaultRoute: { v4: swap(v4), v6: swap(v6) },
      };
      const events = diffStates(state, next, () => true);
      assertEquals(events.map(({ type }) => type), ["interfacechange", "interfacechange"]);
      assertEquals(essence(applyEvents(state, events)), essence(next));
    }),
  );
});

Deno.test("property: an index that is used again for another interface is a change of all that differs", () => {
  check(
    500,
    fc.property(anyState(), anyState(), (before, other) => {
      const [old, reused] = [before.interfaces[0], other.interfaces[0]];
      fc.pre(old !== undefined && reused !== undefined);
      const { v4, v6 } = before.defaultRoute;
      const through = (route: typeof v4): typeof v4 => route?.index === old.index ? null : route;
      const next: NetworkState = {
        ...before,
        interfaces: [{ ...reused, index: old.index, name: "new0" }, ...before.interfaces.slice(1)],
        defaultRoute: { v4: through(v4), v6: through(v6) },
      };
      const events = diffStates(before, next);
      assert(events.every(({ type }) => type !== "interfaceadd" && type !== "interfaceremove"));
      assertEquals(essence(applyEvents(before, events)), essence(next));
    }),
  );
});

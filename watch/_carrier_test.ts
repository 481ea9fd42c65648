import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { scale, seed } from "../tests/_require.ts";
import { CarrierGrace } from "./_carrier.ts";
import { toState } from "./_reading.ts";
import type { Interface, NetworkState } from "./state.ts";

function iface(index: number, up: boolean, running: boolean): Interface {
  const address = { address: `192.0.2.${index}`, family: 4, prefix: 24, scope: "global" } as const;
  const flags = { temporary: false, tentative: false, deprecated: false, conflict: false };
  return {
    index,
    name: `eth${index}`,
    kind: "ethernet",
    mac: null,
    mtu: 1500,
    up,
    running,
    master: null,
    addresses: [{ ...address, ...flags, preferredLifetime: null, validLifetime: null }],
  };
}

function state(interfaces: readonly Interface[]): NetworkState {
  const v4 = { gateway: "192.0.2.254", interface: "eth1", index: 1, metric: 0, source: "192.0.2.1" };
  return toState({ at: 0, interfaces, defaultRoute: { v4, v6: null }, dns: null, blind: [] });
}

Deno.test("lost carrier is held for its grace, and the view says when that ends", () => {
  const grace = new CarrierGrace();
  grace.note([iface(1, true, true)], 0);
  const lost = state([iface(1, true, false)]);
  grace.note(lost.interfaces, 100);
  const { state: held, due } = grace.view(lost, 150, 1000);
  assertEquals([held.online, held.families, held.interfaces[0]?.running, due], [true, [4], true, 950]);
  assertEquals(grace.view(lost, 1100, 1000), { state: lost, due: null });
  assertEquals(grace.view(lost, 150, 0), { state: lost, due: null });
});

Deno.test("the time of the loss is that of the first reading without carrier", () => {
  const grace = new CarrierGrace();
  grace.note([iface(1, true, true)], 0);
  for (const now of [100, 500, 900]) grace.note([iface(1, true, false)], now);
  assertEquals(grace.view(state([iface(1, true, false)]), 900, 1000).due, 200);
});

Deno.test("an interface that never had carrier, is switched off or is gone gets no grace", () => {
  const grace = new CarrierGrace();
  grace.note([iface(1, true, true), iface(2, true, true), iface(3, true, false)], 0);
  const next = state([iface(1, false, false), iface(3, true, false)]);
  grace.note(next.interfaces, 10);
  assertEquals(grace.view(next, 10, 1000), { state: next, due: null });
  // Index 2 comes back without carrier: that is a new interface, not the one that had it.
  const back = state([iface(2, true, false)]);
  grace.note(back.interfaces, 20);
  assertEquals(grace.view(back, 20, 1000), { state: back, due: null });
});

Deno.test("property: the view differs from the state by interfaces that lost carrier less than the grace ago, and by nothing else", () => {
  const step = fc.record({
    wait: fc.integer({ min: 1, max: 600 }),
    up: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
    running: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
    present: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.integer({ min: 0, max: 1500 }), (steps, time) => {
      const grace = new CarrierGrace();
      let now = 0;
      /** Since when each interface has been on and without the carrier it had: the model. */
      const since = new Map<number, number>();
      let before: readonly Interface[] = [];
      for (const { wait, up, running, present } of steps) {
        now += wait;
        const interfaces = [1, 2, 3].filter((_, n) => present[n])
          .map((index) => iface(index, up[index - 1] ?? false, !!up[index - 1] && !!running[index - 1]));
        for (const index of [1, 2, 3]) {
          const [was, is] = [before, interfaces].map((list) => list.find((i) => i.index === index));
          if (!is?.up || is.running) since.delete(index);
          else if (was?.running) since.set(index, now);
        }
        before = interfaces;
        grace.note(interfaces, now);
        const raw = state(interfaces);
        const { state: seen, due } = grace.view(raw, now, time);
        const held = [...since].filter(([, start]) => now - start < time);
        for (const [n, { index, running }] of raw.interfaces.entries()) {
          const expected = running || held.some(([other]) => other === index);
          assertEquals(seen.interfaces[n], { ...raw.interfaces[n], running: expected } as Interface);
        }
        const ends = held.map(([, start]) => start + time - now);
        assertEquals(due, ends.length === 0 ? null : Math.min(...ends));
        assertEquals(seen.families, toState(seen).families);
        assertEquals(seen.online, seen.families.length > 0);
        if (due === null) continue;
        const later = grace.view(raw, now + due, time).state;
        assert(
          later.interfaces.filter((i) => i.running).length < seen.interfaces.filter((i) => i.running).length,
        );
      }
    }),
    { seed: seed(), numRuns: scale(300) },
  );
});

import { assert, assertEquals } from "@std/assert";
import { FlapDamper } from "./_flap_damper.ts";

/** The moments at which a network that changes at these moments wakes somebody, owed wakes included. */
function wakes(changes: readonly number[], until: number): number[] {
  const damper = new FlapDamper();
  const woken: number[] = [];
  const settle = (now: number): void => {
    for (let due = damper.owed; due !== null && due <= now; due = damper.owed) {
      damper.pay(due);
      woken.push(due);
    }
  };
  for (const now of changes) {
    settle(now);
    if (damper.change(now)) woken.push(now);
  }
  settle(until);
  assertEquals(damper.wakes, woken.length);
  return woken;
}

const every = (step: number, until: number, from = 0): number[] =>
  Array.from({ length: Math.ceil((until - from) / step) }, (_, i) => from + i * step);

Deno.test("FlapDamper wakes at once for a change after a quiet time", () => {
  assertEquals(wakes([1_000, 61_000, 121_000], 200_000), [1_000, 61_000, 121_000]);
});

Deno.test("FlapDamper makes up for what followed within two seconds, once", () => {
  assertEquals(wakes([1_000, 1_100, 1_100, 1_400], 60_000), [1_000, 3_000]);
});

Deno.test("FlapDamper wakes a flapping network's clients less and less, down to every half a minute", () => {
  assertEquals(wakes(every(300, 95_000), 95_000), [0, 2_000, 6_000, 14_000, 30_000, 60_000, 90_000]);
});

Deno.test("FlapDamper takes several changes in the same moment for one, which is no flapping", () => {
  const damper = new FlapDamper();
  assertEquals([damper.change(0), damper.change(0), damper.change(400)], [true, false, false]);
  assertEquals(damper.flapping(400), false);
  assertEquals(damper.change(600), false);
  assertEquals(damper.flapping(600), true);
});

Deno.test("FlapDamper trusts a network again that has been quiet for long enough", () => {
  const damper = new FlapDamper();
  for (const now of every(300, 30_000)) {
    if (damper.owed !== null && damper.owed <= now) damper.pay(now);
    damper.change(now);
  }
  assert(damper.flapping(30_000));
  const due = damper.owed;
  assert(due !== null);
  damper.pay(due);
  assert(damper.flapping(due));
  assert(!damper.flapping(due + 60_000));
  assert(damper.change(due + 60_000));
  assertEquals(damper.change(due + 61_000), false);
  assertEquals(damper.owed, due + 62_000);
});

Deno.test("FlapDamper owes nothing to those who have gone", () => {
  const damper = new FlapDamper();
  damper.change(0);
  damper.change(1_000);
  assertEquals(damper.owed, 2_000);
  damper.forgive();
  assertEquals(damper.owed, null);
});

import { assertEquals, assertThrows } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { budget, type RetryBudget } from "./budget.ts";

const times = <T>(count: number, action: () => T): T[] => Array.from({ length: count }, action);

function drain(shared: RetryBudget): number {
  let taken = 0;
  while (shared.withdraw()) taken++;
  return taken;
}

Deno.test("budget() allows three extra attempts per window to a client that does next to nothing", () => {
  const clock = new FakeClock();
  const shared = budget({ clock });
  assertEquals(shared.balance, 3);
  shared.deposit();
  assertEquals(drain(shared), 3);
  clock.tick(8_999);
  assertEquals(drain(shared), 0);
  clock.tick(1_001);
  assertEquals(drain(shared), 3);
});

Deno.test("budget() allows a fifth of the first attempts, instead of the minimum and not on top of it", () => {
  const shared = budget({ clock: new FakeClock() });
  times(100, () => shared.deposit());
  assertEquals(shared.balance, 20);
  assertEquals(drain(shared), 20);
  times(4, () => shared.deposit());
  assertEquals(shared.balance.toFixed(9), "0.800000000");
  assertEquals(shared.withdraw(), false);
  shared.deposit();
  assertEquals(shared.withdraw(), true);
});

Deno.test("budget() forgets a tenth of its window at a time", () => {
  const clock = new FakeClock();
  const shared = budget({ window: 1000, min: 0, ratio: 1, clock });
  for (let slot = 0; slot < 10; slot++) {
    times(2, () => shared.deposit());
    if (slot < 9) clock.tick(100);
  }
  assertEquals(shared.balance, 20);
  clock.tick(100);
  assertEquals(shared.balance, 18);
  clock.tick(500);
  assertEquals(shared.balance, 8);
  clock.tick(1e9);
  assertEquals(shared.balance, 0);
});

Deno.test("budget() does not give again what was taken, when first attempts leave the window before the extra ones", () => {
  const clock = new FakeClock();
  const shared = budget({ window: 1000, min: 1, ratio: 0.5, clock });
  times(10, () => shared.deposit());
  clock.tick(500);
  assertEquals(drain(shared), 5);
  clock.tick(500);
  assertEquals(shared.balance, 0);
  clock.tick(500);
  assertEquals(shared.balance, 1);
});

Deno.test("budget() with nothing in it allows no extra attempt", () => {
  assertEquals(budget({ ratio: 0, min: 0 }).withdraw(), false);
});

Deno.test("budget() refuses what is no budget, and says what it got", () => {
  assertThrows(() => budget({ ratio: -1 }), RangeError, "ratio -1");
  assertThrows(() => budget({ min: NaN }), RangeError, "min NaN");
  assertThrows(() => budget({ window: 0 }), RangeError, "window 0");
  assertThrows(() => budget({ window: Infinity }), RangeError, "window Infinity");
});

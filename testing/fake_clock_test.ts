import { assertEquals, assertThrows } from "@std/assert";
import { wait } from "../internal/clock.ts";
import { FakeClock } from "./fake_clock.ts";

Deno.test("a FakeClock stands still until it is told to tick", () => {
  const clock = new FakeClock({ now: 1_000 });
  assertEquals([clock.now(), clock.monotonic()], [1_000, 0]);
  clock.tick(250);
  assertEquals([clock.now(), clock.monotonic()], [1_250, 250]);
});

Deno.test("tick() fires what is due in order of time, then in the order it was set", () => {
  const clock = new FakeClock();
  const fired: string[] = [];
  clock.after(20, () => fired.push(`late at ${clock.monotonic()}`));
  clock.after(10, () => fired.push(`first at ${clock.monotonic()}`));
  clock.after(10, () => fired.push(`second at ${clock.monotonic()}`));
  clock.after(-5, () => fired.push(`overdue at ${clock.monotonic()}`));
  clock.after(21, () => fired.push("never"));
  clock.tick(20);
  assertEquals(fired, ["overdue at 0", "first at 10", "second at 10", "late at 20"]);
  assertEquals(clock.pending, 1);
});

Deno.test("tick() fires timers that were set by timers, if they are due in the same tick", () => {
  const clock = new FakeClock();
  const fired: number[] = [];
  const again = (): void => {
    fired.push(clock.monotonic());
    clock.after(10, again);
  };
  clock.after(10, again);
  clock.tick(35);
  assertEquals(fired, [10, 20, 30]);
  assertEquals(clock.monotonic(), 35);
});

Deno.test("a cancelled timer of a FakeClock does not fire, not even when cancelled in the same tick", () => {
  const clock = new FakeClock();
  const fired: string[] = [];
  const early = clock.after(5, () => fired.push("early"));
  early.cancel();
  early.cancel();
  clock.after(10, () => other.cancel());
  const other = clock.after(10, () => fired.push("other"));
  clock.tick(10);
  assertEquals(fired, []);
  assertEquals(clock.pending, 0);
});

Deno.test("a timer that throws leaves the FakeClock at its time and is gone", () => {
  const clock = new FakeClock();
  clock.after(5, () => {
    throw new RangeError("as planned");
  });
  assertThrows(() => clock.tick(10), RangeError, "as planned");
  assertEquals([clock.monotonic(), clock.pending], [5, 0]);
});

Deno.test("tickAsync() lets promises settle between timers", async () => {
  const clock = new FakeClock();
  const seen: number[] = [];
  const loop = (async () => {
    for (let i = 0; i < 3; i++) {
      await wait(10, { clock });
      seen.push(clock.monotonic());
    }
  })();
  await clock.tickAsync(30);
  assertEquals(seen, [10, 20, 30]);
  await loop;
});

Deno.test("tickAsync() sees timers that are set by promises already under way", async () => {
  const clock = new FakeClock();
  let fired = false;
  void Promise.resolve().then(() => clock.after(0, () => fired = true));
  await clock.tickAsync(0);
  assertEquals(fired, true);
});

Deno.test("jump() moves the wall clock and neither the monotonic one nor the timers", () => {
  const clock = new FakeClock({ now: 5_000 });
  let fired = 0;
  clock.after(1_000, () => fired++);
  clock.jump(60_000);
  assertEquals([clock.now(), clock.monotonic(), fired], [65_000, 0, 0]);
  clock.jump(-65_000);
  assertEquals(clock.now(), 0);
  clock.tick(1_000);
  assertEquals([clock.now(), fired], [1_000, 1]);
});

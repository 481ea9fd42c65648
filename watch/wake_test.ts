import { assertEquals } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { WakeDetector } from "./wake.ts";

Deno.test("a wall clock that has gone on without the monotonic one is told as sleep, within 10 s", () => {
  const clock = new FakeClock({ now: 1e12 });
  const slept: number[] = [];
  using _ = new WakeDetector(clock, (time) => slept.push(time));
  clock.tick(60_000);
  clock.jump(3_600_000);
  clock.tick(10_000);
  assertEquals(slept, [3_600_000]);
  clock.tick(60_000);
  assertEquals(slept, [3_600_000]);
});

Deno.test("check() tells at once, and only once", () => {
  const clock = new FakeClock();
  const slept: number[] = [];
  using wake = new WakeDetector(clock, (time) => slept.push(time));
  clock.jump(20_000.4);
  wake.check();
  wake.check();
  clock.tick(20_000);
  assertEquals(slept, [20_000]);
});

Deno.test("a sleep of 10 s or less is not told, nor do short ones add up", () => {
  const clock = new FakeClock();
  const slept: number[] = [];
  using wake = new WakeDetector(clock, (time) => slept.push(time));
  for (let n = 0; n < 5; n++) {
    clock.jump(10_000);
    wake.check();
  }
  assertEquals(slept, []);
  clock.jump(10_001);
  wake.check();
  assertEquals(slept, [10_001]);
});

Deno.test("a wall clock that is set back is no sleep", () => {
  const clock = new FakeClock();
  const slept: number[] = [];
  using wake = new WakeDetector(clock, (time) => slept.push(time));
  clock.jump(-3_600_000);
  wake.check();
  assertEquals(slept, []);
});

Deno.test("a clock of sleep alone is not misled by a wall clock that is set", () => {
  const clock = new FakeClock();
  let asleep = 5000;
  const slept: number[] = [];
  using _ = new WakeDetector(clock, (time) => slept.push(time), () => asleep);
  clock.jump(1e9);
  clock.tick(10_000);
  assertEquals(slept, []);
  asleep += 12_345;
  clock.tick(10_000);
  assertEquals(slept, [12_345]);
});

Deno.test("a disposed detector leaves no timer behind, also when it is disposed by what it tells", () => {
  const clock = new FakeClock();
  const slept: number[] = [];
  const detectors: WakeDetector[] = [];
  detectors.push(
    new WakeDetector(clock, (time) => {
      slept.push(time);
      for (const detector of detectors) detector[Symbol.dispose]();
    }),
  );
  clock.jump(60_000);
  clock.tick(10_000);
  clock.jump(60_000);
  clock.tick(60_000);
  assertEquals([slept, clock.pending], [[60_000], 0]);
});

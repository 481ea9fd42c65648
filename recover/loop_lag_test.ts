import { assertEquals, assertThrows } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { StallingClock } from "../tests/_stalling_clock.ts";
import { loopLag } from "./loop_lag.ts";

Deno.test("loopLag() measures how late its timers are", () => {
  const clock = new StallingClock();
  using lag = loopLag({ interval: 500, clock });
  clock.tick(500);
  clock.stall(300);
  clock.tick(500);
  assertEquals([lag.current, lag.max], [300, 300]);
  for (let i = 0; i < 8; i++) clock.tick(500);
  assertEquals([lag.current, lag.max, lag.percentile(90), lag.percentile(91)], [0, 300, 0, 300]);
});

Deno.test("loopLag() knows that it is late before its timer has fired", () => {
  const clock = new StallingClock();
  using lag = loopLag({ interval: 500, clock });
  clock.stall(800);
  assertEquals(lag.current, 300);
});

Deno.test("loopLag() forgets old measurements", () => {
  const clock = new StallingClock();
  using lag = loopLag({ interval: 500, samples: 3, clock });
  clock.stall(100);
  for (let i = 0; i < 3; i++) clock.tick(500);
  assertEquals(lag.max, 100);
  clock.tick(500);
  assertEquals(lag.max, 0);
});

Deno.test("loopLag() leaves no timer when it is disposed, and says nothing more", () => {
  const clock = new FakeClock();
  const lag = loopLag({ clock });
  clock.tick(700);
  lag[Symbol.dispose]();
  assertEquals(clock.pending, 0);
  clock.tick(10_000);
  assertEquals(lag.current, 0);
});

Deno.test("loopLag() says what is wrong with its options", () => {
  const interval = assertThrows(() => loopLag({ interval: 0 }), RangeError);
  assertEquals(
    interval.message,
    "Cannot measure the event loop's lag: interval must be a finite number above 0, got 0",
  );
  using lag = loopLag({ clock: new FakeClock() });
  const part = assertThrows(() => lag.percentile(101), RangeError);
  assertEquals(part.message, "Cannot tell a percentile: part must be a finite number from 0 to 100, got 101");
});

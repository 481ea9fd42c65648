import { assertEquals, assertThrows } from "@std/assert";
import { StallingClock } from "../tests/_stalling_clock.ts";
import { TestView } from "../tests/_view.ts";
import { type SuspendEvent, suspendWatchdog, type SuspendWatchdogOptions } from "./suspend.ts";

function rig(options: SuspendWatchdogOptions = {}) {
  const clock = new StallingClock({ now: 1_000_000 });
  const watchdog = suspendWatchdog({ clock, ...options });
  const events: SuspendEvent[] = [];
  for (const type of ["wake", "clockjump"] as const) watchdog.on(type, (event) => events.push(event));
  return { clock, watchdog, events, [Symbol.dispose]: () => watchdog[Symbol.dispose]() };
}

Deno.test("suspendWatchdog() says nothing while time passes as it should", () => {
  using all = rig();
  all.clock.tick(60_000);
  assertEquals(all.events, []);
});

Deno.test("suspendWatchdog() tells sleep in which the monotonic clock stood still", () => {
  const network = new TestView();
  using all = rig({ network });
  all.clock.tick(500);
  all.clock.jump(3_600_000);
  all.clock.tick(500);
  assertEquals(all.events, [{ type: "wake", at: 4_601_000, slept: 3_600_000, reason: "asleep" }]);
  assertEquals(network.woken, 1);
  all.clock.tick(10_000);
  assertEquals(all.events.length, 1, "told once");
});

Deno.test("suspendWatchdog() tells that the process stood still while both clocks went on", () => {
  using all = rig();
  all.clock.stall(4000);
  all.clock.tick(1000);
  assertEquals(all.events, [{ type: "wake", at: 1_005_000, slept: 4000, reason: "stalled" }]);
  all.clock.tick(10_000);
  assertEquals(all.events.length, 1, "told once");
});

Deno.test("suspendWatchdog() says nothing of what is within its threshold", () => {
  using all = rig();
  all.clock.jump(2000);
  all.clock.tick(1000);
  all.clock.stall(2000);
  all.clock.tick(1000);
  all.clock.jump(-2000);
  all.clock.tick(1000);
  assertEquals(all.events, []);
});

Deno.test("suspendWatchdog() tells a clock that was set back from sleep", () => {
  using all = rig();
  all.clock.jump(-60_000);
  all.clock.tick(1000);
  assertEquals(all.events, [{ type: "clockjump", at: 941_000, by: -60_000 }]);
});

Deno.test("suspendWatchdog() with a sleep clock tells a clock that was set forward from sleep", () => {
  let asleep = 0;
  using all = rig({ sleepClock: () => asleep });
  all.clock.jump(60_000);
  all.clock.tick(1000);
  assertEquals(all.events, [{ type: "clockjump", at: 1_061_000, by: 60_000 }]);
  asleep += 30_000;
  all.clock.jump(30_000);
  all.clock.tick(1000);
  assertEquals(all.events[1], { type: "wake", at: 1_092_000, slept: 30_000, reason: "asleep" });
  assertEquals(all.events.length, 2);
});

Deno.test("suspendWatchdog() compares at once when it is asked to, and tells nothing twice", () => {
  using all = rig();
  all.clock.tick(300);
  all.clock.jump(5000);
  all.watchdog.check();
  all.clock.stall(6000);
  all.watchdog.check();
  all.clock.tick(5000);
  assertEquals(all.events.map((event) => event.type === "wake" && [event.slept, event.reason]), [
    [5000, "asleep"],
    [5300, "stalled"],
  ]);
});

Deno.test("suspendWatchdog() leaves no timer when it is disposed", () => {
  const all = rig();
  all.clock.tick(1500);
  all[Symbol.dispose]();
  assertEquals(all.clock.pending, 0);
});

Deno.test("suspendWatchdog() says what is wrong with its options", () => {
  const interval = assertThrows(() => suspendWatchdog({ interval: -1 }), RangeError);
  assertEquals(interval.message, "Cannot watch for sleep: interval must be a finite number above 0, got -1");
  const sleepClock = assertThrows(() => suspendWatchdog({ sleepClock: 1 as never }), TypeError);
  assertEquals(sleepClock.message, "Cannot watch for sleep: sleepClock must be a function, got 1");
});

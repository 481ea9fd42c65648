import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { FakeClock } from "../testing/fake_clock.ts";
import { runCode } from "../tests/_code.ts";
import { holdProcess, systemClock, wait } from "./clock.ts";

Deno.test("systemClock.after() calls back once, after that time", () => {
  using time = new FakeTime();
  let fired = 0;
  systemClock.after(1_000, () => fired++);
  time.tick(999);
  assertEquals(fired, 0);
  time.tick(1);
  assertEquals(fired, 1);
  time.tick(5_000);
  assertEquals(fired, 1);
});

Deno.test("a cancelled timer of the systemClock never fires, and cancelling twice is safe", () => {
  using time = new FakeTime();
  let fired = 0;
  const timer = systemClock.after(10, () => fired++);
  timer.cancel();
  timer.cancel();
  time.tick(10);
  assertEquals(fired, 0);
});

Deno.test("systemClock.after() waits longer than the runtime's timers can", () => {
  using time = new FakeTime();
  const days30 = 30 * 24 * 3_600_000;
  const fired: string[] = [];
  const ref = { ref: true };
  systemClock.after(days30, () => fired.push("30 days"), ref);
  const never = systemClock.after(Infinity, () => fired.push("never"), ref);
  const cancelled = systemClock.after(days30, () => fired.push("cancelled"), ref);
  time.tick(days30 - 1);
  assertEquals(fired, []);
  cancelled.cancel();
  time.tick(1);
  assertEquals(fired, ["30 days"]);
  time.tick(100 * days30);
  assertEquals(fired, ["30 days"]);
  never.cancel();
});

Deno.test("a timer under fake time, which the runtime knows nothing of, can be set and cancelled like any other", () => {
  using time = new FakeTime();
  const fired: string[] = [];
  const unknown = systemClock.after(10, () => fired.push("cancelled"), { ref: false });
  systemClock.after(10, () => fired.push("unreferenced"), { ref: false });
  unknown.cancel();
  time.tick(10);
  assertEquals(fired, ["unreferenced"]);
});

Deno.test("systemClock gives the wall clock and a monotonic clock", () => {
  const [wall, monotonic] = [Date.now(), performance.now()];
  assertEquals(Math.abs(systemClock.now() - wall) < 60_000, true);
  assertEquals(systemClock.monotonic() >= monotonic, true);
});

Deno.test("wait() resolves when the time has passed, and leaves nothing behind at the signal", async () => {
  const clock = new FakeClock();
  const controller = new AbortController();
  const waiting = wait(100, { clock, signal: controller.signal });
  clock.tick(100);
  await waiting;
  controller.abort();
  assertEquals(clock.pending, 0);
});

Deno.test("wait() rejects with the signal's reason, and takes its timer along", async () => {
  const clock = new FakeClock();
  const controller = new AbortController();
  const reason = new RangeError("enough");
  const waiting = wait(100, { clock, signal: controller.signal });
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
  assertEquals(clock.pending, 0);
});

Deno.test("wait() sets no timer when the signal is aborted already", async () => {
  const clock = new FakeClock();
  await assertRejects(() => wait(100, { clock, signal: AbortSignal.abort() }), DOMException);
  assertEquals(clock.pending, 0);
});

Deno.test("holdProcess() holds one timer of the given clock until it is disposed", () => {
  const clock = new FakeClock();
  {
    using _hold = holdProcess(clock);
    clock.tick(1e12);
    assertEquals(clock.pending, 1);
  }
  assertEquals(clock.pending, 0);
});

Deno.test("all who hold the process by the systemClock share a timer, which goes soon after the last of them", async () => {
  let timers = 0;
  const { setInterval, clearInterval } = globalThis;
  globalThis.setInterval =
    ((...args: Parameters<typeof setInterval>) => (timers++, setInterval(...args))) as typeof setInterval;
  globalThis.clearInterval = (id) => (timers--, clearInterval(id));
  try {
    const [first, second] = [holdProcess(), holdProcess()];
    assertEquals(timers, 1);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    await turns(100);
    assertEquals(timers, 1, "somebody still holds it");
    second[Symbol.dispose]();
    const third = holdProcess();
    await turns(100);
    assertEquals(timers, 1, "it was taken up again");
    third[Symbol.dispose]();
    await turns(100);
    assertEquals(timers, 0);
    const fourth = holdProcess();
    assertEquals(timers, 1, "the next one has a new timer");
    fourth[Symbol.dispose]();
    await turns(100);
    assertEquals(timers, 0);
  } finally {
    Object.assign(globalThis, { setInterval, clearInterval });
  }
});

Deno.test("who holds the process by timers of a test does not do so when the runtime's are back, and the other way round", async () => {
  const before = holdProcess();
  const time = new FakeTime();
  const within = holdProcess();
  before[Symbol.dispose]();
  await turns(100);
  time.restore();
  const after = holdProcess();
  within[Symbol.dispose]();
  after[Symbol.dispose]();
  // What were left of the runtime's timers, the sanitizers would tell.
  await turns(100);
});

// In the following, a timer that does not count speaks up: it can, only while something else keeps the process alive.

Deno.test("a timer of the systemClock does not keep the process alive unless asked to", async () => {
  const { code, stdout } = await runCode(
    `
    import { systemClock } from "#/internal/clock.ts";
    systemClock.after(3_600_000, () => console.log("an hour later"));
    systemClock.after(10, () => console.log("asked"), { ref: true });
  `,
    { flags: [] },
  );
  assertEquals({ code, stdout }, { code: 0, stdout: "asked\n" });
});

Deno.test("holdProcess() keeps the process alive until it is disposed", async () => {
  const { code, stdout } = await runCode(
    `
    import { holdProcess, systemClock } from "#/internal/clock.ts";
    const hold = holdProcess();
    systemClock.after(50, () => {
      console.log("alive");
      hold[Symbol.dispose]();
      systemClock.after(3_600_000, () => console.log("an hour later"));
    });
  `,
    { flags: [] },
  );
  assertEquals({ code, stdout }, { code: 0, stdout: "alive\n" });
});

Deno.test("wait() keeps the process alive, unless told not to", async () => {
  const { code, stdout } = await runCode(
    `
    import { wait } from "#/internal/clock.ts";
    wait(3_600_000, { ref: false }).then(() => console.log("an hour later"));
    wait(50).then(() => console.log("waited"));
  `,
    { flags: [] },
  );
  assertEquals({ code, stdout }, { code: 0, stdout: "waited\n" });
});

Deno.test("systemClock works where there is no Deno, as in a browser", async () => {
  const { code, stdout } = await runCode(
    `
    const { log } = console;
    delete globalThis.Deno;
    const { systemClock } = await import("#/internal/clock.ts");
    systemClock.after(1, () => log("fired"));
  `,
    { flags: [] },
  );
  assertEquals({ code, stdout }, { code: 0, stdout: "fired\n" });
});

async function turns(count: number): Promise<void> {
  for (let n = 0; n < count; n++) await null;
}

/** What we rely on in `@std/async` and `@std/testing`: holds for the stand-ins in `dev/std/` and for the real library alike. */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { deadline, delay } from "@std/async";
import { deadline as deadlineByPath } from "@std/async/deadline";
import { delay as delayByPath } from "@std/async/delay";
import { FakeTime, TimeError } from "@std/testing/time";

Deno.test("async: delay() resolves after its time, which fake time drives", async () => {
  using time = new FakeTime();
  let done = false;
  const waiting = delay(1000).then(() => done = true);
  await time.tickAsync(999);
  await time.runMicrotasks();
  assertEquals(done, false);
  await time.tickAsync(1);
  await waiting;
  assertEquals(done, true);
  assertStrictEquals(delay, delayByPath);
});

Deno.test("async: delay() is called off by its signal, and leaves no timer", async () => {
  const controller = new AbortController();
  const waiting = delay(1_000_000, { signal: controller.signal });
  const reason = new Error("enough");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
  assertStrictEquals(await assertRejects(() => delay(0, { signal: controller.signal })), reason);
});

Deno.test("async: delay() waits longer than the runtime's timers can", async () => {
  using time = new FakeTime();
  let done = false;
  const long = 2 ** 31 + 5;
  const waiting = delay(long).then(() => done = true);
  await time.tickAsync(long - 1);
  await time.runMicrotasks();
  assertEquals(done, false);
  await time.tickAsync(1);
  await waiting;
});

Deno.test("async: deadline() follows the promise, or rejects when the time is over", async () => {
  assertEquals(await deadline(Promise.resolve(1), 1000), 1);
  assertEquals(await deadline(Promise.resolve(1), Infinity), 1);
  const reason = new Error("why");
  assertStrictEquals(await assertRejects(() => deadline(Promise.reject(reason), 1000)), reason);
  const never = new Promise<never>(() => {});
  const { name } = await assertRejects(() => deadline(never, 1), DOMException);
  assertEquals(name, "TimeoutError");
  const controller = new AbortController();
  const waiting = deadline(never, 1_000_000, { signal: controller.signal });
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
  assertStrictEquals(deadline, deadlineByPath);
});

Deno.test("async: fake time drives deadline() too", async () => {
  using time = new FakeTime();
  const over = assertRejects(() => deadline(new Promise<never>(() => {}), 5000), DOMException);
  await time.tickAsync(5000);
  assertEquals((await over).name, "TimeoutError");
});

Deno.test("testing: fake time stands still until it is moved, and is over when it is restored", () => {
  const { setTimeout: real, Date: RealDate } = globalThis;
  {
    using time = new FakeTime(15_000);
    assertEquals([time.now, time.start, Date.now(), new Date().getTime()], [15_000, 15_000, 15_000, 15_000]);
    assert(new Date() instanceof RealDate);
    assert(new Date() instanceof Date);
    assertEquals(new Date(5).getTime(), 5);
    assertEquals(Date(), new RealDate(15_000).toString());
    time.tick(5);
    assertEquals(Date.now(), 15_005);
    assertThrows(() => time.now = 0, RangeError);
    assertThrows(() => new FakeTime(), TimeError);
  }
  assertStrictEquals(globalThis.setTimeout, real);
  assertStrictEquals(globalThis.Date, RealDate);
  const time = new FakeTime("2020-01-01T00:00:00Z");
  assertEquals(new Date().toISOString(), "2020-01-01T00:00:00.000Z");
  time.restore();
  assertThrows(() => time.restore(), TimeError);
  assertThrows(() => new FakeTime("never"), TypeError);
});

Deno.test("testing: fake timers fire in the order of their time, each at its own", () => {
  using time = new FakeTime(0);
  const fired: unknown[] = [];
  const note = (...what: unknown[]): number => fired.push([Date.now(), ...what]);
  setTimeout(note, 20, "late");
  setTimeout(note, 10, "first", 1);
  setTimeout(note, 10, "second");
  const interval = setInterval(note, 15, "every");
  setTimeout(() => setTimeout(note, 0, "made by a timer"), 5);
  clearTimeout(setTimeout(note, 1, "never"));
  time.tick(9);
  assertEquals(fired, [[5, "made by a timer"]]);
  time.tick(21);
  assertEquals(fired.slice(1), [[10, "first", 1], [10, "second"], [15, "every"], [20, "late"], [
    30,
    "every",
  ]]);
  clearInterval(interval);
  time.tick(100);
  assertEquals(fired.length, 6);
});

Deno.test("testing: next() goes to the next timer, and says when there is none", async () => {
  using time = new FakeTime(0);
  let fired = 0;
  setTimeout(() => fired++, 100);
  setTimeout(() => fired++, 200);
  assertEquals([time.next(), time.now, fired], [true, 100, 1]);
  assertEquals([await time.nextAsync(), time.now, fired], [true, 200, 2]);
  assertEquals([time.next(), time.now, fired], [false, 200, 2]);
  setTimeout(() => setTimeout(() => fired++, 50), 50);
  time.runAll();
  assertEquals([time.now, fired], [300, 3]);
  setTimeout(() => fired++, 50);
  await time.runAllAsync();
  assertEquals([time.now, fired], [350, 4]);
});

Deno.test("testing: a callback that throws stops the time there", () => {
  using time = new FakeTime(0);
  let fired = 0;
  setTimeout(() => {
    throw new Error("why");
  }, 10);
  setTimeout(() => fired++, 20);
  assertThrows(() => time.tick(30), Error, "why");
  assertEquals([time.now, fired], [10, 0]);
  time.tick(10);
  assertEquals([time.now, fired], [20, 1]);
});

Deno.test("testing: promises get their turn before the time moves", async () => {
  using time = new FakeTime(0);
  const order: string[] = [];
  const work = (async () => {
    await Promise.resolve();
    await new Promise((resolve) => setTimeout(resolve, 100));
    order.push("after the timer");
  })();
  await time.tickAsync(100);
  await work;
  assertEquals(order, ["after the timer"]);
});

Deno.test("testing: fake timers bear what is done with real ones", () => {
  using time = new FakeTime();
  let fired = 0;
  const id = setTimeout(() => fired++, 10);
  Deno.unrefTimer(id);
  Deno.refTimer(id);
  clearTimeout(Number(id));
  clearTimeout(undefined);
  clearTimeout(12345);
  time.tick(10);
  assertEquals(fired, 0);
});

Deno.test("testing: AbortSignal.timeout() goes by fake time, and delay() by the real one", async () => {
  using time = new FakeTime();
  const signal = AbortSignal.timeout(50);
  await time.delay(0);
  time.tick(49);
  assertEquals(signal.aborted, false);
  time.tick(1);
  assertEquals(signal.reason.name, "TimeoutError");
});

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { Known, OFFLINE, setup } from "../tests/_retry.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { constant } from "./backoff.ts";
import { budget } from "./budget.ts";
import { retry } from "./retry.ts";
import { RetryError } from "./retry_error.ts";

Deno.test("retry() runs the function once when it succeeds, with the caller's signal", async () => {
  const t = setup([]);
  assertEquals(await t.run(), "attempt 0");
  assertEquals(t.told(), "attempt");
  const { signal } = new AbortController();
  assertStrictEquals(await t.policy.execute((attempt) => attempt.signal, { signal }), signal);
  assertEquals(t.clock.pending, 0);
});

Deno.test("retry() tries again after each wait of its back-off", async () => {
  const t = setup([{}, {}, {}]);
  const result = t.run();
  await t.clock.tickAsync(10_000);
  assertEquals(await result, "attempt 3");
  assertEquals(t.times, [0, 250, 750, 1750]);
  assertEquals(t.told(), "attempt failure attempt failure attempt failure attempt success");
  assertEquals(t.events.filter((event) => event.type === "failure").map(({ next, delay }) => [next, delay]), [
    ["back-off", 250],
    ["back-off", 500],
    ["back-off", 1000],
  ]);
});

Deno.test("retry() gives up after five attempts unless told otherwise, and names what failed last", async () => {
  const t = setup(Array(9).fill({}), { operation: "connect" });
  const rejected = assertRejects(() => t.run(), RetryError);
  await t.clock.tickAsync(60_000);
  const error = await rejected;
  assertEquals(error.message, 'Cannot connect in 5 attempts: refused, "no"');
  const { code, attempts, errors, failure, hint, cause } = error;
  assertEquals([code, attempts, errors.length, hint], ["retries-exhausted", 5, 5, "Start the server"]);
  assertStrictEquals(cause, errors[4]);
  assertStrictEquals(failure?.error, cause);
  assertEquals(t.times.length, 5);
  assertEquals(t.events.at(-1)?.type, "giveup");
});

Deno.test("retry() keeps the last ten errors only", async () => {
  const t = setup(Array(30).fill({}), { maxAttempts: 25, backoff: constant(1) });
  const rejected = assertRejects(() => t.run(), RetryError);
  await t.clock.tickAsync(1000);
  const { attempts, errors, cause } = await rejected;
  assertEquals([attempts, errors.length, errors.at(-1)], [25, 10, cause]);
});

Deno.test("retry() throws at once, as it is, what cannot succeed", async () => {
  for (const before of [0, 2]) {
    const t = setup([...Array(before).fill({}), { retry: "never" }, {}]);
    const rejected = assertRejects(() => t.run(), Known);
    await t.clock.tickAsync(10_000);
    assertEquals((await rejected).failure.retry, "never");
    assertEquals(t.times.length, before + 1);
    const last = t.events.at(-1);
    assert(last?.type === "giveup" && last.reason === "never");
  }
});

Deno.test("retry() never repeats what may have arrived, unless that may happen twice", async () => {
  for (const sent of ["maybe", "yes"] as const) {
    for (const retryIf of [undefined, () => true]) {
      const once = setup([{ sent }], { retryIf });
      const error = await assertRejects(() => once.run(), Known);
      assertEquals([error.failure.sent, once.times.length], [sent, 1]);
      const twice = setup([{ sent }], { retryIf, idempotent: true });
      const result = twice.run();
      await twice.clock.tickAsync(1000);
      assertEquals(await result, "attempt 1");
    }
  }
});

Deno.test("retry() that has given up says that something may have arrived if any attempt may have sent it", async () => {
  const t = setup([{ sent: "no" }, { sent: "maybe" }, { sent: "no" }], { maxAttempts: 3, idempotent: true });
  const rejected = assertRejects(() => t.run(), RetryError);
  await t.clock.tickAsync(1000);
  assertEquals((await rejected).failure?.sent, "maybe");
});

Deno.test("retry() with retryIf decides by that alone", async () => {
  const t = setup([{ retry: "never" }, { kind: "dns" }], { retryIf: ({ kind }) => kind === "refused" });
  const rejected = assertRejects(() => t.run(), Known);
  await t.clock.tickAsync(10_000);
  assertEquals([(await rejected).failure.kind, t.times.length], ["dns", 2]);
});

Deno.test("retry() that allows one attempt throws its error as it is", async () => {
  const t = setup([{}], { maxAttempts: 1 });
  await assertRejects(() => t.run(), Known);
});

Deno.test("retry() tries again without any wait once, then backs off", async () => {
  const t = setup([{ retry: "now" }, { retry: "now" }]);
  const result = t.run();
  await t.clock.tickAsync(0);
  assertEquals(t.times, [0, 0]);
  await t.clock.tickAsync(1000);
  assertEquals(await result, "attempt 2");
  assertEquals(t.times, [0, 0, 250]);
});

Deno.test("retry() that knows of no network backs off also after what only a change of it can help", async () => {
  const t = setup([{ retry: "after-change" }, { ...OFFLINE }]);
  const result = t.run();
  await t.clock.tickAsync(1000);
  assertEquals(await result, "attempt 2");
  assertEquals(t.times, [0, 250, 750]);
});

Deno.test("retry() leaves the other end alone for as long as it asked, and a little more", async () => {
  const t = setup([{ retryAfter: 20_000 }, { retryAfter: 1e9 }, { retryAfter: 0 }]);
  const result = t.run();
  await t.clock.tickAsync(400_000);
  assertEquals(await result, "attempt 3");
  // Half of a tenth by chance, at most five minutes; and never less than the back-off.
  assertEquals(t.times, [0, 21_000, 21_000 + 315_000, 336_000 + 1000]);
});

Deno.test("retry() starts no attempt after its deadline", async () => {
  const t = setup(Array(99).fill({}), { deadline: 1000, maxAttempts: Infinity });
  const rejected = assertRejects(() => t.run(), RetryError);
  await t.clock.tickAsync(750);
  const error = await rejected;
  // The next attempt would have been at 1750.
  assertEquals(t.times, [0, 250, 750]);
  assertEquals([error.code, error.message], [
    "deadline",
    'Cannot succeed within 1000 ms and 3 attempts: refused, "no"',
  ]);
});

Deno.test("retry() asks the budget before each extra attempt, and stops when there is none left", async () => {
  const clock = new FakeClock();
  const shared = budget({ ratio: 0, min: 2, clock });
  const t = setup([{}, {}, {}], { budget: shared, clock });
  const rejected = assertRejects(() => t.run(), RetryError);
  await clock.tickAsync(5000);
  const error = await rejected;
  assertEquals([error.code, error.attempts], ["budget", 3]);
  assertEquals(error.message, 'Cannot succeed in 3 attempts, and the budget allows no other: refused, "no"');
  assertEquals(shared.balance, 0);
});

Deno.test("retry() counts each first attempt in the budget", async () => {
  const clock = new FakeClock();
  const shared = budget({ ratio: 0.5, min: 0, clock });
  const t = setup([], { budget: shared, clock });
  for (let i = 0; i < 4; i++) await t.policy.execute(() => i);
  assertEquals(shared.balance, 2);
});

Deno.test("retry() without a network backs off where a change would be waited for", async () => {
  const t = setup([OFFLINE, OFFLINE], { maxAttempts: 2 });
  const rejected = assertRejects(() => t.run(), RetryError);
  await t.clock.tickAsync(300);
  assertEquals((await rejected).attempts, 2);
  assertEquals(t.times, [0, 250]);
});

Deno.test("retry().wake() makes all who wait try now", async () => {
  const t = setup([{ retryAfter: 100_000 }]);
  const result = t.run();
  await t.clock.tickAsync(1000);
  t.policy.wake();
  assertEquals(await result, "attempt 1");
  assertEquals(t.times, [0, 1000]);
  assertEquals(t.clock.pending, 0);
});

Deno.test("retry() ends any wait at once with the signal's reason", async () => {
  const reason = new Error("enough");
  const t = setup([{}]);
  assertStrictEquals(await assertRejects(() => t.run(AbortSignal.abort(reason))), reason);
  assertEquals(t.times, []);
  const controller = new AbortController();
  const rejected = assertRejects(() => t.run(controller.signal));
  await t.clock.tickAsync(100);
  controller.abort(reason);
  assertStrictEquals(await rejected, reason);
  assertEquals([t.times.length, t.clock.pending], [1, 0]);
});

Deno.test("retry() does not try again after the signal was aborted, whatever the function threw", async () => {
  const reason = new Error("enough");
  const controller = new AbortController();
  const t = setup([]);
  const rejected = await assertRejects(() =>
    t.policy.execute(() => {
      controller.abort(reason);
      throw new Known({ retry: "never" });
    }, { signal: controller.signal })
  );
  assertStrictEquals(rejected, reason);
});

Deno.test("retry() knows failures by itself", async () => {
  const clock = new FakeClock();
  const policy = retry({ clock, random: () => 0.5 });
  const result = policy.execute(({ attempt }) => {
    if (attempt === 0) throw new Deno.errors.ConnectionRefused("nobody listens");
    return attempt;
  });
  await clock.tickAsync(1000);
  assertEquals(await result, 1);
});

Deno.test("retry() does not tell a handler that has been disposed", async () => {
  const t = setup([]);
  const seen: number[] = [];
  const registration = t.policy.on("attempt", ({ attempt }) => void seen.push(attempt));
  await t.policy.execute(() => 1);
  registration[Symbol.dispose]();
  await t.policy.execute(() => 1);
  assertEquals(seen, [0]);
});

Deno.test("retry() refuses options that make no sense, and says what it got", () => {
  assertThrows(() => retry({ maxAttempts: 0 }), RangeError, "maxAttempts");
  assertThrows(() => retry({ maxAttempts: 2.5 }), RangeError, "2.5");
  assertThrows(() => retry({ deadline: -1 }), RangeError, "deadline");
  assertThrows(() => retry({ maxRetryAfter: NaN }), RangeError, "maxRetryAfter");
  assertThrows(() => retry({ safetyPoll: 0 }), RangeError, "safetyPoll");
  assertThrows(() => retry({ wakeSpread: -1 }), RangeError, "wakeSpread");
  assertThrows(() => retry({ gateLimit: Infinity }), RangeError, "gateLimit");
});

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { silentLogger } from "../internal/log.ts";
import { setLogger } from "../internal/log.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { madeUp, MadeUpError } from "../tests/_failures.ts";
import { budget } from "./budget.ts";
import { hedge, type HedgeEvent, type HedgeOptions, type HedgePolicy } from "./hedge.ts";
import type { Attempt } from "./policy.ts";

interface Call {
  readonly signal: AbortSignal;
  readonly attempt: number;
  resolve(value: string): void;
  reject(error: unknown): void;
}

/** Work whose attempts end when the test says so. */
function rig(options: Partial<HedgeOptions> = {}): {
  readonly clock: FakeClock;
  readonly policy: HedgePolicy;
  readonly calls: Call[];
  readonly reasons: HedgeEvent["reason"][];
  readonly work: (attempt: Attempt) => Promise<string>;
} {
  const clock = new FakeClock();
  const policy = hedge({ idempotent: true, delay: 100, classify: madeUp, clock, ...options });
  const calls: Call[] = [];
  const reasons: HedgeEvent["reason"][] = [];
  policy.on("hedge", ({ reason }) => reasons.push(reason));
  const work = ({ signal, attempt }: Attempt): Promise<string> => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    calls.push({ signal, attempt, resolve, reject });
    return promise;
  };
  return { clock, policy, calls, reasons, work };
}

Deno.test("hedge() leaves a fast attempt alone", async () => {
  const { clock, policy, calls, work } = rig();
  const result = policy.execute(work, { attempt: 2 });
  await clock.tickAsync(99);
  calls[0]?.resolve("first");
  assertEquals(await result, "first");
  assertEquals([calls.length, calls[0]?.attempt, calls[0]?.signal.aborted, clock.pending], [1, 2, false, 0]);
});

Deno.test("hedge() starts another attempt beside a slow one, and the first success wins", async () => {
  const { clock, policy, calls, reasons, work } = rig();
  const result = policy.execute(work);
  await clock.tickAsync(100);
  assertEquals(calls.map(({ attempt }) => attempt), [0, 1]);
  calls[1]?.resolve("second");
  assertEquals(await result, "second");
  assertEquals(calls.map(({ signal }) => signal.aborted), [true, false]);
  assertEquals([reasons, clock.pending], [["slow"], 0]);
});

Deno.test("hedge() starts no more attempts than it may", async () => {
  const { clock, policy, calls, work } = rig({ maxHedges: 2 });
  const result = policy.execute(work);
  await clock.tickAsync(100_000);
  assertEquals(calls.length, 3);
  calls[0]?.resolve("late");
  assertEquals(await result, "late");
  assertEquals(calls.map(({ signal }) => signal.aborted), [false, true, true]);
  assertEquals(clock.pending, 0);
});

Deno.test("hedge() starts the next attempt at once when one fails", async () => {
  const { clock, policy, calls, reasons, work } = rig();
  const result = policy.execute(work);
  calls[0]?.reject(new MadeUpError({}));
  await clock.tickAsync(0);
  assertEquals([calls.length, reasons], [2, ["failed"]]);
  calls[1]?.resolve("second");
  assertEquals(await result, "second");
  assertEquals(clock.pending, 0);
});

Deno.test("hedge() does not try again what can never succeed", async () => {
  const { clock, policy, calls, work } = rig();
  const never = new MadeUpError({ retry: "never" });
  const result = assertRejects(() => policy.execute(work));
  calls[0]?.reject(never);
  assertStrictEquals(await result, never);
  assertEquals([calls.length, clock.pending], [1, 0]);
});

Deno.test("hedge() fails with all that its attempts threw", async () => {
  const { clock, policy, calls, work } = rig();
  const errors = [new MadeUpError({}), new MadeUpError({})];
  const result = assertRejects(() => policy.execute(work), AggregateError);
  await clock.tickAsync(100);
  calls[1]?.reject(errors[0]);
  calls[0]?.reject(errors[1]);
  const error = await result;
  assertEquals(error.message, "Cannot succeed by hedging: all 2 attempts have failed");
  assert(error.errors.every((each, i) => each === errors[i]));
  assertEquals(clock.pending, 0);
});

Deno.test("hedge() waits for a running attempt when another one fails", async () => {
  const { clock, policy, calls, work } = rig();
  const result = policy.execute(work);
  await clock.tickAsync(100);
  calls[0]?.reject(new MadeUpError({}));
  await clock.tickAsync(0);
  calls[1]?.resolve("second");
  assertEquals(await result, "second");
});

Deno.test("hedge() observes losers: their errors harm nobody, their values are discarded", async () => {
  const discarded: unknown[] = [];
  const { clock, policy, calls, work } = rig({ maxHedges: 2, discard: (value) => discarded.push(value) });
  const result = policy.execute(work);
  await clock.tickAsync(200);
  calls[0]?.resolve("first");
  calls[1]?.reject(new Error("aborted"));
  calls[2]?.resolve("third");
  assertEquals(await result, "first");
  await clock.tickAsync(0);
  assertEquals(discarded, ["third"]);
});

Deno.test("hedge() reports what the option discard throws", async () => {
  const reported: unknown[] = [];
  setLogger({ ...silentLogger, error: (_, error) => reported.push(error) });
  try {
    const mistake = new Error("mistake");
    const discard = (): never => {
      throw mistake;
    };
    const { clock, policy, calls, work } = rig({ discard });
    const result = policy.execute(work);
    await clock.tickAsync(100);
    calls[0]?.resolve("first");
    calls[1]?.resolve("second");
    assertEquals(await result, "first");
    await clock.tickAsync(0);
    assertEquals(reported, [mistake]);
  } finally {
    setLogger(undefined);
  }
});

Deno.test("hedge() ends with the caller's reason, and aborts all attempts", async () => {
  const { clock, policy, calls, work } = rig();
  const caller = new AbortController();
  const reason = new Error("enough");
  const result = assertRejects(() => policy.execute(work, { signal: caller.signal }));
  await clock.tickAsync(100);
  caller.abort(reason);
  assertStrictEquals(await result, reason);
  assertEquals(calls.map(({ signal }) => signal.reason), [reason, reason]);
  assertEquals(clock.pending, 0);
  const again = await assertRejects(() => policy.execute(work, { signal: caller.signal }));
  assertStrictEquals(again, reason);
  assertEquals(calls.length, 2);
});

Deno.test("hedge() asks its budget for each extra attempt, and is content without", async () => {
  const shared = budget({ ratio: 0, min: 1, clock: new FakeClock() });
  const { clock, policy, calls, work } = rig({ budget: shared });
  const results = [policy.execute(work), policy.execute(work)];
  await clock.tickAsync(100);
  assertEquals(calls.length, 3);
  for (const call of calls) call.resolve("fine");
  assertEquals(await Promise.all(results), ["fine", "fine"]);
  assertEquals(clock.pending, 0);
});

Deno.test("hedge() without budget left throws what its only attempt threw", async () => {
  const shared = budget({ ratio: 0, min: 0, clock: new FakeClock() });
  const { policy, calls, work } = rig({ budget: shared });
  const thrown = new MadeUpError({});
  const result = assertRejects(() => policy.execute(work));
  calls[0]?.reject(thrown);
  assertStrictEquals(await result, thrown);
  assertEquals(calls.length, 1);
});

Deno.test("hedge() counts a call as a deposit unless another policy is around it, or it was told", async () => {
  let deposits = 0;
  const counting = { deposit: () => void deposits++, withdraw: () => true, balance: 1 };
  await rig({ budget: counting }).policy.execute(() => 1);
  assertEquals(deposits, 1);
  await rig({ budget: counting }).policy.execute(() => 1, { attempt: 0 });
  assertEquals(deposits, 1);
  await rig({ budget: counting, deposit: true }).policy.execute(() => 1, { attempt: 0 });
  assertEquals(deposits, 2);
  await rig({ budget: counting, deposit: false }).policy.execute(() => 1);
  assertEquals(deposits, 2);
});

Deno.test("hedge() learns its delay from how long first attempts take", async () => {
  const { clock, policy, calls, work } = rig({ delay: "p90", initialDelay: 500 });
  assertEquals(policy.delay, 500);
  for (let i = 1; i <= 10; i++) {
    const result = policy.execute(work);
    await clock.tickAsync(i * 10);
    calls.at(-1)?.resolve("fine");
    await result;
  }
  assertEquals(policy.delay, 90);
  const result = policy.execute(work);
  await clock.tickAsync(89);
  assertEquals(calls.length, 11);
  await clock.tickAsync(1);
  assertEquals(calls.length, 12);
  calls.at(-1)?.resolve("fine");
  await result;
});

Deno.test("hedge() says what is wrong with its options", () => {
  const cases: [Partial<HedgeOptions>, typeof RangeError | typeof TypeError, string][] = [
    [
      { idempotent: "yes" as never },
      TypeError,
      'idempotent must be true, as work may be done twice, got "yes"',
    ],
    [{ delay: -1 }, RangeError, "delay must be a finite number from 0, got -1"],
    [{ delay: "p0" }, RangeError, 'delay must be milliseconds or a part such as "p95", got "p0"'],
    [{ delay: "fast" as "p1" }, RangeError, 'delay must be milliseconds or a part such as "p95", got "fast"'],
    [{ maxHedges: 0 }, RangeError, "maxHedges must be a whole number from 1, got 0"],
    [{ initialDelay: NaN }, RangeError, "initialDelay must be a finite number from 0, got NaN"],
    [{ discard: 1 as never }, TypeError, "discard must be a function, got 1"],
  ];
  for (const [options, kind, message] of cases) {
    const error = assertThrows(() => hedge({ idempotent: true, ...options }), kind);
    assertEquals(error.message, `Cannot make a hedge: ${message}`);
  }
});

Deno.test("hedge() starts nothing more once it was called off, be it by the work itself or by who listens", async () => {
  const { clock, policy, calls, work } = rig();
  const first = new AbortController();
  const byWork = policy.execute((attempt) => {
    first.abort(new Error("by the work"));
    return work(attempt);
  }, { signal: first.signal });
  await assertRejects(() => byWork, Error, "by the work");
  assertEquals([calls.length, calls[0]?.signal.aborted, clock.pending], [1, true, 0]);

  const second = new AbortController();
  policy.on("hedge", () => second.abort(new Error("by who listens")));
  const byListener = policy.execute(work, { signal: second.signal });
  const rejected = assertRejects(() => byListener, Error, "by who listens");
  await clock.tickAsync(100);
  await rejected;
  assertEquals([calls.length, clock.pending], [2, 0]);
});

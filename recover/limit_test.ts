import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FakeClock } from "../testing/fake_clock.ts";
import { runCode } from "../tests/_code.ts";
import { scale, seed } from "../tests/_require.ts";
import { classify } from "./classify.ts";
import { limit, LimitFullError, type LimitPolicy } from "./limit.ts";

/** Begins a call that ends when the test says so. */
function begin(policy: LimitPolicy, log: string[], name: string, signal?: AbortSignal) {
  const { promise, resolve } = Promise.withResolvers<string>();
  const result = policy.execute(() => (log.push(name), promise), { signal });
  result.catch(() => {});
  return { result, end: () => resolve(name) };
}

/** Lets what follows by promises alone happen. */
async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

Deno.test("limit() lets so many run, makes so many wait in order, and turns the others away", async () => {
  const clock = new FakeClock();
  const policy = limit({ concurrency: 2, queue: 2, clock });
  const log: string[] = [];
  let full = 0;
  using _ = policy.on("full", () => full++);
  const [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map((name) => begin(policy, log, name));
  assertEquals([policy.running, policy.queued, full, log], [2, 2, 1, ["a", "b"]]);
  const error = await assertRejects(() => e?.result ?? Promise.resolve(), LimitFullError);
  assertEquals([error.code, error.message], [
    "limit-full",
    "Cannot begin another call: 2 run and 2 wait already",
  ]);
  assertEquals([classify(error).kind, classify(error).sent], ["exhausted", "no"]);
  b?.end();
  await settled();
  assertEquals(log, ["a", "b", "c"]);
  for (const call of [a, c, d]) call?.end();
  assertEquals(await Promise.all([a, b, c, d].map((call) => call?.result)), ["a", "b", "c", "d"]);
  assertEquals([policy.running, policy.queued, clock.pending], [0, 0, 0]);
});

Deno.test("limit() has no queue unless told", async () => {
  const policy = limit({ concurrency: 1 });
  const first = begin(policy, [], "a");
  await assertRejects(() => policy.execute(() => {}), LimitFullError);
  first.end();
  await first.result;
});

Deno.test("limit() frees the place of a call that fails", async () => {
  const policy = limit({ concurrency: 1 });
  const thrown = new Error("no");
  const fail = (): never => {
    throw thrown;
  };
  assertStrictEquals(await assertRejects(() => policy.execute(fail)), thrown);
  assertEquals(await policy.execute(({ attempt }) => attempt, { attempt: 5 }), 5);
});

Deno.test("limit() takes who gives up out of the queue at once", async () => {
  const clock = new FakeClock();
  const policy = limit({ concurrency: 1, queue: 1, clock });
  const log: string[] = [];
  const first = begin(policy, log, "a");
  const caller = new AbortController();
  const second = begin(policy, log, "b", caller.signal);
  const reason = new Error("enough");
  caller.abort(reason);
  assertStrictEquals(await assertRejects(() => second.result), reason);
  assertEquals([policy.queued, clock.pending], [0, 0]);
  const third = begin(policy, log, "c");
  first.end();
  third.end();
  await third.result;
  assertEquals([log, policy.running], [["a", "c"], 0]);
});

Deno.test("limit() does not begin a call whose caller gives up as its turn comes", async () => {
  const policy = limit({ concurrency: 1, queue: 2, clock: new FakeClock() });
  const log: string[] = [];
  const first = begin(policy, log, "a");
  const caller = new AbortController();
  const second = begin(policy, log, "b", caller.signal);
  const third = begin(policy, log, "c");
  first.end();
  // Between the end of the first call and the beginning of the second.
  queueMicrotask(() => caller.abort("enough"));
  third.end();
  assertEquals(await second.result.catch((reason) => reason), "enough");
  assertEquals(await third.result, "c");
  assertEquals([log, policy.running], [["a", "c"], 0]);
});

Deno.test("limit() does not begin, nor take a place, once the caller has given up", async () => {
  const policy = limit({ concurrency: 1 });
  const signal = AbortSignal.abort("enough");
  assertEquals(await policy.execute(() => {}, { signal }).catch((reason) => reason), "enough");
  assertEquals(policy.running, 0);
});

Deno.test("limit() never has more running or waiting than it should, and serves in order", async () => {
  const step = fc.record({
    type: fc.constantFrom("begin" as const, "begin" as const, "end" as const, "abort" as const),
    which: fc.nat(9),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step), async (steps) => {
      const clock = new FakeClock();
      const policy = limit({ concurrency: 2, queue: 3, clock });
      const log: string[] = [];
      const calls: (ReturnType<typeof begin> & { caller: AbortController; name: string })[] = [];
      const aborted = new Set<string>();
      for (const [i, { type, which }] of steps.entries()) {
        const call = calls[which];
        if (type === "begin") {
          const caller = new AbortController();
          calls.push({ ...begin(policy, log, `${i}`, caller.signal), caller, name: `${i}` });
        } else if (type === "end") call?.end();
        else if (call) {
          aborted.add(call.name);
          call.caller.abort();
        }
        await settled();
        assert(policy.running <= 2 && policy.queued <= 3);
        assert(policy.queued === 0 || policy.running === 2, "nobody waits beside a free place");
      }
      assertEquals(log, log.toSorted((a, b) => Number(a) - Number(b)), "in order");
      for (const { end } of calls) end();
      await settled();
      assertEquals([policy.running, policy.queued, clock.pending], [0, 0, 0]);
    }),
    { numRuns: scale(50), seed: seed() },
  );
});

Deno.test("limit() keeps the process alive while somebody waits for his turn", async () => {
  const { code, stdout } = await runCode(`
    import { limit } from "#/recover/limit.ts";
    const policy = limit({ concurrency: 1, queue: 1 });
    const { promise, resolve } = Promise.withResolvers();
    policy.execute(() => promise);
    Deno.unrefTimer(setTimeout(resolve, 200));
    await policy.execute(() => console.log("my turn"));
  `);
  assertEquals([code, stdout], [0, "my turn\n"]);
});

Deno.test("limit() says what is wrong with its options", () => {
  const none = assertThrows(() => limit({ concurrency: 0 }), RangeError);
  assertEquals(none.message, "Cannot make a limit: concurrency must be a whole number from 1, got 0");
  const queue = assertThrows(() => limit({ concurrency: 1, queue: -1 }), RangeError);
  assertEquals(queue.message, "Cannot make a limit: queue must be a whole number from 0, got -1");
});

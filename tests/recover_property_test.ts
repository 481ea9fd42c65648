import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { wait } from "../internal/clock.ts";
import { type Backoff, constant, custom, delayOf, exponential, linear } from "../recover/backoff.ts";
import { breaker } from "../recover/breaker.ts";
import { budget } from "../recover/budget.ts";
import type { Failure } from "../recover/failure.ts";
import { type Attempt, compose } from "../recover/policy.ts";
import { retry } from "../recover/retry.ts";
import { RetryError } from "../recover/retry_error.ts";
import { timeout } from "../recover/timeout.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { chance } from "./_chance.ts";
import { countedSignal } from "./_counted_signal.ts";
import { NetworkSwitch } from "./_network_switch.ts";
import { scale, seed } from "./_require.ts";
import { Known, known, OFFLINE } from "./_retry.ts";
import { VirtualTime } from "./_virtual_time.ts";

/** fast-check prints the seed and the counterexample on failure. */
async function check<T extends [unknown, ...unknown[]]>(
  runs: number,
  property: fc.IProperty<T> | fc.IAsyncProperty<T>,
): Promise<void> {
  await fc.assert(property as fc.IAsyncProperty<T>, { seed: seed(), numRuns: scale(runs) });
}

const anyTime = fc.oneof(fc.nat({ max: 100_000 }), fc.double({ min: 0, max: 1e12, noNaN: true }));
const anyJitter = fc.constantFrom("full" as const, "equal" as const, "none" as const);

/** A back-off, and the longest wait it may tell. */
const anyBackoff: fc.Arbitrary<readonly [Backoff, number]> = fc.oneof(
  fc.record({
    initial: anyTime,
    max: anyTime,
    factor: fc.double({ min: 1, max: 1e6, noNaN: true }),
    jitter: fc.oneof(anyJitter, fc.constant("decorrelated" as const)),
  }).map((options) => [exponential(options), options.max] as const),
  fc.record({ initial: anyTime, step: anyTime, max: anyTime, jitter: anyJitter })
    .map((options) => [linear(options), options.max] as const),
  fc.tuple(anyTime, anyJitter).map(([delay, jitter]) => [constant(delay, jitter), delay] as const),
  anyTime.map((delay) => [custom((attempt) => delay / (attempt + 1)), delay] as const),
);

Deno.test("property: a wait of any back-off is a number from 0 to its limit", async () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  await check(
    2000,
    fc.property(
      anyBackoff,
      fc.nat({ max: 1_000_000 }),
      anyTime,
      random,
      ([backoff, max], attempt, last, r) => {
        const delay = delayOf(backoff, attempt, last, () => r);
        assert(delay >= 0 && delay <= max, `${delay} of at most ${max}`);
      },
    ),
  );
});

Deno.test("property: within its window, a budget allows its part of the first attempts or its minimum, and no more", async () => {
  const step = fc.oneof(
    fc.constant("deposit" as const),
    fc.constant("withdraw" as const),
    fc.nat({ max: 2500 }),
  );
  await check(
    500,
    fc.property(
      fc.array(step, { maxLength: 300 }),
      fc.constantFrom(0, 0.1, 0.25, 1),
      fc.nat({ max: 5 }),
      (steps, ratio, min) => {
        const clock = new FakeClock();
        const shared = budget({ ratio, min, window: 10_000, clock });
        const log = { deposit: [] as number[], withdraw: [] as number[] };
        for (const what of steps) {
          const now = clock.monotonic();
          if (typeof what === "number") clock.tick(what);
          else if (what === "deposit") log.deposit.push(now), shared.deposit();
          else {
            // The window moves on by a tenth at a time.
            const since = Math.floor(now / 1000) * 1000 - 9000;
            const count = (times: number[]): number => times.filter((time) => time >= since).length;
            const allowed = count(log.withdraw) + 1 <= Math.max(min, ratio * count(log.deposit));
            assertEquals(shared.withdraw(), allowed);
            if (allowed) log.withdraw.push(now);
          }
        }
        assert(log.withdraw.length <= ratio * log.deposit.length + min * (1 + clock.monotonic() / 9000));
      },
    ),
  );
});

/** One thing that a function does: fail (or succeed) after a time. */
interface Step {
  readonly takes: number;
  readonly failure: Partial<Failure> | null;
}

const anyFailure: fc.Arbitrary<Partial<Failure>> = fc.constantFrom<Partial<Failure>>(
  {},
  OFFLINE,
  { retry: "now" },
  { retry: "after-change", kind: "unreachable" },
  { retryAfter: 1500 },
);
const anyStep: fc.Arbitrary<Step> = fc.record({
  takes: fc.constantFrom(0, 1, 40, 900, 4000),
  failure: fc.option(anyFailure, { freq: 6 }),
});

/** What the network does, and when. */
const anyChanges = fc.array(
  fc.record({ after: fc.nat({ max: 45_000 }), network: fc.constantFrom(null, null, 1, 1, 2) }),
  { maxLength: 12 },
);

/** Does one step after the other, the last one again and again; obeys its signal. */
function script(steps: readonly Step[], clock: VirtualTime, begun: () => void = () => {}) {
  let next = 0;
  return async ({ signal }: Attempt): Promise<string> => {
    begun();
    const step = steps[Math.min(next++, steps.length - 1)];
    if (step && step.takes > 0) await wait(step.takes, { signal, clock });
    if (step?.failure) throw new Known(step.failure);
    return "done";
  };
}

function change(
  network: NetworkSwitch,
  clock: VirtualTime,
  changes: readonly { after: number; network: number | null }[],
) {
  let at = 0;
  for (const one of changes) clock.after(at += one.after, () => network.set(one.network));
}

Deno.test("property: composed policies obey an abort at any moment, and leave nothing", async () => {
  await check(
    400,
    fc.asyncProperty(
      fc.array(anyStep, { minLength: 1, maxLength: 6 }),
      anyChanges,
      fc.boolean(),
      fc.boolean(),
      fc.nat({ max: 60_000 }),
      fc.nat({ max: 40 }),
      async (steps, changes, online, gated, at, microtasks) => {
        const clock = new VirtualTime();
        const network = new NetworkSwitch(online);
        change(network, clock, changes);
        const ready = gated ? (signal: AbortSignal) => wait(700, { signal, clock }) : undefined;
        const random = chance(at);
        const policy = compose(
          retry({ network, clock, ready, random, classify: known, maxAttempts: Infinity, idempotent: true }),
          breaker({ network, clock, classify: known, consecutive: 3 }),
          timeout(2000, { clock }),
        );
        const counted = countedSignal();
        const { signal } = counted.controller;
        const reason = new Error("enough");
        let outcome: unknown;
        policy.execute(script(steps, clock), { signal }).then((value) => outcome = value, (e) => outcome = e);
        await clock.run(at);
        // In the middle of what follows from a timer, too.
        clock.step();
        for (let i = 0; i < microtasks; i++) await Promise.resolve();
        const before = outcome;
        counted.controller.abort(reason);
        await clock.settle();
        assert(outcome !== undefined);
        if (before === undefined && outcome !== "done") assertStrictEquals(outcome, reason);
        assertEquals(counted.count, 0);
        // Nobody listens but networkKey() and the breaker, once for the life of the view.
        assert(network.listeners <= 2, `${network.listeners} listeners`);
        await clock.run(at + 1e6);
        assertEquals(clock.pending, 0);
      },
    ),
  );
});

Deno.test("property: no attempt without a network but the safety poll, and none after the deadline", async () => {
  await check(
    300,
    fc.asyncProperty(
      fc.array(anyStep, { minLength: 1, maxLength: 6 }),
      anyChanges,
      fc.boolean(),
      fc.nat({ max: 200_000 }),
      async (steps, changes, online, deadline) => {
        const clock = new VirtualTime();
        const network = new NetworkSwitch(online);
        change(network, clock, changes);
        const options = {
          network,
          clock,
          deadline,
          classify: known,
          idempotent: true,
          random: chance(deadline),
        };
        const policy = retry({ ...options, maxAttempts: Infinity, backoff: exponential({ initial: 100 }) });
        // When the last attempt ended.
        let last = 0;
        const wrong: string[] = [];
        const work = script(steps, clock, () => {
          const now = clock.monotonic();
          // Collected, for what is thrown in here is one more failure to the policy.
          const quiet = now - last;
          if (now > deadline) wrong.push(`at ${now} ms, deadline ${deadline} ms`);
          if (!network.state.online && quiet < 30_000) wrong.push(`without network after ${quiet} ms`);
        });
        const result = policy.execute(async (attempt) => {
          try {
            return await work(attempt);
          } finally {
            last = clock.monotonic();
          }
        });
        const ended = result.then(() => null, (error: unknown) => ({ error, at: clock.monotonic() }));
        await clock.run();
        const end = await ended;
        assertEquals(wrong, []);
        if (end) {
          assert(end.error instanceof RetryError, String(end.error));
          assertEquals(end.error.code, "deadline");
          assert(end.at <= deadline + 4000);
        }
        assertEquals(clock.pending, 0);
      },
    ),
  );
});

Deno.test("property: a network that flaps every 300 ms for 30 s causes 15 attempts at most, and one soon after", async () => {
  await check(
    200,
    fc.asyncProperty(
      fc.array(fc.record({ takes: fc.nat({ max: 1500 }), failure: anyFailure }), {
        minLength: 1,
        maxLength: 9,
      }),
      fc.nat(),
      async (steps, which) => {
        const clock = new VirtualTime();
        const network = new NetworkSwitch(false);
        const policy = retry({
          network,
          clock,
          classify: known,
          random: chance(which),
          maxAttempts: Infinity,
        });
        for (let at = 0; at < 30_000; at += 300) {
          clock.after(at, () => network.set(at % 600 === 0 ? 1 : null));
        }
        let attempts = 0;
        let healed = Infinity;
        const flaky = script(steps, clock, () => void attempts++);
        const result = policy.execute(async (attempt) =>
          clock.monotonic() >= healed ? "done" : await flaky(attempt)
        );
        await clock.run(30_000);
        assert(attempts <= 15, `${attempts} attempts`);
        network.set(1);
        healed = clock.monotonic();
        await clock.run(healed + 31_700);
        assertEquals(await result, "done");
      },
    ),
  );
});

Deno.test("10,000 composed calls leave no timer, listener or descriptor", async () => {
  const clock = new VirtualTime();
  const network = new NetworkSwitch(true);
  const policy = compose(
    retry({
      network,
      clock,
      classify: known,
      budget: budget({ ratio: 1, clock }),
      ready: () => Promise.resolve(),
    }),
    breaker({ network, clock, classify: known, consecutive: 1e9 }),
    timeout(1000, { clock }),
  );
  const counted = countedSignal();
  const { signal } = counted.controller;
  const descriptors = (): number =>
    Deno.build.os === "linux" ? [...Deno.readDirSync("/proc/self/fd")].length : 0;
  const before = descriptors();
  for (let round = 0; round < 100; round++) {
    const results = Array.from({ length: 100 }, (_, n) =>
      policy.execute(async ({ attempt, signal }) => {
        if (n % 2 === 0) return attempt;
        await wait(5, { signal, clock });
        if (attempt === 0) throw new Known(n % 3 === 0 ? OFFLINE : {});
        return attempt;
      }, { signal }));
    if (round % 10 === 5) {
      network.set(null);
      await clock.run(clock.monotonic() + 3);
      network.set(1);
    }
    await clock.run();
    assertEquals((await Promise.all(results)).filter((attempt) => attempt === 1).length, 50);
  }
  assertEquals([counted.count, clock.pending, descriptors()], [0, 0, before]);
  assert(network.listeners <= 2, `${network.listeners} listeners`);
});

Deno.test("what cannot succeed, or may have arrived, is not sent again", async () => {
  const failures: Partial<Failure>[] = [{ retry: "never" }, { sent: "maybe" }, { sent: "yes" }];
  for (const failure of failures) {
    const clock = new VirtualTime();
    let calls = 0;
    const policy = retry({ clock, classify: known, network: new NetworkSwitch(true) });
    await assertRejects(() =>
      policy.execute(() => {
        calls++;
        throw new Known(failure);
      }), Known);
    assertEquals([calls, clock.pending], [1, 0]);
  }
});

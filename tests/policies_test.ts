/** All policies put together: what ten thousand calls leave behind, and whether each wait can be called off. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import type { Clock } from "../internal/clock.ts";
import { systemClock } from "../internal/clock.ts";
import { breaker } from "../recover/breaker.ts";
import { budget } from "../recover/budget.ts";
import { fallback } from "../recover/fallback.ts";
import { hedge } from "../recover/hedge.ts";
import { limit, type LimitPolicy } from "../recover/limit.ts";
import { type Attempt, compose, type Policy } from "../recover/policy.ts";
import { retry } from "../recover/retry.ts";
import { timeout } from "../recover/timeout.ts";
import { constant } from "../recover/backoff.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { scale, seed } from "./_require.ts";

/** A signal that knows how many listeners it has. */
function countedSignal(): { readonly controller: AbortController; readonly listeners: Set<unknown> } {
  const controller = new AbortController();
  const listeners = new Set<unknown>();
  const { signal } = controller;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (type: string, listener: EventListener, options?: AddEventListenerOptions) => {
    listeners.add(listener);
    addEventListener.call(signal, type, listener, options);
  };
  signal.removeEventListener = (type: string, listener: EventListener) => {
    listeners.delete(listener);
    removeEventListener.call(signal, type, listener);
  };
  return { controller, listeners };
}

function everything(clock: Clock): { readonly policy: Policy; readonly bulkhead: LimitPolicy } {
  const bulkhead = limit({ concurrency: 8, queue: 16, clock });
  const policy = compose(
    fallback(() => "fallback", { when: ({ kind }) => kind !== "unknown" }),
    retry({ maxAttempts: 2, backoff: constant(5), budget: budget({ clock }), idempotent: true, clock }),
    bulkhead,
    breaker({ ratio: 0.9, samples: 50, window: 1000, coolDown: 100, clock }),
    timeout(100, { clock }),
    hedge({ idempotent: true, delay: 20, maxHedges: 2, clock }),
  );
  return { policy, bulkhead };
}

/** Work of every kind: at once, later, failing, too slow, deaf to its signal. */
function worker(clock: Clock): (kind: number) => (attempt: Attempt) => unknown {
  return (kind) => ({ signal }) => {
    const after = (time: number, error?: Error): Promise<string> =>
      new Promise((resolve, reject) => {
        const timer = clock.after(time, () => error ? reject(error) : resolve("fine"));
        signal.addEventListener("abort", () => (timer.cancel(), reject(signal.reason)), { once: true });
      });
    if (kind === 0) return "fine";
    if (kind === 1) return after(10);
    if (kind === 2) return after(30);
    if (kind === 3) throw new Deno.errors.ConnectionReset("reset");
    if (kind === 4) return after(5, new TypeError("a mistake"));
    if (kind === 5) return after(1000);
    return new Promise(() => {});
  };
}

/** Lets time pass in steps, and all follow from each by promises that will; much faster than a turn of the event loop each. */
async function pass(clock: FakeClock, milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 5) {
    clock.tick(5);
    for (let i = 0; i < 50; i++) await Promise.resolve();
  }
}

Deno.test("10,000 calls through all policies leave no timer, no listener and no place taken", async () => {
  const clock = new FakeClock();
  const { policy, bulkhead } = everything(clock);
  const { controller, listeners } = countedSignal();
  const { signal } = controller;
  const work = worker(clock);
  const ends = new Map<string, number>();
  const count = (end: string): void => void ends.set(end, (ends.get(end) ?? 0) + 1);
  const all: Promise<void>[] = [];
  let random = seed();
  const calls = scale(10_000, 100_000);
  for (let i = 0; i < calls; i++) {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    // Mostly what is fine, or the breaker would be all that is seen.
    const kind = [0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6][(random >>> 16) % 11] ?? 0;
    all.push(
      policy.execute(work(kind), { signal }).then(
        (value) => count(String(value)),
        (error: Error) => count(error.name),
      ),
    );
    if (i % 10 === 9) await pass(clock, 20);
  }
  await pass(clock, 10_000);
  await Promise.all(all);
  assertEquals([clock.pending, listeners.size, bulkhead.running, bulkhead.queued], [0, 0, 0, 0]);
  for (const end of ["fine", "fallback", "TypeError"]) {
    assert((ends.get(end) ?? 0) > calls / 1000, `${end} was seen: ${JSON.stringify([...ends])}`);
  }
});

Deno.test("calls through all policies leave no timer of the machine", async () => {
  // The sanitizer looks for it.
  const { policy } = everything(systemClock);
  const work = worker(systemClock);
  const calls = [0, 1, 2, 3, 4, 0, 1].map((kind) => policy.execute(work(kind)).catch(() => {}));
  await Promise.all(calls);
});

Deno.test("a call through all policies ends with the caller's reason at whatever moment he gives up", async () => {
  const kinds = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(kinds, fc.integer({ min: 0, max: 400 }), async (kinds, moment) => {
      const clock = new FakeClock();
      const { policy, bulkhead } = everything(clock);
      const { controller, listeners } = countedSignal();
      const reason = new Error("enough");
      const work = worker(clock);
      const ends: unknown[] = kinds.map(() => undefined);
      const calls = kinds.map((kind, i) =>
        policy.execute(work(kind), { signal: controller.signal }).then(
          () => ends[i] ??= "done",
          (error) => ends[i] ??= error,
        )
      );
      await clock.tickAsync(moment);
      const before = ends.map((end) => end !== undefined);
      controller.abort(reason);
      // No time passes any more: nobody may wait for anything.
      await clock.tickAsync(0);
      await Promise.all(calls);
      for (const [i, end] of ends.entries()) if (!before[i]) assertStrictEquals(end, reason);
      assertEquals([clock.pending, listeners.size, bulkhead.running, bulkhead.queued], [0, 0, 0, 0]);
    }),
    { numRuns: scale(30), seed: seed() },
  );
});

Deno.test("each run without a signal gets one of its own, so that what work listens to does not pile up", async () => {
  for (
    const policy of [
      compose(),
      retry(),
      breaker(),
      limit({ concurrency: 1 }),
      fallback(() => 0),
      timeout(9),
    ]
  ) {
    const signalOf = () => policy.execute(({ signal }) => signal);
    const [first, second] = [await signalOf(), await signalOf()];
    assert(first !== second);
  }
});

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { scale, seed } from "../tests/_require.ts";
import { consecutiveTally, ratioTally } from "./_tally.ts";

Deno.test("consecutive failures are counted from the last success", () => {
  const tally = consecutiveTally(3);
  assertEquals([tally.failed(0), tally.failed(0)], [false, false]);
  tally.succeeded(0);
  assertEquals(tally.empty, true);
  assertEquals([tally.failed(0), tally.failed(0), tally.failed(0)], [false, false, true]);
});

Deno.test("a ratio is judged from the least number of calls on", () => {
  const tally = ratioTally({ ratio: 0.5, samples: 4, window: 1000 });
  assertEquals([tally.failed(0), tally.failed(0), tally.failed(0), tally.failed(0)], [
    false,
    false,
    false,
    true,
  ]);
});

Deno.test("a ratio forgets what has left the window", () => {
  const tally = ratioTally({ ratio: 0.5, samples: 4, window: 1000 });
  for (let i = 0; i < 3; i++) tally.failed(i);
  for (let i = 0; i < 3; i++) tally.succeeded(1100);
  assertEquals([tally.failed(1100), tally.failed(1100), tally.failed(1100)], [false, false, true]);
});

Deno.test("a ratio trips exactly when the calls of its ten slices say so", () => {
  const calls = fc.array(fc.record({ wait: fc.integer({ min: 0, max: 300 }), fails: fc.boolean() }));
  fc.assert(
    fc.property(calls, (calls) => {
      const tally = ratioTally({ ratio: 0.4, samples: 5, window: 1000 });
      const past: { slice: number; fails: boolean }[] = [];
      let now = 0;
      for (const { wait, fails } of calls) {
        now += wait;
        const slice = Math.floor(now / 100);
        past.push({ slice, fails });
        if (!fails) {
          tally.succeeded(now);
          continue;
        }
        const counted = past.filter((call) => call.slice > slice - 10);
        const failed = counted.filter((call) => call.fails).length;
        assertEquals(tally.failed(now), counted.length >= 5 && failed >= 0.4 * counted.length);
      }
    }),
    { numRuns: scale(100), seed: seed() },
  );
});

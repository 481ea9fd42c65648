import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { scale, seed } from "../tests/_require.ts";
import { backoffDelay } from "./backoff.ts";

Deno.test("backoffDelay() doubles from a second to ten minutes unless told otherwise", () => {
  const delays = Array.from({ length: 12 }, (_, attempt) => backoffDelay(attempt));
  assertEquals(delays.slice(0, 4), [1_000, 2_000, 4_000, 8_000]);
  assertEquals(delays.slice(9), [512_000, 600_000, 600_000]);
});

Deno.test("backoffDelay() takes its first wait, growth and limit from the options", () => {
  const options = { initial: 50, factor: 3, max: 1_000 };
  assertEquals([0, 1, 2, 3].map((attempt) => backoffDelay(attempt, options)), [50, 150, 450, 1_000]);
});

Deno.test("backoffDelay() refuses what is no back-off, and says what it got", () => {
  assertThrows(() => backoffDelay(-1), RangeError, "attempt -1");
  assertThrows(() => backoffDelay(NaN), RangeError, "attempt NaN");
  assertThrows(() => backoffDelay(0, { initial: -5 }), RangeError, "initial -5");
  assertThrows(() => backoffDelay(0, { factor: 0.5 }), RangeError, "factor 0.5");
  assertThrows(() => backoffDelay(0, { max: NaN }), RangeError, "max NaN");
});

Deno.test("backoffDelay() is a number within the limit and never shrinks, however many attempts there are", () => {
  const numbers = fc.record({
    initial: fc.double({ min: 0, max: 1e9, noNaN: true }),
    factor: fc.double({ min: 1, max: 1e3, noNaN: true }),
    max: fc.double({ min: 0, max: 1e12, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.nat({ max: 1_000_000 }), numbers, (attempt, options) => {
      const [delay, next] = [backoffDelay(attempt, options), backoffDelay(attempt + 1, options)];
      assert(delay >= 0 && delay <= next && next <= options.max);
    }),
    { numRuns: scale(1_000), seed: seed() },
  );
});

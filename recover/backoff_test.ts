import { assert, assertEquals, assertThrows } from "@std/assert";
import { constant, custom, delayOf, exponential, linear } from "./backoff.ts";

const waits = (backoff: Parameters<typeof delayOf>[0], count: number, random = () => 0.5) => {
  const delays: number[] = [];
  for (let i = 0; i < count; i++) delays.push(delayOf(backoff, i, delays.at(-1) ?? 0, random));
  return delays;
};

Deno.test("exponential() doubles from 250 ms to 15 s, and takes half of that on average", () => {
  const none = exponential({ jitter: "none" });
  assertEquals(waits(none, 8), [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
  assertEquals(waits(exponential(), 4), [125, 250, 500, 1000]);
  assertEquals(waits(exponential(), 3, () => 0), [0, 0, 0]);
  assertEquals(waits(exponential({ jitter: "equal" }), 3, () => 0), [125, 250, 500]);
});

Deno.test("exponential() with decorrelated jitter goes from the first wait to three times the last", () => {
  const backoff = exponential({ initial: 100, max: 1000, jitter: "decorrelated" });
  assertEquals(waits(backoff, 5, () => 1), [300, 900, 1000, 1000, 1000]);
  assertEquals(waits(backoff, 3, () => 0), [100, 100, 100]);
  const turned = exponential({ initial: 500, max: 50, jitter: "decorrelated" });
  assertEquals(waits(turned, 3, () => 1), [50, 50, 50]);
});

Deno.test("linear() grows by its step up to its limit", () => {
  assertEquals(waits(linear({ jitter: "none" }), 3), [250, 500, 750]);
  assertEquals(waits(linear({ initial: 10, step: 30, max: 50 }), 3, () => 0.1).map(Math.round), [1, 4, 5]);
});

Deno.test("constant() stays as it is, unless chance is asked for", () => {
  assertEquals(waits(constant(70), 2, () => 0), [70, 70]);
  assertEquals(delayOf(constant(70, "equal"), 0, 0, () => 0.5), 52.5);
});

Deno.test("custom() is told the number of the wait and the wait before", () => {
  const asked: number[][] = [];
  const backoff = custom((...given) => asked.push(given) * 10);
  assertEquals(waits(backoff, 3), [10, 20, 30]);
  assertEquals(asked, [[0, 0], [1, 10], [2, 20]]);
});

Deno.test("a back-off refuses what is no wait, and says what it got", () => {
  assertThrows(() => exponential({ initial: -1 }), RangeError, "initial -1");
  assertThrows(() => exponential({ factor: 0.5 }), RangeError, "factor 0.5");
  assertThrows(() => linear({ step: NaN }), RangeError, "step must be a number from 0, got NaN");
  assertThrows(() => constant(-3), RangeError, "delay must be a number from 0, got -3");
  assertThrows(() => delayOf(custom(() => NaN), 0), RangeError, "got NaN");
});

Deno.test("delayOf() takes its chance from Math.random() unless given another", () => {
  const delays = new Set(Array.from({ length: 50 }, () => delayOf(exponential(), 6)));
  assert(delays.size > 40, `only ${delays.size} different waits`);
});

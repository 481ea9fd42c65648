import { assertEquals } from "@std/assert";
import { Samples } from "./_samples.ts";

Deno.test("quantiles are of the nearest rank", () => {
  const samples = new Samples(100);
  assertEquals([samples.size, samples.quantile(0.5)], [0, 0]);
  for (let i = 100; i >= 1; i--) samples.add(i);
  assertEquals([0, 0.5, 0.95, 0.99, 1].map((part) => samples.quantile(part)), [1, 50, 95, 99, 100]);
});

Deno.test("the oldest measurement makes room for the newest", () => {
  const samples = new Samples(3);
  for (const value of [1000, 1, 2, 3]) samples.add(value);
  assertEquals([samples.size, samples.quantile(1)], [3, 3]);
});

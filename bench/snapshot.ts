/** What one complete reading costs. */

import { snapshot, watchNetwork } from "../watch/mod.ts";
import { type Figure, figure, median } from "./_figure.ts";
import type { Kernel } from "./_kernel.ts";

async function measure(count: number): Promise<number[]> {
  await using _watcher = await watchNetwork();
  const samples: number[] = [];
  for (let n = 0; n < count + 50; n++) {
    const start = performance.now();
    await snapshot();
    if (n >= 50) samples.push(performance.now() - start);
  }
  return samples;
}

function address(n: number): string {
  return `10.5.${n >> 7}.${(n & 0x7f) + 1}`;
}

/** Measures at 10 addresses, and at 300 addresses with 10,000 routes. */
export async function snapshots(kernel: Kernel, index: number): Promise<Figure[]> {
  for (let n = 0; n < 9; n++) kernel.address("add", index, address(n), 32);
  const few = await measure(500);
  for (let n = 9; n < 299; n++) kernel.address("add", index, address(n), 32);
  for (let n = 0; n < 10_000; n += 100) {
    kernel.routes(index, Array.from({ length: 100 }, (_, k) => `100.64.${(n + k) >> 8}.${(n + k) & 0xff}`));
  }
  const many = await measure(100);
  for (let n = 0; n < 299; n++) kernel.address("remove", index, address(n), 32);
  return [
    figure("snapshot, 10 addresses, p50", median(few), "ms", 0.3, few.length, "a watcher is open"),
    figure(
      "snapshot, 300 addresses, 10,000 routes, p50",
      median(many),
      "ms",
      15,
      many.length,
      "a watcher is open",
    ),
  ];
}

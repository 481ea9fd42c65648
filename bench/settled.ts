/** From loss to `offline`, and from the last change to the settled one. */

import { watchNetwork } from "../watch/mod.ts";
import { type Figure, figure, percentile } from "./_figure.ts";
import type { Kernel } from "./_kernel.ts";

const QUIET = 150;
const CEILING = 1000;

/** Measures loss of the default path by its two ways: the route is taken away, the interface is switched off. */
async function loss(kernel: Kernel, index: number, count: number): Promise<number[]> {
  await using watcher = await watchNetwork({ backend: "netlink" });
  const samples: number[] = [];
  for (let n = 0; n < count; n++) {
    kernel.link(index, true);
    kernel.defaultRoute("add", index, "10.8.0.1");
    await watcher.online({ family: 4 });
    const { promise, resolve } = Promise.withResolvers<number>();
    using _ = watcher.on("offline", () => resolve(performance.now()));
    await new Promise((resolve) => setTimeout(resolve, 15));
    const start = performance.now();
    if (n % 2 === 0) kernel.defaultRoute("remove", index, "10.8.0.1");
    else kernel.link(index, false);
    samples.push(await promise - start);
  }
  kernel.link(index, true);
  return samples;
}

/** Measures from a change that comes alone to the settled one. */
async function quiet(kernel: Kernel, index: number, count: number): Promise<number[]> {
  await using watcher = await watchNetwork({ backend: "netlink" });
  const samples: number[] = [];
  const changes = watcher[Symbol.asyncIterator]();
  for (let n = 0; n < count; n++) {
    const next = changes.next();
    const start = performance.now();
    kernel.address(n % 2 === 0 ? "add" : "remove", index, "10.7.0.1", 32);
    await next;
    samples.push(performance.now() - start);
  }
  await changes.return?.();
  return samples;
}

/** Measures the distance of settled changes while the network does not become quiet. */
async function storm(kernel: Kernel, index: number, milliseconds: number): Promise<number[]> {
  await using watcher = await watchNetwork({ backend: "netlink" });
  const gaps: number[] = [];
  let last = performance.now();
  using _ = watcher.on("change", () => {
    gaps.push(performance.now() - last);
    last = performance.now();
  });
  const end = performance.now() + milliseconds;
  const name = (n: number): string => `10.6.1.${1 + n % 200}`;
  let n = 0;
  for (; performance.now() < end; n++) {
    // A window of three addresses moves on: never quiet, and always different from the settled state.
    kernel.address("add", index, name(n), 32);
    if (n >= 3) kernel.address("remove", index, name(n - 3), 32);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  for (let k = n - 3; k < n; k++) kernel.address("remove", index, name(k), 32);
  return gaps;
}

/** All figures of this file. */
export async function settled(kernel: Kernel, index: number, rounds: number): Promise<Figure[]> {
  kernel.address("add", index, "10.8.0.2", 24);
  const lost = await loss(kernel, index, rounds * 4);
  const alone = await quiet(kernel, index, Math.max(20, rounds));
  const gaps = await storm(kernel, index, 6000);
  return [
    figure("loss of the default path -> offline, p99", percentile(lost, 0.99), "ms", 50, lost.length),
    figure("change -> settled change, p99", percentile(alone, 0.99), "ms", QUIET + 50, alone.length),
    figure("settled changes in a storm, longest gap", Math.max(...gaps), "ms", CEILING + 50, gaps.length),
  ];
}

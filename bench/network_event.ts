/** From the kernel's change to the events of pipes: of changes that come alone, and of those that pour in. */

import type { BasePipe } from "../pipes/_base_pipe.ts";
import { makePipe } from "../pipes/_make_pipe.ts";
import { hostLinks } from "../tests/_host_links.ts";
import { watchNetwork } from "../watch/mod.ts";
import { type Figure, figure, median, percentile } from "./_figure.ts";
import type { Kernel } from "./_kernel.ts";

/** How many pipes have to hear of each change. */
const PIPES = 100;

/** Changes alone are further apart than the calm after which a burst is over; those of a burst a millisecond. */
const [ALONE, POURING] = [120, 1];

/** Where the pipes are, on the interface that changes. */
const PLACE = { local: "10.8.0.2", remote: "10.8.0.3" } as const;

/**
 * Measures until the last of many pipes has told of a change.
 *
 * @param kernel Where changes are made.
 * @param index The interface that gets them.
 * @param count How many changes.
 */
export async function networkEvents(kernel: Kernel, index: number, count: number): Promise<Figure[]> {
  kernel.address("add", index, PLACE.local, 24);
  await using network = await watchNetwork({ backend: "netlink" });
  const links = Array.from({ length: PIPES }, () => hostLinks(PLACE));
  const pipes = links.map(([near]) => makePipe(near, { network }));
  try {
    const alone = await delays(pipes, kernel, index, count, ALONE);
    const amid = await delays(pipes, kernel, index, 4 * count, POURING);
    const what = `change -> event on the last of ${PIPES} pipes`;
    const pace = "a change each ms: readings are 20 ms apart";
    return [
      figure(`${what}, p50`, median(alone), "ms", 10, alone.length),
      figure(`${what}, p95`, percentile(alone, 0.95), "ms", 10, alone.length),
      figure(`${what}, max`, Math.max(...alone), "ms", null, alone.length),
      figure(`${what}, inside a burst, p50`, median(amid), "ms", null, amid.length, pace),
      figure(`${what}, inside a burst, max`, Math.max(...amid), "ms", null, amid.length, pace),
    ];
  } finally {
    for (const pipe of pipes) pipe.abort();
    for (const [, far] of links) far.abort();
    kernel.address("remove", index, PLACE.local, 24);
  }
}

/** Gives the interface one address after the other; how long each took to be told by all pipes, in milliseconds. */
async function delays(
  pipes: readonly BasePipe[],
  kernel: Kernel,
  index: number,
  count: number,
  gap: number,
): Promise<readonly number[]> {
  const made = new Map<string, { readonly at: number; told: number }>();
  const samples: number[] = [];
  const done = Promise.withResolvers<void>();
  const told = pipes.map((pipe) =>
    pipe.on("addresschange", ({ address }) => {
      const one = made.get(address);
      if (!one || ++one.told < pipes.length) return;
      samples.push(performance.now() - one.at);
      if (samples.length === count) done.resolve();
    })
  );
  const address = (n: number): string => `10.9.${n >> 7}.${(n & 0x7f) + 1}`;
  // What was changed before is over, and settled.
  await new Promise((resolve) => setTimeout(resolve, 500));
  for (let n = 0; n < count; n++) {
    made.set(address(n), { at: performance.now(), told: 0 });
    kernel.address("add", index, address(n), 32);
    await new Promise((resolve) => setTimeout(resolve, gap));
  }
  await done.promise;
  for (const one of told) one[Symbol.dispose]();
  for (let n = 0; n < count; n++) kernel.address("remove", index, address(n), 32);
  return samples;
}

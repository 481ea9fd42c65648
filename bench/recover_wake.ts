/** When the next attempt starts after the network is back, and how many there are while it flaps. */

import * as cockatiel from "cockatiel";
import pRetry from "p-retry";
import { exponential, retry } from "../recover/mod.ts";
import { type NetworkWatcher, watchNetwork } from "../watch/mod.ts";
import { type Figure, figure, percentile } from "./_figure.ts";
import type { Kernel } from "./_kernel.ts";

/** How long the network is away, in milliseconds: long enough for others to have grown their back-off, and no multiple of it. */
const OUTAGE = 4370;

/** How many wait for it at once. */
const CLIENTS = 50;

const GATEWAY = "10.8.0.1";

/** Something that tries until it works. */
type Variant = (attempt: () => Promise<void>, watcher: NetworkWatcher) => Promise<unknown>;

const VARIANTS: Readonly<Record<string, Variant>> = {
  ours: (attempt, network) => retry({ network, maxAttempts: Infinity }).execute(attempt),
  cockatiel: (attempt) =>
    cockatiel.retry(cockatiel.handleAll, { maxAttempts: 1000, backoff: new cockatiel.ExponentialBackoff() })
      .execute(attempt),
  "p-retry": (attempt) => pRetry(attempt, { retries: 1000 }),
  // What plain code does: try once a second.
  "every second": async (attempt) => {
    while (true) {
      try {
        return await attempt();
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }
  },
};

/** One outage for everybody; tells per variant how long after the event each of its clients made its attempt. */
async function outage(
  kernel: Kernel,
  index: number,
  watcher: NetworkWatcher,
): Promise<Map<string, number[]>> {
  let back = NaN;
  let away = 0;
  const found = new Map<string, number[]>();
  const tries = (delays: number[]) => (): Promise<void> => {
    if (Number.isNaN(back)) {
      away++;
      return Promise.reject(new Deno.errors.NetworkUnreachable("Network is unreachable (os error 101)"));
    }
    delays.push(performance.now() - back);
    return Promise.resolve();
  };
  using _ = watcher.on("online", () => back = performance.now());
  kernel.defaultRoute("remove", index, GATEWAY);
  if (watcher.state.online) await new Promise<void>((resolve) => watcher.on("offline", () => resolve()));
  const clients = Object.entries(VARIANTS).flatMap(([name, variant]) => {
    const delays: number[] = [];
    found.set(name, delays);
    return Array.from({ length: CLIENTS }, () => variant(tries(delays), watcher));
  });
  await new Promise((resolve) => setTimeout(resolve, OUTAGE));
  kernel.defaultRoute("add", index, GATEWAY);
  await Promise.all(clients);
  if (away === 0) throw new Error("Cannot measure: nobody tried during the outage");
  return found;
}

/** Flaps the default route, and tells how many attempts one client makes meanwhile. */
async function flapping(
  kernel: Kernel,
  index: number,
  watcher: NetworkWatcher,
  milliseconds: number,
): Promise<number> {
  let attempts = 0;
  const stop = new AbortController();
  const policy = retry({ network: watcher, maxAttempts: Infinity, backoff: exponential(), idempotent: true });
  const done = policy.execute(() => {
    attempts++;
    return Promise.reject(new Deno.errors.TimedOut("Connection timed out (os error 110)"));
  }, { signal: stop.signal }).catch((error) => {
    if (!stop.signal.aborted) throw error;
  });
  const end = performance.now() + milliseconds;
  for (let n = 0; performance.now() < end; n++) {
    kernel.defaultRoute(n % 2 === 0 ? "remove" : "add", index, GATEWAY);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  stop.abort();
  await done;
  return attempts;
}

/**
 * Measures what the network's return and its flapping cause.
 *
 * @param rounds How many outages.
 * @param flap For how many milliseconds it flaps.
 */
export async function wakes(kernel: Kernel, index: number, rounds: number, flap: number): Promise<Figure[]> {
  await using watcher = await watchNetwork({ backend: "netlink" });
  kernel.link(index, true);
  kernel.address("add", index, "10.8.0.2", 24);
  kernel.defaultRoute("add", index, GATEWAY);
  await watcher.online({ family: 4 });
  const all = new Map<string, number[]>();
  for (let n = 0; n < rounds; n++) {
    for (const [name, delays] of await outage(kernel, index, watcher)) {
      all.set(name, [...(all.get(name) ?? []), ...delays]);
    }
    // Outages in quick succession count as flapping, and are damped.
    await new Promise((resolve) => setTimeout(resolve, 2500));
  }
  const ours = all.get("ours") ?? [];
  const others = [...all].filter(([name]) => name !== "ours").map(([name, delays]) =>
    figure(
      `network is back: ${name}, p50`,
      percentile(delays, 0.5),
      "ms",
      null,
      delays.length,
      `p99 ${percentile(delays, 0.99).toFixed(0)} ms, after ${(OUTAGE / 1000).toFixed(1)} s without network`,
    )
  );
  const attempts = await flapping(kernel, index, watcher, flap);
  kernel.address("remove", index, "10.8.0.2", 24);
  return [
    figure("network is back: our attempt, p50", percentile(ours, 0.5), "ms", 120, ours.length),
    figure("network is back: our attempt, p99", percentile(ours, 0.99), "ms", 250, ours.length),
    ...others,
    figure(`flapping every 300 ms for ${flap / 1000} s: attempts`, attempts, "attempts", 15, 1),
  ];
}

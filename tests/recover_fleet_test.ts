import { assert, assertEquals } from "@std/assert";
import { wait } from "../internal/clock.ts";
import { exponential } from "../recover/backoff.ts";
import { budget } from "../recover/budget.ts";
import { retry, type RetryOptions } from "../recover/retry.ts";
import { chance } from "./_chance.ts";
import { NetworkSwitch } from "./_network_switch.ts";
import { scale } from "./_require.ts";
import { Known, known } from "./_retry.ts";
import { VirtualTime } from "./_virtual_time.ts";

/** The optimistic-lock model: each client reads a version, then writes; who is too late tries again. Tells the calls. */
async function contend(
  clients: number,
  which: number,
  client: (attempt: () => Promise<void>, clock: VirtualTime, random: () => number) => Promise<unknown>,
): Promise<number> {
  const clock = new VirtualTime();
  const [latency, random] = [chance(2 * which), chance(2 * which + 1)];
  let version = 0;
  let calls = 0;
  const attempt = async (): Promise<void> => {
    calls++;
    await wait(6 + 8 * latency(), { clock });
    const seen = version;
    await wait(6 + 8 * latency(), { clock });
    if (seen !== version) throw new Known();
    version++;
  };
  const all = Array.from({ length: clients }, () => client(attempt, clock, random));
  const done = Promise.allSettled(all);
  await clock.run();
  await done;
  return calls;
}

async function mean(runs: number, one: (which: number) => Promise<number>): Promise<number> {
  let sum = 0;
  for (let i = 0; i < runs; i++) sum += await one(i);
  return sum / runs;
}

Deno.test("100 clients in lock step call as often as with plain full jitter, within 5 %", async () => {
  const backoff = exponential({ initial: 5, max: 2000 });
  const runs = scale(10, 30);
  const plain = await mean(runs, (which) =>
    contend(100, which, async (attempt, clock, random) => {
      for (let n = 0;; n++) {
        try {
          return await attempt();
        } catch {
          await wait(random() * Math.min(2000, 5 * 2 ** n), { clock });
        }
      }
    }));
  const ours = await mean(
    runs,
    (which) =>
      contend(
        100,
        which,
        (attempt, clock, random) =>
          retry({ clock, random, backoff, classify: known, maxAttempts: Infinity }).execute(attempt),
      ),
  );
  assert(plain > 300, `plain full jitter: ${plain} calls`);
  assert(Math.abs(ours - plain) <= 0.05 * plain, `${ours} calls, with plain full jitter ${plain}`);
});

Deno.test("100 clients in lock step with a shared budget call 1.2 times as often as there is work", async () => {
  const calls = await contend(
    100,
    1,
    (() => {
      let shared: RetryOptions["budget"];
      return (attempt, clock, random) => {
        shared ??= budget({ clock });
        return retry({ clock, random, classify: known, maxAttempts: Infinity, budget: shared }).execute(
          attempt,
        );
      };
    })(),
  );
  assertEquals(calls, 120);
});

Deno.test("100 busy clients with a budget each load a broken server 1.2 times at most, and over twice without", async () => {
  const load = async (limited: boolean): Promise<{ work: number; calls: number }> => {
    const clock = new VirtualTime();
    let [work, calls] = [0, 0];
    const call = (): void => {
      calls++;
      if (clock.monotonic() >= 2000 && clock.monotonic() < 15_000) throw new Known();
    };
    for (let n = 0; n < 100; n++) {
      const random = chance(n);
      const shared = limited ? budget({ clock }) : undefined;
      const policy = retry({ clock, random, classify: known, budget: shared, maxAttempts: 3 });
      // Five calls a second.
      const loop = (): void => {
        if (clock.monotonic() > 17_000) return;
        work++;
        policy.execute(call).catch(() => {});
        clock.after(200, loop);
      };
      clock.after(200 * random(), loop);
    }
    await clock.run();
    return { work, calls };
  };
  const [limited, free] = [await load(true), await load(false)];
  assert(limited.calls <= 1.2 * limited.work, JSON.stringify(limited));
  assert(free.calls > 2 * free.work, JSON.stringify(free));
});

Deno.test("1,000 clients that the network's return wakes do not storm the server", async () => {
  for (const shared of [false, true]) {
    const clock = new VirtualTime();
    const network = new NetworkSwitch(false);
    const times: number[] = [];
    const options = { network, clock, classify: known };
    const together = retry({ ...options, random: chance(0) });
    const results = Array.from({ length: 1000 }, (_, n) => {
      const policy = shared ? together : retry({ ...options, random: chance(n) });
      return policy.execute(() => void times.push(clock.monotonic()));
    });
    await clock.run(10_000);
    assertEquals(times.length, 0);
    network.set(1);
    await clock.run(10_250);
    await Promise.all(results);
    assertEquals(times.length, 1000);
    const after = times.map((time) => time - 10_000).sort((a, b) => a - b);
    const counts = Array<number>(20).fill(0);
    for (const time of after) counts[Math.floor(time / 10)] = (counts[Math.floor(time / 10)] ?? 0) + 1;
    assertEquals(counts.length, 20, "within 200 ms");
    // 50 on average.
    assert(Math.max(...counts) <= 90 && Math.min(...counts) >= 20, counts.join(" "));
    assert((after[500] ?? Infinity) <= 120);
    assertEquals([network.listeners <= 1, clock.pending], [true, 0]);
  }
});

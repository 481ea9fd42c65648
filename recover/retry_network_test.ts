import { assertEquals, assertRejects } from "@std/assert";
import { wait } from "../internal/clock.ts";
import { browserNetwork } from "../internal/network_view.ts";
import { Known, known, networkSetup, OFFLINE, REFUSED, setup } from "../tests/_retry.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { constant } from "./backoff.ts";
import { breaker } from "./breaker.ts";
import { budget } from "./budget.ts";
import type { Failure } from "./failure.ts";
import { compose } from "./policy.ts";
import { retry } from "./retry.ts";
import { RetryError } from "./retry_error.ts";

Deno.test("retry() does not disturb the other end before the time it asked for, whatever the network does", async () => {
  const clock = new FakeClock();
  await using network = await networkSetup(clock);
  network.up();
  const t = setup([{ retryAfter: 20_000 }], { network: network.watcher, clock });
  const result = t.run();
  await clock.tickAsync(5000);
  network.up("10.0.0.9", "10.0.0.1");
  await clock.tickAsync(30_000);
  assertEquals(await result, "attempt 1");
  assertEquals(t.times, [0, 21_000]);
});

Deno.test("retry() lets its deadline run while there is no network, and says so when it never came", async () => {
  const clock = new FakeClock();
  await using network = await networkSetup(clock);
  const t = setup([], { network: network.watcher, clock, deadline: 5000 });
  const rejected = assertRejects(() => t.run(), RetryError);
  await clock.tickAsync(5000);
  const error = await rejected;
  assertEquals(
    error.message,
    "Cannot succeed within 5000 ms and 0 attempts: there was no network all the time",
  );
  assertEquals([error.code, error.failure, error.cause], ["deadline", null, undefined]);
  assertEquals(t.times, []);
  assertEquals(t.told(), "suspended giveup");
});

Deno.test("retry() makes no attempt without a network, and one within 200 ms of its return", async () => {
  const clock = new FakeClock();
  await using network = await networkSetup(clock);
  const shared = budget({ ratio: 1, min: 0, clock });
  const t = setup([], { network: network.watcher, clock, budget: shared });
  const result = t.run();
  await clock.tickAsync(29_000);
  assertEquals([t.times.length, shared.balance], [0, 0]);
  network.up();
  await clock.tickAsync(200);
  assertEquals(await result, "attempt 0");
  assertEquals([t.times, shared.balance], [[29_100], 1]);
  assertEquals(t.told(), "suspended resumed attempt");
});

Deno.test("retry() does not count what failed for want of a network, and takes no budget for the next", async () => {
  const clock = new FakeClock();
  await using network = await networkSetup(clock);
  const shared = budget({ ratio: 0, min: 1, clock });
  const t = setup([OFFLINE, OFFLINE, OFFLINE, {}], {
    network: network.watcher,
    clock,
    budget: shared,
    maxAttempts: 2,
  });
  const result = t.run();
  await clock.tickAsync(100_000);
  // Polls without network.
  assertEquals(t.times, [30_000, 60_000, 90_000]);
  network.up();
  await clock.tickAsync(1000);
  // The back-off begins with the first wait.
  assertEquals(t.times.slice(3), [100_100, 100_350]);
  assertEquals(await result, "attempt 4");
  const counted = t.events.filter((event) => event.type === "failure").map((event) => event.counted);
  assertEquals(counted, [false, false, false, true]);
});

Deno.test("retry() counts what failed as if there were no network, though there is one", async () => {
  const clock = new FakeClock();
  await using network = await networkSetup(clock);
  network.up();
  const t = setup(Array(9).fill(OFFLINE), { network: network.watcher, clock, maxAttempts: 3 });
  const rejected = assertRejects(() => t.run(), RetryError);
  await clock.tickAsync(100_000);
  assertEquals((await rejected).attempts, 3);
  // Nothing but a change can help; a look now and then, as it may have been missed.
  assertEquals(t.times, [0, 30_000, 60_000]);
});

Deno.test("retry() cuts its back-off short when the network changes, and begins it again in another one", async () => {
  const clock = new FakeClock();
  await using network = await networkSetup(clock);
  network.up();
  const t = setup(Array(9).fill({}), { network: network.watcher, clock, maxAttempts: 8 });
  const rejected = assertRejects(() => t.run(), RetryError);
  await clock.tickAsync(5000);
  assertEquals(t.times, [0, 250, 750, 1750, 3750]);
  network.down();
  await clock.tickAsync(1000);
  network.up("10.0.0.9", "10.0.0.1");
  await clock.tickAsync(1000);
  assertEquals(t.times.slice(5), [6100, 6350, 6850]);
  await rejected;
});

Deno.test("retry() waits for readiness when the network is back, and after what only a change can help", async () => {
  const clock = new FakeClock();
  await using network = await networkSetup(clock);
  const asked: number[] = [];
  const ready = () => Promise.resolve(void asked.push(clock.monotonic()));
  const t = setup([{ retry: "after-change" }, {}], { network: network.watcher, clock, ready });
  const result = t.run();
  network.up();
  await clock.tickAsync(5000);
  assertEquals(await result, "attempt 2");
  assertEquals(t.times, [100, 350, 850]);
  assertEquals(asked, [0, 350]);
  assertEquals(
    t.told(),
    "suspended gated resumed attempt failure gated resumed attempt failure attempt success",
  );
});

Deno.test("retry() backs off when the network was read anew while the attempt was under way", async () => {
  const clock = new FakeClock();
  await using network = await networkSetup(clock);
  network.up();
  const t = setup([], { network: network.watcher, clock });
  const result = t.policy.execute(({ attempt }) => {
    t.times.push(clock.monotonic());
    if (attempt === 1) return "done";
    // There and back again, so that nothing has changed.
    network.down();
    network.up();
    throw new Known({ ...OFFLINE });
  });
  await clock.tickAsync(1000);
  assertEquals(await result, "done");
  assertEquals(t.times, [0, 250]);
});

Deno.test("retry() takes a change that came while the attempt was under way for one that comes now", async () => {
  const clock = new FakeClock();
  await using network = await networkSetup(clock);
  network.up();
  const t = setup([], { network: network.watcher, clock, backoff: constant(10_000) });
  const result = t.policy.execute(({ attempt }) => {
    t.times.push(clock.monotonic());
    if (attempt === 1) return "done";
    network.up("10.0.0.9", "10.0.0.1");
    throw new Known();
  });
  await clock.tickAsync(1000);
  assertEquals(await result, "done");
  assertEquals(t.times, [0, 100]);
});

Deno.test("retry() that may try again at once still makes no attempt without a network", async () => {
  const clock = new FakeClock();
  await using network = await networkSetup(clock);
  network.up();
  const t = setup([], { network: network.watcher, clock });
  const result = t.policy.execute(({ attempt }) => {
    t.times.push(clock.monotonic());
    if (attempt === 1) return "done";
    network.down();
    throw new Known({ retry: "now" });
  });
  await clock.tickAsync(5000);
  assertEquals(t.times, [0]);
  network.up();
  await clock.tickAsync(200);
  assertEquals(await result, "done");
  assertEquals(t.times, [0, 5100]);
});

Deno.test("retry() that may try again at once waits for the readiness of a network that is new", async () => {
  const clock = new FakeClock();
  await using network = await networkSetup(clock);
  network.up();
  const ready = () => wait(1000, { clock });
  const t = setup([], { network: network.watcher, clock, ready });
  const result = t.policy.execute(({ attempt }) => {
    t.times.push(clock.monotonic());
    if (attempt === 1) return "done";
    network.up("10.0.0.9", "10.0.0.1");
    throw new Known({ kind: "address-gone", where: "local", retry: "now" });
  });
  await clock.tickAsync(2000);
  assertEquals(await result, "done");
  assertEquals(t.times, [0, 1100]);
});

Deno.test("retry() around a breaker does not wait out in a new network what opened it in the old one", async () => {
  const clock = new FakeClock();
  await using network = await networkSetup(clock);
  network.up();
  const policy = compose(
    retry({ network: network.watcher, clock, random: () => 0.5, backoff: constant(100) }),
    breaker({ network: network.watcher, clock, consecutive: 2, coolDown: 60_000, classify: known }),
  );
  const times: number[] = [];
  const result = policy.execute(() => {
    times.push(clock.monotonic());
    if (network.watcher.state.defaultRoute.v4?.gateway === "192.168.1.1") throw new Known(REFUSED);
    return "done";
  });
  await clock.tickAsync(5000);
  assertEquals(times, [0, 100]);
  network.up("10.0.0.9", "10.0.0.1");
  await clock.tickAsync(200);
  assertEquals(times, [0, 100, 5100]);
  assertEquals(await result, "done");
});

Deno.test("retry() does not begin its back-off again for a network that flaps", async () => {
  const clock = new FakeClock();
  await using network = await networkSetup(clock);
  network.up();
  const failure: Partial<Failure> = { kind: "offline", where: "local" };
  const t = setup(Array(20).fill(failure), { network: network.watcher, clock, maxAttempts: Infinity });
  const controller = new AbortController();
  const rejected = assertRejects(() => t.run(controller.signal));
  const delays = () => t.events.flatMap((event) => event.type === "failure" ? [event.delay] : []);
  await clock.tickAsync(4000);
  assertEquals(delays(), [250, 500, 1000, 2000, 4000]);
  network.down();
  network.up();
  await clock.tickAsync(1000);
  assertEquals(delays().slice(5), [250, 500, 1000]);
  for (const _ of Array(4)) {
    await clock.tickAsync(300);
    network.down();
    network.up();
  }
  await clock.tickAsync(1000);
  assertEquals(delays().slice(8), [2000, 4000]);
  controller.abort();
  await rejected;
});

Deno.test("retry() tells classify what was done, how long it took and what is known of the network", async () => {
  const clock = new FakeClock();
  await using network = await networkSetup(clock);
  network.up();
  const seen: unknown[] = [];
  const t = setup([], {
    network: network.watcher,
    clock,
    operation: "resolve",
    classify: (error, context) => {
      seen.push([context.operation, context.network?.online, context.elapsed]);
      return { ...REFUSED, error };
    },
  });
  const result = t.policy.execute(({ attempt }) => {
    if (attempt === 2) return "done";
    clock.tick(70);
    throw new Known();
  });
  await clock.tickAsync(1000);
  assertEquals(await result, "done");
  assertEquals(seen, Array(2).fill(["resolve", true, 70]));
});

Deno.test("retry() works with what a browser knows of the network", async () => {
  const page = new EventTarget();
  const navigator = { onLine: true };
  using network = browserNetwork(page, navigator);
  const t = setup([OFFLINE], { network });
  const result = t.policy.execute(({ attempt }) => {
    t.times.push(t.clock.monotonic());
    if (attempt > 0) return "done";
    navigator.onLine = false;
    page.dispatchEvent(new Event("offline"));
    throw new Known({ ...OFFLINE });
  });
  await t.clock.tickAsync(20_000);
  navigator.onLine = true;
  page.dispatchEvent(new Event("online"));
  await t.clock.tickAsync(200);
  assertEquals(await result, "done");
  assertEquals(t.times, [0, 20_100]);
});

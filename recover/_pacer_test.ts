import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { browserNetwork } from "../internal/network_view.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { fakeNetwork } from "../testing/fake_network.ts";
import { watchNetwork } from "../watch/watch.ts";
import { Pacer, type PacerOptions, type PaceState, type PauseOptions } from "./_pacer.ts";

/** A pacer, a network that can be switched, and what was seen. */
async function setup(options: Partial<PacerOptions> = {}) {
  const clock = new FakeClock();
  const network = fakeNetwork();
  network.setInterface("wlan0");
  const watcher = await watchNetwork({ source: network.source, clock });
  const pacer = new Pacer({ network: watcher, clock, random: () => 0.5, ...options });
  const states: PaceState[] = [];
  const timers = clock.pending;
  return {
    clock,
    network,
    pacer,
    states,
    up: () =>
      network.change(() => {
        network.setAddress("wlan0", "192.168.1.23/24");
        network.setDefaultRoute(4, { interface: "wlan0", gateway: "192.168.1.1" });
      }),
    down: () => network.setDefaultRoute(4, null),
    /** Pauses, and tells how it ended and when. */
    async pause(pause: Partial<PauseOptions> = {}) {
      const end = await pacer.pause({ delay: 5000, enter: (state) => states.push(state), ...pause });
      return [end, clock.monotonic()];
    },
    /** How many timers there are besides those of the watcher at rest. */
    get timers() {
      return clock.pending - timers;
    },
    [Symbol.asyncDispose]: () => watcher[Symbol.asyncDispose](),
  };
}

Deno.test("a pause lasts as long as its delay while there is a network", async () => {
  await using t = await setup();
  t.up();
  await t.clock.tickAsync(60_000);
  const paused = t.pause({ delay: 5000 });
  await t.clock.tickAsync(10_000);
  assertEquals(await paused, ["elapsed", 65_000]);
  assertEquals(t.states, [{ type: "backing-off", delay: 5000 }]);
  assertEquals(t.timers, 0);
});

Deno.test("a pause without network lasts until it is back, and a moment by chance", async () => {
  await using t = await setup();
  const paused = t.pause({ delay: 10 });
  await t.clock.tickAsync(20_000);
  t.up();
  await t.clock.tickAsync(1000);
  assertEquals(await paused, ["network", 20_100]);
  assertEquals(t.states, [{ type: "suspended", reason: "offline" }]);
});

Deno.test("a pause without network ends by itself after half a minute, as events may be missed", async () => {
  await using t = await setup();
  const paused = t.pause();
  await t.clock.tickAsync(40_000);
  assertEquals(await paused, ["poll", 30_000]);
});

Deno.test("a back-off that ends without network goes on as a suspended one", async () => {
  await using t = await setup();
  t.up();
  const paused = t.pause();
  t.down();
  await t.clock.tickAsync(8000);
  assertEquals(t.states, [{ type: "backing-off", delay: 5000 }, { type: "suspended", reason: "offline" }]);
  t.up();
  await t.clock.tickAsync(1000);
  assertEquals(await paused, ["network", 8100]);
});

Deno.test("another address, gateway or resolver cuts a back-off short", async () => {
  const changes: readonly ((t: Awaited<ReturnType<typeof setup>>) => void)[] = [
    ({ network }) => network.setAddress("wlan0", "192.168.7.7/24"),
    ({ network }) => network.setDefaultRoute(4, { interface: "wlan0", gateway: "192.168.1.254" }),
    ({ network }) => network.setDns({ servers: [{ address: "9.9.9.9", port: 53 }], search: [] } as never),
  ];
  for (const change of changes) {
    await using t = await setup();
    t.up();
    const paused = t.pause();
    change(t);
    await t.clock.tickAsync(4000);
    assertEquals(await paused, ["network", 100]);
  }
});

Deno.test("a loss cuts nothing short", async () => {
  await using t = await setup();
  t.up();
  t.network.setAddress("wlan0", "192.168.1.99/24");
  const paused = t.pause();
  t.network.removeAddress("wlan0", "192.168.1.99/24");
  await t.clock.tickAsync(6000);
  assertEquals(await paused, ["elapsed", 5000]);
});

Deno.test("a pause that has to be waited out is, also through an outage, and still needs a network then", async () => {
  await using t = await setup();
  const paused = t.pause({ whole: true });
  await t.clock.tickAsync(1000);
  t.up();
  t.down();
  await t.clock.tickAsync(9000);
  assertEquals(t.states, [{ type: "backing-off", delay: 5000 }, { type: "suspended", reason: "offline" }]);
  t.up();
  await t.clock.tickAsync(1000);
  assertEquals(await paused, ["network", 10_100]);
});

Deno.test("wake() ends any pause at once, also without network", async () => {
  await using t = await setup({ ready: () => new Promise(() => {}) });
  const suspended = t.pause();
  const whole = t.pause({ whole: true });
  t.pacer.wake();
  assertEquals(await suspended, ["wake", 0]);
  assertEquals(await whole, ["wake", 0]);
  const gated = t.pause();
  t.up();
  await t.clock.tickAsync(1000);
  assertEquals(t.states.at(-1), { type: "gated" });
  t.pacer.wake();
  assertEquals(await gated, ["wake", 1000]);
  assertEquals(t.timers, 0);
});

Deno.test("readiness is waited for when the network is back", async () => {
  const ready = Promise.withResolvers<void>();
  await using t = await setup({ ready: () => ready.promise });
  const paused = t.pause();
  t.up();
  await t.clock.tickAsync(1500);
  assertEquals(t.states, [{ type: "suspended", reason: "offline" }, { type: "gated" }]);
  ready.resolve();
  await t.clock.tickAsync(1000);
  assertEquals(await paused, ["network", 1600]);
});

Deno.test("readiness is waited for three seconds, and told that it is over", async () => {
  let told: AbortSignal | undefined;
  await using t = await setup({ ready: (signal) => new Promise(() => void (told = signal)) });
  const paused = t.pause();
  t.up();
  await t.clock.tickAsync(2999);
  assertEquals(told?.aborted, false);
  await t.clock.tickAsync(1000);
  assertEquals(await paused, ["network", 3100]);
  assertEquals(told?.aborted, true);
});

Deno.test("a gate that throws, at once or later, is passed and reported", async () => {
  const messages: string[] = [];
  const nothing = () => {};
  const logger = { debug: (m: string) => messages.push(m), info: nothing, warn: nothing, error: nothing };
  for (
    const ready of [() => Promise.reject(new Error("no")), () => {
      throw new Error("no");
    }]
  ) {
    await using t = await setup({ ready, logger: { ...logger, critical: nothing } });
    const paused = t.pause();
    t.up();
    await t.clock.tickAsync(1000);
    assertEquals(await paused, ["network", 100]);
  }
  assertEquals(messages, Array(2).fill("The network is not ready, trying anyway"));
});

Deno.test("a network that goes away again while readiness is waited for suspends the pause again", async () => {
  await using t = await setup({ ready: () => new Promise(() => {}) });
  const paused = t.pause();
  t.up();
  await t.clock.tickAsync(2500);
  t.down();
  await t.clock.tickAsync(10_000);
  const offline = { type: "suspended", reason: "offline" } as const;
  assertEquals(t.states, [offline, { type: "gated" }, offline]);
  t.up();
  await t.clock.tickAsync(10_000);
  assertEquals(await paused, ["network", 12_500 + 3100]);
});

Deno.test("a gate that is asked for stands at the end of a back-off, too", async () => {
  let asked = 0;
  await using t = await setup({ ready: () => Promise.resolve(void asked++) });
  t.up();
  const paused = t.pause({ gate: true });
  await t.clock.tickAsync(6000);
  assertEquals(await paused, ["elapsed", 5000]);
  assertEquals(asked, 1);
});

Deno.test("a deadline ends a back-off, a suspended pause and a gate", async () => {
  await using t = await setup({ ready: () => new Promise(() => {}) });
  const suspended = t.pause({ deadline: 700 });
  await t.clock.tickAsync(1000);
  assertEquals(await suspended, ["deadline", 700]);
  const gated = t.pause({ deadline: 2000 });
  t.up();
  const backingOff = t.pause({ deadline: 1500 });
  await t.clock.tickAsync(2000);
  assertEquals(await gated, ["deadline", 2000]);
  assertEquals(await backingOff, ["deadline", 1500]);
  const late = t.pause({ deadline: 100 });
  await t.clock.tickAsync(0);
  assertEquals(await late, ["deadline", 3000]);
});

Deno.test("an abort ends a pause in each of its states with the signal's reason, and leaves nothing", async () => {
  const reason = new Error("enough");
  for (const moment of ["before", "back-off", "suspended", "gated", "spread"]) {
    const ready = moment === "gated" ? () => new Promise<void>(() => {}) : undefined;
    await using t = await setup({ ready });
    if (moment === "back-off") t.up();
    const controller = new AbortController();
    if (moment === "before") controller.abort(reason);
    const paused = t.pause({ signal: controller.signal });
    const rejected = assertRejects(() => paused);
    if (moment === "gated" || moment === "spread") t.up();
    await t.clock.tickAsync(50);
    controller.abort(reason);
    assertStrictEquals(await rejected, reason);
    t.network.setDefaultRoute(4, null);
    assertEquals(t.pacer.online, false);
    // The watcher's own timer: a change settles.
    await t.clock.tickAsync(5000);
    assertEquals(t.timers, 0, moment);
  }
});

Deno.test("a change that came while the attempt was under way counts as one that came now", async () => {
  await using t = await setup();
  t.up();
  await t.clock.tickAsync(60_000);
  const since = t.pacer.mark();
  assert(!t.pacer.stirred(since));
  t.network.setDefaultRoute(4, { interface: "wlan0", gateway: "192.168.1.254" });
  assert(t.pacer.stirred(since));
  const paused = t.pause({ since });
  await t.clock.tickAsync(1000);
  assertEquals(await paused, ["network", 60_100]);
  const second = t.pause({ since: t.pacer.mark() });
  await t.clock.tickAsync(6000);
  assertEquals(await second, ["elapsed", 66_000]);
});

Deno.test("a wake that came while the attempt was under way serves all who were not there", async () => {
  await using t = await setup();
  const since = t.pacer.mark();
  const waiting = t.pause();
  t.up();
  const [first, second] = [t.pause({ since }), t.pause({ since })];
  await t.clock.tickAsync(1000);
  assertEquals(await Promise.all([waiting, first, second]), Array(3).fill(["network", 100]));
});

Deno.test("a flapping network wakes less and less, and a wake that was held back is made up for", async () => {
  await using t = await setup();
  const ends: unknown[] = [];
  const loop = async (signal: AbortSignal) => {
    for (;;) ends.push(await t.pause({ delay: Infinity, signal }));
  };
  const controller = new AbortController();
  const looping = assertRejects(() => loop(controller.signal));
  for (let i = 0; i < 10; i++) {
    t.up();
    await t.clock.tickAsync(300);
    if (i < 9) t.down();
    await t.clock.tickAsync(500);
  }
  assert(t.pacer.flapping);
  await t.clock.tickAsync(4000);
  // Two seconds after the first wake it was down, until 2400.
  assertEquals(ends, [["network", 100], ["network", 2500], ["network", 6500]]);
  controller.abort();
  await looping;
  assertEquals(t.timers, 0);
});

Deno.test("a pacer works with what a browser knows of the network", async () => {
  const page = new EventTarget();
  const navigator = { onLine: false };
  using network = browserNetwork(page, navigator);
  const clock = new FakeClock();
  const pacer = new Pacer({ network, clock, random: () => 0.25 });
  const paused = pacer.pause({ delay: 5000 });
  await clock.tickAsync(12_000);
  navigator.onLine = true;
  page.dispatchEvent(new Event("online"));
  await clock.tickAsync(200);
  assertEquals(await paused, "network");
  assertEquals(clock.pending, 0);
});

Deno.test("a pacer without network has time and wake() only", async () => {
  const clock = new FakeClock();
  const pacer = new Pacer({ clock });
  assert(pacer.online && !pacer.flapping);
  const paused = pacer.pause({ delay: 500, since: pacer.mark() });
  await clock.tickAsync(600);
  assertEquals(await paused, "elapsed");
  const woken = pacer.pause({ delay: 500 });
  pacer.wake();
  assertEquals(await woken, "wake");
  assertEquals(clock.pending, 0);
});

import { assertEquals, assertRejects } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { HoldfastError } from "../internal/errors.ts";
import { silentLogger } from "../internal/log.ts";
import { acquireHub, openedHub } from "./_hubs.ts";
import type { Hub } from "./_hub.ts";
import type { HubListener, HubOptions } from "./_hub_types.ts";
import type { Reading, Source, SourceEvents } from "./_reading.ts";
import type { Rung } from "./_select.ts";
import type { BackendName } from "./events.ts";

/** A source whose every step a test decides. */
class Script {
  /** What the source of each opening may say. */
  readonly events: SourceEvents[] = [];
  readonly sleepClocks: (() => number)[] = [];
  /** How often a source was closed, by its number. */
  readonly closed: number[] = [];
  reads = 0;
  /** Thrown by opening, as long as it is set. */
  broken: Error | undefined;
  /** Awaited by opening and reading, as long as they are set. */
  opening: Promise<unknown> | undefined;
  reading: (() => Reading | Promise<Reading>) | undefined;
  /** Called in the middle of opening. */
  onOpen: ((events: SourceEvents) => void) | undefined;
  onClose: (() => void) | undefined;

  constructor(readonly backend: BackendName = "netlink", readonly clock = new FakeClock()) {}

  readonly open = async (events: SourceEvents): Promise<Source> => {
    await this.opening;
    if (this.broken) throw this.broken;
    const number = this.events.push(events) - 1;
    this.closed[number] = 0;
    this.onOpen?.(events);
    return {
      backend: this.backend,
      reader: "netlink",
      read: () => {
        this.reads++;
        return this.reading ? this.reading() : this.take();
      },
      [Symbol.asyncDispose]: () => {
        this.closed[number] = (this.closed[number] ?? 0) + 1;
        this.onClose?.();
        return Promise.resolve();
      },
    };
  };

  /** A reading whose time says how many were taken. */
  take(): Reading {
    const nothing = { v4: null, v6: null };
    return {
      at: this.reads,
      interfaces: [],
      defaultRoute: nothing,
      gatewayMac: nothing,
      dns: null,
      blind: [],
    };
  }

  get last(): SourceEvents {
    const events = this.events.at(-1);
    if (!events) throw new Error("no source was opened");
    return events;
  }

  get rung(): Rung {
    return { backend: this.backend, needs: [], open: this.open, reader: () => Promise.reject() };
  }
}

/** Writes down what a hub tells. */
function listen(hub: Hub, heard: unknown[] = []): { heard: unknown[]; listener: HubListener } & Disposable {
  const listener: HubListener = {
    reading: ({ at }) => heard.push(at),
    backend: (reason, detail) => heard.push(`${reason}: ${detail}`),
    wake: (slept) => heard.push(`slept ${slept}`),
  };
  const subscription = hub.subscribe(listener);
  return { heard, listener, [Symbol.dispose]: () => subscription[Symbol.dispose]() };
}

function own(script: Script, options: Partial<HubOptions> = {}): Promise<Hub> {
  return acquireHub({
    backend: "auto",
    pollInterval: 1,
    source: script.open,
    clock: script.clock,
    logger: silentLogger,
    ...options,
  });
}

/** A hub whose sources are made up, and paced like the system's. */
function ladder(clock: FakeClock, ...scripts: Script[]): Promise<Hub> {
  return acquireHub({
    backend: "auto",
    pollInterval: 1,
    rungs: scripts.map(({ rung }) => rung),
    clock,
    logger: silentLogger,
  });
}

const failure = new HoldfastError("Cannot do it: made up", { code: "system", operation: "do it" });

Deno.test("a hint that comes while the source is being opened leads to a second reading", async () => {
  const script = new Script();
  script.onOpen = (events) => events.hint();
  const hub = await own(script);
  assertEquals(script.reads, 2);
  assertEquals(hub.reading.at, 2);
  await hub.release();
});

Deno.test("messages lost while the source is being opened lead to a second reading", async () => {
  const script = new Script();
  script.onOpen = (events) => events.overflow("too many");
  const hub = await own(script);
  assertEquals(hub.reading.at, 2);
  await hub.release();
});

Deno.test("a source that fails before its first reading is closed, and counts as one that cannot be opened", async () => {
  const script = new Script();
  script.onOpen = (events) => events.failed(failure);
  const error = await assertRejects(() => own(script), HoldfastError, "Cannot do it: made up");
  assertEquals(error, failure);
  assertEquals(script.closed, [1]);
});

Deno.test("a source whose first reading fails is closed", async () => {
  const script = new Script();
  script.reading = () => {
    throw failure;
  };
  await assertRejects(() => own(script), HoldfastError, "made up");
  assertEquals(script.closed, [1]);
});

Deno.test("a failure between the first reading and the use of the source is not forgotten", async () => {
  const script = new Script();
  script.reading = () => {
    const reading = script.take();
    // After the reading has been looked at, and before the hub has taken the source over.
    if (script.reads === 1) void Promise.resolve().then(() => {}).then(() => script.last.failed(failure));
    return reading;
  };
  const hub = await own(script);
  await script.clock.tickAsync(0);
  assertEquals(script.closed, [1, 0]);
  await hub.release();
});

Deno.test("hints during a reading lead to exactly one more", async () => {
  const script = new Script();
  const hub = await own(script);
  using told = listen(hub);
  const { promise, resolve } = Promise.withResolvers<Reading>();
  script.reading = () => promise;
  script.last.hint();
  script.last.hint();
  script.last.hint();
  script.reading = undefined;
  resolve(script.take());
  await script.clock.tickAsync(0);
  assertEquals(told.heard, [2, 3]);
  await hub.release();
});

Deno.test("hints are read at a pace: five readings close together, then one per 20 ms", async () => {
  const script = new Script();
  const hub = await ladder(script.clock, script);
  using _told = listen(hub);
  script.clock.tick(1000);
  const start = script.clock.monotonic();
  const times: number[] = [];
  script.reading = () => {
    times.push(script.clock.monotonic() - start);
    return script.take();
  };
  for (let i = 0; i < 100; i++) {
    script.last.hint();
    script.clock.tick(1);
  }
  assertEquals(times, [0, 2, 4, 6, 8, 28, 48, 68, 88]);
  await hub.release();
});

Deno.test("refresh() reads at once, resolves when all know, and takes the place of a reading that is due", async () => {
  const script = new Script();
  const hub = await ladder(script.clock, script);
  using told = listen(hub);
  script.last.hint();
  script.last.hint();
  assertEquals(told.heard, [2], "the second hint waits for its turn");
  await hub.refresh();
  assertEquals(told.heard, [2, 3]);
  await script.clock.tickAsync(1000);
  assertEquals(told.heard, [2, 3]);
  await hub.release();
});

Deno.test("refresh() waits for a reading that is under way and takes one of its own", async () => {
  const script = new Script();
  const hub = await own(script);
  using told = listen(hub);
  const { promise, resolve } = Promise.withResolvers<Reading>();
  script.reading = () => promise;
  script.last.hint();
  const refreshed = hub.refresh();
  script.reading = undefined;
  resolve(script.take());
  await refreshed;
  assertEquals(told.heard, [2, 3]);
  await hub.release();
});

Deno.test("a listener that causes another reading does not make others hear the older one last", async () => {
  const script = new Script();
  const hub = await own(script);
  const heard: number[] = [];
  using _first = hub.subscribe({
    reading: () => script.reads < 3 && script.last.hint(),
    backend() {},
    wake() {},
  });
  using _second = hub.subscribe({ reading: ({ at }) => heard.push(at), backend() {}, wake() {} });
  script.last.hint();
  assertEquals(heard, [2, 3]);
  await hub.release();
});

Deno.test("a listener that refreshes the hub it is told by does not make others hear the older reading last", async () => {
  const script = new Script();
  const hub = await own(script);
  const heard: number[] = [];
  const refreshed: Promise<void>[] = [];
  using _first = hub.subscribe({
    reading: () => void (script.reads < 3 && refreshed.push(hub.refresh())),
    backend() {},
    wake() {},
  });
  using _second = hub.subscribe({ reading: ({ at }) => heard.push(at), backend() {}, wake() {} });
  script.last.hint();
  await Promise.all(refreshed);
  assertEquals(heard, [2, 3]);
  await hub.release();
});

Deno.test("a listener that throws is reported, and harms neither the others nor the source", async () => {
  const script = new Script();
  const errors: unknown[][] = [];
  const hub = await own(script, { logger: { ...silentLogger, error: (...args) => errors.push(args) } });
  const bug = new RangeError("a bug");
  using _first = hub.subscribe({
    reading() {
      throw bug;
    },
    backend() {},
    wake() {},
  });
  using told = listen(hub);
  script.last.hint();
  await script.clock.tickAsync(0);
  assertEquals(told.heard, [2]);
  assertEquals(errors, [["Uncaught error in a watcher of the network", bug]]);
  assertEquals(script.closed, [0]);
  await hub.release();
});

Deno.test("a listener that was taken away by another is not told any more", async () => {
  const script = new Script();
  const hub = await own(script);
  const heard: number[] = [];
  using _first = hub.subscribe({ reading: () => second[Symbol.dispose](), backend() {}, wake() {} });
  const second = hub.subscribe({ reading: ({ at }) => heard.push(at), backend() {}, wake() {} });
  script.last.hint();
  assertEquals(heard, []);
  await hub.release();
});

Deno.test("what a source says after it was replaced is not heard", async () => {
  const script = new Script();
  const hub = await own(script);
  script.last.failed(failure);
  await script.clock.tickAsync(0);
  using told = listen(hub);
  const [old] = script.events;
  old?.hint();
  old?.overflow("too late");
  old?.failed(failure);
  await script.clock.tickAsync(0);
  assertEquals(told.heard, []);
  assertEquals(script.closed, [1, 0]);
  await hub.release();
});

Deno.test("a source that fails is closed and opened anew at once, then told as recovered with a reading", async () => {
  const script = new Script();
  const hub = await own(script);
  using told = listen(hub);
  script.last.failed(failure);
  await script.clock.tickAsync(0);
  assertEquals(told.heard, ["recovered: Cannot do it: made up", 2]);
  assertEquals(script.closed, [1, 0]);
  assertEquals(hub.lastError, failure);
  await hub.release();
  assertEquals(script.closed, [1, 1]);
});

Deno.test("a source that cannot be opened anew is tried again at growing distances, while the old state stays", async () => {
  const script = new Script();
  const hub = await own(script);
  using told = listen(hub);
  script.broken = failure;
  script.last.failed(failure);
  const tries: number[] = [];
  const start = script.clock.monotonic();
  Object.defineProperty(script, "opening", { get: () => void tries.push(script.clock.monotonic() - start) });
  await script.clock.tickAsync(20_000);
  assertEquals(tries, [0, 1000, 3000, 7000, 15_000]);
  assertEquals(hub.reading.at, 1);
  assertEquals((await hub.fresh()).at, 1, "there is nothing to read with");
  script.last.hint();
  await hub.refresh();
  assertEquals(told.heard, []);
  script.broken = undefined;
  await script.clock.tickAsync(11_000);
  assertEquals(told.heard, ["recovered: Cannot do it: made up", 2]);
  assertEquals(script.closed, [1, 0], "the failed one was closed once");
  await hub.release();
});

Deno.test("a source that fails again right after it was opened is not opened again at full speed", async () => {
  const script = new Script();
  const hub = await own(script);
  const opened: number[] = [];
  script.onOpen = (events) => {
    opened.push(script.clock.monotonic());
    script.clock.after(10, () => events.failed(failure));
  };
  script.last.failed(failure);
  await script.clock.tickAsync(20_000);
  assertEquals(opened, [0, 1010, 3020, 7030, 15_040]);
  await hub.release();
});

Deno.test("a reading that fails replaces the source, be it synchronous or not", async () => {
  for (
    const fail of [() => Promise.reject(failure), () => {
      throw failure;
    }]
  ) {
    const script = new Script();
    const hub = await own(script);
    using told = listen(hub);
    script.reading = fail;
    script.last.hint();
    script.reading = undefined;
    await script.clock.tickAsync(0);
    assertEquals(told.heard, ["recovered: Cannot do it: made up", 3]);
    await hub.release();
  }
});

Deno.test("a better source is looked for now and then, and takes over without an old reading after a new one", async () => {
  const clock = new FakeClock();
  const [best, last] = [new Script("netlink", clock), new Script("poll", clock)];
  best.broken = failure;
  const hub = await ladder(clock, best, last);
  assertEquals([hub.backend, hub.passed.length], ["poll", 1]);
  using told = listen(hub);
  await clock.tickAsync(3000);
  assertEquals(told.heard, []);
  // A reading of the old source is still under way when the better one takes over.
  const { promise, resolve } = Promise.withResolvers<Reading>();
  last.reading = () => promise;
  last.last.hint();
  best.broken = undefined;
  await clock.tickAsync(4000);
  resolve({ ...last.take(), at: -1 });
  await clock.tickAsync(0);
  assertEquals(told.heard, ['recovered: "netlink" works again', 1]);
  assertEquals([hub.backend, hub.passed, last.closed], ["netlink", [], [1]]);
  await hub.release();
});

Deno.test("something better that was found is no reason to look for the best less often", async () => {
  const clock = new FakeClock();
  const [best, middle, last] = [
    new Script("netlink", clock),
    new Script("ip-monitor", clock),
    new Script("poll", clock),
  ];
  best.broken = middle.broken = failure;
  const hub = await ladder(clock, best, middle, last);
  await clock.tickAsync(60_000);
  assertEquals(hub.backend, "poll");
  middle.broken = undefined;
  await clock.tickAsync(6000);
  assertEquals([hub.backend, hub.passed.map(({ backend }) => backend)], ["ip-monitor", ["netlink"]]);
  best.broken = undefined;
  await clock.tickAsync(6000);
  assertEquals([hub.backend, middle.closed, last.closed], ["netlink", [1], [1]]);
  await hub.release();
});

Deno.test("a worse source that takes over is told as a fallback", async () => {
  const clock = new FakeClock();
  const [best, last] = [new Script("netlink", clock), new Script("poll", clock)];
  const hub = await ladder(clock, best, last);
  using told = listen(hub);
  best.broken = failure;
  best.last.failed(failure);
  await clock.tickAsync(0);
  assertEquals(told.heard, ["fallback: Cannot do it: made up", 1]);
  assertEquals([hub.backend, hub.passed.map(({ backend }) => backend)], ["poll", ["netlink"]]);
  await hub.release();
});

Deno.test("a source that fails while a better one is looked for in vain is opened anew", async () => {
  const clock = new FakeClock();
  const [best, last] = [new Script("netlink", clock), new Script("poll", clock)];
  best.broken = failure;
  const hub = await ladder(clock, best, last);
  using told = listen(hub);
  const { promise, resolve } = Promise.withResolvers<void>();
  best.opening = promise;
  await clock.tickAsync(1000);
  last.last.failed(failure);
  resolve();
  await clock.tickAsync(0);
  assertEquals(told.heard, ["recovered: Cannot do it: made up", 2]);
  assertEquals(last.closed, [1, 0]);
  await hub.release();
});

Deno.test("a source that fails while a better one is being opened is not opened again", async () => {
  const clock = new FakeClock();
  const [best, last] = [new Script("netlink", clock), new Script("poll", clock)];
  best.broken = failure;
  const hub = await ladder(clock, best, last);
  using told = listen(hub);
  best.broken = undefined;
  const { promise, resolve } = Promise.withResolvers<void>();
  best.opening = promise;
  await clock.tickAsync(1000);
  last.last.failed(failure);
  resolve();
  await clock.tickAsync(10_000);
  assertEquals(told.heard, ['recovered: "netlink" works again', 1]);
  assertEquals([best.closed, last.closed, last.events.length], [[0], [1], 1]);
  await hub.release();
});

Deno.test("release() during a reading waits for it, and nothing is told afterwards", async () => {
  const script = new Script();
  const hub = await own(script);
  using told = listen(hub);
  const { promise, resolve } = Promise.withResolvers<Reading>();
  script.reading = () => promise;
  script.onClose = () => resolve(script.take());
  script.last.hint();
  await hub.release();
  script.last.hint();
  script.last.failed(failure);
  hub.hint();
  await hub.refresh();
  await script.clock.tickAsync(60_000);
  assertEquals(told.heard, []);
  assertEquals([script.reads, script.closed, script.clock.pending], [2, [1], 0]);
});

Deno.test("release() during a reading that is then called off leaves no rejection behind", async () => {
  const script = new Script();
  const hub = await own(script);
  const { promise, reject } = Promise.withResolvers<Reading>();
  script.reading = () => promise;
  script.onClose = () => reject(failure);
  script.last.hint();
  await hub.release();
  assertEquals([script.events.length, script.clock.pending], [1, 0]);
});

Deno.test("release() while a source is opened anew closes that one as well", async () => {
  const script = new Script();
  const hub = await own(script);
  using told = listen(hub);
  const { promise, resolve } = Promise.withResolvers<void>();
  script.opening = promise;
  script.last.failed(failure);
  await script.clock.tickAsync(0);
  const released = hub.release();
  resolve();
  await released;
  assertEquals(script.closed.every((times) => times > 0), true);
  assertEquals([script.closed.length, told.heard, script.clock.pending], [2, [], 0]);
});

Deno.test("release() while a better source is opened closes both", async () => {
  const clock = new FakeClock();
  const [best, last] = [new Script("netlink", clock), new Script("poll", clock)];
  best.broken = failure;
  const hub = await ladder(clock, best, last);
  best.broken = undefined;
  const { promise, resolve } = Promise.withResolvers<void>();
  best.opening = promise;
  await clock.tickAsync(1000);
  const released = hub.release();
  resolve();
  await released;
  assertEquals([best.closed.length, best.closed.concat(last.closed).includes(0)], [1, false]);
  assertEquals(clock.pending, 0);
});

Deno.test("release() between two attempts at a source calls the next one off", async () => {
  const script = new Script();
  const hub = await own(script);
  script.broken = failure;
  script.last.failed(failure);
  await script.clock.tickAsync(0);
  await hub.release();
  assertEquals(script.clock.pending, 0);
});

Deno.test("a source that cannot be closed is replaced all the same", async () => {
  const script = new Script();
  const hub = await own(script);
  using told = listen(hub);
  script.onClose = () => {
    throw new Error("stuck");
  };
  script.last.failed(failure);
  await script.clock.tickAsync(0);
  assertEquals(told.heard, ["recovered: Cannot do it: made up", 2]);
  script.onClose = undefined;
  await hub.release();
});

Deno.test("a clock of the source's own tells sleep while the source is in use, and is not asked afterwards", async () => {
  const clock = new FakeClock();
  let slept = 0;
  let inUse = true;
  const script = new Script("netlink", clock);
  const hub = await own(script, {
    source: async (events) => ({
      ...await script.open(events),
      sleepClock() {
        if (!inUse) throw new Error("asked after it was closed");
        return slept;
      },
    }),
  });
  using told = listen(hub);
  clock.jump(60_000);
  slept = 30_000;
  script.last.hint();
  assertEquals(told.heard.filter((entry) => typeof entry === "string"), ["slept 30000"]);
  slept = 80_000;
  script.onClose = () => inUse = false;
  script.broken = failure;
  script.last.failed(failure);
  assertEquals(told.heard.at(-1), "slept 50000", "what happened until it failed is told");
  await clock.tickAsync(10_000);
  clock.jump(20_000);
  await clock.tickAsync(10_000);
  assertEquals(told.heard.at(-1), "slept 20000", "the runtime's clocks take over");
  inUse = true;
  await hub.release();
});

Deno.test("holders of the same options share a hub, which is closed with the last of them and opened anew after that", async () => {
  const script = new Script();
  const options: HubOptions = { backend: "auto", pollInterval: 12_345, rungs: [script.rung] };
  assertEquals(openedHub(options), undefined);
  const [first, second] = await Promise.all([acquireHub(options), acquireHub(options)]);
  assertEquals(first === second, true);
  assertEquals(await openedHub(options) === first, true);
  await first.release();
  assertEquals(script.closed, [0]);
  const closing = second.release();
  assertEquals(second.retain(), false);
  const third = await acquireHub(options);
  await closing;
  assertEquals(script.closed, [1, 0]);
  await third.release();
  assertEquals([script.closed, openedHub(options)], [[1, 1], undefined]);
});

Deno.test("a hub that was closed before one who waited for it could take it is opened again", async () => {
  const script = new Script();
  const options: HubOptions = { backend: "auto", pollInterval: 12_345, rungs: [script.rung] };
  const first = acquireHub(options);
  // Right after the first took its hold, and before the second comes to it.
  const closed = openedHub(options)?.then((hub) => hub.release());
  const second = acquireHub(options);
  const hubs = await Promise.all([first, second]);
  await closed;
  assertEquals([hubs[0] === hubs[1], hubs[1].retain()], [false, true]);
  await hubs[1].release();
  assertEquals(script.closed, [1, 0]);
  await hubs[1].release();
  assertEquals(script.closed, [1, 1]);
});

Deno.test("a hub that could not be opened is opened again for the next who asks", async () => {
  const script = new Script();
  const options: HubOptions = { backend: "netlink", pollInterval: 12_345, rungs: [script.rung] };
  script.broken = failure;
  const both = await Promise.allSettled([acquireHub(options), acquireHub(options)]);
  assertEquals(both.map(({ status }) => status), ["rejected", "rejected"]);
  script.broken = undefined;
  const hub = await acquireHub(options);
  await hub.release();
  assertEquals(script.closed, [1]);
});

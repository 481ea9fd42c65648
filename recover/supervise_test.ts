import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { type Logger, silentLogger } from "../internal/log.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { runCode } from "../tests/_code.ts";
import { madeUp, MadeUpError } from "../tests/_failures.ts";
import { TestView, viewState } from "../tests/_view.ts";
import { constant, custom } from "./backoff.ts";
import { limit } from "./limit.ts";
import type { Attempt } from "./policy.ts";
import { supervise, type SuperviseOptions } from "./supervise.ts";

interface Run {
  readonly at: number;
  readonly signal: AbortSignal;
  readonly attempt: number;
  end(): void;
  fail(error?: unknown): void;
}

/** A supervised task whose runs end when the test says so, or when they are told to. */
function rig(options: SuperviseOptions = {}) {
  const clock = new FakeClock();
  const runs: Run[] = [];
  const task = ({ signal, attempt }: Attempt): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => reject(signal.reason));
    runs.push({
      at: clock.monotonic(),
      signal,
      attempt,
      end: resolve,
      fail: (error = new MadeUpError({})) => reject(error),
    });
    return promise;
  };
  const feed = supervise("feed", task, {
    backoff: constant(1000),
    classify: madeUp,
    clock,
    random: () => 0.5,
    ...options,
  });
  const log: string[] = [];
  for (const type of ["starting", "running", "failed", "stopped"] as const) {
    feed.on(type, () => log.push(type));
  }
  feed.on("waiting", ({ reason, until }) => log.push(`waiting: ${reason} ${until}`));
  return { clock, feed, runs, log, times: () => runs.map(({ at }) => at) };
}

Deno.test("supervise() starts a task, and starts it again after it has failed", async () => {
  const { clock, feed, runs, log } = rig();
  assertEquals(feed.status, { type: "starting", at: 0, attempt: 0 });
  await clock.tickAsync(500);
  assertEquals(feed.status, { type: "running", at: 0, attempt: 0 });
  runs[0]?.fail();
  await clock.tickAsync(0);
  assertEquals(feed.status, { type: "waiting", at: 500, attempt: 1, reason: "back-off", until: 1500 });
  await clock.tickAsync(1000);
  assertEquals(runs.map(({ at, attempt }) => [at, attempt]), [[0, 0], [1500, 1]]);
  runs[1]?.end();
  assertEquals(await feed.done, { type: "stopped", at: 1500, reason: "finished", error: null });
  assertEquals(log, [
    "starting",
    "running",
    "failed",
    "waiting: back-off 1500",
    "starting",
    "running",
    "stopped",
  ]);
  assertEquals(clock.pending, 0);
});

Deno.test("supervise() starts a task again after its end too, if it is told so", async () => {
  const { clock, feed, runs, log } = rig({ restart: "always" });
  await clock.tickAsync(0);
  runs[0]?.end();
  await clock.tickAsync(1000);
  assertEquals([runs.length, log.includes("failed")], [2, false]);
  await feed.stop();
});

Deno.test("supervise() begins its back-off anew once the task has run well for a while", async () => {
  const { clock, feed, runs, times } = rig({
    backoff: custom((step) => 100 * (step + 1)),
    stableAfter: 5000,
  });
  await clock.tickAsync(0);
  runs[0]?.fail();
  await clock.tickAsync(100);
  runs[1]?.fail();
  await clock.tickAsync(200);
  await clock.tickAsync(4999);
  runs[2]?.fail();
  await clock.tickAsync(300);
  await clock.tickAsync(5000);
  runs[3]?.fail();
  await clock.tickAsync(100);
  assertEquals(times(), [0, 100, 300, 300 + 4999 + 300, 5599 + 5000 + 100]);
  await feed.stop();
});

Deno.test("supervise() does not start again what no other start can help", async () => {
  const { clock, feed, runs } = rig();
  await clock.tickAsync(0);
  const thrown = new MadeUpError({ retry: "never" });
  runs[0]?.fail(thrown);
  const { reason, error } = await feed.done;
  assertEquals(reason, "hopeless");
  assertStrictEquals(error, thrown);
  const other = rig({ retryIf: () => true });
  await other.clock.tickAsync(0);
  other.runs[0]?.fail(thrown);
  await other.clock.tickAsync(1000);
  assertEquals(other.runs.length, 2);
  await other.feed.stop();
});

Deno.test("supervise() gives up when a task fails too often within a short time", async () => {
  const { clock, feed, runs } = rig({ maxRestarts: 3, within: 10_000 });
  for (let i = 0; i < 3; i++) {
    await clock.tickAsync(0);
    runs[i]?.fail();
    await clock.tickAsync(1000);
  }
  const thrown = new MadeUpError({});
  runs[3]?.fail(thrown);
  const { reason, error, at } = await feed.done;
  assertEquals([reason, at], ["too-often", 3000]);
  assertStrictEquals(error, thrown);
});

Deno.test("supervise() does not hold old restarts against a task", async () => {
  const { clock, feed, runs } = rig({ maxRestarts: 3, within: 3500 });
  for (let i = 0; i < 20; i++) {
    await clock.tickAsync(0);
    runs[i]?.fail();
    await clock.tickAsync(1200);
  }
  assertEquals([runs.length, feed.status.type], [21, "running"]);
  await feed.stop();
});

Deno.test("supervise() starts nothing while there is no network, and at once when it is back", async () => {
  const network = new TestView(viewState(null));
  const { clock, feed, runs, log, times } = rig({ network });
  await clock.tickAsync(5000);
  assertEquals([runs.length, log], [0, ["waiting: offline null"]]);
  network.change(viewState("192.0.2.1"));
  network.tell({ type: "online", at: 0, family: 4, families: [4] });
  await clock.tickAsync(200);
  assertEquals(times(), [5100], "somewhere within 200 ms");
  network.change(viewState(null));
  runs[0]?.fail(new MadeUpError({ kind: "offline", where: "local" }));
  await clock.tickAsync(10_000);
  assertEquals(runs.length, 1);
  network.change(viewState("192.0.2.1"));
  network.tell({ type: "online", at: 0, family: 4, families: [4] });
  await clock.tickAsync(200);
  assertEquals(runs.length, 2);
  await feed.stop();
  assertEquals([clock.pending, network.subscribers], [0, 1], "what tells networks apart stays");
});

Deno.test("supervise() leaves the other end alone for as long as it asks", async () => {
  const { clock, feed, runs, times } = rig();
  await clock.tickAsync(0);
  runs[0]?.fail(new MadeUpError({ retryAfter: 7000 }));
  await clock.tickAsync(7000);
  runs[1]?.fail(new MadeUpError({ retryAfter: 1e12 }));
  await clock.tickAsync(300_000);
  assertEquals(times(), [0, 7000, 307_000]);
  await feed.stop();
});

Deno.test("supervise() waits out a network's change only where it is the other end that asks to be left alone", async () => {
  for (const [where, second] of [["remote", 60_000], ["local", 5100]] as const) {
    const network = new TestView();
    const { clock, feed, runs, times } = rig({ network });
    await clock.tickAsync(0);
    runs[0]?.fail(new MadeUpError({ where, retryAfter: 60_000 }));
    await clock.tickAsync(5000);
    network.change(viewState("198.51.100.1"));
    network.tell({ type: "online", at: 5000, family: 4, families: [4] });
    await clock.tickAsync(55_000);
    assertEquals(times(), [0, second]);
    await feed.stop();
  }
});

Deno.test("supervise() ends a wait when the application says so", async () => {
  const { clock, feed, runs, times } = rig();
  await clock.tickAsync(0);
  runs[0]?.fail();
  await clock.tickAsync(100);
  feed.wake();
  await clock.tickAsync(0);
  assertEquals(times(), [0, 100]);
  await feed.stop();
});

Deno.test("supervise() stops a running task, and waits until it has ended", async () => {
  const { clock, feed, runs, log } = rig();
  await clock.tickAsync(0);
  let stopped = false;
  const stopping = feed.stop().then(() => stopped = true);
  assertEquals([runs[0]?.signal.aborted, stopped], [true, false]);
  await stopping;
  assertEquals(feed.status, { type: "stopped", at: 0, reason: "stopped", error: null });
  await feed.stop();
  assertEquals(log, ["starting", "running", "stopped"]);
  assertEquals(clock.pending, 0);
});

Deno.test("supervise() stops while it waits, and before it has begun", async () => {
  const waiting = rig();
  await waiting.clock.tickAsync(0);
  waiting.runs[0]?.fail();
  await waiting.clock.tickAsync(10);
  await waiting.feed.stop();
  assertEquals([waiting.runs.length, waiting.clock.pending], [1, 0]);
  const early = rig();
  await early.feed.stop();
  assertEquals([early.runs.length, early.log], [0, ["stopped"]]);
});

Deno.test("supervise() ends on its signal, and lets go of it", async () => {
  const caller = new AbortController();
  const { clock, feed, runs } = rig({ signal: caller.signal });
  await clock.tickAsync(0);
  caller.abort(new Error("enough"));
  assertEquals((await feed.done).reason, "stopped");
  assertEquals(runs[0]?.signal.reason.message, "enough");
  const late = rig({ signal: caller.signal });
  assertEquals([(await late.feed.done).reason, late.runs.length], ["stopped", 0]);
});

Deno.test("supervise() tells each reader every change, the end included", async () => {
  const { clock, feed, runs } = rig();
  const seen: string[] = [];
  const reading = (async () => {
    for await (const { type } of feed) seen.push(type);
  })();
  await clock.tickAsync(0);
  runs[0]?.fail();
  await clock.tickAsync(0);
  await feed[Symbol.asyncDispose]();
  await reading;
  assertEquals(seen, ["starting", "running", "failed", "waiting", "stopped"]);
});

Deno.test("supervise() starts the task through a policy", async () => {
  const policy = limit({ concurrency: 1, queue: 1, clock: new FakeClock() });
  const { promise, resolve } = Promise.withResolvers<void>();
  const other = policy.execute(() => promise);
  const { clock, feed } = rig({ policy });
  await clock.tickAsync(0);
  assertEquals(feed.status.type, "starting");
  resolve();
  await other;
  await clock.tickAsync(0);
  assertEquals(feed.status.type, "running");
  await feed.stop();
});

Deno.test("supervise() ends with what an option of the application throws", async () => {
  const mistake = new Error("a mistake");
  const { clock, feed, runs } = rig({
    retryIf: () => {
      throw mistake;
    },
  });
  await clock.tickAsync(0);
  runs[0]?.fail();
  const { reason, error } = await feed.done;
  assertEquals(reason, "hopeless");
  assertStrictEquals(error, mistake);
});

Deno.test("supervise() takes a task that throws at once, and writes to the log", async () => {
  const warned: unknown[][] = [];
  const logger: Logger = { ...silentLogger, warn: (...args) => warned.push(args) };
  const clock = new FakeClock();
  const thrown = new TypeError("a mistake");
  const feed = supervise("feed", () => {
    throw thrown;
  }, { clock, logger });
  const { reason } = await feed.done;
  assertEquals(reason, "hopeless", "a mistake in a program is not healed by running it again");
  assertEquals(warned, [['The task "feed" has failed', thrown]]);
});

Deno.test("supervise() keeps the process alive while it waits for the next start", async () => {
  const { code, stdout } = await runCode(`
    import { supervise } from "#/recover/supervise.ts";
    import { constant } from "#/recover/backoff.ts";
    const feed = supervise("feed", ({ attempt }) => {
      if (attempt < 2) throw new Deno.errors.ConnectionReset("reset");
      console.log("running");
    }, { backoff: constant(10) });
    feed.on("stopped", ({ reason }) => console.log(reason));
  `);
  assertEquals([code, stdout], [0, "running\nfinished\n"]);
});

Deno.test("supervise() says what is wrong with its options", async () => {
  const cases: [SuperviseOptions, typeof RangeError | typeof TypeError, string][] = [
    [{ stableAfter: -1 }, RangeError, "stableAfter must be a finite number from 0, got -1"],
    [{ restart: "never" as "always" }, TypeError, 'restart must be "always" or "on-failure", got "never"'],
    [{ maxRestarts: 1.5 }, RangeError, "maxRestarts must be a whole number from 0, got 1.5"],
    [{ within: 0 }, RangeError, "within must be a finite number above 0, got 0"],
    [{ retryIf: 1 as never }, TypeError, "retryIf must be a function, got 1"],
  ];
  for (const [options, kind, message] of cases) {
    const error = assertThrows(() => supervise("feed", () => {}, options), kind);
    assertEquals(error.message, `Cannot supervise a task: ${message}`);
  }
  await assertRejects(async () => await supervise("feed", 1 as never).done, TypeError);
  const endless = supervise("feed", () => {}, { maxRestarts: Infinity });
  assert((await endless.done).reason === "finished");
});

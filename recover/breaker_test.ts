import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { madeUp, MadeUpError } from "../tests/_failures.ts";
import { TestView, viewState } from "../tests/_view.ts";
import { type Breaker, breaker, type BreakerOptions } from "./breaker.ts";
import { BreakerOpenError } from "./breaker_open_error.ts";
import { custom } from "./backoff.ts";
import { classify } from "./classify.ts";
import { TimeoutError } from "./timeout.ts";

function rig(options: BreakerOptions = {}): {
  readonly clock: FakeClock;
  readonly policy: Breaker;
  readonly events: string[];
  fail(error?: unknown): Promise<void>;
  pass(): Promise<string>;
  refused(): Promise<BreakerOpenError>;
} {
  const clock = new FakeClock();
  const policy = breaker({
    ...(options.ratio === undefined ? { consecutive: 2 } : {}),
    coolDown: 1000,
    classify: madeUp,
    clock,
    ...options,
  });
  const events: string[] = [];
  for (const type of ["open", "halfopen", "close"] as const) {
    policy.on(type, (event) => events.push(event.type));
  }
  return {
    clock,
    policy,
    events,
    async fail(error = new MadeUpError({})) {
      assertStrictEquals(await assertRejects(() => policy.execute(() => Promise.reject(error))), error);
    },
    pass: () => policy.execute(() => "fine"),
    refused: () => assertRejects(() => policy.execute(() => "fine"), BreakerOpenError),
  };
}

Deno.test("breaker() opens after so many failures in a row, and turns calls away without a try", async () => {
  const { policy, fail, pass, refused, events, clock } = rig();
  await fail();
  assertEquals(await pass(), "fine");
  await fail();
  assertEquals(policy.state, { type: "closed" });
  const last = new MadeUpError({});
  await fail(last);
  clock.tick(400);
  const error = await refused();
  assertEquals([error.code, error.retryAfter], ["breaker-open", 600]);
  assertStrictEquals(error.cause, last);
  const { kind, where, sent, retryAfter } = classify(error);
  assertEquals([kind, where, sent, retryAfter], ["reset", "local", "no", 600]);
  assertEquals(policy.state, { type: "open", retryAfter: 600, failure: madeUp(last) });
  assertEquals(events, ["open"]);
  assertEquals(clock.pending, 0);
});

Deno.test("breaker() lets one trial through after its cool-down, and closes when that succeeds", async () => {
  const { policy, fail, refused, events, clock } = rig();
  await fail();
  await fail();
  clock.tick(1000);
  const { promise, resolve } = Promise.withResolvers<string>();
  const trial = policy.execute(() => promise);
  assertEquals(policy.state.type, "half-open");
  assertEquals((await refused()).retryAfter, 1000);
  resolve("trial");
  assertEquals(await trial, "trial");
  assertEquals(policy.state, { type: "closed" });
  assertEquals(events, ["open", "halfopen", "close"]);
});

Deno.test("breaker() waits as its back-off says when trials fail, and from the start once it has closed", async () => {
  const seen: [number, number][] = [];
  const coolDown = custom((round, previous) => (seen.push([round, previous]), 100 * (round + 1)));
  const { fail, pass, refused, clock } = rig({ coolDown });
  await fail();
  await fail();
  for (const time of [100, 200, 300]) {
    assertEquals((await refused()).retryAfter, time);
    clock.tick(time);
    await fail();
  }
  clock.tick(400);
  await pass();
  await fail();
  await fail();
  assertEquals((await refused()).retryAfter, 100);
  assertEquals(seen, [[0, 0], [1, 100], [2, 200], [3, 300], [0, 0]]);
});

Deno.test("breaker() leaves the other end alone for as long as it asks, up to five minutes", async () => {
  const { fail, refused, clock } = rig({ consecutive: 1 });
  await fail(new MadeUpError({ retryAfter: 7000 }));
  assertEquals((await refused()).retryAfter, 7000);
  clock.tick(7000);
  await fail(new MadeUpError({ retryAfter: 1e12 }));
  assertEquals((await refused()).retryAfter, 300_000);
});

Deno.test("breaker() needs all of its trials to succeed", async () => {
  const { fail, pass, policy, clock, events } = rig({ halfOpen: 2 });
  await fail();
  await fail();
  clock.tick(1000);
  await pass();
  assertEquals(policy.state.type, "half-open");
  await fail();
  assertEquals(policy.state.type, "open");
  clock.tick(1000);
  await pass();
  await pass();
  assertEquals(policy.state.type, "closed");
  assertEquals(events, ["open", "halfopen", "open", "halfopen", "close"]);
});

Deno.test("breaker() gives trials up that do not come back, and does not listen to them any more", async () => {
  const { fail, pass, policy, clock, refused } = rig();
  await fail();
  await fail();
  clock.tick(1000);
  const lost = Promise.withResolvers<string>();
  const trial = policy.execute(() => lost.promise);
  clock.tick(999);
  assertEquals((await refused()).retryAfter, 1);
  clock.tick(1);
  assertEquals(await pass(), "fine");
  assertEquals(policy.state.type, "closed");
  lost.reject(new MadeUpError({}));
  await assertRejects(() => trial);
  await fail();
  assertEquals(policy.state.type, "closed", "one failure since it closed");
});

Deno.test("breaker() does not judge by calls that began before it opened", async () => {
  const { fail, policy, clock } = rig();
  const early = Promise.withResolvers<string>();
  const call = policy.execute(() => early.promise);
  await fail();
  await fail();
  clock.tick(1000);
  const trial = Promise.withResolvers<string>();
  const trying = policy.execute(() => trial.promise);
  early.resolve("late");
  await call;
  assertEquals(policy.state.type, "half-open");
  trial.resolve("now");
  await trying;
  assertEquals(policy.state.type, "closed");
});

Deno.test("breaker() counts only what the other end or the way to it is to blame for", async () => {
  const { fail, policy } = rig({ consecutive: 1 });
  await fail(new MadeUpError({ kind: "cancelled", where: "remote" }));
  await fail(new MadeUpError({ kind: "exhausted", where: "local" }));
  await fail(new MadeUpError({ kind: "permission", where: "config" }));
  assertEquals(policy.state.type, "closed");
  await fail(new MadeUpError({ kind: "timeout", where: "path" }));
  assertEquals(policy.state.type, "open");
});

Deno.test("breaker() gives the trial back when it ends in a way that tells nothing", async () => {
  const { fail, pass, policy, clock } = rig();
  await fail();
  await fail();
  clock.tick(1000);
  await fail(new MadeUpError({ where: "local" }));
  assertEquals(policy.state.type, "half-open");
  assertEquals(await pass(), "fine");
  assertEquals(policy.state.type, "closed");
});

Deno.test("breaker() does not count what the caller called off, but what a time limit did", async () => {
  const { policy } = rig({
    consecutive: 1,
    classify: (error) => error instanceof TimeoutError ? classify(error) : madeUp(error),
  });
  const obey = (reason: unknown) => {
    const caller = new AbortController();
    const call = policy.execute(({ signal }) => {
      caller.abort(reason);
      signal.throwIfAborted();
    }, { signal: caller.signal });
    return assertRejects(() => call);
  };
  await obey(new Error("enough"));
  assertEquals(policy.state.type, "closed");
  await obey(new TimeoutError(100));
  assertEquals(policy.state.type, "open");
});

Deno.test("breaker() asks the option counts instead", async () => {
  const { fail, policy } = rig({ consecutive: 1, counts: ({ kind }) => kind === "exhausted" });
  await fail(new MadeUpError({ kind: "reset" }));
  assertEquals(policy.state.type, "closed");
  await fail(new MadeUpError({ kind: "exhausted", where: "local" }));
  assertEquals(policy.state.type, "open");
});

Deno.test("breaker() opened in the old network does not punish the new one, and is open when the old one returns", async () => {
  const network = new TestView(viewState("192.0.2.1"));
  const { fail, pass, refused, policy, clock } = rig({ network });
  await fail();
  await fail();
  await refused();
  network.change(viewState("198.51.100.1"));
  assertEquals(policy.state.type, "closed");
  assertEquals(await pass(), "fine");
  clock.tick(300);
  network.change(viewState("192.0.2.1"));
  assertEquals((await refused()).retryAfter, 700);
  clock.tick(700);
  assertEquals(await pass(), "fine");
});

Deno.test("breaker() holds a failure against the network in which the call began", async () => {
  const network = new TestView(viewState("192.0.2.1"));
  const { policy } = rig({ network, consecutive: 1 });
  await assertRejects(() =>
    policy.execute(() => {
      network.change(viewState("198.51.100.1"));
      throw new MadeUpError({});
    })
  );
  assertEquals(policy.state.type, "closed");
  network.change(viewState("192.0.2.1"));
  assertEquals(policy.state.type, "open");
});

Deno.test("breaker() does not count what fails while there is no network", async () => {
  const network = new TestView(viewState("192.0.2.1"));
  const { policy, fail } = rig({ network, consecutive: 1 });
  await assertRejects(() =>
    policy.execute(() => {
      network.change(viewState(null));
      throw new MadeUpError({});
    })
  );
  await fail();
  assertEquals(policy.state.type, "closed");
  network.change(viewState("192.0.2.1"));
  assertEquals(policy.state.type, "closed");
});

Deno.test("breaker() remembers so many networks, and forgets the one not used for longest", async () => {
  const network = new TestView();
  const { policy, fail } = rig({ network, consecutive: 1, remember: 3 });
  const type = (n: number): string => {
    network.change(viewState(`192.0.2.${n}`));
    return policy.state.type;
  };
  for (const n of [1, 2, 3]) {
    type(n);
    await fail();
  }
  type(1);
  await assertRejects(() => policy.execute(() => {}), BreakerOpenError);
  type(4);
  await fail();
  assertEquals([1, 2, 3, 4].map(type), ["open", "closed", "open", "open"]);
});

Deno.test("breaker() keeps keys apart", async () => {
  let host = "a.example";
  const { policy, fail, pass } = rig({ consecutive: 1, key: () => host });
  using _ = policy.on("open", ({ key }) => assertEquals(key, "a.example"));
  await fail();
  host = "b.example";
  assertEquals(await pass(), "fine");
  assertEquals([policy.stateOf("a.example").type, policy.stateOf("b.example").type], ["open", "closed"]);
});

Deno.test("breaker() opens by ratio, successes counted", async () => {
  const { policy, fail, pass, clock } = rig({ ratio: 0.5, samples: 4, window: 1000 });
  await pass();
  await pass();
  await fail();
  assertEquals(policy.state.type, "closed");
  await fail();
  assertEquals(policy.state.type, "open");
  clock.tick(1000);
  await pass();
  await fail();
  assertEquals(policy.state.type, "closed", "it has forgotten what opened it");
});

Deno.test("breaker() turns everything away while isolated, until it is reset", async () => {
  const { policy, fail, pass, refused } = rig();
  policy.isolate();
  const error = await refused();
  assertEquals([policy.state, error.retryAfter], [{ type: "isolated" }, Infinity]);
  policy.reset();
  assertEquals(await pass(), "fine");
  await fail();
  await fail();
  policy.reset();
  assertEquals(await pass(), "fine");
});

Deno.test("breaker() does not begin once the caller has given up", async () => {
  let ran = false;
  const { policy } = rig();
  const signal = AbortSignal.abort("enough");
  assertEquals(await policy.execute(() => void (ran = true), { signal }).catch((reason) => reason), "enough");
  assertEquals(ran, false);
});

Deno.test("breaker() says what is wrong with its options", () => {
  const cases: [BreakerOptions, typeof RangeError | typeof TypeError, string][] = [
    [{ consecutive: 0 }, RangeError, "consecutive must be a whole number from 1, got 0"],
    [{ ratio: 2 }, RangeError, "ratio must be a finite number above 0 to 1, got 2"],
    [{ ratio: 0.5, samples: 0.5 }, RangeError, "samples must be a whole number from 1, got 0.5"],
    [{ ratio: 0.5, window: 0 }, RangeError, "window must be a finite number above 0, got 0"],
    [{ ratio: 0.5, consecutive: 3 }, TypeError, "either consecutive or ratio is needed, got 3 and 0.5"],
    [{ samples: 3 }, TypeError, "samples and window need ratio, which is missing"],
    [{ coolDown: 0 }, RangeError, "coolDown must be a finite number above 0, got 0"],
    [{ halfOpen: 0 }, RangeError, "halfOpen must be a whole number from 1, got 0"],
    [{ remember: 0 }, RangeError, "remember must be a whole number from 1, got 0"],
    [{ key: "a" as never }, TypeError, 'key must be a function, got "a"'],
  ];
  for (const [options, kind, message] of cases) {
    const error = assertThrows(() => breaker(options), kind);
    assertEquals(error.message, `Cannot make a breaker: ${message}`);
  }
});

Deno.test("breaker() knows failures by itself", async () => {
  const policy = breaker({ consecutive: 1, network: new TestView() });
  await assertRejects(() => policy.execute(() => Promise.reject(new TypeError("a mistake"))), TypeError);
  assertEquals(policy.state.type, "closed");
  await assertRejects(() =>
    policy.execute(() => Promise.reject(new Deno.errors.ConnectionRefused("refused")))
  );
  assertEquals(policy.state.type, "open");
});

import { assert, assertEquals, assertRejects } from "@std/assert";
import { HoldfastError } from "../internal/errors.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { FakeWindows, type FakeWindowsOptions } from "../tests/_fake_windows.ts";
import { openWindowsSource } from "./_source_windows.ts";
import { LOOK_INTERVAL } from "./_windows_notify.ts";
import type { Source } from "./_reading.ts";

/** A source on a made-up Windows, and what it has said. */
interface Opened extends AsyncDisposable {
  readonly windows: FakeWindows;
  readonly clock: FakeClock;
  readonly source: Source;
  readonly said: string[];
  readonly acquire: () => ReturnType<FakeWindows["acquire"]>;
}

async function open(options: FakeWindowsOptions = {}, internals?: boolean): Promise<Opened> {
  const windows = new FakeWindows(options);
  const acquire = (): ReturnType<FakeWindows["acquire"]> => windows.acquire();
  const clock = new FakeClock();
  const said: string[] = [];
  const source = await openWindowsSource(ears(said), clock, { acquire, internals });
  return {
    windows,
    clock,
    source,
    said,
    acquire,
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

function ears(said: string[]): Parameters<typeof openWindowsSource>[0] {
  return {
    hint: () => void said.push("hint"),
    overflow: () => void said.push("overflow"),
    failed: (error) => void said.push(error instanceof HoldfastError ? error.message : `defect: ${error}`),
  };
}

Deno.test("changes and new name servers are hints, by one call that blocks", async () => {
  await using opened = await open();
  const { windows, clock, said } = opened;
  await clock.tickAsync(0);
  assertEquals([windows.waits, clock.pending], [1, 0]);
  windows.fire();
  await clock.tickAsync(0);
  assertEquals([said, windows.waits], [["hint"], 2]);
  for (let i = 0; i < 3; i++) {
    windows.changeKeys();
    await clock.tickAsync(0);
  }
  // Two keys changed three times, and each notification was asked for again.
  assertEquals([said.length, windows.waits], [7, 8]);
});

Deno.test("without the runtime's insides the events are looked at every 250 ms, and nothing blocks", async () => {
  await using opened = await open({}, false);
  const { windows, clock, said } = opened;
  windows.fire();
  windows.changeKeys();
  assertEquals([said, clock.pending], [[], 1]);
  clock.tick(LOOK_INTERVAL);
  assertEquals(said, ["hint", "hint", "hint"]);
  clock.tick(10 * LOOK_INTERVAL);
  windows.changeKeys();
  clock.tick(LOOK_INTERVAL);
  assertEquals([said.length, windows.waits], [5, 0]);
});

Deno.test("a runtime whose pending calls cannot be let go of is found out, and no call blocks any more", async () => {
  await using opened = await open({ marks: false });
  const { windows, clock, said } = opened;
  await clock.tickAsync(0);
  assertEquals([windows.waits, windows.open.has("wait 1"), clock.pending], [1, false, 1]);
  windows.fire();
  await clock.tickAsync(LOOK_INTERVAL);
  assertEquals([said, windows.waits], [["hint"], 1]);
});

Deno.test("a call that ended at once has no mark, and the next one blocks", async () => {
  await using opened = await open({ marks: "settled" });
  const { windows, clock, said } = opened;
  // Both are set before the first of the two is waited for.
  windows.fire();
  windows.changeKeys();
  await clock.tickAsync(0);
  assertEquals([said, clock.pending], [["hint", "hint", "hint"], 0]);
  assert(windows.open.has(`wait ${windows.waits}`));
});

for (const internals of [true, false]) {
  Deno.test(`a wait that fails is told once, and there is no other (${internals ? "blocked" : "timer"})`, async () => {
    await using opened = await open({}, internals);
    const { windows, clock, said } = opened;
    windows.breakWaits();
    windows.fire();
    await clock.tickAsync(10 * LOOK_INTERVAL);
    assertEquals([said, clock.pending], [
      ["Cannot wait for network changes: the wait ended with 4294967295"],
      0,
    ]);
  });

  Deno.test(`a key that cannot be asked for again is told (${internals ? "blocked" : "timer"})`, async () => {
    await using opened = await open({ armed: (count) => count > 2 ? 1018 : 0 }, internals);
    const { windows, clock, said } = opened;
    windows.changeKeys();
    await clock.tickAsync(10 * LOOK_INTERVAL);
    assertEquals(said, ["Cannot be notified of changed name servers: Windows error 1018"]);
  });

  Deno.test(`closing ends the wait before it closes what was waited for (${internals ? "blocked" : "timer"})`, async () => {
    const { windows, clock, source, said } = await open({}, internals);
    await clock.tickAsync(0);
    await source[Symbol.asyncDispose]();
    assertEquals([[...windows.open], clock.pending, said], [[], 0, []]);
    const order = ["cancel", "cancel", "cancel", "close", "close", "close", "close"];
    assertEquals(windows.log, internals ? ["waited", ...order] : order);
    await source[Symbol.asyncDispose]();
  });
}

Deno.test("where notifications are stubs the source does not open, and leaves nothing", async () => {
  for (const stub of ["NotifyIpInterfaceChange", "NotifyUnicastIpAddressChange", "NotifyRouteChange2"]) {
    const windows = new FakeWindows({ notify: (name) => name === stub ? "stub" : 0 });
    const acquire = (): ReturnType<FakeWindows["acquire"]> => windows.acquire();
    const error = await assertRejects(
      () => openWindowsSource(ears([]), new FakeClock(), { acquire }),
      HoldfastError,
      `Cannot be notified of network changes: ${stub} does nothing here`,
    );
    assertEquals([error.code, [...windows.open]], ["unsupported", []]);
  }
});

Deno.test("what Windows refuses is named, and nothing is left", async () => {
  const cases: readonly [FakeWindowsOptions, string][] = [
    [{ notify: (name) => name === "NotifyRouteChange2" ? 8 : 0 }, "(NotifyRouteChange2): Windows error 8"],
    [
      { armed: (count) => count === 2 ? 5 : 0 },
      "Cannot be notified of changed name servers: Windows error 5",
    ],
    [{ events: 2 }, "Cannot create event: Windows refuses"],
  ];
  for (const [options, message] of cases) {
    const windows = new FakeWindows(options);
    const acquire = (): ReturnType<FakeWindows["acquire"]> => windows.acquire();
    const error = await assertRejects(
      () => openWindowsSource(ears([]), new FakeClock(), { acquire }),
      HoldfastError,
      message,
    );
    assertEquals([error.code, [...windows.open]], ["system", []]);
  }
});

Deno.test("without IPv6 there is one key less", async () => {
  await using opened = await open({ key: (path) => path.includes("Tcpip6") ? 2 : 0 });
  opened.windows.changeKeys();
  await opened.clock.tickAsync(0);
  assertEquals(opened.said, ["hint"]);
});

Deno.test("sources of one Windows share one wait until the last is closed, and a failure ends it for all", async () => {
  const { windows, clock, source, said, acquire } = await open();
  const others: string[] = [];
  const other = await openWindowsSource(ears(others), clock, { acquire });
  windows.fire();
  await clock.tickAsync(0);
  assertEquals([said, others, windows.waits], [["hint"], ["hint"], 2]);
  await source[Symbol.asyncDispose]();
  windows.fire();
  await clock.tickAsync(0);
  assertEquals([said.length, others.length], [1, 2]);
  windows.breakWaits();
  await clock.tickAsync(0);
  assertEquals([said.length, others.length], [1, 3]);
  await other[Symbol.asyncDispose]();
  assertEquals([...windows.open], []);
});

Deno.test("the sleep clock is the time since the start less the time awake", async () => {
  await using opened = await open();
  assertEquals(opened.source.sleepClock?.(), 3000);
});

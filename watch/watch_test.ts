import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { type FakeNetwork, fakeNetwork } from "../testing/fake_network.ts";
import { startStunServer } from "../testing/stun_server.ts";
import { HoldfastError } from "../internal/errors.ts";
import { type Logger, setLogger, silentLogger } from "../internal/log.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { openedHub } from "./_hubs.ts";
import { applyEvents, equalStates } from "./diff.ts";
import type { ExternalEvent, NetworkChange } from "./events.ts";
import { watchNetwork } from "./watch.ts";
import type { NetworkWatcher, WatcherEvent, WatchOptions } from "./watcher.ts";

interface Stage extends AsyncDisposable {
  readonly network: FakeNetwork;
  readonly clock: FakeClock;
  readonly watcher: NetworkWatcher;
  /** Everything told, in order. */
  readonly told: WatcherEvent[];
  /** The types of what was told since the last call, in order. */
  types(): string[];
  /** The settled changes told since the last call. */
  changes(): NetworkChange[];
}

/** A machine with a wired and a wireless card, online by the wired one, and a watcher of it. */
async function stage(options: Omit<WatchOptions, "source" | "clock"> = {}): Promise<Stage> {
  const clock = new FakeClock({ now: 1_700_000_000_000 });
  const network = fakeNetwork({ now: () => clock.now() });
  network.change(() => {
    network.setInterface("eth0");
    network.setAddress("eth0", "192.168.1.2/24");
    network.setAddress("eth0", "fe80::2/64", { scope: "link" });
    network.setInterface("wlan0", { kind: "wifi", running: false });
    network.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.1" });
    network.setGatewayMac(4, "02:00:00:00:01:01");
  });
  const watcher = await watchNetwork({ source: network.source, clock, logger: silentLogger, ...options });
  const told: WatcherEvent[] = [];
  watcher.subscribe((event) => told.push(event));
  let seen = 0;
  return {
    network,
    clock,
    watcher,
    told,
    types: () => told.slice(seen, seen = told.length).map(({ type }) => type),
    changes: () => told.slice(seen, seen = told.length).filter((event) => event.type === "change"),
    [Symbol.asyncDispose]: () => watcher.close(),
  };
}

function recordingLogger(): { readonly logger: Logger; readonly errors: unknown[][] } {
  const errors: unknown[][] = [];
  return { logger: { ...silentLogger, error: (...args) => errors.push(args) }, errors };
}

Deno.test("a watcher begins with the whole state and tells nothing", async () => {
  await using test = await stage();
  const { state, backend, report } = test.watcher;
  assertEquals(state.interfaces.map(({ name }) => name), ["lo", "eth0", "wlan0"]);
  assertEquals([state.online, state.families, state.at], [true, [4], 1_700_000_000_000]);
  assertEquals([backend, report], ["netlink", { backend: "netlink", reader: "netlink", passedOver: [] }]);
  await test.clock.tickAsync(5000);
  assertEquals(test.told, []);
});

Deno.test("single events come at once, and the settled change after 150 ms of quiet", async () => {
  await using test = await stage();
  test.network.setAddress("eth0", "192.168.1.3/24");
  assertEquals(test.types(), ["addressadd"]);
  assertEquals(test.watcher.state.interfaces[1]?.addresses.length, 3);
  await test.clock.tickAsync(149);
  assertEquals(test.types(), []);
  await test.clock.tickAsync(1);
  assertEquals(test.types(), ["change"]);
  await test.clock.tickAsync(10_000);
  assertEquals(test.types(), []);
});

Deno.test("each further event begins the quiet time anew", async () => {
  await using test = await stage();
  for (let n = 3; n < 8; n++) {
    test.network.setAddress("eth0", `192.168.1.${n}/24`);
    await test.clock.tickAsync(149);
  }
  assertEquals(test.types(), Array(5).fill("addressadd"));
  await test.clock.tickAsync(1);
  const [change] = test.changes();
  assertEquals(change?.events.map(({ type }) => type), Array(5).fill("addressadd"));
});

Deno.test("under a steady stream there is one settled change at each ceiling, and none in between", async () => {
  await using test = await stage();
  const times: number[] = [];
  test.watcher.on("change", () => times.push(test.clock.monotonic()));
  for (let n = 0; n < 100; n++) {
    test.network.setAddress("eth0", `10.0.0.${n}/24`);
    await test.clock.tickAsync(50);
  }
  assertEquals(times, [1000, 2000, 3000, 4000, 5000]);
});

Deno.test("quiet and ceiling are the caller's to choose", async () => {
  await using test = await stage({ quiet: 10, ceiling: 25 });
  const times: number[] = [];
  test.watcher.on("change", () => times.push(test.clock.monotonic()));
  for (let n = 0; n < 5; n++) {
    test.network.setAddress("eth0", `10.0.0.${n}/24`);
    await test.clock.tickAsync(9);
  }
  await test.clock.tickAsync(100);
  assertEquals(times, [25, 46]);
});

Deno.test("with quiet 0 each batch settles by itself", async () => {
  await using test = await stage({ quiet: 0 });
  test.network.setAddress("eth0", "192.168.1.3/24");
  await test.clock.tickAsync(0);
  assertEquals(test.types(), ["addressadd", "change"]);
});

Deno.test("the events of a settled change, applied to the state before, give the state after", async () => {
  await using test = await stage();
  test.network.change(() => {
    test.network.setInterface("wlan0", { running: true });
    test.network.setAddress("wlan0", "10.1.0.2/16");
    test.network.setDefaultRoute(4, { interface: "wlan0", gateway: "10.1.0.1" });
  });
  test.network.removeAddress("eth0", "192.168.1.2/24");
  test.network.setDns({ servers: ["10.1.0.1"], search: [] });
  await test.clock.tickAsync(150);
  const [change] = test.changes();
  assert(change);
  assert(!equalStates(change.previous, change.next));
  assert(equalStates(applyEvents(change.previous, change.events), change.next));
  assertEquals(change.next, test.watcher.state);
  assertEquals(change.major, "required");
});

Deno.test("a change that is undone within the quiet time gives single events and no settled change", async () => {
  await using test = await stage();
  test.network.setAddress("eth0", "192.168.1.3/24");
  test.network.removeAddress("eth0", "192.168.1.3/24");
  await test.clock.tickAsync(5000);
  assertEquals(test.types(), ["addressadd", "addressremove"]);
});

Deno.test("carrier that is away for 400 ms: offline and online as single events, and no settled change", async () => {
  await using test = await stage();
  test.network.setInterface("eth0", { running: false });
  assertEquals(test.types(), ["interfacechange", "offline"]);
  assertEquals(test.watcher.state.online, false);
  await test.clock.tickAsync(400);
  test.network.setInterface("eth0", { running: true });
  assertEquals(test.types(), ["interfacechange", "online"]);
  await test.clock.tickAsync(10_000);
  assertEquals(test.types(), []);
});

Deno.test("carrier that stays away is told in a settled change when its grace of 1 s is over", async () => {
  await using test = await stage();
  test.network.setInterface("eth0", { running: false });
  test.types();
  await test.clock.tickAsync(999);
  assertEquals(test.types(), []);
  await test.clock.tickAsync(1);
  const [change, ...more] = test.changes();
  assertEquals([change?.major, change?.reasons, more], [
    "required",
    ["interface eth0 is without carrier"],
    [],
  ]);
  assertEquals(change?.next.online, false);
});

Deno.test("while carrier is missed, other changes settle as usual, with the interface still running", async () => {
  await using test = await stage();
  test.network.setInterface("eth0", { running: false });
  test.network.setDns({ servers: ["192.168.1.1"], search: [] });
  test.types();
  await test.clock.tickAsync(150);
  const [dns] = test.changes();
  assertEquals(dns?.events.map(({ type }) => type), ["dnschange"]);
  assertEquals([dns?.next.online, test.watcher.state.online], [true, false]);
  await test.clock.tickAsync(850);
  const [loss] = test.changes();
  assertEquals(loss?.events.map(({ type }) => type), ["interfacechange", "offline"]);
});

Deno.test("an interface that is switched off, or goes away, gets no grace", async () => {
  for (
    const act of [
      (network: FakeNetwork) => network.setInterface("eth0", { up: false, running: false }),
      (network: FakeNetwork) => network.removeInterface("eth0"),
    ]
  ) {
    await using test = await stage({ grace: 1000 });
    act(test.network);
    assert(test.types().includes("offline"));
    await test.clock.tickAsync(150);
    assertEquals(test.changes()[0]?.major, "required");
  }
});

Deno.test("grace for single events keeps a short loss of carrier from everybody", async () => {
  await using test = await stage({ grace: { events: 500 } });
  test.network.setInterface("eth0", { running: false });
  await test.clock.tickAsync(499);
  assertEquals([test.types(), test.watcher.state.online], [[], true]);
  test.network.setInterface("eth0", { running: true });
  await test.clock.tickAsync(5000);
  assertEquals(test.types(), []);
  test.network.setInterface("eth0", { running: false });
  await test.clock.tickAsync(500);
  assertEquals([test.types(), test.watcher.state.online], [["interfacechange", "offline"], false]);
  await test.clock.tickAsync(500);
  assertEquals(test.types(), ["change"]);
});

Deno.test("a watcher that is closed within a grace leaves no timer behind, however often it was read", async () => {
  const test = await stage({ grace: { events: 500 } });
  test.network.setInterface("eth0", { running: false });
  test.network.setDns({ servers: [], search: ["a"] });
  test.network.setDns({ servers: [], search: ["b"] });
  await test.watcher.close();
  assertEquals(test.clock.pending, 0);
});

Deno.test("one number stands for both kinds of grace", async () => {
  await using test = await stage({ grace: 0 });
  test.network.setInterface("eth0", { running: false });
  assertEquals(test.types(), ["interfacechange", "offline"]);
  await test.clock.tickAsync(150);
  assertEquals(test.types(), ["change"]);
});

Deno.test("a tentative address does not make online, until it is usable", async () => {
  await using test = await stage();
  test.network.change(() => {
    test.network.setAddress("eth0", "2001:db8::2/64", { tentative: true });
    test.network.setDefaultRoute(6, { interface: "eth0", gateway: "fe80::1" });
  });
  assertEquals(test.types(), ["addressadd", "gatewaychange", "defaultinterfacechange"]);
  let online = false;
  const waiting = test.watcher.online({ family: 6 }).then(() => online = true);
  await test.clock.tickAsync(1000);
  assertEquals([online, test.watcher.state.families], [false, [4]]);
  test.types();
  test.network.setAddress("eth0", "2001:db8::2/64", { tentative: false });
  await waiting;
  assertEquals([test.types(), test.watcher.state.families], [["addresschange", "online"], [4, 6]]);
});

Deno.test("an address that somebody else has is told as a conflict and does not make online", async () => {
  await using test = await stage();
  test.network.change(() => {
    test.network.setAddress("eth0", "2001:db8::2/64", { tentative: true });
    test.network.setDefaultRoute(6, { interface: "eth0", gateway: "fe80::1" });
  });
  test.types();
  test.network.setAddress("eth0", "2001:db8::2/64", { tentative: true, conflict: true });
  assertEquals([test.types(), test.watcher.state.families], [["addresschange", "addressconflict"], [4]]);
});

Deno.test("online() resolves at once when the network is usable, and by the first event that makes it so", async () => {
  await using test = await stage();
  await test.watcher.online();
  await test.watcher.online({ family: 4 });
  test.network.setDefaultRoute(4, null);
  let done = 0;
  const both = [test.watcher.online(), test.watcher.online({ family: 4 })].map((p) => p.then(() => done++));
  const pending = test.clock.pending;
  await test.clock.tickAsync(10_000);
  assertEquals(done, 0);
  test.network.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.1" });
  await Promise.all(both);
  assertEquals(done, 2);
  assert(test.clock.pending < pending, "nothing keeps the process alive any more");
});

Deno.test("online() rejects with the signal's reason, also when the network is usable", async () => {
  await using test = await stage();
  const reason = new Error("enough");
  const early = await assertRejects(() => test.watcher.online({ signal: AbortSignal.abort(reason) }));
  assertEquals(early, reason);
  test.network.setDefaultRoute(4, null);
  const controller = new AbortController();
  const waiting = test.watcher.online({ signal: controller.signal });
  controller.abort(reason);
  assertEquals(await assertRejects(() => waiting), reason);
});

Deno.test("online() rejects when the watcher is closed", async () => {
  const test = await stage();
  test.network.setDefaultRoute(4, null);
  const waiting = test.watcher.online();
  void test.watcher.close();
  const error = await assertRejects(() => waiting, HoldfastError, "the watcher was closed");
  assertEquals(error.code, "closed");
  await assertRejects(() => test.watcher.online(), HoldfastError, "the watcher was closed");
  await test.watcher.close();
  assertEquals(test.clock.pending, 0);
});

Deno.test("online() refuses a family that is none", async () => {
  await using test = await stage();
  const family = 5 as 4;
  await assertRejects(() => test.watcher.online({ family }), TypeError, "family must be 4 or 6, got 5");
});

Deno.test("filter: false leaves an interface out, with the default route through it", async () => {
  await using test = await stage({ filter: ({ name }) => name === "eth0" ? false : undefined });
  const { state } = test.watcher;
  assertEquals(state.interfaces.map(({ name }) => name), ["lo", "wlan0"]);
  assertEquals([state.online, state.defaultRoute.v4], [false, null]);
  test.network.setAddress("eth0", "192.168.1.9/24");
  test.network.removeInterface("eth0");
  await test.clock.tickAsync(5000);
  assertEquals(test.told, []);
});

Deno.test("container plumbing raises interface events and no others, unless filter says true", async () => {
  const act = ({ network }: Stage): void => {
    network.setInterface("docker0", { kind: "bridge" });
    network.setAddress("docker0", "172.17.0.1/16");
    network.setAddress("docker0", "172.18.0.1/16");
    network.removeInterface("docker0");
  };
  await using plain = await stage();
  act(plain);
  assertEquals(plain.types(), ["interfaceadd", "interfacechange", "interfacechange", "interfaceremove"]);
  await using counted = await stage({ filter: ({ kind }) => kind === "bridge" ? true : undefined });
  act(counted);
  assertEquals(counted.types(), [
    ...["interfaceadd", "addressadd", "addressadd"],
    ...["addressremove", "addressremove", "interfaceremove"],
  ]);
});

Deno.test("a consumer of events that is too slow gets one resync with the state of the moment it comes for it", async () => {
  await using test = await stage();
  const events = test.watcher.events[Symbol.asyncIterator]();
  for (let n = 0; n < 1025; n++) {
    test.network.setDns({ servers: [], search: [`n${n}`] });
  }
  test.network.setDns({ servers: [], search: ["last"] });
  const { value: first } = await events.next();
  assertEquals(first?.type, "resync");
  assertEquals(first?.type === "resync" && first.state, test.watcher.state);
  test.network.setDns({ servers: [], search: ["after"] });
  const { value: second } = await events.next();
  assertEquals(second?.type === "dnschange" && second.to?.search, ["after"]);
  await events.return?.();
});

Deno.test("a consumer of settled changes that is too slow gets one that asks for everything anew", async () => {
  await using test = await stage({ quiet: 0 });
  const changes = test.watcher[Symbol.asyncIterator]();
  for (let n = 0; n < 65; n++) {
    test.network.setDns({ servers: [], search: [`n${n}`] });
    test.clock.tick(0);
  }
  const { value } = await changes.next();
  const change = value as NetworkChange;
  assertEquals(change.events, [{ type: "resync", at: test.clock.now(), state: test.watcher.state }]);
  assertEquals([change.major, change.next], ["required", test.watcher.state]);
  assertEquals(change.reasons, ["changes were missed: the reader was too slow"]);
  await changes.return?.();
});

Deno.test("a handler that throws is reported and harms nobody, whichever way it was registered", async () => {
  const { logger, errors } = recordingLogger();
  await using test = await stage({ logger, quiet: 0 });
  const bug = new RangeError("a bug");
  const heard: string[] = [];
  const fail = (): void => {
    throw bug;
  };
  test.watcher.subscribe(fail);
  test.watcher.on("dnschange", fail);
  test.watcher.on("change", fail);
  // deno-lint-ignore require-await
  test.watcher.subscribe(async () => fail());
  test.watcher.subscribe(({ type }) => heard.push(type));
  test.network.setDns({ servers: [], search: ["a"] });
  await test.clock.tickAsync(0);
  assertEquals(heard, ["dnschange", "change"]);
  const [dns, change] = [
    'Uncaught error in a handler of "dnschange"',
    'Uncaught error in a handler of "change"',
  ];
  assertEquals(errors, [dns, dns, dns, change, change, change].map((message) => [message, bug]));
});

Deno.test("a handler that throws is seen on the console where nobody has set a logger", async () => {
  setLogger(undefined);
  const { error } = console;
  const lines: unknown[][] = [];
  console.error = (...args) => lines.push(args);
  try {
    const clock = new FakeClock();
    const network = fakeNetwork();
    await using watcher = await watchNetwork({ source: network.source, clock });
    const bug = new RangeError("a bug");
    watcher.subscribe(() => {
      throw bug;
    });
    network.setDns({ servers: [], search: ["a"] });
    assertEquals(lines, [['Uncaught error in a handler of "dnschange":', bug]]);
  } finally {
    console.error = error;
  }
});

Deno.test("a filter that throws is reported and harms no source; the next reading makes up for it", async () => {
  const { logger, errors } = recordingLogger();
  let broken = false;
  const bug = new RangeError("a bug");
  await using test = await stage({
    logger,
    filter() {
      if (broken) throw bug;
      return undefined;
    },
  });
  broken = true;
  test.network.setAddress("eth0", "192.168.1.3/24");
  await test.clock.tickAsync(0);
  assertEquals([test.types(), test.network.open], [[], 1]);
  assertEquals(errors, [["Uncaught error in a watcher of the network", bug]]);
  broken = false;
  test.network.setAddress("eth0", "192.168.1.4/24");
  assertEquals(test.types(), ["addressadd", "addressadd"]);
});

Deno.test("a filter that throws at the start lets nothing open", async () => {
  const network = fakeNetwork();
  const filter = (): undefined => {
    throw new RangeError("a bug");
  };
  await assertRejects(() => watchNetwork({ source: network.source, filter }), RangeError, "a bug");
  assertEquals(network.open, 0);
});

Deno.test("what a handler causes is told after what it was called for, so that events in order give the state", async () => {
  await using test = await stage();
  let { state } = test.watcher;
  let left = 3;
  test.watcher.on("addressadd", () => {
    if (left-- > 0) test.network.setAddress("eth0", `10.0.${left}.1/24`);
  });
  test.watcher.on("gatewaychange", () => void test.watcher.refresh());
  test.watcher.subscribe((event) => {
    if (event.type !== "change") state = applyEvents(state, [event]);
  });
  test.network.change(() => {
    test.network.setAddress("wlan0", "10.9.0.1/24");
    test.network.setAddress("wlan0", "10.9.0.2/24");
    test.network.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.254" });
  });
  await test.clock.tickAsync(0);
  assertEquals(left < 0, true);
  assert(equalStates(state, test.watcher.state));
  assertEquals(test.types().slice(0, 3), ["addressadd", "addressadd", "gatewaychange"]);
});

Deno.test("what a handler causes when a grace is over is told after it, too", async () => {
  await using test = await stage({ grace: { events: 100 } });
  let { state } = test.watcher;
  test.watcher.on("interfacechange", () => test.network.setAddress("eth0", "10.0.0.1/24"));
  test.watcher.subscribe((event) => {
    if (event.type !== "change") state = applyEvents(state, [event]);
  });
  test.network.setInterface("eth0", { running: false });
  await test.clock.tickAsync(100);
  assertEquals(test.types(), ["interfacechange", "offline", "addressadd"]);
  assert(equalStates(state, test.watcher.state));
});

Deno.test("close() in a handler ends the telling there and leaves nothing behind", async () => {
  const test = await stage();
  test.watcher.on("interfacechange", () => void test.watcher.close());
  test.network.setInterface("eth0", { running: false });
  await test.watcher.close();
  assertEquals(test.types(), ["interfacechange"]);
  assertEquals([test.network.open, test.clock.pending], [0, 0]);
});

Deno.test("close() in a handler of settled changes leaves nothing behind", async () => {
  const test = await stage();
  test.watcher.on("change", () => void test.watcher.close());
  test.network.setAddress("eth0", "192.168.1.3/24");
  await test.clock.tickAsync(1000);
  assertEquals(test.types(), ["addressadd", "change"]);
  assertEquals([test.network.open, test.clock.pending], [0, 0]);
});

Deno.test("close() is safe any number of times, ends iterations after what is queued, and silences handlers", async () => {
  const test = await stage();
  const { watcher } = test;
  const changes: string[] = [];
  const events: string[] = [];
  const loops = [
    (async () => {
      for await (const { type } of watcher) changes.push(type);
    })(),
    (async () => {
      for await (const { type } of watcher.events) events.push(type);
    })(),
  ];
  const late = watcher.events[Symbol.asyncIterator]();
  test.network.setDns({ servers: [], search: ["a"] });
  await test.clock.tickAsync(150);
  const closing = [watcher.close(), watcher.close()];
  test.network.setDns({ servers: [], search: ["b"] });
  await Promise.all([...closing, ...loops]);
  await watcher.close();
  assertEquals([changes, events], [["change"], ["dnschange"]]);
  assertEquals(test.types(), ["dnschange", "change"]);
  assertEquals((await late.next()).value?.type, "dnschange");
  assertEquals((await late.next()).done, true);
  assertEquals((await watcher[Symbol.asyncIterator]().next()).done, true);
  assertEquals([test.network.open, test.clock.pending], [0, 0]);
});

Deno.test("leaving a loop over a watcher leaves the watcher open for others", async () => {
  await using test = await stage({ quiet: 0 });
  const first = (async () => {
    for await (const { next } of test.watcher) return next.dns?.search;
  })();
  test.network.setDns({ servers: [], search: ["a"] });
  await test.clock.tickAsync(0);
  assertEquals(await first, ["a"]);
  test.network.setDns({ servers: [], search: ["b"] });
  assertEquals(test.watcher.state.dns?.search, ["b"]);
});

Deno.test("disposing a registration ends its calls", async () => {
  await using test = await stage({ quiet: 0 });
  const heard: string[] = [];
  const one = test.watcher.on("dnschange", ({ type }) => heard.push(type));
  const all = test.watcher.subscribe(({ type }) => heard.push(type));
  test.network.setDns({ servers: [], search: ["a"] });
  one[Symbol.dispose]();
  one[Symbol.dispose]();
  await test.clock.tickAsync(0);
  all[Symbol.dispose]();
  all[Symbol.dispose]();
  test.network.setDns({ servers: [], search: ["b"] });
  await test.clock.tickAsync(0);
  assertEquals(heard, ["dnschange", "dnschange", "change"]);
});

Deno.test("a signal closes the watcher", async () => {
  const controller = new AbortController();
  const test = await stage({ signal: controller.signal });
  const loop = (async () => {
    for await (const _ of test.watcher);
  })();
  controller.abort();
  await loop;
  await test.watcher.close();
  assertEquals([test.network.open, test.clock.pending], [0, 0]);
});

Deno.test("a signal that is aborted already, or while the source is opened, lets nothing open", async () => {
  const network = fakeNetwork();
  const reason = new Error("enough");
  const early = AbortSignal.abort(reason);
  assertEquals(await assertRejects(() => watchNetwork({ source: network.source, signal: early })), reason);
  const controller = new AbortController();
  const source: typeof network.source = (events) => {
    controller.abort(reason);
    return network.source(events);
  };
  const { signal } = controller;
  assertEquals(await assertRejects(() => watchNetwork({ source, signal })), reason);
  assertEquals(network.open, 0);
});

Deno.test("a watcher called off at the last moment gives its hold on the shared source back once, and listens no more", async () => {
  await using other = await watchNetwork({ backend: "poll" });
  const controller = new AbortController();
  let calls = 0;
  const options = {
    backend: "poll",
    signal: controller.signal,
    filter: () => void calls++,
    // The last thing that is looked at before the watcher is handed out.
    get external(): undefined {
      controller.abort();
      return undefined;
    },
  } as unknown as WatchOptions;
  await assertRejects(() => watchNetwork(options), DOMException);
  assert(openedHub({ backend: "poll", pollInterval: 2000 }), "the shared source is still open");
  calls = 0;
  await other.refresh();
  assertEquals(calls, 0);
});

Deno.test("a machine that wakes is told with the time slept, and looked at again", async () => {
  await using test = await stage();
  const heard: number[] = [];
  test.watcher.on("wake", ({ slept }) => heard.push(slept));
  test.clock.jump(3_600_000);
  await test.clock.tickAsync(10_000);
  assertEquals(heard, [3_600_000]);
  assertEquals(test.watcher.state.at, test.clock.now(), "a reading was taken");
  assertEquals(test.types(), ["wake"]);
  test.clock.jump(9_000);
  await test.clock.tickAsync(60_000);
  assertEquals(heard.length, 1, "a short sleep is not told");
});

Deno.test("wake() reads anew without being waited for", async () => {
  await using test = await stage();
  const { at } = test.watcher.state;
  test.clock.tick(1);
  test.watcher.wake();
  assertEquals(test.watcher.state.at, at + 1);
  await test.watcher.close();
  test.watcher.wake();
});

Deno.test("refresh() gives the state of a reading of its own", async () => {
  await using test = await stage();
  const { at } = test.watcher.state;
  test.clock.tick(5);
  const state = await test.watcher.refresh();
  assertEquals([state.at, state], [at + 5, test.watcher.state]);
  assertEquals(test.types(), []);
});

Deno.test("lost messages are told as an overflow of the backend, and what they were about is told all the same", async () => {
  await using test = await stage();
  test.network.overflow();
  test.network.setAddress("eth0", "192.168.1.3/24");
  const [event] = test.told;
  assertEquals(event, {
    type: "backend",
    at: test.clock.now(),
    backend: "netlink",
    reason: "overflow",
    detail: "made up by a test",
  });
  assertEquals(test.types(), ["backend", "addressadd"]);
  await test.clock.tickAsync(150);
  assertEquals(test.changes()[0]?.events.map(({ type }) => type), ["backend", "addressadd"]);
});

Deno.test("a backend that fails and works again at once is told as recovered, with what was missed", async () => {
  await using test = await stage();
  test.network.fail();
  test.network.fail(false);
  test.network.setAddress("eth0", "192.168.1.3/24");
  assertEquals(test.types(), []);
  await test.clock.tickAsync(0);
  const [event] = test.told;
  assertEquals([event?.type, event?.type === "backend" && event.reason], ["backend", "recovered"]);
  assertEquals(test.types(), ["backend", "addressadd"]);
  assertEquals(test.network.open, 1);
});

Deno.test("a backend that stays broken is tried again at growing distances, and the state stays", async () => {
  await using test = await stage();
  const before = test.watcher.state;
  test.network.fail();
  test.network.removeInterface("eth0");
  await test.clock.tickAsync(2999);
  assertEquals([test.types(), test.watcher.state], [[], before]);
  assert(test.watcher.report.lastError instanceof Error);
  test.network.fail(false);
  await test.clock.tickAsync(1);
  assertEquals(test.types().slice(0, 2), ["backend", "addressremove"]);
  assertEquals(test.watcher.state.online, false);
});

Deno.test("what was out of sight for a while is compared with what was seen last", async () => {
  await using test = await stage();
  const dns = (server: string) => ({ servers: [server], search: [] });
  test.network.setDns(dns("192.0.2.1"));
  await test.clock.tickAsync(150);
  test.types();
  test.network.setDns(null);
  test.network.setAddress("eth0", "192.168.1.3/24");
  assertEquals([test.types(), test.watcher.state.dns], [["addressadd"], null]);
  await test.clock.tickAsync(150);
  assertEquals(test.types(), ["change"]);
  test.network.setDns(dns("192.0.2.1"));
  await test.clock.tickAsync(150);
  assertEquals(test.types(), []);
  test.network.setDns(null);
  test.network.setDns(dns("192.0.2.2"));
  const last = test.told.at(-1);
  assertEquals(last?.type === "dnschange" && [last.from, last.to], [dns("192.0.2.1"), dns("192.0.2.2")]);
  test.types();
  await test.clock.tickAsync(150);
  assertEquals(test.changes()[0]?.events.map(({ type }) => type), ["dnschange"]);
});

Deno.test("the same addresses at another router are told as another network, and settle as an advised change", async () => {
  await using test = await stage();
  test.network.setGatewayMac(4, "02:00:00:00:99:99");
  assertEquals(test.types(), ["identitychange"]);
  const [event] = test.told;
  assert(event?.type === "identitychange");
  assertEquals(event.from, { gateway: "192.168.1.1", mac: "02:00:00:00:01:01", network: "192.168.1.0/24" });
  assertEquals(event.to.mac, "02:00:00:00:99:99");
  await test.clock.tickAsync(150);
  const [change] = test.changes();
  assertEquals([change?.major, change?.events], ["advised", [event]]);
  assertEquals(change?.reasons, ["another IPv4 network: gateway 192.168.1.1 is now 02:00:00:00:99:99"]);
});

Deno.test("another gateway settles as an advised change, another metric as none", async () => {
  await using test = await stage();
  test.network.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.254" });
  await test.clock.tickAsync(150);
  assertEquals(test.changes().map(({ major }) => major), ["advised"]);
  test.network.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.254", metric: 7 });
  await test.clock.tickAsync(150);
  assertEquals(test.types(), ["routechange", "change"]);
  assertEquals((test.told.at(-1) as NetworkChange).major, "none");
});

Deno.test("the loss of an address in use is asked for once, and its return with another address again", async () => {
  await using test = await stage();
  test.network.removeAddress("eth0", "192.168.1.2/24");
  await test.clock.tickAsync(150);
  test.network.setDns({ servers: [], search: ["a"] });
  await test.clock.tickAsync(150);
  test.network.change(() => {
    test.network.setAddress("eth0", "192.168.1.77/24");
    test.network.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.1" });
  });
  await test.clock.tickAsync(150);
  assertEquals(test.changes().map(({ major, reasons }) => [major, reasons]), [
    ["required", ["source address 192.168.1.2 is gone from eth0"]],
    ["none", []],
    ["required", ["IPv4 is back with another source address: 192.168.1.77"]],
  ]);
});

function nextExternal(watcher: NetworkWatcher): Promise<ExternalEvent> {
  return new Promise((resolve) => {
    const registration = watcher.on("externalchange", (event) => {
      registration[Symbol.dispose]();
      resolve(event);
    });
  });
}

Deno.test("the public address is asked for at the start and after a major change, and told when it differs", async () => {
  await using server = await startStunServer({ mode: "liar" });
  await using test = await stage({ external: { servers: [server.url], families: [4] } });
  const first = await nextExternal(test.watcher);
  const seen = { v4: { address: "203.0.113.66", agreed: 1, answered: 1 }, v6: null };
  assertEquals([first.from, first.to, test.watcher.state.external], [null, seen, seen]);
  await test.clock.tickAsync(150);
  const [change] = test.changes();
  assertEquals([change?.major, change?.events.map(({ type }) => type)], ["none", ["externalchange"]]);
  // Nothing that is no major change makes it ask again.
  test.network.setDns({ servers: [], search: ["a"] });
  await test.clock.tickAsync(1000);
  assertEquals([server.requests, test.watcher.state.external], [1, seen]);
  server.mode = "honest";
  test.network.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.254" });
  const second = nextExternal(test.watcher);
  await test.clock.tickAsync(150);
  assertEquals((await second).to?.v4?.address, "127.0.0.1");
  assertEquals(server.requests, 2);
});

Deno.test("a watcher that is closed while it asks for the public address leaves nothing behind", async () => {
  await using server = await startStunServer({ mode: "silent" });
  const test = await stage({ external: { servers: [server.url], families: [4] } });
  await server.received(1);
  await test.watcher.close();
  assertEquals([test.network.open, test.clock.pending], [0, 0]);
});

Deno.test("a server that cannot be read lets nothing open", async () => {
  const network = fakeNetwork();
  const external = { servers: ["not a server"] };
  await assertRejects(() => watchNetwork({ source: network.source, external }), TypeError, "not a server");
  assertEquals(network.open, 0);
});

Deno.test("two watchers of one network are told the same and are closed apart", async () => {
  const clock = new FakeClock();
  const network = fakeNetwork();
  const first = await watchNetwork({ source: network.source, clock });
  const second = await watchNetwork({ source: network.source, clock });
  const heard: string[] = [];
  first.subscribe(() => heard.push("first"));
  second.subscribe(() => heard.push("second"));
  network.setDns({ servers: [], search: ["a"] });
  await first.close();
  network.setDns({ servers: [], search: ["b"] });
  assertEquals(heard, ["first", "second", "second"]);
  await second.close();
  assertEquals([network.open, clock.pending], [0, 0]);
});

Deno.test("two watchers of the system share one source, whatever they filter", async () => {
  await using all = await watchNetwork({ backend: "poll" });
  await using none = await watchNetwork({ backend: "poll", filter: () => false });
  assert(all.state.interfaces.length > 0);
  assertEquals(none.state.interfaces, []);
  assertEquals(all.state.at, none.state.at, "both began with one reading");
  const [a, b] = [await all.refresh(), none.state];
  assertEquals([a.at, b.interfaces], [b.at, []]);
});

Deno.test("a time that is none is refused by its name and value before anything is opened", async () => {
  const network = fakeNetwork();
  const { source } = network;
  const wrong: readonly [WatchOptions, string][] = [
    [{ quiet: -1 }, "quiet must be milliseconds from 0, got -1"],
    [{ quiet: NaN }, "quiet must be milliseconds from 0, got NaN"],
    [{ ceiling: Infinity }, "ceiling must be milliseconds from 0, got Infinity"],
    [{ grace: -5 }, "grace must be milliseconds from 0, got -5"],
    [{ grace: { events: -1 } }, "grace.events must be milliseconds from 0, got -1"],
    [{ grace: { settled: "1" as unknown as number } }, "grace.settled must be milliseconds from 0, got 1"],
    [{ pollInterval: 0 }, "pollInterval must be milliseconds above 0, got 0"],
    [{ pollInterval: NaN }, "pollInterval must be milliseconds above 0, got NaN"],
  ];
  for (const [options, message] of wrong) {
    await assertRejects(
      () => watchNetwork({ source, ...options }),
      RangeError,
      `Cannot watch the network: ${message}`,
    );
  }
  assertEquals(network.open, 0);
});

Deno.test("a backend that this system has not is refused, and those it has are named", async () => {
  const error = await assertRejects(
    () => watchNetwork({ backend: "carrier-pigeon" as "poll" }),
    TypeError,
    'got "carrier-pigeon"',
  );
  assert(error.message.includes('backend must be "auto", '));
  assert(error.message.includes('"poll"'));
});

Deno.test("a watcher is the view of the network that other modules take", async () => {
  await using test = await stage();
  const view: NetworkView = test.watcher;
  const heard: string[] = [];
  using _ = view.subscribe(({ type }) => heard.push(type));
  assertEquals([view.state.online, view.state.defaultRoute.v4?.gateway], [true, "192.168.1.1"]);
  test.network.setDefaultRoute(4, null);
  view.wake();
  assertEquals(heard, ["gatewaychange", "defaultinterfacechange", "offline"]);
});

import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { runCode } from "../tests/_code.ts";
import { madeUp, MadeUpError } from "../tests/_failures.ts";
import { StallingClock } from "../tests/_stalling_clock.ts";
import { TestView, viewState } from "../tests/_view.ts";
import { classify } from "./classify.ts";
import { DeadPeerError } from "./dead_peer_error.ts";
import { heartbeat, type HeartbeatOptions } from "./heartbeat.ts";
import type { HeartbeatEvent } from "./heartbeat_event.ts";

interface Ping {
  readonly at: number;
  readonly signal: AbortSignal;
  resolve(): void;
  reject(error: unknown): void;
}

/** A heartbeat whose pings are answered when the test says so, or always after a time. */
function rig(options: Partial<HeartbeatOptions> & { readonly rtt?: number } = {}) {
  const clock = new StallingClock();
  const pings: Ping[] = [];
  const events: string[] = [];
  const { rtt, ...rest } = options;
  const beat = heartbeat({
    ping: (signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      pings.push({ at: clock.monotonic(), signal, resolve, reject });
      if (rtt !== undefined) clock.after(rtt, resolve);
      return promise;
    },
    classify: madeUp,
    clock,
    ...rest,
  });
  for (const type of ["suspect", "alive", "dead"] as const) beat.on(type, () => events.push(type));
  return {
    clock,
    beat,
    pings,
    events,
    times: () => pings.map(({ at }) => at),
    [Symbol.dispose]: () => beat[Symbol.dispose](),
  };
}

Deno.test("heartbeat() asks when the connection has been quiet, and learns the round trip time", async () => {
  using all = rig({ rtt: 80 });
  const rtts: number[] = [];
  using _ = all.beat.on("pong", (event: HeartbeatEvent & { readonly type: "pong" }) => rtts.push(event.rtt));
  assertEquals(all.beat.rtt, null);
  await all.clock.tickAsync(32_000);
  assertEquals(all.times(), [15_000, 30_080]);
  assertEquals([rtts, all.beat.rtt, all.beat.status, all.events], [[80, 80], 80, "alive", []]);
});

Deno.test("heartbeat() puts the ping off for each received byte", async () => {
  using all = rig({ rtt: 10 });
  for (let i = 0; i < 10; i++) {
    await all.clock.tickAsync(10_000);
    all.beat.alive();
  }
  assertEquals(all.pings.length, 0);
  await all.clock.tickAsync(15_000);
  assertEquals(all.times(), [115_000]);
});

Deno.test("heartbeat() suspects who does not answer, asks again, and then declares him dead", async () => {
  using all = rig();
  await all.clock.tickAsync(16_999);
  assertEquals([all.beat.status, all.pings.length], ["alive", 1]);
  await all.clock.tickAsync(1);
  assertEquals([all.beat.status, all.times()], ["suspect", [15_000, 17_000]]);
  assertEquals(all.pings[0]?.signal.aborted, false, "a late answer to the first will do");
  await all.clock.tickAsync(1999);
  assertEquals(all.beat.signal.aborted, false);
  await all.clock.tickAsync(1);
  assertEquals([all.beat.status, all.events], ["dead", ["suspect", "dead"]]);
  const reason = all.beat.signal.reason;
  assert(reason instanceof DeadPeerError);
  assertEquals([reason.code, reason.reason, reason.message], [
    "dead-peer",
    "silence",
    "Cannot reach the other end: it has not answered in time",
  ]);
  const { scenario, kind, retry } = classify(reason);
  assertEquals([scenario, kind, retry], ["path-lost-idle", "timeout", "now"]);
  assert(all.pings.every(({ signal }) => signal.aborted));
  assertEquals(all.clock.pending, 0);
});

Deno.test("heartbeat() takes a late answer, or any byte, from a suspect as a sign of life", async () => {
  using all = rig();
  await all.clock.tickAsync(17_500);
  all.pings[0]?.resolve();
  await all.clock.tickAsync(0);
  assertEquals([all.beat.status, all.beat.rtt, all.events], ["alive", 2500, ["suspect", "alive"]]);
  await all.clock.tickAsync(15_000 + 7500);
  assertEquals(all.beat.status, "suspect", "three round trips later");
  all.beat.alive();
  assertEquals([all.beat.status, all.events], ["alive", ["suspect", "alive", "suspect", "alive"]]);
  assert(all.pings.every(({ signal }) => signal.aborted), "nobody waits for them any more");
});

Deno.test("heartbeat() allows three smoothed round trips, or as long as it is told", async () => {
  using slow = rig({ rtt: 1500 });
  await slow.clock.tickAsync(16_500);
  assertEquals(slow.beat.rtt, 1500);
  using told = rig({ timeout: 100, interval: 1000 });
  await told.clock.tickAsync(1200);
  assertEquals(told.beat.status, "dead");
});

Deno.test("heartbeat() asks at once when it is told to, and not twice", async () => {
  using all = rig();
  all.beat.check();
  all.beat.check();
  assertEquals(all.times(), [0]);
  await all.clock.tickAsync(4000);
  assertEquals(all.beat.status, "dead");
});

Deno.test("heartbeat() does not judge by time in which the process stood still", async () => {
  using all = rig();
  await all.clock.tickAsync(15_000);
  all.clock.stall(1900);
  await all.clock.tickAsync(2000);
  assertEquals(all.beat.status, "alive", "the deadline is put off by the lag");
  await all.clock.tickAsync(1899);
  assertEquals(all.beat.status, "alive");
  await all.clock.tickAsync(1);
  assertEquals(all.beat.status, "suspect");
});

Deno.test("heartbeat() asks anew after a long stall, with all the time for the answer", async () => {
  using all = rig();
  await all.clock.tickAsync(15_000 + 2000 + 1500);
  assertEquals(all.beat.status, "suspect");
  all.clock.stall(60_000);
  await all.clock.tickAsync(500);
  assertEquals(all.beat.status, "suspect");
  await all.clock.tickAsync(1999);
  assertEquals(all.beat.signal.aborted, false);
  all.pings.at(-1)?.resolve();
  await all.clock.tickAsync(0);
  assertEquals([all.beat.status, all.events], ["alive", ["suspect", "alive"]]);
});

Deno.test("heartbeat() of a loop that is always late comes to an end all the same", async () => {
  using all = rig({ interval: 1000, timeout: 500 });
  for (let i = 0; i < 200 && all.beat.status !== "dead"; i++) {
    all.clock.stall(100);
    await all.clock.tickAsync(100);
  }
  assertEquals(all.beat.status, "dead");
});

Deno.test("heartbeat() asks at once when the machine wakes", async () => {
  using all = rig();
  await all.clock.tickAsync(500);
  all.clock.jump(3_600_000);
  await all.clock.tickAsync(500);
  assertEquals(all.times(), [1000]);
});

Deno.test("heartbeat() asks at once when the network changes, and not for each of many events", async () => {
  const network = new TestView();
  using all = rig({ network });
  await all.clock.tickAsync(5000);
  for (let i = 0; i < 50; i++) network.change({ ...viewState("192.0.2.1"), at: i }, "advised");
  assertEquals(all.times(), [5000]);
  all.pings[0]?.resolve();
  await all.clock.tickAsync(5000);
  network.change(viewState("192.0.2.9"), "none");
  assertEquals(all.pings.length, 1, "that means nothing to a connection");
  network.tell({ type: "wake", at: 0, slept: 20_000 });
  assertEquals(all.times(), [5000, 10_000]);
});

Deno.test("heartbeat() comes to an end however often the network changes", async () => {
  const network = new TestView();
  using all = rig({ network });
  for (let i = 0; i < 30 && all.beat.status !== "dead"; i++) {
    await all.clock.tickAsync(300);
    network.change({ ...viewState("192.0.2.1"), at: i }, "required");
  }
  assertEquals(all.beat.status, "dead");
  assert(all.pings.length <= 6, `${all.pings.length} pings in 4.3 seconds`);
});

Deno.test("heartbeat() is dead at once when its local address has gone", () => {
  const network = new TestView(viewState("192.0.2.1", "192.0.2.7"));
  using all = rig({ network, localAddress: "::ffff:192.0.2.7" });
  network.change(viewState("192.0.2.254", "192.0.2.7"));
  assertEquals(all.beat.status, "alive");
  network.change(viewState("198.51.100.1", "198.51.100.9"));
  assertEquals([all.beat.status, all.events], ["dead", ["dead"]]);
  assertEquals(all.beat.signal.reason.reason, "address-gone");
  assertEquals(classify(all.beat.signal.reason).kind, "address-gone");
  assertEquals([all.clock.pending, network.subscribers], [0, 0]);
});

Deno.test("heartbeat() is dead from the start where its local address has gone before", async () => {
  using all = rig({ network: new TestView(), localAddress: "203.0.113.9" });
  await all.clock.tickAsync(0);
  assertEquals(all.events, ["dead"]);
});

Deno.test("heartbeat() does not judge by interfaces that are out of sight, nor by loopback", async () => {
  const blind = new TestView({ ...viewState("192.0.2.1"), interfaces: [] });
  using all = rig({ network: blind, localAddress: "203.0.113.9" });
  using loopback = rig({ network: new TestView(), localAddress: "127.0.0.53" });
  for (const { clock, beat } of [all, loopback]) {
    await clock.tickAsync(1000);
    assertEquals(beat.status, "alive");
  }
});

Deno.test("heartbeat() looks for its local address among the machine's own without a network", async () => {
  using gone = rig({ localAddress: "203.0.113.9" });
  await gone.clock.tickAsync(0);
  assertEquals(gone.events, ["dead"]);
  // Loopback is never looked for, so another one is needed to prove that it is found.
  const own = Deno.networkInterfaces().find(({ address }) => !/^(127\.|::1$)/.test(address))?.address;
  if (own === undefined) return;
  using there = rig({ localAddress: own });
  await there.clock.tickAsync(1000);
  assertEquals(there.events, []);
});

Deno.test("heartbeat() does not repeat a ping that failed since the connection is reset", async () => {
  using all = rig();
  const thrown = new MadeUpError({ kind: "reset" });
  all.beat.check();
  all.pings[0]?.reject(thrown);
  await all.clock.tickAsync(0);
  assertEquals([all.beat.status, all.beat.signal.reason.reason], ["dead", "reset"]);
  assertEquals(classify(all.beat.signal.reason).scenario, "reset-by-peer");
  assertStrictEquals(all.beat.signal.reason.cause, thrown);
});

Deno.test("heartbeat() takes any other failure of a ping for silence, and names it in the end", async () => {
  using all = rig();
  const thrown = new MadeUpError({ kind: "unreachable" });
  all.beat.check();
  all.pings[0]?.reject(thrown);
  await all.clock.tickAsync(1999);
  assertEquals(all.beat.status, "alive");
  await all.clock.tickAsync(2001);
  assertEquals(all.beat.status, "dead");
  assertStrictEquals(all.beat.signal.reason.cause, thrown);
});

Deno.test("heartbeat() leaves nothing when it is closed, by disposal or by its signal", async () => {
  const network = new TestView();
  const caller = new AbortController();
  const first = rig({ network, localAddress: "192.0.2.7" });
  const second = rig({ network, signal: caller.signal });
  first.beat.check();
  second.beat.check();
  first[Symbol.dispose]();
  caller.abort();
  for (const { beat, clock, pings, events } of [first, second]) {
    assertEquals([beat.status, clock.pending, pings[0]?.signal.aborted], ["closed", 0, true]);
    pings[0]?.resolve();
    await clock.tickAsync(60_000);
    beat.alive();
    beat.check();
    assertEquals([beat.status, events, pings.length, beat.signal.aborted], ["closed", [], 1, false]);
  }
  assertEquals(network.subscribers, 0);
  using third = rig({ network, signal: caller.signal });
  assertEquals([third.beat.status, third.clock.pending, network.subscribers], ["closed", 0, 0]);
});

Deno.test("a thousand heartbeats share one timer for sleep", () => {
  const clock = new StallingClock();
  const beats = Array.from({ length: 1000 }, () => heartbeat({ ping: async () => {}, clock }));
  assertEquals(clock.pending, 1000 + 1);
  for (const beat of beats) beat[Symbol.dispose]();
  assertEquals(clock.pending, 0);
});

Deno.test("heartbeat(), suspendWatchdog() and loopLag() do not keep the process alive", async () => {
  const { code, stderr } = await runCode(`
    import { heartbeat } from "#/recover/heartbeat.ts";
    import { suspendWatchdog } from "#/recover/suspend.ts";
    import { loopLag } from "#/recover/loop_lag.ts";
    const beat = heartbeat({ ping: () => new Promise(() => {}), localAddress: "192.0.2.1" });
    beat.check();
    suspendWatchdog();
    loopLag();
  `);
  assertEquals([code, stderr], [0, ""]);
});

Deno.test("heartbeat() says what is wrong with its options", () => {
  const ping = async (): Promise<void> => {};
  const cases: [HeartbeatOptions, typeof RangeError | typeof TypeError, string][] = [
    [{ ping: 1 as never }, TypeError, "ping must be a function, got 1"],
    [{ ping, interval: 0 }, RangeError, "interval must be a finite number above 0, got 0"],
    [{ ping, timeout: -1 }, RangeError, "timeout must be a finite number above 0, got -1"],
    [{ ping, localAddress: "eth0" }, TypeError, 'localAddress must be an IP address, got "eth0"'],
    [{ ping, localAddress: "fe80::zz" }, TypeError, 'localAddress must be an IP address, got "fe80::zz"'],
  ];
  for (const [options, kind, message] of cases) {
    const error = assertThrows(() => heartbeat(options), kind);
    assertEquals(error.message, `Cannot watch for a dead peer: ${message}`);
  }
});

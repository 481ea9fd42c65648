/** Failures of the machine itself: brought about (sleep, clocks and fleets in virtual time), known by name, and healed. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { wait } from "../internal/clock.ts";
import { exponential } from "../recover/backoff.ts";
import { budget } from "../recover/budget.ts";
import { heartbeat } from "../recover/heartbeat.ts";
import { loopLag } from "../recover/loop_lag.ts";
import { retry, type RetryOptions } from "../recover/retry.ts";
import { suspendWatchdog } from "../recover/suspend.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { startFaultServer } from "../testing/fault_server.ts";
import { chance } from "./_chance.ts";
import { eventually, statOf } from "./_child.ts";
import { runCode, type RunningCode, startCode } from "./_code.ts";
import { requires } from "./_require.ts";
import { Known, known } from "./_retry.ts";
import { VirtualTime } from "./_virtual_time.ts";

const needs = requires({ os: ["linux"] });

/** Stops a process for a time in milliseconds, as a debugger or a container freezer does. */
async function freeze(
  code: RunningCode,
  time: number,
  meanwhile: () => Promise<void> = async () => {},
): Promise<void> {
  code.kill("SIGSTOP");
  await eventually("the process to stand still", () => statOf(code.pid)?.state === "T");
  const began = performance.now();
  await meanwhile();
  await eventually("enough time to pass", () => performance.now() - began > time);
  code.kill("SIGCONT");
}

Deno.test({
  name: "process-frozen: both clocks go on in one tick, the watchdog and the lag meter tell for how long",
  ...needs,
  async fn() {
    await using code = startCode(`
      import { suspendWatchdog } from "#/recover/suspend.ts";
      import { loopLag } from "#/recover/loop_lag.ts";
      using lag = loopLag({ interval: 50 });
      using watchdog = suspendWatchdog({ interval: 100 });
      const { promise, resolve } = Promise.withResolvers();
      watchdog.on("clockjump", ({ by }) => console.log("clockjump", by));
      watchdog.on("wake", resolve);
      // What plain code sees: one tick that took longer than it should, by either clock.
      const plain = { wall: 0, monotonic: 0 };
      let [wall, monotonic] = [Date.now(), performance.now()];
      const hold = setInterval(() => {
        plain.wall = Math.max(plain.wall, Date.now() - wall);
        plain.monotonic = Math.max(plain.monotonic, performance.now() - monotonic);
        [wall, monotonic] = [Date.now(), performance.now()];
      }, 100);
      console.log("watching");
      const { slept, reason } = await promise;
      // The meter's own timer is late as well, and may come second.
      while (lag.max === 0 || lag.current > 1000) await new Promise((resolve) => setTimeout(resolve, 10));
      clearInterval(hold);
      console.log(JSON.stringify({ slept, reason, lag: lag.max, plain }));
    `);
    await code.said("watching");
    await freeze(code, 3000);
    const { code: exit, stdout, stderr } = await code.result;
    assertEquals([exit, stderr], [0, ""]);
    const [, line = ""] = stdout.trim().split("\n");
    const { slept, reason, lag, plain } = JSON.parse(line);
    assert(plain.wall > 2800 && plain.monotonic > 2800, line);
    assertEquals(reason, "stalled");
    // What it waited for anyway, an interval at most, is no part of it.
    assert(slept > 2800 && lag > 2800, line);
  },
});

Deno.test({
  name:
    "process-frozen: a heartbeat does not declare a peer dead that has answered while this process stood still",
  ...needs,
  async fn() {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    await using code = startCode(`
      import { heartbeat } from "#/recover/heartbeat.ts";
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: ${listener.addr.port} });
      let answered = Promise.withResolvers();
      using beat = heartbeat({
        interval: 1000,
        timeout: 500,
        async ping() {
          answered = Promise.withResolvers();
          await connection.write(new Uint8Array([1]));
          await answered.promise;
        },
      });
      for (const type of ["suspect", "dead"]) beat.on(type, () => console.log(type));
      beat.on("pong", () => console.log("pong"));
      const buffer = new Uint8Array(1);
      while (await connection.read(buffer) !== null) answered.resolve();
    `);
    const connection = await listener.accept();
    const buffer = new Uint8Array(1);
    // A question has come, and the process is stopped before it can read the answer: three times as long as it is patient,
    // yet not so long that it is taken for sleep, after which it would ask anew.
    assertEquals(await connection.read(buffer), 1);
    await freeze(code, 1500, async () => void await connection.write(buffer));
    await code.said("pong");
    connection.close();
    const { code: exit, stdout, stderr } = await code.result;
    assertEquals([exit, stderr], [0, ""]);
    assertEquals([stdout.includes("suspect"), stdout.includes("dead")], [false, false]);
  },
});

Deno.test({
  name:
    "event-loop-stall: a plain time limit judges a peer that has answered, heartbeat() waits and reads first",
  ...needs,
  async fn() {
    await using peer = startCode(`
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      console.log("listening on", listener.addr.port, ".");
      for await (const connection of listener) connection.readable.pipeTo(connection.writable).catch(() => {});
    `);
    const [, port] = await peer.said(/listening on (\d+) \./);
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
    const buffer = new Uint8Array(1);
    const ping = async (): Promise<void> => {
      const answer = connection.read(buffer);
      await connection.write(buffer);
      await answer;
    };
    /** Holds the event loop, as a long computation does. */
    const stall = (milliseconds: number): void => {
      const end = performance.now() + milliseconds;
      while (performance.now() < end);
    };
    using lag = loopLag({ interval: 50 });

    const judged: string[] = [];
    const limit = setTimeout(() => judged.push("dead"), 300);
    const asked = ping().then(() => judged.push("answered"));
    stall(700);
    await asked;
    clearTimeout(limit);
    assertEquals(judged, ["dead", "answered"]);

    const events: string[] = [];
    using beat = heartbeat({
      interval: 600_000,
      timeout: 300,
      ping: () => {
        const asked = ping();
        queueMicrotask(() => stall(700));
        return asked;
      },
    });
    const pong = new Promise<void>((resolve) => beat.on("pong", () => resolve()));
    for (const type of ["suspect", "dead"] as const) beat.on(type, () => events.push(type));
    beat.check();
    await pong;
    assertEquals([beat.status, events], ["alive", []]);
    assert(lag.max > 500, `${lag.max} ms`);
  },
});

Deno.test("suspend: after hours of sleep a timer has most of its time left, on waking heartbeat() asks at once", async () => {
  const clock = new FakeClock();
  let pings = 0;
  using beat = heartbeat({ ping: () => (pings++, new Promise(() => {})), interval: 60_000, clock });
  using watchdog = suspendWatchdog({ clock });
  const told: string[] = [];
  using _wake = watchdog.on("wake", ({ slept, reason }) => told.push(`${reason} ${slept}`));
  let plain = 0;
  clock.after(60_000, () => plain++);
  await clock.tickAsync(10_000);
  // The lid is closed: only the wall clock goes on.
  clock.jump(7_200_000);
  await clock.tickAsync(1000);
  assertEquals([told, pings, plain], [["asleep 7200000"], 1, 0]);
  // Nobody is there any more, which is known long before a plain timer would even have asked.
  await clock.tickAsync(4000);
  assertEquals([beat.status, plain], ["dead", 0]);
});

Deno.test("clock-jump: a limit on the wall clock is over at once or never, those of policies are not moved", async () => {
  for (const jump of [3_600_000, -3_600_000]) {
    const clock = new FakeClock({ now: 1_700_000_000_000 });
    // The machine's time of sleep is known, and it did not sleep.
    using watchdog = suspendWatchdog({ clock, sleepClock: () => 0 });
    const jumps: number[] = [];
    using _jumps = watchdog.on("clockjump", ({ by }) => jumps.push(by));
    const plain = clock.now() + 5000;
    const times: number[] = [];
    const policy = retry({ clock, deadline: 5000, maxAttempts: Infinity, random: () => 1, classify: known });
    const outcome = assertRejects(
      () =>
        policy.execute(() => {
          times.push(clock.monotonic());
          throw new Known();
        }),
      Error,
    );
    await clock.tickAsync(1000);
    clock.jump(jump);
    await clock.tickAsync(1000);
    assertEquals([jumps, clock.now() >= plain], [[jump], jump > 0]);
    await clock.tickAsync(8000);
    await outcome;
    const last = times.at(-1) ?? 0;
    assert(last > 2000 && last <= 5000, times.join(" "));
    assertEquals(clock.now() >= plain, jump > 0, "after twice the time it is over at last, or still not");
  }
});

/** 1,000 clients lose their server together, and it is back after 10 s: how many calls it gets per 10 ms at most, and in all. */
async function comeBack(
  again: (n: number, clock: VirtualTime, call: () => void) => Promise<unknown>,
): Promise<{ readonly peak: number; readonly calls: number }> {
  const clock = new VirtualTime();
  const counts = new Map<number, number>();
  const all = Array.from({ length: 1000 }, (_, n) =>
    again(n, clock, () => {
      const now = clock.monotonic();
      // The first call of each is the loss itself.
      if (now > 0) counts.set(Math.floor(now / 10), (counts.get(Math.floor(now / 10)) ?? 0) + 1);
      if (now < 10_000) throw new Known();
    }).catch(() => {}));
  await clock.run();
  await Promise.all(all);
  const numbers = [...counts.values()];
  return { peak: Math.max(...numbers), calls: numbers.reduce((sum, count) => sum + count, 0) };
}

Deno.test("retry-storm: pauses that only double bring all back in the same moment, full jitter and a budget do not", async () => {
  const plain = await comeBack(async (_, clock, call) => {
    for (let pause = 100;; pause = Math.min(2 * pause, 30_000)) {
      try {
        return call();
      } catch {
        await wait(pause, { clock });
      }
    }
  });
  assertEquals(plain, { peak: 1000, calls: 7000 });
  const ours = (options: RetryOptions) => {
    return (n: number, clock: VirtualTime, call: () => void): Promise<unknown> =>
      retry({ clock, random: chance(n), classify: known, maxAttempts: Infinity, ...options }).execute(call);
  };
  const jitter = await comeBack(ours({ backoff: exponential({ initial: 100, max: 30_000 }) }));
  assert(jitter.peak < 200, `${jitter.peak} in 10 ms`);
  const shared = budget({ clock: new VirtualTime() });
  const limited = await comeBack(ours({ budget: shared }));
  assert(limited.calls < 400, `${limited.calls} calls`);
});

Deno.test("permission-missing: every call says so in its own way, nothing is repeated, and with the flag it works", async () => {
  await using server = await startFaultServer({ fault: { type: "http" } });
  const code = `
    import { lookup } from "node:dns/promises";
    import { classify } from "#/recover/classify.ts";
    import { constant } from "#/recover/backoff.ts";
    import { retry } from "#/recover/retry.ts";
    const address = { hostname: "127.0.0.1", port: ${server.port} };
    const url = "http://127.0.0.1:${server.port}/";
    const calls = {
      connect: async () => (await Deno.connect(address)).close(),
      fetch: async () => void await (await fetch(url)).text(),
      listen: async () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close(),
      interfaces: async () => void Deno.networkInterfaces(),
    };
    for (const [name, call] of Object.entries(calls)) {
      let attempts = 0;
      const outcome = await retry({ idempotent: true, backoff: constant(1) }).execute(() => {
        attempts++;
        return call();
      }).then(() => "fine", (error) => {
        const { scenario, retry, sent, hint } = classify(error);
        return [error.name, scenario, retry, sent, hint].join(" | ");
      });
      console.log(name, attempts, outcome);
    }
  `;
  const flags = ["--no-prompt", "--allow-read"];
  const refused = await runCode(code, { flags });
  const net = "1 NotCapable | permission-missing | never | no | Run again with --allow-net";
  const sys = "1 NotCapable | permission-missing | never | no | Run again with --allow-sys";
  assertEquals(refused.stdout.trim().split("\n"), [
    `connect ${net}`,
    `fetch ${net}`,
    `listen ${net}`,
    `interfaces ${sys}`,
  ], refused.stderr);
  assertEquals(server.connections, 0);
  const allowed = await runCode(code, { flags: [...flags, "--allow-net", "--allow-sys"] });
  assertEquals(
    allowed.stdout,
    "connect 1 fine\nfetch 1 fine\nlisten 1 fine\ninterfaces 1 fine\n",
    allowed.stderr,
  );
  assertEquals(server.connections, 2);
});

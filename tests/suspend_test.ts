/** A process that really stands still: what the watchers of liveness see of it, and what they must not make of it. */

import { assert, assertEquals } from "@std/assert";
import { eventually, statOf } from "./_child.ts";
import { type RunningCode, startCode } from "./_code.ts";
import { requires } from "./_require.ts";

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
  name: "SIGSTOP and SIGCONT: the watchdog tells for how long, the lag meter by how much it was late",
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
      const hold = setInterval(() => {}, 1000);
      console.log("watching");
      const { slept, reason } = await promise;
      // The meter's own timer is late as well, and may come second.
      while (lag.max === 0 || lag.current > 1000) await new Promise((resolve) => setTimeout(resolve, 10));
      clearInterval(hold);
      console.log(JSON.stringify({ slept, reason, lag: lag.max }));
    `);
    await code.said("watching");
    await freeze(code, 3000);
    const { code: exit, stdout, stderr } = await code.result;
    assertEquals([exit, stderr], [0, ""]);
    const [, line = ""] = stdout.trim().split("\n");
    const { slept, reason, lag } = JSON.parse(line);
    assertEquals(reason, "stalled");
    // What it waited for anyway, an interval at most, is no part of it.
    assert(slept > 2800 && lag > 2800, line);
  },
});

Deno.test({
  name: "SIGSTOP: a heartbeat does not declare a peer dead that has answered while this process stood still",
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
    assertEquals([exit, stderr, stdout.includes("suspect"), stdout.includes("dead")], [0, "", false, false]);
  },
});

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type RunningCode, startCode } from "../tests/_code.ts";
import { requires } from "../tests/_require.ts";
import { onShutdown } from "./shutdown.ts";

const unix = requires({ os: ["linux", "darwin"] });

/** Runs code that has `owner(name, close)`, waits for "ready", and lets a test send signals. */
async function start(code: string): Promise<RunningCode> {
  const running = startCode(
    `
    import { onShutdown } from "#/internal/shutdown.ts";
    const owner = (name, close = () => {}) => ({
      async [Symbol.asyncDispose]() {
        console.log("closing " + name);
        await close();
        console.log("closed " + name);
      },
    });
    const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const never = () => new Promise(() => {});
    const alive = setInterval(() => {}, 1000);
    ${code}
    console.log("ready");
    `,
    { flags: [] },
  );
  await running.said("ready");
  return running;
}

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test({
    name: `on ${signal} everything registered is closed, however long it takes, and the exit code is ${code}`,
    ...unix,
    async fn() {
      await using running = await start(`
        onShutdown(owner("slow", () => later(50)));
        onShutdown(owner("quick"));
      `);
      running.kill(signal);
      const result = await running.result;
      assertEquals(result, {
        code,
        stdout: "ready\nclosing quick\nclosing slow\nclosed quick\nclosed slow\n",
        stderr: "",
      });
    },
  });

  Deno.test({
    name: `a second signal after ${signal} ends the process at once`,
    ...unix,
    async fn() {
      await using running = await start(`onShutdown(owner("hanging", never), { timeout: 3_600_000 });`);
      running.kill(signal);
      await running.said("closing hanging");
      running.kill("SIGINT");
      assertEquals((await running.result).code, 130);
    },
  });
}

Deno.test({
  name: "an owner that takes itself off the list while closing does not make the second signal any different",
  ...unix,
  async fn() {
    await using running = await start(`
      const registration = onShutdown(owner("hanging", () => {
        registration[Symbol.dispose]();
        console.log("off the list");
        return never();
      }));
    `);
    running.kill("SIGINT");
    await running.said("off the list");
    running.kill("SIGTERM");
    assertEquals((await running.result).code, 143);
  },
});

Deno.test({
  name: "an owner that rejects or throws while closing is reported, and the others are closed all the same",
  ...unix,
  async fn() {
    await using running = await start(`
      onShutdown(owner("good", () => later(10)));
      onShutdown(owner("bad", () => { throw new Error("rejected as planned"); }));
      onShutdown({ [Symbol.asyncDispose]() { throw new Error("thrown as planned"); } });
    `);
    running.kill("SIGTERM");
    const { code, stdout, stderr } = await running.result;
    assertEquals(code, 143);
    assertStringIncludes(stdout, "closed good");
    assertStringIncludes(stderr, "Cannot close everything on SIGTERM: Error: rejected as planned");
    assertStringIncludes(stderr, "Cannot close everything on SIGTERM: Error: thrown as planned");
  },
});

Deno.test({
  name: "an owner that never gets done is left behind when its time is up",
  ...unix,
  async fn() {
    await using running = await start(`
      onShutdown(owner("hanging", never), { timeout: 30 });
      onShutdown(owner("good", () => later(60)));
    `);
    running.kill("SIGINT");
    const { code, stdout, stderr } = await running.result;
    assertEquals(code, 130);
    assertStringIncludes(stdout, "closed good");
    assertEquals(stdout.includes("closed hanging"), false);
    assertEquals(stderr, "Cannot close everything on SIGINT: not done within 30 ms\n");
  },
});

Deno.test({
  name: "only those are closed that want to be on that signal",
  ...unix,
  async fn() {
    await using running = await start(`
      onShutdown(owner("both"));
      onShutdown(owner("hangup"), { signals: ["SIGHUP"] });
    `);
    running.kill("SIGHUP");
    assertEquals(await running.result, {
      code: 129,
      stdout: "ready\nclosing hangup\nclosed hangup\n",
      stderr: "",
    });
  },
});

Deno.test({
  name: "a disposed registration closes nothing, and the last one gives the signal back to the system",
  ...unix,
  async fn() {
    await using running = await start(`
      const first = onShutdown(owner("first"));
      const second = onShutdown(owner("second"));
      first[Symbol.dispose]();
      first[Symbol.dispose]();
      second[Symbol.dispose]();
    `);
    running.kill("SIGINT");
    // Deno would give 130 as well, had it ended by Deno.exit(): what tells is that nothing was closed.
    assertEquals(await running.result, { code: 130, stdout: "ready\n", stderr: "" });
  },
});

Deno.test({
  name: "a registration does not keep the process alive",
  ...unix,
  async fn() {
    await using running = await start(`
      onShutdown(owner("idle"));
      clearInterval(alive);
    `);
    assertEquals(await running.result, { code: 0, stdout: "ready\n", stderr: "" });
  },
});

Deno.test("a signal that cannot be listened to is an error, and leaves nothing registered", () => {
  const owner = { [Symbol.asyncDispose]: () => Promise.resolve() };
  assertThrows(() => onShutdown(owner, { signals: ["SIGKILL"] }), TypeError);
  // Were the first still on the list, this one would fail as well.
  onShutdown(owner, { signals: ["SIGINT"] })[Symbol.dispose]();
});

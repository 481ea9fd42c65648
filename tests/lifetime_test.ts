/** Processes that end: by themselves when nobody waits any more, and by signals, which leave nothing behind. */

import { assert, assertEquals } from "@std/assert";
import { childrenOf, commandOf, isAlive, type ProcessStat, startInTerminal } from "./_child.ts";
import { runCode, startCode } from "./_code.ts";
import { requires } from "./_require.ts";

const needs = requires({ os: ["linux"], tools: ["ip"] });
const BACKENDS = ["netlink", "ip-monitor", "poll"] as const;

Deno.test({
  name: "a process that has waited for a change, and waits no more, ends by itself",
  ...needs,
  async fn() {
    const { code, stdout, stderr } = await runCode(`
      import { watchNetwork } from "#/watch/mod.ts";
      for (const backend of ${JSON.stringify(BACKENDS)}) {
        const watcher = await watchNetwork({ backend });
        const changes = watcher[Symbol.asyncIterator]();
        const events = watcher.events[Symbol.asyncIterator]();
        const waits = [changes.next(), events.next()];
        await Promise.all([changes.return(), events.return()]);
        console.log((await Promise.all(waits)).map(({ done }) => done).join());
        const limit = new AbortController();
        const wait = watcher.online({ family: watcher.state.families.includes(6) ? 4 : 6, signal: limit.signal });
        limit.abort();
        await wait.catch(() => {});
      }
    `);
    assertEquals([code, stdout, stderr], [0, "true,true\n".repeat(3), ""]);
  },
});

/** Code that watches until it is told to end. */
function closing(backend: string): string {
  return `
    import { onShutdown, watchNetwork } from "#/watch/mod.ts";
    const watcher = await watchNetwork({ backend: "${backend}" });
    onShutdown(watcher);
    console.log("watching", Deno.pid);
    for await (const _ of watcher) { /* until it is closed */ }
    console.log("closed");
  `;
}

/** How many of some processes listen for changes; a reading that is under way is one of `ip` as well. */
function monitors(processes: readonly ProcessStat[]): number {
  return processes.filter(({ pid }) => commandOf(pid).includes("monitor")).length;
}

for (const backend of BACKENDS) {
  for (const [signal, expected] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    Deno.test({
      name: `${signal} closes a watcher by ${backend}: exit code ${expected}, and no process is left`,
      ...needs,
      async fn() {
        await using code = startCode(closing(backend));
        await code.said("watching");
        const tools = childrenOf(code.pid);
        assertEquals(monitors(tools), backend === "ip-monitor" ? 1 : 0);
        code.kill(signal);
        const result = await code.result;
        assertEquals([result.code, result.stderr], [expected, ""]);
        assert(result.stdout.includes("closed"));
        assertEquals(tools.filter(({ pid }) => isAlive(pid)), []);
      },
    });
  }
}

Deno.test({
  name: "Ctrl-C, which ends the tool at the same time, closes a watcher by ip-monitor and leaves no process",
  ...requires({ os: ["linux"], tools: ["ip", "script"] }),
  async fn() {
    await using terminal = await startInTerminal(closing("ip-monitor"), ["-A"]);
    const pid = Number(await terminal.said(/watching (\d+)/));
    const tools = childrenOf(pid);
    assertEquals(monitors(tools), 1);
    await terminal.interrupt();
    const { code, screen } = await terminal.result;
    assertEquals(code, 130, screen);
    assert(!/error|Cannot|Uncaught/i.test(screen), screen);
    assertEquals(tools.filter(({ pid }) => isAlive(pid)), []);
    assertEquals(childrenOf(pid), []);
  },
});

for (const backend of BACKENDS) {
  Deno.test({
    name: `close() under way when the process is told to end by ${backend} is no error`,
    ...needs,
    async fn() {
      await using code = startCode(`
        import { onShutdown, watchNetwork } from "#/watch/mod.ts";
        const watcher = await watchNetwork({ backend: "${backend}" });
        onShutdown(watcher);
        Deno.kill(Deno.pid, "SIGTERM");
        await watcher.close();
        await new Promise(() => setTimeout(() => {}, 60_000));
      `);
      const { code: exit, stderr } = await code.result;
      assertEquals([exit, stderr], [143, ""]);
    },
  });
}

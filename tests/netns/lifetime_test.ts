/** Who waits for the network stays until it changes, under exactly the permissions of each way to watch; others end. */

import { assert, assertEquals } from "@std/assert";
import { eventually, isAlive, libcPath } from "../_child.ts";
import { runCode, startCode } from "../_code.ts";
import { requires } from "../_require.ts";
import { ip, Network } from "./_network.ts";

const needs = requires({ netns: true, tools: ["ip"] });

const GRANTS = [
  { backend: "netlink", flags: [`--allow-ffi=${libcPath()}`] },
  { backend: "ip-monitor", flags: ["--allow-run=ip"] },
  { backend: "poll", flags: ["--allow-sys=networkInterfaces"] },
] as const;

// The system adds IPv6 addresses of its own while the test begins; only the one that the test adds counts.
const WAITS = [
  {
    what: "a pending iteration over changes",
    code: `
      for await (const { events } of watcher) {
        const added = events.find((event) => event.type === "addressadd" && event.family === 4);
        if (!added) continue;
        console.log(added.address);
        break;
      }`,
  },
  {
    what: "a pending iteration over events",
    code: `
      for await (const event of watcher.events) {
        if (event.type !== "addressadd" || event.family !== 4) continue;
        console.log(event.address);
        break;
      }`,
  },
  {
    what: "a wait for being online",
    code: `
      await watcher.online({ family: 4 });
      console.log(watcher.state.interfaces.flatMap(({ addresses }) => addresses).map(({ address }) => address)
        .find((address) => address === "10.1.0.2"));`,
  },
] as const;

/** Watches by one backend, does something, and comes to its end without closing. */
function watching(backend: string, code: string): string {
  return `
    import { watchNetwork } from "#/watch/mod.ts";
    const watcher = await watchNetwork({ backend: "${backend}", pollInterval: 100 });
    console.log("watching");
    // Not awaited up here: a module that waits keeps its process alive by itself.
    void (async () => {
      ${code}
    })();
  `;
}

for (const { backend, flags } of GRANTS) {
  for (const { what, code } of WAITS) {
    Deno.test({
      name: `by ${backend} with ${
        flags[0]
      } alone, ${what} keeps the process alive until it has what it waits for`,
      ...needs,
      async fn() {
        await using network = await Network.make();
        await network.plug("wan0", "peer0");
        await ip("link set wan0 up");
        await using child = startCode(watching(backend, code), { flags });
        await child.said("watching");
        // One that waits for nothing has come and gone before anything happens.
        const other = await runCode(watching(backend, `watcher.on("change", () => {});`), { flags });
        assertEquals([other.code, other.stdout, other.stderr], [0, "watching\n", ""]);
        assert(isAlive(child.pid));
        await ip("address add 10.1.0.2/24 dev wan0", "route add default via 10.1.0.1");
        const { code: exit, stdout, stderr } = await child.result;
        assertEquals([exit, stdout, stderr], [0, "watching\n10.1.0.2\n", ""]);
      },
    });
  }
}

for (const { backend } of GRANTS) {
  Deno.test({
    name:
      `a process that only has handlers on a watcher by ${backend} ends by itself, and leaves nothing behind`,
    ...needs,
    async fn() {
      const { code, stdout, stderr } = await runCode(`
        import { watchNetwork } from "#/watch/mod.ts";
        import { childrenOf } from "#/tests/_child.ts";
        const watcher = await watchNetwork({ backend: "${backend}", pollInterval: 50 });
        watcher.on("change", () => {});
        watcher.on("offline", () => {});
        watcher.subscribe(() => {});
        // Readings, the poll and the settling of the tool may be under way; none of them is worth staying for.
        watcher.wake();
        console.log(JSON.stringify(childrenOf(Deno.pid).map(({ pid }) => pid)));
      `);
      assertEquals([code, stderr], [0, ""]);
      // Nothing happens here that would end a forgotten tool by what it has to say.
      const children = JSON.parse(stdout) as number[];
      if (backend === "ip-monitor") assert(children.length > 0);
      for (const pid of children) await eventually(`the end of ${pid}`, () => !isAlive(pid));
    },
  });
}

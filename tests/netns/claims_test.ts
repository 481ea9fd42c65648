/** The sentences under "Good to know" in the README, as far as a machine like this can show them. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { filesBelow, fileSystemPath, ROOT } from "../../dev/_files.ts";
import { runCode, startCode } from "../_code.ts";
import { requires } from "../_require.ts";

const needs = requires({ netns: true, tools: ["ip"] });

async function ip(line: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("ip", { args: line.split(" ") }).output();
  assert(success, `ip ${line}: ${new TextDecoder().decode(stderr)}`);
}

Deno.test({
  name: "inside a Worker a watcher works as outside, by netlink",
  ...needs,
  async fn() {
    await using code = startCode(`
      const source = \`
        import { watchNetwork } from "\${import.meta.resolve("#/watch/mod.ts")}";
        const watcher = await watchNetwork();
        watcher.on("addressadd", ({ address }) => postMessage("saw " + address));
        postMessage("watching by " + watcher.backend);
      \`;
      const url = URL.createObjectURL(new Blob([source], { type: "text/typescript" }));
      const worker = new Worker(url, { type: "module" });
      worker.onmessage = ({ data }) => console.log(data);
    `);
    await code.said("watching by netlink");
    await ip("address add 10.8.0.1/32 dev lo");
    await code.said("saw 10.8.0.1");
    await ip("address delete 10.8.0.1/32 dev lo");
  },
});

Deno.test({
  name: "two versions of the library in one process each see every change, also after the other has closed",
  ...needs,
  async fn() {
    const other = await Deno.makeTempDir();
    try {
      for (const path of await filesBelow(fileSystemPath(ROOT), [".ts"])) {
        if (!/^(watch|internal)\//.test(path)) continue;
        await Deno.mkdir(`${other}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
        await Deno.copyFile(new URL(path, ROOT), `${other}/${path}`);
      }
      await using code = startCode(`
        import { watchNetwork as one } from "#/watch/mod.ts";
        import { watchNetwork as two } from "file://${other}/watch/mod.ts";
        const watchers = [await one(), await two()];
        if (one === two) throw new Error("It is the same version twice");
        for (const [at, watcher] of watchers.entries()) {
          watcher.on("addressadd", ({ address }) => console.log(at + 1, "saw", address));
        }
        watchers[0].on("addressremove", () => watchers[0].close().then(() => console.log("1 closed")));
        console.log("watching");
        for await (const _ of watchers[1]);
      `);
      await code.said("watching");
      await ip("address add 10.8.0.2/32 dev lo");
      await code.said("1 saw 10.8.0.2");
      await code.said("2 saw 10.8.0.2");
      await ip("address delete 10.8.0.2/32 dev lo");
      await code.said("1 closed");
      await ip("address add 10.8.0.3/32 dev lo");
      await code.said("2 saw 10.8.0.3");
      await ip("address delete 10.8.0.3/32 dev lo");
    } finally {
      await Deno.remove(other, { recursive: true });
    }
  },
});

Deno.test({
  name: "a machine with IPv6 alone is online, by family 6",
  ...needs,
  async fn() {
    await ip("link add lan0 type veth peer name far0");
    await ip("address add 2001:db8::2/64 dev lan0 nodad");
    await ip("link set far0 up");
    await ip("link set lan0 up");
    await ip("-6 route add default via 2001:db8::1");
    try {
      const { stdout, stderr } = await runCode(`
        import { watchNetwork } from "#/watch/mod.ts";
        await using watcher = await watchNetwork();
        await watcher.online({ family: 6, signal: AbortSignal.timeout(10_000) });
        console.log(JSON.stringify(watcher.state.families), watcher.state.defaultRoute.v6?.gateway);
      `);
      assertEquals(stdout.trim(), "[6] 2001:db8::1", stderr);
    } finally {
      await ip("link delete lan0");
    }
  },
});

Deno.test({
  name: "without any permission the error names the flags, and nobody is asked",
  ...needs,
  async fn() {
    const { stdout, stderr } = await runCode(
      `
        import { PermissionError, watchNetwork } from "#/watch/mod.ts";
        const error = await watchNetwork().catch((error) => error);
        console.log(error instanceof PermissionError, error.flags.length, error.message);
      `,
      { flags: [] },
    );
    assertStringIncludes(stdout, "true 1 Cannot watch the network: permission missing, add --allow-ffi=");
    assertEquals(stderr, "");
  },
});

Deno.test({
  name: "where a sandbox refuses netlink sockets, every backend says so and the error names them all",
  ...requires({ netns: true, tools: ["strace"] }),
  async fn() {
    const code = `
      import { HoldfastError, probeBackends, watchNetwork } from "#/watch/mod.ts";
      console.log(JSON.stringify((await probeBackends()).map(({ backend, usable }) => [backend, usable])));
      const error = await watchNetwork().catch((error) => error);
      console.log(error instanceof HoldfastError, error.code, error.message);
    `;
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    try {
      await Deno.writeTextFile(file, code.replaceAll('"#/', `"${ROOT.href}`));
      // No socket of any kind can be opened, as in a sandbox without any network stack.
      const inject = [
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=socket",
        "-e",
        "inject=socket:error=EAFNOSUPPORT",
      ];
      const { stdout, stderr } = await new Deno.Command("strace", {
        args: [...inject, Deno.execPath(), "run", "--no-check", "--no-lock", "-A", file],
        env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
      }).output();
      const [probed, failed = ""] = new TextDecoder().decode(stdout).split("\n");
      const report = new TextDecoder().decode(stderr);
      assertEquals(probed, '[["netlink",false],["ip-monitor",false],["poll",false]]', report);
      assertStringIncludes(failed, "true unsupported Cannot watch the network: no backend works here");
      for (const backend of ["netlink: ", "ip-monitor: ", "poll: "]) assertStringIncludes(failed, backend);
    } finally {
      await Deno.remove(file);
    }
  },
});

/** In a terminal the runtime asks a person for what is not granted: nothing that is chosen by itself may cause that. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { libcCandidates } from "../internal/ffi/libc.ts";
import { libcPath, QUESTION, startInTerminal } from "./_child.ts";
import { requires } from "./_require.ts";

const needs = requires({ os: ["linux"], tools: ["ip", "script"] });

const FFI = `--allow-ffi=${libcPath()}`;
const IP = "--allow-run=ip";
const SYS = "--allow-sys=networkInterfaces";

/** Code that does something, and tells what came of it in one line. */
function trying(what: string): string {
  return `
    import { probeBackends, snapshot, watchNetwork } from "#/watch/mod.ts";
    if (!Deno.stdin.isTerminal()) throw new Error("this is no terminal");
    try {
      console.log("RESULT " + JSON.stringify(${what}));
    } catch (error) {
      const { name, message, flags, hint } = error;
      console.log("RESULT " + JSON.stringify({ error: { name, message, flags, hint } }));
    }`;
}

/** Watches, and tells by what. */
function watch(backend: string): string {
  return trying(`await (async () => {
    await using watcher = await watchNetwork({ backend: "${backend}" });
    const { report: { passedOver }, state: { dns, blind } } = watcher;
    return { backend: watcher.backend, passedOver, dns, blind };
  })()`);
}

interface Told {
  readonly backend?: string;
  readonly passedOver?: readonly { backend: string; reason: string; flags: readonly string[] }[];
  readonly dns?: unknown;
  readonly blind?: readonly string[];
  readonly error?: { name: string; message: string; flags: readonly string[]; hint: string };
}

function resultOf(screen: string): Told {
  // A terminal ends lines by \r\n.
  const [, json] = /^RESULT (.*?)\r?$/m.exec(screen) ?? [];
  assert(json, screen);
  return JSON.parse(json) as Told;
}

/** Runs code in a terminal to its end; a question would never be answered. */
async function unasked(code: string, flags: readonly string[]): Promise<Told> {
  await using terminal = await startInTerminal(code, flags);
  const asked = terminal.said(QUESTION).then(() => true, () => false);
  if (await Promise.race([asked, terminal.result.then(() => false)])) {
    await terminal.answer("n");
    const { screen } = await terminal.result;
    throw new Error(`It asked:\n${screen}`);
  }
  const { screen } = await terminal.result;
  assert(!screen.includes(QUESTION) && !screen.includes("┏"), screen);
  return resultOf(screen);
}

Deno.test({
  name: "in a terminal without grants nobody is asked, and the error names the flags",
  ...needs,
  async fn() {
    const { error } = await unasked(watch("auto"), []);
    assertEquals(error?.name, "PermissionError");
    assertEquals(error?.flags, [`--allow-ffi=${libcCandidates()[0]}`]);
    assertEquals(error?.hint, `Or, seeing less or later: ${IP} or ${SYS}`);
  },
});

const notTried = (backend: string, flag: string) => ({
  backend,
  reason: `not tried: the runtime would ask for ${flag}`,
  flags: [flag],
});

for (
  const { flags, backend, passedOver } of [
    { flags: [FFI], backend: "netlink", passedOver: [] },
    { flags: [IP], backend: "ip-monitor", passedOver: [notTried("netlink", FFI)] },
    { flags: [SYS], backend: "poll", passedOver: [notTried("netlink", FFI), notTried("ip-monitor", IP)] },
  ]
) {
  Deno.test({
    name: `in a terminal with ${
      flags.join(" ")
    } auto takes ${backend}, asks nobody, and says what it did not try`,
    ...needs,
    async fn() {
      const told = await unasked(watch("auto"), flags);
      assertEquals([told.backend, told.passedOver], [backend, passedOver]);
      if (backend !== "netlink") assertEquals([told.dns, told.blind?.at(-1)], [null, "dns"]);
    },
  });
}

Deno.test({
  name: "in a terminal snapshot() and probeBackends() ask nobody",
  ...needs,
  async fn() {
    const { error } = await unasked(trying("await snapshot()"), []);
    assertEquals([error?.name, error?.flags], ["PermissionError", [`--allow-ffi=${libcCandidates()[0]}`]]);
    const code = trying("(await probeBackends()).map(({ backend, usable }) => [backend, usable])");
    assertEquals<unknown>(await unasked(code, []), [["netlink", false], ["ip-monitor", false], [
      "poll",
      false,
    ]]);
    assertEquals<unknown>(await unasked(code, [IP]), [["netlink", false], ["ip-monitor", true], [
      "poll",
      false,
    ]]);
  },
});

for (
  const { backend, about, flag } of [
    { backend: "netlink", about: "ffi access", flag: `--allow-ffi=${libcCandidates()[0]}` },
    { backend: "ip-monitor", about: "run access", flag: IP },
    { backend: "poll", about: "sys access", flag: SYS },
  ]
) {
  Deno.test({
    name:
      `in a terminal "${backend}" by name is tried: a person is asked once, and "no" is a PermissionError`,
    ...needs,
    async fn() {
      await using terminal = await startInTerminal(watch(backend));
      await terminal.answer("n");
      const { screen } = await terminal.result;
      assertStringIncludes(screen, about);
      assertEquals(screen.split(QUESTION).length - 1, 1, screen);
      const { error } = resultOf(screen);
      assertEquals([error?.name, error?.flags], ["PermissionError", [flag]]);
    },
  });

  Deno.test({
    name: `in a terminal "${backend}" by name works when the person says yes`,
    ...needs,
    async fn() {
      await using terminal = await startInTerminal(watch(backend));
      await terminal.answer("y");
      const { screen } = await terminal.result;
      assertEquals(screen.split(QUESTION).length - 1, 1, screen);
      assertEquals(resultOf(screen).backend, backend);
    },
  });
}

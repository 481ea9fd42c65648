/** Each way to watch under exactly the permissions that it documents, and what is said where they are missing. */

import { type BackendName, permissions, snapshot } from "@holdfast/net/watch";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { libcCandidates } from "../internal/ffi/libc.ts";
import { libcPath } from "./_child.ts";
import { runCode } from "./_code.ts";
import { requires } from "./_require.ts";
import config from "../deno.json" with { type: "json" };

const needs = requires({ os: ["linux"], tools: ["ip"] });

const FFI = `--allow-ffi=${libcPath()}`;
const IP = "--allow-run=ip";
const SYS = "--allow-sys=networkInterfaces";
const READ = "--allow-read=/etc,/run/systemd/resolve";

/** What the code under test tells of itself. */
interface Told {
  readonly backend?: BackendName;
  readonly reader?: string;
  readonly passedOver?: readonly { backend: BackendName; reason: string; flags?: readonly string[] }[];
  readonly interfaces?: readonly string[];
  readonly online?: boolean;
  readonly dns?: unknown;
  readonly blind?: readonly string[];
  readonly error?: { name: string; message: string; code: string; hint: string; flags: readonly string[] };
}

/** Code that watches, and tells what it sees or what stood in the way. */
function watching(backend: BackendName | "auto"): string {
  return `
    import { watchNetwork } from "#/watch/mod.ts";
    try {
      await using watcher = await watchNetwork({ backend: "${backend}" });
      const { reader, passedOver } = watcher.report;
      const { interfaces, online, dns, blind } = watcher.state;
      const names = interfaces.map(({ name }) => name);
      console.log(JSON.stringify({
        backend: watcher.backend, reader, passedOver, interfaces: names, online, dns, blind,
      }));
    } catch (error) {
      const { name, message, code, hint, flags } = error;
      console.log(JSON.stringify({ error: { name, message, code, hint, flags } }));
    }`;
}

async function tell(backend: BackendName | "auto", flags: readonly string[]): Promise<Told> {
  const { code, stdout, stderr } = await runCode(watching(backend), { flags });
  assertEquals([code, stderr], [0, ""]);
  return JSON.parse(stdout) as Told;
}

/** Every grant stands twice: where the runtime may not ask, and where it could but nobody sits there. */
const MODES = [["--no-prompt"], []] as const;

/** The grants, what `auto` makes of them, and the flags that would have been needed for what is better. */
const RUNGS = [
  { backend: "netlink", reader: "netlink", flags: [FFI], better: [], blind: [] },
  {
    backend: "ip-monitor",
    reader: "ip",
    flags: [IP],
    better: [{ backend: "netlink", flags: [FFI] }],
    blind: ["dns"],
  },
  {
    backend: "ip-monitor",
    reader: "ip",
    flags: [IP, READ],
    better: [{ backend: "netlink", flags: [FFI] }],
    blind: [],
  },
  {
    backend: "poll",
    reader: "interfaces",
    flags: [SYS],
    better: [{ backend: "netlink", flags: [FFI] }, { backend: "ip-monitor", flags: [IP] }],
    blind: ["links", "routes", "dns"],
  },
  {
    backend: "poll",
    reader: "interfaces",
    flags: [SYS, READ],
    better: [{ backend: "netlink", flags: [FFI] }, { backend: "ip-monitor", flags: [IP] }],
    blind: ["links", "routes"],
  },
] as const;

for (const { backend, reader, flags, better, blind } of RUNGS) {
  for (const mode of MODES) {
    Deno.test({
      name: `auto is ${backend} with ${
        [...flags, ...mode].join(" ")
      } alone, and names what is missing for better`,
      ...needs,
      async fn() {
        const real = await snapshot({ backend: "netlink" });
        const told = await tell("auto", [...flags, ...mode]);
        assertEquals([told.backend, told.reader], [backend, reader]);
        assertEquals(told.passedOver?.map(({ backend, flags }) => ({ backend, flags })), [...better]);
        for (const { reason, flags = [] } of told.passedOver ?? []) {
          assertStringIncludes(reason, `permission missing, add ${flags.join(" ")}`);
        }
        // Only there where the machine has such files at all.
        assertEquals(
          told.blind,
          real.dns === null && !blind.some((b) => b === "dns") ? [...blind, "dns"] : [...blind],
        );
        assertEquals(told.dns, told.blind?.includes("dns") ? null : real.dns);
        if (reader === "interfaces") assert(told.interfaces?.includes("lo"));
        else {
          assertEquals([told.interfaces, told.online], [
            real.interfaces.map(({ name }) => name),
            real.online,
          ]);
        }
      },
    });
  }
}

for (const mode of MODES) {
  Deno.test({
    name: `without a grant ${mode.join()} the error names the flags, and with those it works`,
    ...needs,
    async fn() {
      const { error } = await tell("auto", mode);
      assertEquals(error?.name, "PermissionError");
      assertEquals(error?.code, "permission");
      assertEquals(error?.flags, [FFI]);
      assertEquals(error?.message, `Cannot watch the network: permission missing, add ${FFI}`);
      assertEquals(error?.hint, `Or, seeing less or later: ${IP} or ${SYS}`);
      assertEquals((await tell("auto", [...mode, ...error?.flags ?? []])).backend, "netlink");
    },
  });

  for (const [backend, flag] of [["netlink", FFI], ["ip-monitor", IP], ["poll", SYS]] as const) {
    Deno.test({
      name: `"${backend}" by name without its grant ${mode.join()} names ${flag}, and works with it`,
      ...needs,
      async fn() {
        const { error } = await tell(backend, mode);
        assertEquals([error?.name, error?.flags], ["PermissionError", [flag]]);
        assertStringIncludes(error?.message ?? "", flag);
        const told = await tell(backend, [...mode, ...error?.flags ?? []]);
        assertEquals([told.error, told.backend, told.passedOver], [undefined, backend, []]);
      },
    });
  }
}

Deno.test({
  name: "a permission denied by a flag is one that is missing: auto takes the next way",
  ...needs,
  async fn() {
    const told = await tell("auto", ["-A", "--deny-ffi"]);
    assertEquals([told.backend, told.passedOver?.map(({ backend, flags }) => [backend, flags])], [
      "ip-monitor",
      [["netlink", [FFI]]],
    ]);
    const last = await tell("auto", ["-A", "--deny-ffi", "--deny-run"]);
    assertEquals([last.backend, last.reader], ["poll", "interfaces"]);
  },
});

Deno.test({
  name: "the permission sets of deno.json give the backends that they are named after",
  ...needs,
  async fn() {
    for (
      const [set, backend] of [["watch", "netlink"], ["watch-ip-monitor", "ip-monitor"], [
        "watch-poll",
        "poll",
      ]]
    ) {
      assertEquals((await tell("auto", [`-P=${set}`])).backend, backend);
    }
  },
});

Deno.test({
  name: "snapshot() and probeBackends() live on the same grants",
  ...needs,
  async fn() {
    const code = `
      import { probeBackends, snapshot } from "#/watch/mod.ts";
      const { blind } = await snapshot();
      const usable = (await probeBackends()).filter(({ usable }) => usable).map(({ backend }) => backend);
      console.log(JSON.stringify({ blind, usable }));`;
    const results = await Promise.all(
      [[FFI], [IP, READ], [SYS, READ]].map((flags) => runCode(code, { flags })),
    );
    const hasDns = (await snapshot({ backend: "netlink" })).dns !== null;
    const dns = hasDns ? [] : ["dns"];
    assertEquals(results.map(({ stderr }) => stderr), ["", "", ""]);
    assertEquals(results.map(({ stdout }) => JSON.parse(stdout)), [
      // Polling reads with the best that is granted.
      { blind: dns, usable: ["netlink", "poll"] },
      { blind: dns, usable: ["ip-monitor", "poll"] },
      { blind: ["links", "routes", ...dns], usable: ["poll"] },
    ]);
  },
});

Deno.test({
  name: "the flags that the module's data documents are those that work",
  ...needs,
  fn() {
    const here = permissions.backends.filter(({ os }) => os.includes("linux"));
    const documented = here.map(({ backend, needs }) => [backend, needs]);
    assertEquals(documented, [
      ["netlink", [{ name: "ffi", path: libcCandidates()[0] ?? "" }]],
      ["ip-monitor", [{ name: "run", command: "ip" }]],
      ["poll", [{ name: "sys", kind: "networkInterfaces" }]],
    ]);
    assert(config.permissions.watch.ffi.includes(libcPath()));
  },
});

/** Runs code without any grant, and returns what it asked the runtime for. */
async function asked(code: string): Promise<readonly string[]> {
  const log = await Deno.makeTempFile({ prefix: "holdfast-audit-" });
  try {
    const { code: exit, stderr } = await runCode(code, {
      flags: ["--no-prompt"],
      env: { DENO_AUDIT_PERMISSIONS: log },
    });
    assertEquals([exit, stderr], [0, ""]);
    return (await Deno.readTextFile(log)).split("\n").filter((line) => line !== "");
  } finally {
    await Deno.remove(log);
  }
}

for (const [name, path] of Object.entries(config.exports)) {
  Deno.test(`importing "${name}" asks the runtime for nothing`, async () => {
    assertEquals(await asked(`import "#/${path.slice(2)}";`), []);
  });
}

Deno.test("what is asked of the runtime is seen by the test before this one", async () => {
  const lines = await asked(`try { Deno.networkInterfaces(); } catch { /* refused */ }`);
  assertStringIncludes(lines.join("\n"), "networkInterfaces");
});

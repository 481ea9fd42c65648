/** The command line as a process: permissions, signals, closed pipes, what it loads. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { commandTable } from "../cli/command_table.ts";
import { main } from "../cli/main.ts";
import { VERSION } from "../cli/version.ts";
import { denoArgs, runChild, runMain, TextSink } from "./_cli.ts";
import { requires } from "./_require.ts";

const ROOT = new URL("../", import.meta.url);

Deno.test("holdfast --version is the version of deno.json, and needs no permission", async () => {
  const { version } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  assertEquals(VERSION, version);
  assertEquals(await runChild(["--version"], { flags: [] }), { code: 0, stdout: `${version}\n`, stderr: "" });
});

Deno.test("help needs no permission and names every command", async () => {
  const { code, stdout, stderr } = await runChild(["help"], { flags: [] });
  assertEquals([code, stderr], [0, ""]);
  for (const name of ["watch", "status", "external", "wait", "doctor", "permissions", "completion"]) {
    assertStringIncludes(stdout, `\n  ${name} `);
  }
});

Deno.test("every command has its help, by all three ways", async () => {
  const { stdout } = await runMain(["help", "wait"]);
  assertStringIncludes(stdout, "holdfast wait [HOST:PORT] [OPTIONS]");
  for (const argv of [["wait", "--help"], ["wait", "-h"]]) {
    assertEquals(await runMain(argv), { code: 0, stdout, stderr: "" });
  }
});

Deno.test("colours are for a terminal, and only where they are wanted", async () => {
  const written = async (terminal: boolean, colors: boolean, ...args: string[]): Promise<string> => {
    const stdout = new TextSink(terminal);
    assertEquals(await main(args, { stdout, stderr: new TextSink(terminal), colors }), 0);
    return stdout.text;
  };
  assertStringIncludes(await written(true, true, "help"), "\x1b[1mUsage");
  for (const [terminal, colors] of [[true, false], [false, true]] as const) {
    assertEquals((await written(terminal, colors, "help")).includes("\x1b"), false);
  }
  assertEquals((await written(true, true, "permissions", "watch", "--json")).includes("\x1b"), false);
});

Deno.test("remarks are for a person at the terminal, and never in the way of what is pasted", async () => {
  for (const terminal of [true, false]) {
    const [stdout, stderr] = [new TextSink(), new TextSink(terminal)];
    assertEquals(
      await main(["permissions", "watch", "--backend", "poll"], { stdout, stderr, colors: false }),
      0,
    );
    assertEquals(stdout.text, "--allow-sys=networkInterfaces\n");
    assertEquals(stderr.text.startsWith("watch: backend poll, "), terminal);
  }
});

Deno.test("no line of the help is too long for a terminal of 80 columns", async () => {
  for (const argv of [["help"], ...commandTable.map(({ name }) => ["help", name])]) {
    const { stdout } = await runMain(argv);
    const long = stdout.split("\n").filter((line) => line.length > 80 && !line.startsWith("  holdfast"));
    assertEquals(long, []);
  }
});

interface ModuleInfo {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly code?: { readonly specifier: string };
    readonly isDynamic?: boolean;
  }[];
}

Deno.test("the entry loads no command and no module before one is asked for", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-lock", new URL("cli/main.ts", ROOT).pathname],
    cwd: ROOT,
  }).output();
  const { modules }: { modules: ModuleInfo[] } = JSON.parse(new TextDecoder().decode(stdout));
  const byName = new Map(modules.map((module) => [module.specifier, module]));
  const loaded = new Set<string>();
  const visit = (specifier: string): void => {
    if (loaded.has(specifier)) return;
    loaded.add(specifier);
    for (const { code, isDynamic } of byName.get(specifier)?.dependencies ?? []) {
      if (code && isDynamic !== true) visit(code.specifier);
    }
  };
  visit(new URL("cli/main.ts", ROOT).href);
  assert(loaded.has(new URL("cli/parse.ts", ROOT).href));
  assertEquals([...loaded].filter((name) => /\/(watch|commands|ffi)\//.test(name)), []);
});

Deno.test({
  name: "the flags that holdfast permissions prints are enough for each backend of this system",
  ...requires({ os: ["linux"], tools: ["ip"] }),
  async fn() {
    for (const backend of ["netlink", "ip-monitor", "poll"]) {
      const { stdout } = await runMain(["permissions", "watch", "--backend", backend]);
      const result = await runChild(["status", "--backend", backend], { flags: stdout.trim().split(" ") });
      assertEquals([result.code, result.stderr], [0, ""], backend);
      assertStringIncludes(result.stdout, `backend  ${backend}`);
    }
  },
});

Deno.test({
  name: "the permission set that holdfast permissions prints is one that deno run -P takes",
  ...requires({ os: ["linux"] }),
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const { stdout } = await runMain(["permissions", "watch", "--format", "deno.json", "--full"]);
      const { ffi: [libc] } = JSON.parse(stdout).permissions.default;
      await Deno.writeTextFile(`${folder}/deno.json`, stdout);
      const ask = `console.log(Deno.permissions.querySync({ name: "ffi", path: "${libc}" }).state)`;
      await Deno.writeTextFile(`${folder}/ask.ts`, ask);
      const run = async (...flags: string[]): Promise<string> => {
        const args = ["run", "--quiet", "--no-prompt", ...flags, "ask.ts"];
        const output = await new Deno.Command(Deno.execPath(), { args, cwd: folder }).output();
        return new TextDecoder().decode(output.stdout).trim();
      };
      assertEquals([await run("-P"), await run()], ["granted", "prompt"]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "doctor names the flag to add for every backend, and fails, where nothing is allowed",
  ...requires({ os: ["linux"] }),
  async fn() {
    const { code, stdout, stderr } = await runChild(["doctor", "--json"], { flags: [] });
    assertEquals([code, stderr], [1, ""]);
    const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line)).filter(({ type }) =>
      type === "doctor"
    );
    const watch = lines.filter(({ module }) => module === "watch");
    assertEquals(watch.map(({ backend }) => backend), ["netlink", "ip-monitor", "poll"]);
    for (const { usable, flags, needs } of lines) assertEquals([usable, flags], [needs.length === 0, needs]);
  },
});

Deno.test({
  name: "in a terminal without any permission nobody is asked for one, and the flag is named",
  ...requires({ os: ["linux"], tools: ["script"] }),
  async fn() {
    for (const command of ["status", "watch", "doctor", "permissions watch"]) {
      const argv = denoArgs(command.split(" "), []).filter((arg) => arg !== "--no-prompt");
      const { code, stdout } = await new Deno.Command("script", {
        args: ["-qec", [Deno.execPath(), ...argv].join(" "), "/dev/null"],
        env: { NO_COLOR: "1" },
        stdin: "null",
      }).output();
      const text = new TextDecoder().decode(stdout);
      assertEquals(text.includes("Deno requests"), false, text);
      assertStringIncludes(text, "--allow-ffi=");
      assertEquals(code, { "doctor": 1, "permissions watch": 0 }[command] ?? 3, text);
    }
  },
});

Deno.test("when nobody reads its output any more the program ends quietly and well", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: denoArgs(["status"], ["--allow-all"]),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  // Long before the program has started and writes.
  await child.stdout.cancel();
  const [{ code }, stderr] = await Promise.all([child.status, new Response(child.stderr).text()]);
  assertEquals([code, stderr], [0, ""]);
});

Deno.test("an output that is closed ends a command that runs on, and all it has opened", async () => {
  const stdout = {
    isTerminal: () => false,
    write: () => Promise.reject(new Deno.errors.BrokenPipe("closed")),
  };
  const stderr = new TextSink();
  assertEquals([await main(["watch", "--json"], { stdout, stderr }), stderr.text], [0, ""]);
});

Deno.test("an aborted signal ends a command that runs on, and all it has opened", async () => {
  const stdout = new TextSink();
  const stop = new AbortController();
  const running = main(["watch", "--json"], { stdout, stderr: new TextSink(), signal: stop.signal });
  await stdout.has('{"type":"state"');
  stop.abort();
  assertEquals(await running, 130);
});

Deno.test("an aborted signal ends waiting, for the network and for a target", async () => {
  for (const target of [[], ["127.0.0.1:1"]]) {
    const stop = new AbortController();
    const [stdout, stderr] = [new TextSink(), new TextSink()];
    // Otherwise it would wait for an hour where there is no IPv6, and where nobody listens.
    const args = ["wait", ...target, "--timeout", "1h", ...(target.length === 0 ? ["--family", "6"] : [])];
    const running = main(args, { stdout, stderr, signal: stop.signal });
    stop.abort();
    assertEquals([await running, stdout.text, stderr.text], [130, "", ""]);
  }
});

Deno.test({
  name: "a permission that holdfast watch lacks for what it does in the background is named, and it goes on",
  ...requires({ os: ["linux"] }),
  async fn() {
    const child = new Deno.Command(Deno.execPath(), {
      args: denoArgs(["watch", "--external", "127.0.0.1:9"], ["--allow-ffi"]),
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const stderr = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
    assertStringIncludes(
      (await stderr.read()).value ?? "",
      "permission missing, add --allow-net=0.0.0.0:0,127.0.0.1:9",
    );
    child.kill("SIGINT");
    assertEquals([(await child.status).code, (await stderr.read()).done], [130, true]);
  },
});

for (const [signal, expected] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test({
    name: `${signal} ends holdfast watch with exit code ${expected} and not a word`,
    ...requires({ os: ["linux", "darwin"] }),
    async fn() {
      const child = new Deno.Command(Deno.execPath(), {
        args: denoArgs(["watch", "--json"], ["--allow-all"]),
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const stdout = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      let text = (await stdout.read()).value ?? "";
      child.kill(signal);
      for (let part = await stdout.read(); !part.done; part = await stdout.read()) text += part.value;
      const [{ code }, stderr] = await Promise.all([child.status, new Response(child.stderr).text()]);
      assertEquals([code, stderr], [expected, ""]);
      for (const line of text.trimEnd().split("\n")) JSON.parse(line);
    },
  });
}

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { fileSystemPath, kindOf, ROOT, systemOf } from "../dev/_files.ts";
import { parseJunit, summary } from "../dev/_junit.ts";
import { run } from "../dev/_process.ts";
import { layeredFiles, npmPackages, runtimeEdges, violations } from "../dev/layers.ts";
import plugin from "../dev/lint_plugin.ts";
import { apply } from "../dev/sabotage.ts";
import { SABOTAGES } from "../dev/sabotages.ts";
import { requires, scale } from "./_require.ts";

function messages(file: string, source: string): readonly string[] {
  return Deno.lint.runPlugin(plugin, file, source).map((found) => found.message);
}

Deno.test("the lint plugin keeps Deno.Command behind internal/exec.ts, however it is reached", () => {
  for (
    const source of [
      `new Deno.Command("ip");`,
      `new Deno["Command"]("ip");`,
      "new Deno[`Command`]('ip');",
      `new globalThis.Deno.Command("ip");`,
      `const { Command } = Deno;`,
      `const { Command: C, build } = Deno;`,
    ]
  ) {
    assertEquals(messages("watch/_source.ts", source), ["Deno.Command belongs in internal/exec.ts"], source);
    assertEquals(messages("internal/exec.ts", source), [], source);
    for (const free of ["watch/watch_test.ts", "tests/_help.ts", "dev/test.ts", "bench/watch.ts"]) {
      assertEquals(messages(free, source), [], free);
    }
  }
});

Deno.test("the lint plugin keeps Deno.dlopen behind internal/ffi/", () => {
  const source = `Deno.dlopen("libc.so.6", {});`;
  assertEquals(messages("internal/exec.ts", source), ["Deno.dlopen belongs in internal/ffi/"]);
  assertEquals(messages("watch/_source_linux.ts", source), ["Deno.dlopen belongs in internal/ffi/"]);
  assertEquals(messages("internal/ffi/libc.ts", source), []);
});

Deno.test("the lint plugin lets other members of Deno, and other objects, alone", () => {
  const source =
    `Deno.build.os; Deno.toString(); shell.Command; const { build } = Deno; let type: Deno.Command;`;
  assertEquals(messages("watch/watch.ts", source), []);
});

Deno.test(`the lint plugin wants error messages that begin with "Cannot"`, () => {
  const bad = [
    `throw new Error("no such interface");`,
    "throw new RangeError(`port ${port}`);",
    `throw new HoldfastError("Could not", {});`,
  ];
  for (const source of bad) assertEquals(messages("watch/watch.ts", source).length, 1, source);
  const good = [
    `throw new Error("Cannot read: gone");`,
    "throw new TypeError(`Cannot use ${name}: not a name`);",
    "throw new Error(`${prefix} ...`);",
    `throw new Error(message);`,
    `new DOMException("Aborted");`,
  ];
  for (const source of good) assertEquals(messages("watch/watch.ts", source), [], source);
});

Deno.test("the layer check catches each kind of forbidden import", () => {
  const bad = [
    ["internal/events.ts", "watch/state.ts"],
    ["watch/watch.ts", "recover/retry.ts"],
    ["recover/dial.ts", "pipes/tcp.ts"],
    ["pipes/tcp.ts", "signal/peer.ts"],
    ["watch/mod.ts", "mod.ts"],
    ["pipes/pipe.ts", "peer/punch.ts"],
    ["mod.ts", "cli/main.ts"],
    ["testing/mod.ts", "cli/main.ts"],
    ["watch/watch.ts", "testing/mod.ts"],
    ["watch/watch.ts", "dev/test.ts"],
    ["internal/log.ts", "tests/_require.ts"],
  ] as const;
  for (const [from, to] of bad) assertEquals(violations([{ from, to }]).length, 1, `${from} -> ${to}`);
  const good = [
    ["internal/events.ts", "internal/clock.ts"],
    ["watch/watch.ts", "internal/events.ts"],
    ["pipes/tcp.ts", "recover/retry.ts"],
    ["signal/peer.ts", "recover/retry.ts"],
    ["peer/mod.ts", "pipes/mod.ts"],
    ["mod.ts", "watch/mod.ts"],
    ["cli/main.ts", "mod.ts"],
    ["testing/mod.ts", "watch/watch.ts"],
    ["cli/main.ts", "testing/mod.ts"],
  ] as const;
  for (const [from, to] of good) assertEquals(violations([{ from, to }]), [], `${from} -> ${to}`);
});

Deno.test("the layer check sees imports that are there at run time, and passes over those of types", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const root = new URL(`file://${folder.replaceAll("\\", "/")}/`);
    await Deno.mkdir(`${folder}/watch`);
    await Deno.mkdir(`${folder}/recover`);
    await Deno.writeTextFile(`${folder}/deno.json`, "{}");
    await Deno.writeTextFile(`${folder}/recover/a.ts`, "export const a = 1; export type A = number;");
    await Deno.writeTextFile(`${folder}/recover/b.ts`, "export const b = 1;");
    await Deno.writeTextFile(
      `${folder}/watch/types.ts`,
      `import type { A } from "../recover/a.ts"; export type B = A;`,
    );
    await Deno.writeTextFile(`${folder}/watch/value.ts`, `export { a } from "../recover/a.ts";`);
    await Deno.writeTextFile(`${folder}/watch/lazy.ts`, `export const b = () => import("../recover/b.ts");`);
    assertEquals(violations(await runtimeEdges(root, await layeredFiles(root))), [
      "watch/lazy.ts imports recover/b.ts: watch must not use recover",
      "watch/value.ts imports recover/a.ts: watch must not use recover",
    ]);
    await Deno.writeTextFile(`${folder}/mod.ts`, `export * from "npm:fast-check@^4.10.2";`);
    assertEquals(
      (await npmPackages(root, "mod.ts")).some((name) => name.startsWith("npm:/fast-check@")),
      true,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the repository keeps the dependency rule, and mod.ts reaches no npm package", async () => {
  const files = await layeredFiles(ROOT);
  assert(files.includes("mod.ts") && files.includes("internal/events.ts"), "the layers were not found");
  const edges = await runtimeEdges(ROOT, files);
  assert(edges.length > files.length / 2, `only ${edges.length} imports were found in ${files.length} files`);
  assertEquals(violations(edges), []);
  assertEquals(await npmPackages(ROOT, "mod.ts"), []);
});

Deno.test("the test runner tells kinds of files, and for which system they are", () => {
  assertEquals(kindOf("internal/events_test.ts"), "unit");
  assertEquals(kindOf("tests/gate_test.ts"), "integration");
  assertEquals(kindOf("tests/netns/watch_test.ts"), "netns");
  assertEquals(kindOf("README.md"), "doc");
  assertEquals(kindOf("watch/watch.ts"), "doc");
  assertEquals(systemOf("tests/native_windows_test.ts"), "windows");
  assertEquals(systemOf("tests/native_test.ts"), undefined);
});

Deno.test("the test runner counts passed, failed and skipped tests and steps in a report", () => {
  const tally = parseJunit(`<testsuites><testsuite name="a">
    <testcase name="passes" classname="a" time="0">
    </testcase>
    <testcase name="fails &lt;loudly&gt; &amp; &quot;long&quot;" time="0">
      <failure message="x">Error: &lt;skipped/&gt;</failure>
    </testcase>
    <testcase name="waits" time="0"><skipped/></testcase>
    <testcase name="steps &gt; one" time="0"></testcase>
  </testsuite></testsuites>`);
  assertEquals(tally, { passed: 2, failed: [`fails <loudly> & "long"`], skipped: ["waits"] });
  assertEquals(summary(tally), "2 passed, 1 failed, 1 skipped");
  assertEquals(summary({ passed: 3, failed: [], skipped: [] }), "3 passed, 0 failed");
});

Deno.test({
  name: "the test runner ends a program that hangs, with all that it started",
  ...requires({ os: ["linux", "darwin"] }),
  async fn() {
    const result = await run("sh", { args: ["-c", "echo $$; sleep 1000 & echo $!; wait"], bound: 500 });
    assertEquals({ ok: result.ok, hung: result.hung }, { ok: false, hung: true });
    const pids = result.stdout.trim().split("\n").map(Number);
    assertEquals(pids.length, 2);
    for (const pid of pids) {
      // Signal 0 of kill(1) only asks whether the process is there; a zombie has ended too.
      const { stdout } = await run("ps", { args: ["-o", "stat=", "-p", `${pid}`] });
      assert(
        stdout.trim() === "" || stdout.trim().startsWith("Z"),
        `process ${pid} is still there: ${stdout}`,
      );
    }
  },
});

async function runnerOn(tests: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}) {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/dev`);
    await Deno.mkdir(`${folder}/tests`);
    for (const file of ["test.ts", "_files.ts", "_junit.ts", "_namespace.ts", "_process.ts"]) {
      await Deno.copyFile(`${fileSystemPath(ROOT)}/dev/${file}`, `${folder}/dev/${file}`);
    }
    await Deno.copyFile(`${fileSystemPath(ROOT)}/tests/_require.ts`, `${folder}/tests/_require.ts`);
    await Deno.writeTextFile(`${folder}/deno.json`, "{}");
    for (const [name, source] of Object.entries(tests)) {
      await Deno.writeTextFile(`${folder}/tests/${name}`, source);
    }
    const files = Object.keys(tests).map((name) => `tests/${name}`);
    const args = ["run", "-A", "--no-lock", "dev/test.ts", ...files];
    const { code, stdout } = await run(Deno.execPath(), {
      args,
      cwd: folder,
      env: { HOLDFAST_REQUIRE: "", ...env },
    });
    return { code, stdout, last: stdout.trimEnd().split("\n").at(-1) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the test runner ends with exit code 0 and the count when all pass", async () => {
  const { code, last } = await runnerOn({
    "a_test.ts": `Deno.test("one", () => {}); Deno.test("two", () => {});`,
    "b_test.ts": `Deno.test("three", () => {});`,
  });
  assertEquals({ code, last }, { code: 0, last: "3 passed, 0 failed" });
});

Deno.test("the test runner fails on a failing test, on a file that breaks, on wrong types, and names each", async () => {
  const { code, last, stdout } = await runnerOn({
    "a_test.ts":
      `Deno.test("one", () => {}); Deno.test("two", () => { throw new Error("this went wrong"); });`,
    "b_test.ts": `throw new Error("broken file");`,
    "c_test.ts": `const wrong: string = 1; Deno.test("three", () => { wrong; });`,
    "d_test.ts": `export {};`,
  });
  assertEquals({ code, last }, { code: 1, last: "2 passed, 4 failed" });
  for (
    const text of [
      "tests/a_test.ts: two",
      "this went wrong",
      "broken file",
      "types and downloads",
      "holds no tests",
    ]
  ) {
    assertStringIncludes(stdout, text);
  }
});

Deno.test("the test runner names what was skipped and why, and fails on it with HOLDFAST_REQUIRE=all", async () => {
  const source = `import { requires } from "./_require.ts";
    Deno.test("one", () => {});
    Deno.test({ name: "two", ...requires({ tools: ["no-such-tool"] }), fn() {} });`;
  const relaxed = await runnerOn({ "a_test.ts": source });
  assertEquals({ code: relaxed.code, last: relaxed.last }, {
    code: 0,
    last: "1 passed, 0 failed, 1 skipped",
  });
  assertStringIncludes(
    relaxed.stdout,
    `Skipped, in tests/a_test.ts: needs "no-such-tool" (Debian package no-such-tool)\n  two`,
  );
  const strict = await runnerOn({ "a_test.ts": source }, { HOLDFAST_REQUIRE: "all" });
  assertEquals(strict.code, 1);
  assertStringIncludes(strict.stdout, `needs "no-such-tool"`);
  const silent = `Deno.test("one", () => {}); Deno.test.ignore("two", () => {});`;
  const plain = await runnerOn({ "a_test.ts": silent }, { HOLDFAST_REQUIRE: "all" });
  assertEquals({ code: plain.code, last: plain.last }, { code: 1, last: "1 passed, 1 failed" });
});

Deno.test("the test runner names what belongs to another system, and counts it as nothing", async () => {
  const other = Deno.build.os === "windows" ? "darwin" : "windows";
  const { code, stdout, last } = await runnerOn({
    "a_test.ts": `import { requires } from "./_require.ts";
      Deno.test("one", () => {});
      Deno.test({ name: "two", ...requires({ os: ["${other}"] }), fn() {} });`,
    [`b_${other}_test.ts`]: `Deno.test("three", () => {});`,
  }, { HOLDFAST_REQUIRE: "all" });
  assertEquals({ code, last }, { code: 0, last: "1 passed, 0 failed" });
  assertStringIncludes(stdout, `Not for this system, in tests/a_test.ts: for ${other} only\n  two`);
  assertStringIncludes(stdout, `Not for this system, in tests/b_${other}_test.ts: for ${other} only`);
});

Deno.test("the test runner fails when nothing ran", async () => {
  const { code, stdout } = await runnerOn({ "a_test.ts": `Deno.test.ignore("one", () => {});` });
  assertEquals(code, 1);
  assertStringIncludes(stdout, "Nothing ran.");
});

Deno.test("every sabotage still finds its line, exactly once, and the tests that must notice it", async () => {
  assertEquals(new Set(SABOTAGES.map(({ name }) => name)).size, SABOTAGES.length);
  for (const sabotage of SABOTAGES) {
    const text = await Deno.readTextFile(new URL(sabotage.file, ROOT));
    assert(apply(sabotage, text) !== text, sabotage.name);
    for (const test of sabotage.test) assert((await Deno.stat(new URL(test, ROOT))).isFile, test);
  }
});

Deno.test("a sabotage whose line is gone, or is there twice, is an error", () => {
  const sabotage = { name: "a", file: "a.ts", find: "b", replace: "c", test: [] };
  assertEquals(apply(sabotage, "abc"), "acc");
  assertThrows(() => apply(sabotage, "ac"), Error, "0 times");
  assertThrows(() => apply(sabotage, "abcb"), Error, "2 times");
});

Deno.test("scale() gives the count at 1, the full number at 10, and never less than one", () => {
  const before = Deno.env.get("HOLDFAST_SCALE");
  try {
    for (const [factor, expected] of [["1", 10], ["10", 200], ["0.5", 5], ["0.001", 1], ["4", 73]] as const) {
      Deno.env.set("HOLDFAST_SCALE", factor);
      assertEquals(scale(10, 200), expected, `scale ${factor}`);
    }
  } finally {
    if (before === undefined) Deno.env.delete("HOLDFAST_SCALE");
    else Deno.env.set("HOLDFAST_SCALE", before);
  }
});

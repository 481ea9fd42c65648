import { assert, assertEquals, assertRejects, assertStrictEquals, assertStringIncludes } from "@std/assert";
import { deadline } from "@std/async";
import { FakeTime } from "@std/testing/time";
import { runCode } from "../tests/_code.ts";
import { requires } from "../tests/_require.ts";
import { holdProcess } from "./clock.ts";
import { HoldfastError, PermissionError, ToolMissingError } from "./errors.ts";
import { exec, execLines, type ExecOptions } from "./exec.ts";

const unix = requires({ os: ["linux", "darwin"] });
const fifos = requires({ os: ["linux", "darwin"], tools: ["mkfifo"] });

type Words = Pick<ExecOptions, "operation" | "hint">;
const words: Words = { operation: "test programs", hint: "Install it" };

/** Runs a script of the shell: the shell is the program here, not the way to start one. */
function sh(script: string, options: Partial<ExecOptions> = {}): ReturnType<typeof exec> {
  return exec("sh", { ...words, ...options, args: ["-c", script] });
}

/** A named pipe by which a program tells something while it runs. Reading it waits for the program. */
async function fifo(): Promise<{ readonly path: string; read(): Promise<string> } & AsyncDisposable> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/pipe`;
  await new Deno.Command("mkfifo", { args: [path] }).output();
  return {
    path,
    read: () => Deno.readTextFile(path),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

function isGone(pid: number): boolean {
  try {
    Deno.kill(pid, "SIGCONT");
    return false;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
}

function gate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

Deno.test({
  name: "exec() gives the exit code and both outputs, in the language of machines",
  ...unix,
  async fn() {
    const result = await sh('echo "$LC_ALL"; echo wrong >&2; exit 3');
    assertEquals(result, { code: 3, stdout: "C\n", stderr: "wrong\n" });
  },
});

Deno.test({
  name: "exec() passes arguments as they are: there is no shell",
  ...unix,
  async fn() {
    const odd = ["a b", "$HOME", "`id`", "*", "", "; exit 1", "-n", "ä\n"];
    const { stdout } = await exec("printf", { ...words, args: ["<%s>", ...odd] });
    assertEquals(stdout, odd.map((text) => `<${text}>`).join(""));
  },
});

Deno.test({
  name: "exec() feeds standard input, and closes it when there is nothing to feed",
  ...unix,
  async fn() {
    const text = "ä".repeat(1_000_000);
    assertEquals((await exec("cat", { ...words, args: [], stdin: text })).stdout, text);
    assertEquals((await exec("cat", { ...words, args: [] })).stdout, "");
    assertEquals((await exec("cat", { ...words, args: [], stdin: "" })).stdout, "");
  },
});

Deno.test({
  name: "exec() does not mind a program that ends without having read its input",
  ...unix,
  async fn() {
    const { code } = await sh("exec 0<&-; exit 7", { stdin: "x".repeat(4_000_000) });
    assertEquals(code, 7);
  },
});

Deno.test({
  name: "exec() takes bytes that are not UTF-8 as U+FFFD",
  ...unix,
  async fn() {
    const { stdout } = await exec("printf", { ...words, args: ["a\\377b\\303\\244"] });
    assertEquals(stdout, "a\uFFFDbä");
  },
});

Deno.test("exec() starts nothing when the signal is aborted already", async () => {
  const reason = new RangeError("enough");
  const call = (): Promise<unknown> =>
    exec("no-such-program", { ...words, args: [], signal: AbortSignal.abort(reason) });
  assertStrictEquals(await assertRejects(call), reason);
});

Deno.test({
  name: "exec() kills a program that ignores SIGTERM when the signal is aborted, and rejects with its reason",
  ...fifos,
  async fn() {
    await using pipe = await fifo();
    const controller = new AbortController();
    const reason = new RangeError("enough");
    const call = sh(`trap "" TERM INT HUP; echo $$ > ${pipe.path}; while :; do sleep 1; done`, {
      signal: controller.signal,
    });
    const pid = Number(await pipe.read());
    controller.abort(reason);
    assertStrictEquals(await assertRejects(() => call), reason);
    assert(isGone(pid));
  },
});

Deno.test({
  name: "exec() does not mind a signal that is aborted after the end",
  ...unix,
  async fn() {
    const controller = new AbortController();
    const result = await sh("echo done", { signal: controller.signal });
    controller.abort();
    assertEquals(result.stdout, "done\n");
  },
});

Deno.test({
  name: "exec() ends a program when its time is up, and never when there is no limit",
  ...fifos,
  async fn() {
    await using pipe = await fifo();
    using time = new FakeTime();
    const call = sh(`echo $$ > ${pipe.path}; exec sleep 1000`, { timeout: 5_000 });
    const unlimited = sh(`read -r line; echo "$line"`, { timeout: Infinity, stdin: "still here\n" });
    const pid = Number(await pipe.read());
    time.tick(4_999);
    assert(!isGone(pid));
    time.tick(1);
    const error = await assertRejects(() => call, HoldfastError, '"sh" did not end within 5000 ms');
    assertEquals([error.code, error.operation], ["timeout", "test programs"]);
    assert(isGone(pid));
    time.tick(1e10);
    assertEquals((await unlimited).stdout, "still here\n");
  },
});

Deno.test({
  name: "exec() returns when its time is up even if a child of the program holds its outputs open",
  ...fifos,
  async fn() {
    await using pipe = await fifo();
    using time = new FakeTime();
    const call = sh(`sleep 1000 & echo $! > ${pipe.path}`, { timeout: 5_000 });
    const grandchild = Number(await pipe.read());
    time.tick(5_000);
    await assertRejects(() => call, HoldfastError, "did not end within 5000 ms");
    Deno.kill(grandchild, "SIGKILL");
  },
});

Deno.test({
  name:
    "exec() takes as much output as allowed, and ends a program that writes more on either of its outputs",
  ...unix,
  async fn() {
    const maxOutput = 100_000;
    const { stdout } = await sh("head -c 100000 /dev/zero", { maxOutput });
    assertEquals(stdout.length, maxOutput);
    for (const script of ["head -c 100001 /dev/zero", "yes", "yes >&2"]) {
      const error = await assertRejects(
        () => sh(script, { maxOutput }),
        HoldfastError,
        "wrote more than 100000 bytes",
      );
      assertEquals(error.code, "output-limit");
    }
  },
});

Deno.test("exec() says which program is missing and where to get it", async () => {
  const error = await assertRejects(
    () => exec("no-such-program", { args: [], operation: "test programs", hint: "Install the package x" }),
    ToolMissingError,
    'Cannot test programs: the program "no-such-program" was not found',
  );
  assertEquals([error.code, error.tool, error.hint], [
    "tool-missing",
    "no-such-program",
    "Install the package x",
  ]);
  assert(error.cause instanceof Deno.errors.NotFound);
});

Deno.test({
  name: "exec() tells a program that cannot be started from one that is missing",
  ...unix,
  async fn() {
    const file = await Deno.makeTempFile();
    try {
      const error = await assertRejects(() => exec(file, { ...words, args: [] }), HoldfastError);
      assertEquals([error.code, error.cause instanceof Deno.errors.PermissionDenied], ["start", true]);
    } finally {
      await Deno.remove(file);
    }
  },
});

/** Code that runs a program and prints its output, or what became of it. */
function report(tool: string, args: readonly string[]): string {
  return `
    import { exec } from "#/internal/exec.ts";
    const [tool, args] = ${JSON.stringify([tool, args])};
    try {
      console.log((await exec(tool, { args, operation: "test programs", hint: "Install it" })).stdout.trim());
    } catch (error) {
      console.log(error.name, error.flags?.join(" ") ?? error.hint);
    }
  `;
}

Deno.test({
  name: "exec() needs --allow-run of that one program and nothing else, and names that flag",
  ...unix,
  async fn() {
    const code = report("echo", ["hello"]);
    assertEquals((await runCode(code, { flags: ["--allow-run=echo"] })).stdout, "hello\n");
    assertEquals(
      (await runCode(code, { flags: ["--allow-run=cat"] })).stdout,
      `${PermissionError.name} --allow-run=echo\n`,
    );
    assertEquals((await runCode(code, { flags: [] })).stdout, `${PermissionError.name} --allow-run=echo\n`);
  },
});

Deno.test({
  name: "exec() runs programs under a scoped --allow-run though variables of the dynamic linker are set",
  ...unix,
  async fn() {
    const code = report("sh", ["-c", 'echo "<$LD_LIBRARY_PATH$LD_DEBUG_OUTPUT>"']);
    const env = { LD_LIBRARY_PATH: "/nowhere", LD_DEBUG_OUTPUT: "/dev/null" };
    assertEquals((await runCode(code, { flags: ["--allow-run=sh"], env })).stdout, "<>\n");
    assertEquals((await runCode(code, { flags: ["--allow-run"], env })).stdout, "</nowhere/dev/null>\n");
    assertEquals(
      (await runCode(code, { flags: ["--allow-run=cat"], env })).stdout,
      `${PermissionError.name} --allow-run=sh\n`,
    );
  },
});

Deno.test({
  name:
    "exec() finds a program in /usr/sbin that PATH does not name, if it may, and says what to do if it may not",
  ...requires({ os: ["linux"], tools: ["ldconfig"] }),
  async fn() {
    const code = report("ldconfig", ["--version"]);
    const env = { PATH: "/nowhere" };
    for (const flags of [["--allow-run=/usr/sbin/ldconfig"], ["--allow-run"]]) {
      assertStringIncludes((await runCode(code, { flags, env })).stdout, "ldconfig (");
    }
    for (const flags of [["--allow-run=ldconfig"], []]) {
      assertEquals(
        (await runCode(code, { flags, env })).stdout,
        `${ToolMissingError.name} Install it. ` +
          "If it is in /usr/sbin, have that in PATH or add --allow-run=/usr/sbin/ldconfig\n",
      );
    }
  },
});

Deno.test({
  name: "execLines() tells each line and the stream it came from, and then the exit code",
  ...unix,
  async fn() {
    using _hold = holdProcess();
    const lines: string[] = [];
    const script = "printf 'one\\r\\n\\ntwo\\n'; printf 'wrong\\n' >&2; exit 5";
    await using program = execLines("sh", { ...words, args: ["-c", script] }, (line, stream) => {
      lines.push(`${stream} ${line}`);
    });
    assertEquals(await program.ended, 5);
    assertEquals(lines.sort(), ["stderr wrong", "stdout ", "stdout one", "stdout two"]);
  },
});

Deno.test({
  name: "execLines() tells a last line without end, and bytes that are not UTF-8 as U+FFFD",
  ...unix,
  async fn() {
    using _hold = holdProcess();
    const lines: string[] = [];
    await using program = execLines(
      "printf",
      { ...words, args: ["a\\377\\nlast\\303"] },
      (line) => lines.push(line),
    );
    await program.ended;
    assertEquals(lines, ["a\uFFFD", "last\uFFFD"]);
  },
});

Deno.test({
  name: "execLines() puts together what arrives in pieces, also within a character",
  ...fifos,
  async fn() {
    using _hold = holdProcess();
    await using pipe = await fifo();
    const lines: string[] = [];
    const first = gate();
    const script = `printf 'begun\\nh\\303'; read -r _ < ${pipe.path}; printf '\\244lf'; printf '\\n'`;
    await using program = execLines("sh", { ...words, args: ["-c", script] }, (line) => {
      lines.push(line);
      first.open();
    });
    await first.opened;
    await Deno.writeTextFile(pipe.path, "go on\n");
    await program.ended;
    assertEquals(lines, ["begun", "hälf"]);
  },
});

Deno.test({
  name: "execLines() cuts a line that has no end, and goes on after it",
  ...unix,
  async fn() {
    using _hold = holdProcess();
    const lengths: number[] = [];
    const script = "head -c 33000000 /dev/zero; echo; echo after; head -c 70000 /dev/zero; echo; echo end";
    await using program = execLines(
      "sh",
      { ...words, args: ["-c", script] },
      (line) => lengths.push(line.length),
    );
    await program.ended;
    assertEquals(lengths, [64 * 1024, 5, 64 * 1024, 3]);
  },
});

Deno.test({
  name: "disposing a program of execLines() ends it though it ignores SIGTERM, and nothing is told any more",
  ...unix,
  async fn() {
    using _hold = holdProcess();
    const lines: string[] = [];
    const first = gate();
    const script = 'trap "" TERM INT HUP; echo $$; printf unfinished; while :; do sleep 1; done';
    const program = execLines("sh", { ...words, args: ["-c", script] }, (line) => {
      lines.push(line);
      first.open();
    });
    await first.opened;
    await Promise.all([program[Symbol.asyncDispose](), program[Symbol.asyncDispose]()]);
    assertEquals(await program.ended, 137);
    assertEquals(lines.length, 1);
    assert(isGone(Number(lines[0])));
    await program[Symbol.asyncDispose]();
  },
});

Deno.test({
  name: "disposing a program of execLines() is done at once even if a child of it holds its outputs open",
  ...unix,
  async fn() {
    using _hold = holdProcess();
    const { promise: grandchild, resolve } = Promise.withResolvers<number>();
    const program = execLines(
      "sh",
      { ...words, args: ["-c", "sleep 1000 & echo $!"] },
      (line) => resolve(Number(line)),
    );
    const pid = await grandchild;
    await program[Symbol.asyncDispose]();
    await program.ended;
    assert(!isGone(pid));
    Deno.kill(pid, "SIGKILL");
  },
});

Deno.test({
  name: "an error of the callback of execLines() ends the program and comes out of `ended`",
  ...unix,
  async fn() {
    using _hold = holdProcess();
    const program = execLines("yes", { ...words, args: [] }, () => {
      throw new RangeError("as planned");
    });
    await assertRejects(() => program.ended, RangeError, "as planned");
    await program[Symbol.asyncDispose]();
  },
});

Deno.test("execLines() says which program is missing", async () => {
  await assertRejects(
    // deno-lint-ignore require-await
    async () => execLines("no-such-program", { ...words, args: [] }, () => {}),
    ToolMissingError,
    '"no-such-program" was not found',
  );
});

Deno.test({
  name: "execLines() does not keep the process alive, and the program does not outlive it",
  ...fifos,
  async fn() {
    const code = (path: string, end: string): string => `
      import { execLines } from "#/internal/exec.ts";
      const script = 'trap "" TERM HUP; exec 3> ${path}; echo ready; exec sleep 1000';
      const { promise, resolve } = Promise.withResolvers();
      const program = execLines("sh", { args: ["-c", script], operation: "test", hint: "" }, resolve);
      // Something has to keep the process alive until the line is there.
      const timer = setTimeout(() => {}, 30_000);
      console.log(await promise);
      clearTimeout(timer);
      ${end}
    `;
    const ends = [
      ["", 0],
      ["Deno.exit(3);", 3],
      // Waiting for the disposal does keep it alive.
      ["await program[Symbol.asyncDispose](); Deno.exitCode = 4;", 4],
    ] as const;
    for (const [end, expected] of ends) {
      await using pipe = await fifo();
      // The pipe ends when nobody holds it open any more.
      const programEnded = pipe.read();
      const result = await runCode(code(pipe.path, end), { flags: ["--allow-run=sh"] });
      assertEquals(result, { code: expected, stdout: "ready\n", stderr: "" });
      assertEquals(await deadline(programEnded, 10_000), "");
    }
  },
});

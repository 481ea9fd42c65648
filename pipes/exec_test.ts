import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { holdProcess } from "../internal/clock.ts";
import { execBytes } from "../internal/exec_bytes.ts";
import { silentLogger } from "../internal/log.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { descriptorsOf, eventually, isAlive, statOf } from "../tests/_child.ts";
import { runCode, startCode } from "../tests/_code.ts";
import { requires } from "../tests/_require.ts";
import { connect, type ConnectOptions } from "./connect.ts";
import { execLink } from "./_exec_link.ts";
import { lines } from "./framing.ts";
import type { Link } from "./_link.ts";
import { PipeError } from "./pipe_error.ts";
import { PermissionError } from "../internal/errors.ts";

const unix = requires({ os: ["linux", "darwin"] });
const linux = requires({ os: ["linux"] });
const python = requires({ os: ["linux", "darwin"], tools: ["python3"] });

const text = (data: Uint8Array | null): string | null => data && new TextDecoder().decode(data);
const bytes = (data: string): Uint8Array => new TextEncoder().encode(data);

/** A link over a script of the shell, and the number of its process. */
function sh(script: string, clock?: FakeClock): { readonly link: Link; readonly pid: number } {
  const process = execBytes("sh", { args: ["-c", script], operation: "test commands", hint: "" });
  return { link: execLink(process, { command: "sh", ...(clock ? { clock } : {}) }), pid: process.pid };
}

async function isCollected(pid: number): Promise<void> {
  await eventually("the process to be collected", () => statOf(pid) === null);
}

Deno.test({
  name: "a link over cat gives back what it gets, and closing its input is the end of its output",
  ...unix,
  async fn() {
    await using pipe = await connect("exec:", { exec: ["cat"] });
    assertEquals([pipe.transport, pipe.remoteAddress.command, pipe.localAddress.command], [
      "exec",
      "cat",
      "",
    ]);
    const sent = crypto.getRandomValues(new Uint8Array(65_536));
    const count = 32;
    const sending = (async () => {
      for (let n = 0; n < count; n++) await pipe.send(sent);
      await pipe.closeWrite();
    })();
    let got = 0;
    for await (const part of pipe.messages) {
      for (const [n, byte] of part.entries()) {
        if (byte !== sent[(got + n) % sent.length]) throw new Error("another");
      }
      got += part.length;
    }
    await sending;
    assertEquals(got, count * sent.length);
    await pipe.closed;
  },
});

Deno.test({
  name: "a program in another language answers line by line",
  ...python,
  async fn() {
    const code = 'import sys\nfor line in sys.stdin:\n  print(line.strip().upper() + "!", flush=True)';
    const options = { exec: ["python3", "-c", code], framing: lines() };
    await using pipe = await connect("exec:", options);
    for (const word of ["one", "two"]) {
      await pipe.send(word);
      assertEquals(text(await pipe.recv()), `${word.toUpperCase()}!`);
    }
    await pipe.closeWrite();
    assertEquals(await pipe.recv(), null);
  },
});

Deno.test({
  name: "arguments arrive as they are: there is no shell",
  ...unix,
  async fn() {
    const odd = ["a b", "$HOME", "`id`", "*", "", "; exit 1", "ä\n"];
    await using pipe = await connect("exec:", { exec: ["printf", "<%s>", ...odd] });
    let all = "";
    for await (const part of pipe.messages) all += text(part);
    assertEquals(all, odd.map((one) => `<${one}>`).join(""));
  },
});

Deno.test({
  name: "a command has the environment of this process as it is, its language as well",
  ...unix,
  async fn() {
    const { stdout } = await runCode(
      `import { connect } from "#/pipes/connect.ts";
       await using pipe = await connect("exec:", { exec: ["sh", "-c", 'echo "$LC_ALL $OTHER"'] });
       console.log(new TextDecoder().decode(await pipe.recv()));`,
      { env: { LC_ALL: "C.UTF-8", OTHER: "x" } },
    );
    assertEquals(stdout, "C.UTF-8 x\n\n");
  },
});

Deno.test("a command that is missing is told at once, and never tried again", async () => {
  const error = await assertRejects(
    () => connect("exec:", { exec: ["no-such-program", "secret"] }),
    PipeError,
  );
  assertEquals([error.code, error.failure?.retry], ["connect", "never"]);
  assertEquals(
    error.message,
    'Cannot connect to exec:no-such-program: Cannot start the command: the program "no-such-program" was not found',
  );
});

Deno.test("a command that makes no sense is refused before anything is started", async () => {
  const wrong: readonly [unknown, string][] = [
    [undefined, "exec: needs the option exec"],
    ["cat", "a list of texts"],
    [[], "must begin with a program"],
    [["", "x"], "must begin with a program"],
    [["cat", 1], "a list of texts"],
    [["cat", "a\0b"], "item 1 of the option exec has a NUL"],
  ];
  for (const [exec, message] of wrong) {
    const error = await assertRejects(() => connect("exec:", { exec } as ConnectOptions), TypeError);
    assertStringIncludes(error.message, message);
  }
  await assertRejects(() => connect("exec:cat", { exec: ["cat"] }), TypeError, "goes into the option exec");
});

Deno.test({
  name: "a command that ends with code 3 after its last bytes is a loss that tells why, and what it said",
  ...unix,
  async fn() {
    const said: string[] = [];
    const logger = { ...silentLogger, info: (...all: unknown[]) => void said.push(all.join(": ")) };
    const script = "printf last; echo 'no such \x07 user' >&2; exit 3";
    await using pipe = await connect("exec:", { exec: ["sh", "-c", script], logger });
    assertEquals(text(await pipe.recv()), "last");
    const error = await assertRejects(() => pipe.recv(), PipeError);
    assertEquals([error.code, error.failure?.kind, error.failure?.where], ["lost", "reset", "remote"]);
    assertStringIncludes(error.message, "it ended with code 3, and said: no such ? user");
    assertEquals(said, ["sh says: no such ? user"]);
  },
});

Deno.test({
  name: "of what a command says on its standard error the message keeps the end only",
  ...unix,
  async fn() {
    const { link } = sh("yes babble | head -n 600000 >&2; echo 'and then' >&2; exit 1");
    const error = await assertRejects(() => link.read(new Uint8Array(1)), Error);
    assertMatch(error.message, /said: .*babble and then$/);
    assert(error.message.length < 1200, error.message);
    await link.close();
  },
});

Deno.test({
  name: "a command that ends by a signal is a loss, and one that ends with code 0 an end",
  ...unix,
  async fn() {
    const killed = sh("kill -9 $$");
    await assertRejects(() => killed.link.read(new Uint8Array(1)), Error, "it was ended by SIGKILL");
    await killed.link.close();
    const ended = sh("exit 0");
    assertEquals(await ended.link.read(new Uint8Array(1)), null);
    await assertRejects(async () => {
      // Until the system knows that nobody reads it.
      while (true) await ended.link.write(new Uint8Array(65_536));
    }, Deno.errors.BrokenPipe);
    await ended.link.close();
  },
});

Deno.test({
  name: "a command that ignores SIGTERM is killed by abort() and collected, and whoever waited is told",
  ...linux,
  async fn() {
    const { link, pid } = sh('trap "" TERM; echo ready; while :; do read -r line || :; done');
    assertEquals(text(await link.read(new Uint8Array(16))), "ready\n");
    const reading = assertRejects(() => link.read(new Uint8Array(16)), Deno.errors.Interrupted);
    link.abort();
    await reading;
    await isCollected(pid);
    await assertRejects(() => link.write(bytes("x")), Deno.errors.Interrupted);
    await assertRejects(() => link.read(new Uint8Array(1)), Deno.errors.Interrupted);
    await link.close();
  },
});

Deno.test({
  name: "closing asks a command by the end of its input, then by SIGTERM, and then kills it",
  ...linux,
  async fn() {
    using _hold = holdProcess();
    const clock = new FakeClock();
    const ready = async (script: string): Promise<ReturnType<typeof sh>> => {
      const started = sh(script, clock);
      assertEquals(text(await started.link.read(new Uint8Array(16))), "ready\n");
      return started;
    };
    const obedient = await ready("echo ready; cat > /dev/null");
    await obedient.link.close();
    await isCollected(obedient.pid);
    assertEquals(clock.monotonic(), 0);

    const told = await ready('trap "exit 0" TERM; echo ready; while :; do sleep 0.05; done');
    const closing = told.link.close();
    clock.tick(1999);
    assert(isAlive(told.pid));
    clock.tick(1);
    await closing;
    await isCollected(told.pid);

    const deaf = await ready('trap "" TERM; echo ready; while :; do sleep 0.05; done');
    const both = [deaf.link.close(), deaf.link.close()];
    await clock.tickAsync(2000);
    await clock.tickAsync(1999);
    assert(isAlive(deaf.pid));
    await clock.tickAsync(1);
    await Promise.all(both);
    await isCollected(deaf.pid);
  },
});

Deno.test({
  name: "closing drops what the command still says, so that it comes to its end",
  ...linux,
  async fn() {
    const folder = await Deno.makeTempDir();
    const { link, pid } = sh(`cat > /dev/null; head -c 1000000 /dev/zero && touch ${folder}/done`);
    await link.close();
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["done"]);
    await isCollected(pid);
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name: "a write that the command does not take is settled by abort()",
  ...linux,
  async fn() {
    const { link, pid } = sh("exec sleep 1000");
    const writing = assertRejects(() => link.write(new Uint8Array(1_000_000)), Deno.errors.Interrupted);
    link.abort();
    await writing;
    await isCollected(pid);
  },
});

Deno.test({
  name: "a command that closes its output and lives on has ended its direction only",
  ...linux,
  async fn() {
    const folder = await Deno.makeTempDir();
    const { link } = sh(`exec >&-; read -r line; printf %s "$line" > ${folder}/got`);
    assertEquals(await link.read(new Uint8Array(1)), null);
    await link.write(bytes("still heard\n"));
    await link.close();
    assertEquals(await Deno.readTextFile(`${folder}/got`), "still heard");
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name: "a command whose signal is aborted already is not started",
  ...unix,
  async fn() {
    const signal = AbortSignal.abort(new RangeError("enough"));
    await assertRejects(() => connect("exec:", { exec: ["cat"], signal }), RangeError, "enough");
  },
});

Deno.test({
  name: "a lost command is started again where the pipe reconnects",
  ...unix,
  async fn() {
    const exec = ["sh", "-c", "echo $$; read -r line; exit 7"];
    await using pipe = await connect("exec:", { exec, framing: lines(), reconnect: {} } as ConnectOptions);
    const first = text(await pipe.recv());
    await pipe.send("end");
    const second = text(await pipe.recv());
    assert(first !== second, `both are ${first}`);
    assertEquals(pipe.stats.reconnects, 1);
  },
});

Deno.test({
  name: "nothing of many commands is left: no descriptor, no process",
  ...linux,
  async fn() {
    await sh("exit").link.close();
    const before = descriptorsOf().length;
    const pids: number[] = [];
    for (let n = 0; n < 20; n++) {
      const { link, pid } = sh(n % 2 === 0 ? "cat" : "echo x; sleep 1000");
      pids.push(pid);
      if (n % 4 === 1) await link.read(new Uint8Array(16));
      if (n % 2 === 0) await link.close();
      else link.abort();
    }
    for (const pid of pids) await isCollected(pid);
    await eventually("all descriptors to be closed", () => descriptorsOf().length <= before);
  },
});

Deno.test({
  name:
    "a command keeps the process alive while it is read from, and not otherwise; it does not outlive the process",
  ...linux,
  async fn() {
    const code = (rest: string): string => `
      import { execBytes } from "#/internal/exec_bytes.ts";
      const script = "sleep 0.3; echo late; exec sleep 1000";
      const child = execBytes("sh", { args: ["-c", script], operation: "test", hint: "" });
      console.log("pid " + child.pid);
      ${rest}`;
    const reading = startCode(code("console.log(new TextDecoder().decode(await child.read()));"));
    const idle = startCode(code("globalThis.idle = child;"));
    for (const [running, said] of [[reading, true], [idle, false]] as const) {
      await using _running = running;
      const { code, stdout, stderr } = await running.result;
      assertEquals([code, stderr, stdout.includes("late")], [0, "", said]);
      await isCollected(Number(/pid (\d+)/.exec(stdout)?.[1]));
    }
  },
});

Deno.test({
  name: "without the permission the flag is named, and no argument is",
  ...unix,
  async fn() {
    await using running = startCode(
      `import { connect } from "#/pipes/connect.ts";
       await connect("exec:", { exec: ["cat", "secret"] }).catch((error) => console.log(error.name, error.flags, String(error)));`,
      { flags: ["--no-prompt", "--allow-import"] },
    );
    const { stdout } = await running.result;
    assertStringIncludes(stdout, PermissionError.name);
    assertStringIncludes(stdout, "--allow-run=cat");
    assert(!stdout.includes("secret"), stdout);
  },
});

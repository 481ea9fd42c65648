import { assert, assertEquals, assertRejects } from "@std/assert";
import { closeSync, openSync, readFileSync } from "node:fs";
import { requires } from "../tests/_require.ts";
import { HoldfastError, ToolMissingError } from "./errors.ts";
import { execWithDescriptors } from "./exec_descriptors.ts";

const SHELL = { operation: "run a shell", hint: "Install a shell", env: { GREETING: "hello" } } as const;
const UNIX = requires({ os: ["linux", "darwin"] });

/** A file as a descriptor, and what is in it afterwards. */
function target(): Disposable & { readonly fd: number; readonly text: () => string } {
  const path = Deno.makeTempFileSync();
  const fd = openSync(path, "w");
  return {
    fd,
    text: () => readFileSync(path, "utf8"),
    [Symbol.dispose]() {
      closeSync(fd);
      Deno.removeSync(path);
    },
  };
}

Deno.test({
  name: "a program gets its descriptors in their order, its environment, and nothing else of either",
  ...UNIX,
  async fn() {
    using one = target();
    using two = target();
    const before = Deno.env.toObject();
    const args = ["-c", 'echo "$GREETING $HOME" >&3; echo "$1" >&4; exit 7', "sh", "$(date) 'as it is'"];
    const passed: boolean[] = [];
    const program = await execWithDescriptors("/bin/sh", {
      ...SHELL,
      args,
      descriptors: [one.fd, two.fd],
      onPassed: (started) => passed.push(started),
    });
    assertEquals(await program.ended, { code: 7, signal: null });
    assertEquals([one.text(), two.text(), passed], ["hello \n", "$(date) 'as it is'\n", [true]]);
    assertEquals(Deno.env.toObject(), before);
  },
});

Deno.test({
  name: "standard streams are nothing, this process's own, or a descriptor",
  ...UNIX,
  async fn() {
    using out = target();
    const args = ["-c", "cat; echo out; echo error >&2"];
    const program = await execWithDescriptors("/bin/sh", {
      ...SHELL,
      args,
      descriptors: [],
      stdio: ["null", out.fd, "null"],
    });
    assertEquals(await program.ended, { code: 0, signal: null });
    assertEquals(out.text(), "out\n");
  },
});

Deno.test({
  name: "disposing ends the program, and signals reach it",
  ...UNIX,
  async fn() {
    const start = () =>
      execWithDescriptors("sleep", { ...SHELL, args: ["60"], env: Deno.env.toObject(), descriptors: [] });
    let ended;
    {
      await using program = await start();
      ended = program.ended;
      assert(program.pid > 0);
    }
    assertEquals(await ended, { code: null, signal: "SIGTERM" });
    const other = await start();
    other.kill("SIGHUP");
    assertEquals(await other.ended, { code: null, signal: "SIGHUP" });
    await other[Symbol.asyncDispose]();
  },
});

Deno.test({
  name: "a program that is missing or cannot be run is an error with a name",
  ...UNIX,
  async fn() {
    using file = target();
    const passed: boolean[] = [];
    const onPassed = (started: boolean): number => passed.push(started);
    const options = { ...SHELL, args: [], descriptors: [file.fd], onPassed };
    const missing = await assertRejects(
      () => execWithDescriptors("/nowhere/holdfast", options),
      ToolMissingError,
    );
    assertEquals(missing.hint, "Install a shell");
    const denied = await assertRejects(() => execWithDescriptors("/dev/null", options), HoldfastError);
    assertEquals([denied.code, passed], ["start", [false, false]]);
  },
});

Deno.test("descriptors that would overwrite each other are refused", async () => {
  for (const descriptors of [[20, 20], [20, 3], [-1], [1.5]]) {
    await assertRejects(
      () => execWithDescriptors("/bin/sh", { ...SHELL, args: [], descriptors }),
      RangeError,
      "Cannot pass descriptors",
    );
  }
});

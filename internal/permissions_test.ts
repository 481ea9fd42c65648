import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { runCode } from "../tests/_code.ts";
import { requires } from "../tests/_require.ts";
import { PermissionError } from "./errors.ts";
import { flagsOf, type Need, permissionState, withPermission, wouldPrompt } from "./permissions.ts";

Deno.test("flagsOf() gives one flag per kind, in the order of the needs, each value once", () => {
  const needs: Need[] = [
    { name: "run", command: "ip" },
    { name: "sys", kind: "networkInterfaces" },
    { name: "run", command: "nft" },
    { name: "run", command: "ip" },
    { name: "ffi", path: "/lib/libc.so.6" },
    { name: "read", path: "/etc/resolv.conf" },
    { name: "env", variable: "HOME" },
    { name: "net", host: "[::1]:53" },
  ];
  assertEquals(flagsOf(needs), [
    "--allow-run=ip,nft",
    "--allow-sys=networkInterfaces",
    "--allow-ffi=/lib/libc.so.6",
    "--allow-read=/etc/resolv.conf",
    "--allow-env=HOME",
    "--allow-net=[::1]:53",
  ]);
  assertEquals(flagsOf([]), []);
});

Deno.test("flagsOf() gives the whole kind when one need of it has no value, wherever that one stands", () => {
  const some: Need = { name: "net", host: "stun.example:3478" };
  const any: Need = { name: "net" };
  assertEquals(flagsOf([some, any]), ["--allow-net"]);
  assertEquals(flagsOf([any, some]), ["--allow-net"]);
});

Deno.test("withPermission() gives back what the action returns or throws, promised or not", async () => {
  assertEquals(withPermission("test", [], () => 1), 1);
  assertEquals(await withPermission("test", [], () => Promise.resolve(2)), 2);
  const error = new RangeError("as planned");
  const fail = (): never => {
    throw error;
  };
  assertStrictEquals(assertThrows(() => withPermission("test", [], fail)), error);
  assertStrictEquals(
    await assertRejects(() => withPermission("test", [], () => Promise.reject(error))),
    error,
  );
});

Deno.test("withPermission() names all needs when the runtime does not tell which is missing", () => {
  const needs: Need[] = [{ name: "run", command: "ip" }, { name: "env", variable: "HOME" }];
  const cause = new Deno.errors.NotCapable("as planned");
  const refuse = (): never => {
    throw cause;
  };
  const error = assertThrows(
    () => withPermission("read routes", needs, refuse),
    PermissionError,
    "Cannot read routes: permission missing, add --allow-run=ip --allow-env=HOME",
  );
  assertEquals(error.flags, ["--allow-run=ip", "--allow-env=HOME"]);
  assertStrictEquals(error.cause, cause);
});

/** For each kind of need: an action that takes it, and the need. */
const actions: Readonly<Record<string, readonly [action: string, need: Need]>> = {
  "sys, networkInterfaces": ["Deno.networkInterfaces()", { name: "sys", kind: "networkInterfaces" }],
  "sys, osRelease": ["Deno.osRelease()", { name: "sys", kind: "osRelease" }],
  "sys, hostname": ["Deno.hostname()", { name: "sys", kind: "hostname" }],
  "read": ['Deno.statSync("/tmp")', { name: "read", path: "/tmp" }],
  "read, promised": ['Deno.stat("/tmp")', { name: "read", path: "/tmp" }],
  "net": ['Deno.listen({ hostname: "127.0.0.1", port: 0 })', { name: "net", host: "127.0.0.1:0" }],
  "net, promised": ['Deno.connect({ hostname: "127.0.0.1", port: 1 })', { name: "net", host: "127.0.0.1:1" }],
  "env": ['Deno.env.get("HOME")', { name: "env", variable: "HOME" }],
  "run": ['new Deno.Command("true").outputSync()', { name: "run", command: "true" }],
  "run, promised": ['new Deno.Command("true").output()', { name: "run", command: "true" }],
  // There is no such library: it is about the permission to look for it.
  "ffi": ['Deno.dlopen("/nowhere/lib.so", {})', { name: "ffi", path: "/nowhere/lib.so" }],
};

for (const [kind, [action, need]] of Object.entries(actions)) {
  Deno.test({
    name: `the flag named for a need of ${kind} is the one that grants it`,
    ...requires({ os: ["linux", "darwin"] }),
    async fn() {
      const code = `
        import { withPermission, permissionState } from "#/internal/permissions.ts";
        const need = ${JSON.stringify(need)};
        const other = { name: "read", path: "/granted" };
        const before = permissionState(need);
        try {
          await withPermission("test", [other, need], () => ${action});
          console.log(before, "allowed");
        } catch (error) {
          console.log(before, error.name === "PermissionError" ? error.flags.join(" ") : "allowed");
        }
        Deno.exit();
      `;
      const [flag = ""] = flagsOf([need]);
      const read = flagsOf([{ name: "read", path: "/granted" }]);
      const both = flagsOf([{ name: "read", path: "/granted" }, need]);
      const [without, granted] = await Promise.all([
        runCode(code, { flags: read }),
        runCode(code, { flags: both }),
      ]);
      assertEquals([without.stdout, granted.stdout], [`prompt ${flag}\n`, "granted allowed\n"]);
    },
  });
}

Deno.test("wouldPrompt() is false where nobody can be asked", async () => {
  const { stdout } = await runCode(
    `
    import { permissionState, wouldPrompt } from "#/internal/permissions.ts";
    const need = { name: "run", command: "ip" };
    console.log(permissionState(need), wouldPrompt([need]));
    `,
    { flags: [] },
  );
  assertEquals(stdout, "prompt false\n");
});

Deno.test({
  name: "wouldPrompt() is true on a terminal for what is not granted, and asking it prompts nobody",
  ...requires({ os: ["linux"], tools: ["script"] }),
  async fn() {
    const code = `
      import { wouldPrompt } from "${new URL("./permissions.ts", import.meta.url)}";
      const ip = { name: "run", command: "ip" };
      const home = { name: "env", variable: "HOME" };
      console.log([[ip], [home], [home, ip], []].map(wouldPrompt).join());
    `;
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    try {
      await Deno.writeTextFile(file, code);
      const command = `${Deno.execPath()} run --quiet --no-lock --no-config --allow-env=HOME ${file}`;
      const { stdout } = await new Deno.Command("script", {
        args: ["--quiet", "--return", "--command", command, "/dev/null"],
        stdin: "null",
      }).output();
      assertEquals(new TextDecoder().decode(stdout), "true,false,true,false\r\n");
    } finally {
      await Deno.remove(file);
    }
  },
});

Deno.test("permissionState() answers for every kind of need", () => {
  for (const [, need] of Object.values(actions)) assertEquals(permissionState(need), "granted");
  assertEquals(wouldPrompt(Object.values(actions).map(([, need]) => need)), false);
});

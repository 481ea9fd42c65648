import { assert, assertStringIncludes } from "@std/assert";
import { libcNeed } from "../../internal/ffi/libc.ts";
import { flagsOf } from "../../internal/permissions.ts";
import { startCode } from "../_code.ts";
import { requires } from "../_require.ts";

const README = await Deno.readTextFile(new URL("../../README.md", import.meta.url));

async function ip(line: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("ip", { args: line.split(" ") }).output();
  assert(success, `ip ${line}: ${new TextDecoder().decode(stderr)}`);
}

Deno.test({
  name: "the README's watch example tells what happens, under the flags that the README names",
  ...requires({ netns: true, tools: ["ip"] }),
  async fn() {
    const code = /```ts ignore\n([\s\S]*?)```/.exec(README)?.[1] ?? "";
    assert(code.includes("watchNetwork("), "the example was not found");
    const [, flag = "", path = ""] = /^deno run (--allow-ffi=(\S+)) app\.ts$/m.exec(README) ?? [];
    assertStringIncludes(path, "libc.so.6");
    // The README shows the path of Debian on x86-64; elsewhere the library lies elsewhere.
    const flags = await isThere(path) ? [flag] : flagsOf([libcNeed()]);

    await using example = startCode(code, { flags: ["--no-prompt", ...flags] });
    await example.said("online: false, told by netlink");
    await ip("link add lan0 type veth peer name far0");
    await ip("address add 10.9.0.2/24 dev lan0");
    await ip("link set far0 up");
    await ip("link set lan0 up");
    await ip("route add default via 10.9.0.1");
    await example.said("gateway: none -> 10.9.0.1");
    await example.said("none []");
    await ip("address delete 10.9.0.2/24 dev lan0");
    await example.said("gateway: 10.9.0.1 -> none");
    await example.said(`required [ "source address 10.9.0.2 is gone from lan0" ]`);
  },
});

async function isThere(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Pushed sockets under exactly the permissions that they document, and what is said where one is missing. */

import { assertEquals } from "@std/assert";
import { permissions } from "../pipes/push/permissions.ts";
import { pushTo } from "../pipes/push/push.ts";
import { receive } from "../pipes/push/receive.ts";
import { libcPath } from "./_child.ts";
import { runCode, startCode } from "./_code.ts";
import { requires } from "./_require.ts";

const needs = requires({ os: ["linux"] });
const FFI = `--allow-ffi=${libcPath()}`;

/** Takes one connection, says something on it, and pushes it on; or tells what stood in the way. */
const relay = (from: string, to: string): string => `
  import { pushTo } from "#/pipes/push/push.ts";
  import { receive } from "#/pipes/push/receive.ts";
  try {
    await using receiver = await receive(${JSON.stringify(from)});
    await using channel = await pushTo(${JSON.stringify(to)});
    console.log("ready");
    for await (const received of receiver) {
      await received.pipe.send("by way of a third process; ");
      const { path } = await channel.push(received.pipe, { metadata: received.metadata });
      console.log("to " + path.split("/").at(-1));
      break;
    }
  } catch ({ name, message, code, flags }) {
    console.log(JSON.stringify({ name, message, code, flags }));
  }`;

const NET = ["--allow-net=127.0.0.1"];

for (const mode of [["--no-prompt"], []]) {
  for (const more of [[], NET]) {
    Deno.test({
      name: `sockets are received and pushed with the C library alone ${[...mode, ...more].join(" ")}`,
      ...needs,
    }, async () => {
      assertEquals(permissions.backends[0]?.needs, [{ name: "ffi", path: libcPath() }]);
      const directory = await Deno.makeTempDir({ prefix: "holdfast-push-" });
      try {
        await using end = await receive(`${directory}/end`);
        await using channel = await pushTo(`${directory}/relay`);
        const code = relay(`${directory}/relay`, end.path);
        await using child = startCode(code, { flags: [...mode, ...more, FFI] });
        await child.said("ready");
        using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
        const client = await Deno.connect({ port: listener.addr.port });
        await channel.push(await listener.accept(), { metadata: "a word" });
        for await (const received of end) {
          assertEquals(received.metadata, "a word");
          assertEquals(received.peer.pid, child.pid);
          if (received.kind !== "stream") continue;
          await received.pipe.send("the end");
          await received.pipe.close();
          break;
        }
        assertEquals(await new Response(client.readable).text(), "by way of a third process; the end");
        const { stdout, stderr } = await child.result;
        assertEquals([stdout, stderr], ["ready\nto end\n", ""]);
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    });
  }

  Deno.test({
    name: `without the C library the flag is named that is missing ${mode.join()}`,
    ...needs,
  }, async () => {
    for (const flags of [[], NET, ["--allow-read", "--allow-write", "--allow-net"]]) {
      const { stdout } = await runCode(relay("/tmp/never-made", "/tmp/never-made"), {
        flags: [...mode, ...flags],
      });
      assertEquals(JSON.parse(stdout), {
        name: "PermissionError",
        message: `Cannot open the C library: permission missing, add ${FFI}`,
        code: "permission",
        flags: [FFI],
      });
    }
  });
}

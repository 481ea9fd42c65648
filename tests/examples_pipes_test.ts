/** The example of a pipe, run as a reader would run it. */

import { assertEquals } from "@std/assert";
import { startExample } from "./_example.ts";
import { runMain, TextSource } from "./_cli.ts";
import { requires } from "./_require.ts";

const FLAGS = ["--allow-net", "--allow-ffi"];

Deno.test({
  name: "the chat passes on what is said, to the command as well, and ends as it was told",
  ...requires({ os: ["linux"] }),
  async fn() {
    await using example = startExample(FLAGS, "pipe.ts", "3");
    const [, url = ""] = await example.said(/The server is (tcp:\S+)\n/);
    await example.said("Bob reads: Hello number 1");
    const args = ["pipe", url, "--framing", "lines", "--linger", "100ms"];
    const { code, stderr } = await runMain(args, undefined, new TextSource("hello from a terminal\n"));
    assertEquals([code, stderr], [0, ""]);
    await example.said("Alice reads: hello from a terminal");
    await example.said(/Done: Bob was sent \d+ messages/);
    assertEquals(await example.ended, 0);
  },
});

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test({
    name: `the chat ends with code ${code} on ${signal}`,
    ...requires({ os: ["linux"] }),
    async fn() {
      await using example = startExample(FLAGS, "pipe.ts", "60");
      await example.said("Bob reads: Hello number 1");
      example.kill(signal);
      assertEquals(await example.ended, code);
    },
  });
}

/** `examples/watch.ts` on a network that changes. */

import { assertEquals } from "@std/assert";
import { type RunningExample, startExample } from "../_example.ts";
import { requires } from "../_require.ts";
import { ip } from "./_network.ts";

const start = (...args: readonly string[]): RunningExample =>
  startExample(["--allow-ffi"], "watch.ts", ...args);

Deno.test({
  name: "the example follows the network, and ends after as many changes as it was told",
  ...requires({ netns: true, tools: ["ip"] }),
  async fn() {
    // One message of the kernel, so that it is one change, however slow the machine is.
    await ip("address add 10.0.0.2/32 dev lo");
    await using example = start("60", "1");
    await example.said("lo is running: 10.0.0.2 127.0.0.1");
    await ip("route add default dev lo");
    await example.said("IPv4 is there");
    await example.said("Changed: gatewaychange, defaultinterfacechange, online");
    await ip("route delete default dev lo", "address delete 10.0.0.2/32 dev lo");
    await example.said("Done");
    assertEquals(await example.ended, 0);
  },
});

Deno.test({
  name: "the example ends after as many seconds as it was told",
  ...requires({ netns: true, tools: ["ip"] }),
  async fn() {
    await using example = start("0.1");
    await example.said("Done");
    assertEquals(await example.ended, 0);
  },
});

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test({
    name: `the example ends with code ${code} on ${signal}`,
    ...requires({ netns: true, tools: ["ip"] }),
    async fn() {
      await using example = start();
      await example.said("lo is running");
      example.kill(signal);
      assertEquals(await example.ended, code);
    },
  });
}

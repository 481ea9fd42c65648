/** The examples of `recover`, on a network that goes away and comes back. */

import { assertEquals } from "@std/assert";
import { startExample } from "../_example.ts";
import { requires } from "../_require.ts";
import { ADDRESS, TwoHosts } from "./_two_hosts.ts";

const needs = requires({ root: true, netns: true, tools: ["ip", "nft", "sysctl"] });
const FLAGS = ["--allow-net", "--allow-ffi"];

/** The client loses its way, and gets it back. */
const offline = (lab: TwoHosts): Promise<void> =>
  lab.ip(
    "client",
    `route delete default via ${ADDRESS.near.v4}`,
    `route delete default via ${ADDRESS.near.v6}`,
  );

Deno.test({
  name: "the example that fetches waits through a flight mode, and goes on when the network is back",
  ...needs,
  async fn() {
    await using lab = await TwoHosts.make();
    const { port } = await lab.serve({ fault: { fault: { type: "http", body: "hello" } } });
    await using example = startExample(FLAGS, "fetch.ts", "60", `http://${ADDRESS.server.v4}:${port}/`);
    await example.said(/Page 1: 5 characters/);
    await offline(lab);
    await example.said("No network; waiting for it");
    await lab.routes();
    await example.said("The network is back");
    await example.said(/The network is back\nPage \d+: 5 characters/);
    example.kill("SIGTERM");
    assertEquals(await example.ended, 143);
  },
});

Deno.test({
  name: "the example with a WebSocket notices a silence that no error tells, and talks again afterwards",
  ...needs,
  async fn() {
    await using lab = await TwoHosts.make();
    const { port } = await lab.serve({ fault: { fault: { type: "websocket" } } });
    await using example = startExample(FLAGS, "websocket.ts", "60", `ws://${ADDRESS.server.v4}:${port}/`);
    await example.said(/Alive, [\d.]+ ms away/);
    const silence = await lab.silence();
    await example.said("No answer; asking once more");
    await example.said("Lost: ");
    await silence.heal();
    await example.said(/Lost: [^]*Alive, [\d.]+ ms away/);
    example.kill("SIGINT");
    assertEquals(await example.ended, 130);
  },
});

Deno.test({
  name: "the example of a job runs when the network is there, and not before",
  ...needs,
  async fn() {
    await using lab = await TwoHosts.make();
    const { port } = await lab.serve({ fault: { fault: { type: "echo" } } });
    await offline(lab);
    await using example = startExample(FLAGS, "job.ts", "1", "1", `${ADDRESS.server.v4}:${port}`);
    await lab.routes();
    await example.said(/target: ok, .*\nRun 1: connected in/);
    assertEquals(await example.ended, 0);
  },
});

import { assert, assertEquals, assertRejects } from "@std/assert";
import { requires } from "../_require.ts";
import { ADDRESS, TwoHosts } from "./_two_hosts.ts";

const needs = requires({ root: true, netns: true, tools: ["ip", "nft", "sysctl", "ping"] });

Deno.test({
  name:
    "the laboratory: the client reaches the server through the router by both families, and silence is silent",
  ...needs,
  async fn() {
    await using lab = await TwoHosts.make();
    for (const address of [ADDRESS.server.v4, ADDRESS.server.v6]) {
      assert((await lab.run("client", "ping", "-c1", "-W5", address)).includes("1 received"));
    }
    const silence = await lab.silence();
    await assertRejects(() => lab.run("client", "ping", "-c1", "-W1", ADDRESS.server.v4), Error, "ping");
    await silence.heal();
    assert((await lab.run("client", "ping", "-c1", "-W5", ADDRESS.server.v4)).includes("1 received"));
    assertEquals((await lab.run("server", "sysctl", "-n", "net.ipv4.ip_forward")).trim(), "0");
  },
});

Deno.test({
  name: "the laboratory: servers beyond the router answer, fail and heal as they are told, by name",
  ...needs,
  async fn() {
    await using lab = await TwoHosts.make();
    const far = await lab.serve({
      fault: { fault: { type: "http", body: "here" } },
      dns: { records: { "far.test": { A: [ADDRESS.server.v4] } } },
    });
    const ask = async (): Promise<string> => await (await fetch(`http://far.test:${far.port}/`)).text();
    assertEquals(await ask(), "here");
    await far.tell({ do: "fault", fault: { type: "reset", after: 1 } });
    await assertRejects(ask);
    const { connections, questions } = await far.tell({
      do: "fault",
      fault: { type: "http", body: "again" },
    });
    assert(connections >= 2);
    assert(questions.some(({ name, type }) => name === "far.test" && type === "A"));
    assertEquals(await ask(), "again");
    await far.kill();
    await assertRejects(ask);
  },
});

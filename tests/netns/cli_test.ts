/** The commands on a network that really changes. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { main } from "../../cli/main.ts";
import { startStunServer } from "../../testing/stun_server.ts";
import { eventually } from "../_child.ts";
import { TextSink } from "../_cli.ts";
import { checkLines, type JsonLine, readSchemas } from "../_json_lines.ts";
import { requires } from "../_require.ts";
import { ipRows } from "./_network.ts";

const here = requires({ netns: true, tools: ["ip"] });

async function ip(line: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("ip", { args: line.split(" ") }).output();
  assert(success, `ip ${line}: ${new TextDecoder().decode(stderr)}`);
}

/** A pair of interfaces with carrier, which is gone again afterwards. */
async function lan(): Promise<AsyncDisposable> {
  await ip("link add lan0 type veth peer name far0");
  await ip("address add 10.9.0.2/24 dev lan0");
  await ip("link set far0 up");
  await ip("link set lan0 up");
  // The kernel looks at carriers at its own pace.
  await eventually("carrier", async () => (await ipRows("link", "show", "lan0"))[0]?.["operstate"] === "UP");
  return { [Symbol.asyncDispose]: () => ip("link delete lan0") };
}

/** A command that runs on until the end of the scope. */
function start(
  ...args: string[]
): AsyncDisposable & { readonly stdout: TextSink; readonly ended: Promise<number> } {
  const stop = new AbortController();
  const stdout = new TextSink();
  const ended = main(args, { stdout, stderr: new TextSink(), signal: stop.signal, colors: false });
  return {
    stdout,
    ended,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
    },
  };
}

const schemas = await readSchemas();

function linesOf(text: string): JsonLine[] {
  return checkLines(text, schemas);
}

Deno.test({
  name: "holdfast watch --json tells each event as it happens, and then the settled change",
  ...here,
  async fn() {
    await using _lan = await lan();
    await using watch = start("watch", "--json");
    await watch.stdout.has('{"type":"state"');
    await ip("route add default via 10.9.0.1");
    await watch.stdout.has('{"type":"change"');
    const lines = linesOf(watch.stdout.text);
    assertEquals(lines[0]?.type, "state");
    const change = lines.find(({ type }) => type === "change");
    const gateway = lines.find(({ type }) => type === "gatewaychange");
    assert(change && gateway && lines.indexOf(gateway) < lines.indexOf(change));
    const { family, from, to } = gateway;
    assertEquals({ family, from }, { family: 4, from: null });
    assertEquals((to as { gateway: string }).gateway, "10.9.0.1");
    const types = lines.map(({ type }) => type);
    assert(types.includes("online") && types.includes("defaultinterfacechange"), types.join());
    assert(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(gateway.at), gateway.at);
  },
});

Deno.test({
  name: "holdfast watch --settled leaves out single events",
  ...here,
  async fn() {
    await using _lan = await lan();
    await using watch = start("watch", "--json", "--settled", "--quiet", "50ms");
    await watch.stdout.has('{"type":"state"');
    await ip("route add default via 10.9.0.1");
    await watch.stdout.has('{"type":"change"');
    const types = new Set(linesOf(watch.stdout.text).map(({ type }) => type));
    assertEquals([...types], ["state", "change"]);
  },
});

Deno.test({
  name: "holdfast watch tells people what happens in plain words",
  ...here,
  async fn() {
    await using _lan = await lan();
    await ip("route add default via 10.9.0.1");
    await using watch = start("watch");
    await watch.stdout.has("ADDRESSES");
    assertStringIncludes(watch.stdout.text, "network  online by IPv4\n");
    await ip("link set lan0 down");
    await watch.stdout.has("settled after");
    assertStringIncludes(watch.stdout.text, "  offline by IPv4\n");
    assertStringIncludes(watch.stdout.text, "gateway 10.9.0.1 on lan0 -> none (IPv4)\n");
    assertStringIncludes(watch.stdout.text, "interface lan0: switched off, carrier lost");
  },
});

Deno.test({
  name: "holdfast wait ends when the machine is online and its gateway answers, and not before",
  ...here,
  async fn() {
    await using _lan = await lan();
    const wait = start("wait", "--family", "4", "--timeout", "1m", "--json");
    await using watch = start("watch", "--json");
    await watch.stdout.has('{"type":"state"');
    assertEquals(wait.stdout.text, "");
    await ip("route add default via 10.9.0.1");
    await watch.stdout.has('{"type":"change"');
    assertEquals(wait.stdout.text, "");
    await ip("neighbour replace 10.9.0.1 lladdr 02:00:00:00:00:01 dev lan0 nud permanent");
    assertEquals(await wait.ended, 0);
    const [line] = linesOf(wait.stdout.text);
    assertEquals([line?.families, line?.reached], [[4], true]);
    const steps = line?.steps as { name: string; outcome: string }[];
    assertEquals(steps.slice(0, 2).map(({ name, outcome }) => [name, outcome]), [
      ["online", "ok"],
      ["gateway", "ok"],
    ]);
  },
});

Deno.test({
  name: "holdfast wait says that it is the gateway that does not answer",
  ...here,
  async fn() {
    await using _lan = await lan();
    await ip("route add default via 10.9.0.1");
    const stdout = new TextSink();
    const stderr = new TextSink();
    const code = await main(["wait", "--timeout", "500ms"], { stdout, stderr, colors: false });
    assertEquals([code, stdout.text], [124, ""]);
    assertEquals(
      stderr.text,
      "holdfast: Cannot reach the network within 0.5s: the gateway 10.9.0.1 does not answer\n",
    );
  },
});

Deno.test({
  name: "holdfast wait HOST:PORT tries again the moment the address is there",
  ...here,
  async fn() {
    // The far end of the pair lives in the same namespace: the address is the machine's own as soon as it is given.
    using listener = Deno.listen({ hostname: "0.0.0.0", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    await ip("link add lan0 type veth peer name far0");
    try {
      const wait = start("wait", `10.9.0.2:${port}`, "--timeout", "1m", "--json");
      await ip("link set far0 up");
      await ip("link set lan0 up");
      await ip("address add 10.9.0.2/24 dev lan0");
      assertEquals(await wait.ended, 0);
      const [{ address } = { address: null }] = linesOf(wait.stdout.text);
      assertEquals(address, `10.9.0.2:${port}`);
    } finally {
      await ip("link delete lan0");
    }
  },
});

Deno.test({
  name: "holdfast watch --external follows the public address",
  ...here,
  async fn() {
    await using server = await startStunServer();
    await using _lan = await lan();
    await using watch = start("watch", "--json", "--external", server.url);
    await watch.stdout.has('{"type":"externalchange"');
    const told = linesOf(watch.stdout.text).find(({ type }) => type === "externalchange");
    assertEquals(told?.to, { v4: { address: "127.0.0.1", agreed: 1, answered: 1 }, v6: null });
  },
});

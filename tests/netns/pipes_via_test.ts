/** By which way a pipe leaves the machine, and what becomes of a server whose address comes and goes. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { holdProcess } from "../../internal/clock.ts";
import { connect } from "../../pipes/connect.ts";
import { listen } from "../../pipes/listen.ts";
import { PipeError } from "../../pipes/pipe_error.ts";
import { watchNetwork } from "../../watch/watch.ts";
import { first } from "../_pipe_contract.ts";
import { requires } from "../_require.ts";
import { ip, ipRows, Network } from "./_network.ts";

const needs = requires({ root: true, netns: true, tools: ["ip"] });

const FAR = "10.9.9.9";
const PORT = 4711;

/** How many packets have left through an interface. */
async function sentBy(name: string): Promise<number> {
  const [row] = await ipRows("-s", "link", "show", name);
  return (row as { stats64: { tx: { packets: number } } }).stats64.tx.packets;
}

/** Two ways to one far host: the default route is through `va`, the other one through `vb` counts less. */
async function twoWays(): Promise<AsyncDisposable> {
  const network = await Network.make();
  const far = await network.plug("va", "ra");
  await network.plug("vb", "rb");
  await ip(
    "link set lo up",
    "address add 10.9.1.2/24 dev va",
    "link set va up",
    "address add 10.9.2.2/24 dev vb",
    "link set vb up",
    "route add default via 10.9.1.1 dev va metric 100",
    "route add default via 10.9.2.1 dev vb metric 200",
  );
  await far(
    "link set lo up",
    `address add ${FAR}/32 dev lo`,
    "address add 10.9.1.1/24 dev ra",
    "address add 10.9.2.1/24 dev rb",
  );
  return network;
}

/** Tells each client where it seems to come from. */
const TELLING = `
  import { listen } from "${new URL("../../pipes/listen.ts", import.meta.url)}";
  const server = await listen("tcp://${FAR}:${PORT}");
  console.log("ready");
  for await (const pipe of server) {
    await pipe.send(pipe.remoteAddress.hostname);
    await pipe.close();
  }`;

/** Runs that on the far host. */
async function startFar(): Promise<AsyncDisposable> {
  const child = new Deno.Command("ip", {
    args: ["netns", "exec", "far", Deno.execPath(), "run", "-A", "--quiet", "--no-lock", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(TELLING));
  await writer.close();
  const reader = child.stdout.getReader();
  await reader.read();
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await reader.cancel();
      await child.status;
    },
  };
}

Deno.test({
  name: "a pipe leaves through the interface that was named, whatever the routes say, or fails clearly",
  ...needs,
  async fn(t) {
    await using _network = await twoWays();
    await using _server = await startFar();
    const url = `tcp://${FAR}:${PORT}`;
    for (
      const [via, from, used, unused] of [
        [undefined, "10.9.1.2", "va", "vb"],
        [{ interface: "vb" }, "10.9.2.2", "vb", "va"],
        [{ interface: "va" }, "10.9.1.2", "va", "vb"],
        // The address is what was asked for, and the route is the system's.
        [{ address: "10.9.2.2" }, "10.9.2.2", "va", "vb"],
      ] as const
    ) {
      await t.step(`via ${JSON.stringify(via)}`, async () => {
        const before = [await sentBy(used), await sentBy(unused)] as const;
        await using pipe = await connect(url, { ...via && { via } });
        assertEquals(new TextDecoder().decode(await pipe.recv() ?? undefined), from);
        assertEquals("hostname" in pipe.localAddress && pipe.localAddress.hostname, from);
        const after = [await sentBy(used), await sentBy(unused)] as const;
        assert(after[0] - before[0] >= 3, `${after[0] - before[0]} packets left through ${used}`);
        // A neighbour may be looked for now and then; a connection is more than that.
        assert(after[1] - before[1] <= 2, `${after[1] - before[1]} packets left through ${unused}`);
      });
    }
    await t.step("an interface that is down", async () => {
      await ip("link set vb down");
      const error = await assertRejects(
        () => connect(url, { via: { interface: "vb" }, retry: false }),
        PipeError,
      );
      assertEquals([error.code, error.failure?.kind], ["connect", "offline"]);
    });
  },
});

Deno.test({
  name: "a server waits for its address, and is there again when the address is",
  ...needs,
  async fn() {
    // Those who listen to events keep no process alive.
    using _hold = holdProcess();
    await using network = await Network.make();
    await network.plug("va", "ra");
    await ip("link set lo up", "link set va up");
    await using watcher = await watchNetwork();
    const gone = await assertRejects(() => listen("tcp://10.9.1.2:0"), PipeError);
    assertEquals(gone.failure?.kind, "address-gone");
    const listening = listen("tcp://10.9.1.2:0", { network: watcher });
    await ip("address add 10.9.1.2/24 dev va");
    await using server = await listening;
    const talk = async (): Promise<void> => {
      const [mine, theirs] = await Promise.all([connect(server.url), first(server)]);
      await mine.send("hello");
      assertEquals((await theirs.recv())?.length, 5);
      await Promise.all([mine.close(), theirs.close()]);
    };
    await talk();
    const lost = new Promise((resolve) => server.on("addresslost", resolve));
    const back = new Promise((resolve) => server.on("listening", resolve));
    await ip("address delete 10.9.1.2/24 dev va");
    await lost;
    assertEquals(server.addresses, []);
    await ip("address add 10.9.1.2/24 dev va");
    await back;
    await talk();
  },
});

Deno.test({
  name: "private addresses are listened on as they come, and let go as they go",
  ...needs,
  async fn() {
    // Those who listen to events keep no process alive.
    using _hold = holdProcess();
    await using network = await Network.make();
    await network.plug("va", "ra");
    await ip("link set lo up", "link set va up", "address add 10.9.1.2/24 dev va");
    await using watcher = await watchNetwork();
    await using server = await listen("tcp://:0", { on: "local", network: watcher });
    const hosts = (): readonly string[] => server.addresses.map(({ hostname }) => hostname).sort();
    const next = (type: "listening" | "addresslost", address: string): Promise<void> =>
      new Promise((resolve) =>
        server.on(type, (event) => {
          if ("hostname" in event.address && event.address.hostname === address) resolve();
        })
      );
    assertEquals(hosts(), ["10.9.1.2", "127.0.0.1", "::1"]);
    const come = [next("listening", "192.168.9.2"), next("listening", "fd09::2")];
    await ip("address add 192.168.9.2/24 dev va", "address add fd09::2/64 dev va");
    await Promise.all(come);
    const [{ port = 0 } = {}] = server.addresses;
    for (const host of ["192.168.9.2", "[fd09::2]"]) {
      const [mine, theirs] = await Promise.all([connect(`tcp://${host}:${port}`), first(server)]);
      await Promise.all([mine.close(), theirs.close()]);
    }
    const gone = next("addresslost", "10.9.1.2");
    await ip("address delete 10.9.1.2/24 dev va");
    await gone;
    assertEquals(hosts(), ["127.0.0.1", "192.168.9.2", "::1", "fd09::2"]);
  },
});

Deno.test({
  name: "the first of three addresses is dead: the second one is connected to without waiting for it",
  ...needs,
  async fn() {
    await using _network = await twoWays();
    await using _server = await startFar();
    // Nobody has it, and nobody says so.
    await ip("neighbour replace 10.9.1.77 lladdr 02:00:00:00:00:77 dev va nud permanent");
    const began = performance.now();
    await using pipe = await connect(`tcp://localhost:${PORT}`, {
      resolver: (_, type) => Promise.resolve(type === "A" ? ["10.9.1.77", FAR, "10.9.1.78"] : []),
    });
    assertEquals("hostname" in pipe.remoteAddress && pipe.remoteAddress.hostname, FAR);
    // An attempt that is waited for takes 10 seconds.
    assert(performance.now() - began < 5000);
  },
});

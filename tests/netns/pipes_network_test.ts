// runs alone
/** What the network does to open pipes: they hear of it, and do what they were told. */

import { assert, assertEquals } from "@std/assert";
import { Kernel } from "../../bench/_kernel.ts";
import { connect } from "../../pipes/connect.ts";
import { lines } from "../../pipes/framing.ts";
import type { Pipe, PipeEventOf, PipeEventType } from "../../pipes/pipe.ts";
import type { NetworkWatcher } from "../../watch/watcher.ts";
import { scale } from "../_require.ts";
import type { OrderState } from "./_order_server.ts";
import { offline, provoke, reached } from "./_provoke.ts";
import { ADDRESS, type TwoHosts } from "./_two_hosts.ts";

const { v4 } = ADDRESS.server;
const OTHER = { client: "10.9.3.2", router: "10.9.3.1" } as const;

/** Gives the client a second way to the router, which nothing uses yet. */
async function secondLink(lab: TwoHosts): Promise<void> {
  await lab.ip(
    "client",
    "link add vd type veth peer name rd netns router",
    `address add ${OTHER.client}/24 dev vd`,
    "link set vd up",
  );
  await lab.ip("router", `address add ${OTHER.router}/24 dev rd`, "link set rd up");
}

/** Waits for an event of a pipe. */
function next<K extends PipeEventType>(pipe: Pipe, type: K): Promise<PipeEventOf<K>> {
  return new Promise((resolve) => {
    const registration = pipe.on(type, (event) => {
      registration[Symbol.dispose]();
      resolve(event);
    });
  });
}

/** Waits until the pipe is connected again. */
function again(pipe: Pipe): Promise<void> {
  return new Promise((resolve) => pipe.on("up", ({ reconnects }) => reconnects > 0 && resolve()));
}

/** The names of what pipes tell of the network, as they tell it. */
function told(pipe: Pipe): string[] {
  const names: string[] = [];
  const types = ["addresslost", "offline", "online", "gatewaychange", "defaultinterfacechange"] as const;
  for (const type of types) pipe.on(type, () => void names.push(type));
  return names;
}

async function echo(pipe: Pipe, text: string): Promise<string> {
  await pipe.send(text);
  return new TextDecoder().decode(await pipe.recv({ timeout: 15_000 }) ?? undefined);
}

/** Which address of this machine a pipe uses. */
function ownAddress({ localAddress }: Pipe): string {
  return "hostname" in localAddress ? localAddress.hostname : "";
}

provoke(
  "a chat over a pipe loses nothing when the default interface is another one",
  async ({ lab, network }) => {
    const { url, state } = await startChat(lab);
    const onNetwork = { defaultinterfacechange: "reconnect" } as const;
    await using chat = await connect(url, { network, framing: lines(), onNetwork });
    const unanswered = new Map<number, string>();
    const done = Promise.withResolvers<void>();
    let number = 1;
    chat.on("up", () => unanswered.forEach((line) => chat.send(line)));
    chat.on("message", ({ data }) => {
      unanswered.delete(Number(/\d+/.exec(new TextDecoder().decode(data))));
      if (unanswered.size === 0 && number > MESSAGES) done.resolve();
    });
    for (; number <= MESSAGES; number++) {
      unanswered.set(number, `${number} hello`);
      await chat.send(`${number} hello`);
      if (number === MESSAGES / 2) await switchInterface(lab);
    }
    await done.promise;
    assertEquals([await state(), chat.stats.reconnects, ownAddress(chat)], [MESSAGES, 1, OTHER.client]);
  },
);

const MESSAGES = scale(2000, 20_000);

/** Starts a server of chats, and gives the client a second way to it. It takes each message once, by its number. */
async function startChat(lab: TwoHosts): Promise<{ readonly url: string; state(): Promise<number> }> {
  await secondLink(lab);
  const server = await lab.start("server", "_order_server.ts", v4, "0");
  return {
    url: `tcp://${v4}:${server.ready["port"]}`,
    async state() {
      const { received, executed } = await server.ask<OrderState>({ do: "state" });
      const lost = MESSAGES - executed;
      console.log(`${MESSAGES} messages, ${lost} lost, ${received - executed} came again and were dropped`);
      return executed;
    },
  };
}

/** As a laptop that is taken off its cable. */
async function switchInterface(lab: TwoHosts): Promise<void> {
  await lab.ip("client", `route replace default via ${OTHER.router} dev vd`, "link set vc down");
}

provoke(
  "address-gone: a pipe tells that its address is gone, and goes on from another one",
  async (scene) => {
    const { lab, far, network } = scene;
    const options = { network, framing: lines() };
    await using pipe = await connect(`tcp://${v4}:${far.port}`, options);
    await using kept = await connect(`tcp://${v4}:${far.port}`, {
      network,
      onNetwork: { addresslost: "keep" },
    });
    await using plain = await connect(`tcp://${v4}:${far.port}`, { network });
    assertEquals([await echo(pipe, "before"), ownAddress(pipe)], ["before", ADDRESS.client.v4]);
    const connected = again(pipe);
    const [lost, keptLost, failed] = [
      next(pipe, "addresslost"),
      next(kept, "addresslost"),
      next(plain, "error"),
    ];
    await lab.ip("client", `address delete ${ADDRESS.client.v4}/24 dev vc`);
    assertEquals((await lost).address, ADDRESS.client.v4);
    assertEquals([pipe.state.type, (await keptLost).address], ["waiting", ADDRESS.client.v4]);
    assertEquals([kept.state.type, (await failed).fatal, plain.state.type], ["open", true, "failed"]);
    await pipe.send("meanwhile");
    await lab.ip(
      "client",
      "address add 10.9.1.77/24 dev vc",
      `route replace default via ${ADDRESS.near.v4}`,
    );
    await connected;
    assertEquals([await echo(pipe, "after"), ownAddress(pipe)], ["meanwhile", "10.9.1.77"]);
    kept.abort();
  },
);

provoke("the gateway is another one: those who go by it hear of it, and neighbours do not", async (scene) => {
  const { lab, far, network } = scene;
  const neighbour = await lab.start(
    "router",
    "_far_server.ts",
    JSON.stringify({ fault: { fault: { type: "echo" }, hostname: "::" } }),
  );
  using local = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using wide = await connect(`tcp://${v4}:${far.port}`, { network, framing: lines() });
  await using near = await connect(`tcp://${ADDRESS.near.v4}:${neighbour.ready["port"]}`, {
    network,
    framing: lines(),
  });
  await using loopback = await connect(`tcp://127.0.0.1:${local.addr.port}`, { network });
  (await local.accept()).close();
  const all = [told(wide), told(near), told(loopback)];
  const change = next(wide, "gatewaychange");
  await lab.ip("router", "address add 10.9.1.9/24 dev rc");
  await lab.ip("client", "route replace default via 10.9.1.9");
  const { from, to } = await change;
  assertEquals([from?.gateway, to?.gateway], [ADDRESS.near.v4, "10.9.1.9"]);
  assertEquals(all, [["gatewaychange"], [], []]);
  assertEquals([await echo(wide, "by the other one"), wide.stats.reconnects], ["by the other one", 0]);
  assertEquals(await echo(near, "still here"), "still here");
});

provoke("the interface goes down and up again: an open pipe hears of it and goes on", async (scene) => {
  const { lab, far, network } = scene;
  await using pipe = await connect(`tcp://${v4}:${far.port}`, { network, framing: lines() });
  assertEquals(await echo(pipe, "before"), "before");
  const names = told(pipe);
  const online = next(pipe, "online");
  await lab.ip("client", "link set vc down");
  await offline(network);
  assert(names.includes("offline"), names.join());
  await pipe.send("in the dark");
  await lab.ip("client", "link set vc up");
  await lab.ip("client", `route replace default via ${ADDRESS.near.v4}`);
  assertEquals((await online).family, 4);
  assertEquals(
    new TextDecoder().decode(await pipe.recv({ timeout: 15_000 }) ?? undefined),
    "in the dark",
  );
  assertEquals([pipe.state.type, pipe.stats.reconnects], ["open", 0]);
});

provoke(
  "a second default route that is better: a pipe hears of it, and moves if it is told to",
  async (scene) => {
    const { lab, far, network } = scene;
    await secondLink(lab);
    await lab.ip(
      "client",
      `route add default via ${ADDRESS.near.v4} metric 200`,
      `route delete default via ${ADDRESS.near.v4} metric 0`,
    );
    await reached(network, "IPv4 to be there", ({ families }) => families.includes(4));
    const url = `tcp://${v4}:${far.port}`;
    await using stays = await connect(url, { network, framing: lines() });
    await using moves = await connect(url, {
      network,
      framing: lines(),
      onNetwork: {
        defaultinterfacechange: ({ to }) => to?.interface === "vd" ? "reconnect" : "keep",
      },
    });
    const change = next(stays, "defaultinterfacechange");
    const moved = again(moves);
    await lab.ip("client", `route add default via ${OTHER.router} dev vd metric 50`);
    const { from, to } = await change;
    assertEquals([from?.interface, to?.interface], ["vc", "vd"]);
    await moved;
    assertEquals([await echo(moves, "moved"), ownAddress(moves)], ["moved", OTHER.client]);
    assertEquals([await echo(stays, "stayed"), ownAddress(stays)], ["stayed", ADDRESS.client.v4]);
    assertEquals([stays.stats.reconnects, moves.stats.reconnects], [0, 1]);
  },
);

provoke("how long it takes from the kernel's change to the pipe's event", async ({ lab, far, network }) => {
  // The kernel takes away only what was set by the same protocol.
  await lab.ip("client", `route replace default via ${ADDRESS.near.v4} proto static`);
  const pipes = await Promise.all(
    Array.from({ length: 100 }, () => connect(`tcp://${v4}:${far.port}`, { network, framing: lines() })),
  );
  const rounds = scale(10, 200);
  const samples = await latencies(network, pipes, rounds);
  for (const pipe of pipes) pipe.abort();
  assertEquals(samples.length, 2 * rounds);
  const [p50 = NaN, p95 = NaN, worst = NaN] = [0.5, 0.95, 1].map((part) =>
    samples[Math.ceil(part * samples.length) - 1]
  );
  const shown = [p50, p95, worst].map((one) => one.toFixed(2)).join(" / ");
  console.log(`from the kernel's change to the last of ${pipes.length} pipes: ${shown} ms (p50/p95/worst)`);
  // The target is 10 ms; a machine that is busy with other things gets more.
  assert(p50 < 100, `${shown} ms`);
});

/** Takes the default route away and back, and tells how long all pipes took to say so, in milliseconds, sorted. */
async function latencies(
  network: NetworkWatcher,
  pipes: readonly Pipe[],
  rounds: number,
): Promise<readonly number[]> {
  using kernel = new Kernel();
  const index = network.state.interfaces.find(({ name }) => name === "vc")?.index ?? 0;
  const samples: number[] = [];
  const measure = async (type: "offline" | "online", change: () => void): Promise<void> => {
    const all = Promise.all(pipes.map((pipe) => next(pipe, type)));
    let last = NaN;
    const done = pipes.map((pipe) => pipe.on(type, () => void (last = performance.now())));
    // While changes pour in, the watcher reads at an even pace; this is about one that comes alone.
    const { promise: settled, resolve } = Promise.withResolvers<void>();
    using _change = network.on("change", () => resolve());
    const began = performance.now();
    change();
    await Promise.all([all, settled]);
    samples.push(last - began);
    for (const registration of done) registration[Symbol.dispose]();
  };
  for (let round = 0; round < rounds; round++) {
    await measure("offline", () => kernel.defaultRoute("remove", index, ADDRESS.near.v4));
    await measure("online", () => kernel.defaultRoute("add", index, ADDRESS.near.v4));
  }
  return samples.sort((a, b) => a - b);
}

/** The address under a pipe that was accepted is taken away: the other end hears nothing of it, so the pipe has to. */

import { assertEquals, assertRejects } from "@std/assert";
import { listen, type ListenOptions } from "../../pipes/listen.ts";
import type { Pipe, PipeEventOf } from "../../pipes/pipe.ts";
import { PipeError } from "../../pipes/pipe_error.ts";
import type { PipeServer } from "../../pipes/server.ts";
import { webSocket } from "../../pipes/ws.ts";
import { FakeClock } from "../../testing/fake_clock.ts";
import { first } from "../_pipe_contract.ts";
import { provoke, within } from "./_provoke.ts";
import { ADDRESS } from "./_two_hosts.ts";

const { v4 } = ADDRESS.client;
const SCHEMES = ["tcp", "ws", "udp"] as const;

/** A pipe that was accepted, and what it tells when its address is gone. */
interface Accepted {
  readonly pipe: Pipe;
  readonly lost: Promise<PipeEventOf<"addresslost">>;
}

/** Servers at the client's address, each with one pipe that a program on the other host has connected. */
interface Servers extends AsyncDisposable {
  readonly urls: readonly string[];
  accept(): Promise<readonly Accepted[]>;
}

async function serve(options: ListenOptions): Promise<Servers> {
  const stack = new AsyncDisposableStack();
  const servers: PipeServer[] = [];
  for (const scheme of SCHEMES) {
    servers.push(stack.use(await listen(`${scheme}://${v4}:0`, { ...options, transports: [webSocket()] })));
  }
  return {
    urls: servers.map(({ url }) => url),
    accept: () =>
      Promise.all(servers.map(async (server) => {
        const pipe = stack.adopt(await first(server), (pipe) => pipe.abort());
        assertEquals(new TextDecoder().decode(await pipe.recv() ?? undefined), "hello");
        const lost = new Promise<PipeEventOf<"addresslost">>((resolve) => pipe.on("addresslost", resolve));
        return { pipe, lost };
      })),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

provoke(
  "address-gone: pipes that were accepted tell that their address is gone, and end",
  async ({ lab, network }) => {
    await using usual = await serve({ network });
    await using kept = await serve({ network, onNetwork: { addresslost: "keep" } });
    const clients = await lab.start("server", "_pipe_clients.ts", ...usual.urls, ...kept.urls);
    const [ends, stays] = await Promise.all([usual.accept(), kept.accept()]);
    // Whoever reads is told as well.
    const failing = ends.map(({ pipe }) =>
      assertRejects(() => pipe.recv(), PipeError, `the own address ${v4} is gone`)
    );
    await lab.ip("client", `address delete ${v4}/24 dev vc`);
    for (const { pipe, lost } of [...ends, ...stays]) {
      const { address } = await within(`addresslost of ${pipe.transport}`, lost);
      assertEquals(address, v4);
    }
    for (const [at, { pipe }] of ends.entries()) {
      const { code, failure } = await failing[at] ?? {};
      assertEquals([pipe.state.type, code, failure?.kind, failure?.retry], [
        "failed",
        "lost",
        "address-gone",
        "now",
      ]);
    }
    assertEquals(stays.map(({ pipe }) => pipe.state.type), SCHEMES.map(() => "open"));
    // Nothing could leave this machine by that address any more, not even that it is over.
    const { states } = await clients.ask<{ readonly states: readonly string[] }>("state");
    assertEquals(states, [...SCHEMES, ...SCHEMES].map(() => "open"));
    // Those that went on are as good as before once the address is back.
    await lab.ip("client", `address add ${v4}/24 dev vc`);
    await lab.routes();
    for (const { pipe } of stays) {
      await pipe.send("still here");
      assertEquals(new TextDecoder().decode(await pipe.recv() ?? undefined), "still here");
    }
  },
);

provoke("address-gone: without a watcher a look every 5 s finds it out", async ({ lab }) => {
  const clock = new FakeClock();
  await using servers = await serve({ clock });
  await lab.start("server", "_pipe_clients.ts", ...servers.urls);
  const accepted = await servers.accept();
  const told: string[] = [];
  for (const { pipe, lost } of accepted) void lost.then(() => told.push(pipe.transport));
  await clock.tickAsync(5000);
  assertEquals(told, []);
  await lab.ip("client", `address delete ${v4}/24 dev vc`);
  await clock.tickAsync(4999);
  assertEquals(told, []);
  await clock.tickAsync(1);
  assertEquals(told.sort(), [...SCHEMES].sort());
  assertEquals(accepted.map(({ pipe }) => pipe.state.type), SCHEMES.map(() => "failed"));
});

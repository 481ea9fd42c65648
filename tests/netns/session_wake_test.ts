// runs alone
/** What sessions do when the network changes under them: they move before the old way ends, and are back as soon as there is one. */

import { watchNetwork } from "@holdfast/net/watch";
import { assertEquals } from "@std/assert";
import { percentile } from "../../bench/_figure.ts";
import { Kernel } from "../../bench/_kernel.ts";
import { connect } from "../../pipes/connect.ts";
import type { SessionPipe } from "../../pipes/resume/session.ts";
import type { NetworkWatcher } from "../../watch/watcher.ts";
import { requires, scale } from "../_require.ts";
import { quiet, reached, within } from "./_provoke.ts";
import type { SessionAnswer } from "./_session_program.ts";
import { drain, type Flow, pour } from "./_session_streams.ts";
import { ADDRESS, TwoHosts } from "./_two_hosts.ts";

const needs = requires({ root: true, netns: true, tools: ["ip", "nft", "sysctl"] });

const URL = `resume+tcp://${ADDRESS.server.v4}:4400` as const;
const OTHER = { client: "10.9.3.2", router: "10.9.3.1" } as const;

/** A session that pours in both directions, on a machine whose network is about to change. */
interface Scene {
  readonly lab: TwoHosts;
  readonly network: NetworkWatcher;
  readonly pipe: SessionPipe;
  /** What the session went through, in order. */
  readonly told: readonly string[];
}

/** Runs a function with that, and compares in the end what came with what was sent. */
async function whilePouring(work: (scene: Scene) => Promise<void>): Promise<void> {
  await using lab = await TwoHosts.make();
  const server = await lab.start("server", "_session_program.ts", JSON.stringify({ serve: URL }));
  await using network = await watchNetwork();
  await reached(network, "both families", ({ families }) => families.length === 2);
  await quiet(network);
  await using pipe = await connect(URL, { network, session: { greeting: "pour", window: 256 * 1024 } });
  const told: string[] = [];
  for (const type of ["suspended", "resumed", "migrated"] as const) pipe.on(type, () => void told.push(type));
  let going = true;
  const flows: Promise<readonly [Flow, Flow]> = Promise.all([pour(pipe, 0, () => going), drain(pipe)]);
  flows.catch(() => {}); // awaited below, unless something else fails first
  try {
    await work({ lab, network, pipe, told });
  } finally {
    going = false;
  }
  const [{ flows: there }, [sent, came]] = await Promise.all([
    server.ask<SessionAnswer>({ do: "stop" }),
    flows,
  ]);
  assertEquals(there[pipe.session.id], { sent: came, received: sent });
}

/** Waits for the next event of a type. */
function next(pipe: SessionPipe, type: "migrated" | "resumed"): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const registration = pipe.on(type, () => {
    registration[Symbol.dispose]();
    resolve();
  });
  return within(type, promise);
}

function ownAddress({ localAddress }: SessionPipe): string {
  return "hostname" in localAddress ? localAddress.hostname : "";
}

Deno.test({
  name: "a session: the default route goes another way, and the session follows without being suspended once",
  ...needs,
  fn: () =>
    whilePouring(async ({ lab, pipe, told }) => {
      await lab.ip(
        "client",
        "link add vd type veth peer name rd netns router",
        `address add ${OTHER.client}/24 dev vd`,
        "link set vd up",
      );
      await lab.ip("router", `address add ${OTHER.router}/24 dev rd`, "link set rd up");
      const ways = [
        [`route replace default via ${OTHER.router} dev vd`, OTHER.client],
        [`route replace default via ${ADDRESS.near.v4} dev vc`, ADDRESS.client.v4],
      ] as const;
      for (let n = 0; n < scale(6, 60); n++) {
        const [route, address] = ways[n % 2] ?? ways[0];
        const moved = next(pipe, "migrated");
        await lab.ip("client", route);
        await moved;
        // More than one change may be told of one switch; the session is where the last one leads.
        while (ownAddress(pipe) !== address) await next(pipe, "migrated");
      }
      assertEquals(new Set(told), new Set(["migrated"]));
      assertEquals([pipe.session.resumes, pipe.session.suspended], [0, 0]);
      console.log(`  ${told.length} moves, none of them suspended`);
    }),
});

Deno.test({
  name: "a session: another gateway on the same link, and the session moves without being suspended once",
  ...needs,
  fn: () =>
    whilePouring(async ({ lab, pipe, told }) => {
      const second = "10.9.1.254";
      await lab.ip("router", `address add ${second}/24 dev rc`);
      for (let n = 0; n < scale(6, 60); n++) {
        const moved = next(pipe, "migrated");
        await lab.ip("client", `route replace default via ${n % 2 === 0 ? second : ADDRESS.near.v4} dev vc`);
        await moved;
      }
      assertEquals(new Set(told), new Set(["migrated"]));
      assertEquals([pipe.session.resumes, pipe.session.suspended], [0, 0]);
      console.log(`  ${told.length} moves, none of them suspended`);
    }),
});

Deno.test({
  name: "a session: it goes on as soon as the network is usable again",
  ...needs,
  fn: () =>
    whilePouring(async ({ network, pipe }) => {
      using kernel = new Kernel();
      const index = network.state.interfaces.find(({ name }) => name === "vc")?.index ?? 0;
      const fromKernel: number[] = [];
      const fromEvent: number[] = [];
      const rounds = scale(20, 100);
      for (let n = 0; n < rounds; n++) {
        const { resumes } = pipe.session;
        // The address goes, and the connection with it; then the network.
        kernel.address("remove", index, ADDRESS.client.v4, 24);
        await reached(network, "no way out", ({ families }) => !families.includes(4));
        await within("the loss", lost(pipe));
        let usable = NaN;
        using _event = network.subscribe(() => {
          if (Number.isNaN(usable) && network.state.families.includes(4)) usable = performance.now();
        });
        const resumed = next(pipe, "resumed");
        const began = performance.now();
        kernel.address("add", index, ADDRESS.client.v4, 24);
        kernel.defaultRoute("add", index, ADDRESS.near.v4);
        await resumed;
        const now = performance.now();
        fromKernel.push(now - began);
        // Some are back before the watcher has said that all is well: by the address alone.
        fromEvent.push(Number.isNaN(usable) ? 0 : now - usable);
        assertEquals(pipe.session.resumes, resumes + 1);
        // What the watcher has never seen, it cannot miss.
        await reached(network, "the way out", ({ families }) => families.includes(4));
      }
      for (
        const [what, times] of Object.entries({
          "the kernel's change": fromKernel,
          "network usable": fromEvent,
        })
      ) {
        const [p50, p99] = [0.5, 0.99].map((share) => percentile(times, share).toFixed(1));
        console.log(`  resumed after ${what}: p50 ${p50}, p99 ${p99} ms of ${rounds}`);
      }
    }),
});

/** Resolves when the session has no connection, which it may have lost already. */
function lost(pipe: SessionPipe): Promise<void> {
  if (pipe.session.state === "suspended") return Promise.resolve();
  return new Promise((resolve) => {
    const registration = pipe.on("suspended", () => {
      registration[Symbol.dispose]();
      resolve();
    });
  });
}

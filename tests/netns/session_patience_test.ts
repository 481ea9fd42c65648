// runs alone
/** Sessions on bad networks and with processes that stand still: nobody is declared dead who is not, and who is, soon. */

import { watchNetwork } from "@holdfast/net/watch";
import { assert, assertEquals } from "@std/assert";
import { connect, type ConnectOptions } from "../../pipes/connect.ts";
import type { SessionPipe } from "../../pipes/resume/session.ts";
import { FakeClock } from "../../testing/fake_clock.ts";
import { requires, scale } from "../_require.ts";
import { call } from "./_network.ts";
import { within } from "./_provoke.ts";
import type { SessionAnswer } from "./_session_program.ts";
import { drain, type Flow, pour } from "./_session_streams.ts";
import { ADDRESS, type Program, TwoHosts } from "./_two_hosts.ts";

const needs = requires({ root: true, netns: true, tools: ["ip", "nft", "sysctl", "tc", "ping"] });

const URL = `resume+tcp://${ADDRESS.server.v4}:4400` as const;

/** What a path lets through when it is well, and when everything stands in a queue for so long that it might as well be gone. */
const SHAPES = {
  well: "rate 400mbit burst 128kb limit 16mb",
  spike: "rate 1kbit burst 1600 limit 16mb",
} as const;

async function shape(lab: TwoHosts, how: keyof typeof SHAPES, action: "add" | "change"): Promise<void> {
  for (const device of ["rc", "rs"]) {
    await lab.run("router", "tc", ...`qdisc ${action} dev ${device} root tbf ${SHAPES[how]}`.split(" "));
  }
}

/** Where a session is tried. */
interface Trial {
  readonly lab: TwoHosts;
  readonly server: Program;
  readonly pipe: SessionPipe;
  /** How many bytes have come. */
  readonly received: () => number;
  /** Waits until so much more has come in both directions. */
  readonly progress: (bytes: number) => Promise<void>;
}

/** Pours in both directions while something happens; tells how it went when everything has arrived, which is compared by hash. */
async function trial(
  work: (trial: Trial) => Promise<void>,
): Promise<{ readonly pipe: SessionPipe; readonly told: readonly string[] }> {
  await using lab = await TwoHosts.make();
  await shape(lab, "well", "add");
  const server = await lab.start("server", "_session_program.ts", JSON.stringify({ serve: URL }));
  await using network = await watchNetwork();
  const session = { greeting: "pour", window: 1024 * 1024 };
  await using pipe = await connect(URL, { network, session });
  const told: string[] = [];
  for (const type of ["suspended", "resumed", "migrated"] as const) {
    pipe.on(type, (event) => told.push(event.type === "suspended" ? event.failure.kind : type));
  }
  let going = true;
  let received = 0;
  let look: (() => void) | undefined;
  const flows: Promise<readonly [Flow, Flow]> = Promise.all([
    pour(pipe, 0, () => going),
    drain(pipe, (bytes) => {
      received = bytes;
      look?.();
    }),
  ]);
  flows.catch(() => {}); // awaited below, unless something else fails first
  const progress = async (bytes: number): Promise<void> => {
    const { acknowledged } = pipe.session;
    const mark = received;
    const { promise, resolve } = Promise.withResolvers<void>();
    look = () => {
      if (received >= mark + bytes && pipe.session.acknowledged >= acknowledged + bytes) resolve();
    };
    await within(`${bytes} bytes more`, promise);
    look = undefined;
  };
  try {
    await progress(1_000_000);
    await work({ lab, server, pipe, received: () => received, progress });
    await progress(1_000_000);
  } finally {
    going = false;
  }
  const [{ flows: there }, [sent, came]] = await Promise.all([
    server.ask<SessionAnswer>({ do: "stop" }),
    flows,
  ]);
  assertEquals(there[pipe.session.id], { sent: came, received: sent });
  await pipe.close();
  assertEquals(pipe.session.state, "closed");
  console.log(`  ${sent.bytes >> 20} and ${came.bytes >> 20} MiB; told: ${told.join(", ") || "nothing"}`);
  return { pipe, told };
}

function pass(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

Deno.test({
  name: "a session: when everything takes 3 s longer now and then, its connection stays",
  ...needs,
  async fn() {
    const { told } = await trial(async ({ lab, received, progress }) => {
      for (let n = 0; n < scale(1, 5); n++) {
        await shape(lab, "spike", "change");
        const mark = received();
        await pass(3000);
        // What was on its way to us has arrived, and nothing else.
        assert(received() - mark < 1_200_000, `${received() - mark} bytes`);
        await shape(lab, "well", "change");
        // The next packet makes the queue move.
        await lab.run("router", "ping", "-c1", "-W9", ADDRESS.client.v4);
        await lab.run("router", "ping", "-c1", "-W9", ADDRESS.server.v4);
        await progress(1_000_000);
      }
    });
    assertEquals(told, []);
  },
});

Deno.test({
  name: "a session: while one packet of ten is lost, its connection stays",
  ...needs,
  async fn() {
    const { told } = await trial(async ({ lab, pipe, progress }) => {
      const rule = "meta l4proto tcp numgen random mod 10 == 0 counter drop";
      await using _loss = await lab.filter("router", "forward", rule);
      const { sent } = pipe.session;
      const end = performance.now() + scale(3000, 30_000);
      while (performance.now() < end) await progress(20_000);
      assert(pipe.session.sent > sent);
      const rules = await lab.run("router", "nft", "list", "ruleset");
      const lost = Number(/counter packets (\d+)/.exec(rules)?.[1]);
      console.log(`  ${lost} packets were lost`);
      assert(lost > 20, rules);
    });
    assertEquals(told, []);
  },
});

Deno.test({
  name: "a session: an event loop of either end that stands still for 2 s harms nobody",
  ...needs,
  async fn() {
    const { told } = await trial(async ({ server, progress }) => {
      for (let n = 0; n < scale(1, 5); n++) {
        await server.ask({ do: "stall", for: 2000 });
        await progress(1_000_000);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000);
        await progress(1_000_000);
      }
    });
    assertEquals(told, []);
  },
});

Deno.test({
  name: "a session: a server that is stopped for long costs nothing but the time",
  ...needs,
  async fn() {
    const milliseconds = scale(6, 20) * 1000;
    const { pipe, told } = await trial(async ({ server, progress }) => {
      await call("kill", ["-STOP", `${server.pid}`]);
      await pass(milliseconds);
      await call("kill", ["-CONT", `${server.pid}`]);
      await progress(1_000_000);
    });
    // That it does not answer is true, and may be told; that the session is over is not.
    assertEquals(pipe.session.resumes, told.filter((one) => one === "resumed").length);
    if (milliseconds < 9000) assertEquals(pipe.session.resumes, 0);
  },
});

Deno.test({
  name:
    "a session: a client that is stopped for long, at work or just connected, finds its connection as it was",
  ...needs,
  async fn() {
    await using lab = await TwoHosts.make();
    await shape(lab, "well", "add");
    const server = await lab.start("server", "_session_program.ts", JSON.stringify({ serve: URL }));
    const start = () => lab.start("client", "_session_program.ts", JSON.stringify({ connect: URL }));
    const more = async (client: Program): Promise<void> => {
      const ask = async () => (await client.ask<SessionAnswer>({ do: "state" })).sessions[0];
      const mark = await ask();
      let now = mark;
      while ((now?.received ?? 0) < (mark?.received ?? 0) + 1_000_000) now = await ask();
    };
    const first = await start();
    await within("bytes to come", more(first));
    const clients = [first, await start()];
    const kill = (signal: string) => call("kill", [signal, ...clients.map(({ pid }) => `${pid}`)]);
    await kill("-STOP");
    await pass(scale(6, 20) * 1000);
    await kill("-CONT");
    await within("more bytes to come", Promise.all(clients.map(more)));
    const [there, ...here] = await Promise.all(
      [server, ...clients].map((one) => one.ask<SessionAnswer>({ do: "stop" })),
    );
    for (const { flows, sessions: [facts] } of here) {
      const id = facts?.id ?? "";
      assertEquals(flows[id]?.sent, there?.flows[id]?.received);
      assertEquals(flows[id]?.received, there?.flows[id]?.sent);
      assertEquals([facts?.resumes, facts?.losses], [0, []]);
    }
    assertEquals(there?.sessions.map(({ resumes, losses }) => [resumes, losses]), [[0, []], [0, []]]);
  },
});

/** Silences the connection of a session, lets the time of its clock pass, and tells what the client has done by then. */
async function detected(milliseconds: number, pours: boolean): Promise<void> {
  await using lab = await TwoHosts.make();
  const server = await lab.start("server", "_session_program.ts", JSON.stringify({ serve: URL }));
  const clock = new FakeClock();
  const greeting = pours ? "pour" : "";
  const options: ConnectOptions = { clock, session: { greeting, window: 1024 * 1024 } };
  const pipe = await connect(URL, options);
  const moved = Promise.withResolvers<void>();
  for (const type of ["migrated", "resumed"] as const) pipe.on(type, () => moved.resolve());
  let going = true;
  const flows = pours ? Promise.all([pour(pipe, 0, () => going), drain(pipe)]) : undefined;
  flows?.catch(() => {}); // awaited below, unless something else fails first
  await using _end = { [Symbol.asyncDispose]: () => Promise.resolve(pipe.abort()) };
  const port = "port" in pipe.localAddress ? pipe.localAddress.port : 0;
  await using silence = await lab.filter(
    "router",
    "forward",
    `tcp sport ${port} drop`,
    `tcp dport ${port} drop`,
  );
  const began = performance.now();
  // In steps so small that the process cannot be taken for one that has slept.
  for (let passed = 0; passed < milliseconds; passed += 50) {
    await clock.tickAsync(50);
    await pass(0);
  }
  // From here on its clock stands still: it has decided in time, or never will.
  await within("another connection", moved.promise);
  console.log(
    `  moved within ${milliseconds} ms of its clock, ${Math.round(performance.now() - began)} real ones`,
  );
  await silence.heal();
  going = false;
  if (!flows) {
    await pipe.send("still there");
    assertEquals(new TextDecoder().decode(await pipe.recv() ?? undefined), "still there");
    return;
  }
  const [{ flows: there }, [sent, came]] = await Promise.all([
    server.ask<SessionAnswer>({ do: "stop" }),
    flows,
  ]);
  assertEquals(there[pipe.session.id], { sent: came, received: sent });
}

Deno.test({
  name: "a session: silence while something is on its way is noticed within 5 s, and gone round",
  ...needs,
  fn: () => detected(5000, true),
});

Deno.test({
  name: "a session: silence of an idle connection is noticed within 20 s, and gone round",
  ...needs,
  fn: () => detected(20_000, false),
});

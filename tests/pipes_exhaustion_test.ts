/** A server of pipes in a process that has no descriptors left: it lives on, and serves those who came meanwhile. */

import { assert, assertEquals } from "@std/assert";
import { connect, type ConnectOptions } from "../pipes/connect.ts";
import type { Pipe } from "../pipes/pipe.ts";
import { webSocket } from "../pipes/ws.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { descriptorsOf } from "./_child.ts";
import { type RunningCode, startCode } from "./_code.ts";
import { requires } from "./_require.ts";

/** How many descriptors the server has for connections, and how many connections come. */
const [ROOM, CLIENTS] = [10, 40];

/** How many times it is watched trying in vain. */
const PAUSES = 8;

const authority = await makeTestAuthority();

/** A server that gives back what it gets, and tells of its trouble, with the time and processor time it has had, in ms. */
const SERVER = `
import process from "node:process";
import { listen } from "#/pipes/listen.ts";
import { webSocket } from "#/pipes/ws.ts";

// The runtime (2.9.6) panics where it installs its first handler without a descriptor left, which it does 500 ms after its
// start by itself, for SIGUSR1. Who has one of his own already is spared.
const stop = new AbortController();
Deno.addSignalListener("SIGTERM", () => stop.abort());
const [url, tls] = JSON.parse(Deno.env.get("SERVER") ?? "");
const server = await listen(url, { tls, transports: [webSocket()], signal: stop.signal });
const say = (word, ...more) => console.log(JSON.stringify([word, ...more]));
server.on("trouble", ({ error }) => {
  const { user, system } = process.cpuUsage();
  say("trouble", error.code ?? error.message, performance.now(), (user + system) / 1000);
});
server.closed.catch((error) => say("over", error.message));
async function serve(pipe) {
  while (true) {
    const data = await pipe.recv().catch(() => null);
    if (data === null) break;
    await pipe.send(data);
  }
  pipe.abort();
  say("gone");
}
say("listening", server.url);
for await (const pipe of server) void serve(pipe);
say("end");
Deno.exit();
`;

interface Trouble {
  readonly code: string;
  /** When, and how much processor time had been used by then, in milliseconds. */
  readonly at: number;
  readonly cpu: number;
}

/** Everything it has told of its trouble, once there is so much of it. */
async function troubles(server: RunningCode, count: number): Promise<readonly Trouble[]> {
  const [text = ""] = await server.said(new RegExp(`(?:\\["trouble".*\\n[^]*?){${count}}`));
  return text.trimEnd().split("\n").map((line) => JSON.parse(line)).flatMap(([word, code, at, cpu]) =>
    word === "trouble" ? [{ code, at, cpu }] : []
  );
}

async function limit(pid: number, descriptors: number): Promise<void> {
  const args = [`--pid=${pid}`, `--nofile=${descriptors}:`];
  const { success } = await new Deno.Command("prlimit", { args }).output();
  assert(success, "the limit could not be set");
}

/** Says something, and waits until it comes back. */
async function echo(pipe: Pipe, text: string): Promise<void> {
  await pipe.send(text);
  assertEquals(new TextDecoder().decode(await pipe.recv() ?? undefined), text);
}

for (const transport of ["tcp", "tls", "unix", "ws"] as const) {
  Deno.test({
    name:
      `a server of ${transport} without descriptors lives on, and serves who came meanwhile once there are some`,
    ...requires({ os: ["linux"], tools: ["prlimit"] }),
    async fn() {
      const folder = await Deno.makeTempDir({ prefix: "holdfast-exhaustion-" });
      const { cert, key } = await authority.issue();
      const place = transport === "unix" ? `unix:${folder}/a.sock` : `${transport}://127.0.0.1:0`;
      const env = { SERVER: JSON.stringify([place, { cert, key }]) };
      await using server = startCode(SERVER, { env });
      const [, url = ""] = await server.said(/\["listening","(.*)"\]/);
      const options: ConnectOptions = { tls: { caCerts: [authority.cert] }, transports: [webSocket()] };
      {
        // Whatever the first connection loads is loaded.
        await using pipe = await connect(url, options);
        await echo(pipe, "first");
      }
      await server.said('["gone"]');
      await limit(server.pid, descriptorsOf(server.pid).length + ROOM);

      const served: Pipe[] = [];
      let changed = Promise.withResolvers<void>();
      const clients = Array.from({ length: CLIENTS }, async (_, number) => {
        // One attempt each: who is in the queue is not refused.
        const pipe = await connect(url, { ...options, retry: false });
        await echo(pipe, `hello ${number}`);
        served.push(pipe);
        changed.resolve();
      });
      for (const client of clients) client.catch(() => {}); // awaited below

      const told = await troubles(server, PAUSES);
      for (const { code } of told) assertEquals(code, "EMFILE");
      const [begin, end] = [told[0], told[PAUSES - 1]];
      assert(begin && end);
      // It tries again after 50 ms at least. Idling takes next to no processor time, and a busy loop takes all there is.
      const [took, worked] = [end.at - begin.at, end.cpu - begin.cpu];
      assert(took >= 50 * (PAUSES - 1), `${PAUSES} attempts in ${took} ms`);
      assert(worked < took / 2, `${worked} ms of processor time in ${took} ms`);
      assert(served.length < CLIENTS / 2, `${served.length} are served`);

      // Each that leaves makes room for one that waits.
      let left = 0;
      for (; left < CLIENTS; left++) {
        while (served.length === left) {
          await changed.promise;
          changed = Promise.withResolvers();
        }
        await served[left]?.close();
      }
      await Promise.all(clients);
      assertEquals(served.length, CLIENTS);
      // And it is as good as before.
      await using late = await connect(url, { ...options, retry: false });
      await echo(late, "late");
      await late.close();
      server.kill("SIGTERM");
      const { stdout, stderr, code } = await server.result;
      assertEquals([code, stdout.includes('["over"'), stdout.endsWith('["end"]\n'), stderr], [
        0,
        false,
        true,
        "",
      ]);
      await Deno.remove(folder, { recursive: true });
    },
  });
}

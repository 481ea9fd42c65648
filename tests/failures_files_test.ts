/** Servers and clients whose descriptors run out: the plain ones, and the guarded ones. */

import { assert, assertEquals } from "@std/assert";
import { startFaultServer } from "../testing/fault_server.ts";
import { descriptorsOf } from "./_child.ts";
import { type RunningCode, startCode } from "./_code.ts";
import { requires } from "./_require.ts";

const needs = requires({ os: ["linux"], tools: ["prlimit"] });

/** How many descriptors a process may open besides those it has. */
const ROOM = 20;

/** Gives a process no more descriptors than it has, and some. */
async function limitFiles(pid: number): Promise<void> {
  const limit = descriptorsOf(pid).length + ROOM;
  const { success } = await new Deno.Command("prlimit", {
    args: [`--pid=${pid}`, `--nofile=${limit}:${limit}`],
  }).output();
  assert(success);
}

/** A server in a process of its own, whose descriptors are counted. */
interface LimitedServer extends AsyncDisposable {
  readonly code: RunningCode;
  readonly hostname: string;
  readonly port: number;
}

/** Starts the code of a server, which finds its address in `address`, and says `listening`. */
async function startServer(text: string): Promise<LimitedServer> {
  // All of 127/8 is this machine, so an address of its own keeps the port free.
  const [x = 1, y = 1] = crypto.getRandomValues(new Uint8Array(2));
  const address = { hostname: `127.77.${x}.${y || 1}`, port: 8377 };
  const code = startCode(`const address = ${JSON.stringify(address)};\n${text}`);
  await code.said("listening");
  await limitFiles(code.pid);
  return { code, ...address, [Symbol.asyncDispose]: () => code[Symbol.asyncDispose]() };
}

/** Opens more connections than the server can have, and keeps them until it is disposed. */
async function storm({ hostname, port }: LimitedServer): Promise<Disposable> {
  const attempts = Array.from({ length: 3 * ROOM }, () => Deno.connect({ hostname, port }));
  const settled = await Promise.allSettled(attempts);
  // A server that gives up refuses or resets what comes too late, which is what a storm is like.
  const open = settled.flatMap((one) => one.status === "fulfilled" ? [one.value] : []);
  return { [Symbol.dispose]: () => open.forEach((connection) => connection.close()) };
}

/** Asks until there is an answer, and tells how many milliseconds that took. */
async function untilAnswered(ask: () => Promise<string>, expected: string): Promise<number> {
  const begin = performance.now();
  while (true) {
    const answer = await ask().catch((error: Error) => error.name);
    if (answer === expected) return Math.round(performance.now() - begin);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Sends a word, and gives what comes back. */
async function echo({ hostname, port }: LimitedServer): Promise<string> {
  using connection = await Deno.connect({ hostname, port });
  await connection.write(new TextEncoder().encode("hello"));
  const buffer = new Uint8Array(100);
  return new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
}

/** Asks for a page, over a connection of its own. */
async function get({ hostname, port }: LimitedServer, path = "/"): Promise<string> {
  using client = Deno.createHttpClient({});
  return await (await fetch(`http://${hostname}:${port}${path}`, { client })).text();
}

Deno.test({
  name: "accept-files-exhausted: a plain accept loop throws, and takes the process with it",
  ...needs,
  async fn() {
    await using server = await startServer(`
      const listener = Deno.listen(address);
      console.log("listening");
      for await (const connection of listener) connection.readable.pipeTo(connection.writable).catch(() => {});
    `);
    using _clients = await storm(server);
    const { code, stderr } = await server.code.result;
    assertEquals(code, 1);
    assert(stderr.includes("Too many open files (os error 24)"), stderr);
  },
});

Deno.test({
  name: "accept-files-exhausted: a plain Deno.serve rejects, and takes the process with it",
  ...needs,
  async fn() {
    await using server = await startServer(`
      Deno.serve({ ...address, onListen: () => console.log("listening") }, () => new Response("hello"));
    `);
    using _clients = await storm(server);
    const { code, stderr } = await server.code.result;
    assertEquals(code, 1);
    assert(stderr.includes("Too many open files (os error 24)"), stderr);
  },
});

Deno.test({
  name:
    "accept-files-exhausted: acceptLoop() pauses without spinning, and answers when descriptors are free again",
  ...needs,
  async fn() {
    await using server = await startServer(`
      import { acceptLoop } from "#/recover/accept_loop.ts";
      import { classify } from "#/recover/classify.ts";
      const loop = acceptLoop(Deno.listen(address), async (connection) => {
        await connection.readable.pipeTo(connection.writable);
      }, { onError() {} });
      const begin = performance.now();
      let pauses = 0;
      loop.on("pause", ({ error }) => {
        if (++pauses === 1) console.log("paused by", classify(error, { operation: "accept" }).scenario);
        if (pauses === 10) console.log("ten pauses in", performance.now() - begin, "ms.");
      });
      Deno.addSignalListener("SIGTERM", async () => {
        console.log("cut", await loop.drain({ timeout: 0 }));
        Deno.exit();
      });
      console.log("listening");
    `);
    {
      using _clients = await storm(server);
      await server.code.said("paused by accept-files-exhausted");
      await server.code.said("ten pauses in");
    }
    const took = await untilAnswered(() => echo(server), "hello");
    console.log(`acceptLoop() answers ${took} ms after descriptors are free (target: 500 ms)`);
    server.code.kill("SIGTERM");
    const { code, stdout, stderr } = await server.code.result;
    assertEquals([code, stderr], [0, ""]);
    // The first is 50 ms after its error at the earliest, and so on: nine waits lie between the first and the tenth.
    const [, time] = /ten pauses in ([\d.]+) ms/.exec(stdout) ?? [];
    assert(Number(time) >= 9 * 50, stdout);
    assert(stdout.includes("cut 0"), stdout);
  },
});

Deno.test({
  name:
    "accept-files-exhausted: acceptLoop() with a cap below the limit never runs out, and serves everybody in turn",
  ...needs,
  async fn() {
    await using server = await startServer(`
      import { acceptLoop } from "#/recover/accept_loop.ts";
      const loop = acceptLoop(Deno.listen(address), async (connection) => {
        await connection.readable.pipeTo(connection.writable);
      }, { maxConnections: ${ROOM / 2} });
      loop.on("pause", () => console.log("paused"));
      Deno.addSignalListener("SIGTERM", () => Deno.exit());
      console.log("listening");
    `);
    const answers = await Promise.all(Array.from({ length: 3 * ROOM }, () => echo(server)));
    assertEquals(answers, new Array(3 * ROOM).fill("hello"));
    server.code.kill("SIGTERM");
    const { stdout, stderr } = await server.code.result;
    assertEquals([stdout, stderr], ["listening\n", ""]);
  },
});

Deno.test({
  name:
    "accept-files-exhausted: serve() starts again, answers when descriptors are free, and finishes what it had begun",
  ...needs,
  async fn() {
    await using server = await startServer(`
      import { classify } from "#/recover/classify.ts";
      import { serve } from "#/recover/serve.ts";
      const server = serve(async ({ url }) => {
        if (!url.endsWith("/slow")) return new Response("hello");
        console.log("slow request");
        await new Promise((resolve) => Deno.addSignalListener("SIGUSR1", resolve));
        return new Response("finished");
      }, { ...address, onListen: () => console.log("listening") });
      server.on("down", ({ error }) => console.log("down by", classify(error, { operation: "accept" }).scenario));
      Deno.addSignalListener("SIGTERM", async () => {
        await server.shutdown();
        console.log("restarts:", server.restarts);
        Deno.exit();
      });
    `);
    const slow = get(server, "/slow");
    await server.code.said("slow request");
    {
      using _clients = await storm(server);
      await server.code.said("down by accept-files-exhausted");
    }
    const took = await untilAnswered(() => get(server), "hello");
    console.log(`serve() answers ${took} ms after descriptors are free (target: 500 ms)`);
    server.code.kill("SIGUSR1");
    assertEquals(await slow, "finished");
    server.code.kill("SIGTERM");
    const { code, stdout, stderr } = await server.code.result;
    assertEquals([code, stderr], [0, ""]);
    assert(Number(/restarts: (\d+)/.exec(stdout)?.[1]) >= 1, stdout);
  },
});

Deno.test({
  name:
    "accept-files-exhausted: serve() gets rid of silent clients by itself, while they hold all descriptors",
  ...needs,
  async fn() {
    await using server = await startServer(`
      import { serve } from "#/recover/serve.ts";
      const server = serve(() => new Response("hello"), { ...address, onListen: () => console.log("listening") });
      server.on("down", ({ error }) => console.log("down:", error.message));
      Deno.addSignalListener("SIGTERM", () => Deno.exit());
    `);
    using _clients = await storm(server);
    await server.code.said("down: Error: Too many open files");
    await untilAnswered(() => get(server), "hello");
    server.code.kill("SIGTERM");
    assertEquals((await server.code.result).code, 0);
  },
});

Deno.test({
  name:
    "files-exhausted: a client that opens all at once fails, one with a limit below that of the system does not",
  ...needs,
  async fn() {
    await using target = await startFaultServer({ fault: { type: "echo" } });
    await using client = startCode(`
      import { classify } from "#/recover/classify.ts";
      import { limit } from "#/recover/limit.ts";
      const address = { hostname: "${target.hostname}", port: ${target.port} };
      const ask = async () => {
        const connection = await Deno.connect(address);
        try {
          await connection.write(new Uint8Array(1));
          await connection.read(new Uint8Array(1));
        } finally {
          connection.close();
        }
      };
      const tally = async (how) => {
        const results = await Promise.allSettled(Array.from({ length: ${3 * ROOM} }, how));
        const nameOf = (error) => classify(error, { operation: "connect" }).scenario;
        const names = new Set(results.flatMap(({ reason }) => reason ? [nameOf(reason)] : []));
        console.log(...names, results.filter(({ status }) => status === "fulfilled").length);
      };
      Deno.addSignalListener("SIGUSR1", async () => {
        await tally(ask);
        const bounded = limit({ concurrency: ${ROOM / 2}, queue: 1000 });
        await tally(() => bounded.execute(ask));
        Deno.exit();
      });
      setInterval(() => {}, 1000); // a signal listener alone keeps no process alive
      console.log("ready");
    `);
    await client.said("ready");
    await limitFiles(client.pid);
    client.kill("SIGUSR1");
    const { stdout, stderr } = await client.result;
    const [, plain, bounded] = stdout.split("\n");
    assertEquals([plain?.startsWith("files-exhausted "), bounded, stderr], [true, `${3 * ROOM}`, ""], stdout);
  },
});

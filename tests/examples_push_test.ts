/** The tiny receivers and senders in `examples/push/`, with the library at the other end. */

import { assert, assertEquals } from "@std/assert";
import { spawn } from "node:child_process";
import { type IpcEnd, pushByIpc } from "../pipes/push/ipc.ts";
import { pushTo } from "../pipes/push/push.ts";
import { receive } from "../pipes/push/receive.ts";
import { chance } from "./_chance.ts";
import { countDescriptors, settledCount } from "./_push_sockets.ts";
import { requires, scale } from "./_require.ts";

const HERE = new URL("../examples/push/", import.meta.url).pathname;
const COUNT = scale(100, 10_000);

/** How each language makes a program of an example; Python needs none. */
const BUILD: Readonly<Record<string, (from: string, to: string) => readonly string[]>> = {
  c: (from, to) => ["gcc", "-Wall", "-Wextra", "-Werror", "-o", to, from],
  go: (from, to) => ["go", "build", "-o", to, from],
};

async function commandOf(name: string, language: string, folder: string): Promise<readonly string[]> {
  const source = `${HERE}${name}.${language}`;
  const build = BUILD[language];
  if (!build) return ["python3", source];
  const program = `${folder}/${name}`;
  const [command = "", ...args] = build(source, program);
  const { code, stderr } = await new Deno.Command(command, { args }).output();
  assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
  return [program];
}

/** Starts a program; resolves with what it says first. */
async function start(
  [command = "", ...args]: readonly string[],
): Promise<{ readonly said: string } & AsyncDisposable> {
  const child = new Deno.Command(command, { args, stdin: "null", stdout: "piped", stderr: "inherit" })
    .spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!said.includes("\n")) {
    const { value, done } = await output.read();
    if (done) throw new Error(`${command} has ended`);
    said += value;
  }
  return {
    said: said.trim(),
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await output.cancel();
      await child.status;
    },
  };
}

/** Sends bytes of a random number while the connection changes hands, and says what is wrong with what comes back. */
async function echoed(port: number, index: number): Promise<string | null> {
  const random = chance(index);
  const sent = new Uint8Array(4 + Math.floor(random() ** 3 * 200_000));
  for (let at = 0; at < sent.length; at++) sent[at] = Math.floor(random() * 256);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const answer = new Response(conn.readable).bytes();
  for (let at = 0; at < sent.length;) {
    at += await conn.write(sent.subarray(at, at + 1 + Math.floor(random() * 50_000)));
  }
  await conn.closeWrite();
  const got = await answer;
  const same = got.length === sent.length && got.every((byte, at) => byte === sent[at]);
  return same ? null : `connection ${index}: sent ${sent.length} bytes, got ${got.length}`;
}

/** Twenty-four clients at a time. */
async function clients(port: number): Promise<void> {
  let next = 0;
  const wrong: (string | null)[] = [];
  await Promise.all(Array.from({ length: 24 }, async () => {
    while (next < COUNT) wrong.push(await echoed(port, next++).catch((error) => String(error)));
  }));
  assertEquals(wrong.filter((why) => why !== null), []);
  assertEquals(wrong.length, COUNT);
}

/** Accepts, reads the first bytes of every other connection, and pushes. */
async function front(push: (conn: Deno.TcpConn, prefix: Uint8Array) => Promise<unknown>): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const pushing: Promise<unknown>[] = [];
  const accepting = (async () => {
    for await (const conn of listener) {
      pushing.push((async () => {
        const prefix = new Uint8Array(3);
        const count = pushing.length % 2 === 0 ? await conn.read(prefix) : 0;
        await push(conn, prefix.subarray(0, count ?? 0));
      })());
    }
  })();
  await clients(listener.addr.port);
  listener.close();
  await accepting;
  await Promise.all(pushing);
}

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "holdfast-examples-" });
  const before = countDescriptors();
  await run(folder);
  // The runtime keeps some that it opens at the first use: no more than a handful, whatever the count.
  assert(await settledCount(before + 8) <= before + 8);
  await Deno.remove(folder, { recursive: true });
}

for (const [language, tool] of [["py", "python3"], ["c", "gcc"], ["go", "go"]] as const) {
  const needs = requires({ os: ["linux"], tools: [tool] });

  Deno.test({
    name: `the receiver in ${tool} takes every connection, and no byte is lost`,
    ...needs,
    fn: () =>
      inFolder(async (folder) => {
        const path = `${folder}/sock`;
        await using _program = await start([...await commandOf("receive", language, folder), path]);
        await using channel = await pushTo(path, { plain: true });
        await front((conn, prefix) => channel.push(conn, { prefix, metadata: { stream: '"prefix":"' } }));
      }),
  });

  Deno.test({
    name: `the sender in ${tool} hands over every connection, and no byte is lost`,
    ...needs,
    fn: () =>
      inFolder(async (folder) => {
        const path = `${folder}/sock`;
        await using receiver = await receive(path);
        const pipes: Promise<void>[] = [];
        const receiving = (async () => {
          for await (const received of receiver) {
            assert(received.kind === "stream");
            const { pipe } = received;
            pipes.push((async () => {
              for await (const message of pipe.messages) await pipe.send(message);
              await pipe.close();
            })());
          }
        })();
        const at = language === "go" ? ["127.0.0.1:0"] : language === "c" ? ["0"] : ["127.0.0.1", "0"];
        {
          await using program = await start([...await commandOf("send", language, folder), path, ...at]);
          await clients(Number(program.said.replace("ready ", "")));
        }
        await Promise.all(pipes);
        await receiver.close();
        await receiving;
      }),
  });
}

Deno.test({
  name: "the receiver in node takes every connection, and no byte is lost",
  ...requires({ os: ["linux"], tools: ["node"] }),
  fn: () =>
    inFolder(async () => {
      const child = spawn("node", [`${HERE}receive.cjs`], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
      const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
      await new Promise<void>((resolve) => child.once("message", () => resolve()));
      await front((conn, prefix) => pushByIpc(child as IpcEnd, conn, { prefix }));
      child.disconnect();
      child.kill("SIGKILL");
      await ended;
    }),
});

Deno.test({
  name: "the sender in node hands over every connection to a child, and no byte is lost",
  ...requires({ os: ["linux"], tools: ["node"] }),
  fn: () =>
    inFolder(async (folder) => {
      const file = `${folder}/child.ts`;
      await Deno.writeTextFile(
        file,
        `
import process from "node:process";
import { receiveByIpc } from "${new URL("../pipes/push/ipc.ts", import.meta.url).href}";
const receiver = receiveByIpc(process);
process.send("ready");
for await (const { pipe } of receiver) {
  (async () => {
    for await (const message of pipe.messages) await pipe.send(message);
    await pipe.close();
  })();
}`,
      );
      const args = ["0", Deno.execPath(), "run", "--quiet", "--no-config", "--no-lock", "--no-prompt", file];
      await using program = await start(["node", `${HERE}send.cjs`, ...args]);
      await clients(Number(program.said.replace("ready ", "")));
    }),
});

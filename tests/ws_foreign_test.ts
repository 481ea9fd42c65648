/** WebSocket pipes against what others run: `npm:ws` in a process of Node. */

import { assertEquals, assertRejects } from "@std/assert";
import { createRequire } from "node:module";
import { PipeError } from "../pipes/pipe_error.ts";
import { connect, listen, type WebSocketCloseError } from "../pipes/ws.ts";
import { requires } from "./_require.ts";
import { hostOf, next, text } from "./_ws_ends.ts";

const NODE = requires({ tools: ["node"] });

/** Runs a program of Node, which finds the library as `ws` and its argument as `url`. */
function node(program: string, url = ""): Deno.ChildProcess {
  const library = createRequire(import.meta.url).resolve("ws");
  const text = `const ws = require(${JSON.stringify(library)}), url = ${JSON.stringify(url)};\n${program}`;
  return new Deno.Command("node", { args: ["-e", text], stdin: "null", stdout: "piped", stderr: "inherit" })
    .spawn();
}

/** An echo in Node that says goodbye with the code that it is told; its first line is its port. */
const ECHO = `
const server = new ws.WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: true });
server.on("connection", (socket) => socket.on("message", (data, isBinary) => {
  const code = /^close (\\d+)$/.exec(String(data));
  if (code) socket.close(Number(code[1]), "as told");
  else socket.send(data, { binary: isBinary });
}));
server.on("listening", () => console.log(server.address().port));`;

Deno.test({ name: "a client of ours talks to a server in Node, compressed or not", ...NODE }, async () => {
  await using server = node(ECHO);
  const lines = server.stdout.getReader();
  const port = Number(text((await lines.read()).value ?? null));
  const url = `ws://127.0.0.1:${port}`;
  const large = new Uint8Array(300_000).map((_, at) => at % 251);
  for (const compression of [false, true]) {
    await using pipe = await connect(url, { webSocket: { compression } });
    for (const data of ["text", "", large]) await pipe.send(data);
    assertEquals([text(await pipe.recv()), text(await pipe.recv())], ["text", ""]);
    assertEquals(await pipe.recv(), large);
    await pipe.send("close 1000");
    assertEquals(await pipe.recv(), null);
  }
  await using refused = await connect(url);
  await refused.send("close 1008");
  const error = await assertRejects(() => refused.recv(), PipeError);
  assertEquals([error.code, (error.cause as WebSocketCloseError).code], ["lost", 1008]);
  await lines.cancel();
});

/** A client in Node that sends, waits for as much, and says goodbye; it prints what it saw. */
const CLIENT = `
const socket = new ws.WebSocket(url, ["other", "mine"]);
let bytes = 0;
socket.on("open", () => { for (let n = 0; n < 256; n++) socket.send(Buffer.alloc(65536, n)); });
socket.on("message", (data, isBinary) => {
  bytes += data.length;
  if (bytes === 256 * 65536) socket.close();
});
socket.on("close", (code) => console.log(JSON.stringify({ bytes, code, protocol: socket.protocol })));`;

Deno.test(
  { name: "a client in Node floods a server of ours, and gets all of it back", ...NODE },
  async () => {
    await using server = await listen("ws://127.0.0.1:0", { webSocket: { protocols: ["mine"] } });
    const serving = next(server);
    await using client = node(CLIENT, `ws://${hostOf(server)}`);
    await using pipe = await serving;
    let messages = 0;
    for await (const message of pipe.messages) {
      assertEquals([message.length, message[0], message.at(-1)], [65536, messages, messages]);
      messages++;
      await pipe.send(message);
    }
    assertEquals(JSON.parse(await new Response(client.stdout).text()), {
      bytes: 256 * 65536,
      code: 1005,
      protocol: "mine",
    });
    assertEquals([messages, pipe.stats.bytesReceived], [256, 256 * 65536]);
  },
);

Deno.test({ name: "a process of Node that is killed is a loss", ...NODE }, async () => {
  await using server = await listen("ws://127.0.0.1:0");
  const serving = next(server);
  await using client = node(
    "new ws.WebSocket(url).on('open', function () { this.send('here') });",
    `ws://${hostOf(server)}`,
  );
  await using pipe = await serving;
  assertEquals(text(await pipe.recv()), "here");
  client.kill("SIGKILL");
  const error = await assertRejects(() => pipe.recv(), PipeError);
  assertEquals([error.code, error.failure?.kind], ["lost", "reset"]);
  await client.stdout.cancel();
});

/** Sockets for Workers of this process. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { createServer, type Socket } from "node:net";
import { FakeClock } from "../testing/fake_clock.ts";
import { PushError } from "../pipes/push/push_error.ts";
import { pushToWorker, receiveInWorker } from "../pipes/push/worker.ts";
import { runCode } from "./_code.ts";
import { countDescriptors, settledCount, tcpPair } from "./_push_sockets.ts";
import { scale } from "./_require.ts";
import { libcPath } from "./_child.ts";

const ignore = Deno.build.os === "windows";
const ROOT = new URL("..", import.meta.url);

/** Answers connections in capital letters, those of listeners as well, and datagrams. */
const ECHO = `
import { receiveInWorker } from "${ROOT.href}pipes/push/worker.ts";
const answer = async (pipe, metadata) => {
  for await (const message of pipe.messages) await pipe.send(metadata + new TextDecoder().decode(message).toUpperCase());
  await pipe.close();
};
for await (const received of receiveInWorker()) {
  const { metadata } = received;
  if (received.kind === "stream") answer(received.pipe, metadata);
  if (received.kind === "listener") {
    const server = await received.listener.pipes();
    (async () => { for await (const pipe of server) answer(pipe, metadata); })();
  }
}`;

function startWorker(code: string): Worker {
  const url = `data:text/javascript,${encodeURIComponent(code)}`;
  return new Worker(url, { type: "module" });
}

async function answerOf(client: Deno.Conn, text: string): Promise<string> {
  await client.write(new TextEncoder().encode(text));
  await (client as Deno.TcpConn).closeWrite();
  return await new Response(client.readable as ReadableStream<Uint8Array<ArrayBuffer>>).text();
}

Deno.test({
  ignore,
  name: "connections of the runtime go on in a Worker, what was read before included, and none is lost",
  async fn() {
    const worker = startWorker(ECHO);
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const once = async (index: number): Promise<void> => {
      const [client, accepted] = await Promise.all([
        Deno.connect({ port: listener.addr.port }),
        listener.accept(),
      ]);
      await client.write(new TextEncoder().encode("first "));
      const prefix = new Uint8Array(6);
      await accepted.read(prefix);
      await pushToWorker(worker, accepted, { prefix, metadata: "" });
      assertEquals(await answerOf(client, `then ${index}`), `FIRST THEN ${index}`);
    };
    await once(0);
    const before = countDescriptors();
    const count = scale(40, 400);
    for (let index = 1; index < count; index++) await once(index);
    assertEquals(await settledCount(before), before);
    worker.terminate();
  },
});

Deno.test({
  ignore,
  name: "a listener that is kept serves here and in two Workers",
  async fn() {
    const workers = ["one ", "two "].map((name) => ({ name, worker: startWorker(ECHO) }));
    const server = createServer(
      { allowHalfOpen: true },
      (socket: Socket) => void socket.resume().end("here"),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    for (const { name, worker } of workers) {
      await pushToWorker(worker, server, { keep: true, metadata: name });
    }
    const answers = new Set<string>();
    for (let n = 0; n < 20; n++) answers.add(await answerOf(await Deno.connect({ port }), "x"));
    assert([...answers].every((answer) => ["here", "one X", "two X"].includes(answer)), [...answers].join());
    await new Promise<void>((resolve) => server.close(() => resolve()));
    // Whoever is left goes on, one after the other.
    for (const { name, worker } of workers) {
      assert(["one X", "two X"].includes(await answerOf(await Deno.connect({ port }), "x")), name);
      worker.terminate();
    }
  },
});

Deno.test({
  ignore,
  name: "a Worker that does not take a socket leaves it where it was, also when it does so later",
  async fn() {
    const { port1, port2 } = new MessageChannel();
    port1.start();
    using receiver = receiveInWorker(port2);
    const { fd, peer, close } = await tcpPair();
    const socket = await ours(fd);
    const clock = new FakeClock();
    const pushing = assertRejects(
      () => pushToWorker(port1, socket, { clock, timeout: 1000 }),
      PushError,
      "1000 ms",
    );
    while (clock.pending === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    clock.tick(1000);
    assertEquals((await pushing).code, "timeout");
    const aborting = new AbortController();
    const aborted = assertRejects(
      () => pushToWorker(port1, socket, { signal: aborting.signal }),
      Error,
      "enough",
    );
    setTimeout(() => aborting.abort(new Error("enough")), 0);
    await aborted;
    // Neither of these offers stands any more.
    const next = receiver[Symbol.asyncIterator]().next();
    const pushed = pushToWorker(port1, socket, { metadata: "third" });
    const { value } = await next;
    await pushed;
    assert(value?.kind === "stream" && value.metadata === "third");
    await peer.write(new TextEncoder().encode("still open"));
    assertEquals(new TextDecoder().decode(await value.pipe.recv() ?? undefined), "still open");
    await value.pipe.close();
    close();
    port1.close();
    port2.close();
  },
});

Deno.test({
  ignore,
  name: "a receiver that is closed refuses what waits, and its owner has it still",
  async fn() {
    const { port1, port2 } = new MessageChannel();
    port1.start();
    const receiver = receiveInWorker(port2);
    const heard = new Promise<void>((resolve) => port2.addEventListener("message", () => resolve()));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const pushing = assertRejects(() => pushToWorker(port1, server), PushError, "it is closed");
    await heard;
    receiver.close();
    receiver.close();
    assertEquals((await pushing).code, "refused");
    assert(server.listening);
    await new Promise<void>((resolve) => server.close(() => resolve()));
    port1.close();
    port2.close();
  },
});

/** A socket of Node's part of a bare descriptor. */
async function ours(fd: number): Promise<Socket> {
  const { Socket } = await import("node:net");
  const options = { fd, manualStart: true, readable: true, writable: true };
  return new Socket(options);
}

const BOTH = `
import { createServer } from "node:net";
import { pushToWorker } from "#/pipes/push/worker.ts";
const worker = new Worker("data:text/javascript," + encodeURIComponent(${JSON.stringify(ECHO)}), {
  type: "module" });
const server = createServer({ pauseOnConnect: true }, async (socket) => {
  await pushToWorker(worker, socket, { metadata: "worker " });
  server.close();
});
server.listen(0, "127.0.0.1", async () => {
  const client = await Deno.connect({ port: server.address().port });
  await client.write(new TextEncoder().encode("x"));
  await client.closeWrite();
  console.log(await new Response(client.readable).text());
  worker.terminate();
});`;

Deno.test({
  ignore,
  name: "sockets go to Workers without the C library, and with it",
  async fn() {
    for (const ffi of [[], [`--allow-ffi=${libcPath()}`]]) {
      const flags = ["--no-prompt", "--allow-net=127.0.0.1,0.0.0.0", `--allow-read=${ROOT.pathname}`, ...ffi];
      assertEquals(await runCode(BOTH, { flags }), { code: 0, stdout: "worker X\n", stderr: "" });
    }
  },
});

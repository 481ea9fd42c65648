import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { WebSocket as NpmWebSocket } from "ws";
import { PipeError } from "./pipe_error.ts";
import { pipeFromWebSocket, upgradePipe, type UpgradePipeOptions } from "./web_socket.ts";
import type { WebSocketPipe } from "./pipe.ts";
import { connect } from "./ws.ts";
import { foreignServer, settled, text } from "../tests/_ws_ends.ts";

/** A server of the runtime that makes a pipe of each request. */
function serve(
  take: (pipe: WebSocketPipe) => void,
  options: UpgradePipeOptions = {},
): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request, info) => {
    const { response, pipe } = upgradePipe(request, { info, ...options });
    take(pipe);
    return response;
  });
}

const failed = async (promise: Promise<unknown>): Promise<PipeError> =>
  await assertRejects(() => promise, PipeError);

Deno.test("a WebSocket of the runtime becomes a pipe before it is open, and carries text and bytes both ways", async () => {
  const accepted = Promise.withResolvers<WebSocketPipe>();
  await using server = serve(accepted.resolve, { protocols: ["chat"] });
  const socket = new WebSocket(`ws://127.0.0.1:${server.addr.port}`, ["other", "chat"]);
  await using client = pipeFromWebSocket(socket);
  await client.send("text");
  await client.send(new Uint8Array([0, 255]));
  await using pipe = await accepted.promise;
  await pipe.send("welcome");
  assertEquals([text(await pipe.recv()), await pipe.recv()], ["text", new Uint8Array([0, 255])]);
  assertEquals(text(await client.recv()), "welcome");
  assertEquals([pipe.transport, pipe.remoteAddress.hostname, pipe.localAddress.port], [
    "ws",
    "127.0.0.1",
    server.addr.port,
  ]);
  assertEquals([pipe.remoteAddress.port > 0, client.remoteAddress.port], [true, server.addr.port]);
});

Deno.test("the subprotocol is the server's favourite among those offered, and both ends know it", async () => {
  const protocols: (string | null)[] = [];
  await using server = serve((pipe) => protocols.push(pipe.protocol), { protocols: ["b", "a"] });
  for (const offered of [["a", "b"], ["a"], []]) {
    await using pipe = await connect(`ws://127.0.0.1:${server.addr.port}`, {
      webSocket: { protocols: offered },
    });
    protocols.push(pipe.protocol);
  }
  assertEquals(protocols, ["b", "b", "a", "a", null, null]);
});

Deno.test("a list of subprotocols is understood without blanks, too", async () => {
  const accepted = Promise.withResolvers<WebSocketPipe>();
  await using server = serve(accepted.resolve, { protocols: ["b"] });
  // It writes "a,b".
  const socket = new NpmWebSocket(`ws://127.0.0.1:${server.addr.port}`, ["a", "b"]);
  const closed = new Promise((resolve) => socket.on("close", resolve));
  await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
  const pipe = await accepted.promise;
  assertEquals([socket.protocol, pipe.protocol], ["b", "b"]);
  await pipe.close();
  await closed;
});

Deno.test("both kinds of ends tell a goodbye, a loss, and their own closing apart", async () => {
  const ends: ((pipe: WebSocketPipe) => void)[] = [
    (pipe) => void pipe.send("before").then(() => pipe.close()),
    (pipe) => pipe.abort(),
  ];
  await using server = serve((pipe) => ends.shift()?.(pipe));
  const url = `ws://127.0.0.1:${server.addr.port}`;
  await using ended = await connect(url);
  assertEquals([text(await ended.recv()), await ended.recv()], ["before", null]);
  await using aborted = await connect(url);
  const error = await failed(aborted.recv());
  assertEquals([error.code, error.failure?.kind, (error.cause as { code: number }).code], [
    "lost",
    "protocol",
    4000,
  ]);

  await using foreign = await foreignServer((socket) => socket.terminate());
  await using lost = pipeFromWebSocket(new WebSocket(foreign.url));
  assertEquals((await failed(lost.recv())).failure?.kind, "reset");

  await using quiet = await foreignServer(() => {});
  const own = pipeFromWebSocket(new WebSocket(quiet.url));
  await own.send("x");
  const reading = failed(own.recv());
  await own.close();
  assertEquals((await reading).code, "closed");
  assertEquals((await failed(own.send("x"))).code, "closed");
});

Deno.test("a WebSocket that never opens is a loss, for those who read and for those who send", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  await using pipe = pipeFromWebSocket(new WebSocket(`ws://127.0.0.1:${port}`));
  const reading = failed(pipe.recv());
  await pipe.send("x");
  assertEquals((await reading).code, "lost");
  assertEquals((await failed(pipe.flush())).code, "lost");
});

Deno.test("more than may wait ends the pipe, and the other end hears why; what came before is there", async () => {
  const codes = Promise.withResolvers<number>();
  await using server = await foreignServer((socket) => {
    socket.on("close", codes.resolve);
    for (let n = 0; n < 100; n++) socket.send(new Uint8Array(1000));
  });
  await using pipe = pipeFromWebSocket(new WebSocket(server.url), { maxUnread: 10_000 });
  assertEquals(await codes.promise, 4009);
  let received = 0;
  const error = await failed((async () => {
    for await (const { length } of pipe.messages) received += length;
  })());
  assertEquals([error.code, pipe.state.type], ["queue-full", "failed"]);
  assert(received >= 9000 && received <= 11_000, `${received} bytes were received`);
});

Deno.test("who sends by a WebSocket of the runtime is held back by one that does not read", async () => {
  const paused = Promise.withResolvers<{ resume(): void }>();
  let received = 0;
  await using server = await foreignServer((socket) => {
    socket.on("message", (data) => received += data.length);
    socket.pause();
    paused.resolve(socket as unknown as { resume(): void });
  });
  await using pipe = pipeFromWebSocket(new WebSocket(server.url));
  const message = new Uint8Array(64 * 1024);
  const sending = (async () => {
    for (let n = 0; n < 512; n++) await pipe.send(message);
    await pipe.flush();
  })();
  const sent = await settled(() => pipe.stats.bytesSent);
  assert(sent < 16 * 1024 * 1024, `${sent} bytes were sent`);
  (await paused.promise).resume();
  await sending;
  await pipe.close();
  assertEquals(received, 512 * message.length);
});

Deno.test("a WebSocket of npm:ws is held back while nobody reads, and can be asked for a sign of life", async () => {
  const accepted = Promise.withResolvers<WebSocketPipe>();
  const remoteAddress = { transport: "ws", hostname: "192.0.2.1", port: 5 } as const;
  await using server = await foreignServer((socket) => {
    const options = { remoteAddress, webSocket: { heartbeat: {} } };
    accepted.resolve(
      pipeFromWebSocket(socket as unknown as Parameters<typeof pipeFromWebSocket>[0], options),
    );
  });
  await using client = await connect(server.url);
  await using pipe = await accepted.promise;
  await new Promise((resolve) => pipe.on("proven", resolve));
  assertEquals(pipe.remoteAddress, remoteAddress);
  const message = new Uint8Array(64 * 1024);
  const sending = (async () => {
    for (let n = 0; n < 512; n++) await client.send(message);
  })();
  const sent = await settled(() => client.stats.bytesSent);
  assert(sent < 16 * 1024 * 1024, `${sent} bytes were sent`);
  for (let n = 0; n < 512; n++) assertEquals((await pipe.recv())?.length, message.length);
  await sending;
});

Deno.test("what cannot be adopted is a mistake of the caller", async () => {
  assertThrows(() => upgradePipe(new Request("http://localhost/")), TypeError, "asks for no WebSocket");
  await using server = await foreignServer(() => {});
  const socket = new WebSocket(server.url);
  assertThrows(
    () => pipeFromWebSocket(socket, { webSocket: { heartbeat: {} } }),
    TypeError,
    "the runtime's cannot",
  );
  assertThrows(() => pipeFromWebSocket(socket, { maxUnread: -1 }), RangeError, "maxUnread");
  const closed = new Promise((resolve) => socket.onclose = resolve);
  socket.onopen = () => socket.close();
  await closed;
});

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { startFaultServer } from "../testing/fault_server.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { dialMemory } from "../recover/dial_memory.ts";
import { connect as plainConnect } from "./connect.ts";
import type { WebSocketPipe } from "./pipe.ts";
import { PipeError } from "./pipe_error.ts";
import type { PipeServer } from "./server.ts";
import { connect, listen, WebSocketCloseError } from "./ws.ts";
import { ends, foreignServer, hostOf, next, settled, text } from "../tests/_ws_ends.ts";

const failed = async (promise: Promise<unknown>): Promise<PipeError> =>
  await assertRejects(() => promise, PipeError);

/** What a server tells of a client that it does not take. */
function refusal(server: PipeServer<WebSocketPipe>): Promise<string> {
  return new Promise((resolve) => server.on("refused", ({ error }) => resolve((error as Error).message)));
}

Deno.test("each message arrives as it was sent, in order, the empty and the large one too", async () => {
  await using two = await ends();
  const large = crypto.getRandomValues(new Uint8Array(65_536)).reduce((all, byte, at) => {
    for (let n = 0; n < 16; n++) all[at * 16 + n] = byte;
    return all;
  }, new Uint8Array(1 << 20));
  for (const from of [two.client, two.accepted]) {
    const to = from === two.client ? two.accepted : two.client;
    const sending = Promise.all([
      from.send("first"),
      from.send(new Uint8Array()),
      from.send(large),
      from.send("last"),
    ]);
    assertEquals(text(await to.recv()), "first");
    assertEquals(await to.recv(), new Uint8Array());
    assertEquals(await to.recv(), large);
    assertEquals(text(await to.recv()), "last");
    await sending;
  }
  const { remoteAddress, localAddress, transport } = two.client;
  assertEquals([transport, localAddress, remoteAddress], [
    "ws",
    two.accepted.remoteAddress,
    two.accepted.localAddress,
  ]);
});

Deno.test("text is sent as text and bytes as bytes, or all as bytes where that is asked for", async () => {
  const kinds: boolean[] = [];
  await using server = await foreignServer((socket) =>
    socket.on("message", (data, isBinary) => {
      kinds.push(isBinary);
      socket.send(data);
    })
  );
  for (const binary of [false, true]) {
    await using pipe = await connect(server.url, { webSocket: { binary } });
    for (const data of ["text", new Uint8Array([1])]) {
      await pipe.send(data);
      await pipe.recv();
    }
  }
  assertEquals(kinds, [false, true, true, true]);
});

Deno.test("the goodbyes 1000 and 1001, and one without a code, are an end, and any other is a loss that says its code", async () => {
  const codes: (number | undefined)[] = [1000, 1001, undefined, 1011, 1012, 4321];
  await using server = await foreignServer((socket) => {
    socket.send("before");
    socket.close(codes.shift(), "so");
  });
  for (let n = 0; n < 3; n++) {
    await using pipe = await connect(server.url);
    assertEquals(text(await pipe.recv()), "before");
    assertEquals(await pipe.recv(), null);
    await pipe.closed;
  }
  for (const [code, scenarioKind] of [[1011, "reset"], [1012, "reset"], [4321, "protocol"]] as const) {
    await using pipe = await connect(server.url);
    assertEquals(text(await pipe.recv()), "before");
    const error = await failed(pipe.recv());
    const { cause } = error;
    assert(cause instanceof WebSocketCloseError);
    assertEquals([error.code, error.failure?.kind, cause.code, cause.reason], [
      "lost",
      scenarioKind,
      code,
      "so",
    ]);
  }
});

Deno.test("a connection that ends without a goodbye is a loss, after what came before", async () => {
  await using server = await foreignServer((socket) => {
    socket.send("before");
    socket.on("message", () => socket.terminate());
  });
  await using pipe = await connect(server.url);
  await pipe.send("go");
  assertEquals(text(await pipe.recv()), "before");
  const error = await failed(pipe.recv());
  assertEquals([error.code, error.failure?.kind, (error.cause as WebSocketCloseError).code], [
    "lost",
    "reset",
    1006,
  ]);
});

Deno.test("closing says goodbye with 1000 after what was sent; aborting says nothing, and the other end has a loss", async () => {
  const codes: number[] = [];
  const heard: string[] = [];
  const over = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using server = await foreignServer((socket) => {
    socket.on("message", (data) => heard.push(text(data) ?? ""));
    socket.on("close", (code) => over[codes.push(code) - 1]?.resolve());
  });
  const closing = await connect(server.url);
  const pending = failed(closing.recv());
  await closing.send("last words");
  await closing.close();
  assertEquals((await pending).code, "closed");
  await over[0]?.promise;
  const aborted = await connect(server.url);
  aborted.abort();
  await over[1]?.promise;
  assertEquals([codes, heard], [[1000, 1006], ["last words"]]);
});

Deno.test("an answer that is no WebSocket says why, and is asked for again only where that helps", async () => {
  const answers: Record<string, () => Response> = {
    "/401": () => new Response(null, { status: 401 }),
    "/403": () => new Response("no", { status: 403 }),
    "/404": () => new Response(null, { status: 404 }),
    "/407": () => new Response(null, { status: 407 }),
    "/429": () => new Response(null, { status: 429, headers: { "retry-after": "7" } }),
    "/302": () => Response.redirect("http://127.0.0.1:9/elsewhere"),
    "/200": () => new Response("<html>please log in</html>"),
  };
  const asked: string[] = [];
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    return answers[pathname]?.() ?? new Response(null, { status: 500 });
  });
  const told: Record<string, unknown> = {};
  for (const path of Object.keys(answers)) {
    const retry = path === "/429" ? { retry: false } as const : {};
    const { code, failure } = await failed(connect(`ws://127.0.0.1:${server.addr.port}${path}`, retry));
    told[path] = `${code} ${failure?.kind} ${failure?.retry} ${failure?.retryAfter}`;
  }
  assertEquals(told, {
    "/401": "connect permission never null",
    "/403": "connect permission never null",
    "/404": "connect protocol never null",
    "/407": "connect permission never null",
    "/429": "connect exhausted later 7000",
    "/302": "connect protocol never null",
    "/200": "connect protocol never null",
  });
  assertEquals(asked, Object.keys(answers));
});

Deno.test("what is no HTTP at all, and a handshake that is wrong, are answers of another protocol", async () => {
  const answers = [
    "SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: x\r\n\r\n",
  ];
  for (const answer of answers) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const serving = listener.accept().then(async (conn) => {
      await conn.read(new Uint8Array(4096));
      await conn.write(new TextEncoder().encode(answer));
      // Until the client has gone.
      while (await conn.read(new Uint8Array(4096)).catch(() => null) !== null);
      conn.close();
    });
    const { port } = listener.addr as Deno.NetAddr;
    const { failure } = await failed(connect(`ws://127.0.0.1:${port}`, { retry: false }));
    assertEquals([failure?.kind, failure?.retry], ["protocol", "never"]);
    await serving;
  }
});

Deno.test("a server answers each wrong request, tells of it, and goes on", async () => {
  await using server = await listen("ws://127.0.0.1:0/chat", {
    webSocket: { allow: ({ headers }) => headers.get("origin") !== "https://evil.example" },
  });
  const serving = next(server);
  const base = `http://${hostOf(server)}`;
  const wrong: readonly (readonly [() => Promise<unknown>, string])[] = [
    [async () => assertEquals((await fetch(`${base}/chat`).then(drained)).status, 426), "something else"],
    [() => failed(connect(`ws://${hostOf(server)}/other`)), 'the client asked for "/other"'],
    [
      () =>
        failed(
          connect(`ws://${hostOf(server)}/chat`, {
            webSocket: { headers: { origin: "https://evil.example" } },
          }),
        ),
      "not let in",
    ],
    [() => spoken(hostOf(server), "GARBAGE\r\n\r\n", "400"), "none of HTTP"],
    [() => spoken(hostOf(server), "", ""), "the connection ended"],
  ];
  for (const [act, message] of wrong) {
    const told = refusal(server);
    await act();
    assertStringIncludes(await told, message);
  }
  await using client = await connect(`${server.url}?room=1`);
  await using accepted = await serving;
  await client.send("hello");
  assertEquals(text(await accepted.recv()), "hello");
});

Deno.test("a client that never asks is cut when its time is up", async () => {
  const clock = new FakeClock();
  await using server = await listen("ws://127.0.0.1:0", { handshakeTimeout: 5000, clock });
  // Nobody comes; the server ends before.
  const serving = assertRejects(() => next(server), Error, "the server has ended");
  const told = refusal(server);
  using conn = await Deno.connect({ port: Number(hostOf(server).split(":")[1]) });
  await conn.write(new TextEncoder().encode("GET / HTTP/1.1\r\nhost: x\r\n"));
  const cut = conn.read(new Uint8Array(1)).catch(() => null);
  while (server.connections === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await clock.tickAsync(5000);
  assertEquals(await cut, null);
  await told;
  await server.close();
  await serving;
});

Deno.test("a message that is too long ends the pipe by an error of the protocol, and the other end hears 1009", async () => {
  const closed = Promise.withResolvers<number>();
  await using server = await foreignServer((socket) => {
    socket.on("close", closed.resolve);
    socket.send(new Uint8Array(1001));
  });
  await using pipe = await connect(server.url, { webSocket: { maxPayload: 1000 } });
  const error = await failed(pipe.recv());
  assertEquals([error.code, await closed.promise], ["protocol", 1009]);
  assertStringIncludes(error.message, "Max payload size exceeded");
});

Deno.test("the server's favourite among the offered subprotocols is agreed on, and none of them is a failure", async () => {
  await using two = await ends({
    server: { webSocket: { protocols: ["b", "a"] } },
    client: { webSocket: { protocols: ["a", "b"] } },
  });
  assertEquals([two.client.protocol, two.accepted.protocol], ["b", "b"]);
  const serving = next(two.server);
  const { failure } = await failed(
    connect(`ws://${hostOf(two.server)}`, { webSocket: { protocols: ["c"] } }),
  );
  assertEquals([failure?.kind, failure?.retry], ["protocol", "never"]);
  // The server cannot know; its end is lost at once.
  const lost = await serving;
  assertEquals([lost.protocol, (await failed(lost.recv())).code], [null, "lost"]);
});

Deno.test("who sends to one that does not read is held back, and nothing is lost, whichever end it is", async () => {
  await using two = await ends();
  const message = new Uint8Array(64 * 1024);
  for (const from of [two.client, two.accepted]) {
    const to = from === two.client ? two.accepted : two.client;
    const count = 1024;
    const before = from.stats.bytesSent;
    const sending = (async () => {
      for (let n = 0; n < count; n++) await from.send(message);
      await from.flush();
    })();
    const sent = await settled(() => from.stats.bytesSent) - before;
    // What the system holds for a connection, and what is read ahead; 64 MiB are waiting.
    assert(sent < 24 * 1024 * 1024, `${sent} bytes were sent`);
    assert(from.bufferedAmount <= 2 * 64 * 1024, `${from.bufferedAmount} bytes wait`);
    for (let n = 0; n < count; n++) assertEquals((await to.recv())?.length, message.length);
    await sending;
  }
});

Deno.test("one that floods with empty messages is held back as well, and costs no more memory", async () => {
  await using server = await listen("ws://127.0.0.1:0");
  const serving = next(server);
  using conn = await upgraded(hostOf(server));
  await using pipe = await serving;
  const before = Deno.memoryUsage().heapUsed;
  // A frame without content, masked by zeros: FIN and binary, mask bit and length 0, four bytes of mask.
  const frames = new Uint8Array(60_000).map((_, at) => [0x82, 0x80][at % 6] ?? 0);
  let sent = 0;
  const flooding = (async () => {
    for (let at = 0;; at %= frames.length) {
      const count = await conn.write(frames.subarray(at));
      at += count;
      sent += count;
    }
  })().catch(() => {});
  const taken = await settled(() => sent);
  assert(taken < 24 * 1024 * 1024, `${taken} bytes were taken`);
  const cost = Deno.memoryUsage().heapUsed - before;
  assert(cost < 32 * 1024 * 1024, `${cost} bytes of memory`);
  for (let n = 0; n < 20_000; n++) assertEquals(await pipe.recv(), new Uint8Array());
  pipe.abort();
  await flooding;
});

Deno.test("a heartbeat proves the other end and measures the way", async () => {
  await using server = await startFaultServer({ fault: { type: "websocket" } });
  await using pipe = await connect(`ws://127.0.0.1:${server.port}`, { webSocket: { heartbeat: {} } });
  await new Promise((resolve) => pipe.on("proven", resolve));
  assertEquals([pipe.proven, typeof pipe.stats.roundTrip], [true, "number"]);
});

Deno.test("without an answer to two pings the pipe is suspect, then lost, although no error says so", async () => {
  const clock = new FakeClock();
  await using server = await startFaultServer({ fault: { type: "websocket-half-open", after: 1 } });
  const heartbeat = { interval: 1000, timeout: 500 };
  const pipe = await connect(`ws://127.0.0.1:${server.port}`, { webSocket: { heartbeat }, clock });
  await pipe.send("hello");
  assertEquals(text(await pipe.recv()), "hello");
  const told: string[] = [];
  pipe.on("suspect", () => told.push("suspect"));
  await clock.tickAsync(1000 + 500);
  assertEquals([told, pipe.proven, pipe.state.type], [["suspect"], false, "open"]);
  await clock.tickAsync(500);
  const { code, failure } = await failed(pipe.closed);
  assertEquals([code, failure?.kind, failure?.scenario], ["lost", "timeout", "websocket-half-open"]);
});

Deno.test("a half-open connection is replaced by a new one, and the pipe goes on", async () => {
  const clock = new FakeClock();
  await using server = await startFaultServer({ fault: { type: "websocket-half-open" } });
  const heartbeat = { interval: 1000, timeout: 500 };
  const options = { webSocket: { heartbeat }, reconnect: true, clock };
  await using pipe = await connect(`ws://127.0.0.1:${server.port}`, options);
  server.setFault({ type: "websocket" });
  let ups = 0;
  pipe.on("up", () => ups++);
  while (ups < 2) {
    await clock.tickAsync(100);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  await pipe.send("again");
  assertEquals([text(await pipe.recv()), pipe.stats.reconnects], ["again", 1]);
});

Deno.test("the other end is not judged while we do not read, and what it sent is all there", async () => {
  const clock = new FakeClock();
  const count = 256;
  await using server = await foreignServer((socket) => {
    for (let n = 0; n < count; n++) socket.send(new Uint8Array(64 * 1024));
  });
  const heartbeat = { interval: 1000, timeout: 500 };
  await using pipe = await connect(server.url, { webSocket: { heartbeat }, clock });
  assertEquals((await pipe.recv())?.length, 64 * 1024);
  for (let n = 0; n < 20; n++) {
    await clock.tickAsync(500);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assertEquals(pipe.state.type, "open");
  for (let n = 1; n < count; n++) assertEquals((await pipe.recv())?.length, 64 * 1024);
});

Deno.test("closing does not wait for ever for a goodbye", async () => {
  const clock = new FakeClock();
  await using server = await startFaultServer({ fault: { type: "websocket-half-open" } });
  const pipe = await connect(`ws://127.0.0.1:${server.port}`, { clock });
  let closed = false;
  const closing = pipe.close().then(() => closed = true);
  await clock.tickAsync(1999);
  assertEquals(closed, false);
  await clock.tickAsync(1);
  await closing;
});

Deno.test("an address that accepts and is silent does not win the race", async () => {
  await using server = await listen("ws://127.0.0.3:0");
  const { port } = server.addresses[0] ?? { port: 0 };
  await using silent = await startFaultServer({ fault: { type: "silent" }, hostname: "127.0.0.2", port });
  const resolver = (_name: string, type: string): Promise<readonly string[]> =>
    Promise.resolve(type === "A" ? ["127.0.0.2", "127.0.0.3"] : []);
  const serving = next(server);
  await using pipe = await connect(`ws://two.test:${port}`, { resolver, memory: dialMemory() });
  await using accepted = await serving;
  assertEquals([pipe.remoteAddress.hostname, silent.connections], ["127.0.0.3", 1]);
  await accepted.send("here");
  assertEquals(text(await pipe.recv()), "here");
});

Deno.test("wss: the certificate is checked, and both ends know what carries them", async () => {
  const authority = await makeTestAuthority();
  const { cert, key } = await authority.issue({ names: ["localhost", "127.0.0.1"] });
  await using server = await listen("wss://127.0.0.1:0", { tls: { cert, key } });
  const serving = next(server);
  const { failure } = await failed(connect(`wss://${hostOf(server)}`));
  assertEquals(failure?.kind, "tls");
  await using pipe = await connect(`wss://${hostOf(server)}`, { tls: { caCerts: [authority.cert] } });
  await using accepted = await serving;
  await pipe.send("secret");
  assertEquals(text(await accepted.recv()), "secret");
  assertEquals([pipe.transport, accepted.transport, accepted.remoteAddress.transport], ["wss", "wss", "wss"]);
});

Deno.test("an attempt that is called off, at any moment, leaves nothing behind", async () => {
  await using server = await listen("ws://127.0.0.1:0");
  const accepting = (async () => {
    for await (const pipe of server) pipe.abort();
  })();
  for (let turns = 0; turns < 40; turns++) {
    const stop = new AbortController();
    const reason = new Error("enough");
    const connecting = connect(`ws://${hostOf(server)}`, { signal: stop.signal });
    for (let n = 0; n < turns; n++) await new Promise((resolve) => setTimeout(resolve, n % 8 === 0 ? 1 : 0));
    stop.abort(reason);
    await connecting.then((pipe) => pipe.abort(), (error) => assertEquals(error, reason));
  }
  await server.close();
  await accepting;
});

Deno.test("options that make no sense are a mistake of the caller, told before anything is sent", async () => {
  const url = "ws://127.0.0.1:1";
  await assertRejects(() => connect(url, { webSocket: { protocols: ["a b"] } }), TypeError, 'got "a b"');
  await assertRejects(
    () => connect(url, { webSocket: { protocols: ["a", "a"] } }),
    TypeError,
    "stands there once",
  );
  await assertRejects(() => connect(url, { webSocket: { maxPayload: 2 ** 31 } }), RangeError, "maxPayload");
  await assertRejects(
    () => connect(url, { webSocket: { heartbeat: { interval: 0 } } }),
    RangeError,
    "interval",
  );
  await assertRejects(() => connect(url, { webSocket: { headers: { "x y": "" } } }), TypeError, '"x y"');
  await assertRejects(() => plainConnect(url), TypeError, "@holdfast/net/pipes/ws");
});

async function drained(response: Response): Promise<Response> {
  await response.body?.cancel();
  return response;
}

/** A connection on which the handshake was done by hand. */
async function upgraded(host: string): Promise<Deno.TcpConn> {
  const [hostname, port] = host.split(":");
  const conn = await Deno.connect({ hostname: hostname ?? "", port: Number(port) });
  const lines = ["GET / HTTP/1.1", `host: ${host}`, "upgrade: websocket", "connection: upgrade"];
  lines.push("sec-websocket-version: 13", "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==", "", "");
  await conn.write(new TextEncoder().encode(lines.join("\r\n")));
  const answer = new Uint8Array(1024);
  assertStringIncludes(text(answer.subarray(0, await conn.read(answer) ?? 0)) ?? "", "HTTP/1.1 101");
  return conn;
}

/** Says something to a server, and reads its answer to the end. */
async function spoken(host: string, request: string, answer: string): Promise<void> {
  const [hostname, port] = host.split(":");
  const conn = await Deno.connect({ hostname: hostname ?? "", port: Number(port) });
  await conn.write(new TextEncoder().encode(request));
  await conn.closeWrite();
  const received = await new Response(conn.readable).text();
  assertStringIncludes(received, answer);
}

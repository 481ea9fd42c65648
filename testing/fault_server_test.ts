import { connect as connectNode } from "node:net";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { HoldfastError } from "../internal/errors.ts";
import { makeTestAuthority } from "./certificates.ts";
import { FakeClock } from "./fake_clock.ts";
import type { Fault } from "./fault.ts";
import { type FaultServer, type FaultServerOptions, startFaultServer } from "./fault_server.ts";

const authority = await makeTestAuthority();
const tls = await authority.issue();
const caCerts = [authority.cert];
const ENCODER = new TextEncoder();

/** What reads see until the end or an error. */
async function readAll(connection: Deno.Conn): Promise<{ text: string; end: string }> {
  const buffer = new Uint8Array(65_536);
  let text = "";
  try {
    while (true) {
      const count = await connection.read(buffer);
      if (count === null) return { text, end: "end" };
      text += new TextDecoder().decode(buffer.subarray(0, count));
    }
  } catch (error) {
    return { text, end: (error as Error).name };
  }
}

/** Sends something by TCP or TLS, and says what came back and how it ended. */
async function talk(server: FaultServer, sent: string, secure = false): Promise<[string, string]> {
  const { hostname, port } = server;
  using connection = secure
    ? await Deno.connectTls({ hostname, port, caCerts })
    : await Deno.connect({ hostname, port });
  await connection.write(ENCODER.encode(sent));
  const { text, end } = await readAll(connection);
  return [text, end];
}

function start(fault: Fault, options: Partial<FaultServerOptions> = {}): Promise<FaultServer> {
  return startFaultServer({ ...options, fault });
}

Deno.test("a server that echoes is well: over TCP and over TLS, and it answers the end by an end", async () => {
  for (const secure of [false, true]) {
    await using server = await start({ type: "echo" }, secure ? { tls } : {});
    const { hostname, port } = server;
    using connection = secure
      ? await Deno.connectTls({ hostname, port, caCerts })
      : await Deno.connect({ hostname, port });
    await connection.write(ENCODER.encode("hello"));
    await connection.closeWrite();
    assertEquals(await readAll(connection), { text: "hello", end: "end" });
  }
});

Deno.test("a server that echoes sends back a whole megabyte", async () => {
  await using server = await start({ type: "echo" });
  using connection = await Deno.connect(server);
  const bytes = new Uint8Array(1 << 20).fill(0x61);
  const writing = (async () => {
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    await connection.closeWrite();
  })();
  assertEquals((await readAll(connection)).text.length, bytes.length);
  await writing;
});

Deno.test("silent-after-accept: the connection opens, and nothing comes, nor does a TLS handshake end", async () => {
  await using server = await start({ type: "silent" }, { tls });
  using connection = await Deno.connect(server);
  await connection.write(ENCODER.encode("anybody there?"));
  const reading = readAll(connection);
  await server.connected(1);
  assertEquals(server.open, 1);
  const { hostname, port } = server;
  using secure = await Deno.startTls(await Deno.connect({ hostname, port }), { caCerts });
  const shaking = secure.handshake().then(() => "done", (error: Error) => error.name);
  await server.connected(2);
  server.cut("end");
  assertEquals([(await reading).end, await shaking], ["end", "UnexpectedEof"]);
});

Deno.test("silent-after-accept: where the TLS handshake is done, nothing comes after it", async () => {
  await using server = await start({ type: "silent", handshake: true }, { tls });
  const { hostname, port } = server;
  using connection = await Deno.connectTls({ hostname, port, caCerts });
  await connection.handshake();
  const reading = readAll(connection);
  server.cut("reset");
  assertEquals(await reading, { text: "", end: "ConnectionReset" });
});

Deno.test("handshake-cut: half a handshake ends in silence, in an end, or in a reset", async () => {
  await using server = await start({ type: "half-handshake", answer: 7, then: "end" });
  const { hostname, port } = server;
  const shake = async () => {
    using connection = await Deno.connectTls({ hostname, port, caCerts });
    await connection.handshake();
  };
  await assertRejects(shake, Deno.errors.UnexpectedEof);
  server.setFault({ type: "half-handshake", then: "reset" });
  await assertRejects(shake, Deno.errors.ConnectionReset);
  server.setFault({ type: "half-handshake", answer: 3 });
  using connection = await Deno.connect({ hostname, port });
  await connection.write(Uint8Array.of(0x16));
  const buffer = new Uint8Array(100);
  assertEquals(await connection.read(buffer), 3);
  assertEquals([...buffer.subarray(0, 3)], [0x16, 0x03, 0x03]);
  const rest = readAll(connection);
  server.cut("end");
  assertEquals(await rest, { text: "", end: "end" });
});

Deno.test("reset-by-peer: so many bytes come back, and then a reset", async () => {
  await using server = await start({ type: "reset", after: 5 });
  assertEquals(await talk(server, "hello"), ["hello", "ConnectionReset"]);
  server.setFault({ type: "reset", after: 2 });
  assertEquals(await talk(server, "hello"), ["he", "ConnectionReset"]);
  server.setFault({ type: "reset" });
  // The reset may be there before the connect has returned.
  const [, end] = await talk(server, "x").catch((error: Error) => ["", error.name]);
  assertEquals([end, server.connections], ["ConnectionReset", 3]);
});

Deno.test("end-without-goodbye: so many bytes come back, then a clean end; what is written later breaks", async () => {
  await using server = await start({ type: "end", after: 5 });
  using connection = await Deno.connect(server);
  await connection.write(ENCODER.encode("hello"));
  assertEquals(await readAll(connection), { text: "hello", end: "end" });
  await assertRejects(async () => {
    while (true) await connection.write(ENCODER.encode("more"));
  }, Deno.errors.BrokenPipe);
});

Deno.test("tls-truncated: TLS without its goodbye is an unexpected end, with it a clean one", async () => {
  await using server = await start({ type: "close-without-notify", after: 5 }, { tls });
  assertEquals(await talk(server, "hello", true), ["hello", "UnexpectedEof"]);
  server.setFault({ type: "end", after: 5 });
  assertEquals(await talk(server, "hello", true), ["hello", "end"]);
  server.setFault({ type: "reset", after: 5 });
  assertEquals(await talk(server, "hello", true), ["hello", "ConnectionReset"]);
});

Deno.test("drip: one byte per interval, for as long as somebody listens", async () => {
  const clock = new FakeClock();
  await using server = await start({ type: "drip", interval: 1000, text: "ab" }, { clock });
  using connection = await Deno.connect(server);
  await server.connected(1);
  const buffer = new Uint8Array(10);
  for (const expected of ["a", "b", ".", "."]) {
    const reading = connection.read(buffer);
    clock.tick(999);
    clock.tick(1);
    assertEquals(new TextDecoder().decode(buffer.subarray(0, await reading ?? 0)), expected);
  }
});

Deno.test("drip: leaves no timer when the connection is gone", async () => {
  const clock = new FakeClock();
  const server = await start({ type: "drip" }, { clock });
  using _connection = await Deno.connect(server);
  await server.connected(1);
  assertEquals(clock.pending, 1);
  await server.close();
  assertEquals(clock.pending, 0);
});

Deno.test("reader-stalled: what is written is never read, until no more fits", async () => {
  await using server = await start({ type: "never-read" });
  const socket = connectNode(server.port, server.hostname);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await new Promise((resolve) => socket.once("connect", resolve));
  // The kernel takes some MiB; 64 MiB do not fit, so that write stays pending.
  const written = new Promise((resolve) => socket.write(new Uint8Array(64 << 20), resolve));
  const size = 64 << 20;
  while (socket.bytesWritten < size && socket.writableLength === 0) await server.connected(1);
  assert(socket.writableLength > 0);
  socket.on("error", () => {});
  server.cut("reset");
  assert(await written instanceof Error);
  await closed;
});

Deno.test("early-reply: the answer can be read although the upload breaks", async () => {
  await using server = await start({ type: "early-reply" });
  using connection = await Deno.connect(server);
  await assertRejects(async () => {
    while (true) await connection.write(new Uint8Array(65_536));
  });
  assertEquals((await readAll(connection)).text, "too much");
});

Deno.test("not-tls: plain text where TLS is expected is named as such", async () => {
  await using server = await start({ type: "not-tls" }, { tls });
  const { hostname, port } = server;
  await assertRejects(
    async () => {
      using connection = await Deno.connectTls({ hostname, port, caCerts });
      await connection.handshake();
    },
    Deno.errors.InvalidData,
    "InvalidContentType",
  );
});

Deno.test("a server that is healed serves new connections, and those that are open go on as they began", async () => {
  await using server = await start({ type: "silent" });
  using old = await Deno.connect(server);
  await server.connected(1);
  server.setFault({ type: "end", after: 2 });
  assertEquals(server.fault, { type: "end", after: 2 });
  assertEquals(await talk(server, "ok"), ["ok", "end"]);
  const reading = readAll(old);
  server.cut("end");
  assertEquals(await reading, { text: "", end: "end" });
});

Deno.test("a server that is closed says so to those who wait, and closes its connections; twice is fine", async () => {
  const server = await start({ type: "echo" });
  using connection = await Deno.connect(server);
  await server.connected(1);
  const waiting = assertRejects(() => server.connected(2), HoldfastError, "Cannot wait for 2 connections");
  await server.close();
  await server.close();
  await waiting;
  assertEquals([await readAll(connection), server.open], [{ text: "", end: "end" }, 0]);
  await assertRejects(() => Deno.connect(server), Deno.errors.ConnectionRefused);
});

Deno.test("a server whose port is taken says so", async () => {
  await using server = await start({ type: "echo" });
  await assertRejects(() => start({ type: "echo" }, { port: server.port }), Error, "EADDRINUSE");
});

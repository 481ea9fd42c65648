/** Tunnels in this process, with real sockets: what programs at both ends see while the link between is cut, lost, or wrong. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { resetConnection } from "../internal/ffi/sockets_linux.ts";
import { formatPublicKey, makeKeyPair, makeSharedKey } from "../pipes/resume/key_text.ts";
import { openTunnel } from "../pipes/tunnel/open_tunnel.ts";
import { serveTunnel } from "../pipes/tunnel/serve_tunnel.ts";
import { TunnelError } from "../pipes/tunnel/tunnel_error.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { descriptorsOf, eventually } from "./_child.ts";
import { startProxy } from "./_proxy_server.ts";
import { scale } from "./_require.ts";
import { nextEvent, readToEnd, tunnelEnds, writeMuch } from "./_tunnel_ends.ts";

const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

async function read(conn: Deno.Conn, length: number): Promise<string> {
  const buffer = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const count = await conn.read(buffer.subarray(at));
    if (count === null) throw new Error(`Cannot go on: an end after ${at} bytes`);
    at += count;
  }
  return new TextDecoder().decode(buffer);
}

for (const how of ["reset", "end"] as const) {
  Deno.test(`large transfers both ways through a tunnel are whole, cut by ${how} again and again`, async () => {
    await using ends = await tunnelEnds({ client: { window: 256 * 1024 }, server: { window: 256 * 1024 } });
    const [program, target] = await ends.pair();
    using _program = program;
    using _target = target;
    const total = 1_000_000 * scale(8);
    let cuts = 0;
    using _resumed = ends.client.on("resumed", () => {
      // Again when something has gone on since.
      if (++cuts < scale(5)) queueMicrotask(() => ends.link.cut(how));
    });
    const sending = Promise.all([
      writeMuch(program, total).finally(() => program.closeWrite()),
      writeMuch(target, total).finally(() => target.closeWrite()),
    ]);
    const reading = Promise.all([readToEnd(target), readToEnd(program)]);
    await ends.link.connected(1);
    ends.link.cut(how);
    const [[there, back], [atTarget, atProgram]] = await Promise.all([sending, reading]);
    assertEquals(atTarget, { count: total, hash: there, end: "end" });
    assertEquals(atProgram, { count: total, hash: back, end: "end" });
    assert(cuts >= 1, `${cuts} cuts`);
  });
}

Deno.test("one direction ends alone, and the other one goes on", async () => {
  await using ends = await tunnelEnds();
  const [program, target] = await ends.pair();
  using _program = program;
  using _target = target;
  await program.write(bytes("question"));
  await program.closeWrite();
  assertEquals(await readToEnd(target).then(({ count, end }) => [count, end]), [8, "end"]);
  const over = nextEvent(ends.client, "end");
  await target.write(bytes("answer"));
  assertEquals(await read(program, 6), "answer");
  await target.closeWrite();
  assertEquals(await program.read(new Uint8Array(1)), null);
  const { failure, connection } = await over;
  assertEquals([failure, connection.sent, connection.received], [null, 8, 6]);
});

for (const where of ["program", "target"] as const) {
  Deno.test(`a reset by the ${where} is a reset at the other end, never an end`, async () => {
    await using ends = await tunnelEnds();
    const [program, target] = await ends.pair();
    const [one, other] = where === "program" ? [program, target] : [target, program];
    const over = nextEvent(where === "program" ? ends.server : ends.client, "end");
    await other.write(bytes("x"));
    assertEquals(await read(one, 1), "x");
    assert(resetConnection(one.localAddr, one.remoteAddr));
    assertEquals((await readToEnd(other)).end, "reset");
    assertEquals((await over).failure?.code, "reset");
    one.close();
    other.close();
  });
}

Deno.test("a connection whose session is lost is reset at both ends, never ended", async () => {
  await using ends = await tunnelEnds({ client: { expiry: 300 } });
  const [program, target] = await ends.pair();
  using _program = program;
  using _target = target;
  await program.write(bytes("x"));
  assertEquals(await read(target, 1), "x");
  const [there, here] = [nextEvent(ends.server, "end"), nextEvent(ends.client, "end")];
  await ends.link.close();
  assertEquals([(await readToEnd(program)).end, (await readToEnd(target)).end], ["reset", "reset"]);
  assertEquals([(await here).failure?.code, (await there).failure?.code], ["expired", "expired"]);
});

Deno.test("programs and target stay connected while the link is down, and what they say meanwhile arrives", async () => {
  await using ends = await tunnelEnds();
  const [program, target] = await ends.pair();
  using _program = program;
  using _target = target;
  await program.write(bytes("before"));
  assertEquals(await read(target, 6), "before");
  const suspended = [nextEvent(ends.client, "suspended"), nextEvent(ends.server, "suspended")];
  const resumed = nextEvent(ends.client, "resumed");
  ends.link.cut("reset");
  await Promise.all(suspended);
  await Promise.all([program.write(bytes("question")), target.write(bytes("answer"))]);
  assertEquals([await read(target, 8), await read(program, 6)], ["question", "answer"]);
  assertEquals((await resumed).connection.resumes, 1);
});

Deno.test("of many connections at once a stalled one holds back itself only", async () => {
  await using ends = await tunnelEnds({ client: { window: 65_536 } });
  const [stalled, silent] = await ends.pair();
  const filling = writeMuch(stalled, 64_000_000).catch(() => "cut");
  const waiting = (): number => ends.client.connections[0]?.sent ?? 0;
  let before = -1;
  // Nothing goes on any more: the target takes nothing.
  await eventually("a full way", () => {
    const full = waiting() > 0 && waiting() === before;
    before = waiting();
    return full;
  });
  const count = scale(60, 200);
  const all = await Promise.all(Array.from({ length: count }, async (_, n) => {
    const conn = await Deno.connect({ port: ends.port });
    await conn.write(bytes(`program ${String(n).padStart(4, "0")}`));
    return conn;
  }));
  const heard: string[] = [];
  for (let n = 0; n < count; n++) {
    const conn = await ends.target.accept();
    heard.push(await read(conn, 12));
    await conn.write(bytes("fine"));
    conn.close();
  }
  for (const conn of all) {
    assertEquals(await read(conn, 4), "fine");
    assertEquals(await conn.read(new Uint8Array(1)), null);
    conn.close();
  }
  assertEquals(new Set(heard).size, count);
  assertEquals(ends.client.connections[0]?.state, "open");
  stalled.close();
  silent.close();
  assertEquals(typeof await filling, "string");
});

Deno.test("a server whose key is another one, or that has none, is named as such, and no program is led anywhere", async () => {
  for (
    const [server, client, code] of [
      [{ key: makeSharedKey() }, {}, "key"],
      [{ key: undefined, plain: true }, {}, "mode"],
      [{}, { key: undefined, plain: true }, "mode"],
    ] as const
  ) {
    await using ends = await tunnelEnds({ server, client });
    const error = await assertRejects(() => ends.client.check(), TunnelError);
    assertEquals(error.code, code);
    const refused = nextEvent(ends.client, "refused");
    using program = await Deno.connect({ port: ends.port });
    assertEquals((await readToEnd(program)).end, "reset");
    assertEquals((await refused).code, code);
  }
});

Deno.test("what is no holdfast server is named as such", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const conn of listener) {
      await conn.write(bytes("SSH-2.0-something\r\n"));
      await readToEnd(conn);
      conn.close();
    }
  })();
  {
    const key = makeSharedKey();
    await using client = await openTunnel(`tcp://127.0.0.1:${listener.addr.port}`, { key });
    const error = await assertRejects(() => client.check(), TunnelError);
    assertEquals(error.code, "foreign");
    assertStringIncludes(error.message, "no holdfast server");
  }
  listener.close();
  await serving;
});

Deno.test("only targets that are allowed are led to, whatever name they are asked by", async () => {
  await using ends = await tunnelEnds();
  const allowed = `127.0.0.1:${ends.target.addr.port}`;
  await ends.client.check(allowed);
  for (
    const other of ["127.0.0.1:1", `localhost:${ends.target.addr.port}`, `[::1]:${ends.target.addr.port}`]
  ) {
    const error = await assertRejects(() => ends.client.check(other), TunnelError);
    assertEquals([error.code, error.message.includes(other)], ["not-allowed", true]);
    assertEquals((await assertRejects(() => ends.client.open(other), TunnelError)).code, "not-allowed");
  }
  assertEquals(ends.server.connections, []);
});

Deno.test("a target that cannot be reached resets the program, and both ends say why", async () => {
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const to = [`127.0.0.1:${closed.addr.port}`];
  closed.close();
  await using ends = await tunnelEnds({ server: { to } });
  const [there, here] = [nextEvent(ends.server, "refused"), nextEvent(ends.client, "end")];
  using program = await Deno.connect({ port: ends.port });
  assertEquals((await readToEnd(program)).end, "reset");
  assertEquals([(await there).code, (await here).failure?.code], ["unreachable", "unreachable"]);
  assertStringIncludes((await here).failure?.message ?? "", "refused");
});

Deno.test("keys are let in by a list with targets of their own, and one that is taken off it is out at once", async () => {
  const file = await Deno.makeTempFile();
  await using first = await tunnelEnds();
  const [anna, bert, server] = [makeKeyPair({ comment: "anna" }), makeKeyPair(), makeKeyPair()];
  const here = `127.0.0.1:${first.target.addr.port}`;
  const lineOf = (rule: string) => formatPublicKey(anna).replace(" anna", ` ${rule} anna`);
  await Deno.writeTextFile(file, lineOf(`to=${here}`));
  await Deno.chmod(file, 0o600);
  await using tunnel = await serveTunnel("tcp://127.0.0.1:0", { key: server, authorized: file });
  const url = tunnel.addresses[0] ?? "";
  await using stranger = await openTunnel(url, { key: bert, serverKeys: [server] });
  assertEquals((await assertRejects(() => stranger.check(), TunnelError)).code, "not-allowed");
  await using wrong = await openTunnel(url, { key: anna, serverKeys: [bert] });
  assertEquals((await assertRejects(() => wrong.check(), TunnelError)).code, "key");
  await using client = await openTunnel(url, { key: anna, serverKeys: [server] });
  await client.check(here);
  const opened = nextEvent(tunnel, "open");
  const pipe = await client.open();
  using target = await first.target.accept();
  assertEquals((await opened).connection.key, anna.fingerprint);
  await pipe.send("hello");
  assertEquals(await read(target, 5), "hello");
  // A list that makes no sense changes nothing.
  const trouble = nextEvent(tunnel, "trouble");
  await Deno.writeTextFile(file, "nonsense\n");
  assertStringIncludes((await trouble).message, "line 1");
  await pipe.send("still");
  assertEquals(await read(target, 5), "still");
  const changed = nextEvent(tunnel, "authorized");
  await Deno.writeTextFile(file, formatPublicKey(bert));
  const { keys, ended } = await changed;
  assertEquals([keys, ended], [1, 1]);
  assertEquals((await readToEnd(target)).end, "reset");
  await assertRejects(() => pipe.recv(), Error, "not let in any more");
  assertEquals((await assertRejects(() => client.check(), TunnelError)).code, "not-allowed");
  await stranger.check();
  await Deno.remove(file);
});

Deno.test("nothing is left of a tunnel that is closed, nor of its connections", async () => {
  const once = async (): Promise<void> => {
    await using ends = await tunnelEnds();
    const [program, target] = await ends.pair();
    await program.write(bytes("x"));
    await read(target, 1);
    ends.link.cut("reset");
    await nextEvent(ends.client, "resumed");
    await ends.client.close();
    await ends.server.close();
    assertEquals([(await readToEnd(program)).end, (await readToEnd(target)).end], ["reset", "reset"]);
    program.close();
    target.close();
  };
  await once();
  const before = descriptorsOf();
  for (let n = 0; n < 3; n++) await once();
  assertEquals(descriptorsOf(), before);
});

/** Asks a SOCKS 5 proxy for a target; gives its answer, and the connection. */
async function socks(
  port: number,
  request: Uint8Array,
): Promise<readonly [code: number | null, conn: Deno.TcpConn]> {
  const conn = await Deno.connect({ port });
  await conn.write(Uint8Array.of(5, 2, 2, 0));
  assertEquals(await read(conn, 2), "\x05\x00");
  await conn.write(request);
  const answer = new Uint8Array(10);
  const count = await conn.read(answer);
  return [count === null ? null : answer[1] ?? null, conn];
}

/** A SOCKS request for a name. */
function named(host: string, port: number, command = 1): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(5, command, 0, 3, host.length, ...bytes(host), port >> 8, port & 255);
}

Deno.test("programs that speak SOCKS say where to, and get what the server allows", async () => {
  await using ends = await tunnelEnds({ client: { forwards: [], socks: ["127.0.0.1:0"] } });
  const { port } = ends.target.addr;
  const here = Uint8Array.of(5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255);
  const [code, program] = await socks(ends.port, here);
  using target = await ends.target.accept();
  await program.write(bytes("question"));
  assertEquals([code, await read(target, 8)], [0, "question"]);
  await target.write(bytes("answer"));
  assertEquals(await read(program, 6), "answer");
  program.close();
  for (
    const [request, expected] of [
      [Uint8Array.of(5, 1, 0, 1, 127, 0, 0, 1, 0, 1), 2],
      [named("localhost", port), 2],
      [named("127.0.0.1", port, 3), 7],
      [named("2130706433", port), 8],
      [named("a b", port), 8],
    ] as const
  ) {
    const [refusal, conn] = await socks(ends.port, request);
    assertEquals(refusal, expected);
    assertEquals(await conn.read(new Uint8Array(1)), null);
    conn.close();
  }
});

Deno.test("a server that leads anywhere leads to no private address, unless it is told to", async () => {
  for (const allowPrivate of [false, true]) {
    await using ends = await tunnelEnds({
      server: { to: ["*"], allowPrivate },
      client: { forwards: [], socks: ["127.0.0.1:0"] },
    });
    const { port } = ends.target.addr;
    for (const request of [named("127.0.0.1", port), named("localhost", port)]) {
      const [code, conn] = await socks(ends.port, request);
      if (allowPrivate) (await ends.target.accept()).close();
      assertEquals(code === 0, allowPrivate, `${code}`);
      conn.close();
    }
  }
});

Deno.test("the server listens for a client that may, and leads those who come to a target at the client's end", async () => {
  const target = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const to = `127.0.0.1:${target.addr.port}`;
  const key = makeSharedKey();
  {
    await using server = await serveTunnel("tcp://127.0.0.1:0", { key, listen: ["127.0.0.1:0"] });
    const url = server.addresses[0] ?? "";
    await using stranger = await openTunnel(url, { key, reverses: [{ listen: ":0", to }] });
    assertStringIncludes((await nextEvent(stranger, "trouble")).message, "it is not allowed");
    await using client = await openTunnel(url, { key, reverses: [{ listen: "127.0.0.1:0", to }] });
    const { address, side } = await nextEvent(client, "listening");
    assertEquals(side, "server");
    const port = Number(address.split(":").at(-1));
    const over = nextEvent(server, "end");
    const visitor = await Deno.connect({ port });
    const inside = await target.accept();
    await visitor.write(bytes("question"));
    await visitor.closeWrite();
    assertEquals((await readToEnd(inside)).count, 8);
    await inside.write(bytes("answer"));
    assertEquals(await read(visitor, 6), "answer");
    inside.close();
    assertEquals(await visitor.read(new Uint8Array(1)), null);
    visitor.close();
    assertEquals((await over).failure, null);
    // With its client the place is gone.
    await client.close();
    await eventually("a place that is gone", async () => {
      const conn = await Deno.connect({ port }).catch(() => null);
      conn?.close();
      return conn === null;
    });
  }
  target.close();
});

for (const kind of ["http", "socks5"] as const) {
  Deno.test(`a tunnel over TLS goes through a proxy that speaks ${kind}, and goes on through it`, async () => {
    const authority = await makeTestAuthority();
    const { cert, key: certKey } = await authority.issue({ names: ["127.0.0.1"] });
    using target = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const key = makeSharedKey();
    const to = [`127.0.0.1:${target.addr.port}`];
    await using server = await serveTunnel("tls://127.0.0.1:0", { key, to, tls: { cert, key: certKey } });
    await using proxy = startProxy({ kind });
    const tls = { caCerts: [authority.cert] };
    await using client = await openTunnel(server.addresses[0] ?? "", {
      key,
      proxy: `${kind}://127.0.0.1:${proxy.port}`,
      tls,
    });
    await client.check();
    const pipe = await client.open();
    using served = await target.accept();
    await pipe.send("hello");
    assertEquals(await read(served, 5), "hello");
    // To be let in, and the connection itself.
    const at = (server.addresses[0] ?? "").replace("tls://", "");
    assertEquals(proxy.asked, [at, at]);
    await pipe.migrate();
    await pipe.send("again");
    assertEquals(await read(served, 5), "again");
    assertEquals(proxy.asked.length, 3);
    await pipe.closeWrite();
    served.close();
    await pipe.close();
  });
}

Deno.test("the server stops listening for a key that is taken off the list", async () => {
  const file = await Deno.makeTempFile();
  const [anna, server] = [makeKeyPair({ comment: "listen=127.0.0.1:0" }), makeKeyPair()];
  await Deno.writeTextFile(file, formatPublicKey(anna));
  await Deno.chmod(file, 0o600);
  {
    await using tunnel = await serveTunnel("tcp://127.0.0.1:0", { key: server, authorized: file });
    const reverses = [{ listen: "127.0.0.1:0", to: "127.0.0.1:1" }];
    const url = tunnel.addresses[0] ?? "";
    await using client = await openTunnel(url, { key: anna, serverKeys: [server], reverses });
    const port = Number((await nextEvent(client, "listening")).address.split(":").at(-1));
    // Somebody who comes there is led to a target that is not there.
    using visitor = await Deno.connect({ port });
    assertEquals((await readToEnd(visitor)).end, "reset");
    const [changed, trouble] = [nextEvent(tunnel, "authorized"), nextEvent(client, "trouble")];
    await Deno.writeTextFile(file, "");
    assertEquals((await changed).ended, 1);
    assertStringIncludes((await trouble).message, "not let in any more");
    await eventually("a place that is gone", async () => {
      const conn = await Deno.connect({ port }).catch(() => null);
      conn?.close();
      return conn === null;
    });
  }
  await Deno.remove(file);
});

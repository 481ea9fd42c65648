import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { connect as nodeConnect, createServer } from "node:net";
import { createSocket } from "node:dgram";
import { FakeClock } from "../../testing/fake_clock.ts";
import { countDescriptors, settledCount } from "../../tests/_push_sockets.ts";
import { pipeFromConn } from "../from_conn.ts";
import { type Pushable, pushTo } from "./push.ts";
import { PushError } from "./push_error.ts";
import { type PushReceiver, receive, type Received } from "./receive.ts";

const linux = { ignore: Deno.build.os !== "linux" };

/** A directory for the sockets of a test. */
async function withDirectory(test: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-push-" });
  try {
    await test(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** The next that is received. */
async function taken(receiver: PushReceiver): Promise<Received> {
  await using iterator = receiver[Symbol.asyncIterator]() as
    & AsyncIterableIterator<Received, void, void>
    & AsyncDisposable;
  const { value } = await iterator.next();
  assert(value);
  return value;
}

/** A connection of TCP: what was accepted, and the client. */
async function tcp(): Promise<{ conn: Deno.TcpConn; client: Deno.TcpConn }> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const [client, conn] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port }),
    listener.accept(),
  ]);
  return { conn, client };
}

async function answersAs(received: Received, client: Deno.Conn): Promise<void> {
  assertEquals(received.kind, "stream");
  if (received.kind !== "stream") return;
  await client.write(new TextEncoder().encode("question"));
  assertEquals(new TextDecoder().decode(await received.pipe.recv() ?? undefined), "question");
  await received.pipe.send("answer");
  await received.pipe.close();
  assertEquals(await new Response(client.readable).text(), "answer");
}

Deno.test({
  ...linux,
  name: "push() hands over either end of a connection, and the other end notices nothing",
}, async () => {
  await withDirectory(async (directory) => {
    await using receiver = await receive(`${directory}/worker`);
    await using channel = await pushTo(receiver.path);
    for (const end of ["accepted", "connected"] as const) {
      const { conn, client } = await tcp();
      const [own, other] = end === "accepted" ? [conn, client] : [client, conn];
      const pushed = channel.push(own, { metadata: { end } });
      const received = await taken(receiver);
      assertEquals(received.metadata, { end });
      assertEquals((await pushed).peer, { pid: Deno.pid, uid: received.peer.uid });
      await answersAs(received, other);
    }
  });
});

Deno.test({
  ...linux,
  name: "push() hands over Unix sockets of the runtime and of Node's part, one after the other",
}, async () => {
  await withDirectory(async (directory) => {
    await using receiver = await receive(`${directory}/worker`);
    await using channel = await pushTo(receiver.path);
    const path = `${directory}/service`;
    using listener = Deno.listen({ transport: "unix", path });
    for (const by of ["runtime", "node", "runtime", "node"] as const) {
      if (by === "runtime") {
        const client = await Deno.connect({ transport: "unix", path });
        const pushed = channel.push(await listener.accept());
        await answersAs(await taken(receiver), client);
        await pushed;
        continue;
      }
      const accepting = listener.accept();
      const socket = nodeConnect({ path });
      // What is pushed before it is connected would never be.
      await assertRejects(() => channel.push(socket), TypeError, "not connected yet");
      if (socket.connecting) await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
      const other = await accepting;
      const pushed = channel.push(socket);
      await answersAs(await taken(receiver), other);
      await pushed;
    }
  });
});

Deno.test({ ...linux, name: "push() hands over listeners, whoever has them" }, async () => {
  await withDirectory(async (directory) => {
    await using receiver = await receive(`${directory}/worker`);
    await using channel = await pushTo(receiver.path);
    const node = createServer();
    await new Promise<void>((resolve) => node.listen(0, "127.0.0.1", resolve));
    const unix = `${directory}/service`;
    const listeners: (readonly [Pushable, Deno.ConnectOptions | Deno.UnixConnectOptions])[] = [
      [node, node.address() as unknown as Deno.ConnectOptions],
      [Deno.listen({ transport: "unix", path: unix }), { transport: "unix", path: unix }],
    ];
    const own = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    listeners.push([own, { hostname: "127.0.0.1", port: own.addr.port }]);
    for (const [listener, address] of listeners) {
      const pushed = channel.push(listener);
      const received = await taken(receiver);
      await pushed;
      assert(received.kind === "listener");
      await using server = await received.listener.pipes();
      const client = "path" in address
        ? await Deno.connect(address)
        : await Deno.connect({ hostname: "127.0.0.1", port: address.port });
      for await (const pipe of server) {
        await pipe.send("welcome");
        await pipe.close();
        break;
      }
      assertEquals(await new Response(client.readable).text(), "welcome");
    }
  });
});

Deno.test({ ...linux, name: "push() hands over a socket for datagrams" }, async () => {
  await withDirectory(async (directory) => {
    await using receiver = await receive(`${directory}/worker`);
    await using channel = await pushTo(receiver.path);
    const socket = createSocket("udp4");
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    const { port } = socket.address();
    const pushed = channel.push(socket);
    const received = await taken(receiver);
    await pushed;
    assert(received.kind === "datagram");
    const got = new Promise<string>((resolve) =>
      received.socket.once("message", (data) => resolve(String(data)))
    );
    const sender = createSocket("udp4");
    sender.send("datagram", port, "127.0.0.1");
    assertEquals(await got, "datagram");
    sender.close();
    received.socket.close();
    await new Promise((resolve) => setTimeout(resolve, 0));
  });
});

Deno.test({
  ...linux,
  name: "a process that does not want a socket leaves it to the next; when nobody does, it stays",
}, async () => {
  await withDirectory(async (directory) => {
    await using picky = await receive(`${directory}/picky`, { kinds: ["listener"] });
    await using other = await receive(`${directory}/other`);
    const refusing = picky[Symbol.asyncIterator]();
    const never = refusing.next();
    await using channel = await pushTo([`${directory}/nobody`, picky.path, other.path]);
    for (let index = 0; index < 3; index++) {
      const { conn, client } = await tcp();
      const pushed = channel.push(conn);
      const received = await taken(other);
      assertEquals((await pushed).path, other.path);
      await answersAs(received, client);
    }
    await using poor = await pushTo([picky.path, `${directory}/nobody`]);
    const before = countDescriptors();
    const { conn, client } = await tcp();
    const error = await assertRejects(() => poor.push(conn), PushError, "is not wanted");
    assertEquals(error.left, null);
    // It is as it was.
    await conn.write(new TextEncoder().encode("still here"));
    conn.close();
    assertEquals(await new Response(client.readable).text(), "still here");
    // The connection to the one that was asked stays.
    assert(await settledCount(before + 2) <= before + 2);
    await picky.close();
    assertEquals((await never).done, true);
  });
});

Deno.test({
  ...linux,
  name: "what is left of a pipe that nobody takes comes back, with what was read from it",
}, async () => {
  await withDirectory(async (directory) => {
    await using channel = await pushTo(`${directory}/nobody`);
    const { conn, client } = await tcp();
    const pipe = await pipeFromConn(conn);
    const error = await assertRejects(() => channel.push(pipe), PushError, "nothing is there");
    assertEquals(error.code, "unreachable");
    assertEquals(error.left?.connection, conn);
    conn.close();
    client.close();
  });
});

Deno.test({
  ...linux,
  name: "a process that does not answer in time is asked to forget it, and then cut off",
}, async () => {
  await withDirectory(async (directory) => {
    const clock = new FakeClock();
    // Nobody iterates: it is connected to, and says nothing.
    await using silent = await receive(`${directory}/silent`);
    await using channel = await pushTo(silent.path, { clock, timeout: 1000, grace: 100 });
    const { conn, client } = await tcp();
    const refused = assertRejects(() => channel.push(conn), PushError, "no answer within 1000 ms");
    while (clock.pending === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await clock.tickAsync(1000);
    await refused;
    // Now it reads, and takes nothing.
    const reading = silent[Symbol.asyncIterator]();
    const pushed = assertRejects(() => channel.push(conn), PushError, "no answer within 1000 ms");
    while (silent.waiting === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await clock.tickAsync(1000);
    // It is called back, and so it is nobody's but ours.
    await pushed;
    assertEquals(silent.waiting, 0);
    await reading.return?.();
    conn.close();
    client.close();
  });
});

Deno.test({ ...linux, name: "a push that is called off leaves the socket as it was" }, async () => {
  await withDirectory(async (directory) => {
    await using receiver = await receive(`${directory}/worker`);
    const reading = receiver[Symbol.asyncIterator]();
    await using channel = await pushTo(receiver.path);
    const { conn, client } = await tcp();
    const abort = new AbortController();
    const pushed = channel.push(conn, { signal: abort.signal });
    const caught = assertRejects(() => pushed, Error, "enough");
    while (receiver.waiting === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    abort.abort(new Error("enough"));
    await caught;
    await reading.return?.();
    const again = channel.push(conn);
    await answersAs(await taken(receiver), client);
    await again;
  });
});

Deno.test(
  { ...linux, name: "what nobody has taken when the receiver is closed stays with the sender" },
  async () => {
    await withDirectory(async (directory) => {
      const receiver = await receive(`${directory}/worker`);
      receiver[Symbol.asyncIterator]();
      await using channel = await pushTo(receiver.path);
      const { conn, client } = await tcp();
      const refused = assertRejects(() => channel.push(conn), PushError);
      while (receiver.waiting === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      await receiver.close();
      await refused;
      // A receiver that comes back is found again.
      await using next = await receive(`${directory}/worker`);
      const pushed = channel.push(conn);
      await answersAs(await taken(next), client);
      await pushed;
    });
  },
);

Deno.test({ ...linux, name: "receive() takes the place of a dead process, and of nobody else" }, async () => {
  await withDirectory(async (directory) => {
    const path = `${directory}/worker`;
    await Deno.writeTextFile(path, "a file");
    const error = await assertRejects(() => receive(path), PushError, "no socket");
    assertEquals(error.code, "listen");
    assertEquals(await Deno.readTextFile(path), "a file");
    await Deno.remove(path);
    await using live = await receive(path);
    await assertRejects(() => receive(path), PushError, "a process listens there");
    assertEquals(((await Deno.lstat(path)).mode ?? 0) & 0o777, 0o600);
    await live.close();
    await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
    // A socket file without a process: its listener is gone, and the file was moved out of the way of its removal.
    const dead = Deno.listen({ transport: "unix", path: `${directory}/dead` });
    await Deno.link(`${directory}/dead`, path);
    dead.close();
    await using again = await receive(path);
    assertEquals(again.waiting, 0);
  });
});

Deno.test({ ...linux, name: "processes of other users are not trusted, on either side" }, async () => {
  await withDirectory(async (directory) => {
    const someone = [Deno.uid() ?? 0].map((uid) => uid + 1);
    await using receiver = await receive(`${directory}/worker`, { users: someone });
    const refused = new Promise<string>((resolve) =>
      void receiver.on("refused", ({ reason }) => resolve(reason))
    );
    const iterator = receiver[Symbol.asyncIterator]();
    const { conn, client } = await tcp();
    await using channel = await pushTo(receiver.path);
    await assertRejects(() => channel.push(conn), PushError);
    assert((await refused).includes("not trusted"));
    await using strict = await pushTo(receiver.path, { users: someone });
    const error = await assertRejects(() => strict.push(conn), PushError);
    assertEquals(error.code, "peer");
    await iterator.return?.();
    conn.close();
    client.close();
  });
});

Deno.test({ ...linux, name: "what cannot be pushed is named" }, async () => {
  await withDirectory(async (directory) => {
    await using channel = await pushTo(`${directory}/worker`);
    await assertRejects(() => channel.push({} as Pushable), TypeError, "is needed");
    await assertRejects(() => channel.push({ handshake() {} } as unknown as Pushable), PushError, "TLS");
    const { conn, client } = await tcp();
    await assertRejects(() => channel.push(conn, { metadata: undefined, signal: AbortSignal.abort(1) }));
    await assertRejects(() => channel.push(conn, { metadata: () => {} }), TypeError, "JSON");
    conn.close();
    const error = await assertRejects(() => channel.push(conn), PushError);
    assertEquals(error.code, "descriptor");
    client.close();
    await channel.close();
    await assertRejects(() => channel.push(client), PushError, "closed");
    await assertRejects(() => pushTo([]), RangeError, "at least one path");
    await assertRejects(() => pushTo("x".repeat(200)), RangeError, "Cannot use the path");
    assertInstanceOf(error, PushError);
  });
});

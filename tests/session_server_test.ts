import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { holdProcess } from "../internal/clock.ts";
import { connect } from "../pipes/connect.ts";
import { listen } from "../pipes/listen.ts";
import type { ListenOptions } from "../pipes/listen.ts";
import { connect as connectWs, listen as listenWs, webSocket } from "../pipes/ws.ts";
import { SessionHandshakeError } from "../pipes/resume/handshake_error.ts";
import { lengthPrefix } from "../pipes/framing.ts";
import type { Link } from "../pipes/_link.ts";
import { checkClient, serverSetup } from "../pipes/resume/_server_setup.ts";
import { serveSessions } from "../pipes/resume/serve_sessions.ts";
import { SessionLost } from "../pipes/resume/session_lost.ts";
import type { SessionPipe } from "../pipes/resume/session.ts";
import type { PipeServer } from "../pipes/server.ts";
import { encodeFrame, FRAME } from "../pipes/resume/_frames.ts";
import { makeCertificates } from "./_certificates.ts";
import { CLIENT, SERVER, SHARED } from "./_handshakes.ts";
import {
  cutProxy,
  drained,
  firstDifference,
  nextSession,
  pattern,
  portOf,
  rawClient,
  until,
} from "./_serve_sessions.ts";

const LOOPBACK = "resume+tcp://127.0.0.1:0";

const text = (bytes: Uint8Array | null): string => new TextDecoder().decode(bytes ?? undefined);

async function opened(url: string, options: Parameters<typeof connect>[1] = {}): Promise<SessionPipe> {
  return await connect(url, { retry: false, ...options }) as unknown as SessionPipe;
}

/** Both ends say something, and close. */
async function talk(client: SessionPipe, server: SessionPipe): Promise<void> {
  await client.send("hello");
  assertEquals(text(await server.recv()), "hello");
  await server.send("welcome");
  assertEquals(text(await client.recv()), "welcome");
  assertEquals(client.session.id, server.session.id);
  await Promise.all([client.close(), server.close()]);
}

/** Sends the pattern there and back while the connections are cut. */
async function roundTrip(
  client: SessionPipe,
  server: SessionPipe,
  length: number,
  disturb: (done: number) => void,
): Promise<void> {
  const send = async (pipe: SessionPipe): Promise<void> => {
    for (let at = 0; at < length; at += 65_536) await pipe.send(pattern(Math.min(65_536, length - at), at));
    await pipe.closeWrite();
  };
  const receive = async (pipe: SessionPipe, each: (done: number) => void): Promise<void> => {
    let done = 0;
    for await (const bytes of pipe.messages) {
      assertEquals(firstDifference(bytes, done), -1);
      done += bytes.length;
      each(done);
    }
    assertEquals(done, length);
  };
  await Promise.all([send(client), send(server), receive(server, disturb), receive(client, () => {})]);
}

Deno.test("a server of sessions hands sessions out, and listen() with resume+ means the same", async () => {
  for (const start of [() => serveSessions(LOOPBACK), () => listen(LOOPBACK)]) {
    await using server = await start() as PipeServer<SessionPipe>;
    await using client = await opened(server.url, { session: { greeting: "chat" } });
    await using session = await nextSession(server);
    assertEquals(text(session.session.greeting), "chat");
    assertEquals(session.resumable, true);
    assertEquals(server.connections, 1);
    await talk(client, session);
    assertEquals(server.connections, 0);
  }
});

Deno.test("sessions over Unix sockets, TLS, WebSocket and WebSocket over TLS", async () => {
  const { valid, ca } = await makeCertificates();
  const directory = await Deno.makeTempDir();
  const transports = [webSocket()];
  const ways: Readonly<Record<string, ListenOptions>> = {
    [`resume+unix:${directory}/sessions.sock`]: {},
    "resume+tls://127.0.0.1:0": { tls: valid },
    "resume+ws://127.0.0.1:0/path": { transports },
    "resume+wss://127.0.0.1:0/path": { transports, tls: valid },
  };
  for (const [url, options] of Object.entries(ways)) {
    await using server = await serveSessions(url, options);
    const tls = { caCerts: [ca], serverName: "localhost" };
    await using client = await opened(server.url, { transports, tls });
    await using session = await nextSession(server);
    const isTls = url.includes("tls") || url.includes("wss");
    assertEquals(session.session.secrecy, isTls ? "tls" : "plain", url);
    await talk(client, session);
  }
  await using server = await listenWs("resume+ws://127.0.0.1:0") as unknown as PipeServer<SessionPipe>;
  await using client = await connectWs(server.url, { retry: false }) as unknown as SessionPipe;
  await using session = await nextSession(server);
  await talk(client, session);
  await Deno.remove(directory, { recursive: true });
});

Deno.test("with prefer a client that asks for no session gets an ordinary pipe, without it none", async () => {
  const { valid, ca } = await makeCertificates();
  const tls = { caCerts: [ca], serverName: "localhost" };
  for (const resume of ["prefer", "require"] as const) {
    await using server = await serveSessions("resume+tls://127.0.0.1:0", { tls: valid, resume });
    const refused = Promise.withResolvers<unknown>();
    server.on("refused", ({ error }) => refused.resolve(error));
    await using client = await connect(server.url.replace("resume+", ""), { retry: false, tls });
    if (resume === "prefer") {
      await using pipe = await nextSession(server);
      assertEquals(pipe.resumable, false);
      await client.send("hello");
      assertEquals(text(await pipe.recv()), "hello");
      await pipe.close();
      await client.close();
      assertEquals(server.connections, 0);
      await using other = await opened(server.url, { tls });
      await using session = await nextSession(server);
      assertEquals(session.resumable, true);
      await talk(other, session);
    } else assert(await refused.promise instanceof TypeError);
  }
});

Deno.test("sealed sessions: a shared key, or clients that are known by their keys", async () => {
  const shared = { key: SHARED };
  const pinned = { identity: SERVER, clients: [CLIENT.publicKey] };
  const ways = [
    { serverSeal: shared, clientSeal: shared },
    { serverSeal: pinned, clientSeal: { serverKeys: [SERVER.publicKey], identity: CLIENT } },
  ];
  for (const { serverSeal, clientSeal } of ways) {
    await using server = await serveSessions(LOOPBACK, { session: { seal: serverSeal } });
    await using client = await opened(server.url, { session: { seal: clientSeal } });
    await using session = await nextSession(server);
    assertEquals(session.session.secrecy, "sealed");
    assertEquals(
      session.session.peerKey?.toHex(),
      serverSeal === pinned ? CLIENT.publicKey.toHex() : undefined,
    );
    await talk(client, session);
  }
  await using server = await serveSessions(LOOPBACK, { session: { seal: pinned } });
  const stranger = { serverKeys: [SERVER.publicKey], identity: SERVER };
  const refused = await assertRejects(() => opened(server.url, { session: { seal: stranger } }));
  const chain = [refused, (refused as Error).cause].find((one) => one instanceof SessionHandshakeError);
  assertEquals((chain as SessionHandshakeError).rejection, 6);
});

Deno.test("who may begin a session is asked with key, greeting and address", async () => {
  const asked: unknown[] = [];
  await using server = await serveSessions(LOOPBACK, {
    session: {
      authorize: ({ publicKey, greeting, address }) => {
        asked.push([publicKey, text(greeting), "hostname" in address && address.hostname]);
        return text(greeting) === "let me in";
      },
    },
  });
  await assertRejects(() => opened(server.url, { session: { greeting: "hello" } }));
  await using client = await opened(server.url, { session: { greeting: "let me in" } });
  await using session = await nextSession(server);
  assertEquals(asked, [[null, "hello", "127.0.0.1"], [null, "let me in", "127.0.0.1"]]);
  await talk(client, session);
});

Deno.test("a session goes on where it was when its connection is cut, whatever is under way", async () => {
  await using server = await serveSessions(LOOPBACK, { session: { window: 262_144 } });
  await using proxy = cutProxy(portOf(server));
  await using client = await opened(`resume+tcp://127.0.0.1:${proxy.port}`);
  await using session = await nextSession(server);
  let cuts = 0;
  await roundTrip(client, session, 3_000_000, (done) => {
    if (done > (cuts + 1) * 500_000 && cuts < 5) {
      cuts++;
      proxy.cut();
    }
  });
  assertEquals(cuts, 5);
  assert(session.session.resumes >= 1, `${session.session.resumes} resumes`);
  const [status] = server.status().sessions;
  assertEquals(status?.resumes ?? session.session.resumes, session.session.resumes);
  await Promise.all([client.close(), session.close()]);
});

Deno.test("connections that say nothing are shed above the cap of an address, and cut when their time is over", async () => {
  await using server = await serveSessions(LOOPBACK, {
    session: { maxHandshakesPerAddress: 3, handshakeTimeout: 300 },
  });
  const shed: string[] = [];
  const refused: unknown[] = [];
  server.on("shed", ({ reason }) => shed.push(reason));
  server.on("refused", ({ error }) => refused.push(error));
  const connections: Deno.Conn[] = [];
  for (let n = 0; n < 8; n++) {
    try {
      connections.push(await Deno.connect({ hostname: "127.0.0.1", port: portOf(server) }));
    } catch (error) {
      // One that is shed may be so before it knows that it stands.
      assert(error instanceof Deno.errors.ConnectionReset);
    }
  }
  await until("shedding", () => shed.length === 5);
  assertEquals(server.status().handshakes, 3);
  assertEquals(new Set(shed), new Set(["address"]));
  await Promise.all(connections.map(drained));
  using _hold = holdProcess();
  await until("the last refusal", () => refused.length === 3);
  assert(refused.every((error) => error instanceof Deno.errors.TimedOut));
  assertEquals(server.status(), { sessions: [], handshakes: 0, remembered: 0, memory: 0 });
  for (const conn of connections) conn.close();
});

Deno.test("a flood of HELLO costs no window, and sessions that nobody has confirmed are nobody's", async () => {
  await using server = await serveSessions(LOOPBACK, { session: { expiry: 60_000 } });
  for (let n = 0; n < 50; n++) {
    using client = await rawClient(server);
    assertEquals(client.session.id.length, 16);
  }
  const { sessions, remembered, memory } = server.status();
  assertEquals([sessions.length, remembered, memory, server.connections], [0, 50, 0, 0]);
});

Deno.test("an old carrier that is proven wrongly, or not at all, does not disturb the session", async () => {
  await using server = await serveSessions(LOOPBACK);
  using client = await rawClient(server);
  await client.conn.write(client.confirm);
  await using session = await nextSession(server);
  // It knows the name of the session, and no keys.
  const stranger = { ...client.session, clientKey: new Uint8Array(32) };
  for (const attempt of [{ session: stranger, epoch: 2 }, { session: client.session, epoch: 1 }]) {
    const error = await assertRejects(() => rawClient(server, attempt));
    assertEquals((error as { rejection?: { code: number } }).rejection?.code, 1);
  }
  // It knows the keys, and stops before CONFIRM.
  using half = await rawClient(server, { session: client.session, epoch: 3 });
  assertEquals([session.session.state, session.session.epoch], ["open", 1]);
  half.conn.close();
  await session.send("still here");
  const buffer = new Uint8Array(1024);
  let seen = "";
  while (!seen.includes("still here")) seen += text(buffer.subarray(0, await client.conn.read(buffer) ?? 0));
  assertEquals(server.status().sessions.map(({ state, resumes }) => [state, resumes]), [["open", 0]]);
  session.abort();
});

Deno.test("a client has no more sessions than are allowed, with or without a connection", async () => {
  await using server = await serveSessions(LOOPBACK, { session: { maxPerPeer: 2 } });
  const clients = [await opened(server.url), await opened(server.url)];
  const sessions = [await nextSession(server), await nextSession(server)];
  const busy = await assertRejects(() => opened(server.url)) as Error;
  const error = [busy, busy.cause].find((one) =>
    one instanceof SessionHandshakeError
  ) as SessionHandshakeError;
  assertEquals([error.rejection, error.retryAfter > 0, error.final], [2, true, false]);
  await Promise.all([clients[0]?.close(), sessions[0]?.close()]);
  await using another = await opened(server.url);
  await using session = await nextSession(server);
  await talk(another, session);
  await Promise.all([clients[1]?.close(), sessions[1]?.close()]);
});

Deno.test("sessions without a connection count: hoarding them fills the caps of one's own, and of all", async () => {
  for (const cap of [{ maxPerPeer: 3 }, { maxSessions: 3 }]) {
    await using server = await serveSessions(LOOPBACK, { session: cap });
    for (let n = 0; n < 3; n++) {
      using client = await rawClient(server);
      await client.conn.write(client.confirm);
      const session = await nextSession(server);
      client.conn.close();
      await until("the loss", () => session.session.state === "suspended");
    }
    const error = await assertRejects(() => rawClient(server)) as {
      rejection?: { code: number; wait: number };
    };
    assertEquals([error.rejection?.code, server.connections], [2, 3]);
    assert((error.rejection?.wait ?? 0) > 0);
  }
});

Deno.test("new sessions are told to come again while nobody takes those that wait", async () => {
  await using server = await serveSessions(LOOPBACK, { session: { backlog: 2 } });
  await using _first = await opened(server.url);
  await using _second = await opened(server.url);
  const busy = await assertRejects(() => opened(server.url)) as Error;
  const error = [busy, busy.cause].find((one) =>
    one instanceof SessionHandshakeError
  ) as SessionHandshakeError;
  assertEquals(error.rejection, 2);
  for (const _ of [1, 2]) (await nextSession(server)).abort();
});

Deno.test("a session whose client stays away is lost after its expiry, and says how far it got", async () => {
  using _hold = holdProcess();
  await using server = await serveSessions(LOOPBACK, { session: { expiry: 150 } });
  using client = await rawClient(server);
  await client.conn.write(client.confirm);
  await using session = await nextSession(server);
  await session.send("hello");
  client.conn.close();
  const lost = await assertRejects(() => session.recv(), SessionLost);
  assertEquals([lost.reason, lost.sent, lost.acknowledged, lost.received], ["expired", 5, 0, 0]);
  const error = await assertRejects(() => rawClient(server, { session: client.session, epoch: 2 }));
  assertEquals((error as { rejection?: { code: number } }).rejection?.code, 3);
});

Deno.test("a client that never acknowledges costs its window and no more, and gives way to others when it is away", async () => {
  using _hold = holdProcess();
  const limit = 400_000;
  await using server = await serveSessions(LOOPBACK, { session: { window: 262_144, memoryLimit: limit } });
  const away: SessionPipe[] = [];
  for (let n = 0; n < 3; n++) {
    using client = await rawClient(server);
    await client.conn.write(client.confirm);
    const session = await nextSession(server);
    away.push(session);
    const sending = session.send(new Uint8Array(1_000_000));
    sending.catch(() => {});
    await until("the full window", () => session.session.sent === 262_144);
    client.conn.close();
    await until("the loss", () => session.session.state !== "open");
  }
  for (const session of away.slice(0, 2)) {
    assertEquals((await assertRejects(() => session.recv(), SessionLost)).reason, "resources");
  }
  assertEquals(away[2]?.session.state, "suspended");
  assert(server.status().memory <= limit, `${server.status().memory} bytes`);
});

Deno.test("a reader that does not read holds its client back, within the window", async () => {
  await using server = await serveSessions(LOOPBACK, { session: { window: 131_072 } });
  await using client = await opened(server.url);
  await using session = await nextSession(server);
  const sending = client.send(pattern(1_000_000));
  await until("the full window", () => (server.status().sessions[0]?.memory ?? 0) >= 131_072);
  assert((server.status().sessions[0]?.memory ?? Infinity) < 3 * 131_072);
  assertEquals(client.session.acknowledged, 0);
  let got = 0;
  while (got < 1_000_000) {
    const bytes = await session.recv() ?? new Uint8Array();
    assertEquals(firstDifference(bytes, got), -1);
    got += bytes.length;
  }
  await sending;
  await Promise.all([client.close(), session.close()]);
});

Deno.test("no secret of a session shows in its status, its facts or its errors", async () => {
  using _hold = holdProcess();
  await using server = await serveSessions(LOOPBACK, { session: { expiry: 50 } });
  const errors: unknown[] = [];
  server.on("refused", ({ error }) => errors.push(error));
  using client = await rawClient(server);
  await client.conn.write(client.confirm);
  await using session = await nextSession(server);
  errors.push(server.status(), session.session, session.stats);
  await assertRejects(() => rawClient(server, { session: client.session, epoch: 1 }));
  client.conn.close();
  errors.push(await assertRejects(() => session.recv(), SessionLost));
  const shown = errors.map((one) =>
    `${Deno.inspect(one, { depth: 9, iterableLimit: 1000 })} ${JSON.stringify(one)}`
  ).join();
  for (const secret of [client.session.clientKey, client.session.serverKey]) {
    for (const form of [secret.toHex(), secret.toBase64(), [...secret].join(", "), [...secret].join(",")]) {
      assert(!shown.includes(form));
    }
  }
});

Deno.test("a session that is closed answers a client whose last acknowledgement was lost", async () => {
  await using server = await serveSessions(LOOPBACK);
  await using proxy = cutProxy(portOf(server));
  await using client = await opened(`resume+tcp://127.0.0.1:${proxy.port}`);
  await using session = await nextSession(server);
  await client.send("last words");
  assertEquals(text(await session.recv()), "last words");
  const closing = Promise.all([client.close(), session.close()]);
  proxy.cut();
  await closing;
  assertEquals([client.session.state, session.session.state], ["closed", "closed"]);
});

Deno.test("a session that is over is remembered: who has its keys learns that everything arrived, nobody else", async () => {
  await using server = await serveSessions(LOOPBACK);
  using client = await rawClient(server);
  await client.conn.write(client.confirm);
  await using session = await nextSession(server);
  // Both ends are at 0 bytes; the last acknowledgement of the server is not looked at.
  const closing = session.close();
  await client.conn.write(new Uint8Array([...encodeFrame(FRAME.fin, 0), ...encodeFrame(FRAME.ack, 1)]));
  await closing;
  client.conn.close();
  assertEquals([session.session.state, server.connections, server.status().remembered], ["closed", 0, 1]);
  const stranger = { ...client.session, clientKey: new Uint8Array(32) };
  const error = await assertRejects(() => rawClient(server, { session: stranger, epoch: 2 }));
  assertEquals((error as { rejection?: { code: number } }).rejection?.code, 1);
  for (const epoch of [2, 3]) {
    using again = await rawClient(server, { session: client.session, epoch });
    await again.conn.write(again.confirm);
    const answer = new Uint8Array(100);
    const count = await again.conn.read(answer) ?? 0;
    assertEquals(answer.subarray(0, 12), encodeFrame(FRAME.ack, 1));
    // It has not been told that its end has arrived, so it comes again; nothing but that and the end.
    assertEquals(answer.subarray(12, count).length % 12, 0);
    await drained(again.conn);
  }
  await assertRejects(() => rawClient(server, { session: client.session, epoch: 3 }));
});

Deno.test("a server that knows a session no more says so, and the client says how far it got", async () => {
  const first = await serveSessions(LOOPBACK);
  const port = portOf(first);
  await using proxy = cutProxy(port);
  await using client = await opened(`resume+tcp://127.0.0.1:${proxy.port}`);
  const session = await nextSession(first);
  await client.send("hello");
  assertEquals(text(await session.recv()), "hello");
  await until("the acknowledgement", () => client.session.acknowledged === 5);
  await first.close();
  await using _second = await serveSessions(`resume+tcp://127.0.0.1:${port}`);
  proxy.cut();
  const lost = await assertRejects(() => client.recv(), SessionLost);
  assertEquals([lost.reason, lost.sent, lost.acknowledged], ["refused", 5, 5]);
  assertEquals((await assertRejects(() => session.recv(), SessionLost)).reason, "expired");
});

Deno.test("clients learn by which other addresses they can come back", async () => {
  await using server = await serveSessions(LOOPBACK);
  const first = cutProxy(portOf(server));
  await using second = cutProxy(portOf(server));
  await using client = await opened(`resume+tcp://127.0.0.1:${first.port}`);
  await using session = await nextSession(server);
  const drained = server.drain({ addresses: [`resume+tcp://127.0.0.1:${second.port}`] });
  await session.send("moved");
  assertEquals(text(await client.recv()), "moved");
  await first[Symbol.asyncDispose]();
  await roundTrip(client, session, 100_000, () => {});
  assert(second.count >= 1);
  await Promise.all([client.close(), session.close()]);
  assertEquals(await drained, 0);
});

Deno.test("draining begins nothing new, lets sessions come back, and waits for their end", async () => {
  await using server = await serveSessions(LOOPBACK);
  await using proxy = cutProxy(portOf(server));
  await using client = await opened(`resume+tcp://127.0.0.1:${proxy.port}`);
  await using session = await nextSession(server);
  const drained = server.drain();
  await assertRejects(() => opened(server.url), Error);
  proxy.cut();
  await roundTrip(client, session, 200_000, () => {});
  await Promise.all([client.close(), session.close()]);
  assertEquals(await drained, 0);
  assert(session.session.resumes === 1);
});

Deno.test("draining hands out the sessions that wait to somebody who takes them, and ends those of nobody", async () => {
  for (const isRead of [true, false]) {
    await using server = await serveSessions(LOOPBACK);
    await using first = await opened(server.url);
    const reader = server[Symbol.asyncIterator]();
    const { value: one } = isRead ? await reader.next() : { value: undefined };
    await using second = await opened(server.url);
    await until("both", () => server.connections === 2);
    const drained = server.drain();
    if (isRead) {
      const { value: two } = await reader.next();
      assert(one && two);
      assertEquals([one.session.id, two.session.id], [first.session.id, second.session.id]);
      assertEquals((await reader.next()).done, true);
      await Promise.all([first, second, one, two].map((pipe) => pipe.close()));
    } else {
      for (const client of [first, second]) await assertRejects(() => client.recv(), SessionLost);
    }
    assertEquals(await drained, 0);
  }
});

Deno.test("draining gives up what is still there when its time is over", async () => {
  await using server = await serveSessions(LOOPBACK);
  await using client = await opened(server.url);
  await using session = await nextSession(server);
  assertEquals(await server.drain({ timeout: 20 }), 1);
  assertEquals((await assertRejects(() => client.recv(), SessionLost)).reason, "aborted");
  assertEquals((await assertRejects(() => session.recv(), SessionLost)).reason, "aborted");
});

Deno.test("a server that is closed leaves nothing behind; its sessions end with their connections", async () => {
  const server = await serveSessions(LOOPBACK);
  using client = await rawClient(server);
  await client.conn.write(client.confirm);
  await using session = await nextSession(server);
  using suspended = await rawClient(server);
  await suspended.conn.write(suspended.confirm);
  await using away = await nextSession(server);
  suspended.conn.close();
  await until("the loss", () => away.session.state === "suspended");
  await server.close();
  await assertRejects(() => away.recv(), SessionLost);
  assertEquals(session.session.state, "open");
  client.conn.close();
  await assertRejects(() => session.recv(), SessionLost);
});

Deno.test("sessions that nothing protects are for this machine and its private networks, unless they are asked for", () => {
  const from = (hostname: string, transport: "tcp" | "tls" | "ws" = "tcp"): Link =>
    ({ transport, remoteAddress: { transport, hostname, port: 5000 } }) as unknown as Link;
  const plain = serverSetup(null, {});
  for (const near of ["127.0.0.1", "::1", "10.1.2.3", "192.168.1.2", "fe80::1%eth0", "fd00::1"]) {
    checkClient(from(near), plain);
  }
  for (const far of ["203.0.113.5", "2001:db8::1", "172.32.0.1", "a name"]) {
    for (const transport of ["tcp", "ws"] as const) {
      assertThrows(() => checkClient(from(far, transport), plain), TypeError, "nothing protects");
    }
    checkClient(from(far, "tls"), plain);
    checkClient(from(far), serverSetup(null, { session: { plain: true } }));
    checkClient(from(far), serverSetup(null, { session: { seal: { key: SHARED } } }));
  }
});

Deno.test("what makes no sense is a mistake of the caller", async () => {
  const wrong: readonly [string, ListenOptions][] = [
    ["tcp://127.0.0.1:0", {}],
    ["resume+udp://127.0.0.1:0", {}],
    [LOOPBACK, { resume: "prefer" }],
    [LOOPBACK, { session: { seal: {} } }],
    [LOOPBACK, { session: { seal: { identity: SERVER } } }],
    [LOOPBACK, { session: { seal: { key: new Uint8Array(31) } } }],
  ];
  for (const [url, options] of wrong) await assertRejects(() => serveSessions(url, options), TypeError);
  for (const session of [{ window: 1 }, { maxSessions: 0 }, { handshakeTimeout: 0 }, { backlog: -1 }]) {
    await assertRejects(() => serveSessions(LOOPBACK, { session }), RangeError);
  }
});

Deno.test("with commit a client forgets only what the application has made safe, position by position", async () => {
  using _hold = holdProcess();
  const asked: { readonly received: number; readonly done: PromiseWithResolvers<void> }[] = [];
  await using server = await serveSessions(LOOPBACK, {
    framing: lengthPrefix(),
    session: {
      window: 65_536,
      commit: (_id, received) => {
        const done = Promise.withResolvers<void>();
        asked.push({ received, done });
        return done.promise;
      },
    },
  });
  await using client = await opened(server.url, { framing: lengthPrefix() });
  await using session = await nextSession(server);
  // Two messages and a part of a third.
  for (const size of [10_000, 10_000]) await client.send(pattern(size));
  assertEquals([(await session.recv())?.length, (await session.recv())?.length], [10_000, 10_000]);
  const third = session.recv();
  await until("the first question", () => asked.length > 0);
  let [last] = asked;
  while (last && last.received < 20_008) {
    assert(client.session.acknowledged < last.received);
    last.done.resolve();
    const { length } = asked;
    await until("the next question", () => asked.length > length);
    last = asked.at(-1);
  }
  assertEquals(last?.received, 20_008);
  await client.send(new Uint8Array(30_000));
  assertEquals((await third)?.length, 30_000);
  assert(client.session.acknowledged < 20_008);
  last?.done.resolve();
  await until("the acknowledgement", () => client.session.acknowledged >= 20_008);
  assertEquals(client.session.acknowledged, 20_008);
  await until("the last question", () => asked.at(-1)?.received === 50_012);
  // What cannot be made safe ends the session, and the client knows how far it got.
  asked.at(-1)?.done.reject(new Error("the disk is full"));
  const lost = await assertRejects(() => client.recv(), SessionLost);
  assertEquals([lost.reason, lost.sent, lost.acknowledged], ["internal", 50_012, 20_008]);
  assertEquals((await assertRejects(() => session.recv(), SessionLost)).reason, "internal");
});

Deno.test("with commit sessions go on over cuts, and close when the last position is safe", async () => {
  using _hold = holdProcess();
  const safe = new Map<string, number>();
  await using server = await serveSessions(LOOPBACK, {
    session: {
      window: 131_072,
      commit: async (id, received) => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        assert(received > (safe.get(id) ?? 0));
        safe.set(id, received);
      },
    },
  });
  await using proxy = cutProxy(portOf(server));
  await using client = await opened(`resume+tcp://127.0.0.1:${proxy.port}`);
  await using session = await nextSession(server);
  let cuts = 0;
  await roundTrip(client, session, 1_000_000, (done) => {
    if (done < (cuts + 1) * 300_000) return;
    cuts++;
    proxy.cut();
  });
  await Promise.all([client.close(), session.close()]);
  assertEquals([client.session.state, client.session.acknowledged], ["closed", 1_000_000]);
  assertEquals(safe.get(client.session.id), 1_000_000);
});

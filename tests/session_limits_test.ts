import { assert, assertEquals, assertRejects } from "@std/assert";
import { holdProcess } from "../internal/clock.ts";
import { SessionHandshakeError } from "../pipes/resume/handshake_error.ts";
import { serveSessions } from "../pipes/resume/serve_sessions.ts";
import { SessionLost } from "../pipes/resume/session_lost.ts";
import type { SessionPipe } from "../pipes/resume/session.ts";
import {
  drained,
  firstDifference,
  LOOPBACK,
  nextSession,
  opened,
  pattern,
  portOf,
  rawClient,
  talk,
  text,
  until,
} from "./_serve_sessions.ts";

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

import { assert, assertEquals, assertRejects } from "@std/assert";
import { holdProcess } from "../internal/clock.ts";
import { lengthPrefix } from "../pipes/framing.ts";
import { encodeFrame, FRAME } from "../pipes/resume/_frames.ts";
import { serveSessions } from "../pipes/resume/serve_sessions.ts";
import { SessionLost } from "../pipes/resume/session_lost.ts";
import {
  cutProxy,
  drained,
  LOOPBACK,
  nextSession,
  opened,
  pattern,
  portOf,
  rawClient,
  roundTrip,
  text,
  until,
} from "./_serve_sessions.ts";

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

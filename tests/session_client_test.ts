/** Sessions at the client, over real sockets: cut, moved, refused, ended. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { connect, type ConnectOptions } from "../pipes/connect.ts";
import { tcpTransport } from "../pipes/_tcp_transport.ts";
import type { PipeTransport } from "../pipes/_transport.ts";
import { PipeError } from "../pipes/pipe_error.ts";
import type { SessionPipe } from "../pipes/resume/session.ts";
import { SessionLost } from "../pipes/resume/session_lost.ts";
import { startChaosLink } from "../testing/chaos_link.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { descriptorsOf, eventually } from "./_child.ts";
import { scale } from "./_require.ts";
import { SessionServer, type SessionServerOptions } from "./_session_server.ts";

/** Byte `n` of every stream of these tests; its period is prime, so no shift by a frame or a chunk goes unseen. */
const PERIOD = 65_521;
const PATTERN = new Uint8Array(2 * PERIOD).map((_, n) => (n % PERIOD) * 31 + ((n % PERIOD) >> 8));

async function send(
  pipe: Pick<SessionPipe, "send" | "closeWrite">,
  until: number | AbortSignal,
): Promise<number> {
  const sizes = [1, 70, 1000, 16_384, 60_000];
  const count = typeof until === "number" ? until : Infinity;
  let at = 0;
  for (let n = 0; at < count && !(typeof until === "object" && until.aborted); n++) {
    const size = Math.min(sizes[n % sizes.length] ?? 1, count - at);
    const from = at % PERIOD;
    await pipe.send(PATTERN.subarray(from, from + size));
    at += size;
  }
  await pipe.closeWrite();
  return at;
}

/** Reads to the end, and tells how many bytes came before the first one that was wrong. */
async function receive(
  pipe: Pick<SessionPipe, "messages">,
  progress = (_count: number) => {},
): Promise<number> {
  let count = 0;
  for await (const bytes of pipe.messages) {
    const from = count % PERIOD;
    for (let n = 0; n < bytes.length; n++) {
      if (bytes[n] !== PATTERN[from + n % PERIOD]) {
        throw new Error(`Cannot go on: byte ${count + n} is wrong`);
      }
    }
    count += bytes.length;
    progress(count);
  }
  return count;
}

/** The next event of a type. */
function once<K extends Parameters<SessionPipe["on"]>[0]>(pipe: SessionPipe, type: K): Promise<void> {
  return new Promise((resolve) => {
    const registration = pipe.on(type, () => {
      registration[Symbol.dispose]();
      resolve();
    });
  });
}

/** Both ends of a session, and what is in between. */
async function ends(options: {
  readonly client?: ConnectOptions;
  readonly server?: SessionServerOptions;
} = {}) {
  const server = await SessionServer.start("tcp://127.0.0.1:0", options.server);
  const link = await startChaosLink({ target: new URL(server.url.replace(/^[^:]*/, "http")).host });
  const client = await connect(`resume+tcp://${link.address}`, options.client);
  const { session, pipe } = await server.next();
  return {
    ...{ server, link, client, session, pipe },
    async [Symbol.asyncDispose]() {
      client.abort();
      await server[Symbol.asyncDispose]();
      await link.close();
    },
  };
}

for (const how of ["reset", "end"] as const) {
  Deno.test(`what goes both ways over a session is whole and in order over many a cut by ${how}`, async () => {
    const cuts = scale(20);
    const total = 200_000 * cuts;
    await using all = await ends({ client: { session: { window: 256 * 1024 } } });
    const { client, pipe, link } = all;
    let next = total / cuts / 2;
    let done = 0;
    // Cut while it is under way, as soon as so much more has come.
    const cut = (count: number): void => {
      if (count < next || done === cuts) return;
      next += total / cuts;
      done++;
      link.cut(how);
    };
    const [, , there, here] = await Promise.all([
      send(client, total),
      send(pipe, total),
      receive(pipe, cut),
      receive(client),
    ]);
    assertEquals([there, here], [total, total]);
    const { session } = client;
    assert(session.resumes >= cuts / 2, `${session.resumes} resumes`);
    assertEquals(client.stats.resumes, session.resumes);
    assertEquals([session.sent, session.received], [total, total]);
    await Promise.all([client.close(), pipe.close()]);
    assertEquals([session.state, session.acknowledged], ["closed", total]);
  });
}

Deno.test("a connection that falls silent is left for another one before the application waits for long", async () => {
  await using all = await ends();
  const { client, pipe, link, server } = all;
  const total = 3_000_000;
  const got = Promise.all([receive(pipe), receive(client)]);
  const sent = Promise.all([send(client, total), send(pipe, total)]);
  await link.connected(1);
  link.setFaults({ silent: true });
  // The link is silent for all of its connections; another way to the same server is not.
  const suspended = once(client, "suspended");
  await suspended;
  link.setFaults({});
  assertEquals(await got, [total, total]);
  await sent;
  assert(server.handshakes >= 2);
  await Promise.all([client.close(), pipe.close()]);
});

Deno.test("a session moves to another connection while the old one works, and nobody waits", async () => {
  await using all = await ends();
  const { client, pipe, server, link } = all;
  const told: string[] = [];
  for (const type of ["suspended", "resumed", "migrated"] as const) client.on(type, () => told.push(type));
  const moving = new AbortController();
  const got = Promise.all([receive(pipe), receive(client)]);
  const sent = Promise.all([send(client, moving.signal), send(pipe, moving.signal)]);
  const before = client.localAddress;
  for (let n = 0; n < 5; n++) await client.migrate();
  moving.abort();
  assertEquals(told, Array(5).fill("migrated"));
  assert(JSON.stringify(client.localAddress) !== JSON.stringify(before));
  assertEquals([client.session.epoch, client.session.migrations, client.session.resumes], [6, 5, 0]);
  const [there, here] = await got;
  assertEquals([there, here], await sent);
  assertEquals(server.handshakes, 6);
  await eventually("the old connections to be closed", () => link.open <= 1);
  await Promise.all([client.close(), pipe.close()]);
});

Deno.test("who cannot move stays, and is told why", async () => {
  await using all = await ends();
  const { client, pipe, server } = all;
  server.answer = { code: 2, wait: 60_000 };
  const error = await assertRejects(() => client.migrate(), PipeError);
  assertStringIncludes(error.message, "busy");
  server.answer = null;
  assertEquals([client.session.state, client.session.migrations], ["open", 0]);
  const [, count] = await Promise.all([send(client, 100_000), receive(pipe)]);
  assertEquals(count, 100_000);
  await Promise.all([client.close(), pipe.close()]);
});

Deno.test("a move that meets a loss is the resumption of what was lost", async () => {
  const asked = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let dials = 0;
  const transport: PipeTransport = {
    ...tcpTransport,
    dial: (url, options) => {
      const dial = tcpTransport.dial(url, options);
      return async (how) => {
        if (++dials === 2) {
          asked.resolve();
          await gate.promise;
          // Some cannot be called off.
          return await dial({ signal: new AbortController().signal });
        }
        return await dial(how);
      };
    },
  };
  await using all = await ends({ client: { transports: [transport] } });
  const { client, pipe, link } = all;
  const moved = client.migrate();
  await asked.promise;
  link.cut("reset");
  await moved;
  assertEquals([client.session.state, client.session.resumes, client.session.migrations], ["open", 1, 0]);
  // What comes of the dial that nobody waits for is closed.
  gate.resolve();
  await link.connected(3);
  await eventually("the late connection to be closed", () => link.open === 1);
  await Promise.all([client.close(), pipe.close()]);
  await assertRejects(() => client.migrate(), PipeError, "it is closed");
});

Deno.test("a session without a connection for too long is lost, and says how far each side got", async () => {
  const clock = new FakeClock();
  await using all = await ends({ client: { clock, session: { expiry: 5000, window: 65_536 } } });
  const { client, pipe, link, session } = all;
  await client.send(PATTERN.subarray(0, 1000));
  for (let left = 1000; left > 0;) left -= (await pipe.recv())?.length ?? left;
  // The acknowledgement is on its way at the latest after 200 ms.
  await eventually("the acknowledgement", () => client.session.acknowledged === 1000);
  const suspended = once(client, "suspended");
  link.setFaults({ resetAfter: 0 });
  link.cut("reset");
  await suspended;
  await client.send(PATTERN.subarray(0, 500));
  assertEquals([client.session.state, session.state], ["suspended", "suspended"]);
  const failed = assertRejects(() => client.recv(), SessionLost);
  for (let n = 0; n < 50; n++) await clock.tickAsync(100);
  const { reason, sent, acknowledged, received, message } = await failed;
  assertEquals({ reason, sent, acknowledged, received }, {
    reason: "expired",
    sent: 1500,
    acknowledged: 1000,
    received: 0,
  });
  assertStringIncludes(message, "it had no connection for 5000 ms");
  assertEquals(client.session.state, "lost");
  await assertRejects(() => client.send("more"), SessionLost);
  assertEquals(clock.pending, 0);
});

Deno.test("what was sent before closing arrives over an outage", async () => {
  await using all = await ends();
  const { client, pipe, link } = all;
  link.setFaults({ silent: true });
  await client.send(PATTERN.subarray(0, 50_000));
  const closed = client.close();
  link.setFaults({ resetAfter: 0 });
  link.cut("reset");
  await once(client, "suspended");
  link.setFaults({});
  assertEquals(await receive(pipe), 50_000);
  await pipe.close();
  await closed;
  assertEquals(client.session.state, "closed");
});

Deno.test("hundreds of connections leave nothing behind", async () => {
  const count = (): number => descriptorsOf().filter((name) => name.startsWith("socket:")).length;
  await using all = await ends();
  const { client, pipe, link } = all;
  const before = count();
  for (let n = 0; n < scale(30); n++) {
    const event = once(client, n % 2 ? "migrated" : "resumed");
    if (n % 2) await client.migrate();
    else link.cut(n % 4 ? "reset" : "end");
    await event;
    // Progress, so that nobody takes it for a server that throws everybody out.
    await client.send("x");
    await pipe.recv();
  }
  await eventually("the connections to be closed", () => count() <= before);
  await Promise.all([client.close(), pipe.close()]);
});

Deno.test("a server that does not know the session any more ends it", async () => {
  await using all = await ends();
  const { client, server, link } = all;
  await client.send("x");
  server.forgetful = true;
  link.cut("reset");
  const { reason, sent } = await assertRejects(() => client.recv(), SessionLost);
  assertEquals([reason, sent], ["refused", 1]);
});

for (const [code, reason] of [[3, "expired"], [5, "resources"]] as const) {
  Deno.test(`a server that refuses with ${code} ends the session as ${reason}`, async () => {
    await using all = await ends();
    const { client, server, link } = all;
    server.answer = { code };
    link.cut("reset");
    assertEquals((await assertRejects(() => client.recv(), SessionLost)).reason, reason);
  });
}

Deno.test("a server that is busy is left alone for as long as it asks", async () => {
  const clock = new FakeClock();
  await using all = await ends({ client: { clock } });
  const { client, pipe, server, link } = all;
  server.answer = { code: 2, wait: 30_000 };
  link.cut("reset");
  await eventually("the refusal", () => server.handshakes === 2);
  for (let n = 0; n < 29; n++) await clock.tickAsync(1000);
  assertEquals(server.handshakes, 2);
  server.answer = null;
  const resumed = once(client, "resumed");
  for (let n = 0; n < 5; n++) await clock.tickAsync(1000);
  await resumed;
  assertEquals(server.handshakes, 3);
  await client.send("x");
  assertEquals((await pipe.recv())?.length, 1);
});

Deno.test("a session goes where the server has moved, if the user named that host", async () => {
  await using all = await ends();
  const { client, server, link } = all;
  server.answer = { code: 4, text: `resume+tcp://localhost:${link.port}` };
  link.cut("reset");
  await eventually("more attempts", () => server.handshakes >= 4);
  assertEquals(server.links.length, link.connections, "all came by the way that was named");
  const url = server.url.replace("resume+", "");
  server.answer = { code: 4, text: url };
  await eventually("an attempt by the other way", () => server.links.length > link.connections);
  server.answer = null;
  await eventually("the session to go on", () => client.session.state === "open");
});

Deno.test("a session moves to the address that the server tells instead of its own, and to no other host", async () => {
  await using all = await ends();
  const { client, server, session, link } = all;
  const own = server.url.replace("resume+", "");
  session.core.sendAddresses(["tcp://192.0.2.1:1", `tls://127.0.0.1:1`]);
  await client.send("x");
  const moved = once(client, "migrated");
  session.core.sendAddresses(["tcp://192.0.2.1:1", own]);
  await moved;
  assertEquals(`tcp://127.0.0.1:${(client.remoteAddress as Deno.NetAddr).port}`, own);
  assertEquals([link.connections, server.links.length], [1, 2]);
});

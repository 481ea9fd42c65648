import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { listen, type ListenOptions } from "../pipes/listen.ts";
import type { Link } from "../pipes/_link.ts";
import type { PipeServer } from "../pipes/server.ts";
import { connect } from "../pipes/connect.ts";
import { connect as connectWs, listen as listenWs, webSocket } from "../pipes/ws.ts";
import { SessionHandshakeError } from "../pipes/resume/handshake_error.ts";
import { serveSessions } from "../pipes/resume/serve_sessions.ts";
import { checkClient, serverSetup } from "../pipes/resume/_server_setup.ts";
import type { SessionPipe } from "../pipes/resume/session.ts";
import { makeCertificates } from "./_certificates.ts";
import { CLIENT, SERVER, SHARED } from "./_handshakes.ts";
import { cutProxy, LOOPBACK, nextSession, opened, portOf, roundTrip, talk, text } from "./_serve_sessions.ts";

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

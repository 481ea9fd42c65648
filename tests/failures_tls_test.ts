/** Failures of TLS: brought about, known by name, and healed. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { constant } from "../recover/backoff.ts";
import { classify } from "../recover/classify.ts";
import { dial } from "../recover/dial.ts";
import { dialMemory } from "../recover/dial_memory.ts";
import { ready } from "../recover/ready.ts";
import { retry } from "../recover/retry.ts";
import type { Fault } from "../testing/fault.ts";
import { type FaultServer, startFaultServer } from "../testing/fault_server.ts";
import { makeCertificates } from "./_certificates.ts";
import { failedWays } from "./_failed_ways.ts";
import { online } from "./_online.ts";

const certificates = await makeCertificates();
const { ca, valid } = certificates;

/** A server with one of the certificates. */
function serve(
  tls: { readonly cert: string; readonly key: string },
  fault: Fault = { type: "http" },
): Promise<FaultServer> {
  return startFaultServer({ fault, tls });
}

/** Asks for a page under `retry()`. */
async function load(port: number, caCerts: string[] = [ca]): Promise<string> {
  using client = Deno.createHttpClient({ caCerts });
  const policy = retry({ idempotent: true, backoff: constant(1) });
  return await policy.execute(async ({ signal }) =>
    await (await fetch(`https://localhost:${port}/`, { client, signal })).text()
  );
}

/** Shows that all ways fail in the same way, and that `retry()` makes one attempt and no more. */
async function assertHopeless(
  server: FaultServer,
  known: string,
  text: string,
  caCerts = [ca],
): Promise<void> {
  const ways = await failedWays(server.port, caCerts);
  for (const way of ways) {
    assertEquals(way.known, known, way.call);
    assertStringIncludes(way.text, text, way.call);
  }
  assertEquals(ways.find(({ call }) => call === "connectTls")?.name, "InvalidData");
  const before = server.connections;
  const error = await assertRejects(() => load(server.port, caCerts), TypeError, "fetch failed");
  assertStringIncludes((error.cause as Error).message, text);
  assertEquals(server.connections, before + 1, "what cannot succeed is not repeated");
}

Deno.test("certificate-time: nothing is repeated, the header Date tells whose clock is wrong, a new one works", async () => {
  const known = "certificate-time tls never no";
  for (
    const [which, text] of [["expired", "certificate expired"], ["notYetValid", "not valid yet"]] as const
  ) {
    await using server = await serve(certificates[which]);
    await assertHopeless(server, known, text);
  }
  // An answer in plain text tells the time of others.
  const skew = async (offset: number): Promise<number> => {
    const headers = { date: new Date(Date.now() + offset).toUTCString() };
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () => new Response(null, { headers }),
    );
    const answer = await fetch(`http://127.0.0.1:${server.addr.port}/`, {
      method: "HEAD",
      redirect: "manual",
    });
    return Date.now() - Date.parse(answer.headers.get("date") ?? "");
  };
  const DAY = 86_400_000;
  assertEquals(Math.round(await skew(0) / DAY), 0);
  assertEquals(Math.round(await skew(40 * DAY) / DAY), -40);
  await using renewed = await serve(valid);
  assertEquals(await load(renewed.port), "ok");
});

Deno.test("certificate-name: a portal in the server's place is found out by its probe, and nothing is repeated", async () => {
  // The portal answers for everybody, with a certificate of its own.
  await using portal = await serve(certificates.wrongName);
  await assertHopeless(portal, "certificate-name tls never no", "certificate not valid for name");

  await using plain = await startFaultServer({ fault: { type: "redirect" } });
  await using here = await online();
  const probe = { url: `http://127.0.0.1:${plain.port}/`, body: "free" };
  const blocked = await ready(here.watcher, { portal: probe });
  assertEquals([blocked.ready, blocked.steps.at(-1)?.name], [false, "portal"]);
  plain.setFault({ type: "http", body: "free" });
  assertEquals((await ready(here.watcher, { portal: probe })).ready, true);

  // Without a portal it is the set-up: the server's own name is another one.
  const serverName = "wrong.example";
  const { conn } = await dial(`127.0.0.1:${portal.port}`, {
    transport: "tls",
    tls: { caCerts: [ca], serverName },
    memory: dialMemory(),
  });
  conn.close();
});

Deno.test("certificate-issuer: nothing is repeated, and with the issuer's certificate it works", async () => {
  const known = "certificate-issuer tls never no";
  await using stranger = await serve(certificates.unknownIssuer);
  await assertHopeless(stranger, known, "UnknownIssuer");
  await using server = await serve(valid);
  await assertHopeless(server, known, "UnknownIssuer", []);
  assertEquals(await load(server.port, [ca]), "ok");

  // The server's own side of it.
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...certificates.unknownIssuer });
  const accepted = (async () => {
    using conn = await listener.accept();
    await conn.handshake();
    await conn.read(new Uint8Array(1));
  })();
  const seen = assertRejects(() => accepted, Deno.errors.InvalidData, "received fatal alert: UnknownCA");
  await assertRejects(async () => {
    using conn = await Deno.connectTls({ hostname: "localhost", port: listener.addr.port, caCerts: [ca] });
    await conn.handshake();
  }, Deno.errors.InvalidData);
  assertEquals(classify(await seen, { operation: "handshake" }).scenario, "certificate-issuer");
});

Deno.test("not-tls: nothing is repeated, and without TLS the other end shows what it speaks", async () => {
  await using server = await serve(valid, { type: "not-tls" });
  await assertHopeless(
    server,
    "not-tls tls never no",
    "received corrupt message of type InvalidContentType",
  );
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await conn.write(new TextEncoder().encode("HEAD / HTTP/1.0\r\n\r\n"));
  const buffer = new Uint8Array(100);
  const text = new TextDecoder().decode(buffer.subarray(0, await conn.read(buffer) ?? 0));
  assertEquals(text.split("\r\n")[0], "HTTP/1.1 400 Bad Request");
});

Deno.test("handshake-cut: nothing was sent, so the next address is taken, and the next attempt is safe", async () => {
  const texts = { end: /unexpected end of file|tls handshake eof/, reset: /connection reset/i };
  for (const then of ["end", "reset"] as const) {
    await using server = await serve(valid, { type: "half-handshake", then });
    for (const { call, text, known } of await failedWays(server.port, [ca])) {
      assert(texts[then].test(text), `${call}: ${text}`);
      assertEquals(known, "handshake-cut reset later no", `${call}, ${then}`);
    }
  }

  // Another address of the same server is well.
  const tls = valid;
  await using bad = await serve(valid, { type: "half-handshake", then: "end" });
  await using good = await startFaultServer({
    fault: { type: "echo" },
    tls,
    port: bad.port,
    hostname: "127.0.0.2",
  });
  const options = { transport: "tls", tls: { caCerts: [ca] }, memory: dialMemory() } as const;
  const resolver = (_: string, type: string) =>
    Promise.resolve(type === "A" ? ["127.0.0.1", "127.0.0.2"] : []);
  const { conn, attempts } = await dial(`localhost:${bad.port}`, { ...options, resolver, family: 4 });
  conn.close();
  assertEquals(attempts.map(({ step, outcome, failure }) => [step, outcome, failure?.scenario]), [
    ["handshake", "failed", "handshake-cut"],
    ["handshake", "connected", undefined],
  ]);
  assertEquals(good.connections, 1);

  // It has one address only, and is well at the third attempt.
  const policy = retry({ operation: "handshake", backoff: constant(1) });
  const sent: string[] = [];
  using _failures = policy.on("failure", ({ failure }) => {
    sent.push(`${failure.scenario} ${failure.sent}`);
    if (sent.length === 2) bad.setFault({ type: "echo" });
  });
  const before = bad.connections;
  const healed = await dial(`127.0.0.1:${bad.port}`, { ...options, retry: policy });
  healed.conn.close();
  assertEquals(sent, ["handshake-cut no", "handshake-cut no"]);
  assertEquals(bad.connections, before + 3);
});

Deno.test("tls-truncated: the cut is seen, asked again is only what may be asked twice", async () => {
  await using server = await serve(valid, { type: "close-without-notify", after: 5 });
  const ask = async (): Promise<string> => {
    using conn = await Deno.connectTls({ hostname: "localhost", port: server.port, caCerts: [ca] });
    await conn.write(new TextEncoder().encode("hello"));
    let text = "";
    const buffer = new Uint8Array(100);
    for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
      text += new TextDecoder().decode(buffer.subarray(0, count));
    }
    return text;
  };
  const words = "peer closed connection without sending TLS close_notify";
  const error = await assertRejects(ask, Deno.errors.UnexpectedEof, words);
  const { scenario, kind, retry: when, sent } = classify(error, { operation: "read" });
  assertEquals([scenario, kind, when, sent], ["tls-truncated", "reset", "later", "maybe"]);

  // The same without TLS looks like an ordinary end.
  await using plain = await startFaultServer({ fault: { type: "end", after: 5 } });
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: plain.port });
  await conn.write(new TextEncoder().encode("hello"));
  assertEquals([await conn.read(new Uint8Array(9)), await conn.read(new Uint8Array(9))], [5, null]);

  const before = server.connections;
  const once = retry({ operation: "read", backoff: constant(1) });
  await assertRejects(() => once.execute(ask), Deno.errors.UnexpectedEof);
  assertEquals(server.connections, before + 1, "it may have been carried out");

  const again = retry({ operation: "read", backoff: constant(1), idempotent: true });
  using _failures = again.on("failure", () => server.setFault({ type: "end", after: 5 }));
  assertEquals(await again.execute(ask), "hello");
  assertEquals(server.connections, before + 3);
});

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { addition, clientHello, latin1, protocols, proxyV2, serverName } from "../../tests/_peek_bytes.ts";
import { countDescriptors, settledCount } from "../../tests/_push_sockets.ts";
import { checkRoutes, chooseRoute, type PushRoutes } from "./_choose_route.ts";
import { receive } from "./receive.ts";
import { type PushRouter, type PushUnroutedEvent, routePushes } from "./route.ts";

const ignore = Deno.build.os !== "linux";

const ROUTES: PushRoutes = {
  alpn: { "acme-tls/1": "/acme" },
  sni: { "A.Example.": "/a", "*.b.example": "/b" },
  host: { "a.example": "/http-a", "*.b.example": "/http-b", "192.0.2.7": "/http-7" },
  proxy: { "192.0.2.1:443": "/p1", "192.0.2.2": "/p2", "[2001:db8::1]:443": "/p6", "c.example": "/pc" },
};

const hello = (name: string, ...alpn: readonly string[]): Uint8Array =>
  clientHello({ extensions: [serverName(name), ...alpn.length > 0 ? [protocols(...alpn)] : []] });
const http = (host: string): Uint8Array => latin1(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
const proxied = (place: string, then: Uint8Array = latin1("")): Uint8Array =>
  Uint8Array.of(...latin1(`PROXY ${place}\r\n`), ...then);

Deno.test("connections are told apart by protocol, name, host, and what a proxy says", () => {
  const cases: readonly (readonly [Uint8Array, string | null])[] = [
    [hello("a.example"), "/a"],
    [hello("x.b.example"), "/b"],
    [hello("b.example"), null],
    [hello("x.y.b.example"), null],
    [hello("a.example", "h2", "acme-tls/1"), "/acme"],
    [hello("a.example", "h2"), "/a"],
    [hello("constructor"), null],
    [clientHello(), null],
    [http("A.example:8080"), "/http-a"],
    [http("y.b.example"), "/http-b"],
    [http("192.0.2.7"), "/http-7"],
    [http("__proto__"), null],
    [proxied("TCP4 198.51.100.9 192.0.2.1 50000 443"), "/p1"],
    [proxied("TCP4 198.51.100.9 192.0.2.2 50000 80"), "/p2"],
    [proxied("TCP6 2001:db8::9 2001:db8::1 50000 443"), "/p6"],
    [proxied("TCP4 198.51.100.9 192.0.2.9 50000 443", hello("a.example")), "/a"],
    [proxied("TCP4 198.51.100.9 192.0.2.9 50000 80", http("a.example")), "/http-a"],
    [proxied("UNKNOWN", http("a.example")), "/http-a"],
    // A header behind a header leads nowhere.
    [proxied("UNKNOWN", proxied("TCP4 198.51.100.9 192.0.2.1 50000 443")), null],
    [
      proxyV2(0x21, 0x11, [198, 51, 100, 9, 192, 0, 2, 9, 0xc3, 0x50, 1, 0xbb], addition(2, "c.example")),
      "/pc",
    ],
    [latin1("SSH-2.0-OpenSSH_9.2\r\n"), null],
  ];
  const routes = checkRoutes(ROUTES);
  for (const [bytes, target] of cases) {
    const seen = chooseRoute(bytes, routes, 16_384);
    assertEquals(seen === "more" ? "more" : seen.target, target, new TextDecoder().decode(bytes));
    // No part of them is a route already.
    for (let size = 0; target !== null && size < bytes.length; size++) {
      const part = chooseRoute(bytes.subarray(0, size), routes, 16_384);
      assert(part === "more" || part.target === target, `${size} of ${new TextDecoder().decode(bytes)}`);
    }
    const bounded = chooseRoute(bytes, routes, 10);
    assert(bounded === "more" || bounded.target === null);
  }
  assertThrows(() => checkRoutes({ sni: { "no name": "/x" } }), RangeError, '"no name" is no name');
});

async function withRouter(
  options: Omit<Parameters<typeof routePushes>[1], "routes">,
  test: (router: PushRouter, connect: () => Promise<Deno.TcpConn>, directory: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-push-" });
  try {
    let before = Infinity;
    // The first time the runtime opens what it keeps for itself.
    for (const _round of ["first", "second"]) {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = listener.addr;
      const routes = { host: { "a.example": `${directory}/a` } };
      await using router = await routePushes(listener, { ...options, routes });
      await test(router, () => Deno.connect({ port }), directory);
      await router.close();
      before = Math.min(before, countDescriptors());
    }
    const after = await settledCount(before);
    assert(after <= before, `${before} descriptors before, ${after} after`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** The next connection that nobody gets. */
function unrouted(router: PushRouter): Promise<PushUnroutedEvent> {
  return new Promise((resolve) => {
    const handler = router.on("unrouted", (event) => {
      handler[Symbol.dispose]();
      resolve(event);
    });
  });
}

Deno.test(
  { ignore, name: "who is silent, slow or talks too long is closed, and holds nobody else up" },
  async () => {
    await withRouter({ timeout: 300, maxBytes: 200 }, async (router, connect, directory) => {
      await using worker = await receive(`${directory}/a`);
      const silent = await connect();
      const error = (await unrouted(router)).error;
      assertEquals([error.code, error.message.includes("300 ms")], ["timeout", true]);
      assertEquals(await silent.read(new Uint8Array(1)), null);
      const talker = await connect();
      await talker.write(latin1(`GET / HTTP/1.1\r\nX: ${"x".repeat(300)}`));
      assert((await unrouted(router)).error.message.includes("not known"));
      const strange = await connect();
      await strange.write(http("b.example"));
      assert((await unrouted(router)).error.message.includes('to "b.example"'));
      const gone = await connect();
      await gone.write(latin1("GET"));
      gone.close();
      assertEquals((await unrouted(router)).error.code, "closed");
      const good = await connect();
      await good.write(http("a.example"));
      for await (const received of worker) {
        assertEquals(received.metadata, null);
        if (received.kind === "stream") await received.pipe.close();
        break;
      }
      assertEquals(await good.read(new Uint8Array(1)), null);
      assertEquals(router.counts, { routed: 1, unrouted: 4 });
      for (const conn of [silent, talker, strange, good]) conn.close();
    });
  },
);

Deno.test(
  { ignore, name: "when too many are silent the one that has been so longest is closed" },
  async () => {
    await withRouter({ timeout: 60_000, maxWaiting: 2 }, async (router, connect) => {
      const clients: Deno.TcpConn[] = [];
      for (let index = 0; index < 2; index++) {
        clients.push(await connect());
        while (router.connections < clients.length) await new Promise((resolve) => setTimeout(resolve, 1));
      }
      const closed = unrouted(router);
      clients.push(await connect());
      assert((await closed).error.message.includes("it has been longest"));
      assertEquals(await clients[0]?.read(new Uint8Array(1)), null);
      while (router.connections > 2) await new Promise((resolve) => setTimeout(resolve, 1));
      for (const client of clients) client.close();
    });
  },
);

Deno.test(
  { ignore, name: "what no route leads to goes to the fallback, and what a proxy said goes along" },
  async () => {
    const fallback = `${await Deno.makeTempDir({ prefix: "holdfast-push-" })}/rest`;
    await withRouter({ fallback }, async (router, connect) => {
      await using worker = await receive(fallback);
      const header = "PROXY TCP4 198.51.100.9 192.0.2.1 50000 443\r\n";
      const client = await connect();
      await client.write(latin1(`${header}SSH-2.0-x\r\n`));
      for await (const received of worker) {
        assertEquals(received.metadata, { proxy: header.length });
        assert(received.kind === "stream");
        assertEquals(
          new TextDecoder().decode(await received.pipe.recv() ?? undefined),
          `${header}SSH-2.0-x\r\n`,
        );
        await received.pipe.close();
        break;
      }
      client.close();
      // A process that is not there costs its client the connection, and nobody else.
      const lost = await connect();
      const event = unrouted(router);
      await lost.write(http("a.example"));
      assertEquals((await event).error.code, "unreachable");
      assertEquals(await lost.read(new Uint8Array(1)), null);
      lost.close();
    });
    await Deno.remove(fallback.replace(/\/rest$/, ""), { recursive: true });
  },
);

Deno.test({ ignore, name: "without routes nobody is asked where he wants to go" }, async () => {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-push-" });
  await using worker = await receive(`${directory}/all`);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using router = await routePushes(listener, { routes: {}, fallback: worker.path });
  const client = await Deno.connect({ port: listener.addr.port });
  const routed = new Promise<Deno.Addr>((resolve) =>
    void router.on("routed", ({ remote }) => resolve(remote))
  );
  for await (const received of worker) {
    // The server speaks first.
    if (received.kind !== "stream") continue;
    await received.pipe.send("220 welcome");
    await received.pipe.close();
    break;
  }
  assertEquals(await new Response(client.readable).text(), "220 welcome");
  assertEquals((await routed as Deno.NetAddr).hostname, "127.0.0.1");
  await Deno.remove(directory, { recursive: true });
});

Deno.test({ ignore, name: "a router that cannot be is not started" }, async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  for (const wrong of [{ maxBytes: 0 }, { maxBytes: 20_000 }, { maxWaiting: 0.5 }, { timeout: NaN }]) {
    await assertRejects(() => routePushes(listener, { routes: {}, ...wrong }), RangeError, "Cannot route");
  }
});

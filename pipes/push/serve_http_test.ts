import { assert, assertEquals, assertRejects } from "@std/assert";
import { createServer } from "node:net";
import { descriptorsOf, eventually } from "../../tests/_child.ts";
import { silentLogger } from "../../internal/log.ts";
import { adopt } from "./_adopt.ts";
import type { AdoptedListener } from "./_adopted_listener.ts";
import { handleOf, withoutTricks } from "./_internals.ts";
import { type HttpHandler, serveHttp } from "./serve_http.ts";

const linux = Deno.build.os === "linux";
const WAYS = ["Deno.serve", "node:http"] as const;

/** A listener as if it came from elsewhere. */
async function listener(where: { port: number; host: string } | { path: string }): Promise<AdoptedListener> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(where, resolve));
  const fd = handleOf(server)?.fdForIpc() ?? -1;
  // Who closes it removes its path.
  if ("path" in where) await Deno.link(where.path, `${where.path}et`);
  server.close();
  return await adopt(fd, { expect: "listener" });
}

const LOOPBACK = { port: 0, host: "127.0.0.1" };

const handler: HttpHandler = async (request) => {
  const { pathname, search } = new URL(request.url);
  const headers = new Headers([["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x-method", request.method]]);
  switch (pathname) {
    case "/echo":
      return new Response(request.body, { headers });
    case "/throw":
      throw new Error("a secret");
    case "/empty":
      return new Response(null, { status: 204 });
    default:
      return new Response(
        `${request.url} ${search} ${request.headers.get("x-one")} ${await request.text()}`,
        {
          status: 418,
        },
      );
  }
};

/** What a server answers to this request, byte by byte. */
async function raw(port: number, request: string): Promise<string> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await conn.write(new TextEncoder().encode(request));
  return await new Response(conn.readable).text();
}

for (const by of WAYS) {
  Deno.test({
    ignore: !linux,
    name: `an adopted listener answers requests by ${by} as a server does`,
    async fn() {
      const errors: unknown[] = [];
      const logger = { ...silentLogger, error: (...values: unknown[]) => void errors.push(...values) };
      await using server = await serveHttp(await listener(LOOPBACK), handler, { by, logger });
      assertEquals([server.by, server.note], [by, null]);
      assert("port" in server.localAddress);
      const { port } = server.localAddress;
      const url = `http://127.0.0.1:${port}`;
      const plain = await fetch(`${url}/a?b=c`, { method: "PUT", body: "hello", headers: { "x-one": "1" } });
      assertEquals([plain.status, await plain.text()], [418, `${url}/a?b=c ?b=c 1 hello`]);
      const large = new Uint8Array(3_000_000).map((_, at) => at % 251);
      const echo = await fetch(`${url}/echo`, { method: "POST", body: large });
      assertEquals([echo.headers.getSetCookie(), echo.headers.get("x-method")], [["a=1", "b=2"], "POST"]);
      assertEquals(await echo.bytes(), large);
      const thrown = await fetch(`${url}/throw`);
      assertEquals([thrown.status, await thrown.text()], [500, "Internal Server Error"]);
      assertEquals(errors.map(String), ["A handler of HTTP requests threw", "Error: a secret"]);
      const empty = await fetch(`${url}/empty`);
      assertEquals([empty.status, await empty.text()], [204, ""]);
      const head = await fetch(`${url}/a`, { method: "HEAD" });
      assertEquals([head.status, await head.text()], [418, ""]);
    },
  });

  Deno.test({
    ignore: !linux,
    name: `nothing is left of a server by ${by}, its port included`,
    async fn() {
      const first = await listener(LOOPBACK);
      assert("port" in first.localAddress);
      const { port } = first.localAddress;
      // What the runtime opens once stays open.
      await (await serveHttp(await listener(LOOPBACK), handler, { by })).shutdown();
      const before = descriptorsOf().length;
      const server = await serveHttp(first, handler, { by });
      const answer = await raw(port, "GET /empty HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      assert(answer.startsWith("HTTP/1.1 204 No Content\r\n"), answer);
      await Promise.all([server.shutdown(), server.finished]);
      // The listener itself is closed as well.
      await eventually("the descriptors to be closed", () => descriptorsOf().length === before - 1);
      await assertRejects(() => Deno.connect({ hostname: "127.0.0.1", port }), Deno.errors.ConnectionRefused);
    },
  });
}

Deno.test({
  ignore: !linux,
  name: "a request that the runtime has no form for is refused by Node's part, and the handler never sees it",
  async fn() {
    const seen: string[] = [];
    const server = await serveHttp(await listener(LOOPBACK), (request) => {
      seen.push(request.url);
      return new Response("fine");
    }, { by: "node:http" });
    assert("port" in server.localAddress);
    const { port } = server.localAddress;
    const answer = await raw(port, "TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert(answer.startsWith("HTTP/1.1 400 "), answer);
    const absolute = await raw(port, "GET http://b/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert(absolute.endsWith("fine") || absolute.includes("fine"), absolute);
    assertEquals(seen, ["http://b/x"]);
    await server.shutdown();
  },
});

Deno.test({
  ignore: !linux,
  name: "a client that goes away is told to the handler, and the server goes on",
  async fn() {
    const gone = Promise.withResolvers<void>();
    await using server = await serveHttp(await listener(LOOPBACK), (request) => {
      request.signal.addEventListener("abort", () => gone.resolve());
      return new Response(
        new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) }),
      );
    }, { by: "node:http" });
    assert("port" in server.localAddress);
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.localAddress.port });
    await conn.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    await conn.read(new Uint8Array(100));
    conn.close();
    await gone.promise;
  },
});

Deno.test({
  ignore: !linux,
  name: "without the trick, or over a Unix socket, HTTP is served by Node's part, and the server says why",
  async fn() {
    const folder = await Deno.makeTempDir();
    {
      await using unix = await serveHttp(await listener({ path: `${folder}/sock` }), handler);
      assertEquals([unix.by, unix.note], [
        "node:http",
        "a Unix socket cannot take the place of a listener of TCP",
      ]);
      using client = Deno.createHttpClient({ proxy: { transport: "unix", path: `${folder}/socket` } });
      assertEquals((await fetch("http://a/empty", { client })).status, 204);
    }
    await Deno.remove(folder, { recursive: true });
    using _off = withoutTricks("transplant");
    const first = await listener(LOOPBACK);
    await assertRejects(() => serveHttp(first, handler, { by: "Deno.serve" }), TypeError, "switched off");
    await using server = await serveHttp(first, handler);
    assertEquals([server.by, server.note], ["node:http", "switched off"]);
    assert("port" in server.localAddress);
    assertEquals((await fetch(`http://127.0.0.1:${server.localAddress.port}/empty`)).status, 204);
  },
});

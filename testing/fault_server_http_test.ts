import { assert, assertEquals, assertRejects } from "@std/assert";
import { makeTestAuthority } from "./certificates.ts";
import type { Fault } from "./fault.ts";
import { type FaultServer, type FaultServerOptions, startFaultServer } from "./fault_server.ts";

function start(fault: Fault, options: Partial<FaultServerOptions> = {}): Promise<FaultServer> {
  return startFaultServer({ ...options, fault });
}

/** A client of its own, so that no connection outlives its test. */
function newClient(caCerts: string[] = []): Deno.HttpClient {
  return Deno.createHttpClient({ caCerts });
}

Deno.test("a server of HTTP is well: over TCP and over TLS, for a body that is sent, too", async () => {
  const authority = await makeTestAuthority();
  const tls = await authority.issue();
  using client = newClient([authority.cert]);
  await using plain = await start({ type: "http" });
  await using secure = await start({ type: "http", body: "sécure" }, { tls });
  const answer = await fetch(`http://127.0.0.1:${plain.port}/`, {
    client,
    method: "POST",
    body: "x".repeat(1e5),
  });
  assertEquals([answer.status, await answer.text()], [200, "ok"]);
  assertEquals(await (await fetch(`https://127.0.0.1:${secure.port}/`, { client })).text(), "sécure");
});

Deno.test("captive-portal: whatever is asked for, a page to log in is what comes, as if all were well", async () => {
  await using server = await start({ type: "redirect" });
  using client = newClient();
  const url = `http://127.0.0.1:${server.port}/generate_204`;
  const answer = await fetch(url, { client });
  assertEquals([answer.status, answer.redirected, answer.url], [200, true, new URL("/login", url).href]);
  assert((await answer.text()).includes("Log in"));
  const seen = await fetch(url, { client, redirect: "manual" });
  assertEquals([seen.status, seen.headers.get("location")], [302, "/login"]);
  await seen.text();
  server.setFault({ type: "redirect", status: 200 });
  const page = await fetch(url, { client, redirect: "manual" });
  assertEquals([page.status, page.headers.get("content-type")], [200, "text/html"]);
  await page.text();
});

Deno.test("overloaded: the status and when to come back, in seconds, as a date, or left out", async () => {
  await using server = await start({ type: "http-status", status: 429, retryAfter: 7 });
  using client = newClient();
  const ask = async () => {
    const answer = await fetch(`http://127.0.0.1:${server.port}/`, { client });
    await answer.text();
    return [answer.status, answer.headers.get("retry-after")];
  };
  assertEquals(await ask(), [429, "7"]);
  const date = "Wed, 21 Oct 2026 07:28:00 GMT";
  server.setFault({ type: "http-status", status: 503, retryAfter: date });
  assertEquals(await ask(), [503, date]);
  server.setFault({ type: "http-status", status: 503 });
  assertEquals(await ask(), [503, null]);
});

for (const framing of ["length", "chunked"] as const) {
  for (const how of ["end", "reset"] as const) {
    Deno.test(`body-cut: the body (${framing}) breaks off by ${how}, and reading it fails`, async () => {
      await using server = await start({ type: "http-body-cut", framing, how });
      using client = newClient();
      await assertRejects(
        async () => await (await fetch(`http://127.0.0.1:${server.port}/`, { client })).text(),
        TypeError,
      );
    });
  }
}

Deno.test("response-stalls: the head does not end, and nothing tells the client but its own signal", async () => {
  await using server = await start({ type: "http-header-stall" });
  using client = newClient();
  const { signal, abort } = newAbort();
  const answer = fetch(`http://127.0.0.1:${server.port}/`, { client, signal });
  await server.connected(1);
  abort();
  await assertRejects(() => answer, DOMException, "enough");
});

Deno.test("response-stalls: the body does not end, and nothing tells the client but its own signal", async () => {
  await using server = await start({ type: "http-body-stall" });
  using client = newClient();
  const { signal, abort } = newAbort();
  const answer = await fetch(`http://127.0.0.1:${server.port}/`, { client, signal });
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  assertEquals((await reader?.read())?.value, "the beginning");
  const next = assertRejects(async () => await reader?.read(), DOMException, "enough");
  abort();
  await next;
});

Deno.test("pooled-connection-closed: the first request is answered, the next on the connection is cut", async () => {
  await using server = await start({ type: "http-pooled-cut" });
  using connection = await Deno.connect(server);
  const buffer = new Uint8Array(1000);
  const request = new TextEncoder().encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await connection.write(request);
  const count = await connection.read(buffer) ?? 0;
  assert(new TextDecoder().decode(buffer.subarray(0, count)).endsWith("\r\n\r\nok"));
  await connection.write(request);
  await assertRejects(() => connection.read(buffer), Deno.errors.ConnectionReset);
});

Deno.test("a head without end is cut off, not kept", async () => {
  await using server = await start({ type: "http" });
  using connection = await Deno.connect(server);
  await assertRejects(async () => {
    while (true) await connection.write(new Uint8Array(10_000).fill(0x61));
  });
});

/** A WebSocket, and what happens to it in turn. */
async function openSocket(server: FaultServer): Promise<{ socket: WebSocket; next(): Promise<string> }> {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/`);
  socket.binaryType = "arraybuffer";
  const seen: string[] = [];
  let changed = Promise.withResolvers<void>();
  const push = (what: string): void => {
    seen.push(what);
    changed.resolve();
    changed = Promise.withResolvers();
  };
  socket.onmessage = ({ data }) =>
    push(typeof data === "string" ? `text ${data.length}` : `bytes ${data.byteLength}`);
  socket.onclose = ({ wasClean, code }) => push(`close ${wasClean} ${code}`);
  socket.onopen = () => push("open");
  const next = async (): Promise<string> => {
    while (seen.length === 0) await changed.promise;
    return seen.shift() ?? "";
  };
  assertEquals(await next(), "open");
  return { socket, next };
}

Deno.test("a server of WebSocket is well: it echoes short and long messages, and closes as it should", async () => {
  await using server = await start({ type: "websocket" });
  const { socket, next } = await openSocket(server);
  for (const size of [0, 125, 126, 65_535, 65_536, 200_000]) {
    socket.send("x".repeat(size));
    assertEquals(await next(), `text ${size}`);
  }
  socket.send(new Uint8Array(3));
  assertEquals(await next(), "bytes 3");
  socket.close(1000, "done");
  assertEquals(await next(), "close true 1000");
});

Deno.test("websocket-half-open: after some messages nothing comes, and the socket still calls itself open", async () => {
  await using server = await start({ type: "websocket-half-open", after: 1 });
  const { socket, next } = await openSocket(server);
  socket.send("one");
  assertEquals(await next(), "text 3");
  socket.send("two");
  // What is answered at once by another server shows that there was time for an answer.
  await using well = await start({ type: "websocket" });
  const other = await openSocket(well);
  other.socket.send("two");
  assertEquals(await other.next(), "text 3");
  other.socket.close();
  await other.next();
  assertEquals(socket.readyState, WebSocket.OPEN);
  server.cut("end");
  assert((await next()).startsWith("close false"));
});

Deno.test("websocket-lost: after some messages the socket is cut by a reset, which is no clean close", async () => {
  await using server = await start({ type: "websocket-reset", after: 1 });
  const { socket, next } = await openSocket(server);
  socket.send("one");
  assertEquals(await next(), "text 3");
  assertEquals(await next(), "close false 0");
});

function newAbort(): { signal: AbortSignal; abort(): void } {
  const controller = new AbortController();
  return {
    signal: controller.signal,
    abort: () => controller.abort(new DOMException("That is enough", "AbortError")),
  };
}

/** Failures brought about for real, without any right: what the APIs of this machine throw is known by name. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { Resolver } from "node:dns";
import { get } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { classify, type ClassifyContext } from "../recover/classify.ts";
import type { Fault } from "../testing/fault.ts";
import { type FaultServer, startFaultServer } from "../testing/fault_server.ts";
import { startDnsServer } from "../testing/dns_server.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { runCode } from "./_code.ts";
import { requires } from "./_require.ts";

const onLinux = requires({ os: ["linux"] });
const HOST = "127.0.0.1";

/** What was thrown, as `scenario kind retry sent`. */
async function failed(work: () => unknown, context: ClassifyContext = {}): Promise<string> {
  try {
    await work();
  } catch (error) {
    return known(error, context);
  }
  throw new Error("Cannot classify: nothing was thrown");
}

function known(error: unknown, context: ClassifyContext = {}): string {
  const { scenario, kind, retry, sent } = classify(error, context);
  return `${scenario ?? "-"} ${kind} ${retry} ${sent}`;
}

/** A port that nobody listens on. */
function closedPort(): number {
  using listener = Deno.listen({ hostname: HOST, port: 0 });
  return listener.addr.port;
}

/** Resolves when a client of node's gets its error. */
function errorOf(emitter: { on(event: "error", handler: (error: Error) => void): unknown }): Promise<never> {
  return new Promise((_, reject) => emitter.on("error", reject));
}

/** The events of a WebSocket that tell of its failure. */
async function socketEvents(url: string): Promise<{ readonly error: unknown; readonly close: CloseEvent }> {
  const socket = new WebSocket(url);
  const { promise, resolve } = Promise.withResolvers<CloseEvent>();
  let error: unknown;
  socket.onerror = (event) => error = event;
  socket.onopen = () => socket.send("x");
  socket.onclose = resolve;
  const close = await promise;
  return { error, close };
}

function fault(fault: Fault): Promise<FaultServer> {
  return startFaultServer({ fault });
}

Deno.test({
  name: "a closed port is known by every API that connects",
  ...onLinux,
  async fn() {
    const port = closedPort();
    const expected = "port-closed refused later no";
    assertEquals(await failed(() => Deno.connect({ hostname: HOST, port })), expected);
    assertEquals(await failed(() => Deno.connectTls({ hostname: HOST, port })), expected);
    assertEquals(await failed(() => fetch(`http://${HOST}:${port}/`)), expected);
    assertEquals(await failed(() => fetch(`https://${HOST}:${port}/`)), expected);
    assertEquals(await failed(() => errorOf(connect({ host: HOST, port }))), expected);
    assertEquals(await failed(() => errorOf(get({ host: HOST, port })), { operation: "request" }), expected);
    const { error, close } = await socketEvents(`ws://${HOST}:${port}/`);
    assertEquals(known(error), "- unreachable later no");
    assertEquals(known(close, { operation: "handshake" }), "websocket-lost reset later no");
  },
});

Deno.test({
  name: "a reset is known by every API, and nobody says that nothing was sent",
  ...onLinux,
  async fn() {
    await using server = await answering((socket) => socket.resetAndDestroy());
    const { port } = server;
    const expected = "reset-by-peer reset later maybe";
    using connection = await Deno.connect({ hostname: HOST, port });
    await connection.write(new Uint8Array(1));
    assertEquals(await failed(() => connection.read(new Uint8Array(1)), { operation: "read" }), expected);
    assertEquals(await failed(() => fetch(`http://${HOST}:${port}/`)), expected);
    const socket = connect({ host: HOST, port }, () => socket.write("x"));
    assertEquals(await failed(() => errorOf(socket)), expected);
    assertEquals(await failed(() => errorOf(get({ host: HOST, port })), { operation: "request" }), expected);
    assertEquals(
      await failed(() => fetch(`https://${HOST}:${port}/`)),
      "handshake-cut reset later no",
      "before there was TLS nothing was sent",
    );
  },
});

Deno.test({
  name: "writing after the other end has gone is known as an end without goodbye",
  ...onLinux,
  async fn() {
    using listener = Deno.listen({ hostname: HOST, port: 0 });
    using connection = await Deno.connect({ hostname: HOST, port: listener.addr.port });
    (await listener.accept()).close();
    assertEquals(await connection.read(new Uint8Array(1)), null);
    const write = async (): Promise<void> => {
      while (true) await connection.write(new Uint8Array(1));
    };
    const expected = /^(end-without-goodbye|reset-by-peer) reset later maybe$/;
    assertEquals(expected.test(await failed(write, { operation: "write" })), true);
    assertEquals(await failed(write, { operation: "write" }), "end-without-goodbye reset later maybe");
  },
});

Deno.test({
  name: "what a program does to its own sockets is known as cancelled",
  ...onLinux,
  async fn() {
    using listener = Deno.listen({ hostname: HOST, port: 0 });
    const connection = await Deno.connect({ hostname: HOST, port: listener.addr.port });
    using _other = await listener.accept();
    const reading = failed(() => connection.read(new Uint8Array(1)), { operation: "read" });
    connection.close();
    assertEquals(await reading, "- cancelled never maybe");
    assertEquals(await failed(() => connection.write(new Uint8Array(1))), "- cancelled never maybe");
    const stopped = Deno.listen({ hostname: HOST, port: 0 });
    stopped.close();
    assertEquals(await failed(() => stopped.accept(), { operation: "accept" }), "- cancelled never no");
    const { port } = listener.addr;
    const signal = AbortSignal.abort();
    assertEquals(await failed(() => fetch(`http://${HOST}:${port}/`, { signal })), "- cancelled never maybe");
  },
});

Deno.test({
  name: "a time limit is known by what it cut short",
  ...onLinux,
  async fn() {
    await using server = await fault({ type: "silent" });
    await using dns = await startDnsServer({ rules: [{ fault: "drop" }] });
    const signal = (): AbortSignal => AbortSignal.timeout(20);
    const url = `http://${HOST}:${server.port}/`;
    assertEquals(
      await failed(() => fetch(url, { signal: signal() }), { operation: "request" }),
      "response-stalls timeout later maybe",
    );
    const nameServer = { ipAddr: dns.hostname, port: dns.port };
    assertEquals(
      await failed(() => Deno.resolveDns("a.test", "A", { nameServer, signal: signal() }), {
        operation: "resolve",
      }),
      "resolver-silent dns later no",
    );
    assertEquals(await failed(() => fetch(url, { signal: signal() })), "- timeout later maybe");
  },
});

Deno.test({
  name: "addresses that cannot be listened on are known, whatever hides them",
  ...onLinux,
  async fn() {
    using listener = Deno.listen({ hostname: HOST, port: 0 });
    const { port } = listener.addr;
    const taken = "address-in-use address-in-use later no";
    assertEquals(await failed(() => Deno.listen({ hostname: HOST, port })), taken);
    assertEquals(await failed(() => Deno.serve({ hostname: HOST, port }, () => new Response())), taken);
    assertEquals(await failed(() => errorOf(listening({ host: HOST, port }))), taken);
    using socket = closing(createSocket("udp4"));
    await new Promise<void>((resolve) => socket.bind(0, HOST, resolve));
    using second = closing(createSocket("udp4"));
    const binding = errorOf(second);
    second.bind(socket.address().port, HOST);
    assertEquals(await failed(() => binding), taken);
    // RFC 5737: an address for documents only.
    const missing = "listen-address-missing address-gone after-change no";
    const nowhere = { hostname: "192.0.2.1", port: 0 };
    assertEquals(await failed(() => Deno.listen(nowhere), { operation: "listen" }), missing);
    assertEquals(await failed(() => errorOf(listening({ host: nowhere.hostname, port: 0 }))), missing);
  },
});

Deno.test({
  name: "stale and missing Unix sockets are known",
  ...onLinux,
  async fn() {
    const folder = await Deno.makeTempDir();
    const path = `${folder}/a.sock`;
    const stale = "unix-socket-stale refused later no";
    const options = { transport: "unix", path } as const;
    try {
      assertEquals(await failed(() => Deno.connect(options), { operation: "connect" }), stale);
      assertEquals(await failed(() => errorOf(connect({ path }))), stale);
      assertEquals(await failed(() => Deno.connect(options), { remoteAddress: path }), stale);
      await Deno.writeTextFile(path, "");
      assertEquals(await failed(() => Deno.connect(options), { remoteAddress: path }), stale);
      const context: ClassifyContext = { operation: "listen", localAddress: path };
      assertEquals(await failed(() => Deno.listen(options), context), stale);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "datagrams that are too long, and groups without an interface, are known",
  ...onLinux,
  async fn() {
    using socket = closing(createSocket("udp4"));
    const sending = Promise.withResolvers<void>();
    socket.send(
      new Uint8Array(70_000),
      9,
      HOST,
      (error) => error ? sending.reject(error) : sending.resolve(),
    );
    assertEquals(await failed(() => sending.promise), "datagram-too-long protocol never no");
    // RFC 5737: no interface has that address.
    const joining = (): void => socket.addMembership("224.0.0.251", "192.0.2.9");
    assertEquals(await failed(joining), "multicast-without-interface unreachable after-change no");
  },
});

Deno.test({
  name: "a name without an answer is known, also where the runtime hides why",
  ...onLinux,
  async fn() {
    await using dns = await startDnsServer({
      rules: [{ name: "servfail.test", fault: "servfail" }, { fault: "nxdomain" }],
    });
    const nameServer = { ipAddr: dns.hostname, port: dns.port };
    const resolver = new Resolver();
    resolver.setServers([`${dns.hostname}:${dns.port}`]);
    const hidden = "name-unknown dns later no";
    for (const name of ["nx.test", "servfail.test"]) {
      assertEquals(await failed(() => Deno.resolveDns(name, "A", { nameServer })), hidden);
      const asking = Promise.withResolvers<void>();
      resolver.resolve4(name, (error) => error ? asking.reject(error) : asking.resolve());
      assertEquals(await failed(() => asking.promise), hidden);
    }
  },
});

Deno.test({
  name: "what is wrong with a certificate is known on both ends",
  ...onLinux,
  async fn() {
    const authority = await makeTestAuthority();
    const day = 86_400_000;
    const notBefore = new Date(Date.now() - 3 * day);
    const bad = {
      "certificate-issuer": await (await makeTestAuthority("Nobody knows it")).issue(),
      "certificate-name": await authority.issue({ names: ["other.test"] }),
      "certificate-time": await authority.issue({ notBefore, notAfter: new Date(Date.now() - day) }),
    };
    const caCerts = [authority.cert];
    using client = Deno.createHttpClient({ caCerts });
    for (const [scenario, { cert, key }] of Object.entries(bad)) {
      using listener = Deno.listenTls({ hostname: HOST, port: 0, cert, key });
      const { port } = listener.addr;
      const expected = `${scenario} tls never no`;
      const served = serveHandshake(listener);
      using connection = await Deno.connectTls({ hostname: HOST, port, caCerts });
      assertEquals(await failed(() => connection.handshake(), { operation: "handshake" }), expected);
      const alert = await served;
      assertEquals(classify(alert).kind, "tls", `${alert}`);
      const again = serveHandshake(listener);
      assertEquals(await failed(() => fetch(`https://${HOST}:${port}/`, { client })), expected);
      await again;
      // This runtime's node:tls says of this one that it cannot verify the issuer.
      if (scenario === "certificate-time") continue;
      const once = serveHandshake(listener);
      const socket = connectTls({ host: HOST, port, ca: caCerts });
      assertEquals(await failed(() => errorOf(socket)), expected);
      socket.destroy();
      await once;
    }
  },
});

Deno.test({
  name: "a handshake that is cut or is none, and a stream that is cut, are known",
  ...onLinux,
  async fn() {
    const authority = await makeTestAuthority();
    const caCerts = [authority.cert];
    const cases: readonly (readonly [Fault, string])[] = [
      [{ type: "not-tls" }, "not-tls tls never no"],
      [{ type: "end", after: 1 }, "handshake-cut reset later no"],
      [{ type: "reset", after: 1 }, "handshake-cut reset later no"],
    ];
    await using server = await fault({ type: "echo" });
    for (const [fault, expected] of cases) {
      server.setFault(fault);
      const { port } = server;
      using connection = await Deno.connectTls({ hostname: HOST, port, caCerts });
      assertEquals(await failed(() => connection.handshake(), { operation: "handshake" }), expected);
      assertEquals(await failed(() => fetch(`https://${HOST}:${port}/`)), expected);
    }
    await using cutting = await startFaultServer({
      fault: { type: "close-without-notify", after: 1 },
      tls: await authority.issue(),
    });
    using connection = await Deno.connectTls({ hostname: HOST, port: cutting.port, caCerts });
    await connection.write(new Uint8Array(1));
    const read = async (): Promise<void> => {
      while (await connection.read(new Uint8Array(64)) !== null);
    };
    assertEquals(await failed(read, { operation: "read" }), "tls-truncated reset later maybe");
  },
});

Deno.test({
  name: "what HTTP servers do wrong is known",
  ...onLinux,
  async fn() {
    await using closing = await answering((socket) => socket.end());
    const pooled = "pooled-connection-closed reset now maybe";
    assertEquals(await failed(() => fetch(`http://${HOST}:${closing.port}/`)), pooled);
    assertEquals(await failed(() => errorOf(get(`http://${HOST}:${closing.port}/`))), pooled);
    await using server = await fault({ type: "echo" });
    const url = `http://${HOST}:${server.port}/`;
    for (const framing of ["length", "chunked"] as const) {
      for (const how of ["end", "reset"] as const) {
        server.setFault({ type: "http-body-cut", framing, how });
        const response = await fetch(url);
        assertEquals(await failed(() => response.text()), "body-cut reset later yes");
      }
    }
    server.setFault({ type: "http-status", status: 503, retryAfter: 7 });
    const busy = await fetch(url);
    await busy.body?.cancel();
    assertEquals(known(busy), "overloaded exhausted later yes");
    assertEquals(classify(busy).retryAfter, 7000);
    const { error } = await socketEvents(url.replace("http", "ws"));
    assertEquals(known(error), "overloaded exhausted later no");
  },
});

Deno.test({
  name: "a WebSocket that is cut is known by both of its events",
  ...onLinux,
  async fn() {
    await using server = await fault({ type: "websocket-reset", after: 1 });
    const { error, close } = await socketEvents(`ws://${HOST}:${server.port}/`);
    assertEquals(known(error), "websocket-lost reset later maybe");
    assertEquals(known(close), "websocket-lost reset later maybe");
  },
});

/** Opens until nothing can be opened any more, and tells what each API says then. */
const EXHAUSTED = `
import { connect } from "node:net";
import { classify } from "#/recover/classify.ts";
const hostname = "127.0.0.1";
const listener = Deno.listen({ hostname, port: 0 });
const { port } = listener.addr;
await Deno.connect({ hostname, port });
await new Deno.Command("prlimit", { args: ["--pid", String(Deno.pid), "--nofile=64"] }).output();
const known: Record<string, string | null> = {};
const attempt = async (name: string, work: () => unknown, operation?: "accept" | "connect") => {
  await (async () => await work())().then(
    () => known[name] = "worked",
    (error) => known[name] = classify(error, { operation }).scenario,
  );
};
const held: Deno.FsFile[] = [];
await attempt("open", () => {
  while (true) held.push(Deno.openSync("/dev/null"));
});
const url = "127.0.0.1:" + port;
await attempt("accept", () => listener.accept(), "accept");
await attempt("connect", () => Deno.connect({ hostname, port }), "connect");
await attempt("fetch", () => fetch("http://" + url));
await attempt("node:net", () => new Promise((_, reject) => connect(port, hostname).on("error", reject)));
await attempt("WebSocket", () => new Promise((_, reject) => new WebSocket("ws://" + url).onerror = reject));
console.log(JSON.stringify(known));
Deno.exit(0);
`;

const FORBIDDEN = `
import { lookup } from "node:dns";
import { connect } from "node:net";
import { classify } from "#/recover/classify.ts";
const known: Record<string, string> = {};
const attempt = async (name: string, work: () => unknown) => {
  await (async () => await work())().then(
    () => known[name] = "worked",
    (error) => {
      const { scenario, retry, hint } = classify(error);
      known[name] = scenario + " " + retry + ": " + hint;
    },
  );
};
await attempt("connect", () => Deno.connect({ hostname: "127.0.0.1", port: 9 }));
await attempt("fetch", () => fetch("http://127.0.0.1:4444/"));
await attempt("WebSocket", () => new WebSocket("ws://127.0.0.1:4444/"));
await attempt("node:net", () => new Promise((_, reject) => connect(4444, "127.0.0.1").on("error", reject)));
await attempt("lookup", () => new Promise((_, reject) => lookup("a.test", reject)));
console.log(JSON.stringify(known));
`;

Deno.test({
  name: "descriptors that run out are known by every API",
  ...requires({ os: ["linux"], tools: ["prlimit"] }),
  async fn() {
    const { stdout, stderr } = await runCode(EXHAUSTED);
    const files = "files-exhausted";
    const expected = { open: files, accept: `accept-${files}`, connect: files, fetch: files };
    assertEquals(JSON.parse(stdout || "{}"), { ...expected, "node:net": files, WebSocket: files }, stderr);
  },
});

Deno.test("a missing permission is known by every API, with its flag where the runtime names it", async () => {
  const { stdout, stderr } = await runCode(FORBIDDEN, { flags: ["--no-prompt"] });
  const known: Readonly<Record<string, string>> = JSON.parse(stdout || "{}");
  const flag = "permission-missing never: Run again with --allow-net";
  assertEquals(
    [known.connect, known.fetch, known.WebSocket, known["node:net"]],
    [flag, flag, flag, flag],
    stderr,
  );
  assertStringIncludes(known.lookup ?? "", "permission-missing never: ");
});

Deno.test("classify() works where there is no Deno, as in a browser", async () => {
  const { stdout, stderr } = await runCode(`
delete (globalThis as { Deno?: unknown }).Deno;
const { classify, classifyText } = await import("#/recover/classify.ts");
const failures = [
  classify(new TypeError("Failed to fetch")),
  classify(new CloseEvent("close", { code: 1006 })),
  classify(new Error("it failed (os error 10061)")),
  classifyText("net::ERR_NAME_NOT_RESOLVED"),
];
console.log(JSON.stringify(failures.map(({ kind }) => kind)));
`);
  assertEquals(JSON.parse(stdout || "[]"), ["unreachable", "reset", "refused", "dns"], stderr);
});

/** Lets one client in, and gives what its handshake failed of. */
async function serveHandshake(listener: Deno.TlsListener): Promise<unknown> {
  using connection = await listener.accept();
  try {
    await connection.handshake();
    // A client may be done with its part before it looks at the certificate.
    await connection.read(new Uint8Array(1));
  } catch (error) {
    return error;
  }
  return null;
}

/** A server that does one thing to whoever has said something. */
async function answering(
  act: (socket: Socket) => void,
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((socket) => {
    // What it does may reach a client that is gone already.
    socket.on("error", () => {});
    socket.once("data", () => act(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** A server of node's that begins to listen. */
function listening(options: { host: string; port: number }): Server {
  return createServer().listen(options);
}

/** Closes a socket of node's at the end of its scope. */
function closing(socket: UdpSocket): UdpSocket & Disposable {
  return Object.assign(socket, { [Symbol.dispose]: () => void socket.close() });
}

import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { makeCertificates } from "../tests/_certificates.ts";
import { eventually } from "../tests/_child.ts";
import { first } from "../tests/_pipe_contract.ts";
import { requires, scale } from "../tests/_require.ts";
import { tcpSockets } from "../tests/_sockets.ts";
import type { HostAddress } from "./address.ts";
import { connect } from "./connect.ts";
import { listen } from "./listen.ts";
import type { PipeServer, PipeServerEvent } from "./server.ts";
import { PipeError } from "./pipe_error.ts";

const certificates = await makeCertificates();
const text = (data: Uint8Array | null): string | null => data && new TextDecoder().decode(data);

/** Everything that a server tells, by name. */
function told(server: Pick<PipeServer, "on">): string[] {
  const names: string[] = [];
  for (const type of ["listening", "addresslost", "trouble", "shed", "refused"] as const) {
    server.on(type, (event: PipeServerEvent) => names.push(event.type));
  }
  return names;
}

const hosts = (server: PipeServer): readonly string[] =>
  server.addresses.map((address) => "hostname" in address ? address.hostname : "");

Deno.test("what makes no sense is said at once", async () => {
  for (const url of ["tcp://127.0.0.1", "nope://x:1", "unix:"]) {
    await assertRejects(() => listen(url), TypeError, "Cannot listen to");
  }
  await assertRejects(() => listen("tcp://:0", { on: "nowhere" as never }), TypeError, "on must be");
  await assertRejects(() => listen("tcp://:0", { on: [] }), TypeError, "on must be");
  await assertRejects(() => listen("tls://127.0.0.1:0"), TypeError, "tls.cert and tls.key");
  await assertRejects(() => listen("tcp://127.0.0.1:0", { maxConnections: 0 }), RangeError, "maxConnections");
  const { cert, key } = certificates.valid;
  const options = { tls: { cert, key, by: "magic" as never } };
  await assertRejects(() => listen("tls://127.0.0.1:0", options), TypeError, "tls.by");
});

Deno.test("a port that is taken is a failure that is known by name", async () => {
  await using server = await listen("tcp://127.0.0.1:0");
  const error = await assertRejects(() => listen(server.url), PipeError, "Cannot listen on tcp://127.0.0.1:");
  assertEquals([error.code, error.failure?.kind], ["listen", "address-in-use"]);
});

Deno.test("a port can be listened on again right after it was closed, with connections still open", async () => {
  let url = "tcp://127.0.0.1:0";
  const open: AsyncDisposable[] = [];
  for (let n = 0; n < scale(20, 200); n++) {
    await using server = await listen(url);
    url = server.url;
    const [mine, theirs] = await Promise.all([connect(url), first(server)]);
    if (n % 2 === 0) open.push(mine, theirs);
    else await Promise.all([theirs.close(), mine.close()]);
  }
  await Promise.all(open.map((pipe) => pipe[Symbol.asyncDispose]()));
});

Deno.test("there is one reader, and after it another one", async () => {
  await using server = await listen("tcp://127.0.0.1:0");
  const waiting = first(server);
  await assertRejects(() => first(server), TypeError, "the server has a reader already");
  await using client = await connect(server.url);
  await using one = await waiting;
  const next = first(server);
  await using second = await connect(server.url);
  await using two = await next;
  await Promise.all([client.send("1"), second.send("2")]);
  assertEquals([text(await one.recv()), text(await two.recv())], ["1", "2"]);
});

Deno.test("who does not ask for pipes gets a few connections, and the others wait in line", async () => {
  await using server = await listen("tcp://127.0.0.1:0");
  const clients = await Promise.all(Array.from({ length: 40 }, () => connect(server.url)));
  await eventually("a few to be accepted", () => server.connections === 16);
  let served = 0;
  for await (const pipe of server) {
    await pipe.close();
    if (++served === clients.length) break;
  }
  for (const client of clients) {
    assertEquals(await client.recv(), null);
    await client.close();
  }
});

Deno.test("closing ends what nobody has got, and leaves what somebody has", async () => {
  const server = await listen("tcp://127.0.0.1:0");
  const [mine, theirs] = await Promise.all([connect(server.url), first(server)]);
  const other = await connect(server.url);
  await eventually("the other one to be accepted", () => server.connections === 2);
  await Promise.all([server.close(), server.close()]);
  await server.closed;
  const end = await other.recv().catch((error) => error);
  assert(end === null || end instanceof PipeError);
  await mine.send("still here");
  assertEquals(text(await theirs.recv()), "still here");
  await Promise.all([mine.close(), theirs.close(), other.close()]);
  for await (const _ of server) throw new Error("Cannot be: the server is closed");
  const gone = await assertRejects(() => connect(server.url, { retry: false }), PipeError);
  assertEquals(gone.failure?.kind, "refused");
});

Deno.test("draining waits for the pipes that are out, and cuts those that take too long", async () => {
  const clock = new FakeClock();
  const server = await listen("tcp://127.0.0.1:0", { clock });
  const [mine, theirs] = await Promise.all([connect(server.url), first(server)]);
  const [slow, late] = await Promise.all([connect(server.url), first(server)]);
  const draining = server.drain({ timeout: 5000 });
  await Promise.all([mine.close(), theirs.close()]);
  await eventually("one to be left", () => server.connections === 1);
  clock.tick(5000);
  assertEquals(await draining, 1);
  assertEquals(late.state.type, "failed");
  await slow.close();
});

Deno.test("a signal ends the server, and a loop over its pipes", async () => {
  const stop = new AbortController();
  const server = await listen("memory:signal", { signal: stop.signal });
  const loop = (async () => {
    for await (const _ of server) throw new Error("Cannot be: nobody comes");
  })();
  stop.abort();
  await loop;
  await server.closed;
  await assertRejects(() => connect("memory:signal"), PipeError, "nobody listens on memory:signal");
  const aborted = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => listen("memory:signal", { signal: aborted }), Error, "enough");
});

Deno.test("connections are limited in all, and for each address", async () => {
  await using server = await listen("tcp://127.0.0.1:0", { maxConnections: 2, whenFull: "shed" });
  const names = told(server);
  const clients = [await connect(server.url), await connect(server.url)];
  await eventually("both to be accepted", () => server.connections === 2);
  await using third = await connect(server.url);
  assertEquals(await third.recv().catch(() => null), null);
  assertEquals(names, ["shed"]);

  await using fair = await listen("tcp://127.0.0.1:0", { maxPerAddress: 1 });
  const shed = Promise.withResolvers<string>();
  fair.on("shed", ({ reason }) => shed.resolve(reason));
  clients.push(await connect(fair.url), await connect(fair.url, { via: { address: "127.0.0.9" } }));
  await eventually("both to be accepted", () => fair.connections === 2);
  clients.push(await connect(fair.url));
  assertEquals(await shed.promise, "address");
  await Promise.all(clients.map((client) => client.close()));
});

Deno.test("everywhere is both families, and an address of IPv4 looks like one", async () => {
  await using server = await listen("tcp://:0");
  const port = (server.addresses[0] as HostAddress).port;
  for (const host of ["127.0.0.1", "[::1]"]) {
    await using mine = await connect(`tcp://${host}:${port}`);
    await using theirs = await first(server);
    assertEquals(theirs.remoteAddress, mine.localAddress);
    assertEquals(theirs.localAddress, mine.remoteAddress);
  }
});

Deno.test("the loopback and a list of addresses share one port", async () => {
  await using server = await listen("tcp://localhost:0");
  assertEquals(hosts(server), ["127.0.0.1", "::1"]);
  await using named = await listen("tcp://:0", { on: ["127.0.0.2", "127.0.0.3"] });
  assertEquals(hosts(named), ["127.0.0.2", "127.0.0.3"]);
  for (const { addresses } of [server, named]) {
    assertEquals(new Set(addresses.map(({ port }) => port)).size, 1);
    for (const { hostname, port } of addresses) {
      const host = hostname.includes(":") ? `[${hostname}]` : hostname;
      await (await connect(`tcp://${host}:${port}`)).close();
    }
  }
  const error = await assertRejects(() => listen("tcp://:0", { on: ["127.0.0.2", "192.0.2.1"] }), PipeError);
  assertEquals(error.failure?.kind, "address-gone");
});

Deno.test("a Unix socket that a dead server left behind is taken over, and one of a living server is not", async () => {
  const folder = await Deno.makeTempDir({ prefix: "holdfast-listen-" });
  const path = `${folder}/a.sock`;
  // What is left when a process dies; one that closes its listener removes the file by its name.
  const dead = Deno.listen({ transport: "unix", path: `${folder}/b.sock` });
  Deno.renameSync(`${folder}/b.sock`, path);
  dead.close();
  assert(Deno.lstatSync(path).isSocket);
  const server = await listen(`unix:${path}`);
  const error = await assertRejects(() => listen(`unix:${path}`), PipeError, "a server listens there");
  assertEquals(error.failure?.kind, "address-in-use");
  await (await connect(server.url)).close();
  // Whoever has put another one in its place keeps it.
  Deno.removeSync(path);
  const other = await listen(`unix:${path}`);
  await server.close();
  assert(Deno.lstatSync(path).isSocket);
  await other.close();
  assertEquals([...Deno.readDirSync(folder)], []);
  Deno.writeTextFileSync(path, "precious");
  await assertRejects(() => listen(`unix:${path}`), PipeError, "a file is there that is no socket");
  assertEquals(Deno.readTextFileSync(path), "precious");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("clients that say nothing, or nonsense, keep nobody else from the server", async (t) => {
  const { cert, key } = certificates.valid;
  for (const by of ["native", "node:tls"] as const) {
    await t.step(by, async () => {
      const clock = new FakeClock();
      await using server = await listen("tls://127.0.0.1:0", { tls: { cert, key, by }, clock });
      assertEquals(server.report.map((one) => one.by), [by]);
      const refused: PipeServerEvent[] = [];
      server.on("refused", (event) => refused.push(event));
      const { hostname, port } = server.addresses[0] as HostAddress;
      using silent = await Deno.connect({ hostname, port });
      using nonsense = await Deno.connect({ hostname, port });
      await nonsense.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
      await using mine = await connect(server.url, { tls: { caCerts: [certificates.ca] } });
      await using theirs = await first(server);
      await mine.send("hello");
      assertEquals(text(await theirs.recv()), "hello");
      await eventually("the nonsense to be refused", () => refused.length === 1);
      clock.tick(10_000);
      await eventually("the silent one to be refused", () => refused.length === 2);
      const rest = await silent.read(new Uint8Array(10)).catch(() => null);
      assertEquals(rest, null);
    });
  }
});

Deno.test({
  name: "a server of TLS sends small messages at once, as each connection that it accepts",
  ...requires({ os: ["linux"] }),
  async fn() {
    const { cert, key } = certificates.valid;
    await using server = await listen("tls://127.0.0.1:0", { tls: { cert, key } });
    assertEquals(server.report.map(({ by, note }) => [by, note]), [["native", null]]);
    const [mine, theirs] = await Promise.all([
      connect(server.url, { tls: { caCerts: [certificates.ca] } }),
      first(server),
    ]);
    const { port } = server.addresses[0] as HostAddress;
    const own = tcpSockets().filter((socket) => socket.port === port);
    assertEquals(own.map(({ noDelay }) => noDelay), [true, true]);
    await theirs.close();
    await mine.close();
  },
});

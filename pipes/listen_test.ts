import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { makeCertificates } from "../tests/_certificates.ts";
import { eventually } from "../tests/_child.ts";
import { first } from "../tests/_pipe_contract.ts";
import { requires, scale } from "../tests/_require.ts";
import { tcpSockets } from "../tests/_sockets.ts";
import { TestView, viewState } from "../tests/_view.ts";
import type { HostAddress, PipeUrl } from "./address.ts";
import { connect } from "./connect.ts";
import type { Link, LinkListener } from "./_link.ts";
import { listen, type ListenOptions } from "./listen.ts";
import type { PipeTransport } from "./_transport.ts";
import type { PipeServer, PipeServerEvent } from "./server.ts";
import { PipeError } from "./pipe_error.ts";
import { hostLinks } from "../tests/_host_links.ts";

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

/** A listener that a test drives. */
class TestListener implements LinkListener {
  readonly addresses: LinkListener["addresses"];
  readonly arrivals: (Link | Error)[] = [];
  closed = false;
  #waiting: (() => void) | undefined;

  constructor(hostname: string, port: number) {
    this.addresses = [{ transport: "tcp", hostname, port: port || 4711 }];
  }

  come(arrival: Link | Error): void {
    this.arrivals.push(arrival);
    this.#waiting?.();
  }

  async accept(): Promise<Link | null> {
    while (!this.closed && this.arrivals.length === 0) {
      await new Promise<void>((resolve) => this.#waiting = resolve);
    }
    const arrival = this.arrivals.shift() ?? null;
    if (arrival instanceof Error) throw arrival;
    return arrival;
  }

  close(): Promise<void> {
    this.closed = true;
    this.#waiting?.();
    return Promise.resolve();
  }
}

/** A transport that listens where the network has an address. */
class TestTransport implements PipeTransport {
  readonly schemes = ["tcp"] as const;
  readonly listeners = new Map<string, TestListener>();
  /** Addresses that cannot be bound yet. */
  readonly tentative = new Set<string>();
  readonly #network: TestView;

  constructor(network: TestView) {
    this.#network = network;
  }

  dial(): never {
    throw new TypeError("Cannot connect: it only listens");
  }

  listen(url: PipeUrl): Promise<LinkListener> {
    const { hostname, port } = url as HostAddress;
    const known = this.#network.state.interfaces.flatMap(({ addresses }) => addresses);
    const here = hostname.startsWith("127.") || known.some(({ address }) => address === hostname);
    if (!here || this.tentative.has(hostname)) {
      return Promise.reject(new Deno.errors.AddrNotAvailable("Cannot assign requested address"));
    }
    const listener = new TestListener(hostname, port);
    this.listeners.set(hostname, listener);
    return Promise.resolve(listener);
  }
}

function networkWith(...addresses: readonly string[]): TestView {
  const view = new TestView(viewState("192.168.7.1"));
  setAddresses(view, ...addresses);
  return view;
}

function setAddresses(view: TestView, ...addresses: readonly string[]): void {
  const interfaces = [
    { name: "lo", addresses: [{ address: "127.0.0.1", prefix: 8 }] },
    { name: "eth0", addresses: addresses.map((address) => ({ address, prefix: 24 })) },
  ];
  view.change({ ...view.state, interfaces });
}

/** Lets whatever was caused by a change of the network happen. */
async function settle(): Promise<void> {
  for (let n = 0; n < 50; n++) await Promise.resolve();
}

Deno.test("an address that is not there yet is waited for, and listened on when it comes, goes and comes", async () => {
  const network = networkWith();
  const transport = new TestTransport(network);
  const options: ListenOptions = { network, transports: [transport], on: ["192.168.7.5"] };
  const listening = listen("tcp://:0", options);
  let ready = false;
  listening.then(() => ready = true);
  await settle();
  assertEquals([ready, network.subscribers], [false, 1]);
  setAddresses(network, "192.168.7.5");
  await using server = await listening;
  const names = told(server);
  assertEquals(server.url, "tcp://192.168.7.5:4711");
  setAddresses(network);
  await settle();
  assertEquals([names, hosts(server)], [["addresslost"], []]);
  // The listener is as good as before, so it is kept.
  assertEquals(transport.listeners.get("192.168.7.5")?.closed, false);
  setAddresses(network, "192.168.7.5");
  await settle();
  assertEquals([names, hosts(server)], [["addresslost", "listening"], ["192.168.7.5"]]);
  const [mine, theirs] = hostLinks({ local: "192.168.7.9", remote: "192.168.7.5" });
  transport.listeners.get("192.168.7.5")?.come(theirs);
  await (await first(server)).close();
  mine.abort();
  await server.close();
  assertEquals(network.subscribers, 0);
});

Deno.test("waiting for an address can be called off", async () => {
  const network = networkWith();
  const stop = new AbortController();
  const transports = [new TestTransport(network)];
  const listening = listen("tcp://192.168.7.5:0", { network, transports, signal: stop.signal });
  const failing = assertRejects(() => listening, Error, "enough");
  await settle();
  stop.abort(new Error("enough"));
  await failing;
  assertEquals(network.subscribers, 0);
});

Deno.test("the private addresses are followed: new ones are listened on at the same port, old ones are let go", async () => {
  const clock = new FakeClock();
  const network = networkWith("192.168.7.5", "203.0.113.5");
  const transport = new TestTransport(network);
  await using server = await listen("tcp://:0", { on: "local", network, transports: [transport], clock });
  assertEquals(hosts(server), ["127.0.0.1", "192.168.7.5"]);
  transport.tentative.add("fd00::5");
  setAddresses(network, "10.0.0.8", "203.0.113.5", "fd00::5");
  await settle();
  assertEquals(hosts(server), ["127.0.0.1", "10.0.0.8"]);
  assertEquals(transport.listeners.get("192.168.7.5")?.closed, true);
  // An address of IPv6 is there some time before it can be used, and nobody tells of that.
  transport.tentative.clear();
  clock.tick(500);
  await settle();
  assertEquals(hosts(server), ["127.0.0.1", "10.0.0.8", "fd00::5"]);
  assertEquals(server.addresses.map((address) => (address as HostAddress).port), [4711, 4711, 4711]);
});

Deno.test("a process without descriptors, and connections broken off, end no server", async () => {
  const clock = new FakeClock();
  const network = networkWith();
  const transport = new TestTransport(network);
  await using server = await listen("tcp://127.0.0.1:1", { transports: [transport], clock });
  const names = told(server);
  const listener = transport.listeners.get("127.0.0.1");
  const failure = (code: string): Error => Object.assign(new Error(code), { code });
  const next = first(server);
  listener?.come(failure("ECONNABORTED"));
  listener?.come(failure("EMFILE"));
  await eventually("the pause", () => names.length === 1 && clock.pending > 0);
  const [mine, theirs] = hostLinks({ local: "127.0.0.1", remote: "127.0.0.1" });
  listener?.come(theirs);
  clock.tick(1000);
  await (await next).close();
  assertEquals(names, ["trouble"]);
  mine.abort();
});

Deno.test("what no pause can heal ends the server and whoever waits", async () => {
  const transport = new TestTransport(networkWith());
  const server = await listen("tcp://127.0.0.1:1", { transports: [transport] });
  const waiting = assertRejects(() => first(server), PipeError, "Cannot listen on");
  transport.listeners.get("127.0.0.1")?.come(Object.assign(new Error("bad"), { code: "EINVAL" }));
  assertEquals((await waiting).code, "listen");
  await assertRejects(() => server.closed, PipeError);
  assertEquals(transport.listeners.get("127.0.0.1")?.closed, true);
  await server.close();
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

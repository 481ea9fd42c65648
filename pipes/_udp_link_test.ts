import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import type { EventEmitter } from "node:events";
import { holdProcess } from "../internal/clock.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { descriptorsOf } from "../tests/_child.ts";
import { runCode } from "../tests/_code.ts";
import { requires } from "../tests/_require.ts";
import type { HostAddress, PipeAddress } from "./address.ts";
import { connect, type ConnectOptions } from "./connect.ts";
import { listen } from "./listen.ts";
import type { Packet, UdpPipe } from "./pipe.ts";
import { PipeError } from "./pipe_error.ts";
import { openUdpLink } from "./_udp_link.ts";
import { UdpSocket } from "./_udp_socket.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array | null | undefined): string => new TextDecoder().decode(bytes ?? undefined);

/** A bare socket, and what arrived at it. */
class Bare implements AsyncDisposable {
  readonly socket: UdpSocket;
  readonly #arrived: Packet[] = [];
  #waiter: ((packet: Packet) => void) | undefined;

  private constructor(socket: UdpSocket) {
    this.socket = socket;
    socket.receive = (data, from) => {
      if (this.#waiter) this.#waiter({ data, from });
      else this.#arrived.push({ data, from });
      this.#waiter = undefined;
    };
  }

  static async open(address = "127.0.0.1", port = 0): Promise<Bare> {
    return new Bare(await UdpSocket.open({ operation: "test", address, port }));
  }

  get address(): HostAddress {
    return this.socket.localAddress;
  }

  get url(): string {
    return `udp://${this.address.hostname}:${this.address.port}`;
  }

  async next(): Promise<Packet> {
    const packet = this.#arrived.shift();
    if (packet) return packet;
    // An open socket alone keeps nothing alive, and neither does a test.
    const timer = setTimeout(() => {}, 30_000);
    try {
      return await new Promise((resolve) => this.#waiter = resolve);
    } finally {
      clearTimeout(timer);
    }
  }

  send(text: string, to: PipeAddress): Promise<void> {
    return this.socket.send(encode(text), { ...to as HostAddress, hostname: "127.0.0.1" }, true);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.socket.close();
  }
}

/** Two pipes that are each other's end, the second accepted by a server. */
async function pair(
  options: ConnectOptions = {},
): Promise<AsyncDisposable & { near: UdpPipe; far: UdpPipe }> {
  const server = await listen("udp://127.0.0.1:0", options.udp ? { udp: options.udp } : {});
  const near = await connect(server.url as `udp:${string}`, options);
  await near.send("hello");
  const { value: far } = await server[Symbol.asyncIterator]().next();
  if (!far) throw new Error("the server ended");
  assertEquals(decode(await far.recv()), "hello");
  return {
    near,
    far,
    async [Symbol.asyncDispose]() {
      await near.close();
      await far.close();
      await server.close();
    },
  };
}

Deno.test("each message is a datagram: boundaries, empty ones and the longest one stay as they are", async () => {
  await using ends = await pair();
  const { near, far } = ends;
  for (const length of [0, 1, 1200, 65_507, 0]) {
    const data = crypto.getRandomValues(new Uint8Array(Math.min(length, 65_536)));
    await near.send(data);
    assertEquals(await far.recv(), data);
    await far.send(data);
    assertEquals(await near.recv(), data);
  }
  assertEquals([near.transport, near.state.type, near.proven], ["udp", "open", true]);
});

Deno.test("a small datagram does not keep the memory that it was read into", async () => {
  await using ends = await pair();
  await ends.near.send("small");
  assertEquals((await ends.far.recv())?.buffer.byteLength, 5);
});

Deno.test("a message too long for a datagram is refused with its length, and the pipe goes on", async () => {
  await using ends = await pair();
  await assertRejects(
    () => ends.near.send(new Uint8Array(65_508)),
    RangeError,
    "65507 bytes here, got 65508",
  );
  await using small = await pair({ udp: { maxDatagram: 1200 } });
  await assertRejects(() => small.far.send(new Uint8Array(1201)), RangeError, "1200 bytes here, got 1201");
  await small.far.send("still there");
  assertEquals(decode(await small.near.recv()), "still there");
});

Deno.test("options that make no sense are refused by name", async () => {
  const url = "udp://127.0.0.1:9";
  await assertRejects(() => connect(url, { udp: { maxDatagram: 65_508 } }), RangeError, "udp.maxDatagram");
  await assertRejects(
    () => connect(url, { udp: { multicast: { ttl: 0 } } }),
    RangeError,
    "udp.multicast.ttl",
  );
  await assertRejects(() => listen("udp://:0", { udp: { maxPeers: 0 } }), RangeError, "udp.maxPeers");
  await assertRejects(() => connect("udp://[fe80::1]:9"), TypeError, "link-local");
  const contradiction = { via: { interface: "eth1" } };
  await assertRejects(() => connect("udp://[fe80::1%eth0]:9", contradiction), TypeError, "contradict");
});

Deno.test("a pipe to one address hears nobody else", async () => {
  await using peer = await Bare.open();
  await using stranger = await Bare.open();
  await using pipe = await connect(peer.url as `udp:${string}`);
  await pipe.send("hello");
  const { from } = await peer.next();
  await stranger.send("let me in", from);
  await peer.send("hello to you", from);
  assertEquals(decode(await pipe.recv()), "hello to you");
});

Deno.test("a pipe that hears anybody says who it was", async () => {
  await using peer = await Bare.open();
  await using stranger = await Bare.open();
  await using pipe = await connect(peer.url as `udp:${string}`, { udp: { anyone: true } });
  await pipe.send("hello");
  const { from } = await peer.next();
  const all = pipe.subscribe()[Symbol.asyncIterator]();
  for (const sender of [stranger, peer, stranger]) {
    await sender.send("here", from);
    const { value } = await all.next();
    assertEquals(value?.from, sender.address);
  }
});

Deno.test("nobody there yet: the pipe lives on, and speaks to whoever comes", async () => {
  const gone = await Bare.open();
  const { port } = gone.address;
  await gone.socket.close();
  await using pipe = await connect(`udp://127.0.0.1:${port}`);
  const troubles: unknown[] = [];
  pipe.on("error", ({ error }) => troubles.push(error));
  for (let i = 0; i < 20; i++) {
    await pipe.send(`${i}`);
    await pipe.flush();
  }
  await using peer = await Bare.open("127.0.0.1", port);
  await pipe.send("at last");
  const { data, from } = await peer.next();
  assertEquals(decode(data), "at last");
  await peer.send("yes", from);
  assertEquals(decode(await pipe.recv()), "yes");
  assertEquals([pipe.state.type, troubles], ["open", []]);
});

Deno.test("an error of reading, as Windows has for a datagram that was refused, ends no socket", async () => {
  await using bare = await Bare.open();
  const inner = bare.socket.group as unknown as EventEmitter;
  for (let i = 0; i < 3; i++) inner.emit("error", new Error("recvmsg UNKNOWN"));
  await bare.send("still there", bare.address);
  assertEquals(decode((await bare.next()).data), "still there");
});

Deno.test("a datagram that the system does not take is told once, counted, and ends nothing", async () => {
  // Without leave to broadcast the system refuses it.
  await using pipe = await connect("udp://255.255.255.255:9", { udp: { broadcast: false } });
  const events: { error: unknown; fatal: boolean }[] = [];
  pipe.on("error", (event) => events.push(event));
  for (let i = 0; i < 3; i++) {
    await pipe.send("lost");
    await pipe.flush();
  }
  assertEquals(events.map(({ fatal }) => fatal), [false]);
  const [{ error } = {}] = events;
  assertInstanceOf(error, PipeError);
  assertEquals([error.code, error.failure?.scenario], ["send", "send-fails-for-now"]);
  assert(
    error.message.startsWith("Cannot send a datagram of 4 bytes to udp://255.255.255.255:9"),
    error.message,
  );
  const { dropped, bytesSent } = pipe.stats;
  assertEquals([dropped, bytesSent, pipe.state.type], [3, 0, "open"]);
});

Deno.test("nobody reads: the oldest datagrams are dropped and counted, and the newest are there", async () => {
  await using peer = await Bare.open();
  await using pipe = await connect(peer.url as `udp:${string}`, { queue: { messages: 4 } });
  await pipe.send("hello");
  const { from } = await peer.next();
  for (let i = 0; i < 40; i++) await peer.send(`${i}`, from);
  await peer.send("sentinel", from);
  // What arrives is taken in by turns of the loop; another pipe's round trip after it comes later than all of them.
  while (pipe.stats.dropped < 37) await roundTrip();
  assertEquals(pipe.stats.dropped, 37);
  const rest: string[] = [];
  while (rest.at(-1) !== "sentinel") rest.push(decode(await pipe.recv()));
  assertEquals(rest, ["37", "38", "39", "sentinel"]);
});

async function roundTrip(): Promise<void> {
  await using one = await Bare.open();
  await one.send("turn", one.address);
  await one.next();
}

Deno.test("keepAlive sends an empty datagram when nothing else was sent, and hands none over", async () => {
  using _hold = holdProcess();
  const clock = new FakeClock();
  await using peer = await Bare.open();
  await using pipe = await connect(peer.url as `udp:${string}`, { clock, udp: { keepAlive: 20_000 } });
  await pipe.send("hello");
  const { from } = await peer.next();
  clock.tick(19_999);
  await pipe.send("in between");
  await pipe.flush();
  clock.tick(19_999);
  await pipe.send("again");
  await pipe.flush();
  clock.tick(20_000);
  const lengths = [];
  for (let i = 0; i < 3; i++) lengths.push((await peer.next()).data.length);
  assertEquals(lengths, [10, 5, 0]);
  clock.tick(20_000);
  assertEquals((await peer.next()).data.length, 0);
  await peer.send("", from);
  await peer.send("text", from);
  assertEquals(decode(await pipe.recv()), "text");
});

Deno.test("without keepAlive nothing is sent but what the application sends", async () => {
  using _hold = holdProcess();
  const clock = new FakeClock();
  await using peer = await Bare.open();
  await using pipe = await connect(peer.url as `udp:${string}`, { clock });
  clock.tick(86_400_000);
  await pipe.send("first");
  assertEquals(decode((await peer.next()).data), "first");
});

Deno.test({
  name: "via: an address of this machine is where datagrams come from",
  ...requires({ os: ["linux"] }),
  async fn() {
    await using peer = await Bare.open();
    const options = { via: { address: "127.0.0.9" } };
    await using pipe = await connect(peer.url as `udp:${string}`, options);
    await pipe.send("from there");
    const { from } = await peer.next();
    assertEquals((from as HostAddress).hostname, "127.0.0.9");
    assertEquals(pipe.localAddress.hostname, "127.0.0.9");
  },
});

Deno.test("via: an address that is not of this machine fails by name", async () => {
  const options = { via: { address: "192.0.2.99" }, retry: false } as const;
  const error = await assertRejects(() => connect("udp://192.0.2.1:9", options), PipeError, "192.0.2.99");
  assertEquals([error.code, error.failure?.kind], ["connect", "address-gone"]);
  const other = { via: { address: "::1" }, retry: false } as const;
  await assertRejects(() => connect("udp://127.0.0.1:9", other), TypeError, "not of family 6");
});

Deno.test({
  name: "via: an interface that is not there fails by name",
  ...requires({ os: ["linux"] }),
  async fn() {
    const options = { via: { interface: "nosuch0" }, retry: false } as const;
    const failed = () => connect("udp://192.0.2.1:9", options);
    await assertRejects(failed, PipeError, 'no interface "nosuch0"');
  },
});

Deno.test("a name is looked up; the family that was asked for counts", async () => {
  await using peer = await Bare.open("::1");
  const asked: string[] = [];
  const resolver: ConnectOptions["resolver"] = (name, type) => {
    asked.push(`${name} ${type}`);
    return Promise.resolve(type === "AAAA" ? ["::1"] : ["127.0.0.1"]);
  };
  const options = { resolver, family: 6 } as const;
  await using pipe = await connect(`udp://peer.test:${peer.address.port}`, options);
  await pipe.send("by name");
  assertEquals(decode((await peer.next()).data), "by name");
  assertEquals([pipe.remoteAddress.hostname, asked], ["::1", ["peer.test AAAA"]]);
  const nobody = { resolver: () => Promise.resolve([]), retry: false } as const;
  const error = await assertRejects(() => connect("udp://nobody.test:9", nobody), PipeError);
  assertEquals([error.code, error.failure?.kind], ["connect", "dns"]);
});

Deno.test("closing ends who reads, and the port is free again; a thousand times", async () => {
  const { port } = await pairPort();
  for (let i = 0; i < 1000; i++) {
    await using bare = await Bare.open("127.0.0.1", port);
    assertEquals(bare.address.port, port);
  }
  const pipe = await connect("udp://127.0.0.1:9");
  const reading = pipe.recv();
  await pipe.close();
  await assertRejects(() => reading, PipeError);
  const aborted = await connect("udp://127.0.0.1:9");
  const waiting = aborted.recv();
  aborted.abort();
  await assertRejects(() => waiting, PipeError, "aborted");
  await assertRejects(() => aborted.send("late"), PipeError);
});

async function pairPort(): Promise<{ readonly port: number }> {
  await using bare = await Bare.open();
  return { port: bare.address.port };
}

Deno.test({
  name: "a thousand pipes, half of them called off while they open, leave nothing",
  ...requires({ os: ["linux"] }),
  async fn() {
    await (await openUdpLink("udp://127.0.0.1:9")).close();
    const before = descriptorsOf().length;
    for (let i = 0; i < 500; i++) {
      const controller = new AbortController();
      const resolver = () => {
        if (i % 2 === 0) controller.abort(new Error("never mind"));
        return Promise.resolve(["127.0.0.1"]);
      };
      const opening = connect("udp://peer.test:9", { signal: controller.signal, resolver });
      if (i % 2 === 0) await assertRejects(() => opening, Error, "never mind");
      else await (await opening).close();
      const late = new AbortController();
      const second = openUdpLink("udp://127.0.0.1:9", { signal: late.signal });
      late.abort(new Error("too late"));
      await second.then((link) => link.close(), () => {});
    }
    assertEquals(descriptorsOf().length, before);
  },
});

Deno.test("an open pipe lets the process end; one that is read does not", async () => {
  const open = `
    import { connect } from "#/pipes/connect.ts";
    const pipe = await connect("udp://127.0.0.1:9");
    await pipe.send("bye");
    await pipe.flush();
    console.log("open");`;
  assertEquals(await runCode(open), { code: 0, stdout: "open\n", stderr: "" });
  const read = `
    import { connect } from "#/pipes/connect.ts";
    import { listen } from "#/pipes/listen.ts";
    const server = await listen("udp://127.0.0.1:0");
    const pipe = await connect(server.url);
    await pipe.send("hello");
    const { value: peer } = await server[Symbol.asyncIterator]().next();
    const timer = setTimeout(() => peer.send("late"), 200);
    Deno.unrefTimer(timer);
    console.log(new TextDecoder().decode(await pipe.recv()));
    await server.close();`;
  assertEquals(await runCode(read), { code: 0, stdout: "late\n", stderr: "" });
});

Deno.test("the permissions are those to bind and to send, each named when it is missing", async () => {
  const code = (port: number): string => `
    import { connect } from "#/pipes/connect.ts";
    try {
      const pipe = await connect("udp://127.0.0.1:${port}");
      await pipe.send("hello");
      const answer = new TextDecoder().decode(await pipe.recv());
      console.log(answer);
    } catch (error) {
      console.log(error.name, (error.cause?.flags ?? error.flags).join(" "));
    }`;
  await using peer = await Bare.open();
  const { port } = peer.address;
  const run = async (...hosts: readonly string[]): Promise<string> => {
    const { stdout, stderr } = await runCode(code(port), {
      flags: ["--no-prompt", `--allow-net=${hosts.join(",")}`],
    });
    return stdout.trim() + stderr;
  };
  assertEquals(await run(`127.0.0.1:${port}`), "PermissionError --allow-net=0.0.0.0:0");
  assertEquals(await run("0.0.0.0:0"), `PipeError --allow-net=127.0.0.1:${port}`);
  const answering = peer.next().then(({ from }) => peer.send("welcome", from));
  assertEquals(await run("0.0.0.0:0", `127.0.0.1:${port}`), "welcome");
  await answering;
});

Deno.test({
  name: "a group on an interface that cannot be seen fails with the flag that would show it",
  ...requires({ os: ["linux"] }),
  async fn() {
    const code = `
      import { listen } from "#/pipes/listen.ts";
      try {
        const udp = { multicast: { interfaces: ["lo"] } };
        await using server = await listen("udp://239.9.9.9:0", { udp });
        console.log(server.addresses[0].hostname);
      } catch (error) {
        console.log(error.code, error.message, error.cause.hint);
      }`;
    const run = async (...flags: readonly string[]): Promise<string> =>
      (await runCode(code, { flags: ["--no-prompt", "--allow-net=239.9.9.9", ...flags] })).stdout.trim();
    const blind = await run();
    assert(blind.startsWith("listen Cannot listen on udp://239.9.9.9:0: no interface"), blind);
    assert(
      blind.endsWith("Run again with --allow-sys=networkInterfaces, so that the interfaces can be seen"),
      blind,
    );
    assertEquals(await run("--allow-sys=networkInterfaces"), "239.9.9.9");
  },
});

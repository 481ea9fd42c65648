import { assert, assertEquals, assertRejects } from "@std/assert";
import { constant } from "../recover/backoff.ts";
import { retry } from "../recover/retry.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { startFaultServer } from "../testing/fault_server.ts";
import { makeCertificates } from "../tests/_certificates.ts";
import { descriptorsOf, eventually } from "../tests/_child.ts";
import { first } from "../tests/_pipe_contract.ts";
import { requires, scale } from "../tests/_require.ts";
import { TestView, viewState } from "../tests/_view.ts";
import { connect, type ConnectOptions } from "./connect.ts";
import type { Link } from "./_link.ts";
import { listen } from "./listen.ts";
import { memoryLinks } from "./_memory_link.ts";
import { PipeError } from "./pipe_error.ts";
import type { PipeTransport } from "./_transport.ts";

const certificates = await makeCertificates();

/** A port of this machine that nobody listens on. */
function closedPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("what makes no sense is said at once, and is nobody's failure", async () => {
  for (const url of ["tcp://127.0.0.1:0", "tcp://:80", "ftp://host:1", "unix:", "memory:"]) {
    await assertRejects(() => connect(url), TypeError, "Cannot connect to");
  }
  await assertRejects(() => connect("tcp://127.0.0.1:1", { timeout: 0 }), RangeError, "timeout");
  const mistakes: readonly [ConnectOptions["via"], string][] = [
    [{ address: "eth0" }, 'via.address must be an IP address, got "eth0"'],
    [{ interface: "a/b" }, "via.interface must be the name of an interface"],
    [{} as never, "via must have an address or an interface, and not both"],
    [{ address: "127.0.0.1", interface: "lo" } as never, "and not both"],
  ];
  for (const [via, why] of mistakes) {
    await assertRejects(() => connect("tcp://127.0.0.1:1", { ...via && { via } }), TypeError, why);
  }
  await assertRejects(() => connect("ws://127.0.0.1:1"), TypeError, "npm:ws");
});

Deno.test("a port where nobody listens is a failure that is known by name", async () => {
  const port = closedPort();
  const error = await assertRejects(
    () => connect(`tcp://127.0.0.1:${port}`, { retry: false }),
    PipeError,
    `Cannot connect to tcp://127.0.0.1:${port}: Connection refused`,
  );
  assertEquals([error.code, error.failure?.kind, error.failure?.scenario], [
    "connect",
    "refused",
    "port-closed",
  ]);
  assertEquals(error.hint, error.failure?.hint);
});

Deno.test("it tries again by itself, and connects when somebody listens", async () => {
  const folder = await Deno.makeTempDir({ prefix: "holdfast-connect-" });
  const clock = new FakeClock();
  const connecting = connect(`unix:${folder}/late.sock`, { clock });
  // Its limit of time, and the pause before the next attempt.
  await eventually("the first attempt to fail", () => clock.pending === 2);
  await using server = await listen(`unix:${folder}/late.sock`);
  clock.tick(1000);
  await using pipe = await connecting;
  assertEquals(pipe.state.type, "open");
  assertEquals(clock.pending, 0);
  await server.close();
  await Deno.remove(folder);
});

Deno.test("it gives up after some attempts, and says how many", async () => {
  const policy = retry({ maxAttempts: 3, backoff: constant(1) });
  const error = await assertRejects(
    () => connect(`tcp://127.0.0.1:${closedPort()}`, { retry: policy }),
    PipeError,
    ", 3 attempts",
  );
  assertEquals(error.failure?.kind, "refused");
});

Deno.test("a server that is silent costs no more than the time given", async () => {
  await using server = await startFaultServer({ fault: { type: "silent" } });
  const clock = new FakeClock();
  const connecting = assertRejects(
    () => connect(`tls://127.0.0.1:${server.port}`, { clock, timeout: 5000 }),
    PipeError,
  );
  await server.connected(1);
  clock.tick(5000);
  const error = await connecting;
  assertEquals([error.code, error.failure?.kind], ["connect", "timeout"]);
});

Deno.test("this machine is reached although there is no way to the public network", async () => {
  await using server = await listen("tcp://127.0.0.1:0");
  const network = new TestView(viewState(null));
  await using pipe = await connect(server.url, { network });
  assertEquals(pipe.state.type, "open");
  const clock = new FakeClock();
  let over = false;
  const failing = assertRejects(
    () => connect(`tcp://127.0.0.1:${closedPort()}`, { network, clock }),
    PipeError,
    ", 4 attempts",
  ).finally(() => over = true);
  while (!over) {
    await eventually("a pause between two attempts", () => over || clock.pending === 2);
    clock.tick(1000);
  }
  assertEquals((await failing).failure?.kind, "refused");
});

Deno.test("an address that is dead or silent does not keep from the next one", async () => {
  const { cert, key } = certificates.valid;
  await using silent = await startFaultServer({ fault: { type: "silent" }, hostname: "127.0.0.2" });
  const { port } = silent;
  await using server = await listen(`tls://127.0.0.4:${port}`, { tls: { cert, key } });
  await using pipe = await connect(`tls://localhost:${port}`, {
    // Nobody listens at the second one.
    resolver: (_, type) => Promise.resolve(type === "A" ? ["127.0.0.2", "127.0.0.3", "127.0.0.4"] : []),
    tls: { caCerts: [certificates.ca] },
  });
  assertEquals(pipe.remoteAddress, { transport: "tls", hostname: "127.0.0.4", port });
  assertEquals(silent.connections, 1);
  await (await first(server)).close();
});

Deno.test("a certificate that is no good is refused, by every way there is", async (t) => {
  const { valid, expired, notYetValid, wrongName, unknownIssuer } = certificates;
  const ways: Readonly<Record<string, ConnectOptions>> = {
    "by the runtime": {},
    "from an address": { via: { address: "127.0.0.1" } },
  };
  const bad = { expired, notYetValid, wrongName, unknownIssuer };
  for (const [way, options] of Object.entries(ways)) {
    for (const [name, tls] of Object.entries(bad)) {
      await t.step(`${name}, ${way}`, async () => {
        await using server = await listen("tls://127.0.0.1:0", { tls });
        const error = await assertRejects(
          () =>
            connect(server.url, {
              ...options,
              retry: false,
              tls: { caCerts: [certificates.ca], serverName: "localhost" },
            }),
          PipeError,
        );
        assertEquals([error.code, error.failure?.kind], ["connect", "tls"]);
      });
    }
    await t.step(`a good one is taken, ${way}`, async () => {
      await using server = await listen("tls://127.0.0.1:0", {
        tls: { ...valid, alpnProtocols: ["a", "b"] },
      });
      const tls = { caCerts: [certificates.ca], serverName: "localhost", alpnProtocols: ["b"] };
      await using pipe = await connect(`tls://127.0.0.1:${server.addresses[0]?.port}`, { ...options, tls });
      await using accepted = await first(server);
      assertEquals([pipe.alpn, accepted.alpn], ["b", "b"]);
    });
  }
  await t.step("a bad one is taken by who asks for it loudly", async () => {
    await using server = await listen("tls://127.0.0.1:0", { tls: wrongName });
    await using pipe = await connect(server.url, { tls: { dangerouslyAcceptAnyCertificate: true } });
    assertEquals([pipe.transport, pipe.state.type], ["tls", "open"]);
    await (await first(server)).close();
  });
});

Deno.test("a connection that comes when nobody wants it any more is ended", async () => {
  const [near, far] = memoryLinks("late");
  const opened = Promise.withResolvers<Link>();
  const transport: PipeTransport = {
    schemes: ["tcp"],
    dial: () => () => opened.promise,
    listen: () => Promise.reject(new TypeError("Cannot listen: it only connects")),
  };
  const stop = new AbortController();
  const connecting = connect("tcp://127.0.0.1:1", {
    transports: [transport],
    signal: stop.signal,
    retry: false,
  });
  stop.abort(new Error("enough"));
  await assertRejects(() => connecting, Error, "enough");
  opened.resolve(near);
  await assertRejects(() => far.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
});

Deno.test({
  name: "connecting is called off at any moment, and leaves no descriptor behind",
  ...requires({ os: ["linux"] }),
  async fn() {
    await using silent = await startFaultServer({ fault: { type: "silent" } });
    await using server = await listen("tcp://127.0.0.1:0");
    const taking = (async () => {
      for await (const pipe of server) await pipe.close();
    })();
    const port = server.addresses[0]?.port;
    const urls = [server.url, `tls://127.0.0.1:${silent.port}`, `tcp://localhost:${port}`] as const;
    const run = async (n: number, options: ConnectOptions = {}): Promise<void> => {
      const stop = new AbortController();
      const reason = new Error("enough");
      const connecting = connect(urls[n % 3] ?? "", { ...options, signal: stop.signal });
      connecting.catch(() => {});
      // From before the first step of it until after the last.
      for (let turn = 0; turn < n % 40; turn++) await Promise.resolve();
      if (n % 7 === 0) await new Promise((resolve) => setTimeout(resolve, n % 4));
      stop.abort(reason);
      try {
        await (await connecting).close();
      } catch (error) {
        assertEquals(error, reason);
      }
    };
    for (let n = 0; n < 60; n++) await run(n, n % 2 ? { via: { address: "127.0.0.1" } } : {});
    const settled = () =>
      eventually("the servers' ends to be closed", () => {
        // A silent server does not notice an end either.
        silent.cut("reset");
        return silent.open === 0 && server.connections === 0;
      });
    await settled();
    const before = descriptorsOf().length;
    for (let n = 0; n < scale(60, 1000); n++) {
      await run(n, n % 5 === 4 ? { via: { address: "127.0.0.1" } } : {});
      if (n % 50 === 49) await settled();
    }
    await settled();
    // Sooner or later the runtime makes itself a pair of sockets, once.
    await eventually("all descriptors to be closed", () => descriptorsOf().length <= before + 2);
    await server.close();
    await taking;
  },
});

Deno.test({
  name: "an interface is gone through where there is one, and the error says where there is none",
  ...requires({ os: ["linux"] }),
  async fn() {
    await using server = await listen("tcp://127.0.0.1:0");
    await using pipe = await connect(server.url, { via: { interface: "lo" } });
    await using accepted = await first(server);
    await pipe.send("hello");
    assertEquals(new TextDecoder().decode(await accepted.recv() ?? undefined), "hello");
    const missing = await assertRejects(
      () => connect(server.url, { via: { interface: "nope0" }, retry: false }),
      PipeError,
      'Cannot connect through "nope0": there is no such interface',
    );
    assertEquals(missing.code, "connect");
    const refused = await assertRejects(
      () => connect(`tcp://127.0.0.1:${closedPort()}`, { via: { interface: "lo" }, retry: false }),
      PipeError,
    );
    assertEquals(refused.failure?.kind, "refused");
    const foreign = await assertRejects(
      () => connect(server.url, { via: { address: "192.0.2.1" }, retry: false }),
      PipeError,
    );
    assertEquals(foreign.failure?.kind, "address-gone");
  },
});

Deno.test("a name has to have an address of the family that it is to come from", async () => {
  const error = await assertRejects(
    () =>
      connect("tcp://six.example:1", {
        via: { address: "127.0.0.1" },
        retry: false,
        resolver: (_, type) => Promise.resolve(type === "AAAA" ? ["::1"] : []),
      }),
    PipeError,
    "has no address of IPv4",
  );
  assert(error.failure !== null);
});

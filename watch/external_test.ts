import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Clock } from "../internal/clock.ts";
import { HoldfastError, PermissionError } from "../internal/errors.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { startStunServer, type StunServer, type StunServerMode } from "../testing/stun_server.ts";
import { AttributeType, decodeMessage, encodeAddress, encodeMessage, MessageType } from "./_stun.ts";
import { openUdp } from "./_udp.ts";
import { askExternal as externalAddress } from "./_external_ask.ts";
import type { ExternalAddress } from "./external.ts";

/** What became of each server, as `answered` or the reason of failure. */
function outcomes({ servers }: ExternalAddress): string[] {
  return servers.map((one) => one.outcome === "answered" ? "answered" : one.reason);
}

function urls(servers: readonly StunServer[]): string[] {
  return servers.map(({ url }) => url);
}

/** Servers at 127.0.0.1, 127.0.0.2 ..., one per mode. */
async function startAll(
  modes: readonly StunServerMode[],
  stack: AsyncDisposableStack,
): Promise<StunServer[]> {
  return await Promise.all(
    modes.map(async (mode, i) => stack.use(await startStunServer({ hostname: `127.0.0.${i + 1}`, mode }))),
  );
}

Deno.test("externalAddress() gives what one server sees, and says that it is only one", async () => {
  await using server = await startStunServer();
  const { v4, v6, servers } = await externalAddress({ servers: [server.url] });
  assert(v4);
  assertEquals(v4, {
    address: "127.0.0.1",
    port: v4.local.port,
    agreed: 1,
    answered: 1,
    agreement: "single",
    mapping: "unknown",
    local: { address: null, port: v4.local.port },
  });
  assertEquals(v6, null);
  const [outcome, ...others] = servers;
  assert(outcome?.outcome === "answered" && outcome.elapsed >= 0);
  assertEquals({ ...outcome, elapsed: 0 }, {
    server: server.url,
    family: 4,
    endpoint: `127.0.0.1:${server.port}`,
    outcome: "answered",
    address: "127.0.0.1",
    port: v4.port,
    elapsed: 0,
    software: "holdfast fake",
  });
  assertEquals(others, []);
});

Deno.test("externalAddress() asks both families, each over its own socket", async () => {
  await using server4 = await startStunServer();
  await using server6 = await startStunServer({ hostname: "::1" });
  const { v4, v6, servers } = await externalAddress({ servers: [server6.url, server4.url] });
  assertEquals([v4?.address, v6?.address], ["127.0.0.1", "::1"]);
  assertEquals(servers.map(({ family }) => family), [4, 6]);
});

Deno.test("externalAddress() asks for the families it is told to", async () => {
  await using server4 = await startStunServer();
  await using server6 = await startStunServer({ hostname: "::1" });
  const { v4, v6 } = await externalAddress({ servers: urls([server4, server6]), families: [6] });
  assertEquals([v4, v6?.address, server4.requests], [null, "::1", 0]);
});

Deno.test("externalAddress() asks a server given by name", async () => {
  await using server = await startStunServer();
  const { v4 } = await externalAddress({ servers: [`localhost:${server.port}`], families: [4] });
  assertEquals(v4?.address, "127.0.0.1");
});

Deno.test("externalAddress() takes the majority's word against a liar, and shows who lied", async () => {
  await using stack = new AsyncDisposableStack();
  const servers = await startAll(["liar", "honest", "honest"], stack);
  const result = await externalAddress({ servers: urls(servers) });
  const { address, agreed, answered, agreement, mapping } = result.v4 ?? {};
  assertEquals(
    { address, agreed, answered, agreement, mapping },
    { address: "127.0.0.1", agreed: 2, answered: 3, agreement: "confirmed", mapping: "endpoint-independent" },
  );
  const said = result.servers.map((one) => one.outcome === "answered" ? one.address : one.reason);
  assertEquals(said, ["203.0.113.66", "127.0.0.1", "127.0.0.1"]);
});

Deno.test("externalAddress() calls one against one disputed", async () => {
  await using stack = new AsyncDisposableStack();
  const { v4 } = await externalAddress({ servers: urls(await startAll(["honest", "liar"], stack)) });
  assertEquals([v4?.address, v4?.agreed, v4?.answered, v4?.agreement], ["127.0.0.1", 1, 2, "disputed"]);
});

Deno.test("externalAddress() finds an endpoint-dependent mapping", async () => {
  await using honest = await startStunServer();
  await using other = await startStunServer({ hostname: "127.0.0.2", mode: "liar", lie: { port: 7 } });
  const { v4 } = await externalAddress({ servers: urls([honest, other]) });
  assertEquals([v4?.agreement, v4?.mapping], ["confirmed", "endpoint-dependent"]);
});

Deno.test("externalAddress() learns the mapping from the second address of an only server", async () => {
  const otherHostname = "127.0.0.2";
  await using same = await startStunServer({ mode: "other-address", otherHostname });
  const independent = await externalAddress({ servers: [same.url], families: [4] });
  assertEquals([independent.v4?.mapping, independent.v4?.answered, same.requests], [
    "endpoint-independent",
    1,
    2,
  ]);
  await using differs = await startStunServer({
    mode: "other-address",
    otherHostname,
    otherMode: "liar",
    lie: { port: 7 },
  });
  const dependent = await externalAddress({ servers: [differs.url], families: [4] });
  assertEquals([dependent.v4?.mapping, dependent.v4?.agreement], ["endpoint-dependent", "single"]);
});

Deno.test("externalAddress() does not wait long for a second address that is silent", async () => {
  const clock = new FakeClock();
  await using server = await startStunServer({ mode: "other-address", otherMode: "silent" });
  const asking = externalAddress({ servers: [server.url], families: [4], clock });
  await server.received(2);
  clock.tick(1000);
  const { v4 } = await asking;
  assertEquals([v4?.mapping, v4?.address], ["unknown", "127.0.0.1"]);
});

Deno.test({
  name: "externalAddress() leaves a second address alone that it is not allowed to ask",
  permissions: { net: ["127.0.0.1", "127.0.0.2", "0.0.0.0:0"] },
  fn: async () => {
    await using server = await startStunServer({ mode: "other-address", otherHostname: "127.0.0.2" });
    const servers = [server.url];
    await Deno.permissions.revoke({ name: "net", host: "127.0.0.2" });
    const { v4 } = await externalAddress({ servers, families: [4] });
    assertEquals([v4?.mapping, v4?.address, server.requests], ["unknown", "127.0.0.1", 1]);
  },
});

Deno.test("externalAddress() asks the second address of no server where there are two", async () => {
  await using one = await startStunServer({ mode: "other-address" });
  await using two = await startStunServer({ hostname: "127.0.0.2", mode: "other-address" });
  const { v4 } = await externalAddress({ servers: urls([one, two]) });
  assertEquals([v4?.mapping, one.requests, two.requests], ["endpoint-independent", 1, 1]);
});

Deno.test("externalAddress() asks again at 250, 750 and 1750 ms and gives up at 3 s", async () => {
  const clock = new FakeClock();
  await using server = await startStunServer({ mode: "silent" });
  const asking = externalAddress({ servers: [server.url], families: [4], clock });
  const times: number[] = [];
  for (let i = 1; i <= 4; i++) {
    while (server.requests < i) await nextRequest(server, clock);
    times.push(clock.monotonic());
  }
  assertEquals(times, [0, 250, 750, 1750]);
  clock.tick(1249);
  const pending = clock.pending;
  clock.tick(1);
  const result = await asking;
  assert(pending > 0, "the timeout was still to come at 2999 ms");
  assertEquals([result.v4, server.requests, clock.pending], [null, 4, 0]);
  assertEquals(outcomes(result), ["silent"]);
});

/** Turns the clock to the next repetition, and waits until it has arrived. */
async function nextRequest(server: StunServer, clock: FakeClock): Promise<void> {
  const wanted = server.requests + 1;
  if (wanted > 1) {
    const due = [0, 250, 750, 1750][wanted - 1] ?? 0;
    clock.tick(due - 1 - clock.monotonic());
    assertEquals(server.requests, wanted - 1);
    clock.tick(1);
  }
  await server.received(wanted);
}

Deno.test("externalAddress() needs only one request to get through", async () => {
  const clock = new FakeClock();
  await using server = await startStunServer({ mode: "silent" });
  const asking = externalAddress({ servers: [server.url], families: [4], clock });
  await server.received(1);
  server.mode = "honest";
  clock.tick(250);
  assertEquals((await asking).v4?.address, "127.0.0.1");
});

Deno.test("externalAddress() takes a late answer, and one to an earlier request as well", async () => {
  const clock = new FakeClock();
  await using server = await startStunServer({ mode: "late", delay: 400, clock });
  const asking = externalAddress({ servers: [server.url], families: [4], clock });
  await server.received(1);
  clock.tick(250);
  await server.received(2);
  clock.tick(150);
  const [outcome] = (await asking).servers;
  assert(outcome?.outcome === "answered");
  assertEquals(outcome.elapsed, 400);
});

Deno.test("externalAddress() ignores duplicates", async () => {
  await using stack = new AsyncDisposableStack();
  const servers = await startAll(["duplicate", "duplicate", "duplicate"], stack);
  const { v4 } = await externalAddress({ servers: urls(servers) });
  assertEquals([v4?.agreed, v4?.answered], [3, 3]);
});

Deno.test("externalAddress() counts unusable replies and goes on waiting", async () => {
  for (const mode of ["truncated", "wrong-id", "wrong-magic", "garbage"] as const) {
    const clock = new FakeClock();
    await using server = await startStunServer({ mode });
    await using honest = await startStunServer();
    const asking = externalAddress({ servers: urls([server, honest]), families: [4], clock });
    await honest.received(1);
    await server.received(1);
    server.mode = "honest";
    clock.tick(250);
    const { v4 } = await asking;
    assertEquals([v4?.agreed, v4?.answered], [2, 2], mode);
  }
});

Deno.test("externalAddress() says malformed of a server that sends nothing else", async () => {
  const fake = new FakeClock();
  const { promise: honestHasAnswered, resolve } = Promise.withResolvers<void>();
  let readings = 0;
  const clock: Clock = {
    now: () => fake.now(),
    // Read when each of the two is asked, and when one has answered.
    monotonic: () => (++readings === 3 && resolve(), fake.monotonic()),
    after: (milliseconds, callback) => fake.after(milliseconds, callback),
  };
  await using broken = await startStunServer({ mode: "wrong-id" });
  await using honest = await startStunServer({ mode: "late", delay: 0, clock: fake });
  const asking = externalAddress({ servers: urls([broken, honest]), families: [4], clock });
  await broken.received(1);
  await honest.received(1);
  fake.tick(0);
  await honestHasAnswered;
  fake.tick(3000);
  const result = await asking;
  assertEquals(outcomes(result), ["malformed", "answered"]);
  const [outcome] = result.servers;
  assert(outcome?.outcome === "failed");
  assertEquals(outcome.detail, "it has sent 1 unusable reply");
});

Deno.test("externalAddress() takes an error and an alternate server for the last word", async () => {
  await using stack = new AsyncDisposableStack();
  const servers = await startAll(["error", "alternate-server", "honest"], stack);
  const result = await externalAddress({ servers: urls(servers) });
  assertEquals(outcomes(result), ["error", "alternate-server", "answered"]);
  const [error, alternate] = result.servers;
  assert(error?.outcome === "failed" && alternate?.outcome === "failed");
  assert(error.detail.includes("error 500"), error.detail);
  assert(alternate.detail.includes("203.0.113.66 port 3478"), alternate.detail);
});

Deno.test("externalAddress() reads the answer of an RFC 3489 server", async () => {
  await using server = await startStunServer({ mode: "mapped-only" });
  assertEquals((await externalAddress({ servers: [server.url] })).v4?.address, "127.0.0.1");
});

Deno.test("externalAddress() tells an address of the other family from a usable one", async () => {
  await using server = await startStunServer({ mode: "liar", lie: { address: "2001:db8::1" } });
  const result = await externalAddress({ servers: [server.url] });
  assertEquals([result.v4, result.v6, outcomes(result)], [null, null, ["other-family"]]);
});

Deno.test("externalAddress() asks a server once that is given twice", async () => {
  await using server = await startStunServer();
  const twice = [server.url, `localhost:${server.port}`, `127.0.0.1:${server.port}`];
  const result = await externalAddress({ servers: twice, families: [4] });
  assertEquals([result.v4?.agreed, result.v4?.answered, server.requests], [1, 1, 1]);
  assertEquals(outcomes(result).toSorted(), ["answered", "duplicate", "duplicate"]);
});

Deno.test("externalAddress() believes nobody but the server it has asked", async () => {
  const { promise: request, resolve } = Promise.withResolvers<
    [Uint8Array, { address: string; port: number }]
  >();
  const onMessage = (bytes: Uint8Array, from: { address: string; port: number }): void =>
    resolve([bytes, from]);
  const server = await openUdp({ family: 4, address: "127.0.0.1", ref: true, onMessage });
  const forger = await openUdp({ family: 4, address: "127.0.0.1", onMessage: () => {} });
  try {
    const asking = externalAddress({ servers: [`127.0.0.1:${server.local.port}`] });
    const [bytes, asker] = await request;
    const { id } = decodeMessage(bytes);
    const reply = (address: string): Uint8Array => {
      const value = encodeAddress({ address, port: 1 }, id);
      return encodeMessage(MessageType.success, id, [{ type: AttributeType.xorMappedAddress, value }]);
    };
    // The forger has even seen the transaction id, and is the first to answer - yet from another port.
    await forger.send(reply("203.0.113.66"), asker);
    await server.send(reply("198.51.100.1"), asker);
    assertEquals((await asking).v4?.address, "198.51.100.1");
  } finally {
    server.close();
    forger.close();
  }
});

Deno.test("externalAddress() asks from the local address it is given, and tells it", async () => {
  await using server = await startStunServer();
  const { v4 } = await externalAddress({ servers: [server.url], localAddress: { v4: "127.0.0.9" } });
  assertEquals([v4?.address, v4?.local], ["127.0.0.9", { address: "127.0.0.9", port: v4?.port ?? 0 }]);
});

Deno.test("externalAddress() says so when the local address is not there", async () => {
  const result = await externalAddress({ servers: ["127.0.0.1:9"], localAddress: { v4: "192.0.2.1" } });
  assertEquals([result.v4, outcomes(result)], [null, ["unbound"]]);
});

Deno.test("externalAddress() says so when the system does not send", async () => {
  // Without SO_BROADCAST, which nobody has set, no system sends to the broadcast address.
  const result = await externalAddress({ servers: ["255.255.255.255:9"] });
  assertEquals([result.v4, outcomes(result)], [null, ["unsendable"]]);
});

Deno.test("externalAddress() names each server and why, when none has an address", async () => {
  const servers = ["no-such-host.invalid", "neither.invalid:1"];
  const error = await assertRejects(() => externalAddress({ servers }), HoldfastError);
  assertEquals(error.code, "external-unreachable");
  for (const server of servers) assert(error.message.includes(`${server}: `), error.message);
  const other = await assertRejects(
    () => externalAddress({ servers: ["::1"], families: [4] }),
    HoldfastError,
  );
  assertEquals(
    other.message,
    "Cannot ask for the external address: ::1: it is an address of the other family",
  );
});

Deno.test({
  name: "externalAddress() does not wait for a name longer than for an answer",
  // A look-up cannot be called off: this one is still running when the test has ended.
  sanitizeOps: false,
  fn: async () => {
    const clock = new FakeClock();
    const asking = externalAddress({ servers: ["localhost:9"], families: [4], clock });
    clock.tick(3000);
    await assertRejects(() => asking, HoldfastError, "localhost:9: looking up its name takes too long");
  },
});

Deno.test("externalAddress() keeps the process alive while it waits", async () => {
  const code = `
    import { externalAddress } from ${JSON.stringify(new URL("./external.ts", import.meta.url).href)};
    const { servers } = await externalAddress({ servers: ["127.0.0.1:9"], timeout: 100 });
    console.log(servers[0].reason);`;
  const { code: status, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-lock", `--config=${import.meta.dirname}/../deno.json`, code],
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals([status, new TextDecoder().decode(stdout)], [0, "silent\n"], new TextDecoder().decode(stderr));
});

Deno.test("externalAddress() goes on without a server whose name is unknown", async () => {
  await using server = await startStunServer();
  const result = await externalAddress({ servers: ["no-such-host.invalid", server.url], families: [4] });
  assertEquals([result.v4?.agreed, outcomes(result)], [1, ["unresolved", "answered"]]);
});

Deno.test("externalAddress() refuses options that make no sense, and names the value", async () => {
  const servers = ["127.0.0.1"];
  await assertRejects(() => externalAddress({ servers: [] }), TypeError, "no server");
  await assertRejects(() => externalAddress({ servers, families: [] }), TypeError, "no family");
  await assertRejects(() => externalAddress({ servers: ["a b"] }), TypeError, '"a b"');
  for (const timeout of [0, -1, NaN]) {
    await assertRejects(() => externalAddress({ servers, timeout }), RangeError, `got ${timeout}`);
  }
  for (const localAddress of [{ v4: "::1" }, { v4: "x" }, { v6: "127.0.0.1" }]) {
    const [value = ""] = Object.values(localAddress);
    await assertRejects(() => externalAddress({ servers, localAddress }), TypeError, `got "${value}"`);
  }
});

Deno.test("externalAddress() is called off by its signal, before and while it waits", async () => {
  const reason = new Error("enough");
  const servers = ["127.0.0.1:9"];
  const before = await assertRejects(() => externalAddress({ servers, signal: AbortSignal.abort(reason) }));
  assertEquals(before, reason);
  await using server = await startStunServer({ mode: "silent" });
  const clock = new FakeClock();
  const controller = new AbortController();
  const asking = externalAddress({ servers: [server.url], signal: controller.signal, clock });
  await server.received(1);
  controller.abort(reason);
  assertEquals(await assertRejects(() => asking), reason);
  assertEquals(clock.pending, 0);
});

Deno.test({
  name: "externalAddress() names every flag that is missing at once",
  permissions: { net: false },
  fn: async () => {
    const flagsOf = async (options: Parameters<typeof externalAddress>[0]): Promise<readonly string[]> =>
      (await assertRejects(() => externalAddress(options), PermissionError)).flags;
    const servers = ["192.0.2.1", "[2001:db8::1]:5"];
    assertEquals(await flagsOf({ servers }), ["--allow-net=0.0.0.0:0,[::]:0,192.0.2.1:3478,[2001:db8::1]:5"]);
    assertEquals(await flagsOf({ servers, families: [4] }), ["--allow-net=0.0.0.0:0,192.0.2.1:3478"]);
    const localAddress = { v6: "2001:db8::2" };
    assertEquals(await flagsOf({ servers, families: [6], localAddress }), [
      "--allow-net=[2001:db8::2]:0,[2001:db8::1]:5",
    ]);
    assertEquals(await flagsOf({ servers: ["stun.example.org"] }), ["--allow-net"]);
  },
});

Deno.test({
  name: "externalAddress() names the server it may not send to",
  permissions: { net: ["0.0.0.0:0"] },
  fn: async () => {
    const error = await assertRejects(() => externalAddress({ servers: ["192.0.2.1:7"] }), PermissionError);
    assertEquals(error.flags, ["--allow-net=192.0.2.1:7"]);
  },
});

Deno.test({
  name: "externalAddress() works with exactly the flags it names",
  permissions: { net: ["127.0.0.1:0", "127.0.0.1", "0.0.0.0:0"] },
  fn: async () => {
    await using server = await startStunServer();
    assertEquals((await externalAddress({ servers: [server.url] })).v4?.address, "127.0.0.1");
  },
});

Deno.test("externalAddress() leaves no descriptor behind, however it ends", async () => {
  if (Deno.build.os !== "linux") return;
  const count = async (): Promise<number> => {
    // A closed socket's descriptor goes with its last read, in the next turn of the event loop.
    await new Promise((resolve) => setTimeout(resolve, 0));
    return [...Deno.readDirSync("/proc/self/fd")].length;
  };
  await using server = await startStunServer();
  await using silent = await startStunServer({ mode: "silent" });
  const cycle = async (): Promise<void> => {
    await externalAddress({ servers: [server.url] });
    await externalAddress({ servers: [silent.url], timeout: 1 });
    await externalAddress({ servers: ["127.0.0.1:9"], localAddress: { v4: "192.0.2.1" } });
    await assertRejects(() => externalAddress({ servers: [silent.url], signal: AbortSignal.timeout(1) }));
  };
  await cycle();
  const before = await count();
  for (let i = 0; i < 25; i++) await cycle();
  assertEquals(await count(), before);
});

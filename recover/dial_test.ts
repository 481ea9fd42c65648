import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import type { NetworkView, NetworkViewEvent, NetworkViewState } from "../internal/network_view.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { startFaultServer } from "../testing/fault_server.ts";
import { classify } from "./classify.ts";
import { dial, type DialResolver } from "./dial.ts";
import { DialError } from "./dial_error.ts";
import { dialMemory } from "./dial_memory.ts";
import type { Policy } from "./policy.ts";

/** Names as a test wants them. */
const names = (A: readonly string[], AAAA: readonly string[] = []): DialResolver => (_, type) =>
  Promise.resolve(type === "A" ? A : AAAA);

/** Two ports of which nobody listens on the second. */
function closedPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

function viewOf(families: readonly (4 | 6)[]): NetworkView & { state: NetworkViewState; tell(): void } {
  const handlers = new Set<(event: NetworkViewEvent) => void>();
  return {
    state: {
      at: 0,
      online: families.length > 0,
      families,
      interfaces: [],
      defaultRoute: { v4: null, v6: null },
    },
    online: () => Promise.resolve(),
    wake() {},
    tell() {
      for (const handler of handlers) handler({ type: "wake", at: 0, slept: 0 });
    },
    subscribe(handler) {
      handlers.add(handler);
      return { [Symbol.dispose]: () => void handlers.delete(handler) };
    },
  };
}

async function failureOf(promise: Promise<unknown>): Promise<DialError> {
  return await assertRejects(() => promise, DialError);
}

Deno.test("dial() goes on to the next address at once when one refuses, and tells what each attempt did", async () => {
  await using server = await startFaultServer({ fault: { type: "echo" }, hostname: "127.0.0.3" });
  const resolver = names(["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
  const result = await dial(`a.test:${server.port}`, { resolver, memory: dialMemory(), attemptDelay: 2000 });
  result.conn.close();
  assertEquals([result.address, result.family, result.proof], ["127.0.0.3", 4, undefined]);
  assertEquals(
    result.attempts.map(({ address, step, outcome, failure }) => [address, step, outcome, failure?.kind]),
    [
      ["127.0.0.1", "connect", "failed", "refused"],
      ["127.0.0.2", "connect", "failed", "refused"],
      ["127.0.0.3", "connect", "connected", undefined],
    ],
  );
  assert(
    result.attempts.every(({ started, ended }) => 0 <= started && started <= ended && ended <= result.took),
  );
});

Deno.test("dial() fails with one error that knows all attempts, and that classify() knows", async () => {
  const port = closedPort();
  const error = await failureOf(dial(`a.test:${port}`, { resolver: names(["127.0.0.1"], ["::1"]) }));
  assertEquals(error.message, `Cannot connect to a.test:${port}: ::1 port-closed, 127.0.0.1 port-closed`);
  assertEquals(error.failure.scenario, "port-closed");
  assertEquals(classify(error).sent, "no");
  assertEquals(error.errors.length, 2);
});

Deno.test("dial() races up to the caller's proof: an address that accepts and is silent does not win", async () => {
  await using silent = await startFaultServer({ fault: { type: "silent" }, hostname: "127.0.0.2" });
  const echo = { fault: { type: "echo" }, hostname: "127.0.0.3", port: silent.port } as const;
  await using _good = await startFaultServer(echo);
  const { conn, address, proof, attempts } = await dial(`a.test:${silent.port}`, {
    resolver: names(["127.0.0.2", "127.0.0.3"]),
    memory: dialMemory(),
    attemptDelay: 10,
    async proof(conn) {
      await conn.write(new TextEncoder().encode("hello"));
      const buffer = new Uint8Array(16);
      return new TextDecoder().decode(buffer.subarray(0, await conn.read(buffer) ?? 0));
    },
  });
  conn.close();
  assertEquals([address, proof], ["127.0.0.3", "hello"]);
  assertEquals(attempts.map(({ step, outcome }) => `${step} ${outcome}`), [
    "proof abandoned",
    "proof connected",
  ]);
});

Deno.test("dial() bounds an attempt, closes its socket, and says where it hung", async () => {
  await using silent = await startFaultServer({ fault: { type: "silent" } });
  const target = `127.0.0.1:${silent.port}`;
  const error = await failureOf(dial(target, { transport: "tls", attemptTimeout: 50 }));
  assertEquals(error.failure.scenario, "silent-after-accept");
  assertEquals(error.attempts.map(({ step, outcome }) => `${step} ${outcome}`), ["handshake failed"]);
  const proof = (conn: Deno.Conn): Promise<unknown> => conn.read(new Uint8Array(1));
  assertEquals((await failureOf(dial(target, { proof, attemptTimeout: 50 }))).failure.kind, "timeout");
});

Deno.test("dial() with TLS passes over an address that hangs in the handshake, and one with a wrong certificate", async () => {
  const authority = await makeTestAuthority();
  const good = await authority.issue({ names: ["a.test"] });
  const wrong = await authority.issue({ names: ["b.test"] });
  await using hanging = await startFaultServer({ fault: { type: "half-handshake" }, hostname: "127.0.0.2" });
  const { port } = hanging;
  await using _wrong = await startFaultServer({
    fault: { type: "echo" },
    hostname: "127.0.0.3",
    port,
    tls: wrong,
  });
  await using _good = await startFaultServer({
    fault: { type: "echo" },
    hostname: "127.0.0.4",
    port,
    tls: good,
  });
  const tls = { caCerts: [authority.cert] };
  const { conn, address, attempts } = await dial(`a.test:${port}`, {
    transport: "tls",
    tls,
    resolver: names(["127.0.0.2", "127.0.0.3", "127.0.0.4"]),
    memory: dialMemory(),
    attemptDelay: 20,
  });
  await conn.write(new Uint8Array(4));
  assertEquals(await conn.read(new Uint8Array(8)), 4);
  conn.close();
  assertEquals(address, "127.0.0.4");
  assertEquals(attempts.map(({ outcome, failure }) => failure?.scenario ?? outcome), [
    "abandoned",
    "certificate-name",
    "connected",
  ]);
  const named = { transport: "tls", tls: { ...tls, serverName: "b.test" } } as const;
  (await dial(`127.0.0.3:${port}`, named)).conn.close();
});

Deno.test("dial() agrees on a protocol, and trusts nobody by itself", async () => {
  const authority = await makeTestAuthority();
  using listener = Deno.listenTls({
    hostname: "127.0.0.1",
    port: 0,
    ...await authority.issue(),
    alpnProtocols: ["one", "two"],
  });
  const target = `127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
  const accepted = listener.accept();
  const { conn } = await dial(target, {
    transport: "tls",
    tls: { caCerts: [authority.cert], alpnProtocols: ["two"] },
  });
  assertEquals((await conn.handshake()).alpnProtocol, "two");
  conn.close();
  (await accepted).close();
  const again = listener.accept();
  const error = await failureOf(dial(target, { transport: "tls" }));
  assertEquals(error.failure.scenario, "certificate-issuer");
  (await again).close();
});

Deno.test("dial() tries first what worked before, and forgets it when it fails", async () => {
  const memory = dialMemory();
  const resolver = names(["127.0.0.1", "127.0.0.2"]);
  const server = await startFaultServer({ fault: { type: "echo" }, hostname: "127.0.0.2" });
  const tried = async (): Promise<readonly string[]> => {
    const { conn, attempts } = await dial(`a.test:${server.port}`, { resolver, memory });
    conn.close();
    return attempts.map(({ address }) => address);
  };
  assertEquals(await tried(), ["127.0.0.1", "127.0.0.2"]);
  assertEquals(await tried(), ["127.0.0.2"]);
  await server.close();
  const { attempts } = await failureOf(dial(`a.test:${server.port}`, { resolver, memory }));
  assertEquals(attempts.map(({ address }) => address), ["127.0.0.2", "127.0.0.1"]);
  assertEquals(memory.recall("", `a.test:${server.port}`).addresses, []);
});

Deno.test("dial() uses what worked before when the resolver fails or is silent, and not when the name is gone", async () => {
  await using server = await startFaultServer({ fault: { type: "echo" } });
  const target = `a.test:${server.port}`;
  const memory = dialMemory();
  memory.worked("", target, "127.0.0.1");
  const go = (resolver: DialResolver): Promise<{ conn: Deno.Conn; address: string }> =>
    dial(target, { resolver, memory, resolveTimeout: 20 });
  const rejecting = (code: string) => (): Promise<never> =>
    Promise.reject(Object.assign(new Error(code), { code }));
  for (const resolver of [rejecting("EAI_AGAIN"), () => new Promise<never>(() => {})]) {
    const { conn, address } = await go(resolver);
    conn.close();
    assertEquals(address, "127.0.0.1");
  }
  const gone = await failureOf(go(rejecting("ENOTFOUND")));
  assertEquals([gone.failure.scenario, gone.attempts.map(({ step }) => step)], ["name-unknown", [
    "resolve",
    "resolve",
  ]]);
  assertEquals((await failureOf(go(names([])))).failure.scenario, "name-without-address");
  memory.clear();
  assertEquals((await failureOf(go(() => new Promise(() => {})))).failure.scenario, "resolver-silent");
});

Deno.test("dial() passes over families that are offline, and tries nothing while all are", async () => {
  await using server = await startFaultServer({ fault: { type: "echo" } });
  const resolver = names(["127.0.0.1"], ["2001:db8::1"]);
  const options = { resolver, memory: dialMemory() };
  const { conn, attempts } = await dial(`a.test:${server.port}`, { ...options, network: viewOf([4]) });
  conn.close();
  assertEquals(attempts.map(({ address }) => address), ["127.0.0.1"]);
  const offline = { network: viewOf([]), resolver: names(["192.0.2.1"], ["2001:db8::1"]) };
  const { failure } = await failureOf(dial("a.test:1", { ...options, ...offline }));
  assertEquals([failure.scenario, failure.retry], ["no-default-route", "after-change"]);
  // What lies on this machine needs no network.
  const near = await dial(`localhost:${server.port}`, { network: viewOf([]), memory: dialMemory() });
  near.conn.close();
});

Deno.test("dial() starts a pending attempt anew when its way out changes", async () => {
  await using server = await startFaultServer({ fault: { type: "silent" } });
  const network = viewOf([4]);
  const route = (source: string) => ({ v4: { gateway: null, interface: "v0", source }, v6: null });
  network.state = { ...network.state, defaultRoute: route("192.0.2.1") };
  let proofs = 0;
  const first = Promise.withResolvers<void>();
  const dialling = dial(`127.0.0.1:${server.port}`, {
    network,
    async proof(_conn, { signal }) {
      if (++proofs > 1) return;
      first.resolve();
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    },
  });
  await first.promise;
  network.tell();
  network.state = { ...network.state, defaultRoute: route("192.0.2.2") };
  network.tell();
  const { conn, attempts } = await dialling;
  conn.close();
  assertEquals(attempts.map(({ outcome }) => outcome), ["abandoned", "connected"]);
});

Deno.test("dial() goes again as its policy says, and gives the caller's reason when it is called off", async () => {
  await using server = await startFaultServer({ fault: { type: "echo" } });
  const twice: Policy = {
    async execute(work, options = {}) {
      const signal = options.signal ?? new AbortController().signal;
      try {
        return await work({ signal, attempt: 0 });
      } catch {
        return await work({ signal, attempt: 1 });
      }
    },
  };
  let asked = 0;
  const resolver: DialResolver = (_, type) =>
    Promise.resolve(type === "A" && ++asked > 1 ? ["127.0.0.1"] : []);
  (await dial(`a.test:${server.port}`, { resolver, retry: twice, memory: dialMemory() })).conn.close();
  assertEquals(asked, 2);
  const reason = new Error("no more");
  for (const options of [{ resolver: () => new Promise<never>(() => {}) }, { retry: twice }]) {
    const signal = AbortSignal.abort(reason);
    assertStrictEquals(await assertRejects(() => dial("a.test:1", { ...options, signal })), reason);
  }
  const stop = new AbortController();
  const hanging = dial("a.test:1", {
    resolver: () => new Promise<never>(() => queueMicrotask(() => stop.abort(reason))),
    signal: stop.signal,
  });
  assertStrictEquals(await assertRejects(() => hanging), reason);
});

Deno.test("dial() sets TCP_NODELAY before TLS and before the proof, unless told not to", async () => {
  await using server = await startFaultServer({ fault: { type: "echo" } });
  const calls: string[] = [];
  const runtime = Deno as {
    connect: (options: Deno.ConnectOptions) => Promise<Deno.TcpConn>;
    startTls: unknown;
  };
  const { connect, startTls } = runtime;
  runtime.connect = async (options) => {
    const conn = await connect(options);
    const setNoDelay = conn.setNoDelay.bind(conn);
    conn.setNoDelay = (on) => {
      calls.push(`noDelay ${on}`);
      setNoDelay(on);
    };
    return conn;
  };
  runtime.startTls = () => Promise.reject(new Error(`TLS after ${calls.join()}`));
  try {
    for (const noDelay of [true, false]) (await dial(`127.0.0.1:${server.port}`, { noDelay })).conn.close();
    assertEquals(calls, ["noDelay true"]);
    const { errors } = await failureOf(dial(`127.0.0.1:${server.port}`, { transport: "tls" }));
    assertEquals(String(errors[0]), "Error: TLS after noDelay true,noDelay true");
  } finally {
    Object.assign(runtime, { connect, startTls });
  }
});

Deno.test("dial() says what is wrong with its options", async () => {
  await assertRejects(() => dial("a.test"), TypeError, 'the target must be "host:port"');
  await assertRejects(() => dial("[fe80::1]:1"), TypeError, "add the interface's name");
  await assertRejects(() => dial("a:1", { attemptDelay: 9 }), RangeError, "attemptDelay");
  await assertRejects(() => dial("a:1", { attemptTimeout: 0 }), RangeError, "attemptTimeout");
  await assertRejects(() => dial("a:1", { family: 5 as 4 }), TypeError, "family must be 4 or 6, got 5");
  await assertRejects(
    () => dial("a:1", { transport: "udp" as "tcp" }),
    TypeError,
    'transport must be "tcp" or "tls"',
  );
});

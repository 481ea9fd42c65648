/** `dial()` against names and addresses that are dead in every way, beside what the runtime does by itself. */

import { watchNetwork } from "@holdfast/net/watch";
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { NetworkView } from "../../internal/network_view.ts";
import { dial } from "../../recover/dial.ts";
import { DialError } from "../../recover/dial_error.ts";
import { dialMemory } from "../../recover/dial_memory.ts";
import type { DnsRecords, DnsRule } from "../../testing/dns_server.ts";
import { makeTestAuthority } from "../../testing/certificates.ts";
import { descriptorsOf, eventually } from "../_child.ts";
import { requires, scale } from "../_require.ts";
import { ip } from "./_network.ts";
import { ADDRESS, type Far, TwoHosts } from "./_two_hosts.ts";

const { v4, v6 } = ADDRESS.server;

/** A second address of the server, and two that nobody has. */
const SECOND = "10.9.2.3";
const DEAD = ["10.9.2.99", "10.9.2.98"] as const;

const RECORDS: Readonly<Record<string, DnsRecords>> = {
  "both.test": { A: [v4], AAAA: [v6] },
  "other.test": { A: [v4], AAAA: [v6] },
  "dead.test": { A: [...DEAD, v4] },
  "two.test": { A: [v4, SECOND] },
  "none.test": {},
  "sink.example": { A: ["0.0.0.0"], AAAA: ["::"] },
  "hosted.test": { A: [DEAD[0]], AAAA: [v6] },
};

interface Lab {
  readonly hosts: TwoHosts;
  readonly far: Far;
  /** Sets the faults of the name server. */
  rules(...rules: readonly DnsRule[]): Promise<void>;
}

function test(name: string, work: (lab: Lab) => Promise<void>): void {
  Deno.test({
    name,
    ...requires({ root: true, netns: true, tools: ["ip", "nft", "sysctl"] }),
    async fn() {
      await using hosts = await TwoHosts.make();
      // All its addresses, so that it answers by both families.
      const far = await hosts.serve({
        fault: { fault: { type: "echo" }, hostname: "::" },
        dns: { records: RECORDS, hostname: v4 },
      });
      // So long a time shows who waits for the system's resolver.
      await hosts.changeNameserver(v4, "timeout:5 attempts:2");
      const rules = async (...rules: readonly DnsRule[]): Promise<void> =>
        void await far.tell({ do: "rules", rules });
      await work({ hosts, far, rules });
    },
  });
}

async function failureOf(promise: Promise<unknown>): Promise<DialError> {
  return await assertRejects(() => promise, DialError);
}

/** Runs the program beside this file with the given permissions, and returns what it wrote. */
async function program(options: unknown, ...flags: readonly string[]): Promise<Record<string, unknown>> {
  const script = new URL("_dial_program.ts", import.meta.url).href;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-lock", "--no-prompt", ...flags, script, JSON.stringify(options)],
    stdin: "null",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

test("a lost AAAA answer costs dial() 50 ms, where the runtime's own connect waits for the resolver", async (lab) => {
  await lab.rules({ type: "AAAA", fault: "drop" });
  const target = { hostname: "both.test", port: lab.far.port };
  const { conn, address, took, attempts } = await dial(target, { memory: dialMemory() });
  conn.close();
  assertEquals([address, attempts.length], [v4, 1]);
  assert(took < 2000, `${took} ms`);
  await assertRejects(() => Deno.connect({ ...target, signal: AbortSignal.timeout(3000) }), DOMException);
  const { questions } = await lab.far.tell({ do: "state" });
  assert(questions.some(({ type }) => type === "AAAA"), "both families were asked for");
});

test("a late AAAA answer joins the race, and nothing of it is left when it never comes", async (lab) => {
  // The address of IPv4 hangs, so that only what comes late can win.
  await using _drop = await lab.hosts.filter(
    "router",
    "forward",
    `ip daddr ${v4} tcp dport ${lab.far.port} drop`,
  );
  await lab.rules({ type: "AAAA", delay: 400 });
  const { conn, address, attempts } = await dial(`both.test:${lab.far.port}`, { memory: dialMemory() });
  conn.close();
  assertEquals([address, attempts.map(({ family }) => family)], [v6, [4, 6]]);
});

test("a program that has dialled ends, though an answer was lost", async (lab) => {
  await lab.rules({ type: "AAAA", fault: "drop" });
  const began = performance.now();
  const target = `both.test:${lab.far.port}`;
  assertEquals(await program({ target }, "--allow-net"), { address: v4 });
  assert(performance.now() - began < 5000, "it did not wait for the system's resolver");
});

test("two dead addresses cost two delays, and the next time none", async (lab) => {
  const memory = dialMemory();
  const target = `dead.test:${lab.far.port}`;
  const first = await dial(target, { memory });
  first.conn.close();
  assertEquals(first.attempts.map(({ address, outcome }) => `${address} ${outcome}`), [
    `${DEAD[0]} abandoned`,
    `${DEAD[1]} abandoned`,
    `${v4} connected`,
  ]);
  assert(first.took < 2000, `${first.took} ms`);
  const second = await dial(target, { memory });
  second.conn.close();
  assertEquals(second.attempts.map(({ address }) => address), [v4]);
});

test("an address that accepts and hangs in TLS costs one delay", async ({ hosts, far }) => {
  await hosts.ip("server", `address add ${SECOND}/24 dev vs`);
  const authority = await makeTestAuthority();
  const tls = await authority.issue({ names: ["two.test"] });
  const port = far.port + 1;
  await hosts.serve({ fault: { fault: { type: "silent" }, port } });
  await hosts.serve({ fault: { fault: { type: "echo" }, port, hostname: SECOND, tls } });
  const { conn, address, took, attempts } = await dial(`two.test:${port}`, {
    transport: "tls",
    tls: { caCerts: [authority.cert] },
    memory: dialMemory(),
  });
  conn.close();
  assertEquals([address, attempts.map(({ step, outcome }) => `${step} ${outcome}`)], [
    SECOND,
    ["handshake abandoned", "handshake connected"],
  ]);
  assert(took < 2000, `${took} ms`);
});

test("dead IPv6 is paid for once in each network, whatever the name", async ({ hosts, far }) => {
  await using _drop = await hosts.filter("router", "forward", "ip6 daddr fd09:2::/64 drop");
  const memory = dialMemory();
  const at = (gateway: string): NetworkView => ({
    state: {
      at: 0,
      online: true,
      families: [4, 6],
      interfaces: [],
      defaultRoute: { v4: { gateway, interface: "vc", source: null }, v6: null },
    },
    online: () => Promise.resolve(),
    subscribe: () => ({ [Symbol.dispose]() {} }),
    wake() {},
  });
  const families = async (name: string, gateway: string): Promise<readonly unknown[]> => {
    const { conn, attempts } = await dial(`${name}:${far.port}`, { memory, network: at(gateway) });
    conn.close();
    return attempts.map(({ family, outcome }) => `${family} ${outcome}`);
  };
  assertEquals(await families("both.test", "10.9.1.1"), ["6 abandoned", "4 connected"]);
  assertEquals(await families("other.test", "10.9.1.1"), ["4 connected"]);
  assertEquals(await families("both.test", "10.9.1.254"), ["6 abandoned", "4 connected"]);
});

test("what a name server says in place of an answer is known by name", async ({ rules, hosts }) => {
  const scenario = async (name: string): Promise<unknown> =>
    (await failureOf(dial(`${name}:1`, { memory: dialMemory(), resolveTimeout: 2500 }))).failure.scenario;
  assertEquals(await scenario("unknown.test"), "name-unknown");
  assertEquals(await scenario("none.test"), "name-without-address");
  assertEquals(await scenario("sink.example"), "name-sinkholed");
  for (const fault of ["servfail", "refused"] as const) {
    await rules({ fault });
    assertEquals(await scenario("both.test"), "resolver-failure", fault);
  }
  await rules({ fault: "drop" });
  assertEquals(await scenario("both.test"), "resolver-silent");
  await hosts.changeNameserver("", "");
  assertEquals(await scenario("both.test"), "resolver-failure");
});

test("a silent name server is covered by what worked before, and asked again each time", async ({ far, rules }) => {
  const memory = dialMemory();
  const target = `two.test:${far.port}`;
  (await dial(target, { memory })).conn.close();
  await rules({ fault: "drop" });
  const before = (await far.tell({ do: "state" })).questions.length;
  const { conn, address, took } = await dial(target, { memory, resolveTimeout: 300 });
  conn.close();
  assertEquals(address, v4);
  assert(took >= 295, `the resolver had its time: ${took} ms`);
  assert((await far.tell({ do: "state" })).questions.length > before);
});

test("the hosts file counts for both families, also where the name server is silent", async ({ far, rules }) => {
  await Deno.writeTextFile("/etc/hosts", `127.0.0.1 localhost\n${v4} hosted.test short\n`);
  const target = `hosted.test:${far.port}`;
  const { conn, attempts } = await dial(target, { memory: dialMemory() });
  conn.close();
  assertEquals(attempts.map(({ address }) => address), [v4], "nothing of what DNS says");
  await rules({ fault: "drop" });
  (await dial(`short:${far.port}`, { memory: dialMemory() })).conn.close();
  // Without the permission to read the file the resolver reads it.
  assertEquals(await program({ target }, "--allow-net"), { address: v4 });
});

test("a permission for the name alone is enough, and none is told by name", async ({ far }) => {
  const target = `both.test:${far.port}`;
  const { address } = await program({ target }, `--allow-net=${target}`);
  assert(address === v4 || address === v6, String(address));
  assertEquals(await program({ target }), { flags: [`--allow-net=${target}`] });
});

test("a socket that is connected to itself counts as refused", async ({ hosts }) => {
  const range = (ports: string): Promise<string> =>
    hosts.run("client", "sysctl", "-qw", `net.ipv4.ip_local_port_range=${ports}`);
  await range("40000 40009");
  const seen = new Set<unknown>();
  // The kernel takes ports as even as the first of the range first.
  for (let n = 0; n < 200 && !seen.has("self-connect"); n++) {
    const { failure } = await failureOf(dial("127.0.0.1:40004"));
    assertEquals(failure.kind, "refused");
    seen.add(failure.scenario);
  }
  // The tests that follow need more.
  await range("32768 60999");
  assert(seen.has("self-connect"), [...seen].join());
});

test("an attempt whose way out changes starts anew at once, from the new address", async ({ hosts, far }) => {
  const { client, near } = ADDRESS;
  await using _drop = await hosts.filter(
    "router",
    "forward",
    `ip saddr ${client.v4} tcp dport ${far.port} drop`,
  );
  await using watcher = await watchNetwork();
  const dialling = dial(`${v4}:${far.port}`, { network: watcher, attemptTimeout: 60_000 });
  await ip(
    "address add 10.9.1.77/25 dev vc",
    `route replace default via ${near.v4} src 10.9.1.77`,
    `address delete ${client.v4}/24 dev vc`,
  );
  const { conn, attempts } = await dialling;
  const { localAddr } = conn;
  conn.close();
  assertEquals((localAddr as Deno.NetAddr).hostname, "10.9.1.77");
  const outcomes = attempts.map(({ outcome }) => outcome);
  assertEquals([outcomes.at(0), outcomes.at(-1)], ["abandoned", "connected"]);
});

test("an attempt that has no way out any more fails as offline, with the other family still online", async (lab) => {
  await using watcher = await watchNetwork();
  await using _silence = await lab.hosts.silence();
  const failed = failureOf(dial(`${v4}:${lab.far.port}`, { network: watcher, attemptTimeout: 60_000 }));
  await ip("route delete default");
  const { failure } = await failed;
  assertEquals([failure.scenario, failure.retry, watcher.state.families], [
    "no-default-route",
    "after-change",
    [6],
  ]);
});

test("races leave no socket behind", async ({ far, rules }) => {
  await rules({ name: "both.test", type: "AAAA", delay: 20 });
  const go = async (name: string, attemptDelay: number): Promise<void> =>
    (await dial(`${name}:${far.port}`, { memory: dialMemory(), attemptDelay })).conn.close();
  const cycle = async (): Promise<void> => {
    await Promise.all([go("both.test", 10), go("dead.test", 10), go("other.test", 10)]);
    const late = dial(`other.test:${far.port}`, { signal: AbortSignal.timeout(1), memory: dialMemory() });
    await late.then(({ conn }) => conn.close(), () => {});
  };
  const sockets = (): number => descriptorsOf().filter((name) => name.startsWith("socket:")).length;
  const before = sockets();
  for (let n = 0; n < scale(30, 500); n++) await cycle();
  // The runtime's resolver closes the socket of a question that was called off when its own second is over.
  await eventually("the sockets to be gone", () => sockets() <= before);
  assertEquals(sockets(), before);
});

/** Failures of names: brought about, known by name, and healed. */

import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { lookup } from "node:dns/promises";
import { constant } from "../../recover/backoff.ts";
import { classify } from "../../recover/classify.ts";
import { dial } from "../../recover/dial.ts";
import { DialError } from "../../recover/dial_error.ts";
import { dialMemory } from "../../recover/dial_memory.ts";
import type { FailureOperation } from "../../recover/failure.ts";
import { retry } from "../../recover/retry.ts";
import type { DnsRule } from "../../testing/dns_server.ts";
import { connectionsOf, echo, failing, isPending, offline, provoke, type Scene, thrown } from "./_provoke.ts";
import { ADDRESS } from "./_two_hosts.ts";

const { v4, v6 } = ADDRESS.server;

/** Longer than any test: what is not over before is not meant to end by itself. */
const LONG = 120_000;

/** Lets a resolver that hears nothing give up after 4 s; with what systems have by default it takes 10 and more. */
const PATIENT = "timeout:2 attempts:2";

/** What the ways to look a name up give, each as `scenario retry`. */
async function told({ far, network }: Scene, name: string): Promise<Readonly<Record<string, string>>> {
  const calls: Readonly<Record<string, [FailureOperation, () => Promise<unknown>]>> = {
    connect: ["connect", () => Deno.connect({ hostname: name, port: far.port })],
    lookup: ["resolve", () => lookup(name)],
    resolveDns: ["resolve", () => Deno.resolveDns(name, "A")],
    fetch: ["request", () => fetch(`http://${name}:${far.port}/`)],
  };
  const all = await Promise.all(
    Object.entries(calls).map(async ([call, [operation, run]]) => {
      const { error, elapsed } = await failing(run);
      const { scenario, retry, sent } = classify(error, { operation, network: network.state, elapsed });
      assertEquals(sent, "no", call);
      return [call, `${scenario} ${retry}`] as const;
    }),
  );
  return Object.fromEntries(all);
}

async function rules({ far }: Scene, ...rules: readonly DnsRule[]): Promise<void> {
  await far.tell({ do: "rules", rules });
}

/** How often a name was asked for. */
async function asked({ far }: Scene, name: string): Promise<number> {
  const { questions } = await far.tell({ do: "state" });
  return questions.filter((question) => question.name === name).length;
}

async function dialError(promise: Promise<unknown>): Promise<DialError> {
  const error = await thrown(promise);
  assertInstanceOf(error, DialError);
  return error;
}

/** Connects by what a memory knows, although the name cannot be looked up, and shows that it works. */
async function assertLastKnown(
  { far, network }: Scene,
  memory: ReturnType<typeof dialMemory>,
): Promise<void> {
  const { conn, address } = await dial(`far.test:${far.port}`, { network, memory, resolveTimeout: 300 });
  assert(address === v4 || address === v6, address);
  assertEquals(await echo(conn, "known"), "known");
  conn.close();
}

async function remember({ far, network }: Scene): Promise<ReturnType<typeof dialMemory>> {
  const memory = dialMemory();
  (await dial(`far.test:${far.port}`, { network, memory })).conn.close();
  return memory;
}

provoke(
  "name-unknown: it is asked for once, and once more when a VPN brings another resolver, which knows it",
  async (scene) => {
    const { lab, far, network } = scene;
    const target = { hostname: "intranet.test", port: far.port };
    const error = await thrown(Deno.connect(target));
    assertStringIncludes(error.message, "Name or service not known");
    assertEquals(error.code, undefined);
    assertEquals((await thrown(lookup(target.hostname))).code, "ENOTFOUND");
    assertInstanceOf(await thrown(Deno.resolveDns(target.hostname, "A")), Deno.errors.NotFound);
    assertEquals(await told(scene, target.hostname), {
      connect: "name-unknown after-change",
      lookup: "name-unknown after-change",
      fetch: "name-unknown after-change",
      // It hides that it is certain.
      resolveDns: "name-unknown later",
    });

    const policy = retry({ network, operation: "connect", maxAttempts: 2, safetyPoll: LONG });
    const suspended = Promise.withResolvers<string>();
    using _suspended = policy.on("suspended", ({ reason }) => suspended.resolve(reason));
    let attempts = 0;
    const connecting = policy.execute(({ signal }) => {
      attempts++;
      return Deno.connect({ ...target, signal });
    });
    connecting.catch(() => {}); // it is awaited below
    assertEquals(await suspended.promise, "change");
    const before = await asked(scene, target.hostname);
    await thrown(Deno.connect({ hostname: "another.test", port: far.port }));
    assertEquals([attempts, await asked(scene, target.hostname)], [1, before]);

    // The VPN: its resolver first, then its link and the way that it takes.
    const resolver = "10.9.2.53";
    await lab.ip("server", `address add ${resolver}/24 dev vs`);
    await lab.serve({ dns: { hostname: resolver, records: { [target.hostname]: { A: [v4] } } } });
    await lab.ip(
      "client",
      "link add vpn type veth peer name far_vpn netns router",
      "address add 10.9.3.2/24 dev vpn",
    );
    await lab.ip("router", "address add 10.9.3.1/24 dev far_vpn", "link set far_vpn up");
    await lab.ip("client", "link set vpn up", "route replace default via 10.9.3.1");
    using conn = await connecting;
    assertEquals([await echo(conn, "inside"), attempts], ["inside", 2]);
    assertEquals(await asked(scene, target.hostname), before, "the old resolver was not asked again");
  },
);

provoke(
  "resolver-failure: plain code fails, dial() goes on with the last address, retry() gets through when it passes",
  async (scene) => {
    const { far, network } = scene;
    const memory = await remember(scene);
    for (const fault of ["refused", "servfail"] as const) {
      await rules(scene, { fault });
      const error = await thrown(Deno.connect({ hostname: "far.test", port: far.port }));
      assertStringIncludes(error.message, "Temporary failure in name resolution");
      assertEquals((await thrown(lookup("far.test"))).code, "EAI_AGAIN");
      assertInstanceOf(await thrown(Deno.resolveDns("far.test", "A")), Deno.errors.NotFound);
      assertEquals(await told(scene, "far.test"), {
        connect: "resolver-failure later",
        lookup: "resolver-failure later",
        fetch: "resolver-failure later",
        // For it that looks like a name that nobody knows; at least it leaves hope.
        resolveDns: "name-unknown later",
      }, fault);
      const { failure } = await dialError(dial(`far.test:${far.port}`, { network, memory: dialMemory() }));
      assertEquals([failure.scenario, failure.retry], ["resolver-failure", "later"]);
      await assertLastKnown(scene, memory);
    }

    const policy = retry({ network, operation: "connect", backoff: constant(10) });
    const failures: (string | null)[] = [];
    let healed: Promise<void> | undefined;
    using _failures = policy.on("failure", ({ failure }) => {
      failures.push(failure.scenario);
      if (failures.length === 2) healed = rules(scene);
    });
    using conn = await policy.execute(async ({ signal, attempt }) => {
      if (attempt === 2) await healed;
      return (await dial(`far.test:${far.port}`, { network, memory: dialMemory(), signal })).conn;
    });
    assertEquals([await echo(conn, "well"), failures], ["well", [
      "resolver-failure",
      "resolver-failure",
    ]]);
  },
);

provoke(
  "name-without-address: the other family has one, and where none has, nothing is repeated",
  async (scene) => {
    const { far, network } = scene;
    const error = await thrown(Deno.connect({ hostname: "none.test", port: far.port }));
    assertStringIncludes(error.message, "No address associated with hostname");
    assertEquals(await told(scene, "none.test"), {
      connect: "name-without-address after-change",
      lookup: "name-without-address after-change",
      fetch: "name-without-address after-change",
      resolveDns: "name-unknown later",
    });
    const four = await thrown(lookup("six.test", { family: 4 }));
    assertEquals(classify(four, { operation: "resolve" }).scenario, "name-without-address");

    const { conn, family } = await dial(`six.test:${far.port}`, { network, memory: dialMemory() });
    assertEquals([family, await echo(conn, "by IPv6")], [6, "by IPv6"]);
    conn.close();

    const policy = retry({ network, operation: "connect", safetyPoll: LONG });
    const stop = new AbortController();
    let attempts = 0;
    using _attempts = policy.on("attempt", () => void attempts++);
    using _suspended = policy.on("suspended", ({ reason }) => stop.abort(new Error(reason)));
    const options = { network, memory: dialMemory(), retry: policy, signal: stop.signal };
    assertEquals((await thrown(dial(`none.test:${far.port}`, options))).message, "change");
    assertEquals(attempts, 1);
    const { failure } = await dialError(dial(`none.test:${far.port}`, { network, memory: dialMemory() }));
    assertEquals(failure.scenario, "name-without-address");
  },
  { "none.test": {}, "six.test": { AAAA: [v6] } },
);

provoke(
  "resolver-silent: plain code hangs for seconds, dial() has connected by the last address meanwhile",
  async (scene) => {
    const { lab, far, network } = scene;
    const memory = await remember(scene);
    await lab.changeNameserver(v4, PATIENT);
    await rules(scene, { fault: "drop" });
    const plain = told(scene, "far.test");

    await assertLastKnown(scene, memory);
    const fresh = { network, memory: dialMemory(), resolveTimeout: 300 };
    const { failure } = await dialError(dial(`far.test:${far.port}`, fresh));
    assertEquals([failure.scenario, failure.retry, failure.sent], ["resolver-silent", "later", "no"]);
    assert(await isPending(plain), "all others wait still");
    assertEquals(await plain, {
      connect: "resolver-silent later",
      lookup: "resolver-silent later",
      resolveDns: "resolver-silent later",
      fetch: "resolver-silent later",
    });
  },
);

provoke(
  "aaaa-lost: the runtime's own connect waits for both answers, dial() has long connected by IPv4",
  async (scene) => {
    const { lab, far, network } = scene;
    await lab.changeNameserver(v4, PATIENT);
    await rules(scene, { type: "AAAA", fault: "drop" });
    const target = { hostname: "far.test", port: far.port };
    const before = await connectionsOf(far);
    const plain = Deno.connect(target);
    assertEquals(await Deno.resolveDns(target.hostname, "A"), [v4]);
    const stop = new AbortController();
    const six = Deno.resolveDns(target.hostname, "AAAA", { signal: stop.signal });

    const { conn, address } = await dial(target, { network, memory: dialMemory() });
    assertEquals([address, await echo(conn, "at once")], [v4, "at once"]);
    conn.close();
    assertEquals([await isPending(plain), await isPending(six)], [true, true]);
    assertEquals(await connectionsOf(far), before + 1, "the plain one has not even begun to connect");
    stop.abort(new DOMException("The time was up", "TimeoutError"));
    assertEquals(classify(await thrown(six), { operation: "resolve" }).scenario, "resolver-silent");
    const late = await plain;
    assertEquals(await echo(late, "at last"), "at last");
    late.close();
  },
);

provoke(
  "resolver-unreachable: no route, no server or none named; what worked is used, and offline is waited out",
  async (scene) => {
    const { lab, far, network } = scene;
    const memory = await remember(scene);
    const target = { hostname: "far.test", port: far.port };
    // The router is no name server, and says so: one call fails at once, another waits all the same.
    await lab.changeNameserver(ADDRESS.near.v4, PATIENT);
    const stop = new AbortController();
    const waiting = Deno.resolveDns("far.test", "A", { signal: stop.signal });
    const refused = await failing(() => Deno.connect(target));
    assertStringIncludes(refused.error.message, "Temporary failure in name resolution");
    const context = { operation: "connect", network: network.state, elapsed: refused.elapsed } as const;
    assertEquals(classify(refused.error, context).scenario, "resolver-failure", "nobody can tell them apart");
    assert(await isPending(waiting));
    stop.abort();
    await thrown(waiting);
    await assertLastKnown(scene, memory);

    await lab.changeNameserver("");
    const unnamed = await thrown(Deno.resolveDns("far.test", "A"));
    assertStringIncludes(unnamed.message, "no nameservers found in config");
    assertEquals(classify(unnamed).scenario, "resolver-unreachable");
    await assertLastKnown(scene, memory);

    await lab.changeNameserver(v4);
    await lab.ip("client", "route delete default", `route delete default via ${ADDRESS.near.v6}`);
    await offline(network);
    const byDns = await thrown(Deno.resolveDns("far.test", "A"));
    assertStringIncludes(byDns.message, "io error: Network is unreachable (os error 101)");
    const byName = await thrown(Deno.connect(target));
    for (const [operation, error] of [["resolve", byDns], ["connect", byName]] as const) {
      const failure = classify(error, { operation, network: network.state });
      const { scenario, kind, retry } = failure;
      assertEquals([scenario, kind, retry], ["resolver-unreachable", "offline", "after-change"]);
    }

    const policy = retry({ network, operation: "connect", maxAttempts: 1, safetyPoll: LONG });
    const suspended = Promise.withResolvers<string>();
    using _suspended = policy.on("suspended", ({ reason }) => suspended.resolve(reason));
    const attempts: boolean[] = [];
    const connecting = policy.execute(({ signal }) => {
      attempts.push(network.state.online);
      return Deno.connect({ ...target, signal });
    });
    connecting.catch(() => {}); // it is awaited below
    assertEquals(await suspended.promise, "offline");
    await thrown(Deno.connect(target));
    assertEquals(attempts, []);
    await lab.routes();
    using conn = await connecting;
    assertEquals([await echo(conn, "back"), attempts], ["back", [true]]);
  },
);

provoke(
  "name-sinkholed: plain code talks to whatever listens on this machine, dial() refuses the answer",
  async ({ far, network }) => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const hostname = "ads.example";
    assertEquals(await Deno.resolveDns(hostname, "A"), ["0.0.0.0"]);
    // Who was connected, by the port at the other end.
    const met = async (): Promise<boolean> => {
      using plain = await Deno.connect({ hostname, port: listener.addr.port });
      using accepted = await listener.accept();
      return accepted.remoteAddr.port === plain.localAddr.port;
    };
    assertEquals(await met(), true);
    const refused = await thrown(Deno.connect({ hostname, port: far.port }));
    assertInstanceOf(refused, Deno.errors.ConnectionRefused);
    const context = { operation: "connect", network: network.state } as const;
    assertEquals(
      classify(refused, context).scenario,
      "port-closed",
      "without the address it looks like that",
    );
    const known = classify(refused, { ...context, remoteAddress: "0.0.0.0" });
    assertEquals([known.scenario, known.retry], ["name-sinkholed", "after-change"]);

    const options = { network, memory: dialMemory() };
    const { failure, attempts } = await dialError(dial({ hostname, port: listener.addr.port }, options));
    assertEquals([failure.scenario, failure.retry, failure.sent], ["name-sinkholed", "after-change", "no"]);
    assert(attempts.every(({ step }) => step === "resolve"), "no address was tried");
    assertEquals(await met(), true, "nobody else had come in between");
  },
  { "ads.example": { A: ["0.0.0.0"] } },
);

/** Failures of single addresses and local ports: brought about, known by name, and gone around. */

import { connect as nodeConnect } from "node:net";
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { constant } from "../../recover/backoff.ts";
import { classify } from "../../recover/classify.ts";
import { dial } from "../../recover/dial.ts";
import { DialError } from "../../recover/dial_error.ts";
import { dialMemory } from "../../recover/dial_memory.ts";
import { limit } from "../../recover/limit.ts";
import { compose } from "../../recover/policy.ts";
import { retry } from "../../recover/retry.ts";
import { makeTestAuthority } from "../../testing/certificates.ts";
import { descriptorsOf, eventually } from "../_child.ts";
import {
  connectionsOf,
  echo,
  failing,
  hear,
  isPending,
  provoke,
  socketsTo,
  thrown,
  within,
} from "./_provoke.ts";
import { ADDRESS, type TwoHosts } from "./_two_hosts.ts";

const { v4, v6 } = ADDRESS.server;

/** A second address of the server, and two that nobody has. */
const SECOND = "10.9.2.3";
const DEAD = ["10.9.2.99", "10.9.2.98"] as const;

const NAMES = { "two.test": { A: [v4, SECOND] }, "dead.test": { A: [...DEAD, v4] } };

/** Leaves the client ten local ports. */
async function tenPorts(lab: TwoHosts): Promise<void> {
  await lab.run("client", "sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40009");
}

provoke(
  "ipv6-dead: by address it hangs, by name each connection pays, dial() pays once in a network",
  async (scene) => {
    const { lab, far, network } = scene;
    const { port } = far;
    await using _dead = await lab.filter("router", "forward", "ip6 daddr fd09:2::/64 drop");
    const { error, elapsed } = await failing(() => Deno.connect({ hostname: v6, port }));
    assertEquals(error.code, "ETIMEDOUT");
    const context = { operation: "connect", remoteAddress: v6, network: network.state, elapsed } as const;
    // By itself such an address is like any other one that does not answer.
    assertEquals(classify(error, context).scenario, "syn-dropped");
    for (let n = 0; n < 2; n++) {
      const began = performance.now();
      using conn = await Deno.connect({ hostname: "far.test", port });
      const took = performance.now() - began;
      assertEquals([conn.remoteAddr.hostname, took > 200], [v4, true], `${took} ms`);
    }

    const options = { network, memory: dialMemory() };
    const outcomes: string[][] = [];
    for (let n = 0; n < 3; n++) {
      const { conn, address, attempts } = await dial(`far.test:${port}`, options);
      assertEquals([address, await echo(conn, "alive")], [v4, "alive"]);
      conn.close();
      outcomes.push(attempts.map(({ family, outcome }) => `${family} ${outcome}`));
    }
    assertEquals(outcomes, [["6 abandoned", "4 connected"], ["4 connected"], ["4 connected"]]);

    // In another network nothing is known of it.
    await lab.ip("router", "address add 10.9.1.254/24 dev rc");
    const change = new Promise<unknown>((resolve) => network.on("gatewaychange", resolve));
    await lab.ip("client", "route replace default via 10.9.1.254");
    await within("the gateway to be told", change);
    const { conn, attempts } = await dial(`far.test:${port}`, options);
    conn.close();
    assertEquals(attempts.map(({ family }) => family), [6, 4]);
  },
);

provoke(
  "first-addresses-dead: plain code pays for each dead address each time, dial() does not",
  async (scene) => {
    const { far, network } = scene;
    const { port } = far;
    for (let n = 0; n < 2; n++) {
      const began = performance.now();
      using conn = await Deno.connect({ hostname: "dead.test", port });
      const took = performance.now() - began;
      assertEquals([conn.remoteAddr.hostname, took > 400], [v4, true], `${took} ms`);
    }
    const alone = await failing(() => Deno.connect({ hostname: DEAD[0], port }));
    const context = { operation: "connect", remoteAddress: DEAD[0], network: network.state } as const;
    // The router found nobody there and says so, or TCP gives up before.
    const { kind } = classify(alone.error, { ...context, elapsed: alone.elapsed });
    assert(kind === "unreachable" || kind === "timeout", String(alone.error));

    const options = { network, memory: dialMemory() };
    const before = await connectionsOf(far);
    const outcomes: string[][] = [];
    for (let n = 0; n < 2; n++) {
      const { conn, attempts } = await dial(`dead.test:${port}`, options);
      assertEquals(await echo(conn, "alive"), "alive");
      conn.close();
      outcomes.push(attempts.map(({ address, outcome }) => `${address} ${outcome}`));
    }
    assertEquals(outcomes[1], [`${v4} connected`]);
    assertEquals(outcomes[0]?.map((text) => text.replace(/ failed$/, " abandoned")), [
      `${DEAD[0]} abandoned`,
      `${DEAD[1]} abandoned`,
      `${v4} connected`,
    ]);
    assertEquals(await connectionsOf(far), before + 2);
  },
  NAMES,
);

provoke(
  "silent-after-accept: connecting is no sign of life, dial() races up to the handshake or a proof",
  async (scene) => {
    const { lab, network } = scene;
    await lab.ip("server", `address add ${SECOND}/24 dev vs`);
    const authority = await makeTestAuthority();
    const tls = await authority.issue({ names: ["two.test"] });
    const port = 7443;
    const middlebox = await lab.serve({ fault: { fault: { type: "silent" }, hostname: v4, port } });
    const server = await lab.serve({ fault: { fault: { type: "echo" }, hostname: SECOND, port, tls } });
    const caCerts = [authority.cert];
    // The resolver gives the dead address first, and plain code stays with whoever accepts.
    const plain = await Deno.connectTls({ hostname: "two.test", port, caCerts });
    assertEquals(plain.remoteAddr.hostname, v4);
    const handshake = thrown(plain.handshake());
    await eventually("the middlebox to accept", async () => await connectionsOf(middlebox) === 1);

    const options = { network, transport: "tls", tls: { caCerts } } as const;
    const { conn, address, attempts } = await dial({ hostname: "two.test", port }, {
      ...options,
      memory: dialMemory(),
    });
    assertEquals([address, await echo(conn, "secret")], [SECOND, "secret"]);
    conn.close();
    assertEquals(attempts.map(({ address, step, outcome }) => `${address} ${step} ${outcome}`), [
      `${v4} handshake abandoned`,
      `${SECOND} handshake connected`,
    ]);
    assert(await isPending(handshake));
    plain.close();
    await handshake;

    const alone = await thrown(dial({ hostname: v4, port }, {
      ...options,
      attemptTimeout: 200,
      memory: dialMemory(),
    }));
    assertInstanceOf(alone, DialError);
    assertEquals([alone.failure.scenario, alone.failure.sent], ["silent-after-accept", "no"]);
    // What an own limit at the handshake gives in plain code.
    const own = new DOMException("Signal timed out.", "TimeoutError");
    assertEquals(classify(own, { operation: "handshake" }).scenario, "silent-after-accept");

    // The same with a protocol whose other end speaks first or answers: a proof.
    await server.kill();
    const echoing = await lab.serve({ fault: { fault: { type: "echo" }, hostname: SECOND, port } });
    const proved = await dial({ hostname: "two.test", port }, {
      network,
      memory: dialMemory(),
      proof: (conn) => echo(conn, "who is there?"),
    });
    proved.conn.close();
    assertEquals([proved.address, proved.proof], [SECOND, "who is there?"]);
    assertEquals(proved.attempts.map(({ step }) => step), ["proof", "proof"]);
    assertEquals(await connectionsOf(echoing), 1);
  },
  NAMES,
);

provoke(
  "ports-exhausted: connections that we close first hold their ports, a limit and the other end closing do not",
  async (scene) => {
    const { lab, far, network } = scene;
    const { port } = far;
    await tenPorts(lab);
    const target = { hostname: v4, port };
    const call = async (signal?: AbortSignal): Promise<string | null> => {
      using conn = await Deno.connect({ ...target, ...signal && { signal } });
      const answer = await echo(conn, "once");
      // The end from the other side, where it comes first.
      if (answer !== null && closing) await hear(conn);
      return answer;
    };
    let closing = false;
    // At most ten, one after the other: each leaves a port in TIME_WAIT.
    const { error } = await failing(async () => {
      for (let n = 0; n < 11; n++) await call();
    });
    assertInstanceOf(error, Deno.errors.AddrNotAvailable);
    assertEquals(error.code, "EADDRNOTAVAIL");
    assert((await socketsTo(lab, port)).every((state) => state === "TIME-WAIT"), "nothing is open");
    const byNode = await thrown(
      new Promise((resolve, reject) => {
        const socket = nodeConnect({ host: v4, port });
        socket.on("error", reject).on("connect", () => resolve(socket.destroy()));
      }),
    );
    assertEquals(byNode.code, "EINVAL");
    for (const one of [error, byNode]) {
      const context = { operation: "connect", remoteAddress: v4, network: network.state } as const;
      const { scenario, where, retry: when, sent, code } = classify(one, context);
      assertEquals([scenario, where, when, sent, code], [
        "ports-exhausted",
        "local",
        "later",
        "no",
        "EADDRNOTAVAIL",
      ]);
    }

    // The other end closes first, to a second port as the first one is used up; ten at once are one too many with another.
    closing = true;
    const fresh = await lab.serve({ fault: { fault: { type: "end", after: 4 } } });
    target.port = fresh.port;
    const all = await Promise.allSettled(Array.from({ length: 30 }, () => call()));
    const failed = all.flatMap((one) => one.status === "rejected" ? [one.reason] : []);
    assert(failed.length >= 10, `${failed.length} of 30 failed`);
    for (const one of failed) {
      assertEquals(classify(one, { operation: "connect" }).scenario, "ports-exhausted");
    }
    const policy = compose(
      limit({ concurrency: 5, queue: 1000 }),
      retry({ operation: "connect", network, maxAttempts: 3, backoff: constant(1000) }),
    );
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => policy.execute(({ signal }) => call(signal))),
    );
    assertEquals(answers, Array.from({ length: 30 }, () => "once"));
  },
  NAMES,
);

provoke(
  "self-connect: a closed local port answers with our own words, dial() takes it as refused",
  async ({ lab, network }) => {
    await tenPorts(lab);
    // The kernel takes even ports for connections.
    const met = await meetOneself({ hostname: "127.0.0.1", port: 40_004 });
    assertEquals(met.localAddr, met.remoteAddr);
    assertEquals(await echo(met, "is anybody there?"), "is anybody there?", "nobody but us");
    met.close();

    // The one above is in TIME_WAIT now.
    const target = { hostname: "127.0.0.1", port: 40_006 };
    const before = descriptorsOf();
    const seen = new Map<unknown, number>();
    for (let n = 0; n < 1000 && !seen.has("self-connect"); n++) {
      const error = await thrown(dial(target, { network, memory: dialMemory() }));
      assertInstanceOf(error, DialError);
      const { scenario, kind, retry } = error.failure;
      assertEquals([kind, retry], ["refused", "later"]);
      seen.set(scenario, (seen.get(scenario) ?? 0) + 1);
    }
    assert(seen.has("self-connect"), Deno.inspect(seen));
    assertEquals(descriptorsOf(), before);
    // It costs more than an attempt: for a minute nobody can listen there.
    const taken = await thrown(Promise.try(() => Deno.listen(target)));
    assertInstanceOf(taken, Deno.errors.AddrInUse);
  },
);

/** Tries a closed port of the range that local ports are taken from, until it answers. */
async function meetOneself(
  target: { readonly hostname: string; readonly port: number },
): Promise<Deno.TcpConn> {
  for (let n = 0; n < 1000; n++) {
    const conn = await Deno.connect(target).catch((error) => {
      assertEquals(classify(error, { operation: "connect" }).scenario, "port-closed");
      return null;
    });
    if (conn) return conn;
  }
  throw new Error("Tried in vain to connect to oneself");
}

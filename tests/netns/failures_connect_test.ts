/** Failures on the way to a server: brought about, known by name, and healed. */

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { acceptLoop } from "../../recover/accept_loop.ts";
import { constant } from "../../recover/backoff.ts";
import { classify } from "../../recover/classify.ts";
import { dial } from "../../recover/dial.ts";
import { DialError } from "../../recover/dial_error.ts";
import { dialMemory } from "../../recover/dial_memory.ts";
import { compose } from "../../recover/policy.ts";
import { retry } from "../../recover/retry.ts";
import { timeout } from "../../recover/timeout.ts";
import { descriptorsOf, eventually } from "../_child.ts";
import { startCode } from "../_code.ts";
import {
  connectionsOf,
  counterOf,
  echo,
  failing,
  isPending,
  provoke,
  quiet,
  socketsTo,
  thrown,
} from "./_provoke.ts";
import { ADDRESS } from "./_two_hosts.ts";

const { v4 } = ADDRESS.server;

/** A second address of the server, and a name for both. */
const SECOND = "10.9.2.3";
const NAMES = { "two.test": { A: [v4, SECOND] } };

provoke(
  "syn-dropped: plain code waits as long as the kernel, a limit of one's own and another address do not",
  async (scene) => {
    const { lab, far, network } = scene;
    const { port } = far;
    await lab.ip("server", `address add ${SECOND}/24 dev vs`);
    await using dropped = await lab.filter("router", "forward", `ip daddr ${v4} tcp dport ${port} drop`);
    const { error, elapsed } = await failing(() => Deno.connect({ hostname: v4, port }));
    assertInstanceOf(error, Deno.errors.TimedOut);
    assertEquals(error.code, "ETIMEDOUT");
    const context = { operation: "connect", remoteAddress: v4, network: network.state, elapsed } as const;
    const { scenario, where, retry: when, sent } = classify(error, context);
    assertEquals([scenario, where, when, sent], ["syn-dropped", "path", "later", "no"]);

    const { conn, attempts } = await dial(`two.test:${port}`, { network, memory: dialMemory() });
    assertEquals(await echo(conn, "the other way"), "the other way");
    conn.close();
    assertEquals(attempts.map(({ address, outcome }) => `${address} ${outcome}`), [
      `${v4} abandoned`,
      `${SECOND} connected`,
    ]);
    // There is no other address: short attempts, until the firewall is open.
    const retrying = retry({ operation: "connect", network, maxAttempts: 100, backoff: constant(20) });
    const failures: unknown[] = [];
    using _failures = retrying.on("failure", ({ failure }) => failures.push(failure.scenario));
    const connecting = compose(retrying, timeout(200)).execute(({ signal }) =>
      Deno.connect({ hostname: v4, port, signal })
    );
    await eventually("two attempts to fail", () => failures.length >= 2);
    await dropped.heal();
    using open = await connecting;
    assertEquals(await echo(open, "open"), "open");
    assertEquals(new Set(failures), new Set(["connect-hangs"]));
  },
  NAMES,
);

provoke(
  "firewall-rejects: each way to say no fails within a round trip, dial() goes to the next address",
  async (scene) => {
    const { lab, far, network } = scene;
    const { port } = far;
    await lab.ip("server", `address add ${SECOND}/24 dev vs`);
    for (
      const [how, code, scenario] of [
        ["icmpx type admin-prohibited", "EHOSTUNREACH", "firewall-rejects"],
        ["icmpx type host-unreachable", "EHOSTUNREACH", "firewall-rejects"],
        ["icmpx type no-route", "ENETUNREACH", "firewall-rejects"],
        // This firewall pretends to be a host with a closed port, and nobody can tell.
        ["tcp reset", "ECONNREFUSED", "port-closed"],
      ] as const
    ) {
      await using _rejected = await lab.filter(
        "router",
        "forward",
        `ip daddr ${v4} tcp dport ${port} reject with ${how}`,
      );
      const { error, elapsed } = await failing(() => Deno.connect({ hostname: v4, port }));
      const context = { operation: "connect", remoteAddress: v4, network: network.state, elapsed } as const;
      const failure = classify(error, context);
      assertEquals([error.code, failure.scenario, failure.retry, failure.sent], [
        code,
        scenario,
        "later",
        "no",
      ]);

      const { conn, attempts } = await dial(`two.test:${port}`, { network, memory: dialMemory() });
      assertEquals(await echo(conn, how), how);
      conn.close();
      assertEquals(
        attempts.map(({ address, outcome, failure }) => [address, outcome, failure?.scenario]),
        [[v4, "failed", scenario], [SECOND, "connected", undefined]],
      );
      // Without another address, the reason is in the error.
      const alone = await thrown(dial(`${v4}:${port}`, { network, memory: dialMemory() }));
      assertInstanceOf(alone, DialError);
      assertEquals(alone.failure.scenario, scenario);
    }
  },
  NAMES,
);

provoke(
  "local-firewall: sending fails with EPERM, nobody tries again until somebody says that the rule is gone",
  async ({ lab, far, network }) => {
    const { port } = far;
    const reject = await lab.filter("client", "output", `tcp dport ${port} reject with tcp reset`);
    assertEquals((await thrown(Deno.connect({ hostname: v4, port }))).code, "ECONNREFUSED");
    await reject.heal();
    await quiet(network);
    await using rule = await lab.filter("client", "output", "udp dport 2001 drop", `tcp dport ${port} drop`);
    const hanging = thrown(Deno.connect({ hostname: v4, port }));
    // Its sockets for datagrams need a flag.
    await using code = startCode(
      `
    import { classify } from "#/recover/classify.ts";
    import { retry } from "#/recover/retry.ts";
    import { watchNetwork } from "#/watch/watch.ts";
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 0 });
    const to = { transport: "udp", hostname: "${v4}", port: 2001 };
    const send = () => socket.send(new Uint8Array(4), to);
    const error = await send().catch((error) => error);
    await using network = await watchNetwork();
    const failure = classify(error, { operation: "send", remoteAddress: to.hostname, network: network.state });
    console.log([error.name, error.code, failure.scenario, failure.retry, failure.sent].join(" "));
    const policy = retry({ network, operation: "send", maxAttempts: 2, safetyPoll: 120_000 });
    let attempts = 0;
    policy.on("suspended", ({ reason }) => console.log("suspended:", reason, attempts));
    Deno.addSignalListener("SIGUSR1", () => policy.wake());
    console.log("sent", await policy.execute(() => (attempts++, send())), "bytes in attempt", attempts);
    socket.close();
    Deno.exit();
  `,
      { flags: ["-A", "--unstable-net"] },
    );
    await code.said("PermissionDenied EPERM local-firewall after-change no");
    await code.said("suspended: change 1");
    // What is dropped here, and not rejected, is as silent as a firewall far away.
    const error = await hanging;
    assertEquals([error.code, classify(error, { operation: "connect" }).scenario], [
      "ETIMEDOUT",
      "syn-dropped",
    ]);
    await rule.heal();
    code.kill("SIGUSR1");
    await code.said("sent 4 bytes in attempt 2");
    const { code: status, stderr } = await code.result;
    assertEquals([status, stderr], [0, ""]);
  },
);

provoke(
  "accept-queue-full: the first connect, the next hang, and acceptLoop() serves them all",
  async ({ lab }) => {
    await lab.run("client", "sysctl", "-qw", "net.core.somaxconn=1");
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    const overflows = await counterOf("ListenOverflows");
    // Two get in with a queue of one.
    const early = await Promise.all([1, 2].map(() => Deno.connect({ hostname: "127.0.0.1", port })));
    const { error, elapsed } = await failing(() => Deno.connect({ hostname: "127.0.0.1", port }));
    assertEquals(error.code, "ETIMEDOUT");
    assert(await counterOf("ListenOverflows") > overflows);
    // TCP hears nothing, so it looks like a firewall; a Unix socket is told.
    const context = { operation: "connect", remoteAddress: "127.0.0.1", elapsed } as const;
    assertEquals(classify(error, context).scenario, "syn-dropped");

    const path = await Deno.makeTempFile({ dir: "/run" });
    await Deno.remove(path);
    const unix = Deno.listen({ transport: "unix", path });
    const connect = (): Promise<Deno.UnixConn> => Deno.connect({ transport: "unix", path });
    const queued = await Promise.all([connect(), connect()]);
    const full = await thrown(connect());
    const failure = classify(full, { operation: "connect", remoteAddress: path });
    assertEquals([full.code, failure.scenario, failure.sent], ["EAGAIN", "accept-queue-full", "no"]);
    const policy = retry({ operation: "connect", maxAttempts: 1000, backoff: constant(20) });
    let attempts = 0;
    const waiting = policy.execute(() => (attempts++, connect()));
    await eventually("two attempts to fail", () => attempts > 2);
    assert(await isPending(waiting));

    const serve = async (conn: Deno.Conn): Promise<void> => await conn.readable.pipeTo(conn.writable);
    await using loop = acceptLoop(listener, serve);
    await using unixLoop = acceptLoop(unix, serve);
    // One after the other: the queue is as short as before.
    const late: Deno.TcpConn[] = [];
    for (let n = 0; n < 20; n++) {
      const conn = await Deno.connect({ hostname: "127.0.0.1", port });
      assertEquals(await echo(conn, "hello"), "hello");
      late.push(conn);
    }
    const all = [...early, ...late, ...queued, await waiting];
    assertEquals(await Promise.all(all.map((conn, n) => echo(conn, `${n}`))), all.map((_, n) => `${n}`));
    assertEquals([loop.connections, unixLoop.connections], [22, 3]);
    for (const conn of all) conn.close();
  },
);

provoke(
  "connect-hangs: what waits for ever is bounded; of a handshake the socket stays until the other end lets go",
  async ({ lab, far, network }) => {
    const { port } = far;
    const silence = await lab.silence();
    const before = descriptorsOf();
    // Plain code can bound a connection, by a signal; what it gets then says nothing of where the time went.
    const connecting = Deno.connect({ hostname: v4, port, signal: AbortSignal.timeout(200) });
    const outcome = thrown(connecting);
    await eventually(
      "a request to be on its way",
      async () => (await socketsTo(lab, port)).includes("SYN-SENT"),
    );
    const error = await outcome;
    assertEquals(error.name, "TimeoutError");
    const context = { operation: "connect", remoteAddress: v4, network: network.state } as const;
    const { scenario, kind, sent } = classify(error, context);
    assertEquals([scenario, kind, sent], ["connect-hangs", "timeout", "no"]);
    const late = await thrown(
      timeout(100).execute(({ signal }) => Deno.connect({ hostname: v4, port, signal })),
    );
    assertEquals(classify(late, context).scenario, "connect-hangs");
    const dialled = await thrown(
      dial(`${v4}:${port}`, { network, attemptTimeout: 100, memory: dialMemory() }),
    );
    assertInstanceOf(dialled, DialError);
    assertEquals(dialled.failure.scenario, "connect-hangs");
    await eventually("the sockets to be gone", async () => (await socketsTo(lab, port)).length === 0);
    assertEquals(descriptorsOf(), before);
    await silence.heal();

    // A handshake has no signal: it hangs until its socket is closed.
    await far.tell({ do: "fault", fault: { type: "silent" } });
    const tls = await Deno.connectTls({ hostname: v4, port });
    const handshake = thrown(tls.handshake());
    await eventually("the connection to be there", async () => await connectionsOf(far) > 0);
    assert(await isPending(handshake));
    tls.close();
    assertEquals(classify(await handshake, { operation: "handshake" }).kind, "cancelled");
    const options = { transport: "tls", attemptTimeout: 200, memory: dialMemory(), network } as const;
    const bounded = await thrown(dial(`${v4}:${port}`, options));
    assertInstanceOf(bounded, DialError);
    assertEquals(bounded.failure.kind, "timeout");
    assertEquals(bounded.attempts.map(({ step, outcome }) => `${step} ${outcome}`), ["handshake failed"]);
    // The runtime keeps such a socket until the other end gives it up, too.
    await far.tell({ do: "cut", how: "reset" });
    await eventually("the sockets to be gone", async () => (await socketsTo(lab, port)).length === 0);
    assertEquals(descriptorsOf(), before);
  },
);

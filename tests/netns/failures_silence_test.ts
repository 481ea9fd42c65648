/** Connections that fall silent: no error for a long time, or for ever. Brought about, known by name, and healed. */

import { assert, assertEquals, assertInstanceOf, assertMatch } from "@std/assert";
import type { NetworkView } from "../../internal/network_view.ts";
import { constant } from "../../recover/backoff.ts";
import { classify } from "../../recover/classify.ts";
import { DeadPeerError } from "../../recover/dead_peer_error.ts";
import { dial } from "../../recover/dial.ts";
import { dialMemory } from "../../recover/dial_memory.ts";
import { type Heartbeat, heartbeat } from "../../recover/heartbeat.ts";
import { retry } from "../../recover/retry.ts";
import { timeout, TimeoutError } from "../../recover/timeout.ts";
import { eventually } from "../_child.ts";
import { persevere } from "../_conversation.ts";
import { requires } from "../_require.ts";
import type { OrderCommand, OrderState } from "./_order_server.ts";
import { connectionsOf, echo, hear, isPending, offline, provoke, socketsTo, thrown } from "./_provoke.ts";
import { ADDRESS, TwoHosts } from "./_two_hosts.ts";

const { v4 } = ADDRESS.server;

/** What `ss` tells of the client's connections to a port: their timers with `-o`, their packets with `-i`. */
function detailsOf(lab: TwoHosts, port: number, option: "-o" | "-i"): Promise<string> {
  return lab.run("client", "ss", "-Htn", option, "dport", "=", `:${port}`);
}

/** Resolves when the heartbeat finds the connection dead. */
async function death(beat: Heartbeat | undefined): Promise<DeadPeerError> {
  assert(beat);
  const dead = Promise.withResolvers<void>();
  beat.signal.addEventListener("abort", () => dead.resolve(), { once: true });
  if (!beat.signal.aborted) await dead.promise;
  const error = beat.signal.reason;
  assertInstanceOf(error, DeadPeerError);
  return error;
}

/** A server that takes orders, and what it says of itself. */
async function orderServer(lab: TwoHosts): Promise<{
  readonly port: number;
  tell(command: OrderCommand): Promise<OrderState>;
}> {
  const program = await lab.start("server", "_order_server.ts", "0.0.0.0", "0");
  return { port: Number(program.ready["port"]), tell: (command) => program.ask(command) };
}

/** A connection with a heartbeat that is made anew when it is dead, over which something is asked once the path is dead. */
async function persist(target: string, network: NetworkView, length: number): Promise<{
  readonly beats: readonly Heartbeat[];
  /** Asks, now that the path is dead. */
  ask(): void;
  /** Resolves when there was an answer. */
  readonly answered: Promise<void>;
}> {
  const beats: Heartbeat[] = [];
  const open = Promise.withResolvers<void>();
  const dead = Promise.withResolvers<void>();
  const answered = persevere({ target, network, connected: (beat) => beats.push(beat) }, async (talk) => {
    await talk.ask();
    open.resolve();
    await dead.promise;
    await talk.ask(length);
  });
  await Promise.race([open.promise, answered]);
  return { beats, ask: dead.resolve, answered };
}

provoke(
  "path-lost-sending: writes succeed into the void, a heartbeat knows long before the kernel gives up",
  async ({ lab, far, network }) => {
    // 6.2 s of retransmissions in place of 13 to 30 minutes.
    await lab.run("client", "sysctl", "-qw", "net.ipv4.tcp_retries2=4");
    using plain = await Deno.connect({ hostname: v4, port: far.port });
    assertEquals(await echo(plain, "before"), "before");
    const guarded = await persist(`${v4}:${far.port}`, network, 100_000);
    const silence = await lab.silence();
    for (let i = 0; i < 10; i++) assertEquals(await plain.write(new Uint8Array(100)), 100);
    const reading = thrown(hear(plain));
    guarded.ask();

    const { reason, failure } = await death(guarded.beats[0]);
    assertEquals([reason, failure.kind, failure.where, failure.retry], ["silence", "timeout", "path", "now"]);
    assert(await isPending(reading), "the kernel goes on hoping");
    assertEquals(await plain.write(new Uint8Array(100)), 100, "and writes succeed");

    const error = await reading;
    assertInstanceOf(error, Deno.errors.TimedOut);
    assertEquals(error.code, "ETIMEDOUT");
    const { scenario, kind, sent } = classify(error, { operation: "read", network: network.state });
    assertEquals([scenario, kind, sent], ["path-lost-sending", "timeout", "maybe"]);
    const writing = await thrown(plain.write(new Uint8Array(1)));
    assertEquals([writing.name, writing.code], ["BrokenPipe", "EPIPE"]);

    await silence.heal();
    await guarded.answered;
    assertEquals(guarded.beats.length, 2);
  },
);

provoke(
  "path-lost-idle: not even the kernel waits for anything, a heartbeat finds it out and connects again",
  async ({ lab, far, network }) => {
    const { port } = far;
    using plain = await Deno.connect({ hostname: v4, port });
    assertEquals(await echo(plain, "before"), "before");
    const reading = hear(plain);
    const guarded = await persist(`${v4}:${port}`, network, 1);
    assertEquals(await detailsOf(lab, port, "-o").then(timersIn), 0);
    await using silence = await lab.silence();
    // The one that asks has a timer, which shows that none would be seen; the other one waits for nothing, for ever.
    await eventually(
      "the ping to be sent again",
      async () => timersIn(await detailsOf(lab, port, "-o")) === 1,
    );
    assertEquals((await death(guarded.beats[0])).reason, "silence");
    assert(await isPending(reading));
    const sockets = await detailsOf(lab, port, "-o");
    assert(sockets.split("\n").some((line) => line.startsWith("ESTAB") && !line.includes("timer:")), sockets);

    const error = await thrown(timeout(50).execute(() => reading));
    assertInstanceOf(error, TimeoutError);
    const { scenario, retry: when } = classify(error, { operation: "read", network: network.state });
    assertEquals([scenario, when], ["path-lost-idle", "later"]);

    guarded.ask();
    await silence.heal();
    await guarded.answered;
    assertEquals(guarded.beats.length, 2);
    await plain.write(new TextEncoder().encode("after"));
    assertEquals(await reading, "after");
  },
);

provoke(
  "kernel-waits-on: with the network back a new connection answers while the old one is still silent",
  async ({ lab, far, network }) => {
    const target = `${v4}:${far.port}`;
    using old = await Deno.connect({ hostname: v4, port: far.port });
    assertEquals(await echo(old, "before"), "before");
    const silence = await lab.silence();
    await old.write(new TextEncoder().encode("late"));
    const late = hear(old);
    // After the fourth retransmission the kernel waits for 3.2 s.
    await eventually(
      "four retransmissions",
      async () => /backoff:[4-9]/.test(await detailsOf(lab, far.port, "-i")),
    );
    await lab.ip("client", "route delete default", `route delete default via ${ADDRESS.near.v6}`);
    await offline(network);

    const policy = retry({
      network,
      operation: "connect",
      maxAttempts: 1,
      safetyPoll: 600_000,
      wakeSpread: 0,
    });
    const suspended = Promise.withResolvers<string>();
    using _suspended = policy.on("suspended", ({ reason }) => suspended.resolve(reason));
    let attempts = 0;
    const dialling = policy.execute(({ signal }) => {
      attempts++;
      return dial(target, { network, signal, memory: dialMemory() });
    });
    assertEquals([await suspended.promise, attempts], ["offline", 0]);
    await silence.heal();
    const healed = performance.now();
    await lab.routes();
    using conn = (await dialling).conn;
    assertEquals(await echo(conn, "new"), "new");
    const fresh = performance.now() - healed;
    assert(await isPending(late), "the old one still waits");
    assertEquals([attempts, await connectionsOf(far)], [1, 2]);
    assertEquals(await late, "late", "nobody has to help it, and nobody should wait for it");
    const waited = performance.now() - healed;
    console.log(
      `a new connection answers after ${fresh.toFixed(1)} ms, the old one after ${waited.toFixed(1)} ms`,
    );
    assert(waited > 5 * fresh, `${waited} ms against ${fresh} ms`);
  },
);

Deno.test({
  name:
    "nat-entry-lost: who writes first reads a reset, a client that does not learns of it by its heartbeat only",
  ...requires({ root: true, netns: true, tools: ["conntrack", "ip", "nft", "ss", "sysctl"] }),
  async fn() {
    await using lab = await TwoHosts.make();
    const far = await orderServer(lab);
    const rules = [
      "add table ip nat",
      "add chain ip nat out { type nat hook postrouting priority srcnat; }",
      "add rule ip nat out oifname rs masquerade random",
    ];
    for (const rule of rules) await lab.run("router", "nft", rule);
    const connect = async (): Promise<Deno.TcpConn> =>
      (await dial(`${v4}:${far.port}`, { memory: dialMemory() })).conn;
    using speaker = await connect();
    using listener = await connect();
    using guarded = await connect();
    for (const [n, conn] of [speaker, listener, guarded].entries()) {
      assertEquals(await echo(conn, `order ${n}\n`), `done order ${n}\n`);
    }
    await lab.run("router", "conntrack", "-F");

    // The client writes first: through another port of the router now, which the server has never heard of.
    await speaker.write(new TextEncoder().encode("order again\n"));
    const error = await thrown(hear(speaker));
    assertInstanceOf(error, Deno.errors.ConnectionReset);
    // The error is that of any reset; that all connections break at once tells more.
    assertEquals(classify(error, { operation: "read" }).scenario, "reset-by-peer");

    // The server writes first: it learns, and the clients do not.
    const hearing = hear(listener);
    await far.tell({ do: "say", text: "news\n" });
    await eventually("the server to see its connections end", async () => {
      const { ended } = await far.tell({ do: "state" });
      return ended.filter((how) => how === "ConnectionReset").length === 3;
    });
    assertEquals((await lab.run("server", "ss", "-Htn", "sport", "=", `:${far.port}`)).trim(), "");
    const sockets = await detailsOf(lab, far.port, "-o");
    assertEquals([await socketsTo(lab, far.port), timersIn(sockets)], [["ESTAB", "ESTAB"], 0], sockets);

    const ping = async (): Promise<void> => {
      await guarded.write(new TextEncoder().encode("ping\n"));
      await hear(guarded);
    };
    using beat = heartbeat({ ping, interval: 50, timeout: 10_000 });
    assertEquals((await death(beat)).reason, "reset");
    assert(await isPending(hearing), "without one, the other client is half-open for ever");
    using fresh = await connect();
    assertEquals(await echo(fresh, "order 3\n"), "done order 3\n");
    assertEquals((await far.tell({ do: "state" })).executed, 4);
    // The reading that would never end is ended.
    listener.close();
    await thrown(hearing);
  },
});

provoke(
  "one-way-loss: the order is carried out, its confirmation lost; an order with a key is carried out once",
  async ({ lab, network }) => {
    const far = await orderServer(lab);
    using conn = await Deno.connect({ hostname: v4, port: far.port });
    const loss = await lab.filter("router", "forward", `tcp sport ${far.port} drop`);
    const connecting = thrown(Deno.connect({ hostname: v4, port: far.port }));

    const order = async (conn: Deno.Conn, key: string): Promise<string | null> => {
      await conn.write(new TextEncoder().encode(`order ${key}\n`));
      return await hear(conn);
    };
    let attempts = 0;
    const cautious = retry({ network, operation: "request" });
    const error = await thrown(cautious.execute(() => {
      attempts++;
      return timeout(500).execute(() => order(conn, "A"));
    }));
    assertInstanceOf(error, TimeoutError);
    const { scenario, sent } = classify(error, { operation: "request", network: network.state });
    assertEquals([scenario, sent, attempts], ["response-stalls", "maybe", 1], "it was not sent again");
    await eventually("the order to arrive", async () => (await far.tell({ do: "state" })).executed === 1);

    // Nothing tells a new connection from one whose request is lost.
    const refused = await connecting;
    assertEquals(refused.name, "TimedOut");
    const context = { operation: "connect", remoteAddress: v4, network: network.state } as const;
    assertEquals(classify(refused, context).scenario, "syn-dropped");

    await loss.heal();
    using second = (await dial(`${v4}:${far.port}`, { network, memory: dialMemory() })).conn;
    await using again = await lab.filter("router", "forward", `tcp sport ${far.port} drop`);
    const bold = retry({ network, operation: "request", idempotent: true, backoff: constant(10) });
    const healing: Promise<void>[] = [];
    using _failure = bold.on("failure", () => healing.push(again.heal()));
    const answer = await bold.execute(async ({ signal, attempt }) => {
      if (attempt === 0) return await timeout(500).execute(() => order(second, "B"), { signal });
      await Promise.all(healing);
      using third = (await dial(`${v4}:${far.port}`, { network, signal, memory: dialMemory() })).conn;
      return await order(third, "B");
    });
    assertEquals(answer, "done order B\n");
    const { received, executed } = await far.tell({ do: "state" });
    assertEquals([received, executed], [3, 2], "order B came twice and was carried out once");
  },
);

provoke(
  "mtu-black-hole: small messages pass and a large one does not, until the router clamps the MSS",
  async ({ lab, network }) => {
    const far = await orderServer(lab);
    const target = `${v4}:${far.port}`;
    const large = new TextEncoder().encode(`large ${"x".repeat(20_000)}\n`);
    const ask = async (conn: Deno.Conn, bytes: Uint8Array): Promise<string | null> => {
      for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await conn.write(rest));
      return await hear(conn);
    };
    await lab.run("client", "sysctl", "-qw", "net.ipv4.tcp_retries1=1");
    await lab.ip("router", "link set rs mtu 1300");
    await using _hole = await lab.filter("router", "output", "icmp code frag-needed drop");
    using stuck = await Deno.connect({ hostname: v4, port: far.port });
    assertEquals(await echo(stuck, "small\n"), "done small\n");
    const [before = 0] = await mssOf(lab, far.port);
    const answer = ask(stuck, large);
    await eventually(
      "it to be sent again",
      async () => /retrans:\d/.test(await detailsOf(lab, far.port, "-i")),
    );
    assertEquals(await mssOf(lab, far.port), [before], "nobody has told the kernel");

    // A ping beside it is answered; only a limit on the exchange tells.
    using beside = await Deno.connect({ hostname: v4, port: far.port });
    const answered = Promise.withResolvers<void>();
    const ping = async (): Promise<void> => void await echo(beside, "ping\n");
    using beat = heartbeat({ ping, interval: 50, network });
    using _pong = beat.on("pong", () => answered.resolve());
    await answered.promise;
    const error = await thrown(timeout(1000).execute(() => answer));
    assertInstanceOf(error, TimeoutError);
    const { scenario, sent } = classify(error, { operation: "request", network: network.state });
    assertEquals([scenario, sent, beat.status], ["response-stalls", "maybe", "alive"]);

    await using _clamp = await lab.filter(
      "router",
      "forward",
      "tcp flags syn tcp option maxseg size set rt mtu",
    );
    using clamped = (await dial(target, { network, memory: dialMemory() })).conn;
    assertMatch(await ask(clamped, large) ?? "", /^done large x/);
    assert(await isPending(answer), "the old connection keeps the segments it began with");
    assertEquals((await far.tell({ do: "state" })).executed, 3);

    await lab.run("client", "sysctl", "-qw", "net.ipv4.tcp_mtu_probing=1");
    assertMatch(await answer ?? "", /^done large x/, "with probing it heals by itself");
    assert((await mssOf(lab, far.port)).some((mss) => mss < before));
  },
);

/** How many of the sockets that `ss -o` shows have a timer. */
function timersIn(text: string): number {
  return text.split("timer:").length - 1;
}

/** The segment size of each of the client's connections to a port. */
async function mssOf(lab: TwoHosts, port: number): Promise<readonly number[]> {
  const text = await detailsOf(lab, port, "-i");
  return [...text.matchAll(/\bmss:(\d+)/g)].map(([, mss]) => Number(mss));
}

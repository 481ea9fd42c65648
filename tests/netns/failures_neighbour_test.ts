/** Failures between hosts on one link: brought about, known by name, and healed. */

import { assert, assertEquals } from "@std/assert";
import { constant } from "../../recover/backoff.ts";
import { classify } from "../../recover/classify.ts";
import { compose } from "../../recover/policy.ts";
import { readyGate } from "../../recover/ready.ts";
import { retry } from "../../recover/retry.ts";
import { timeout } from "../../recover/timeout.ts";
import { eventually } from "../_child.ts";
import { connectionsOf, echo, failing, hear, isPending, offline, provoke } from "./_provoke.ts";
import { ADDRESS } from "./_two_hosts.ts";

const { v4 } = ADDRESS.server;

provoke(
  "gateway-silent: connecting fails after seconds, and behind the gate no attempt is made before it answers",
  async (scene) => {
    const { lab, far, network } = scene;
    // So that it is not TCP that gives up first, after 3 s, too.
    await lab.run("client", "sysctl", "-qw", "net.ipv4.tcp_syn_retries=4");
    // Nobody has these addresses, on the link that the client is on.
    const alone = await Promise.all(["10.9.1.99", "fd09:1::99"].map(async (hostname) => {
      const { error, elapsed } = await failing(() => Deno.connect({ hostname, port: far.port }));
      return { error, elapsed, remoteAddress: hostname };
    }));
    for (const { error, ...context } of alone) {
      assertEquals([error.code, error.name], ["EHOSTUNREACH", "Error"]);
      assert(context.elapsed > 900, `it failed after ${context.elapsed} ms: not at once`);
      const failure = classify(error, { operation: "connect", network: network.state, ...context });
      assertEquals([failure.scenario, failure.where, failure.retry], ["gateway-silent", "path", "later"]);
    }

    // After a switch of network: addresses and routes are there, and the gateway answers nobody.
    await lab.ip("client", "route delete default", `route delete default via ${ADDRESS.near.v6}`);
    await offline(network);
    await lab.run("router", "sysctl", "-qw", "net.ipv4.conf.rc.arp_ignore=8");
    await lab.ip("client", "neighbour flush dev vc");
    const policy = retry({
      network,
      operation: "connect",
      maxAttempts: 1,
      ready: readyGate(network, { family: 4, limit: 60_000 }),
      gateLimit: 60_000,
    });
    const gated = Promise.withResolvers<void>();
    using _gated = policy.on("gated", () => gated.resolve());
    const attempts: string[] = [];
    const connecting = policy.execute(async ({ signal }) => {
      attempts.push(await network.neighbour(4));
      return await Deno.connect({ hostname: v4, port: far.port, signal });
    });
    connecting.catch(() => {}); // it is awaited below
    await lab.ip("client", `route add default via ${ADDRESS.near.v4}`);
    assertEquals(await Promise.race([gated.promise, connecting]), undefined);
    // What plain code gets in these seconds.
    const { error, elapsed } = await failing(() => Deno.connect({ hostname: v4, port: far.port }));
    const context = { operation: "connect", remoteAddress: v4, network: network.state, elapsed } as const;
    assertEquals([error.code, classify(error, context).scenario], ["EHOSTUNREACH", "gateway-silent"]);
    assertEquals(attempts, []);
    await lab.run("router", "sysctl", "-qw", "net.ipv4.conf.rc.arp_ignore=0");
    using conn = await connecting;
    assertEquals([await echo(conn, "here"), attempts], ["here", ["resolved"]]);
  },
);

provoke(
  "neighbour-stale: open and new connections hang, patience in small portions gets through",
  async ({ lab, far }) => {
    const { port } = far;
    using open = await Deno.connect({ hostname: v4, port });
    assertEquals(await echo(open, "before"), "before");
    const before = await connectionsOf(far);
    // The router keeps sending to the hardware address that it knows.
    await lab.ip("server", "link set vs address 02:00:00:00:00:99");
    await open.write(new TextEncoder().encode("after"));
    const reading = hear(open);
    const { error, elapsed } = await failing(() => Deno.connect({ hostname: v4, port }));
    assertEquals(error.code, "ETIMEDOUT");
    // Only who knows the link can tell it from a firewall that swallows the request.
    assertEquals(
      classify(error, { operation: "connect", remoteAddress: v4, elapsed }).scenario,
      "syn-dropped",
    );
    assert(
      (await lab.run("router", "ip", "neighbour", "show", v4)).includes("lladdr"),
      "the entry is still used",
    );
    assert(await isPending(reading));
    assertEquals(await connectionsOf(far), before, "nothing arrived");

    const retrying = retry({ operation: "connect", maxAttempts: 100, backoff: constant(50) });
    const policy = compose(timeout(60_000), retrying, timeout(300));
    const failures: unknown[] = [];
    using _failures = retrying.on("failure", ({ failure }) => failures.push(failure.scenario));
    const connecting = policy.execute(({ signal }) => Deno.connect({ hostname: v4, port, signal }));
    await eventually("two attempts to fail", () => failures.length >= 2);
    assert(await isPending(connecting));
    // Whoever takes an address over has to say so.
    await lab.run("server", "sysctl", "-qw", "net.ipv4.conf.vs.arp_notify=1");
    await lab.ip("server", "link set vs address 02:00:00:00:00:98");
    using conn = await connecting;
    assertEquals(await echo(conn, "new"), "new");
    assertEquals(new Set(failures), new Set(["connect-hangs"]));
    assertEquals(await reading, "after", "the open connection goes on");
  },
);

/** Failures of routes: brought about, known by name, and healed. */

import type { NetworkChange } from "@holdfast/net/watch";
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { constant } from "../../recover/backoff.ts";
import { classify } from "../../recover/classify.ts";
import { dial } from "../../recover/dial.ts";
import { DialError } from "../../recover/dial_error.ts";
import { dialMemory } from "../../recover/dial_memory.ts";
import { retry } from "../../recover/retry.ts";
import { eventually } from "../_child.ts";
import {
  connectionsOf,
  counterOf,
  echo,
  failing,
  hear,
  isPending,
  provoke,
  quiet,
  reached,
  type Scene,
  socketsTo,
  thrown,
  within,
} from "./_provoke.ts";
import { ADDRESS } from "./_two_hosts.ts";

const { v4 } = ADDRESS.server;

/** A second link between client and router, `vc2` and `rc2`. */
async function secondLink({ lab }: Pick<Scene, "lab">): Promise<void> {
  await lab.ip(
    "client",
    "link add vc2 type veth peer name rc2 netns router",
    "link set vc2 addrgenmode none",
    "address add 10.9.3.2/24 dev vc2",
  );
  await lab.ip("router", "address add 10.9.3.1/24 dev rc2", "link set rc2 up");
  await lab.ip("client", "link set vc2 up");
}

function localOf({ localAddr }: Deno.TcpConn): string {
  return localAddr.transport === "tcp" ? localAddr.hostname : "";
}

provoke(
  "route-prohibited: a good address fails at once, retry() waits for the VPN to go instead of trying again",
  async ({ lab, far, network }) => {
    const connect = (hostname: string, signal?: AbortSignal): Promise<Deno.TcpConn> =>
      Deno.connect({ hostname, port: far.port, ...signal && { signal } });
    await lab.ip(
      "client",
      "route add unreachable 10.77.1.0/24",
      "route add prohibit 10.77.2.0/24",
      "route add blackhole 10.77.3.0/24",
      "route add throw 10.77.4.0/24",
    );
    const told = await Promise.all([1, 2, 3, 4].map(async (n) => {
      const remoteAddress = `10.77.${n}.1`;
      const { error, elapsed } = await failing(() => connect(remoteAddress));
      const context = { operation: "connect", remoteAddress, network: network.state, elapsed } as const;
      const { scenario, retry } = classify(error, context);
      return [error.name, error.code, scenario, retry];
    }));
    assertEquals(told, [
      // Somebody on the way who says the same looks the same.
      ["Error", "EHOSTUNREACH", "firewall-rejects", "later"],
      ["PermissionDenied", "EACCES", "route-prohibited", "after-change"],
      ["TypeError", "EINVAL", "route-prohibited", "after-change"],
      ["NetworkUnreachable", "ENETUNREACH", "firewall-rejects", "later"],
    ]);

    // A VPN that takes the default route, and whose kill switch forbids the rest.
    await secondLink({ lab });
    await lab.ip("client", "route replace default via 10.9.3.1", "route add prohibit 10.9.2.0/24");
    await reached(network, "the VPN's route", ({ defaultRoute }) => defaultRoute.v4?.interface === "vc2");
    await quiet(network);
    const policy = retry({ network, operation: "connect", maxAttempts: 2, safetyPoll: 120_000 });
    let attempts = 0;
    const suspended = Promise.withResolvers<string>();
    using _suspended = policy.on("suspended", ({ reason }) => suspended.resolve(reason));
    const before = await connectionsOf(far);
    const connecting = policy.execute(({ signal }) => {
      attempts++;
      return connect(v4, signal);
    });
    connecting.catch(() => {}); // it is awaited below
    assertEquals(await Promise.race([suspended.promise, connecting]), "change");
    assertEquals((await thrown(connect(v4))).code, "EACCES");
    assertEquals(attempts, 1, "nothing is tried as long as the routes are the same");
    await lab.ip(
      "client",
      "route delete prohibit 10.9.2.0/24",
      `route replace default via ${ADDRESS.near.v4}`,
    );
    using conn = await connecting;
    assertEquals([await echo(conn, "free"), attempts], ["free", 2]);
    assertEquals(await connectionsOf(far), before + 1);
  },
);

provoke(
  "route-moved: the open connection falls silent, a new one is made before the old one is given up",
  async (scene) => {
    const { lab, far, network } = scene;
    const { port } = far;
    await secondLink(scene);
    // As providers do: what comes from somebody else's address is dropped.
    await lab.run("router", "sysctl", "-qw", "net.ipv4.conf.rc2.rp_filter=1");
    const { conn: old } = await dial(`${v4}:${port}`, { network });
    assertEquals(await echo(old, "before"), "before");
    const change = Promise.withResolvers<NetworkChange>();
    using _change = network.on("change", (it) => it.major !== "none" && change.resolve(it));
    await lab.ip("client", "route replace default via 10.9.3.1");
    await old.write(new TextEncoder().encode("lost"));
    const reading = hear(old);

    // Plain code that connects anew gets through, and the open connection knows of nothing.
    using plain = await Deno.connect({ hostname: v4, port });
    assertEquals(await echo(plain, "by the new way"), "by the new way");
    assertEquals(localOf(plain), "10.9.3.2");
    assert(await isPending(reading));
    assert((await socketsTo(lab, port)).every((state) => state === "ESTAB"));

    // Whoever watches is told to move, with the reason; the new connection stands before the old one is closed.
    const { major, reasons } = await within("the change to be told", change.promise);
    assert(major === "required" || major === "advised", reasons.join());
    const { conn } = await dial(`${v4}:${port}`, { network });
    assertEquals([localOf(conn), await echo(conn, "after")], ["10.9.3.2", "after"]);
    assert(await isPending(reading));
    old.close();
    assertEquals(classify(await thrown(reading)).kind, "cancelled");
    conn.close();
  },
);

provoke(
  "reverse-path-filter: the answers are dropped here, and only an own limit and a mended route help",
  async (scene) => {
    const { lab, far, network } = scene;
    const { port } = far;
    await secondLink(scene);
    await lab.run("client", "sysctl", "-qw", "net.ipv4.conf.vc.rp_filter=1");
    // Out by the second link, back by the first.
    await lab.ip("client", `route add ${v4}/32 via 10.9.3.1`);
    await lab.ip("router", `route add 10.9.3.2/32 via ${ADDRESS.client.v4}`);
    const dropped = await counterOf("IPReversePathFilter");
    const { error, elapsed } = await failing(() => Deno.connect({ hostname: v4, port }));
    assertEquals(error.code, "ETIMEDOUT");
    const context = { operation: "connect", remoteAddress: v4, network: network.state, elapsed } as const;
    // Nothing comes back in either case; only the kernel's counter tells them apart.
    assertEquals(classify(error, context).scenario, "syn-dropped");
    assert(await counterOf("IPReversePathFilter") > dropped);

    const options = { network, memory: dialMemory(), attemptTimeout: 300 };
    const bounded = await failing(() => dial(`${v4}:${port}`, options));
    assertInstanceOf(bounded.error, DialError);
    assertEquals(bounded.error.failure.scenario, "connect-hangs");
    assert(bounded.elapsed < elapsed, `${bounded.elapsed} ms, and ${elapsed} ms without a limit`);
    const policy = retry({ operation: "connect", network, maxAttempts: 100, backoff: constant(20) });
    let failures = 0;
    using _failures = policy.on("failure", () => failures++);
    const dialling = dial(`${v4}:${port}`, { ...options, retry: policy });
    await eventually("two attempts to fail", () => failures >= 2);
    await lab.ip("client", `route delete ${v4}/32`);
    const { conn } = await dialling;
    assertEquals(await echo(conn, "mended"), "mended");
    assertEquals(localOf(conn), ADDRESS.client.v4);
    conn.close();
  },
);

/** Failures of the machine's own addresses: brought about, known by name, and healed. */

import { createServer } from "node:net";
import { assert, assertEquals, assertInstanceOf, assertMatch } from "@std/assert";
import { classify } from "../../recover/classify.ts";
import { dial } from "../../recover/dial.ts";
import { dialMemory } from "../../recover/dial_memory.ts";
import { heartbeat } from "../../recover/heartbeat.ts";
import { ready } from "../../recover/ready.ts";
import { retry } from "../../recover/retry.ts";
import { startCode } from "../_code.ts";
import {
  connectionsOf,
  echo,
  failing,
  hear,
  isPending,
  provoke,
  quiet,
  reached,
  socketsTo,
  thrown,
  within,
} from "./_provoke.ts";
import { ADDRESS } from "./_two_hosts.ts";

const { v4, v6 } = ADDRESS.server;

/** Listens with `node:net`, and gives the error. */
function nodeListenError(host: string): Promise<Error & { readonly code?: string }> {
  return thrown(
    new Promise((resolve, reject) => createServer().on("error", reject).listen(0, host, () => resolve(0))),
  );
}

provoke(
  "ipv6-lost-on-flap: IPv6 fails after a flap of the link, dial() takes IPv4, and ready() tells when IPv6 is back",
  async ({ lab, far, network }) => {
    const { port } = far;
    await lab.ip("client", "link set vc down");
    await reached(network, "the link to go", ({ online }) => !online);
    await lab.ip("client", "link set vc up");
    // What DHCP and router advertisements bring at once; the address itself is slower, or was set by hand.
    await lab.ip(
      "client",
      `route replace default via ${ADDRESS.near.v4}`,
      `route replace default via ${ADDRESS.near.v6} dev vc onlink`,
    );
    await reached(network, "IPv4 to be back", ({ families }) => families.includes(4));
    const kept = network.state.interfaces.find(({ name }) => name === "vc")?.addresses ?? [];
    const has = (wanted: string): boolean => kept.some(({ address }) => address === wanted);
    assertEquals([has(ADDRESS.client.v4), has(ADDRESS.client.v6)], [true, false]);
    await reached(network, "IPv6 not to be there", ({ families }) => !families.includes(6));

    const codes: (string | undefined)[] = [];
    const fail = async (): Promise<void> => {
      const { error, elapsed } = await failing(() => Deno.connect({ hostname: v6, port }));
      const context = { operation: "connect", remoteAddress: v6, network: network.state, elapsed } as const;
      const { scenario, retry } = classify(error, context);
      assertEquals([scenario, retry], ["ipv6-lost-on-flap", "after-change"], String(error));
      codes.push(error.code);
    };
    await fail();
    // From now on packets leave, from an address that nobody beyond the link can answer.
    await reached(
      network,
      "the link-local address",
      ({ interfaces }) =>
        interfaces.some(({ name, addresses }) =>
          name === "vc" &&
          addresses.some(({ address, tentative }) => address.startsWith("fe80:") && !tentative)
        ),
    );
    await fail();
    for (const code of codes) {
      assert(["EADDRNOTAVAIL", "EHOSTUNREACH", "ETIMEDOUT"].includes(code ?? ""), codes.join());
    }

    const options = { network, memory: dialMemory() };
    const { conn, attempts } = await dial(`far.test:${port}`, options);
    assertEquals(await echo(conn, "by IPv4"), "by IPv4");
    conn.close();
    assertEquals(attempts.map(({ address, outcome }) => [address, outcome]), [[v4, "connected"]]);
    const waiting = ready(network, { family: 6, limit: 60_000 });
    assert(await isPending(waiting));
    await lab.ip("client", `address add ${ADDRESS.client.v6}/64 dev vc nodad`);
    assertEquals((await waiting).ready, true);
    const again = await dial(`far.test:${port}`, { ...options, family: 6 });
    assertEquals([again.address, await echo(again.conn, "by IPv6")], [v6, "by IPv6"]);
    again.conn.close();
  },
);

provoke(
  "address-gone: nothing tells the open connection, a heartbeat knows at once, and dial() makes another one",
  async ({ lab, far, network }) => {
    const { port } = far;
    using open = await Deno.connect({ hostname: v4, port });
    assertEquals(await echo(open, "before"), "before");
    const localAddress = open.localAddr.hostname;
    await quiet(network);
    // It would ask for the first time in an hour.
    using beat = heartbeat({
      ping: async () => void await echo(open, "ping"),
      interval: 3_600_000,
      timeout: 3_600_000,
      network,
      localAddress,
    });
    const dead = new Promise<Error>((resolve) => beat.on("dead", ({ error }) => resolve(error)));
    await lab.ip(
      "client",
      `address delete ${ADDRESS.client.v4}/24 dev vc`,
      "address add 10.9.1.77/24 dev vc",
      `route replace default via ${ADDRESS.near.v4}`,
    );
    await open.write(new TextEncoder().encode("lost"));
    const reading = hear(open);
    const error = await within("the heartbeat to tell", dead);
    assertEquals([beat.status, beat.signal.reason === error], ["dead", true]);
    const { scenario, retry } = classify(error);
    assertEquals([scenario, retry], ["address-gone", "now"]);
    // What the kernel itself says, once it has repeated long enough, is no more than that time is up.
    const timedOut = new Deno.errors.TimedOut("Connection timed out (os error 110)");
    const context = { operation: "read", localAddress, network: network.state } as const;
    assertEquals(classify(timedOut, context).scenario, "address-gone");

    const { conn } = await dial(`${v4}:${port}`, { network });
    assertEquals([conn.localAddr.hostname, await echo(conn, "after")], ["10.9.1.77", "after"]);
    conn.close();
    assert(await isPending(reading));
    assertEquals((await socketsTo(lab, port)).includes("ESTAB"), true, "the old one still believes");
    open.close();
    await thrown(reading);
  },
);

provoke(
  "address-tentative: listening fails while the address is checked, retry() listens when it is usable",
  async ({ lab, network }) => {
    const hostname = "fd09:1::33";
    // Longer than usual, as it is over in a second.
    await lab.run("client", "sysctl", "-qw", "net.ipv6.conf.vc.dad_transmits=3");
    await lab.ip("client", `address add ${hostname}/64 dev vc`);
    const error = await thrown(Promise.try(() => Deno.listen({ hostname, port: 0 })));
    const byNode = await nodeListenError(hostname);
    assertInstanceOf(error, Deno.errors.AddrNotAvailable);
    assertEquals([error.code, byNode.code], ["EADDRNOTAVAIL", "EINVAL"]);
    await reached(
      network,
      "the address to be told",
      ({ interfaces }) =>
        interfaces.some(({ addresses }) => addresses.some(({ address }) => address === hostname)),
    );
    for (const one of [error, byNode]) {
      const context = { operation: "listen", localAddress: hostname, network: network.state } as const;
      const { scenario, retry, code } = classify(one, context);
      assertEquals([scenario, retry, code], ["address-tentative", "after-change", "EADDRNOTAVAIL"]);
    }
    let attempts = 0;
    const policy = retry({ network, operation: "listen", maxAttempts: 5, safetyPoll: 120_000 });
    using listener = await policy.execute(() => {
      attempts++;
      return Deno.listen({ hostname, port: 0 });
    });
    assertEquals(listener.addr.hostname, hostname);
    assert(attempts <= 3, `${attempts} attempts: it was told, and did not poll`);
  },
);

provoke(
  "address-duplicate: binding fails for ever, the watcher tells the conflict, and nobody loops",
  async ({ lab, network }) => {
    const hostname = "fd09:1::44";
    await lab.ip("router", `address add ${hostname}/64 dev rc nodad`);
    const conflict = new Promise<string>((resolve) =>
      network.on("addressconflict", ({ address }) => resolve(address))
    );
    await lab.ip("client", `address add ${hostname}/64 dev vc`);
    assertEquals(await within("the conflict to be told", conflict), hostname);
    const error = await thrown(Promise.try(() => Deno.listen({ hostname, port: 0 })));
    const byNode = await nodeListenError(hostname);
    assertEquals([error.code, byNode.code], ["EADDRNOTAVAIL", "EINVAL"]);
    for (const one of [error, byNode]) {
      const context = { operation: "listen", localAddress: hostname, network: network.state } as const;
      const { scenario, where, retry } = classify(one, context);
      assertEquals([scenario, where, retry], ["address-duplicate", "config", "after-change"]);
    }
    await quiet(network);
    // Two attempts: before, and after somebody has done something about it.
    let attempts = 0;
    const policy = retry({ network, operation: "listen", maxAttempts: 2, safetyPoll: 120_000 });
    const suspended = new Promise<string>((resolve) =>
      policy.on("suspended", ({ reason }) => resolve(reason))
    );
    const listening = policy.execute(() => {
      attempts++;
      return Deno.listen({ hostname, port: 0 });
    });
    assertEquals(await Promise.race([suspended, listening]), "change");
    assertEquals((await nodeListenError(hostname)).code, "EINVAL");
    assertEquals(attempts, 1);
    await lab.ip("router", `address delete ${hostname}/64 dev rc`);
    await lab.ip("client", `address delete ${hostname}/64 dev vc`, `address add ${hostname}/64 dev vc nodad`);
    using listener = await listening;
    assertEquals([listener.addr.hostname, attempts], [hostname, 2]);
  },
);

provoke(
  "link-local-without-zone: the system cannot tell which link, dial() says so early, and with the zone it works",
  async ({ lab, network }) => {
    await lab.ip("client", "address add fe80::2/64 dev vc nodad");
    await lab.ip("router", "address add fe80::1/64 dev rc nodad");
    const neighbour = await lab.start(
      "router",
      "_far_server.ts",
      JSON.stringify({ fault: { fault: { type: "echo" }, hostname: "::" } }),
    );
    const port = Number(neighbour.ready["port"]);
    const error = await thrown(Deno.connect({ hostname: "fe80::1", port }));
    assertInstanceOf(error, TypeError);
    assertEquals((error as { code?: string }).code, "EINVAL");
    const context = { operation: "connect", remoteAddress: "fe80::1", network: network.state } as const;
    const { scenario, retry } = classify(error, context);
    assertEquals([scenario, retry], ["link-local-without-zone", "never"]);

    const early = await thrown(dial({ hostname: "fe80::1", port }, { network }));
    assertInstanceOf(early, TypeError);
    assertMatch(early.message, /^Cannot dial fe80::1: .*"fe80::1%eth0"/);
    const { conn } = await dial({ hostname: "fe80::1%vc", port }, { network });
    assertEquals(await echo(conn, "on this link"), "on this link");
    conn.close();
    assertEquals(
      await neighbour.ask<{ connections: number }>({ do: "state" }).then((it) => it.connections),
      1,
    );
  },
);

provoke(
  "multicast-without-interface: joining fails while no interface is there, retry() joins when one is",
  async ({ lab, far, network }) => {
    await lab.ip("client", "address flush dev vc", "route flush table main");
    await reached(network, "the network to be away", ({ online }) => !online);
    // Its sockets for datagrams need a flag.
    await using code = startCode(
      `
    import { classify } from "#/recover/classify.ts";
    import { retry } from "#/recover/retry.ts";
    import { watchNetwork } from "#/watch/watch.ts";
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 0 });
    const join = () => socket.joinMulticastV4("224.0.0.251", "0.0.0.0");
    const error = await join().then(() => null, (error) => error);
    await using network = await watchNetwork();
    const { scenario } = classify(error, { operation: "join", network: network.state });
    console.log([error.name, error.code, error.message, scenario].join("|"));
    const policy = retry({ network, operation: "join", maxAttempts: 1, safetyPoll: 120_000 });
    let attempts = 0;
    policy.on("suspended", ({ reason }) => console.log("suspended:", reason, attempts));
    const membership = await policy.execute(() => (attempts++, join()));
    console.log("joined after", attempts);
    await membership.leave();
    socket.close();
  `,
      { flags: ["-A", "--unstable-net"] },
    );
    await code.said("Error||No such device (os error 19)|multicast-without-interface");
    await code.said("suspended: offline 0");
    await lab.ip(
      "client",
      `address add ${ADDRESS.client.v4}/24 dev vc`,
      `route add default via ${ADDRESS.near.v4}`,
    );
    await code.said("joined after 1");
    const { code: status, stderr } = await code.result;
    assertEquals([status, stderr], [0, ""]);
    assertEquals(await connectionsOf(far), 0);
  },
);

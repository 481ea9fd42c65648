import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { watchNetwork } from "@holdfast/net/watch";
import { connect } from "../../pipes/connect.ts";
import { listen } from "../../pipes/listen.ts";
import type { PipeServer } from "../../pipes/server.ts";
import type { UdpPipe } from "../../pipes/pipe.ts";
import { PipeError } from "../../pipes/pipe_error.ts";
import { listenUdp } from "../../pipes/_udp_listener.ts";
import { requires } from "../_require.ts";
import { ip } from "./_network.ts";
import { ADDRESS, type Host, TwoHosts } from "./_two_hosts.ts";
import type { Told, UdpCommand } from "./_udp_program.ts";

const NEEDS = requires({ root: true, netns: true, tools: ["ip", "sysctl", "nft"] });
const PORT = 5555;

/** Link-local addresses of the client's side and the router's, of the first and the second link. */
const LINK = { client: "fe80::9:2", router: "fe80::9:1" } as const;

/** The second link between client and router. */
const SECOND = { client: "10.9.3.2", router: "10.9.3.1" } as const;

/** A program on a host that has pipes over UDP. */
interface Far {
  ask(command: UdpCommand): Promise<Told>;
}

async function far(hosts: TwoHosts, host: Host): Promise<Far> {
  const program = await hosts.start(host, "_udp_program.ts");
  return {
    ask(command) {
      const asked = program.ask<Told & { readonly error?: string }>(command).then((answer) => {
        if (answer.error !== undefined) throw new Error(answer.error);
        return answer;
      });
      // One that is not waited for, because something else went wrong first, would hide that.
      asked.catch(() => {});
      return asked;
    },
  };
}

/** Lays a second cable between client and router. */
async function secondLink(hosts: TwoHosts): Promise<void> {
  await ip(
    "link add wc type veth peer name rw netns router",
    `address add ${SECOND.client}/24 dev wc`,
    "link set wc up",
  );
  await hosts.ip("router", `address add ${SECOND.router}/24 dev rw`, "link set rw up");
}

async function linkLocal(hosts: TwoHosts): Promise<void> {
  // Those that the system made are not usable before nobody has contradicted for a while.
  await ip("link set vc addrgenmode none", "address flush dev vc scope link");
  await ip(`address add ${LINK.client}/64 dev vc nodad`);
  await hosts.ip("router", `address add ${LINK.router}/64 dev rc nodad`);
}

async function answer(pipe: UdpPipe, text: string): Promise<string> {
  await pipe.send(text);
  return new TextDecoder().decode(await pipe.recv({ timeout: 10_000 }) ?? undefined);
}

/** Whom the next datagram at a server is from, and what it says; the peer's pipe is closed. */
async function next(server: PipeServer<UdpPipe>): Promise<readonly [string, string]> {
  const patience = setTimeout(() => void server.close(), 10_000);
  for await (const pipe of server) {
    clearTimeout(patience);
    const text = new TextDecoder().decode(await pipe.recv() ?? undefined);
    await pipe.send(`echo:${text}`);
    await pipe.close();
    return [pipe.remoteAddress.hostname, text];
  }
  throw new Error("Waited in vain for a datagram");
}

/** How many "destination unreachable" messages this host was sent. */
async function unreachables(): Promise<number> {
  const [names = "", values = ""] = (await Deno.readTextFile("/proc/net/snmp")).split("\n")
    .filter((line) => line.startsWith("Icmp:"));
  return Number(values.split(" ")[names.split(" ").indexOf("InDestUnreachs")]);
}

Deno.test({
  name: "nobody listens: the answers by ICMP end no pipe, which speaks to whoever comes",
  ...NEEDS,
  async fn() {
    await using hosts = await TwoHosts.make();
    const server = await far(hosts, "server");
    await using pipe = await connect(`udp://${ADDRESS.server.v4}:${PORT}`);
    const before = await unreachables();
    while (await unreachables() < before + 3) {
      await pipe.send("anybody?");
      await pipe.flush();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assertEquals(pipe.state.type, "open");
    await server.ask({ do: "listen", url: `udp://${ADDRESS.server.v4}:${PORT}` });
    assertEquals(await answer(pipe, "hello"), "echo:hello");
  },
});

Deno.test({
  name: "no route: datagrams are lost, that is told once, and the same pipe goes on when there is one again",
  ...NEEDS,
  async fn() {
    await using hosts = await TwoHosts.make();
    const server = await far(hosts, "server");
    for (const family of ["v4", "v6"] as const) {
      const host = family === "v4" ? ADDRESS.server.v4 : `[${ADDRESS.server.v6}]`;
      await server.ask({ do: "listen", url: `udp://${host}:${PORT}` });
      await using pipe = await connect(`udp://${host}:${PORT}` as `udp:${string}`);
      const errors: unknown[] = [];
      pipe.on("error", ({ error }) => errors.push(error));
      assertEquals(await answer(pipe, "before"), "echo:before");
      for (let round = 1; round <= 2; round++) {
        await ip("route del default", `route del default via ${ADDRESS.near.v6}`);
        for (let i = 0; i < 3; i++) {
          await pipe.send("lost");
          await pipe.flush();
        }
        assertEquals([errors.length, pipe.stats.dropped], [round, 3 * round]);
        await hosts.routes();
        assertEquals(await answer(pipe, "after"), "echo:after");
      }
      const [error] = errors;
      assertInstanceOf(error, PipeError);
      assertEquals(error.failure?.scenario, "send-fails-for-now");
      assertEquals(pipe.state.type, "open");
    }
  },
});

Deno.test({
  name: "a firewall that refuses for a while ends no pipe",
  ...NEEDS,
  async fn() {
    await using hosts = await TwoHosts.make();
    const server = await far(hosts, "server");
    await server.ask({ do: "listen", url: `udp://${ADDRESS.server.v4}:${PORT}` });
    await using pipe = await connect(`udp://${ADDRESS.server.v4}:${PORT}`);
    assertEquals(await answer(pipe, "before"), "echo:before");
    {
      await using _wall = await hosts.filter("client", "output", `udp dport ${PORT} drop`);
      await pipe.send("lost");
      await pipe.flush();
      assertEquals(pipe.stats.dropped, 1);
    }
    assertEquals(await answer(pipe, "after"), "echo:after");
  },
});

Deno.test({
  name: "a link-local address needs its zone, a global one none; answers find the way back from each",
  ...NEEDS,
  async fn() {
    await using hosts = await TwoHosts.make();
    await linkLocal(hosts);
    const router = await far(hosts, "router");
    await router.ask({ do: "listen", url: `udp://[${LINK.router}%rc]:${PORT}` });
    {
      await using pipe = await connect(`udp://[${LINK.router}%vc]:${PORT}`);
      assertEquals(await answer(pipe, "zone"), "echo:zone");
      assertEquals(pipe.remoteAddress.hostname, `${LINK.router}%vc`);
    }
    {
      const options = { via: { interface: "vc" } };
      await using pipe = await connect(`udp://[${LINK.router}]:${PORT}`, options);
      assertEquals(await answer(pipe, "interface"), "echo:interface");
    }
    assertEquals(await router.ask({ do: "heard" }), { text: "zone", from: `${LINK.client}%rc` });
    await router.ask({ do: "listen", url: `udp://[${ADDRESS.near.v6}]:${PORT}` });
    {
      await using pipe = await connect(`udp://[${ADDRESS.near.v6}]:${PORT}`);
      assertEquals(await answer(pipe, "global"), "echo:global");
      assertEquals(pipe.remoteAddress.hostname, ADDRESS.near.v6);
    }
    // A socket for all addresses is not told the link; there is one only that it can be.
    await using server = await listen(`udp://[::]:${PORT}`);
    const asked = router.ask({
      do: "send",
      url: `udp://[${LINK.client}%rc]:${PORT}`,
      text: "back",
      answer: true,
    });
    assertEquals(await next(server), [`${LINK.router}%vc`, "back"]);
    assertEquals((await asked).text, "echo:back");
  },
});

Deno.test({
  name: "two default routes: via chooses the interface or the source, and no way is taken in silence",
  ...NEEDS,
  async fn() {
    await using hosts = await TwoHosts.make();
    await secondLink(hosts);
    await ip(`route add default via ${SECOND.router} metric 500`);
    const server = await far(hosts, "server");
    const url = `udp://${ADDRESS.server.v4}:${PORT}` as const;
    await server.ask({ do: "listen", url });
    const from = async (via?: { interface: string } | { address: string }): Promise<string | undefined> => {
      await using pipe = await connect(url, via ? { via } : {});
      assertEquals(await answer(pipe, "who am I"), "echo:who am I");
      return (await server.ask({ do: "heard" })).from;
    };
    assertEquals(await from(), ADDRESS.client.v4);
    assertEquals(await from({ interface: "wc" }), SECOND.client);
    assertEquals(await from({ interface: "vc" }), ADDRESS.client.v4);
    assertEquals(await from({ address: SECOND.client }), SECOND.client);
    // By that interface and no other: a wall there is a wall.
    await using _wall = await hosts.filter("client", "output", 'oifname "wc" drop');
    await using walled = await connect(url, { via: { interface: "wc" } });
    await walled.send("lost");
    await walled.flush();
    assertEquals(walled.stats.dropped, 1);
    await using free = await connect(url, { via: { address: SECOND.client } });
    assertEquals(await answer(free, "by the other one"), "echo:by the other one");
  },
});

Deno.test({
  name: "a group is met on every interface, and those who sent to it are answered",
  ...NEEDS,
  async fn() {
    await using hosts = await TwoHosts.make();
    await secondLink(hosts);
    const router = await far(hosts, "router");
    const group = `udp://239.9.9.9:${PORT}` as const;
    await using server = await listen(group);
    for (const [iface, address] of [["rc", ADDRESS.near.v4], ["rw", SECOND.router]] as const) {
      const asked = router.ask({
        do: "send",
        url: group,
        text: `by ${iface}`,
        answer: true,
        options: { via: { interface: iface } },
      });
      assertEquals(await next(server), [address, `by ${iface}`]);
      assertEquals((await asked).text, `echo:by ${iface}`);
    }
  },
});

Deno.test({
  name: "a group is met again on an interface that was taken away and put back",
  ...NEEDS,
  async fn() {
    await using hosts = await TwoHosts.make();
    await secondLink(hosts);
    await using network = await watchNetwork();
    const router = await far(hosts, "router");
    const group = `udp://239.9.9.9:${PORT}` as const;
    await using server = await listen(group, { network });
    const bySecond = { via: { interface: "rw" } };
    const sendBySecond = (text: string): Promise<Told> =>
      router.ask({ do: "send", url: group, text, options: bySecond });
    await sendBySecond("before");
    assertEquals(await next(server), [SECOND.router, "before"]);
    const back = Promise.withResolvers<void>();
    using _events = network.on("addressadd", ({ interface: name }) => name === "wc" && back.resolve());
    await ip("link delete wc");
    await secondLink(hosts);
    await back.promise;
    await sendBySecond("after");
    assertEquals(await next(server), [SECOND.router, "after"]);
  },
});

Deno.test({
  name: "rejoin() meets a group on an interface that is another one by the same name, unseen by anybody",
  ...NEEDS,
  async fn() {
    await using hosts = await TwoHosts.make();
    await secondLink(hosts);
    const router = await far(hosts, "router");
    const group = `udp://239.9.9.9:${PORT}`;
    const server = await listenUdp(group, { udp: { multicast: { interfaces: ["vc", "wc"] } } });
    await ip("link delete wc");
    await secondLink(hosts);
    server.rejoin();
    for (const iface of ["rw", "rc"]) {
      await router.ask({ do: "send", url: group, text: iface, options: { via: { interface: iface } } });
      const patience = setTimeout(() => void server.close(), 10_000);
      const link = await server.accept();
      clearTimeout(patience);
      assertEquals(new TextDecoder().decode(await link?.read(new Uint8Array(0)) ?? undefined), iface);
      await link?.close();
    }
    await server.close();
  },
});

Deno.test({
  name: "those who join a group hear each other, and themselves only where they want to",
  ...NEEDS,
  async fn() {
    await using hosts = await TwoHosts.make();
    const router = await far(hosts, "router");
    await router.ask({ do: "listen", url: `udp://0.0.0.0:${PORT + 1}` });
    const group = `udp://239.9.9.9:${PORT}` as const;
    const at = { interfaces: ["vc"], join: true };
    await using own = await connect(group, { udp: { multicast: at } });
    await using quiet = await connect(group, { udp: { multicast: { ...at, loopback: false, ttl: 5 } } });
    const heard = own.subscribe()[Symbol.asyncIterator]();
    const others = quiet.subscribe()[Symbol.asyncIterator]();
    const told = async (): Promise<readonly unknown[]> => {
      const { value } = await heard.next();
      assert(value && "hostname" in value.from);
      return [value.from.hostname, new TextDecoder().decode(value.data)];
    };
    await quiet.send("nobody here hears this");
    await own.send("I hear myself");
    assertEquals(await told(), [ADDRESS.client.v4, "I hear myself"]);
    await router.ask({ do: "send", url: group, text: "from afar", options: { via: { interface: "rc" } } });
    assertEquals(await told(), [ADDRESS.near.v4, "from afar"]);
    assertEquals(new TextDecoder().decode((await others.next()).value?.data), "I hear myself");
    assertEquals(new TextDecoder().decode((await others.next()).value?.data), "from afar");
    // Nobody there lets pass what may not go further than one link.
    await router.ask({ do: "listen", url: group });
    await using _wall = await hosts.filter("router", "input", `udp dport ${PORT} ip ttl != 5 drop`);
    await own.send("too short");
    await quiet.send("far enough");
    assertEquals(await router.ask({ do: "heard" }), { text: "far enough", from: ADDRESS.client.v4 });
  },
});

Deno.test({
  name: "a group of one link is met by its zone, in IPv6",
  ...NEEDS,
  async fn() {
    await using hosts = await TwoHosts.make();
    await linkLocal(hosts);
    const router = await far(hosts, "router");
    await using server = await listen(`udp://[ff02::9%vc]:${PORT}`);
    const asked = router.ask({ do: "send", url: `udp://[ff02::9%rc]:${PORT}`, text: "six", answer: true });
    assertEquals(await next(server), [`${LINK.router}%vc`, "six"]);
    assertEquals((await asked).text, "echo:six");
  },
});

Deno.test({
  name: "a broadcast reaches the link, and whoever answers is told apart",
  ...NEEDS,
  async fn() {
    await using hosts = await TwoHosts.make();
    const router = await far(hosts, "router");
    await router.ask({ do: "listen", url: `udp://0.0.0.0:${PORT}` });
    for (
      const [to, options] of [["10.9.1.255", { udp: { broadcast: true } }], ["255.255.255.255", {}]] as const
    ) {
      await using pipe = await connect(`udp://${to}:${PORT}`, options);
      const answers = pipe.subscribe()[Symbol.asyncIterator]();
      await pipe.send("who is there");
      const { value } = await answers.next();
      assert(value && "hostname" in value.from);
      assertEquals(value.from.hostname, ADDRESS.near.v4);
      assertEquals(new TextDecoder().decode(value.data), "echo:who is there");
    }
  },
});

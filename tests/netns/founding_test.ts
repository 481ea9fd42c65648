/**
 * The failure that all this began with: after a switch of network the addresses are right at once, and yet nothing works
 * for seconds, for the gateway answers nobody, and the resolver is the old network's, then a silent one. Plain code fails
 * in these seconds; behind the gate the same code does not.
 */

import { watchNetwork } from "@holdfast/net/watch";
import { assertEquals, assertRejects } from "@std/assert";
import { lookUpsDone, systemTools } from "../../recover/_ready_tools.ts";
import { ready, readyGate } from "../../recover/ready.ts";
import { requires, scale } from "../_require.ts";
import { call, ip, ip6, Network } from "./_network.ts";

const here = requires({ root: true, netns: true, tools: ["ip", "mount"] });

const SERVICE = "203.0.113.10";
const DEVICES = { old: "v1", new: "v2" } as const;

/** How long anything may take to show, in milliseconds. */
const PATIENCE = 15_000;

type Ip = (...commands: readonly string[]) => Promise<void>;

/** A directory of the test's own over `/etc`, and what changes the resolver's file in it. */
async function ownResolver(): Promise<AsyncDisposable & { set(server: string): Promise<void> }> {
  const folder = await Deno.makeTempDir({ dir: "/run", prefix: "holdfast-founding-" });
  // Without it some systems do not find the libraries of the programs that the test runs.
  await Deno.copyFile("/etc/ld.so.cache", `${folder}/ld.so.cache`);
  await call("mount", ["--bind", folder, "/etc"]);
  return {
    async set(server) {
      await Deno.writeTextFile("/etc/resolv.new", `nameserver ${server}\noptions timeout:1 attempts:1\n`);
      await Deno.rename("/etc/resolv.new", "/etc/resolv.conf");
    },
    async [Symbol.asyncDispose]() {
      await call("umount", ["/etc"]);
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** A router behind an interface of the laptop, with the service on itself. */
async function router(network: Network, name: "old" | "new", gateways: readonly string[]): Promise<Ip> {
  const run = await network.namespace(name);
  const device = DEVICES[name];
  await ip(
    `link add ${device} type veth peer name eth0 netns ${name}`,
    `link set ${device} addrgenmode none`,
  );
  await run(
    "link set lo up",
    `address add ${SERVICE}/32 dev lo`,
    "address add 2001:db8:9::10/128 dev lo nodad",
    "link set eth0 addrgenmode none",
    "link set eth0 up",
    ...gateways.map((cidr) => `address add ${cidr} dev eth0${cidr.includes(":") ? " nodad" : ""}`),
  );
  return run;
}

interface FarServer extends AsyncDisposable {
  /** Lets the name server answer from now on. */
  speak(): Promise<void>;
  /** Resolves when a muted name server was asked. */
  readonly asked: Promise<void>;
}

async function serve(namespace: string, ...args: readonly string[]): Promise<FarServer> {
  const script = new URL("_founding_server.ts", import.meta.url).pathname;
  const child = new Deno.Command("ip", {
    args: ["netns", "exec", namespace, Deno.execPath(), "run", "-A", "--no-check", script, ...args],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const lines = child.stdout.pipeThrough(new TextDecoderStream());
  const seen = { ready: Promise.withResolvers<void>(), asked: Promise.withResolvers<void>() };
  const reading = (async () => {
    let text = "";
    for await (const part of lines) {
      text += part;
      if (text.includes("ready\n")) seen.ready.resolve();
      if (text.includes("asked\n")) seen.asked.resolve();
    }
    seen.ready.reject(new Error(`The far server ended: ${text}`));
  })();
  await seen.ready.promise;
  return {
    asked: seen.asked.promise,
    speak: () => writer.write(new TextEncoder().encode("speak\n")),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await writer.close().catch(() => {}); // Broken by the end of the process.
      await child.status;
      await reading;
    },
  };
}

/** What a program does: a request by name, and a connection by address. Each call is a new connection. */
const WORK: Readonly<Record<string, () => Promise<void>>> = {
  async fetch() {
    using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    const response = await fetch("http://service.test:8080/", { client });
    assertEquals(await response.text(), "here");
  },
  async connect() {
    using _ = await Deno.connect({ hostname: SERVICE, port: 8080 });
  },
};

/** Does all of it once, and names what failed. */
async function failures(): Promise<readonly string[]> {
  const done = await Promise.allSettled(Object.values(WORK).map((work) => work()));
  return Object.keys(WORK).filter((_, i) => done[i]?.status === "rejected");
}

function within<T>(what: string, promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`Waited in vain for ${what}`)), PATIENCE);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

Deno.test({
  name:
    "after a switch of network plain code fails while gateway and resolver are dead, and none behind the gate",
  ...here,
  async fn() {
    await using network = await Network.make();
    await using resolver = await ownResolver();
    await router(network, "old", ["10.1.0.1/24"]);
    const far = await router(network, "new", ["10.2.0.1/24"]);
    await using _old = await serve("old", SERVICE, "10.1.0.1");
    await using next = await serve("new", SERVICE, "10.2.0.1", "mute");
    await resolver.set("10.1.0.1");
    await ip("address add 10.1.0.2/24 dev v1", "link set v1 up", "route add default via 10.1.0.1");
    // The kernel gives a neighbour up after three questions, a second apart; a tenth of that does here.
    await Deno.writeTextFile("/proc/sys/net/ipv4/neigh/v2/retrans_time_ms", "100");

    await using watcher = await watchNetwork({ backend: "netlink" });
    await watcher.online();
    const called = Promise.withResolvers<void>();
    const provoke = async (gateway: string): Promise<void> => {
      await systemTools.provoke(gateway);
      if (gateway === "10.2.0.1") called.resolve();
    };
    const options = { target: "service.test:8080", limit: 60_000, timeout: 120_000, tools: { provoke } };
    assertEquals((await ready(watcher, options)).ready, true);
    assertEquals(await failures(), []);

    // The switch: address and route are right at once.
    await far("link set eth0 arp off");
    await ip("link set v1 down", "address add 10.2.0.2/24 dev v2", "link set v2 up");
    await ip("route replace default via 10.2.0.1");
    await watcher.refresh();
    await watcher.online({ family: 4 });
    assertEquals(watcher.state.defaultRoute.v4?.gateway, "10.2.0.1");

    const gated = ready(watcher, options);
    await within("the gate to call the gateway", called.promise);
    assertEquals(await watcher.neighbour(4), "unresolved");
    const plain = await failures();
    assertEquals(plain, ["fetch", "connect"], "plain code fails");

    await resolver.set("10.2.0.1");
    await far("link set eth0 arp on");
    await within("a question at the silent name server", next.asked);
    await next.speak();
    const report = await within("the gate", gated);
    const steps = report.steps.map(({ name, outcome }) => [name, outcome]);
    assertEquals(steps, [["online", "ok"], ["gateway", "ok"], ["resolver", "ok"], ["target", "ok"]]);
    assertEquals([report.ready, report.gated, report.attempts], [true, "passed", 1]);
    for (let i = 0; i < scale(20); i++) assertEquals(await failures(), [], "behind the gate nothing fails");
    await lookUpsDone();
  },
});

Deno.test({
  name: "a gateway that stays dead holds the work up for no longer than the limit",
  ...here,
  async fn() {
    await using network = await Network.make();
    const far = await router(network, "new", ["10.2.0.1/24"]);
    await far("link set eth0 arp off");
    await ip("address add 10.2.0.2/24 dev v2", "link set v2 up", "route add default via 10.2.0.1");
    await using watcher = await watchNetwork({ backend: "netlink" });
    const reports: string[] = [];
    const gate = readyGate(watcher, {
      limit: 500,
      onReport: ({ gated, steps }) => reports.push(`${gated} ${steps[1]?.outcome} ${steps[1]?.detail}`),
    });
    await gate(new AbortController().signal);
    assertEquals(reports, ["limit limit the gateway 10.2.0.1 does not answer"]);
  },
});

Deno.test({
  name:
    "an IPv6 address that is still being checked cannot be used by plain code, and behind the gate it can",
  ...here,
  async fn() {
    await using network = await Network.make();
    await using resolver = await ownResolver();
    await resolver.set("2001:db8:2::1");
    await router(network, "new", ["2001:db8:2::1/64", "fe80::1/64"]);
    await using _server = await serve("new", "2001:db8:9::10", "2001:db8:2::1");
    await ip("link set v2 up", "address add fe80::2/64 dev v2 nodad");
    // Two questions whether somebody else has the address, a second apart, and up to one second before the first.
    await Deno.writeTextFile("/proc/sys/net/ipv6/conf/v2/dad_transmits", "2");
    await using watcher = await watchNetwork({ backend: "netlink" });
    await ip("address add 2001:db8:2::2/64 dev v2");
    await ip6("route add default via fe80::1 dev v2");
    const listen = (): Deno.Listener => Deno.listen({ hostname: "2001:db8:2::2", port: 0 });
    const gated = ready(watcher, { family: 6, target: "[2001:db8:9::10]:8080", limit: 60_000 });
    const early = await assertRejects(async () => await listen(), Deno.errors.AddrNotAvailable);
    assertEquals((early as Error & { readonly code?: string }).code, "EADDRNOTAVAIL");
    const report = await within("the gate", gated);
    assertEquals([report.ready, report.gated, report.attempts], [true, "passed", 1]);
    assertEquals(report.steps[1]?.detail, "fe80::1 is there");
    listen().close();
    using _ = await Deno.connect({ hostname: "2001:db8:9::10", port: 8080 });
  },
});

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { HoldfastError, PermissionError } from "../internal/errors.ts";
import { setLogger, silentLogger } from "../internal/log.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { type FakeNetwork, fakeNetwork } from "../testing/fake_network.ts";
import { watchNetwork } from "../watch/watch.ts";
import type { NetworkWatcher } from "../watch/watcher.ts";
import { type ReadyTools, systemTools } from "./_ready_tools.ts";
import { ready, readyGate, type ReadyGateOptions, type ReadyOptions, type ReadyReport } from "./ready.ts";

const MAC = "02:00:00:00:01:01";
const TARGET = "203.0.113.5:443";

/** A laptop whose network is there and carries everything, and tools that answer as the test says. */
class Lab implements AsyncDisposable {
  readonly clock: FakeClock;
  readonly network: FakeNetwork;
  readonly watcher: NetworkWatcher;
  /** What was sent out, in order. */
  readonly sent: string[] = [];
  /** What each tool does; it may be replaced at any time. */
  tools: ReadyTools = {
    provoke: () => Promise.resolve(),
    knock: () => Promise.resolve("answered"),
    resolve: () => Promise.resolve(["203.0.113.5"]),
    ask: () => Promise.resolve(),
    connect: ({ hostname, port }) => Promise.resolve(`${hostname}:${port}`),
    fetch: () => Promise.resolve(new Response(null, { status: 204 })),
  };

  private constructor(clock: FakeClock, network: FakeNetwork, watcher: NetworkWatcher) {
    this.clock = clock;
    this.network = network;
    this.watcher = watcher;
  }

  static async open(): Promise<Lab> {
    const clock = new FakeClock();
    const network = fakeNetwork({ now: () => clock.now() });
    network.change(() => {
      network.setInterface("wlan0", { kind: "wifi" });
      network.setAddress("wlan0", "192.168.1.23/24");
      network.setDefaultRoute(4, { interface: "wlan0", gateway: "192.168.1.1" });
      network.setGatewayMac(4, MAC);
      network.setDns({ servers: ["192.168.1.1"], search: [] });
    });
    const watcher = await watchNetwork({ source: network.source, clock, logger: silentLogger });
    return new Lab(clock, network, watcher);
  }

  ready(options: ReadyOptions = {}): Promise<ReadyReport> {
    return ready(this.watcher, this.options(options));
  }

  options(options: ReadyOptions | ReadyGateOptions): ReadyOptions & ReadyGateOptions {
    const { sent } = this;
    const call = <K extends keyof ReadyTools>(name: K): ReadyTools[K] =>
      ((...args: readonly unknown[]) => {
        sent.push(
          `${name} ${typeof args[0] === "object" ? Object.values(args[0] ?? {}).join(":") : args[0]}`,
        );
        return (this.tools[name] as (...args: readonly unknown[]) => unknown)(...args);
      }) as ReadyTools[K];
    const tools = {
      provoke: call("provoke"),
      knock: call("knock"),
      resolve: call("resolve"),
      ask: call("ask"),
      connect: call("connect"),
      fetch: call("fetch"),
    };
    return { clock: this.clock, tools, ...options };
  }

  /** Lets time pass. */
  async pass(milliseconds: number): Promise<void> {
    await this.clock.tickAsync(milliseconds);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.watcher.close();
    assertEquals(this.clock.pending, 0, "no timer is left behind");
    assertEquals(this.network.open, 0);
  }
}

/** Fails like the system does for as long as its signal says nothing. */
function hangs(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

function outcomes({ steps }: ReadyReport): Record<string, string> {
  return Object.fromEntries(steps.map(({ name, outcome }) => [name, outcome]));
}

function detailOf({ steps }: ReadyReport, name: string): string | undefined {
  return steps.find((step) => step.name === name)?.detail;
}

const FORBIDDEN = new PermissionError("send", ["--allow-net=192.168.1.1:9"]);

Deno.test("ready() passes at once where all is well, and sends no more than one question", async () => {
  await using lab = await Lab.open();
  const report = await lab.ready();
  assertEquals(report, {
    ready: true,
    gated: "passed",
    steps: [
      { name: "online", outcome: "ok", took: 0, detail: "online by IPv4" },
      { name: "gateway", outcome: "ok", took: 0, detail: "192.168.1.1 is there" },
      { name: "resolver", outcome: "ok", took: 0, detail: "192.168.1.1 answers" },
    ],
    took: 0,
    attempts: 0,
    address: null,
  });
  assertEquals(lab.sent, ["ask 192.168.1.1"]);
});

Deno.test("ready() waits for a tentative address, then for the gateway, and says how long each took", async () => {
  await using lab = await Lab.open();
  lab.network.setAddress("wlan0", "192.168.1.23/24", { tentative: true });
  lab.network.setGatewayMac(4, null);
  const reported = lab.ready();
  await lab.pass(300);
  assertEquals(lab.sent, [], "nothing is sent from an address that is not usable");
  lab.network.setAddress("wlan0", "192.168.1.23/24");
  await lab.pass(300);
  assertEquals(lab.sent, ["provoke 192.168.1.1"]);
  lab.network.setGatewayMac(4, MAC);
  await lab.pass(200);
  const report = await reported;
  assertEquals(outcomes(report), { online: "ok", gateway: "ok", resolver: "ok" });
  const [online, gateway] = report.steps;
  assertEquals([report.ready, online?.took], [true, 300]);
  assert(gateway && gateway.took >= 300 && gateway.took < 500, `${gateway?.took}`);
});

Deno.test("ready() holds things up no longer than its limit, and says what it was waiting for", async () => {
  await using lab = await Lab.open();
  lab.network.setGatewayMac(4, null);
  const reported = lab.ready({ target: TARGET });
  await lab.pass(2990);
  assertEquals(lab.sent.filter((line) => line.startsWith("connect")), []);
  await lab.pass(10);
  const report = await reported;
  assertEquals([report.ready, report.gated, report.took], [true, "limit", 3000]);
  assertEquals(outcomes(report), { online: "ok", gateway: "limit", resolver: "skipped", target: "ok" });
  assertEquals(detailOf(report, "gateway"), "the gateway 192.168.1.1 does not answer");
  assertEquals(detailOf(report, "resolver"), "no time was left");
  assertEquals(lab.sent.filter((line) => line.startsWith("provoke")).length, 3, "once a second");
  const itself = lab.ready();
  await lab.pass(3000);
  assertEquals((await itself).ready, false, "without a target the network's own gate is all there is");
});

Deno.test("ready() says why the network is not online", async () => {
  await using lab = await Lab.open();
  lab.network.setInterface("wlan0", { running: false });
  const dead = lab.ready({ limit: 100 });
  await lab.pass(100);
  assertEquals(detailOf(await dead, "online"), "not online: no usable address, or no carrier, on wlan0");
  lab.network.setDefaultRoute(4, null);
  const gone = lab.ready({ limit: 100, family: 4 });
  await lab.pass(100);
  assertEquals(detailOf(await gone, "online"), "not online by IPv4: no default route");
});

Deno.test("the neighbour entry is read on a schedule that begins short", async () => {
  await using lab = await Lab.open();
  lab.network.setGatewayMac(4, null);
  const reads: number[] = [];
  const view: NetworkView = {
    state: lab.watcher.state,
    online: (options) => lab.watcher.online(options),
    subscribe: (handler) => lab.watcher.subscribe(handler),
    wake: () => lab.watcher.wake(),
    neighbour(family) {
      reads.push(lab.clock.monotonic());
      return lab.watcher.neighbour(family);
    },
  };
  const reported = ready(view, lab.options({ limit: 700 }));
  await lab.pass(700);
  await reported;
  assertEquals(reads, [0, 10, 30, 70, 150, 310, 470, 630]);
});

Deno.test("one gateway of two families is enough, and both are called", async () => {
  await using lab = await Lab.open();
  lab.network.change(() => {
    lab.network.setAddress("wlan0", "2001:db8::23/64");
    lab.network.setDefaultRoute(6, { interface: "wlan0", gateway: "fe80::1" });
    lab.network.setGatewayMac(4, null);
  });
  const reported = lab.ready();
  await lab.pass(50);
  assertEquals(lab.sent, ["provoke 192.168.1.1", "provoke fe80::1%wlan0", "provoke fe80::1%2"]);
  lab.network.setGatewayMac(6, MAC);
  await lab.pass(100);
  assertEquals(detailOf(await reported, "gateway"), "fe80::1 is there");
  const four = lab.ready({ family: 4, limit: 200 });
  await lab.pass(200);
  assertEquals(outcomes(await four)["gateway"], "limit", "the other family's is of no use");
});

Deno.test("where no datagram may be sent, a knock makes the system look, and an answer to it is proof", async () => {
  await using lab = await Lab.open();
  lab.network.setGatewayMac(4, null);
  let knocked: AbortSignal | undefined;
  lab.tools = {
    ...lab.tools,
    provoke: () => Promise.reject(FORBIDDEN),
    knock: (_gateway, signal) => hangs(knocked = signal),
  };
  const reported = lab.ready();
  await lab.pass(100);
  lab.network.setGatewayMac(4, MAC);
  await lab.pass(200);
  assertEquals(detailOf(await reported, "gateway"), "192.168.1.1 is there");
  assertEquals(knocked?.aborted, true, "a knock that nobody answered is called off");
  lab.network.setGatewayMac(4, null);
  lab.tools = { ...lab.tools, knock: () => Promise.resolve("answered") };
  const answered = lab.ready();
  await lab.pass(20);
  assertEquals(detailOf(await answered, "gateway"), "192.168.1.1 answers");
});

Deno.test("where neither is allowed the gateway is passed over, and the report names the flag", async () => {
  await using lab = await Lab.open();
  lab.network.setGatewayMac(4, null);
  const forbidden = (): Promise<never> => Promise.reject(FORBIDDEN);
  lab.tools = { ...lab.tools, provoke: forbidden, knock: forbidden };
  const reported = lab.ready();
  await lab.pass(20);
  const report = await reported;
  assertEquals([report.ready, outcomes(report)["gateway"]], [true, "skipped"]);
  assertEquals(detailOf(report, "gateway"), FORBIDDEN.message);
});

Deno.test("where no neighbour table can tell, a knock has to do: answered, no way, or silence", async () => {
  await using lab = await Lab.open();
  lab.network.setGatewayMac(4, null);
  lab.network.setInterface("wlan0", { mac: null });
  assertEquals(detailOf(await lab.ready(), "gateway"), "192.168.1.1 answers");
  let tries = 0;
  lab.tools = {
    ...lab.tools,
    knock: () => Promise.resolve(tries++ < 3 ? "unreachable" : "answered"),
  };
  const later = lab.ready();
  await lab.pass(200);
  assertEquals([outcomes(await later)["gateway"], tries], ["ok", 4]);
  lab.tools = { ...lab.tools, knock: (_gateway, signal) => hangs(signal) };
  const silent = lab.ready();
  await lab.pass(1000);
  const report = await silent;
  assertEquals([outcomes(report)["gateway"], report.ready], ["skipped", true]);
  assertEquals(detailOf(report, "gateway"), "the gateway says nothing, which proves nothing");
});

Deno.test("a route without gateway has none to wait for", async () => {
  await using lab = await Lab.open();
  lab.network.setDefaultRoute(4, { interface: "wlan0" });
  const report = await lab.ready();
  assertEquals(detailOf(report, "gateway"), "no gateway is in sight");
  assertEquals(lab.sent, ["ask 192.168.1.1"]);
});

Deno.test("a network that goes away while its gateway is called is waited for again", async () => {
  await using lab = await Lab.open();
  lab.network.setGatewayMac(4, null);
  const reported = lab.ready();
  await lab.pass(100);
  lab.network.setDefaultRoute(4, null);
  await lab.pass(1000);
  assertEquals(lab.sent, ["provoke 192.168.1.1"]);
  lab.network.change(() => {
    lab.network.setDefaultRoute(4, { interface: "wlan0", gateway: "192.168.1.2" });
    lab.network.setGatewayMac(4, MAC);
  });
  await lab.pass(200);
  assertEquals(detailOf(await reported, "gateway"), "192.168.1.2 is there");
});

Deno.test("ready() asks the resolver again beside a question that hangs, and at once where it changes", async () => {
  await using lab = await Lab.open();
  const asked: [string, number][] = [];
  lab.tools = {
    ...lab.tools,
    ask(server, signal) {
      asked.push([server, lab.clock.monotonic()]);
      return server === "10.9.9.9" ? Promise.resolve() : hangs(signal);
    },
  };
  const reported = lab.ready();
  await lab.pass(600);
  assertEquals(asked, [["192.168.1.1", 0], ["192.168.1.1", 250], ["192.168.1.1", 500]]);
  lab.network.setDns({ servers: ["10.9.9.9"], search: [] });
  const report = await reported;
  assertEquals(asked.at(-1), ["10.9.9.9", 600]);
  assertEquals(detailOf(report, "resolver"), "10.9.9.9 answers");
});

Deno.test("the resolver holds things up for two seconds at most", async () => {
  await using lab = await Lab.open();
  lab.tools = { ...lab.tools, ask: (_server, signal) => hangs(signal) };
  const reported = lab.ready({ limit: 60_000 });
  await lab.pass(2000);
  const report = await reported;
  assertEquals([report.took, report.ready, report.gated], [2000, false, "limit"]);
  assertEquals(detailOf(report, "resolver"), "no name server answers");
});

Deno.test("the target's name has to be found before the target is tried", async () => {
  await using lab = await Lab.open();
  let found = false;
  lab.tools = {
    ...lab.tools,
    resolve: () => found ? Promise.resolve(["203.0.113.7"]) : Promise.reject(new Error("Server misbehaving")),
  };
  const reported = lab.ready({ target: "db.example:5432" });
  await lab.pass(600);
  assertEquals(lab.sent.filter((line) => !line.startsWith("resolve")), []);
  found = true;
  await lab.pass(250);
  const report = await reported;
  assertEquals(detailOf(report, "resolver"), "db.example is 203.0.113.7");
  assertEquals([report.ready, report.attempts, report.address], [true, 1, "db.example:5432"]);
});

Deno.test("a resolver that may not be asked is passed over, unless it is still the old network's", async () => {
  await using lab = await Lab.open();
  const ask = (): Promise<never> =>
    Promise.reject(new PermissionError("ask", ["--allow-net=192.168.1.1:53"]));
  lab.tools = { ...lab.tools, ask };
  const first = await lab.ready();
  assertEquals([outcomes(first)["resolver"], first.ready], ["skipped", true]);
  const moveTo = (network: string): void =>
    lab.network.change(() => {
      for (const { address, prefix } of lab.watcher.state.interfaces[1]?.addresses ?? []) {
        lab.network.removeAddress("wlan0", `${address}/${prefix}`);
      }
      lab.network.setAddress("wlan0", `${network}.5/24`);
      lab.network.setDefaultRoute(4, { interface: "wlan0", gateway: `${network}.1` });
    });
  moveTo("10.0.0");
  const moved = lab.ready();
  await lab.pass(500);
  lab.network.setDns({ servers: ["10.0.0.1"], search: [] });
  const report = await moved;
  assertEquals([outcomes(report)["resolver"], report.took], ["ok", 500]);
  assertEquals(detailOf(report, "resolver"), "the name server is 10.0.0.1 now");
  moveTo("10.7.0");
  const stuck = lab.ready();
  await lab.pass(2000);
  const late = await stuck;
  assertEquals([outcomes(late)["resolver"], late.took], ["limit", 2000]);
  assertEquals(detailOf(late, "resolver"), "the name server is still 10.0.0.1, as in the network before");
  lab.network.setDns({ servers: ["9.9.9.9"], search: [] });
  await lab.ready();
  moveTo("10.8.0");
  assertEquals(outcomes(await lab.ready())["resolver"], "skipped", "a public one serves any network");
});

Deno.test("a captive portal is told by anything but the expected answer, and redirects are not followed", async () => {
  await using lab = await Lab.open();
  const portal = { url: "http://probe.example/", body: "fine" };
  const answer = async (response: Response): Promise<string | undefined> => {
    lab.tools = {
      ...lab.tools,
      fetch(_url, init) {
        assertEquals(init.redirect, "manual");
        return Promise.resolve(response);
      },
    };
    const report = await lab.ready({ portal });
    assertEquals(report.ready, outcomes(report)["portal"] === "ok");
    return detailOf(report, "portal");
  };
  assertEquals(await answer(new Response("fine\n")), "status 200, as expected");
  const redirect = new Response("", { status: 302, headers: { location: "http://login.example/" } });
  assertEquals(
    await answer(redirect),
    "a captive portal answers: status 302 instead of 200, to http://login.example/",
  );
  const page = "a captive portal answers: another text than expected";
  assertEquals(await answer(new Response("<html>log in</html>")), page);
  assertEquals(await answer(new Response("fine, but log in")), page);
  const endless = new ReadableStream({ pull: (sink) => sink.enqueue(new Uint8Array(65_536).fill(32)) });
  assertEquals(await answer(new Response(endless)), page);
});

Deno.test("a portal that plain fetch takes for the page is found out, until it lets through", async () => {
  await using lab = await Lab.open();
  let through = false;
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
    if (url.endsWith("/login")) return new Response("log in, please");
    return through ? new Response(null, { status: 204 }) : Response.redirect(new URL("/login", url));
  });
  const url = `http://127.0.0.1:${server.addr.port}/probe`;
  lab.tools = { ...lab.tools, fetch: systemTools.fetch };
  const plain = await fetch(url);
  assertEquals([plain.status, await plain.text()], [200, "log in, please"]);
  const caught = await lab.ready({ portal: url });
  assertEquals([caught.ready, caught.gated, outcomes(caught)["portal"]], [false, "passed", "failed"]);
  through = true;
  assertEquals((await lab.ready({ portal: url })).ready, true);
});

Deno.test("a probe for a portal that finds no answer is repeated; a URL alone stands for status 204", async () => {
  await using lab = await Lab.open();
  let tries = 0;
  lab.tools = {
    ...lab.tools,
    fetch: () =>
      ++tries < 3
        ? Promise.reject(new TypeError("connection reset"))
        : Promise.resolve(new Response(null, { status: 204 })),
  };
  const reported = lab.ready({ portal: "http://probe.example/" });
  await lab.pass(500);
  assertEquals([outcomes(await reported)["portal"], tries], ["ok", 3]);
});

Deno.test("the target is tried until it answers, and at once when the network changes", async () => {
  await using lab = await Lab.open();
  let open = false;
  lab.tools = {
    ...lab.tools,
    connect: () => open ? Promise.resolve(TARGET) : Promise.reject(new Error("refused")),
  };
  const reported = lab.ready({ target: TARGET });
  await lab.pass(60_000);
  open = true;
  lab.network.setDefaultRoute(4, { interface: "wlan0", gateway: "192.168.1.2" });
  const report = await reported;
  assertEquals([report.ready, report.address, report.took], [true, TARGET, 60_000]);
  assert(report.attempts > 50 && report.attempts < 70, `${report.attempts}`);
});

Deno.test("the caller's probe takes the place of the connection", async () => {
  await using lab = await Lab.open();
  let tries = 0;
  const probe = (): Promise<void> => ++tries < 3 ? Promise.reject(new Error("starting")) : Promise.resolve();
  const reported = lab.ready({ target: TARGET, probe });
  await lab.pass(200);
  const report = await reported;
  assertEquals([report.ready, report.attempts, report.address, tries], [true, 3, null, 3]);
  assertEquals(lab.sent.filter((line) => line.startsWith("connect")), []);
});

Deno.test("when all time is up the report says so, with the last reason, whatever the probe does", async () => {
  await using lab = await Lab.open();
  lab.tools = { ...lab.tools, connect: () => Promise.reject(new Error("Connection refused")) };
  const refused = lab.ready({ target: TARGET, timeout: 1000 });
  await lab.pass(1000);
  const report = await refused;
  assertEquals([report.ready, report.gated, report.took], [false, "passed", 1000]);
  assertEquals(report.steps.at(-1), {
    name: "target",
    outcome: "limit",
    took: 1000,
    detail: "Connection refused",
  });
  const deaf = lab.ready({ probe: () => new Promise(() => {}), timeout: 100 });
  await lab.pass(100);
  assertEquals(outcomes(await deaf)["target"], "limit");
  lab.network.setDefaultRoute(4, null);
  const offline = lab.ready({ target: TARGET, timeout: 100 });
  await lab.pass(100);
  assertEquals(outcomes(await offline), {
    online: "limit",
    gateway: "skipped",
    resolver: "skipped",
    target: "limit",
  });
});

Deno.test("a target on this machine or its links needs no network", async () => {
  await using lab = await Lab.open();
  lab.network.setDefaultRoute(4, null);
  for (const target of ["127.0.0.1:80", "localhost:80", "192.168.1.99:80", "[fe80::1]:80", "[::1]:80"]) {
    const report = await lab.ready({ target });
    assertEquals(outcomes(report), { online: "skipped", target: "ok" }, target);
    assertEquals([report.ready, report.took], [true, 0]);
  }
  const reported = lab.ready({ target: "10.0.0.9:80" });
  await lab.pass(100);
  lab.network.setAddress("wlan0", "10.0.0.1/24");
  assertEquals((await reported).took, 100, "it is near as soon as there is an address beside it");
});

Deno.test("without a view of the network only the target is looked at", async () => {
  await using lab = await Lab.open();
  const report = await ready(undefined, lab.options({ target: TARGET }));
  assertEquals([outcomes(report), report.gated], [{ target: "ok" }, "passed"]);
  assertEquals((await ready(undefined)).steps, []);
});

Deno.test("a target that the runtime forbids is an error", async () => {
  await using lab = await Lab.open();
  lab.tools = { ...lab.tools, connect: () => Promise.reject(FORBIDDEN) };
  await assertRejects(() => lab.ready({ target: TARGET }), PermissionError);
});

Deno.test("the signal ends every step with its reason, and nothing is left behind", async () => {
  const stages: readonly ((lab: Lab) => void)[] = [
    (lab) => lab.network.setDefaultRoute(4, null),
    (lab) => lab.network.setGatewayMac(4, null),
    (lab) => lab.network.setInterface("wlan0", { mac: null }),
    () => {},
  ];
  for (const [i, prepare] of stages.entries()) {
    await using lab = await Lab.open();
    if (i === 2) lab.network.setGatewayMac(4, null);
    prepare(lab);
    const hang = (...args: readonly unknown[]): Promise<never> =>
      hangs(args.find((one) => one instanceof AbortSignal) as AbortSignal ?? (args[1] as RequestInit).signal);
    lab.tools = { ...lab.tools, knock: hang, ask: hang, resolve: hang, connect: hang, fetch: hang };
    const stop = new AbortController();
    const reported = lab.ready({ signal: stop.signal, limit: 60_000, target: TARGET });
    const rejected = assertRejects(() => reported, Error, "enough");
    await lab.pass(i === 3 ? 2500 : 100);
    stop.abort(new Error("enough"));
    await rejected;
  }
  const late = new AbortController();
  late.abort(new Error("too late"));
  await assertRejects(() => ready(undefined, { signal: late.signal }), Error, "too late");
});

Deno.test("ready() leaves no listener on the caller's signal", async () => {
  await using lab = await Lab.open();
  const { signal } = new AbortController();
  const listeners = new Set<unknown>();
  const { addEventListener, removeEventListener } = EventTarget.prototype;
  Object.assign(signal, {
    addEventListener(type: string, listener: () => void, options: AddEventListenerOptions) {
      listeners.add(listener);
      addEventListener.call(signal, type, listener, options);
    },
    removeEventListener(type: string, listener: () => void) {
      listeners.delete(listener);
      removeEventListener.call(signal, type, listener);
    },
  });
  lab.network.setGatewayMac(4, null);
  const reported = lab.ready({ signal, target: TARGET });
  await lab.pass(100);
  assert(listeners.size > 0);
  lab.network.setGatewayMac(4, MAC);
  await lab.pass(200);
  assertEquals([(await reported).ready, listeners.size], [true, 0]);
});

Deno.test("a view that fails to read its neighbours does not fail the gate", async () => {
  await using lab = await Lab.open();
  const view: NetworkView = {
    state: lab.watcher.state,
    online: () => Promise.resolve(),
    subscribe: () => ({ [Symbol.dispose]() {} }),
    wake() {},
    neighbour: () => Promise.reject(new HoldfastError("Cannot read", { code: "system", operation: "read" })),
  };
  assertEquals(detailOf(await ready(view, lab.options({})), "gateway"), "192.168.1.1 answers");
});

Deno.test("options that are not what they should be are refused with the value received", async () => {
  const wrong: [ReadyOptions, string][] = [
    [{ family: 5 as 4 }, "family must be 4 or 6, got 5"],
    [{ limit: -1 }, "limit must be a finite number from 0, got -1"],
    [{ timeout: NaN }, "timeout must be a finite number from 0, got NaN"],
    [{ target: "example.com" }, 'target must be HOST:PORT, got "example.com"'],
    [{ target: "2001:db8::1:443" }, 'target must be HOST:PORT, got "2001:db8::1:443"'],
    [{ target: { hostname: "", port: 1 } }, 'target must be HOST:PORT, got "" and 1'],
    [{ target: { hostname: "a", port: 65_536 } }, 'target must be HOST:PORT, got "a" and 65536'],
    [{ portal: "nonsense" }, 'portal must have a URL, got "nonsense"'],
  ];
  await using lab = await Lab.open();
  for (const [options, message] of wrong) {
    await assertRejects(() => ready(undefined, options), Error, `Cannot wait for readiness: ${message}`);
    assertThrows(() => readyGate(lab.watcher, options), Error, message);
  }
});

Deno.test("readyGate() waits for the network, and resolves at its limit all the same", async () => {
  await using lab = await Lab.open();
  const reports: ReadyReport[] = [];
  const gate = readyGate(lab.watcher, lab.options({ onReport: (report) => reports.push(report) }));
  const { signal } = new AbortController();
  await gate(signal);
  lab.network.setGatewayMac(4, null);
  const waited = gate(signal);
  await lab.pass(3000);
  await waited;
  assertEquals(reports.map(({ gated, took }) => [gated, took]), [["passed", 0], ["limit", 3000]]);
});

Deno.test("whoever comes to a gate while others wait shares their pass, and the last to leave ends it", async () => {
  await using lab = await Lab.open();
  lab.network.setGatewayMac(4, null);
  const reports: ReadyReport[] = [];
  const gate = readyGate(lab.watcher, lab.options({ onReport: (report) => reports.push(report) }));
  const stops = Array.from({ length: 1000 }, () => new AbortController());
  const passes = stops.map(({ signal }) => gate(signal));
  await lab.pass(100);
  assertEquals(lab.sent, ["provoke 192.168.1.1"]);
  const [first, ...rest] = stops;
  first?.abort(new Error("enough"));
  await assertRejects(() => passes[0] ?? Promise.resolve(), Error, "enough");
  lab.network.setGatewayMac(4, MAC);
  await lab.pass(200);
  await Promise.all(passes.slice(1));
  assertEquals([reports.length, rest.length], [1, 999]);
  lab.network.setGatewayMac(4, null);
  const alone = new AbortController();
  const left = assertRejects(() => gate(alone.signal), Error, "gone");
  await lab.pass(100);
  alone.abort(new Error("gone"));
  await left;
  lab.network.setGatewayMac(4, MAC);
  await gate(new AbortController().signal);
  assertEquals(reports.length, 2, "a pass that was given up is told to nobody");
  await assertRejects(() => gate(alone.signal), Error, "gone");
});

Deno.test("a handler of a gate that throws harms nobody, and is reported", async () => {
  await using lab = await Lab.open();
  const errors: unknown[][] = [];
  setLogger({ ...silentLogger, error: (...args) => errors.push(args) });
  try {
    const onReport = (): never => {
      throw new Error("from the handler");
    };
    await readyGate(lab.watcher, lab.options({ onReport }))(new AbortController().signal);
    await lab.pass(10);
    assertEquals(errors.length, 1);
  } finally {
    setLogger(silentLogger);
  }
});

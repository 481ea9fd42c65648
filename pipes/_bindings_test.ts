import { assertEquals, assertRejects } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { eventually } from "../tests/_child.ts";
import { hostLinks } from "../tests/_host_links.ts";
import { first } from "../tests/_pipe_contract.ts";
import { TestView, viewState } from "../tests/_view.ts";
import type { HostAddress, PipeUrl } from "./address.ts";
import type { Link, LinkListener } from "./_link.ts";
import { listen, type ListenOptions } from "./listen.ts";
import { PipeError } from "./pipe_error.ts";
import type { PipeServer } from "./server.ts";
import type { PipeTransport } from "./_transport.ts";

/** What a server tells of its addresses, by name. */
function told(server: Pick<PipeServer, "on">): string[] {
  const names: string[] = [];
  for (const type of ["listening", "addresslost", "trouble"] as const) {
    server.on(type, () => names.push(type));
  }
  return names;
}

const hosts = (server: PipeServer): readonly string[] =>
  server.addresses.map((address) => "hostname" in address ? address.hostname : "");

/** A listener that a test drives. */
class TestListener implements LinkListener {
  readonly addresses: LinkListener["addresses"];
  readonly arrivals: (Link | Error)[] = [];
  closed = false;
  #waiting: (() => void) | undefined;

  constructor(hostname: string, port: number) {
    this.addresses = [{ transport: "tcp", hostname, port: port || 4711 }];
  }

  come(arrival: Link | Error): void {
    this.arrivals.push(arrival);
    this.#waiting?.();
  }

  async accept(): Promise<Link | null> {
    while (!this.closed && this.arrivals.length === 0) {
      await new Promise<void>((resolve) => this.#waiting = resolve);
    }
    const arrival = this.arrivals.shift() ?? null;
    if (arrival instanceof Error) throw arrival;
    return arrival;
  }

  close(): Promise<void> {
    this.closed = true;
    this.#waiting?.();
    return Promise.resolve();
  }
}

/** A transport that listens where the network has an address. */
class TestTransport implements PipeTransport {
  readonly schemes = ["tcp"] as const;
  readonly listeners = new Map<string, TestListener>();
  /** Addresses that cannot be bound yet. */
  readonly tentative = new Set<string>();
  readonly #network: TestView;

  constructor(network: TestView) {
    this.#network = network;
  }

  dial(): never {
    throw new TypeError("Cannot connect: it only listens");
  }

  listen(url: PipeUrl): Promise<LinkListener> {
    const { hostname, port } = url as HostAddress;
    const known = this.#network.state.interfaces.flatMap(({ addresses }) => addresses);
    const here = hostname.startsWith("127.") || known.some(({ address }) => address === hostname);
    if (!here || this.tentative.has(hostname)) {
      return Promise.reject(new Deno.errors.AddrNotAvailable("Cannot assign requested address"));
    }
    const listener = new TestListener(hostname, port);
    this.listeners.set(hostname, listener);
    return Promise.resolve(listener);
  }
}

function networkWith(...addresses: readonly string[]): TestView {
  const view = new TestView(viewState("192.168.7.1"));
  setAddresses(view, ...addresses);
  return view;
}

function setAddresses(view: TestView, ...addresses: readonly string[]): void {
  const interfaces = [
    { name: "lo", addresses: [{ address: "127.0.0.1", prefix: 8 }] },
    { name: "eth0", addresses: addresses.map((address) => ({ address, prefix: 24 })) },
  ];
  view.change({ ...view.state, interfaces });
}

/** Lets whatever was caused by a change of the network happen. */
async function settle(): Promise<void> {
  for (let n = 0; n < 50; n++) await Promise.resolve();
}

Deno.test("an address that is not there yet is waited for, and listened on when it comes, goes and comes", async () => {
  const network = networkWith();
  const transport = new TestTransport(network);
  const options: ListenOptions = { network, transports: [transport], on: ["192.168.7.5"] };
  const listening = listen("tcp://:0", options);
  let ready = false;
  listening.then(() => ready = true);
  await settle();
  assertEquals([ready, network.subscribers], [false, 1]);
  setAddresses(network, "192.168.7.5");
  await using server = await listening;
  const names = told(server);
  assertEquals(server.url, "tcp://192.168.7.5:4711");
  setAddresses(network);
  await settle();
  assertEquals([names, hosts(server)], [["addresslost"], []]);
  // The listener is as good as before, so it is kept.
  assertEquals(transport.listeners.get("192.168.7.5")?.closed, false);
  setAddresses(network, "192.168.7.5");
  await settle();
  assertEquals([names, hosts(server)], [["addresslost", "listening"], ["192.168.7.5"]]);
  const [mine, theirs] = hostLinks({ local: "192.168.7.9", remote: "192.168.7.5" });
  transport.listeners.get("192.168.7.5")?.come(theirs);
  await (await first(server)).close();
  mine.abort();
  await server.close();
  assertEquals(network.subscribers, 0);
});

Deno.test("waiting for an address can be called off", async () => {
  const network = networkWith();
  const stop = new AbortController();
  const transports = [new TestTransport(network)];
  const listening = listen("tcp://192.168.7.5:0", { network, transports, signal: stop.signal });
  const failing = assertRejects(() => listening, Error, "enough");
  await settle();
  stop.abort(new Error("enough"));
  await failing;
  assertEquals(network.subscribers, 0);
});

Deno.test("the private addresses are followed: new ones are listened on at the same port, old ones are let go", async () => {
  const clock = new FakeClock();
  const network = networkWith("192.168.7.5", "203.0.113.5");
  const transport = new TestTransport(network);
  await using server = await listen("tcp://:0", { on: "local", network, transports: [transport], clock });
  assertEquals(hosts(server), ["127.0.0.1", "192.168.7.5"]);
  transport.tentative.add("fd00::5");
  setAddresses(network, "10.0.0.8", "203.0.113.5", "fd00::5");
  await settle();
  assertEquals(hosts(server), ["127.0.0.1", "10.0.0.8"]);
  assertEquals(transport.listeners.get("192.168.7.5")?.closed, true);
  // An address of IPv6 is there some time before it can be used, and nobody tells of that.
  transport.tentative.clear();
  clock.tick(500);
  await settle();
  assertEquals(hosts(server), ["127.0.0.1", "10.0.0.8", "fd00::5"]);
  assertEquals(server.addresses.map((address) => (address as HostAddress).port), [4711, 4711, 4711]);
});

Deno.test("a process without descriptors, and connections broken off, end no server", async () => {
  const clock = new FakeClock();
  const network = networkWith();
  const transport = new TestTransport(network);
  await using server = await listen("tcp://127.0.0.1:1", { transports: [transport], clock });
  const names = told(server);
  const listener = transport.listeners.get("127.0.0.1");
  const failure = (code: string): Error => Object.assign(new Error(code), { code });
  const next = first(server);
  listener?.come(failure("ECONNABORTED"));
  listener?.come(failure("EMFILE"));
  await eventually("the pause", () => names.length === 1 && clock.pending > 0);
  const [mine, theirs] = hostLinks({ local: "127.0.0.1", remote: "127.0.0.1" });
  listener?.come(theirs);
  clock.tick(1000);
  await (await next).close();
  assertEquals(names, ["trouble"]);
  mine.abort();
});

Deno.test("what no pause can heal ends the server and whoever waits", async () => {
  const transport = new TestTransport(networkWith());
  const server = await listen("tcp://127.0.0.1:1", { transports: [transport] });
  const waiting = assertRejects(() => first(server), PipeError, "Cannot listen on");
  transport.listeners.get("127.0.0.1")?.come(Object.assign(new Error("bad"), { code: "EINVAL" }));
  assertEquals((await waiting).code, "listen");
  await assertRejects(() => server.closed, PipeError);
  assertEquals(transport.listeners.get("127.0.0.1")?.closed, true);
  await server.close();
});

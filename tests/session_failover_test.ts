/** What a session does when the network changes, or the other end falls silent: in virtual time, over real sockets. */

import { assert, assertEquals } from "@std/assert";
import { connect, type ConnectOptions } from "../pipes/connect.ts";
import type { Link } from "../pipes/_link.ts";
import type { SessionPipe } from "../pipes/resume/session.ts";
import { tcpTransport } from "../pipes/_tcp_transport.ts";
import type { PipeTransport } from "../pipes/_transport.ts";
import { startChaosLink } from "../testing/chaos_link.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { type FakeNetwork, fakeNetwork } from "../testing/fake_network.ts";
import { watchNetwork } from "../watch/watch.ts";
import { eventually } from "./_child.ts";
import { type Served, SessionServer } from "./_session_server.ts";

/** A session over connections that look as if they went from 192.168.1.5 to 203.0.113.1, by a made-up network. */
interface Scene extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly fake: FakeNetwork;
  readonly server: SessionServer;
  readonly client: SessionPipe;
  readonly served: Served;
  /** When connections were asked for, on the monotonic clock. */
  readonly dials: number[];
  /** What the session has told, by name. */
  readonly told: string[];
  /** Whether the network lets anybody through. */
  broken: boolean;
  /** The own address of connections to come. */
  address: string;
}

function facade(link: Link, local: string): Link {
  return {
    transport: "tcp",
    unit: "bytes",
    halfClose: true,
    localAddress: { transport: "tcp", hostname: local, port: 40_000 },
    remoteAddress: { transport: "tcp", hostname: "203.0.113.1", port: 7000 },
    read: (buffer) => link.read(buffer),
    write: (data) => link.write(data),
    closeWrite: () => link.closeWrite(),
    close: () => link.close(),
    abort: () => link.abort(),
  };
}

async function scene(options: ConnectOptions = {}): Promise<Scene> {
  const clock = new FakeClock();
  const fake = fakeNetwork({ now: () => clock.now() });
  fake.change(() => {
    fake.setInterface("eth0");
    fake.setAddress("eth0", "192.168.1.5/24");
    fake.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.1" });
  });
  const watcher = await watchNetwork({ source: fake.source, clock });
  const server = await SessionServer.start("tcp://127.0.0.1:0");
  const state = { broken: false, address: "192.168.1.5" };
  const dials: number[] = [];
  const transport: PipeTransport = {
    ...tcpTransport,
    dial: (url, options) => {
      const dial = tcpTransport.dial(url, options);
      return async (how) => {
        dials.push(clock.monotonic());
        if (state.broken) throw new Deno.errors.NetworkUnreachable("Network is unreachable (os error 101)");
        return facade(await dial(how), state.address);
      };
    },
  };
  const client = await connect(server.url as `resume+tcp://${string}`, {
    ...options,
    clock,
    network: watcher,
    transports: [transport],
    session: { plain: true, ...options.session },
  });
  const served = await server.next();
  await client.send("x");
  await served.pipe.recv();
  const told: string[] = [];
  for (const type of ["suspended", "resumed", "migrated", "addresslost"] as const) {
    client.on(type, () => told.push(type));
  }
  return Object.assign(state, {
    ...{ clock, fake, server, client, served, dials, told },
    async [Symbol.asyncDispose]() {
      client.abort();
      await watcher[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await clock.tickAsync(10_000);
      assertEquals(clock.pending, 0, "timers are left");
      assertEquals(fake.open, 0, "somebody still watches");
    },
  });
}

/** Lets time pass in small steps, until something has happened; no faster than real sockets can follow. */
async function passing(clock: FakeClock, limit: number, until: () => boolean): Promise<number> {
  const begun = clock.monotonic();
  while (!until()) {
    assert(clock.monotonic() - begun < limit, `Waited in vain for ${limit} ms`);
    await clock.tickAsync(25);
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
  return clock.monotonic() - begun;
}

Deno.test("a change of the gateway brings another connection beside the one there is", async () => {
  await using all = await scene();
  const { clock, fake, told, client, server } = all;
  fake.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.254" });
  await passing(clock, 2000, () => told.length > 0);
  assertEquals([told, client.session.epoch, server.links.length], [["migrated"], 2, 2]);
});

Deno.test("a change that no connection comes of leaves the session where it is", async () => {
  await using all = await scene();
  const { clock, fake, told, dials, client, served } = all;
  all.broken = true;
  fake.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.254" });
  await passing(clock, 2000, () => dials.length > 1);
  await clock.tickAsync(1000);
  assertEquals([told, client.session.state], [[], "open"]);
  await client.send("still");
  assertEquals((await served.pipe.recv())?.length, 5);
});

Deno.test("a session whose own address is gone is suspended at once, and goes on from another one", async () => {
  await using all = await scene();
  const { clock, fake, told, client } = all;
  all.broken = true;
  fake.change(() => {
    fake.removeAddress("eth0", "192.168.1.5/24");
    fake.setDefaultRoute(4, null);
  });
  await passing(clock, 100, () => client.session.state === "suspended");
  assertEquals(told, ["addresslost", "suspended"]);
  await clock.tickAsync(5000);
  all.broken = false;
  all.address = "192.168.1.9";
  fake.change(() => {
    fake.setAddress("eth0", "192.168.1.9/24");
    fake.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.1" });
  });
  const took = await passing(clock, 3000, () => client.session.state === "open");
  assert(took <= 500, `${took} ms after the network was back`);
  assertEquals(told.slice(2), ["resumed"]);
  assertEquals((client.localAddress as Deno.NetAddr).hostname, "192.168.1.9");
});

Deno.test("without a network nobody is connected to, and with it at once", async () => {
  await using all = await scene();
  const { clock, fake, dials, client, server } = all;
  fake.setDefaultRoute(4, null);
  await clock.tickAsync(5000);
  all.broken = true;
  const before = dials.length;
  server.cut();
  await passing(clock, 1000, () => client.session.state === "suspended");
  await clock.tickAsync(25_000);
  assert(dials.length - before <= 1, `${dials.length - before} attempts without a network`);
  all.broken = false;
  fake.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.1" });
  const took = await passing(clock, 5000, () => client.session.state === "open");
  assert(took <= 3000, `${took} ms after the network was back`);
});

Deno.test("an end that falls silent with something on its way to it is left for one that answers, within five seconds", async () => {
  const clock = new FakeClock();
  await using server = await SessionServer.start("tcp://127.0.0.1:0");
  await using link = await startChaosLink({ target: new URL(server.url.replace("resume+tcp", "http")).host });
  const client = await connect(`resume+tcp://${link.address}`, {
    clock,
    session: { endpoints: [server.url] },
  });
  const { pipe } = await server.next();
  const told: string[] = [];
  for (const type of ["suspended", "migrated"] as const) client.on(type, () => told.push(type));
  await client.send("one");
  assertEquals((await pipe.recv())?.length, 3);
  await eventually("the acknowledgement", () => client.session.acknowledged === 3);
  link.setFaults({ silent: true });
  await client.send("four");
  const took = await passing(clock, 10_000, () => told.length > 0);
  assertEquals(told, ["migrated"]);
  assert(took <= 5000, `${took} ms`);
  assertEquals((await pipe.recv())?.length, 4);
  client.abort();
  await clock.tickAsync(10_000);
  assertEquals(clock.pending, 0);
});

Deno.test("an idle end that falls silent is found out by the keepalive, and told when nobody answers elsewhere either", async () => {
  const clock = new FakeClock();
  await using server = await SessionServer.start("tcp://127.0.0.1:0", { keepalive: 15_000 });
  await using link = await startChaosLink({ target: new URL(server.url.replace("resume+tcp", "http")).host });
  const client = await connect(`resume+tcp://${link.address}`, { clock });
  const { pipe } = await server.next();
  await client.send("one");
  assertEquals((await pipe.recv())?.length, 3);
  await eventually("the acknowledgement", () => client.session.acknowledged === 3);
  // A silence of a minute that is answered is none.
  for (let n = 0; n < 60; n++) {
    await clock.tickAsync(1000);
    await eventually("the answer", () => client.stats.roundTrip !== null || n < 15);
  }
  assertEquals(client.session.state, "open");
  link.setFaults({ silent: true });
  const begun = link.connections;
  const tried = await passing(clock, 30_000, () => link.connections > begun);
  assert(tried <= 20_000, `another connection after ${tried} ms`);
  await passing(clock, 10_000, () => client.session.state === "suspended");
  link.setFaults({});
  await passing(clock, 30_000, () => client.session.state === "open");
  await client.send("four");
  assertEquals((await pipe.recv())?.length, 4);
  client.abort();
  await clock.tickAsync(10_000);
  assertEquals(clock.pending, 0);
});

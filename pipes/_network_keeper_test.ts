import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { NetworkView } from "../internal/network_view.ts";
import { hostLinks } from "../tests/_host_links.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { type FakeNetwork, fakeNetwork } from "../testing/fake_network.ts";
import { watchNetwork } from "../watch/watch.ts";
import type { NetworkWatcher } from "../watch/watcher.ts";
import type { BasePipe } from "./_base_pipe.ts";
import type { Dialer, Link } from "./_link.ts";
import { checkNetworkOptions, keepPipe, type NetworkKeeperOptions } from "./_network_keeper.ts";
import { lines } from "./framing.ts";
import type { PipeEventType } from "./pipe.ts";
import { PipeError } from "./pipe_error.ts";

const WIDE = { local: "192.168.1.5", remote: "203.0.113.1" };

/** Both ends on this machine, whose address never goes. */
const HERE = { local: "127.0.0.1", remote: "127.0.0.1" };

/** A network with an interface of that address, and a watcher of it. */
async function networkOf(clock: FakeClock): Promise<{ fake: FakeNetwork; watcher: NetworkWatcher }> {
  const fake = fakeNetwork({ now: () => clock.now() });
  fake.change(() => {
    fake.setInterface("eth0");
    fake.setAddress("eth0", "192.168.1.5/24");
    fake.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.1" });
  });
  return { fake, watcher: await watchNetwork({ source: fake.source, clock }) };
}

/** Everything that a pipe tells, by name. */
function told(pipe: BasePipe): readonly string[] {
  const names: string[] = [];
  const types: readonly PipeEventType[] = [
    ...["up", "end", "error", "addresslost", "proven", "suspect", "offline", "online"] as const,
    ...["gatewaychange", "defaultinterfacechange", "addresschange", "wake"] as const,
  ];
  for (const type of types) pipe.on(type, () => names.push(type));
  return names;
}

/** Links to one place, one after the other, and their far ends. */
function place(ends = WIDE): { dial: Dialer; readonly far: readonly Link[]; first(): Link } {
  const far: Link[] = [];
  const next = (): Link => {
    const [near, other] = hostLinks(ends);
    far.push(other);
    return near;
  };
  return { dial: () => Promise.resolve(next()), far, first: next };
}

async function heard(link: Link | undefined): Promise<string> {
  return new TextDecoder().decode(await link?.read(new Uint8Array(1000)) ?? undefined);
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

Deno.test("the pipe's own address goes: it is told, and the pipe goes on over a new connection", async () => {
  const clock = new FakeClock();
  const { fake, watcher } = await networkOf(clock);
  const { dial, far, first } = place();
  const pipe = keepPipe(first(), { network: watcher, clock, framing: lines() }, { dial });
  const names = told(pipe);
  const waiting = pipe.recv();
  let up = Promise.withResolvers<void>();
  pipe.on("up", () => up.resolve());
  up = Promise.withResolvers<void>();

  fake.change(() => {
    fake.removeAddress("eth0", "192.168.1.5/24");
    fake.setDefaultRoute(4, null);
  });
  assertEquals(names, ["up", "addresslost", "gatewaychange", "defaultinterfacechange", "offline"]);
  const { state } = pipe;
  assert(state.type === "waiting");
  assertEquals([state.failure.kind, state.failure.scenario], ["address-gone", "address-gone"]);
  await pipe.send("while it waits");
  await clock.tickAsync(10_000);
  assertEquals([pipe.state.type, far.length], ["waiting", 1], "no attempt without a network");

  fake.change(() => {
    fake.setAddress("eth0", "192.168.1.5/24");
    fake.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.1" });
  });
  await clock.tickAsync(200);
  await up.promise;
  assertEquals(await heard(far[1]), "while it waits\n");
  await far[1]?.write(bytes("after\n"));
  assertEquals(new TextDecoder().decode(await waiting ?? undefined), "after");
  assertEquals(pipe.stats.reconnects, 1);
  await pipe.close();
  await watcher.close();
});

Deno.test("the address of an accepted pipe goes: the pipe ends by an error that says so", async () => {
  const clock = new FakeClock();
  const { fake, watcher } = await networkOf(clock);
  for (const options of [{ framing: lines() }, { onNetwork: { addresslost: "reconnect" } }] as const) {
    fake.setAddress("eth0", "192.168.1.5/24");
    const pipe = keepPipe(hostLinks(WIDE)[0], { network: watcher, clock, ...options });
    const reading = assertRejects(() => pipe.recv(), PipeError, "the own address 192.168.1.5 is gone");
    fake.removeAddress("eth0", "192.168.1.5/24");
    const { code, failure } = await reading;
    assertEquals([code, failure?.kind, failure?.where], ["lost", "address-gone", "local"]);
    assertEquals(pipe.state.type, "failed");
  }
  await watcher.close();
});

Deno.test("a stream without messages does not begin anew unasked, and does so when asked", async () => {
  const clock = new FakeClock();
  const { fake, watcher } = await networkOf(clock);
  const cases: readonly (readonly [NetworkKeeperOptions, string])[] = [
    [{}, "failed"],
    [{ framing: lines(), reconnect: false }, "failed"],
    [{ reconnect: false, onNetwork: { addresslost: "reconnect" } }, "failed"],
    [{ reconnect: true }, "waiting"],
    [{ onNetwork: { addresslost: "reconnect" } }, "waiting"],
    [{ framing: lines(), onNetwork: { addresslost: "keep" } }, "open"],
  ];
  for (const [options, state] of cases) {
    fake.setAddress("eth0", "192.168.1.5/24");
    const { dial, first } = place();
    const pipe = keepPipe(first(), { network: watcher, clock, ...options }, { dial });
    fake.removeAddress("eth0", "192.168.1.5/24");
    assertEquals(pipe.state.type, state, Deno.inspect(options));
    pipe.abort();
  }
  await watcher.close();
});

Deno.test("the policy of an event is a reaction, or a function that is called after the handlers", async () => {
  const clock = new FakeClock();
  const { fake, watcher } = await networkOf(clock);
  const order: string[] = [];
  const { dial, far, first } = place();
  const pipe = keepPipe(first(), {
    network: watcher,
    clock,
    onNetwork: {
      gatewaychange: (event, of) => {
        order.push(`policy ${event.type} ${of === pipe as unknown}`);
        return order.length > 2 ? "close" : "reconnect";
      },
    },
  }, { dial });
  pipe.on("gatewaychange", ({ to }) => order.push(`handler ${to?.gateway}`));
  const again = new Promise<void>((resolve) => pipe.on("up", (event) => event.reconnects === 1 && resolve()));
  fake.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.2" });
  assertEquals(order, ["handler 192.168.1.2", "policy gatewaychange true"]);
  await again;
  assertEquals(far.length, 2);
  fake.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.3" });
  const { state } = pipe;
  assert(state.type === "failed");
  assertEquals(
    [state.error.message, state.error.failure?.kind],
    ["Cannot go on with tcp://203.0.113.1:2: the gateway is another one", "reset"],
  );
  await watcher.close();
});

Deno.test("a policy that throws, or says what nobody knows, is told, and the default counts", async () => {
  const clock = new FakeClock();
  const { fake, watcher } = await networkOf(clock);
  const errors: string[] = [];
  const pipe = keepPipe(hostLinks(WIDE)[0], {
    network: watcher,
    clock,
    onNetwork: {
      gatewaychange: () => {
        throw new Error("no idea");
      },
      offline: () => "perhaps" as "keep",
    },
  });
  pipe.on("error", ({ error, fatal }) => errors.push(`${error} ${fatal}`));
  fake.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.2" });
  fake.setDefaultRoute(4, null);
  assertEquals(pipe.state.type, "open");
  assertEquals(
    errors,
    [
      "Error: no idea false",
      'TypeError: Cannot react to offline: it must be "keep", "reconnect", "close" or nothing, got "perhaps" false',
      // The gateway is gone as well.
      "Error: no idea false",
    ].toSorted((a) => a.startsWith("TypeError") ? 1 : -1),
  );
  pipe.abort();
  await watcher.close();
});

Deno.test("options that make no sense are refused, with what was given", () => {
  assertThrows(
    () => checkNetworkOptions({ onNetwork: { wake: "sleep" as "keep" } }),
    TypeError,
    'onNetwork.wake must be a function, "keep", "reconnect" or "close", got "sleep"',
  );
  assertThrows(
    () => checkNetworkOptions({ heartbeat: {} as { ping: () => Promise<void> } }),
    TypeError,
    "heartbeat.ping must be a function, got undefined",
  );
  checkNetworkOptions({ onNetwork: { wake: "close" } });
});

Deno.test("thousands of pipes share one subscription, which ends with the last of them", async () => {
  const clock = new FakeClock();
  const { fake, watcher } = await networkOf(clock);
  let subscriptions = 0;
  const network: NetworkView = {
    get state() {
      return watcher.state;
    },
    online: (options) => watcher.online(options),
    wake: () => watcher.wake(),
    subscribe(handler) {
      subscriptions++;
      const subscription = watcher.subscribe(handler);
      return { [Symbol.dispose]: () => (subscriptions--, subscription[Symbol.dispose]()) };
    },
  };
  const pipes = Array.from({ length: 2000 }, () => keepPipe(hostLinks(WIDE)[0], { network, clock }));
  assertEquals(subscriptions, 1);
  let gateways = 0;
  for (const pipe of pipes) pipe.on("gatewaychange", () => gateways++);
  fake.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.2" });
  assertEquals(gateways, 2000);
  for (const pipe of pipes.slice(1)) pipe.abort();
  assertEquals(subscriptions, 1);
  await pipes[0]?.close();
  assertEquals(subscriptions, 0);
  await watcher.close();
});

Deno.test("without a network a lost address is found on suspicion, and by a look now and then", async () => {
  const clock = new FakeClock();
  const nowhere = { local: "192.0.2.77", remote: "203.0.113.1" };
  const { dial, far, first } = place(nowhere);
  const pipe = keepPipe(first(), { clock, framing: lines() }, { dial });
  const names = told(pipe);
  const waiting = pipe.recv();
  far[0]?.abort();
  const again = new Promise<void>((resolve) => pipe.on("up", (event) => event.reconnects === 1 && resolve()));
  await again;
  assertEquals(names, ["up", "addresslost", "up"]);
  await far[1]?.write(bytes("on\n"));
  assertEquals(new TextDecoder().decode(await waiting ?? undefined), "on");

  await clock.tickAsync(5000);
  assertEquals(names.filter((name) => name === "addresslost").length, 2);
  assertEquals(pipe.stats.reconnects, 2);
  await pipe.close();
});

Deno.test("a loss ends the pipe, or is healed where that was asked for, as often as the options say", async () => {
  const { first, far } = place(HERE);
  const plain = keepPipe(first(), { framing: lines() }, { dial: place(HERE).dial });
  const reading = assertRejects(() => plain.recv(), PipeError);
  far[0]?.abort();
  assertEquals((await reading).failure?.kind, "reset");

  const clock = new FakeClock();
  const refused = () =>
    Promise.reject(new Deno.errors.ConnectionRefused("Connection refused (os error 111)"));
  for (const [reconnect, attempts] of [[{ maxAttempts: 3 }, 3], [true, 20]] as const) {
    let tried = 0;
    const home = place(HERE);
    const pipe = keepPipe(home.first(), { framing: lines(), reconnect, clock }, {
      dial: () => (++tried, refused()),
    });
    const failed = pipe.recv().then(() => null, (error) => error);
    home.far[0]?.abort();
    await clock.tickAsync(600_000);
    assert(tried >= attempts, `${tried} attempts`);
    if (reconnect === true) {
      assertEquals(pipe.state.type, "waiting");
      await pipe.close();
      assertEquals((await failed).code, "closed");
    } else {
      assertEquals([tried, (await failed).failure.kind], [3, "refused"]);
    }
  }
});

Deno.test("what was sent and not written goes out whole over the new connection; half a message that came is dropped", async () => {
  const clock = new FakeClock();
  const { dial, far, first } = place(HERE);
  const pipe = keepPipe(first(), { framing: lines(), reconnect: true, clock }, { dial });
  const big = "x".repeat(100_000);
  // The first one fills what the link holds, so the others have not begun.
  const sending = Promise.all([pipe.send(big), pipe.send("second"), pipe.send("third")]);
  await far[0]?.write(bytes("half a mess"));
  const next = pipe.recv();
  const up = new Promise<void>((resolve) => pipe.on("up", ({ reconnects }) => reconnects === 1 && resolve()));
  pipe.lose(new Deno.errors.ConnectionReset("Connection reset by peer (os error 104)"));
  await up;
  let arrived = "";
  while (!arrived.endsWith("third\n")) arrived += await heard(far[1]);
  assertEquals(arrived, `${big}\nsecond\nthird\n`);
  await sending;
  assertEquals(pipe.bufferedAmount, 0);
  await far[1]?.write(bytes("a whole one\n"));
  assertEquals(new TextDecoder().decode(await next ?? undefined), "a whole one");
  await pipe.close();
});

Deno.test("bytes without framing that were being written are dropped, and the rest goes out", async () => {
  const { dial, far, first } = place(HERE);
  const pipe = keepPipe(first(), { reconnect: true }, { dial });
  const sending = Promise.all([pipe.send(new Uint8Array(100_000)), pipe.send("rest")]);
  const up = new Promise<void>((resolve) => pipe.on("up", ({ reconnects }) => reconnects === 1 && resolve()));
  pipe.lose(new Deno.errors.ConnectionReset("Connection reset by peer (os error 104)"));
  await up;
  assertEquals(await heard(far[1]), "rest");
  await sending;
  assertEquals(pipe.bufferedAmount, 0);
  await pipe.close();
});

Deno.test("a pipe that is closed while it waits leaves nothing behind, and a link that comes late is ended", async () => {
  const { first, far } = place(HERE);
  const late = Promise.withResolvers<Link>();
  let signal: AbortSignal | undefined;
  const pipe = keepPipe(first(), { framing: lines(), reconnect: true }, {
    dial: (options) => {
      signal = options.signal;
      return late.promise;
    },
  });
  const reading = assertRejects(() => pipe.recv(), PipeError, "it is closed");
  far[0]?.abort();
  while (!signal) await Promise.resolve();
  await pipe.close();
  assertEquals(signal.aborted, true);
  const [near, other] = hostLinks(HERE);
  late.resolve(near);
  await assertRejects(() => other.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
  await reading;
  await pipe.closed;
});

Deno.test("after a clean end, or when one direction was closed, nothing is connected again", async () => {
  let dialled = 0;
  const dial: Dialer = () => Promise.reject(new Error(`dialled ${++dialled}`));
  const { first, far } = place(HERE);
  const ended = keepPipe(first(), { framing: lines(), reconnect: true }, { dial });
  await far[0]?.closeWrite();
  assertEquals(await ended.recv(), null);
  await ended.close();
  const half = keepPipe(first(), { framing: lines(), reconnect: true }, { dial });
  await half.closeWrite();
  const reading = assertRejects(() => half.recv(), PipeError);
  far[1]?.abort();
  assertEquals((await reading).code, "lost");
  assertEquals(dialled, 0);
});

Deno.test("a heartbeat proves the other end, suspects it, and gives the connection up", async () => {
  const clock = new FakeClock();
  const { dial, far, first } = place(HERE);
  const pings: number[] = [];
  let answers = true;
  const pipe = keepPipe(first(), {
    clock,
    framing: lines(),
    reconnect: true,
    heartbeat: {
      ping: (of, signal) => {
        pings.push(clock.monotonic());
        assertEquals([of === pipe as unknown, signal.aborted], [true, false]);
        return answers ? Promise.resolve() : new Promise(() => {});
      },
      interval: 1000,
      timeout: 500,
    },
  }, { dial });
  const names = told(pipe);
  await clock.tickAsync(1000);
  assertEquals([pings, pipe.proven, names.join(" ")], [[1000], true, "up proven"]);
  assertEquals(pipe.stats.roundTrip, 0);
  // Whatever is received is a sign of life.
  await clock.tickAsync(900);
  const reading = pipe.recv();
  await far[0]?.write(bytes("hello\n"));
  await reading;
  await clock.tickAsync(900);
  assertEquals(pings.length, 1);
  answers = false;
  await clock.tickAsync(100 + 500);
  assertEquals([pipe.proven, pings.length], [false, 3]);
  await clock.tickAsync(500);
  assertEquals(names.join(" "), "up proven suspect up");
  assertEquals([pipe.stats.reconnects, far.length], [1, 2]);
  // The new connection has a heartbeat of its own.
  answers = true;
  await clock.tickAsync(1000);
  assertEquals([pipe.proven, pings.length], [true, 4]);
  await pipe.close();
});

Deno.test("an interface that the view hides is no lost address, at first, after changes and on a loss", async () => {
  const [real] = Deno.networkInterfaces().filter(({ address, family }) =>
    family === "IPv4" && !address.startsWith("127.")
  );
  // Where there is nothing but a loopback, nothing can be hidden.
  if (!real) return;
  const clock = new FakeClock();
  const { fake, watcher } = await networkOf(clock);
  const { first, far } = place({ local: real.address, remote: "203.0.113.1" });
  const pipe = keepPipe(first(), { network: watcher, clock, framing: lines() });
  const names = told(pipe);
  await Promise.resolve();
  fake.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.2" });
  // Until all has settled.
  await clock.tickAsync(5000);
  const reading = assertRejects(() => pipe.recv(), PipeError);
  far[0]?.abort();
  assertEquals((await reading).code, "lost");
  assertEquals(names.includes("addresslost"), false);
  await watcher.close();
});

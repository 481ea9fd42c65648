/** Peers that come late, crash, sleep, are slow, or leave: no message is lost without its sender knowing. */

import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { memoryStore, type Store } from "../internal/store.ts";
import { formatCard } from "../signal/card.ts";
import { DeliveryError } from "../signal/delivery_error.ts";
import type { SignalPeer } from "../signal/signal_peer.ts";
import type { Presence } from "../signal/peer_options.ts";
import { browserNetwork } from "../internal/network_view.ts";
import { scale } from "./_require.ts";
import { Received, scenario, type SignalWorld, Stream } from "./_signal_world.ts";

/** A process that dies: what it would have sent and heard from now on is nothing. */
async function crash(world: SignalWorld, peer: SignalPeer): Promise<void> {
  const blocked = world.brokers.all.map(({ faults }) => faults.forget);
  for (const { faults } of world.brokers.all) faults.forget = true;
  await peer.close();
  world.brokers.all.forEach(({ faults }, i) => faults.forget = blocked[i] ?? false);
}

/** A store that stays when the peer is closed. */
function shared(store: Store): Store {
  return { ...store, [Symbol.asyncDispose]: () => Promise.resolve() };
}

scenario(
  "S11: a contact card brings a sender to brokers that are not its own",
  { brokers: [3, 4] },
  async ({ world }) => {
    const [a, b, ...rest] = world.brokers.all;
    assert(a && b);
    const connect = (url: string) => {
      const broker = world.brokers.all.find((one) => one.url === url);
      assert(broker);
      return broker;
    };
    const bob = await world.join("bob", { brokers: rest });
    const anna = await world.join("anna", { brokers: [a, b], connect });
    const carl = await world.join("carl", { brokers: [a, b] });
    const card = formatCard(world.identity("bob"), { brokers: rest.map(({ url }) => url) });
    const received = new Received(world, bob);
    const stream = new Stream(world, anna, card);
    await stream.sendMany(20, 10);
    await world.pass(1_000);
    stream.assertExact(received);
    const error = await assertRejects(() => carl.send(card, "hello"), DeliveryError);
    assertEquals(error.code, "unreachable");
    assert(error.message.includes(rest[0]?.url ?? "-"), error.message);
  },
);

scenario(
  "S16: a recipient that dies after its handler and before it can say so does not get the message again",
  {},
  async ({ world }) => {
    const store = memoryStore();
    const anna = await world.join("anna");
    const first = await world.join("bob", { store: shared(store) });
    const received = new Received(world, first);
    const stream = new Stream(world, anna, first.id);
    await stream.sendMany(20, 10);
    await world.pass(500);
    stream.assertExact(received);
    // From now on nothing that bob says arrives.
    world.brokers.all.forEach((broker) => broker.faults.delay = 100);
    stream.send("handled and never acknowledged");
    await world.clock.run(world.clock.monotonic() + 105);
    assertEquals(received.texts.at(-1), "handled and never acknowledged");
    await crash(world, first);
    world.brokers.all.forEach((broker) => broker.faults.delay = 1);
    await world.pass(1_000);
    const again = await world.join("bob", { store: shared(store) });
    const afterwards = new Received(world, again);
    stream.send("after");
    await world.pass(20_000);
    assertEquals(afterwards.texts, ["after"]);
    assertEquals(stream.delivered, stream.sent.length);
  },
);

scenario(
  "S17: a sender that dies with a hundred messages on their way delivers each once after it is back",
  {},
  async ({ world }) => {
    const store = memoryStore();
    const bob = await world.join("bob");
    const received = new Received(world, bob);
    const first = await world.join("anna", { store: shared(store) });
    const stream = new Stream(world, first, bob.id);
    await stream.sendMany(20, 10);
    await world.pass(500);
    // Some arrive without anna hearing of it, some do not.
    for (const broker of world.brokers.all) broker.faults.drop = 0.5;
    for (let i = 0; i < 100; i++) stream.send(`kept ${i}`);
    await world.pass(Math.floor(100 * world.random()));
    await crash(world, first);
    for (const broker of world.brokers.all) broker.faults.drop = 0;
    assertEquals(stream.failed.length + stream.delivered, 120);
    const again = await world.join("anna", { store: shared(store) });
    await world.pass(20_000);
    const later = new Stream(world, again, bob.id);
    await later.sendMany(5, 10);
    await world.pass(5_000);
    assertEquals(received.texts, [...stream.sent, ...later.sent]);
    assertEquals(later.delivered, 5);
  },
);

scenario("S17: a store used by a second process is noticed, and no number is used twice", {
  brokers: [2],
  seeds: 1,
}, async ({ world }) => {
  const store = memoryStore();
  const bob = await world.join("bob");
  const received = new Received(world, bob);
  const one = await world.join("anna", { store: shared(store) });
  const two = await world.join("anna", { store: shared(store) });
  await world.pass(100);
  const first = new Stream(world, one, bob.id);
  const second = new Stream(world, two, bob.id);
  first.send("from one");
  await world.pass(1_000);
  second.send("from two");
  await world.pass(5_000);
  assertEquals(received.texts, ["from one"]);
  const [error] = second.failed;
  assertInstanceOf(error, Error);
  assert(error.message.includes("another process"), error.message);
});

scenario("S18: wall clocks that are wrong and jump change nothing", {}, async ({ world }) => {
  let jump = 86_400_000;
  const skewed = (by: () => number) => ({
    now: () => world.clock.now() + by(),
    monotonic: () => world.clock.monotonic(),
    after: (ms: number, callback: () => void) => world.clock.after(ms, callback),
  });
  const anna = await world.join("anna", { clock: skewed(() => -jump) });
  const bob = await world.join("bob", { clock: skewed(() => jump) });
  const received = new Received(world, bob);
  const stream = new Stream(world, anna, bob.id);
  for (let i = 0; i < 50; i++) {
    stream.send();
    jump = -2 * jump * world.random();
    await world.pass(20);
  }
  await world.pass(2_000);
  stream.assertExact(received);
});

scenario(
  "S22: a recipient that comes half a minute late gets its mail within a second of its hello",
  {},
  async ({ world }) => {
    const anna = await world.join("anna");
    const stream = new Stream(world, anna, world.identity("bob").id);
    await world.pass(100);
    for (let i = 0; i < 10; i++) stream.send();
    await world.pass(30_000 + 3_000 * world.random());
    const start = world.clock.monotonic();
    const bob = await world.join("bob");
    const received = new Received(world, bob);
    await world.pass(3_000);
    stream.assertExact(received);
    const took = (received.times.at(-1) ?? Infinity) - start;
    assert(took <= 1_000, `after ${took} ms`);
  },
);

scenario(
  "S22: a recipient that restarts without its channel gets its mail within a second of its hello",
  {},
  async ({ world }) => {
    const anna = await world.join("anna");
    const first = await world.join("bob");
    new Received(world, first);
    const before = new Stream(world, anna, first.id);
    await before.sendMany(10, 10);
    await world.pass(500);
    await crash(world, first);
    const stream = new Stream(world, anna, first.id);
    for (let i = 0; i < 10; i++) stream.send();
    await world.pass(20_000);
    const start = world.clock.monotonic();
    const received = new Received(world, await world.join("bob"));
    await world.pass(3_000);
    stream.assertExact(received);
    const took = (received.times.at(-1) ?? Infinity) - start;
    assert(took <= 1_000, `after ${took} ms`);
  },
);

scenario(
  "S23: a slow recipient slows its sender, and nothing piles up",
  { brokers: [1, 3], seeds: 1 },
  async ({ world }) => {
    const [anna, bob] = await world.pair();
    let handled = 0;
    bob.handle(() =>
      new Promise<void>((resolve) => void world.clock.after(1_000, () => resolve(void handled++)))
    );
    let settled = 0;
    let most = 0;
    let sent = 0;
    const sender = (async () => {
      for (; sent < 800; sent++) {
        // Each waits for room only: what is sent is not waited for.
        anna.send(bob.id, new Uint8Array(1_000), { ttl: 3_600_000 }).then(() => settled++, () => {});
        while ((anna.status().peers[0]?.outbox ?? 0) >= 256) {
          await new Promise<void>((resolve) => void world.clock.after(500, resolve));
        }
        most = Math.max(most, anna.status().peers[0]?.bytes ?? 0);
      }
    })();
    await world.pass(200_000);
    // At most what the recipient has done with, what it has credit for, and what the outbox holds.
    assert(sent <= handled + 256 + 256 + 2, `${sent} sent while ${handled} were handled`);
    assert(handled >= 190, `${handled} handled`);
    assert(most <= 1_048_576, `${most} bytes`);
    await world.pass(800_000);
    await sender;
    assertEquals([handled, settled], [800, 800]);
  },
);

scenario(
  "S24: a hundred thousand sends while all brokers are down stay within their bounds, and none comes late",
  {
    brokers: [2],
    seeds: 1,
  },
  async ({ world }) => {
    const [anna, bob] = await world.pair();
    const received = new Received(world, bob);
    for (const broker of world.brokers.all) broker.kill();
    await world.pass(10);
    const ends = new Map<string, number>();
    const count = scale(5_000, 100_000);
    let waiting = 0;
    for (let i = 0; i < count; i++) {
      waiting++;
      anna.send(bob.id, `stale ${i}`, { ttl: 10_000 }).catch((error: DeliveryError) => {
        waiting--;
        ends.set(error.code, (ends.get(error.code) ?? 0) + 1);
      });
      if (i % 1_000 === 0) await world.clock.settle();
    }
    await world.clock.settle();
    assertEquals(anna.status().peers[0]?.outbox, 256);
    assertEquals([waiting, ends.get("queue-full")], [256 + 1_024, count - 256 - 1_024]);
    await world.pass(11_000);
    assertEquals([waiting, ends.get("expired")], [0, 256 + 1_024]);
    for (const broker of world.brokers.all) broker.start();
    const stream = new Stream(world, anna, bob.id);
    stream.send("fresh");
    await world.pass(5_000);
    assertEquals(received.texts, ["fresh"]);
    stream.assertExact(received);
  },
);

scenario("S25: after a change of the network all brokers are looked at at once", {}, async ({ world }) => {
  const page = new EventTarget();
  const navigator = { onLine: true };
  using network = browserNetwork(page, navigator);
  const anna = await world.join("anna", { network });
  const bob = await world.join("bob");
  const received = new Received(world, bob);
  const stream = new Stream(world, anna, bob.id, { ttl: 120_000 });
  await stream.sendMany(20, 10);
  await world.pass(500);
  // Half-open: everything was well before the machine slept, and nobody has noticed yet.
  for (const broker of world.brokers.all) broker.faults.blackHole = true;
  navigator.onLine = false;
  page.dispatchEvent(new Event("offline"));
  await world.pass(60_000);
  await stream.sendMany(20, 10);
  for (const broker of world.brokers.all) broker.faults.blackHole = false;
  navigator.onLine = true;
  page.dispatchEvent(new Event("online"));
  await world.pass(1_000);
  assertEquals(anna.status().brokers.map(({ state }) => state), world.brokers.all.map(() => "up"));
  await world.pass(5_000);
  stream.assertExact(received);
});

scenario(
  "S29: a broker that fires everybody's last will makes nobody leave",
  { brokers: [2, 3, 4] },
  async ({ world }) => {
    const [anna, bob] = await world.pair();
    const seen: Presence[] = [];
    using _presence = anna.on("presence", ({ presence }) => seen.push(presence));
    using _watch = anna.watch(bob.id);
    await world.pass(100);
    await world.pass(70_000);
    assertEquals(anna.presence(bob.id), "online");
    world.broker(0).fireWills();
    await world.pass(100);
    assertEquals(anna.presence(bob.id), "suspect");
    world.broker(0).kill();
    world.broker(0).start();
    await world.pass(3_000);
    assertEquals(anna.presence(bob.id), "online");
    assertEquals(seen.includes("offline"), false, seen.join(" "));
  },
);

scenario(
  "S30: the last will of an earlier life says nothing about this one",
  { brokers: [1, 2, 3] },
  async ({ world }) => {
    const anna = await world.join("anna");
    using _watch = anna.watch(world.identity("bob").id);
    const wills: { topic: string; payload: Uint8Array }[] = [];
    await world.pass(100);
    const first = await world.join("bob");
    await world.pass(100);
    world.broker(0).onPublish = (packet) => wills.push(packet);
    world.broker(0).fireWills();
    world.broker(0).onPublish = undefined;
    await crash(world, first);
    await world.join("bob");
    await world.pass(3_000);
    assertEquals(anna.presence(first.id), "online");
    assert(wills.length > 0);
    for (const { topic, payload } of wills) world.broker(0).publish(topic, payload);
    await world.pass(100);
    assertEquals(anna.presence(first.id), "online");
  },
);

scenario("a peer that says goodbye is offline, and one that is silent is so after a while", {
  brokers: [1, 3],
}, async ({ world }) => {
  const [anna, bob] = await world.pair();
  const carl = await world.join("carl");
  const seen: string[] = [];
  using _presence = anna.on(
    "presence",
    ({ peer, presence }) => seen.push(`${peer === bob.id ? "bob" : "carl"} ${presence}`),
  );
  using _bob = anna.watch(bob.id);
  using _carl = anna.watch(carl.id);
  await world.pass(80_000);
  await bob.close();
  await world.pass(100);
  await crash(world, carl);
  await world.pass(300_000);
  assertEquals(seen.filter((line) => line.startsWith("bob")), ["bob online", "bob offline"]);
  assertEquals(seen.filter((line) => line.startsWith("carl")), [
    "carl online",
    "carl suspect",
    "carl offline",
  ]);
});

scenario("S32: two peers that begin at the same moment understand each other", {}, async ({ world }) => {
  const [anna, bob] = await world.pair();
  await world.pass(100);
  const [atAnna, atBob] = [new Received(world, anna), new Received(world, bob)];
  const [one, two] = [new Stream(world, anna, bob.id), new Stream(world, bob, anna.id)];
  for (let i = 0; i < 20; i++) {
    one.send();
    two.send();
  }
  await world.pass(1_000);
  one.assertExact(atBob);
  two.assertExact(atAnna);
  assert((atBob.times[0] ?? Infinity) < 1_000);
});

scenario(
  "S33: a large message passes brokers of small packets, also where pieces are lost",
  {},
  async ({ world }) => {
    for (const broker of world.brokers.all) {
      Object.assign(broker.faults, {
        maxPacket: 8_192,
        drop: 0.2,
        spread: 5,
      });
    }
    const [anna, bob] = await world.pair();
    const got: Uint8Array[] = [];
    bob.handle((message) => void got.push(message.data));
    const large = Uint8Array.from({ length: 65_536 }, (_, i) => i * 7 + (i >> 8));
    const largest = new Uint8Array(262_144).fill(9);
    const sent = Promise.all([
      anna.send(bob.id, large),
      anna.send(bob.id, new Uint8Array(0)),
      anna.send(bob.id, largest),
    ]);
    await world.pass(60_000);
    await sent;
    assertEquals(got, [large, new Uint8Array(0), largest]);
    await assertRejects(
      () => anna.send(bob.id, new Uint8Array(262_145)),
      RangeError,
      "262144 bytes, got 262145",
    );
  },
);

scenario(
  "S34: while no acknowledgement gets through nothing arrives twice, and then all is well",
  {},
  async ({ world }) => {
    const [anna, bob] = await world.pair();
    const received = new Received(world, bob);
    const stream = new Stream(world, anna, bob.id);
    await stream.sendMany(20, 10);
    await world.pass(500);
    // What bob publishes goes nowhere; what anna does arrives.
    for (const broker of world.brokers.all) broker.mute(world.topicOf("anna"));
    await stream.sendMany(100, 100);
    assertEquals(received.texts, stream.sent);
    for (const broker of world.brokers.all) broker.mute(undefined);
    await world.pass(10_000);
    stream.assertExact(received);
  },
);

scenario(
  "S37: a message whose handler throws is done with or comes again, as was asked for",
  {},
  async ({ world }) => {
    const nothing = (): void => {};
    const errors: string[] = [];
    const logger = {
      debug: nothing,
      info: nothing,
      warn: nothing,
      error: (m: string) => errors.push(m),
      critical: nothing,
    };
    const anna = await world.join("anna");
    const bob = await world.join("bob", { logger });
    const got: string[] = [];
    let failures = 3;
    const handled = bob.handle((message) => {
      got.push(message.text());
      if (message.text() === "bad" && failures-- > 0) throw new Error("Cannot handle it");
    }, { failed: "redeliver" });
    const stream = new Stream(world, anna, bob.id, { ack: "handled" });
    for (const text of ["good", "bad", "after"]) stream.send(text);
    await world.pass(500);
    assertEquals(stream.delivered, 1);
    await world.pass(20_000);
    assertEquals(got, ["good", "bad", "bad", "bad", "bad", "after"]);
    assertEquals([stream.delivered, errors.length], [3, 3]);
    handled[Symbol.dispose]();
    failures = 1;
    bob.handle((message) => {
      got.push(message.text());
      if (failures-- > 0) throw new Error("Cannot handle it");
    });
    stream.send("lost on purpose");
    stream.send("next");
    await world.pass(2_000);
    assertEquals(got.slice(-2), ["lost on purpose", "next"]);
    assertEquals(stream.delivered, 5);
  },
);

scenario(
  "S38: closing while messages are sent again settles them, and leaves nothing",
  {},
  async ({ world }) => {
    const [anna, bob] = await world.pair();
    new Received(world, bob);
    const stream = new Stream(world, anna, bob.id);
    await stream.sendMany(10, 10);
    await world.pass(500);
    for (const broker of world.brokers.all) broker.faults.forget = true;
    for (let i = 0; i < 300; i++) stream.send();
    const request = anna.request(bob.id, "question").catch((error) => error);
    await world.pass(3_000 * world.random());
    await anna.close();
    await bob.close();
    await world.clock.settle();
    assertEquals(stream.delivered, 10);
    assertEquals(stream.failed.length, 300);
    for (const error of [...stream.failed, await request]) {
      assertInstanceOf(error, DeliveryError);
      assertEquals(error.code, "closed");
    }
    await assertRejects(() => anna.send(bob.id, "too late"), DeliveryError, "was closed");
  },
);

scenario("two processes of one identity: each message reaches one of them, and the other takes over", {
  brokers: [1, 3],
}, async ({ world }) => {
  const anna = await world.join("anna");
  const [one, two] = [await world.join("bob"), await world.join("bob")];
  const [atOne, atTwo] = [new Received(world, one), new Received(world, two)];
  const stream = new Stream(world, anna, one.id);
  await stream.sendMany(20, 10);
  await world.pass(1_000);
  assertEquals(stream.delivered, 20);
  const [first, second, live] = atOne.texts.length > 0 ? [atOne, atTwo, one] : [atTwo, atOne, two];
  assertEquals([first.texts, second.texts], [stream.sent, []]);
  await crash(world, live);
  await stream.sendMany(20, 10);
  await world.pass(20_000);
  assertEquals([first.texts, second.texts], [stream.sent.slice(0, 20), stream.sent.slice(20)]);
  assertEquals(stream.delivered, 40);
});

scenario("messages wait for the one before them until it expires, and no longer", {}, async ({ world }) => {
  const [anna, bob] = await world.pair();
  const received = new Received(world, bob);
  const stream = new Stream(world, anna, bob.id);
  await stream.sendMany(5, 10);
  await world.pass(500);
  // No broker takes the large one; the small ones behind it arrive, and are acknowledged.
  for (const broker of world.brokers.all) broker.faults.maxPacket = 1_500;
  const start = world.clock.monotonic();
  const large = anna.send(bob.id, new Uint8Array(3_000), { ttl: 3_000 }).catch((error) => error);
  await stream.sendMany(10, 10);
  await world.pass(1_000);
  assertEquals([received.texts.length, stream.delivered], [5, 15]);
  await world.pass(5_000);
  assertInstanceOf(await large, DeliveryError);
  stream.assertExact(received);
  const waited = (received.times.at(-1) ?? Infinity) - start;
  assert(waited >= 3_000 && waited <= 3_500, `after ${waited} ms`);
});

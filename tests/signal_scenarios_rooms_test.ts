/** Rooms of many, requests, and how little is said while nothing happens. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { roomPlace } from "../signal/_notice.ts";
import { DeliveryError } from "../signal/delivery_error.ts";
import type { Room } from "../signal/room.ts";
import type { SignalPeer } from "../signal/signal_peer.ts";
import { scale } from "./_require.ts";
import { Received, scenario, type SignalWorld, Stream } from "./_signal_world.ts";

/** Stretched once: it takes a quarter of a second. */
const place = await roomPlace("kitchen", "a secret of the room");

async function enter(world: SignalWorld, name: string): Promise<[SignalPeer, Room]> {
  const peer = await world.join(name);
  return [peer, await peer.enter("kitchen", { place })];
}

scenario("S31: a room of many is silent while nothing happens, and meets a newcomer within a second", {
  brokers: [1, 3],
  seeds: 1,
}, async ({ world }) => {
  const count = scale(12, 50);
  const rooms: Room[] = [];
  for (let i = 0; i < count; i++) {
    rooms.push((await enter(world, `member ${i}`))[1]);
    await world.pass(50 * world.random());
  }
  await world.pass(10_000);
  for (const room of rooms) assertEquals(room.members.length, count - 1);
  const before = world.brokers.published;
  await world.pass(600_000);
  const published = world.brokers.published - before;
  assert(published <= 10 * count, `${published} packets by ${count} members in ten minutes`);
  const [, late] = await enter(world, "newcomer");
  await world.pass(1_000);
  assertEquals(late.members.length, count);
  for (const room of rooms) assertEquals(room.members.length, count);
  await late.close();
  await world.pass(100);
  for (const room of rooms) assertEquals(room.members.length, count - 1);
});

scenario("a message to a room reaches every member once and in order, whichever broker dies", {
  brokers: [2, 3],
}, async ({ world }) => {
  const [, atAnna] = await enter(world, "anna");
  const [bob, atBob] = await enter(world, "bob");
  const [carl, atCarl] = await enter(world, "carl");
  await world.pass(2_000);
  const got = new Map<Room, string[]>();
  for (const room of [atBob, atCarl]) {
    const texts: string[] = [];
    got.set(room, texts);
    room.handle((message) =>
      void texts.push(`${message.from === world.identity("anna").id} ${message.text()}`)
    );
  }
  const direct = new Received(world, bob);
  const sent = Array.from({ length: 40 }, (_, i) => `room ${i}`);
  const receipts: number[] = [];
  for (const text of sent) {
    atAnna.send(text).then(({ delivered, failed }) => receipts.push(delivered.length - failed.length));
    await world.pass(10);
    if (text === "room 20") world.broker(0).kill();
  }
  await world.pass(3_000);
  for (const texts of got.values()) assertEquals(texts, sent.map((text) => `true ${text}`));
  assertEquals(receipts, sent.map(() => 2));
  // Who does not know the secret cannot speak in the room, nor is what he says taken for a message of another kind.
  assertEquals(direct.texts, []);
  void carl;
});

scenario(
  "who does not know a room's secret is no member and hears nothing",
  { brokers: [1, 2] },
  async ({ world }) => {
    const [, atAnna] = await enter(world, "anna");
    const eve = await world.join("eve");
    const other = await eve.enter("kitchen", { place: { ...place, key: new Uint8Array(32) } });
    await world.pass(5_000);
    assertEquals([atAnna.members, other.members], [[], []]);
    await assertRejects(() => eve.enter("kitchen", {}), TypeError, "its secret is missing");
  },
);

scenario(
  "a request is answered, refused by its deadline, and answered to the one who asked",
  {},
  async ({ world }) => {
    const [anna, bob] = await world.pair();
    bob.handle((message) => {
      if (message.text() !== "silence") return message.reply(`answer to ${message.text()}`);
    });
    for (const broker of world.brokers.all) broker.faults.drop = 0.2;
    const answers: Promise<string>[] = [];
    for (let i = 0; i < 20; i++) {
      answers.push(anna.request(bob.id, `question ${i}`).then((message) => message.text()));
      await world.pass(20);
    }
    const silence = anna.request(bob.id, "silence", { ttl: 3_000 }).catch((error) => error);
    const gone = anna.request(world.identity("nobody").id, "hello", { ttl: 2_000 }).catch((error) => error);
    await world.pass(60_000);
    assertEquals(await Promise.all(answers), answers.map((_, i) => `answer to question ${i}`));
    for (const error of [await silence, await gone]) {
      assert(error instanceof DeliveryError);
      assertEquals(error.code, "expired");
    }
  },
);

scenario(
  "a request and a message that are called off reject with the reason, and later ones still arrive",
  {},
  async ({ world }) => {
    const [anna, bob] = await world.pair();
    const received = new Received(world, bob);
    const stream = new Stream(world, anna, bob.id);
    await stream.sendMany(3, 10);
    await world.pass(300);
    for (const broker of world.brokers.all) broker.faults.forget = true;
    const controller = new AbortController();
    const reason = new Error("Cannot go on: changed my mind");
    const message = anna.send(bob.id, "never", { signal: controller.signal }).catch((error) => error);
    const request = anna.request(bob.id, "never", { signal: controller.signal }).catch((error) => error);
    await world.pass(500);
    controller.abort(reason);
    assertEquals([await message, await request], [reason, reason]);
    for (const broker of world.brokers.all) broker.faults.forget = false;
    stream.send();
    await world.pass(5_000);
    stream.assertExact(received);
    await assertRejects(
      () => anna.send(bob.id, "no", { signal: controller.signal }),
      Error,
      "changed my mind",
    );
  },
);

scenario("two peers that have nothing to say publish at most once a minute each", {}, async ({ world }) => {
  const [anna, bob] = await world.pair();
  const received = new Received(world, bob);
  const stream = new Stream(world, anna, bob.id);
  await stream.sendMany(5, 100);
  await world.pass(1_000);
  stream.assertExact(received);
  const before = world.brokers.published;
  await world.pass(600_000);
  const published = world.brokers.published - before;
  assert(published <= 20, `${published} packets in ten minutes`);
});

scenario("a message costs three packets and little for acknowledgements; hedged, hardly more than one", {
  brokers: [3, 4],
}, async ({ world }) => {
  for (const [hedged, data, acks] of [[false, 3.2, 1.1], [true, 1.2, 0.6]] as const) {
    const anna = await world.join(`anna ${hedged}`, { hedged });
    const bob = await world.join(`bob ${hedged}`, { hedged });
    const received = new Received(world, bob);
    const stream = new Stream(world, anna, bob.id);
    await stream.sendMany(20, 10);
    await world.pass(1_000);
    const to = world.topicOf(`bob ${hedged}`);
    let [there, back] = [0, 0];
    for (const broker of world.brokers.all) broker.onPublish = ({ topic }) => topic === to ? there++ : back++;
    await stream.sendMany(500, 5);
    await world.pass(1_000);
    stream.assertExact(received);
    for (const broker of world.brokers.all) broker.onPublish = undefined;
    assert(there / 500 <= data, `${there / 500} data packets per message`);
    assert(back / 500 <= acks, `${back / 500} acknowledgements per message`);
  }
});

scenario("a recipient that reads nothing costs its sender a few packets a minute, and loses nothing", {
  seeds: 1,
}, async ({ world }) => {
  const [anna, bob] = await world.pair();
  const stream = new Stream(world, anna, bob.id, { ttl: 3_600_000 });
  stream.send();
  await world.pass(1_000);
  for (let i = 0; i < 400; i++) stream.send();
  await world.pass(5_000);
  // What it has credit for, and not one more.
  assertEquals(stream.delivered, 256);
  const before = world.brokers.published;
  await world.pass(60_000);
  const published = world.brokers.published - before;
  assert(published <= 100, `${published} packets in a minute`);
  const received = new Received(world, bob);
  await world.pass(20_000);
  stream.assertExact(received);
});

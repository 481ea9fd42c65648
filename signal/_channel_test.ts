import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Received, SecureChannels, type SecureChannelsOptions } from "./_channel.ts";
import { randomBytes } from "../internal/crypto.ts";
import { Identity } from "./identity.ts";

/** Identities in the order of their ids, so that the first one leads. */
const [ANNA, BOB, CARL] = [1, 2, 3].map((n) => new Identity(new Uint8Array(32).fill(n)))
  .toSorted((a, b) => a.id < b.id ? -1 : 1) as [Identity, Identity, Identity];

class Clock {
  time = 0;
  now = (): number => this.time;
}

function channels(
  identity: Identity,
  clock: Clock,
  more: Partial<SecureChannelsOptions> = {},
): SecureChannels {
  return new SecureChannels({ identity, now: clock.now, random: randomBytes, ...more });
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function textOf(received: Received): string {
  assertEquals(received.type, "opened");
  return received.type === "opened" ? new TextDecoder().decode(received.content) : "";
}

/** What is to be sent because of a packet. */
function sent(received: Received): Uint8Array {
  assert(received.type === "answer" || received.type === "established", JSON.stringify(received));
  return received.send.bytes;
}

/** One packet of a list. */
function only<T>(list: readonly T[]): T {
  assertEquals(list.length, 1);
  return list[0] as T;
}

function connect(from: SecureChannels, to: SecureChannels, id: string): Received {
  const resp = sent(to.receive(to.topic, only(from.start(id)).bytes));
  return to.receive(to.topic, sent(from.receive(from.topic, resp)));
}

function must(packet: Uint8Array | null): Uint8Array {
  assert(packet !== null);
  return packet;
}

Deno.test("two peers who know each other's ids have a channel after INIT, RESP, and the greeting", () => {
  const clock = new Clock();
  const anna = channels(ANNA, clock, { greeting: (peer) => bytes(`I know ${peer}`) });
  const bob = channels(BOB, clock);
  const init = only(anna.start(BOB.id));
  assertEquals([init.to, init.topic, init.bytes.length], [BOB.id, bob.topic, 256]);
  assertEquals([anna.established(BOB.id), anna.seal(BOB.id, bytes("early"))], [false, null]);
  const answer = bob.receive(bob.topic, init.bytes);
  assert(answer.type === "answer");
  assertEquals([answer.to, answer.send.topic], [ANNA.id, anna.topic]);
  // So far it may have been a replay.
  assertEquals([bob.established(ANNA.id), bob.seal(ANNA.id, bytes("early"))], [false, null]);
  const established = anna.receive(anna.topic, answer.send.bytes);
  assert(established.type === "established");
  assertEquals([established.with, anna.established(BOB.id)], [BOB.id, true]);
  const first = bob.receive(bob.topic, established.send.bytes);
  assertEquals(textOf(first), `I know ${BOB.id}`);
  assert(first.type === "opened");
  assertEquals([first.from, first.isFirst, first.channel], [ANNA.id, true, established.channel]);
  assertEquals(bob.established(ANNA.id), true);
  const back = anna.receive(anna.topic, must(bob.seal(ANNA.id, bytes("hello"))));
  assertEquals(textOf(back), "hello");
  assert(back.type === "opened");
  assertEquals([back.from, back.isFirst, back.number], [BOB.id, false, 1]);
});

Deno.test("copies are told from packets, in any order", () => {
  const clock = new Clock();
  const [anna, bob] = [channels(ANNA, clock), channels(BOB, clock)];
  connect(anna, bob, BOB.id);
  const packets = ["a", "b", "c"].map((text) => must(anna.seal(BOB.id, bytes(text)))).toReversed();
  assertEquals(packets.map((packet) => textOf(bob.receive(bob.topic, packet))), ["c", "b", "a"]);
  for (const packet of packets) assertEquals(bob.receive(bob.topic, packet).type, "copy");
});

Deno.test("a handshake that comes again is answered in the same way for each broker, and never once it is done", () => {
  const clock = new Clock();
  const [anna, bob] = [channels(ANNA, clock), channels(BOB, clock)];
  const init = only(anna.start(BOB.id)).bytes;
  assertEquals(only(anna.start(BOB.id)).bytes, init);
  const resp = sent(bob.receive(bob.topic, init));
  for (let n = 0; n < 3; n++) assertEquals(sent(bob.receive(bob.topic, init)), resp);
  assertEquals(bob.receive(bob.topic, init), { type: "dropped", reason: "repeated" });
  clock.time = 200;
  assertEquals(sent(bob.receive(bob.topic, init)), resp);
  const first = sent(anna.receive(anna.topic, resp));
  assertEquals(anna.receive(anna.topic, resp), { type: "dropped", reason: "repeated" });
  bob.receive(bob.topic, first);
  clock.time = 100_000;
  assertEquals(bob.receive(bob.topic, init), { type: "dropped", reason: "repeated" });
});

Deno.test("where both begin, the handshake of the lower id is the one", () => {
  const clock = new Clock();
  const [anna, bob] = [channels(ANNA, clock), channels(BOB, clock)];
  const [fromAnna, fromBob] = [only(anna.start(BOB.id)).bytes, only(bob.start(ANNA.id)).bytes];
  assertEquals(anna.receive(anna.topic, fromBob), { type: "dropped", reason: "follows" });
  const resp = sent(bob.receive(bob.topic, fromAnna));
  assertEquals(textOf(bob.receive(bob.topic, sent(anna.receive(anna.topic, resp)))), "");
  assertEquals([anna.established(BOB.id), bob.established(ANNA.id)], [true, true]);
});

Deno.test("a lower id that has given up answers", () => {
  const clock = new Clock();
  const [anna, bob] = [channels(ANNA, clock), channels(BOB, clock)];
  anna.start(BOB.id);
  clock.time = 5000;
  connect(bob, anna, ANNA.id);
  assertEquals([anna.established(BOB.id), bob.established(ANNA.id)], [true, true]);
});

Deno.test("a peer that has lost its channels makes another one, and the packets of the one before still open", () => {
  const clock = new Clock();
  const [anna, bob] = [channels(ANNA, clock), channels(BOB, clock)];
  connect(anna, bob, BOB.id);
  const late = must(bob.seal(ANNA.id, bytes("late")));
  const restarted = channels(BOB, clock);
  assertEquals(restarted.receive(restarted.topic, must(anna.seal(BOB.id, bytes("lost")))).type, "dropped");
  connect(restarted, anna, ANNA.id);
  assertEquals(textOf(restarted.receive(restarted.topic, must(anna.seal(BOB.id, bytes("new"))))), "new");
  assertEquals(textOf(anna.receive(anna.topic, late)), "late");
});

Deno.test("two processes that are one peer are answered each on its own channel", () => {
  const clock = new Clock();
  const [bob, one, two] = [channels(BOB, clock), channels(ANNA, clock), channels(ANNA, clock)];
  const first = [one, two].map((anna) => connect(anna, bob, BOB.id));
  for (const [n, anna] of [one, two].entries()) {
    const { channel } = first[n] as Received & { type: "opened" };
    const reply = must(bob.seal(ANNA.id, bytes(`to ${n}`), { channel }));
    assertEquals(textOf(anna.receive(anna.topic, reply)), `to ${n}`);
    const other = n === 0 ? two : one;
    assertEquals(other.receive(other.topic, reply), { type: "dropped", reason: "unknown" });
  }
});

Deno.test("at most four channels to one peer are kept, and none that others have followed and nobody uses", () => {
  const clock = new Clock();
  const bob = channels(BOB, clock);
  const annas = Array.from({ length: 5 }, () => channels(ANNA, clock));
  for (const anna of annas) connect(anna, bob, BOB.id);
  const says = (n: number): string => {
    const received = bob.receive(bob.topic, must(annas[n]?.seal(BOB.id, bytes(`${n}`)) ?? null));
    return received.type === "dropped" ? received.reason : received.type;
  };
  assertEquals([0, 1, 2, 3, 4].map(says), ["unknown", "opened", "opened", "opened", "opened"]);
  clock.time = 500_000;
  assertEquals(says(3), "opened");
  clock.time = 700_000;
  connect(channels(ANNA, clock), bob, BOB.id);
  assertEquals([1, 2, 3, 4].map(says), ["unknown", "unknown", "opened", "unknown"]);
});

Deno.test("a handshake without an answer begins anew after thirty seconds, and an answer that nobody confirms is forgotten", () => {
  const clock = new Clock();
  const [anna, bob] = [channels(ANNA, clock), channels(BOB, clock)];
  const init = only(anna.start(BOB.id)).bytes;
  const resp = sent(bob.receive(bob.topic, init));
  clock.time = 30_000;
  assert(only(anna.start(BOB.id)).bytes.toHex() !== init.toHex());
  assertEquals(anna.receive(anna.topic, resp), { type: "dropped", reason: "unknown" });
  assertEquals(bob.receive(bob.topic, init), { type: "dropped", reason: "repeated" });
});

Deno.test("a channel is aged after an hour, and the next one takes its place", () => {
  const clock = new Clock();
  const [anna, bob] = [channels(ANNA, clock), channels(BOB, clock)];
  connect(anna, bob, BOB.id);
  clock.time = 3_599_999;
  assertEquals(anna.isAged(BOB.id), false);
  clock.time = 3_600_000;
  assertEquals([anna.isAged(BOB.id), anna.isAged(CARL.id)], [true, false]);
  connect(anna, bob, BOB.id);
  assertEquals(anna.isAged(BOB.id), false);
});

Deno.test("who is not wanted gets no answer", () => {
  const clock = new Clock();
  const bob = channels(BOB, clock, { accept: (peer) => peer === ANNA.id });
  const carl = channels(CARL, clock);
  const init = only(carl.start(BOB.id)).bytes;
  assertEquals(bob.receive(bob.topic, init), { type: "dropped", reason: "unwanted" });
  assertEquals(bob.drops.get("unwanted"), 1);
});

Deno.test("of too many peers the one that was heard longest ago is forgotten", () => {
  const clock = new Clock();
  const bob = channels(BOB, clock, { maxPeers: 2 });
  const others = [ANNA, CARL, new Identity(new Uint8Array(32).fill(9))];
  const all = others.map((identity) => channels(identity, clock));
  for (const peer of all.slice(0, 2)) connect(peer, bob, BOB.id);
  bob.receive(bob.topic, must(all[0]?.seal(BOB.id, bytes("still here")) ?? null));
  for (const peer of all.slice(2)) connect(peer, bob, BOB.id);
  assertEquals(others.map(({ id }) => bob.established(id)), [true, false, true]);
});

Deno.test("nobody begins with himself, or with what is no id", () => {
  const anna = channels(ANNA, new Clock());
  assertThrows(() => anna.start(ANNA.id), TypeError, "Cannot write to a peer: it is this one");
  assertThrows(() => anna.start("bob"), TypeError, 'Cannot write to a peer: its id is "bob"');
});

Deno.test("a packet is as large as its content needs, or as it is told to be", () => {
  const clock = new Clock();
  const [anna, bob] = [channels(ANNA, clock), channels(BOB, clock)];
  connect(anna, bob, BOB.id);
  const sizes = [0, 212, 213, 8148].map((length) => {
    const packet = must(anna.seal(BOB.id, new Uint8Array(length)));
    const received = bob.receive(bob.topic, packet);
    assert(received.type === "opened");
    assertEquals(received.content.length, length);
    return packet.length;
  });
  assertEquals(sizes, [256, 256, 512, 8192]);
  assertEquals(must(anna.seal(BOB.id, bytes("x"), { size: 1024 })).length, 1024);
  assertThrows(() => anna.seal(BOB.id, new Uint8Array(8149)), RangeError, "8149 bytes are more than 8148");
});

/** What brokers and strangers try: replays, forgeries, floods, and looking (scenarios S19 to S21). */

import { assert, assertEquals } from "@std/assert";
import { ascii, concat, randomBytes, sha256 } from "../internal/crypto.ts";
import { type Packet, type Received, SecureChannels } from "../signal/_channel.ts";
import { agreementKeyOf, agreementPairOf } from "../signal/_curve.ts";
import { makeInit } from "../signal/_session_keys.ts";
import { openNotice, presencePlace, sealNotice } from "../signal/_notice.ts";
import { inboxTopic } from "../signal/_topics.ts";
import { SIZE_CLASSES } from "../signal/envelope.ts";
import { Identity } from "../signal/identity.ts";
import { mutate, Random } from "./_fuzz.ts";
import { scale, seed } from "./_require.ts";

const [ANNA, BOB] = [1, 2].map((n) => new Identity(new Uint8Array(32).fill(n)))
  .toSorted((a, b) => a.id < b.id ? -1 : 1) as [Identity, Identity];

/** Two peers and a broker that keeps all it has seen. */
class Scene {
  time = 0;
  readonly seen: Packet[] = [];
  readonly anna: SecureChannels;
  readonly bob: SecureChannels;

  constructor() {
    [this.anna, this.bob] = [this.make(ANNA), this.make(BOB)];
  }

  make(identity: Identity): SecureChannels {
    return new SecureChannels({ identity, now: () => this.time, random: randomBytes });
  }

  /** Brings a packet where it belongs, and whatever answers it. */
  carry({ to, topic, bytes }: Packet): Received {
    this.seen.push({ to, topic, bytes });
    const end = to === BOB.id ? this.bob : this.anna;
    const received = end.receive(topic, bytes);
    if (received.type === "answer" || received.type === "established") this.carry(received.send);
    return received;
  }

  connect(): void {
    for (const packet of this.anna.start(BOB.id)) this.carry(packet);
    assert(this.anna.established(BOB.id) && this.bob.established(ANNA.id));
  }

  say(from: SecureChannels, to: Identity, text: string): Packet {
    const bytes = from.seal(to.id, ascii(text));
    assert(bytes !== null);
    return { to: to.id, topic: inboxTopic(to.publicKey), bytes };
  }
}

/** What came of some packets, counted. */
function count(ends: readonly Received[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const end of ends) counts[end.type] = (counts[end.type] ?? 0) + 1;
  return counts;
}

Deno.test("S19: of recorded packets that come again none is opened, on any topic, also by a peer that has started anew", () => {
  const scene = new Scene();
  for (let n = 0; n < 20; n++) {
    scene.connect();
    for (let m = 0; m < 10; m++) {
      scene.carry(scene.say(scene.anna, BOB, `message ${n} ${m}`));
      scene.carry(scene.say(scene.bob, ANNA, `answer ${n} ${m}`));
    }
    scene.time += 60_000;
  }
  const random = new Random(seed());
  const restarted = { anna: scene.make(ANNA), bob: scene.make(BOB) };
  const replays = scale(4000, 10_000);
  const ends: Received[] = [];
  for (let n = 0; n < replays; n++) {
    const { to, topic, bytes } = random.one(scene.seen);
    const pair = random.one([scene, restarted]);
    const end = random.below(8) === 0
      ? random.one([pair.anna, pair.bob])
      : to === BOB.id
      ? pair.bob
      : pair.anna;
    ends.push(end.receive(random.below(8) === 0 ? end.topic : topic, bytes));
  }
  const { opened = 0, established = 0, answer = 0, copy = 0, dropped = 0 } = count(ends);
  assertEquals([opened, established], [0, 0]);
  assertEquals(answer + copy + dropped, replays);
  // Only who has lost his memory answers what Anna once began, 64 times a second at most, and each four times.
  assert(answer > 0 && answer <= 4 * 64, `${answer} answers`);
  assertEquals([restarted.anna.established(BOB.id), restarted.bob.established(ANNA.id)], [false, false]);
  assert((scene.bob.drops.get("repeated") ?? 0) > 0);
  // The channel goes on as if nothing had been.
  assertEquals(scene.carry(scene.say(scene.anna, BOB, "still here")).type, "opened");
});

Deno.test("S19: recorded beginnings that come again keep nobody from beginning", () => {
  const scene = new Scene();
  const recorded = Array.from({ length: 33 }, () => {
    const packet = scene.make(ANNA).start(BOB.id)[0];
    assert(packet !== undefined);
    return packet;
  });
  let answered = 0;
  let begun = 0;
  for (let round = 0; round < 20; round++) {
    const bob = scene.make(BOB);
    const anna = scene.make(ANNA);
    // Half of them before Anna's, half of them between Bob's answer and what she says to it.
    for (const { topic, bytes } of recorded.slice(0, 30)) bob.receive(topic, bytes);
    const [init] = anna.start(BOB.id);
    assert(init !== undefined);
    const answer = bob.receive(init.topic, init.bytes);
    if (answer.type === "answer") answered++;
    for (const { topic, bytes } of recorded.slice(30)) bob.receive(topic, bytes);
    if (answer.type !== "answer") continue;
    const established = anna.receive(anna.topic, answer.send.bytes);
    if (
      established.type === "established" && bob.receive(bob.topic, established.send.bytes).type === "opened"
    ) begun++;
  }
  assertEquals(answered, 20);
  // Three more for sixteen places, one of which is hers: (15/16)³ of the rounds, 16.5 of 20.
  assert(begun >= 8, `${begun} of 20`);
});

Deno.test("S19: who floods with beginnings costs a bounded amount of work, and only as long as he does", () => {
  const scene = new Scene();
  const carl = new Identity(new Uint8Array(32).fill(9));
  const keys = { publicKey: carl.publicKey, agreementKey: agreementPairOf(carl.seed).privateKey };
  const ends: Received[] = [];
  for (let n = 0; n < 300; n++) {
    const { packet } = makeInit(keys, BOB.publicKey, randomBytes);
    ends.push(scene.bob.receive(scene.bob.topic, packet));
  }
  assertEquals(count(ends), { answer: 64, dropped: 236 });
  assertEquals(scene.bob.drops.get("busy"), 236);
  const [init] = scene.anna.start(BOB.id);
  assert(init !== undefined);
  assertEquals(scene.bob.receive(init.topic, init.bytes), { type: "dropped", reason: "busy" });
  scene.time += 1000;
  scene.connect();
});

Deno.test("S19: who floods without knowing the id keeps nobody from beginning", () => {
  const scene = new Scene();
  const [init] = scene.anna.start(BOB.id);
  assert(init !== undefined);
  for (let n = 0; n < 300; n++) {
    // All but the proof is real: a broker has seen it.
    const { bytes } = init;
    const forged = bytes.with(10 + n % 16, (bytes[10 + n % 16] ?? 0) ^ (1 + n % 255));
    assertEquals(scene.bob.receive(init.topic, forged), { type: "dropped", reason: "forged" });
  }
  scene.connect();
});

Deno.test("S20: packets that were changed, cut, made up or sent astray open nothing, and push no real one out", () => {
  const scene = new Scene();
  scene.connect();
  const random = new Random(seed());
  const real = Array.from({ length: 40 }, (_, n) => scene.say(scene.anna, BOB, `message ${n}`.repeat(n)));
  const all = [...scene.seen, ...real].map(({ bytes }) => bytes);
  const forged = Array.from({ length: scale(4000, 10_000) }, () => {
    const { bytes } = random.one(real);
    return random.one([
      () => mutate(random, bytes, all),
      () => bytes.with(random.below(bytes.length), random.below(256)),
      // A number far ahead, if only the block were believed.
      () => concat(bytes.subarray(0, 10), random.bytes(16), bytes.subarray(26)),
      () => concat(bytes.subarray(0, 26), random.bytes(bytes.length - 26)),
      () => concat(bytes.subarray(0, 2), random.bytes(random.one(SIZE_CLASSES) - 2)),
      () => random.bytes(random.one([0, 1, 2, 10, 255, 256, 257, 8192, 9000])),
      () => mutate(random, random.one(all), all),
    ])();
  });
  const isReal = new Set(real.map(({ bytes }) => bytes.toHex()));
  const ends = forged.filter((bytes) => !isReal.has(bytes.toHex())).map((bytes) =>
    scene.bob.receive(scene.bob.topic, bytes)
  );
  const { opened = 0, established = 0 } = count(ends);
  assertEquals([opened, established], [0, 0]);
  for (const reason of ["size", "version", "kind", "unknown", "forged"] as const) {
    assert((scene.bob.drops.get(reason) ?? 0) > 0, reason);
  }
  // What belongs to Bob is nothing for Anna, on his topic or on hers.
  for (const { bytes } of real) {
    assertEquals(scene.anna.receive(scene.anna.topic, bytes), { type: "dropped", reason: "unknown" });
    assertEquals(scene.bob.receive(scene.anna.topic, bytes), { type: "dropped", reason: "topic" });
  }
  const said = real.map((packet) => {
    const received = scene.carry(packet);
    return received.type === "opened" ? new TextDecoder().decode(received.content) : received.type;
  });
  assertEquals(said, real.map((_, n) => `message ${n}`.repeat(n)));
});

Deno.test("S20: a notice is not by who it says, not of this place, or a copy that its number tells", () => {
  const random = new Random(seed());
  const place = presencePlace(ANNA.publicKey);
  const options = { session: "00".repeat(8), content: ascii("here"), random: randomBytes };
  const real = [1, 2, 3].map((number) => sealNotice(place, { ...options, identity: ANNA, number }));
  const others = [BOB, ANNA].map((identity) =>
    sealNotice(presencePlace(BOB.publicKey), { ...options, identity, number: 1 })
  );
  const isReal = new Set(real.map((bytes) => bytes.toHex()));
  let tried = 0;
  for (let n = 0; n < scale(3000, 10_000); n++) {
    const bytes = mutate(random, random.one([...real, ...others]), real);
    if (isReal.has(bytes.toHex())) continue;
    tried++;
    assertEquals(openNotice(place, bytes), null);
  }
  assert(tried > 2000);
  assertEquals(real.map((bytes) => openNotice(place, bytes)?.number), [1, 2, 3]);
});

Deno.test("S21: brokers see topics, sizes, versions, kinds and tokens, and nothing else that is ever the same", () => {
  const scene = new Scene();
  const secrets = [ANNA, BOB].flatMap((identity) => [
    identity.seed,
    identity.publicKey,
    ascii(identity.id),
    agreementKeyOf(identity.publicKey) ?? new Uint8Array(),
    agreementPairOf(identity.seed).publicKey,
  ]);
  const text = "the quick brown fox jumps over the lazy dog";
  for (let n = 0; n < 3; n++) {
    scene.connect();
    for (let m = 0; m < 10; m++) {
      scene.carry(scene.say(scene.anna, BOB, text));
      scene.carry(scene.say(scene.bob, ANNA, text.repeat(20)));
    }
  }
  const place = presencePlace(ANNA.publicKey);
  for (let number = 0; number < 5; number++) {
    const options = {
      identity: ANNA,
      session: "11".repeat(8),
      number,
      content: ascii(text),
      random: randomBytes,
    };
    scene.seen.push({ to: "", topic: place.topic, bytes: sealNotice(place, options) });
  }
  const windows = new Set<string>();
  for (const { topic, bytes } of scene.seen) {
    assert(/^holdfast\/1\/[a-z2-7]{32}$/.test(topic));
    assert((SIZE_CLASSES as readonly number[]).includes(bytes.length));
    const hex = bytes.toHex();
    for (const secret of [...secrets, ascii(text), ascii("fox")]) assert(!hex.includes(secret.toHex()));
    // Behind the token no eight bytes come twice, although the same was said over and over.
    for (let at = 10; at + 8 <= bytes.length; at += 1) {
      const window = hex.slice(2 * at, 2 * at + 16);
      assert(!windows.has(window), `${window} at ${at} came before`);
      windows.add(window);
    }
  }
  // Nobody can tell by a topic whose it is, but by trying ids that he knows.
  for (const identity of [ANNA, BOB]) {
    assert(!scene.seen.some(({ topic }) => topic.includes(identity.id.slice(0, 8))));
    assert(!scene.seen.some(({ topic }) => topic.includes(sha256(identity.publicKey).toHex().slice(0, 8))));
  }
  // The token that answers a beginning does not show in it: nobody can put both topics together by it.
  const inits = scene.seen.filter(({ bytes }) => bytes[1] === 1).map(({ bytes }) =>
    bytes.subarray(2, 10).toHex()
  );
  const others = scene.seen.filter(({ bytes }) => bytes[1] !== 1).map(({ bytes }) =>
    bytes.subarray(2, 10).toHex()
  );
  assertEquals(inits.filter((token) => others.includes(token)), []);
});

/** Hostile bytes for packets, also sealed and signed ones, and hostile text for ids, cards and identities. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { agree, agreementPair, ascii, concat, hmac, randomBytes } from "../internal/crypto.ts";
import { fromBase32, toBase32 } from "../signal/_base32.ts";
import { SecureChannels } from "../signal/_channel.ts";
import { openBytes, sealBlock, sealBytes } from "../signal/_crypto.ts";
import { agreementKeyOf, agreementPairOf } from "../signal/_curve.ts";
import { openNotice, presencePlace, sealNotice } from "../signal/_notice.ts";
import { SealedChannel } from "../signal/_sealed_channel.ts";
import {
  HandshakeState,
  makeInit,
  makeResp,
  readInit,
  readResp,
  type StaticKeys,
} from "../signal/_session_keys.ts";
import { inboxTopic } from "../signal/_topics.ts";
import { formatCard, parseCard } from "../signal/card.ts";
import {
  MAX_CONTENT,
  OVERHEAD,
  pad,
  readPacket,
  SIZE_CLASSES,
  sizeClassFor,
  unpad,
} from "../signal/envelope.ts";
import { formatIdentity, Identity, isPeerId, parseIdentity } from "../signal/identity.ts";
import { fuzz, mutate, type Random } from "./_fuzz.ts";
import { scale } from "./_require.ts";

const [ANNA, BOB] = [1, 2].map((n) => new Identity(new Uint8Array(32).fill(n))) as [Identity, Identity];
const [ANNA_KEYS, BOB_KEYS] = [ANNA, BOB].map(({ publicKey, seed }) => ({
  publicKey,
  agreementKey: agreementPairOf(seed).privateKey,
})) as [StaticKeys, StaticKeys];

function must<T>(value: T | null | undefined): T {
  assert(value !== null && value !== undefined);
  return value;
}

/** A number that lengths go wrong at, or any. */
function length(random: Random): number {
  return random.one([0, 1, 2, 211, 212, 213, 468, 65_535, random.below(600)]);
}

Deno.test("the outside of packets is one of a few, and padding gives what was padded or nothing", () => {
  const ends = fuzz(
    scale(3000, 100_000),
    (random) => {
      const size = random.one([...SIZE_CLASSES, 256, 256, 512, 0, 1, 255, 9000]);
      const bytes = Uint8Array.of(random.one([1, 1, 1, 0, 2]), random.below(7), ...random.bytes(size)).slice(
        0,
        size,
      );
      const padded = pad(random.bytes(random.one([0, 1, 100, 212])), 256);
      return { bytes, padded: random.below(2) === 0 ? padded : mutate(random, padded, [bytes]) };
    },
    ({ bytes, padded }) => {
      const read = readPacket(bytes);
      const content = unpad(padded);
      // One content has one padding: nothing can hide in it.
      if (content) {
        const whole = new Uint8Array(padded.length);
        whole.set(concat(padded.subarray(0, 2), content));
        assertEquals(whole, padded);
      }
      try {
        const size = sizeClassFor(bytes.length, 512);
        assert(size >= 512 && size - OVERHEAD >= bytes.length);
      } catch (error) {
        assert(error instanceof RangeError && bytes.length > MAX_CONTENT);
      }
      return `${typeof read === "string" ? read : read.kind} ${content ? "padded" : "not"}`;
    },
  );
  const kinds = ["size", "version", "kind", "init", "resp", "data", "notice"];
  for (const kind of kinds) {
    for (const padded of ["padded", "not"]) assert(ends.has(`${kind} ${padded}`), kind);
  }
});

Deno.test("an INIT whose inside is odd is read as somebody's, or is none", () => {
  const theirs = must(agreementKeyOf(BOB.publicKey));
  const ephemeral = agreementPair(randomBytes(32));
  const odd = [
    new Uint8Array(32),
    new Uint8Array(32).fill(255),
    ascii("x".repeat(32)),
    BOB.publicKey,
    ANNA.publicKey,
  ];
  const ends = fuzz(
    scale(400, 10_000),
    (random) => ({
      name: random.below(3) === 0 ? mutate(random, ANNA.publicKey, odd) : random.one(odd),
      terms: random.bytes(134).map((byte, at) => at < 2 ? random.one([0, 1, 1, 1, 2, 255]) : byte),
      key: random.one([ephemeral.publicKey, ephemeral.publicKey, ephemeral.publicKey, new Uint8Array(32)]),
    }),
    ({ name, terms, key }) => {
      if (name.length !== 32 || !agreementKeyOf(name)) {
        assertThrows(() => makeInit(ANNA_KEYS, name, randomBytes), TypeError, "is not an Ed25519 public key");
      }
      const start = Uint8Array.of(1, 1);
      const state = new HandshakeState(start, BOB.publicKey);
      state.mixHash(key);
      state.mixKey(must(agree(ephemeral.privateKey, theirs)));
      const sealedName = state.seal(name);
      state.mixKey(must(agree(ANNA_KEYS.agreementKey, theirs)));
      const packet = concat(start, new Uint8Array(24), key, sealedName, state.seal(terms));
      const read = readInit(BOB_KEYS, packet);
      if (!read) return "none";
      // Whose name is not Anna's has not her key.
      assertEquals(read.peer, ANNA.publicKey);
      assertEquals(read.token, terms.subarray(2, 10));
      const resp = makeResp(read, new Uint8Array(8), randomBytes);
      assertEquals(resp?.packet.length, 256);
      assertEquals(
        makeResp({ ...read, ephemeral: new Uint8Array(32) }, new Uint8Array(8), randomBytes),
        null,
      );
      return "read";
    },
  );
  assertEquals([...ends.keys()].toSorted(), ["none", "read"]);
});

Deno.test("a RESP that is odd is none", () => {
  const init = makeInit(ANNA_KEYS, BOB.publicKey, randomBytes);
  const resp = must(makeResp(must(readInit(BOB_KEYS, init.packet)), new Uint8Array(8), randomBytes)).packet;
  const proofKey = init.state.derive("resp proof");
  const ends = fuzz(
    scale(300, 10_000),
    (random) => {
      const rest = random.one([
        () => resp.subarray(26),
        () => mutate(random, resp.subarray(26), [resp]),
        () => concat(new Uint8Array(32), resp.subarray(58)),
      ])();
      // A proof that fits: by somebody who has read the INIT.
      const start = random.below(8) === 0 ? Uint8Array.of(1, 2, ...random.bytes(8)) : resp.subarray(0, 10);
      const whole = concat(rest, new Uint8Array(230)).subarray(0, 230);
      const proof = hmac(proofKey, concat(start, whole)).subarray(0, 16);
      return concat(start, random.below(4) === 0 ? random.bytes(16) : proof, whole);
    },
    (packet) => {
      const keys = readResp(init, packet);
      if (keys) assertEquals(packet, resp);
      return keys ? "read" : "none";
    },
  );
  assertEquals([...ends.keys()].toSorted(), ["none", "read"]);
});

Deno.test("a packet of the other end, whatever it holds, opens once or not at all", () => {
  const init = makeInit(ANNA_KEYS, BOB.publicKey, randomBytes);
  const answer = must(makeResp(must(readInit(BOB_KEYS, init.packet)), new Uint8Array(8), randomBytes));
  const { send, sendToken } = must(readResp(init, answer.packet));
  const bob = new SealedChannel(answer.keys);
  const opened = new Set<number>();
  const ends = fuzz(
    scale(3000, 50_000),
    (random) => {
      const number = random.one([
        1,
        2,
        3,
        random.below(9000),
        random.below(9000),
        0,
        2 ** 32 - 1 - 9000,
        2 ** 32,
        2 ** 53,
      ]);
      const block = new Uint8Array(16);
      new DataView(block.buffer).setBigUint64(0, BigInt(number));
      if (random.below(6) === 0) block[8 + random.below(8)] = 1;
      const header = concat(Uint8Array.of(1, 3), sendToken, sealBlock(send.block, block));
      const nonce = concat(new Uint8Array(4), block.subarray(0, 8));
      const padded = random.below(3) === 0
        ? pad(random.bytes(9), 256)
        : random.bytes(random.one([0, 1, 2, 3, 214]));
      const sealed = sealBytes(send.content, nonce, header, padded);
      return {
        number,
        packet: concat(header, random.below(6) === 0 ? mutate(random, sealed, [sealed]) : sealed),
      };
    },
    ({ number, packet }) => {
      const end = bob.open(packet);
      if (end.type === "opened") {
        assertEquals(end.number, number);
        assert(!opened.has(number) && number > 0);
        opened.add(number);
      }
      if (end.type === "copy") assert(opened.has(number));
      return end.type;
    },
  );
  assertEquals([...ends.keys()].toSorted(), ["copy", "forged", "old", "opened"]);
});

Deno.test("a notice whose inside is odd is by who has signed it, or is none", () => {
  const place = presencePlace(ANNA.publicKey);
  const open = { ...place, owner: null };
  const options = { session: "00".repeat(8), number: 3, content: ascii("here"), random: randomBytes };
  const real = [ANNA, BOB].map((identity) => sealNotice(place, { ...options, identity }));
  const ends = fuzz(
    scale(600, 20_000),
    (random) => {
      const packet = random.one(real);
      const header = packet.subarray(0, 26);
      const key = hmac(place.key, header);
      const padded = must(openBytes(key, new Uint8Array(12), header, packet.subarray(26)));
      const whole = must(unpad(padded));
      const changed = random.one([
        () => whole,
        () => mutate(random, whole, real),
        () => whole.slice(0, random.below(whole.length)),
        // A key that is no point of the curve.
        () => concat(new Uint8Array(32).with(0, 2), whole.subarray(32)),
      ])();
      const inside = random.below(8) === 0 ? random.bytes(214) : pad(changed.subarray(0, 212), 256);
      const made = concat(header, sealBytes(key, new Uint8Array(12), header, inside));
      return {
        packet: random.below(8) === 0 ? mutate(random, made, real) : made,
        place: random.one([place, open]),
        whole,
      };
    },
    ({ packet, place, whole }) => {
      const notice = openNotice(place, packet);
      if (!notice) return "none";
      assertEquals([notice.session, notice.number, notice.content], ["00".repeat(8), 3, ascii("here")]);
      assertEquals(notice.from, toBase32(whole.subarray(0, 32)));
      assert(place.owner === null || notice.from === ANNA.id);
      return notice.from === ANNA.id ? "anna" : "bob";
    },
  );
  assertEquals([...ends.keys()].toSorted(), ["anna", "bob", "none"]);
});

Deno.test("whatever a broker brings to a peer, in whatever order, it says what came of it", () => {
  const clock = { time: 0 };
  const make = (identity: Identity): SecureChannels =>
    new SecureChannels({ identity, now: () => clock.time, random: randomBytes, maxPeers: 3 });
  const ends = [make(ANNA), make(BOB)];
  const ids = [ANNA.id, BOB.id];
  const seen: Uint8Array[] = [];
  const counts = fuzz(
    scale(3000, 60_000),
    (random) => random,
    (random) => {
      clock.time += random.one([0, 1, 10, 300, random.below(20) === 0 ? 40_000 : 5]);
      const n = random.below(2);
      const [end, peer] = [must(ends[n]), must(ids[1 - n])];
      if (random.below(40) === 0) ends[n] = make(n === 0 ? ANNA : BOB);
      if (random.below(60) === 0) end.forget(peer);
      if (random.below(8) === 0) { for (const { bytes } of end.start(peer)) seen.push(bytes); }
      const sealed = random.below(3) === 0
        ? end.seal(peer, random.bytes(Math.min(length(random), 468)))
        : null;
      if (sealed) seen.push(sealed);
      if (seen.length === 0) return "nothing yet";
      // Most of what comes is late; some of it was changed.
      const packet = must(
        random.below(3) === 0
          ? random.one(seen)
          : seen[seen.length - 1 - random.below(Math.min(4, seen.length))],
      );
      const topic = random.below(20) === 0 ? inboxTopic(BOB.publicKey) : end.topic;
      const received = end.receive(
        topic,
        random.below(6) === 0 ? mutate(random, packet, seen.slice(-3)) : packet,
      );
      if (received.type === "answer" || received.type === "established") seen.push(received.send.bytes);
      if (received.type === "opened") assertEquals(received.from, peer);
      if (seen.length > 500) seen.splice(0, 250);
      return received.type === "dropped" ? received.reason : received.type;
    },
  );
  for (
    const end of [
      "opened",
      "copy",
      "answer",
      "established",
      "repeated",
      "unknown",
      "forged",
      "follows",
      "topic",
      "size",
    ]
  ) {
    assert(counts.has(end), `${end} of ${[...counts.keys()]}`);
  }
});

Deno.test("a crowd that begins, confirms, and is forgotten, leaves channels to those who were heard last", () => {
  const clock = { time: 0 };
  const accept = (peer: string): boolean => peer < "y";
  const identities = Array.from({ length: 12 }, (_, n) => new Identity(new Uint8Array(32).fill(n + 3)));
  const make = (identity: Identity): SecureChannels =>
    new SecureChannels({ identity, now: () => clock.time, random: randomBytes });
  const bob = new SecureChannels({
    identity: BOB,
    now: () => clock.time,
    random: randomBytes,
    maxPeers: 4,
    accept,
    greeting: () => ascii("hello"),
  });
  const crowd = [...identities, BOB].map((identity) => ({ identity, channels: make(identity) }));
  const seen: Uint8Array[] = [];
  const ends = fuzz(
    scale(600, 10_000),
    (random) => random,
    (random) => {
      const { identity, channels } = random.one(crowd);
      clock.time += random.one([0, 0, 0, 3, random.below(100) === 0 ? 31_000 : 0]);
      if (random.below(3) === 0 && seen.length > 0) {
        const received = bob.receive(bob.topic, random.one(seen));
        return received.type === "dropped" ? received.reason : received.type;
      }
      if (random.below(60) === 0) {
        // Not a peer, or the peer itself.
        const id = random.one(["bob", toBase32(new Uint8Array(32).with(0, 2)), BOB.id]);
        try {
          bob.start(id);
        } catch (error) {
          assert(error instanceof TypeError);
          return "mistake";
        }
      }
      const made = identity === BOB
        ? makeInit(BOB_KEYS, BOB.publicKey, randomBytes).packet
        : must(channels.start(BOB.id)[0]).bytes;
      seen.push(made);
      const received = bob.receive(bob.topic, made);
      if (received.type === "answer" && random.below(2) === 0) {
        const established = channels.receive(channels.topic, received.send.bytes);
        if (established.type === "established") bob.receive(bob.topic, established.send.bytes);
      }
      if (random.below(20) === 0) channels.forget(BOB.id);
      assert(crowd.filter(({ identity }) => bob.established(identity.id)).length <= 4);
      assert(crowd.every(({ identity }) => accept(identity.id) || !bob.established(identity.id)));
      return received.type === "dropped" ? received.reason : received.type;
    },
  );
  for (const end of ["answer", "busy", "repeated", "unwanted", "mistake"]) {
    assert(ends.has(end), `${end} of ${[...ends.keys()]}`);
  }
});

Deno.test("ids are read to what makes the same text again, or refused", () => {
  const real = [ANNA.id, BOB.id, "", "a", "my", toBase32(new Uint8Array(32))].map(ascii);
  const ends = fuzz(
    scale(2000, 50_000),
    (random) => random.below(4) === 0 ? random.one(real) : mutate(random, random.one(real), real),
    (bytes) => {
      const text = new TextDecoder().decode(bytes);
      const read = fromBase32(text);
      if (read) assertEquals(toBase32(read), text);
      if (isPeerId(text)) assertEquals(must(agreementKeyOf(must(read))).length, 32);
      return read === null ? "no text" : isPeerId(text) ? "id" : "bytes";
    },
  );
  assertEquals([...ends.keys()].toSorted(), ["bytes", "id", "no text"]);
});

Deno.test("a card is read to what makes the same card again, or refused, whoever has signed it", () => {
  const brokers = ["mqtts://a.example:8883", "wss://b.example/mqtt?x=1&y=2"];
  const odd = [
    "%E0%A4",
    "mqtt%3A%2F%2Fme%3Ax%40a",
    "b=",
    "&n=",
    "n=01",
    "9".repeat(16),
    "http%3A",
    "%23x",
    "#",
    "é",
  ];
  const texts = [formatCard(ANNA, { brokers, serial: 3 }), formatCard(BOB, { brokers: ["ws://c"] })];
  const ends = fuzz(
    scale(3000, 60_000),
    (random) => {
      const card = random.one(texts);
      let text = card.slice(0, card.lastIndexOf("&s="));
      const at = random.below(text.length);
      text = random.one([
        () => text,
        () => text.slice(0, at) + text.slice(at + random.below(9)),
        () => text.slice(0, at) + random.one(odd) + text.slice(at),
        () => text.replace(/b=[^&]*/, `b=${random.one(odd)}`),
        () => text.replace(/b=[^&]*/, (part) => Array(random.below(12)).fill(part).join("&")),
        () => text.replace(/n=.*/, `n=${random.one(odd)}`),
        () => text.replace(ANNA.id, toBase32(random.bytes(32))),
        () => text + random.one([" ", "x".repeat(2048), "\n"]),
        () => new TextDecoder("latin1").decode(mutate(random, ascii(text), odd.map(ascii))),
      ])();
      const message = ascii(`holdfast signal 1 card${text}`);
      const identity = card === texts[0] ? ANNA : BOB;
      const signature = identity.sign(message).toBase64({ alphabet: "base64url", omitPadding: true });
      const end = random.one([
        signature,
        signature,
        signature,
        signature.slice(1),
        `${signature.slice(0, -1)}_`,
      ]);
      return random.below(8) === 0 ? `  ${text}\n` : `${text}&s=${end}`;
    },
    (text) => {
      try {
        const { id, brokers, serial } = parseCard(text);
        const identity = id === ANNA.id ? ANNA : BOB;
        assertEquals(parseCard(formatCard(identity, { brokers, serial })), { id, brokers, serial });
        return "read";
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        return error.message.replaceAll(/"[^]*"|\d+/g, "N");
      }
    },
  );
  const expected = [
    "Cannot read a card: N is not the address of a broker",
    "Cannot read a card: it has more than N characters",
    "Cannot read a card: it is not N, an id, brokers, a serial and a signature",
    "Cannot read a card: it names more than N brokers",
    "Cannot read a card: its id is not one",
    "Cannot read a card: its serial is N",
    "Cannot read a card: its signature does not fit, so it was changed",
    "Cannot read a card: its signature is not baseNurl",
    "Cannot read a card: the address of a broker is not percent-encoded",
    "Cannot read a card: the address of the broker at N tells a login",
    "read",
  ];
  assertEquals([...ends.keys()].toSorted(), expected);
});

Deno.test("a card is made of what can be read, or not at all", () => {
  const odd = [
    "",
    "mqtt:",
    "mqtt://",
    "http://a",
    "mqtt://me@a",
    "mqtt://a#b",
    `mqtt://a/${"x".repeat(300)}`,
    "mqtt://a/\ud800",
  ];
  const good = [
    "mqtt://a",
    "mqtts://b:1",
    "ws://c/x?y=z&b=1",
    "wss://d/%C3%A9",
    `mqtt://a/${"/".repeat(240)}`,
  ];
  const ends = fuzz(
    scale(400, 10_000),
    (random) => ({
      brokers: Array.from({ length: random.below(10) }, () => random.one(random.below(8) === 0 ? odd : good)),
      serial: random.one([undefined, 0, 1, 2 ** 53 - 1, 2 ** 53, -1, 0.5, NaN]),
    }),
    ({ brokers, serial }) => {
      try {
        assertEquals(parseCard(formatCard(ANNA, { brokers, serial })), {
          id: ANNA.id,
          brokers,
          serial: serial ?? 0,
        });
        return "made";
      } catch (error) {
        assert(error instanceof TypeError || error instanceof RangeError, `${error}`);
        return error.name;
      }
    },
  );
  assertEquals([...ends.keys()].toSorted(), ["RangeError", "TypeError", "made"]);
});

Deno.test("the text of an identity is read to what makes the same text again, or refused without a word of it", () => {
  const texts = [formatIdentity(ANNA), `# mine\n\n${formatIdentity(new Identity(BOB.seed, "a b"))}`].map(
    ascii,
  );
  const ends = fuzz(
    scale(3000, 60_000),
    (random) => random.below(6) === 0 ? random.one(texts) : mutate(random, random.one(texts), texts),
    (bytes) => {
      try {
        const read = parseIdentity(new TextDecoder().decode(bytes));
        assertEquals(parseIdentity(formatIdentity(read)).id, read.id);
        return "read";
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        assert(/^Cannot read an identity: [a-z0-9 ,"-]+$/.test(error.message), error.message);
        return error.message.replaceAll(/\d+/g, "N");
      }
    },
  );
  assertEquals([...ends.keys()].toSorted(), [
    'Cannot read an identity: it does not begin with "holdfast-identity"',
    "Cannot read an identity: it has N lines that say something, not N",
    "Cannot read an identity: its key has N bytes, not N",
    "Cannot read an identity: its key is not baseN",
    "read",
  ]);
});

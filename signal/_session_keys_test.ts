import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import {
  agree,
  agreementPair,
  ascii,
  concat,
  hkdfExpand,
  hkdfExtract,
  hmac,
  randomBytes,
} from "../internal/crypto.ts";
import { agreementKeyOf, agreementPairOf } from "./_curve.ts";
import { SealedChannel } from "./_sealed_channel.ts";
import {
  HandshakeState,
  hasProof,
  initProofKey,
  makeInit,
  makeResp,
  type ReadInit,
  readInit,
  readResp,
  type StaticKeys,
} from "./_session_keys.ts";
import { Identity } from "./identity.ts";

const [ANNA, BOB, CARL] = [1, 2, 3].map(keysOf) as [StaticKeys, StaticKeys, StaticKeys];

function keysOf(fill: number): StaticKeys {
  const seed = new Uint8Array(32).fill(fill);
  return { publicKey: new Identity(seed).publicKey, agreementKey: agreementPairOf(seed).privateKey };
}

function must<T>(value: T | null): T {
  assert(value !== null);
  return value;
}

/** An INIT with a proof that fits: whoever knows the responder's id can make it. */
function proven(responder: StaticKeys, packet: Uint8Array): Uint8Array {
  const label = ascii("holdfast signal 1 init proof");
  const key = hkdfExpand(hkdfExtract(label, responder.publicKey), "holdfast signal 1 init proof");
  const proof = hmac(key, concat(packet.subarray(0, 10), packet.subarray(26))).subarray(0, 16);
  return concat(packet.subarray(0, 10), proof, packet.subarray(26));
}

Deno.test("both ends have the same keys, and new ones each time", () => {
  const init = makeInit(ANNA, BOB.publicKey, randomBytes);
  const read = must(readInit(BOB, init.packet));
  assertEquals([read.peer, read.token], [ANNA.publicKey, init.token]);
  const token = randomBytes(8);
  const resp = must(makeResp(read, token, randomBytes));
  const keys = must(readResp(init, resp.packet));
  assertEquals([keys.send, keys.receive], [resp.keys.receive, resp.keys.send]);
  assertEquals([keys.channel, keys.sendToken, keys.peer], [resp.keys.channel, token, BOB.publicKey]);
  assertEquals([resp.keys.sendToken, resp.keys.peer], [init.token, ANNA.publicKey]);
  const all = [keys.send.content, keys.send.block, keys.receive.content, keys.receive.block];
  assertEquals(new Set(all.map((key) => key.toHex())).size, 4);
  // The same INIT answered again is another channel.
  const again = must(makeResp(must(readInit(BOB, init.packet)), token, randomBytes));
  assertNotEquals(again.keys.send, resp.keys.send);
});

Deno.test("an INIT is read by nobody but whom it is for", () => {
  const { packet } = makeInit(ANNA, BOB.publicKey, randomBytes);
  assertEquals([BOB, CARL].map((self) => hasProof(initProofKey(self.publicKey), packet)), [true, false]);
  assertEquals(readInit(CARL, packet), null);
  assertEquals(readInit(CARL, proven(CARL, packet)), null);
});

Deno.test("nobody begins in the name of somebody else", () => {
  const forger = { publicKey: ANNA.publicKey, agreementKey: CARL.agreementKey };
  assertEquals(readInit(BOB, makeInit(forger, BOB.publicKey, randomBytes).packet), null);
});

Deno.test("an INIT that was changed anywhere is none, also by somebody who knows the id", () => {
  const { packet } = makeInit(ANNA, BOB.publicKey, randomBytes);
  const key = initProofKey(BOB.publicKey);
  assertEquals(proven(BOB, packet), packet);
  for (let at = 0; at < packet.length; at++) {
    const changed = packet.with(at, (packet[at] ?? 0) ^ 0x80);
    assertEquals(hasProof(key, changed), false, `byte ${at}`);
    if (at % 7 !== 0 || (at >= 2 && at < 26)) continue;
    // The highest bit of an X25519 key counts for nothing, but it was said.
    assertEquals(readInit(BOB, proven(BOB, changed)), null, `byte ${at}`);
  }
});

Deno.test("keys of low order are refused", () => {
  const init = makeInit(ANNA, BOB.publicKey, randomBytes);
  const zeros = concat(init.packet.subarray(0, 26), new Uint8Array(32), init.packet.subarray(58));
  assertEquals(readInit(BOB, zeros), null);
  // Points of order 4 and 2: their x or y is 0, and what they agree on is 0 with everybody.
  const order4 = new Uint8Array(32);
  const order2 = Uint8Array.fromHex("ec" + "ff".repeat(30) + "7f");
  for (const key of [order4, order2]) {
    assertThrows(() => makeInit(ANNA, key, randomBytes), TypeError, "its id is not an Ed25519 public key");
    // As a sender, whose name only the proof of the own key makes true.
    const forger = { publicKey: key, agreementKey: ANNA.agreementKey };
    assertEquals(readInit(BOB, makeInit(forger, BOB.publicKey, randomBytes).packet), null);
  }
  const read = must(readInit(BOB, init.packet));
  assertEquals(makeResp({ ...read, ephemeral: new Uint8Array(32) }, randomBytes(8), randomBytes), null);
});

Deno.test("a RESP that was changed, or answers another INIT, is none, and the right one still counts", () => {
  const init = makeInit(ANNA, BOB.publicKey, randomBytes);
  const other = makeInit(ANNA, BOB.publicKey, randomBytes);
  const answer = (packet: Uint8Array): Uint8Array =>
    must(makeResp(must(readInit(BOB, packet)), randomBytes(8), randomBytes)).packet;
  const resp = answer(init.packet);
  for (let at = 0; at < resp.length; at++) {
    assertEquals(readResp(init, resp.with(at, (resp[at] ?? 0) ^ 1)), null, `byte ${at}`);
  }
  assertEquals(readResp(init, answer(other.packet)), null);
  assert(readResp(init, resp));
});

Deno.test("who has read an INIT cannot answer it as somebody else", () => {
  // Bob reads it; but the answer must be by Bob's key and no other: Carl, told everything that Bob has agreed on, has no part in it.
  const init = makeInit(ANNA, BOB.publicKey, randomBytes);
  const read = must(readInit(BOB, init.packet));
  const forged: ReadInit = { ...read, agreementKey: must(agreementKeyOf(CARL.publicKey)) };
  const resp = must(makeResp(forged, randomBytes(8), randomBytes));
  assertEquals(readResp(init, resp.packet), null);
});

Deno.test("an INIT of a peer that does not speak this version is not answered", () => {
  const init = (lowest: number, highest: number): Uint8Array => {
    const theirs = must(agreementKeyOf(BOB.publicKey));
    const ephemeral = agreementPair(randomBytes(32));
    const start = Uint8Array.of(1, 1);
    const state = new HandshakeState(start, BOB.publicKey);
    state.mixHash(ephemeral.publicKey);
    state.mixKey(must(agree(ephemeral.privateKey, theirs)));
    const name = state.seal(ANNA.publicKey);
    state.mixKey(must(agree(ANNA.agreementKey, theirs)));
    const terms = state.seal(Uint8Array.of(lowest, highest, ...new Uint8Array(132)));
    return concat(start, new Uint8Array(24), ephemeral.publicKey, name, terms);
  };
  const answered = [[1, 1], [0, 3], [2, 3], [0, 0]].map(([a = 0, b = 0]) =>
    readInit(BOB, init(a, b)) !== null
  );
  assertEquals(answered, [true, true, false, false]);
});

Deno.test("a channel opens what the other end has sealed, as often as it was sealed, and nothing else", () => {
  const init = makeInit(ANNA, BOB.publicKey, randomBytes);
  const resp = must(makeResp(must(readInit(BOB, init.packet)), randomBytes(8), randomBytes));
  const anna = new SealedChannel(must(readResp(init, resp.packet)));
  const bob = new SealedChannel(resp.keys);
  const packet = must(anna.seal(ascii("hello")));
  assertEquals(packet.subarray(2, 10), resp.keys.receive && must(readResp(init, resp.packet)).sendToken);
  // Its own end does not take it for one of the other end.
  assertEquals(anna.open(packet).type, "forged");
  for (let at = 10; at < packet.length; at++) {
    assertEquals(bob.open(packet.with(at, (packet[at] ?? 0) ^ 1)).type, "forged", `byte ${at}`);
  }
  assertEquals(bob.open(packet), { type: "opened", number: 1, content: ascii("hello") });
  assertEquals(bob.open(packet), { type: "copy", number: 1 });
  assertEquals(anna.sent, 1);
});

/**
 * Writes the test vectors of the signal protocol: `deno run -A dev/signal_vectors.ts`.
 *
 * All random bytes are chosen; another implementation that is given the same ones must make the same packets.
 *
 * @module
 */

import { ascii, type RandomBytes, sha256 } from "../internal/crypto.ts";
import { SecureChannels } from "../signal/_channel.ts";
import { agreementKeyOf, agreementPairOf } from "../signal/_curve.ts";
import { type Place, presencePlace, roomPlace, sealNotice } from "../signal/_notice.ts";
import { inboxTopic } from "../signal/_topics.ts";
import { formatCard } from "../signal/card.ts";
import { Identity } from "../signal/identity.ts";

/** Where the vectors are. */
export const SIGNAL_VECTORS: URL = new URL("../tests/vectors/signal.json", import.meta.url);

/** Bytes by name, in hexadecimal, and other texts and numbers. */
export type SignalRecord = Readonly<Record<string, string | number>>;

/** The whole file. */
export interface SignalVectors {
  /** What the fields mean. */
  readonly description: readonly string[];
  /** Who the peers are. */
  readonly identities: readonly SignalRecord[];
  /** Contact cards. */
  readonly cards: readonly {
    readonly card: string;
    readonly id: string;
    readonly brokers: readonly string[];
    readonly serial: number;
  }[];
  /** A handshake, and packets after it. */
  readonly channel: {
    readonly initiator: string;
    readonly responder: string;
    readonly random: SignalRecord;
    readonly init: string;
    readonly resp: string;
    readonly packets: readonly SignalRecord[];
  };
  /** Rooms. */
  readonly rooms: readonly SignalRecord[];
  /** Notices, at the presence of a peer and in a room. */
  readonly notices: readonly SignalRecord[];
  /** What is to be refused. */
  readonly refused: readonly SignalRecord[];
}

/** Makes the vectors. */
export async function signalVectors(): Promise<SignalVectors> {
  const [anna, bob] = ["anna", "bob"].map((name) => new Identity(chosen(`${name} seed`, 32)));
  if (anna === undefined || bob === undefined) {
    throw new Error("Cannot make vectors: two identities are needed");
  }
  const channel = handshake(anna, bob);
  const room = await roomPlace("kitchen", "café at noon");
  const notices = [
    notice("presence of anna", presencePlace(anna.publicKey), anna, "I am here"),
    notice("room kitchen", room, bob, "who is in?"),
  ];
  return {
    description: DESCRIPTION,
    identities: [anna, bob].map(identityRecord),
    cards: [["mqtts://a.example:8883"], ["mqtt://10.0.0.1", "wss://b.example/mqtt?x=1&y=2"]].map(
      (brokers, serial) => ({ card: formatCard(bob, { brokers, serial }), id: bob.id, brokers, serial }),
    ),
    channel,
    rooms: [{ name: "kitchen", secret: "café at noon", topic: room.topic, key: room.key.toHex() }],
    notices,
    refused: refused(channel, notices),
  };
}

const DESCRIPTION = [
  "Test vectors of the signal protocol, version 1 (docs/PROTOCOLS.md); all bytes are in hexadecimal.",
  "identities: seed is the Ed25519 private key; agreementKey the X25519 public key; inbox and presence are topics.",
  "cards: what formatting gives, and what reading gives; signed by who has the id.",
  "channel: the seeds of who begins and who answers, and their random bytes; init and resp, and packets after them.",
  "content: what a packet holds; number: its own; from: who has sealed it. keys: of the direction.",
  "rooms: name and secret give topic and key. notices: random is the token and the block; place is where it is.",
  "refused: what, given to whom (anna has begun with bob as above, and both have the channel), comes to nothing.",
];

function identityRecord(identity: Identity): SignalRecord {
  const { publicKey, seed, id } = identity;
  const agreementKey = agreementKeyOf(publicKey)?.toHex() ?? "";
  if (agreementKey !== agreementPairOf(seed).publicKey.toHex()) {
    throw new Error(`Cannot go on: ${id} has two keys`);
  }
  const presence = presencePlace(publicKey);
  return {
    seed: seed.toHex(),
    publicKey: publicKey.toHex(),
    id,
    agreementKey,
    inbox: inboxTopic(publicKey),
    presence: presence.topic,
    presenceKey: presence.key.toHex(),
  };
}

function handshake(anna: Identity, bob: Identity): SignalVectors["channel"] {
  const random = {
    initEphemeral: chosen("init ephemeral", 32),
    initToken: chosen("init token", 8),
    initHeader: chosen("init header", 8),
    respToken: chosen("resp token", 8),
    respEphemeral: chosen("resp ephemeral", 32),
  };
  const { initEphemeral, initToken, initHeader, respToken, respEphemeral } = random;
  const one = channels(anna, scripted(initEphemeral, initToken, initHeader));
  const two = channels(bob, scripted(respToken, respEphemeral));
  const init = one.start(bob.id)[0]?.bytes ?? new Uint8Array();
  const answer = two.receive(two.topic, init);
  const resp = answer.type === "answer" ? answer.send.bytes : new Uint8Array();
  const established = one.receive(one.topic, resp);
  if (established.type !== "established") throw new Error(`Cannot go on: RESP is ${established.type}`);
  const packets = [record("anna", 1, "I begin", established.send.bytes)];
  two.receive(two.topic, established.send.bytes);
  for (const [content, size] of [["", 256], ["a".repeat(213), 256], ["b", 8192]] as const) {
    for (const [from, channels, to] of [["anna", one, bob.id], ["bob", two, anna.id]] as const) {
      const packet = channels.seal(to, ascii(content), { size }) ?? new Uint8Array();
      packets.push(
        record(from, packets.filter((packet) => packet.from === from).length + 1, content, packet),
      );
    }
  }
  return {
    initiator: anna.seed.toHex(),
    responder: bob.seed.toHex(),
    random: Object.fromEntries(Object.entries(random).map(([name, bytes]) => [name, bytes.toHex()])),
    init: init.toHex(),
    resp: resp.toHex(),
    packets,
  };
}

function record(from: string, number: number, content: string, packet: Uint8Array): SignalRecord {
  return { from, number, content: ascii(content).toHex(), packet: packet.toHex() };
}

function notice(name: string, place: Place, identity: Identity, content: string): SignalRecord {
  const session = chosen(`${name} session`, 8).toHex();
  const random = [chosen(`${name} token`, 8), chosen(`${name} block`, 16)];
  const options = { identity, session, number: 258, content: ascii(content), random: scripted(...random) };
  return {
    place: name,
    topic: place.topic,
    key: place.key.toHex(),
    from: identity.id,
    seed: identity.seed.toHex(),
    random: random.map((bytes) => bytes.toHex()).join(""),
    session,
    number: 258,
    content: ascii(content).toHex(),
    packet: sealNotice(place, options).toHex(),
  };
}

function refused(
  channel: SignalVectors["channel"],
  notices: readonly SignalRecord[],
): readonly SignalRecord[] {
  const [first = {}, second = {}] = channel.packets;
  const [hello = {}, room = {}] = notices;
  const of = (record: SignalRecord): string => `${record.packet}`;
  return [
    { what: "an INIT one bit of whose proof was turned", to: "bob", packet: flipped(channel.init, 25) },
    { what: "an INIT one bit of whose key was turned", to: "bob", packet: flipped(channel.init, 30) },
    { what: "an INIT for somebody else", to: "anna", packet: channel.init },
    { what: "a RESP one bit of whose content was turned", to: "anna", packet: flipped(channel.resp, 255) },
    { what: "a RESP without its INIT", to: "bob", packet: channel.resp },
    { what: "a packet one bit of whose number was turned", to: "bob", packet: flipped(of(second), 12) },
    { what: "a packet one bit of whose content was turned", to: "bob", packet: flipped(of(second), 100) },
    { what: "a packet one bit of whose token was turned", to: "bob", packet: flipped(of(second), 5) },
    { what: "a packet of version 2", to: "bob", packet: `02${of(second).slice(2)}` },
    { what: "a packet that was cut", to: "bob", packet: of(second).slice(0, 510) },
    { what: "a packet with more behind it", to: "bob", packet: `${of(second)}${"00".repeat(256)}` },
    { what: "a packet that came before", to: "bob", packet: of(first) },
    { what: "a packet that went the other way", to: "anna", packet: of(second) },
    { what: "a notice one bit of which was turned", to: "presence of anna", packet: flipped(of(hello), 200) },
    { what: "a notice of another place", to: "presence of anna", packet: of(room) },
  ];
}

function flipped(hex: string, at: number): string {
  const bytes = Uint8Array.fromHex(hex);
  return bytes.with(at, (bytes[at] ?? 0) ^ 1).toHex();
}

function channels(identity: Identity, random: RandomBytes): SecureChannels {
  return new SecureChannels({ identity, now: () => 0, random, greeting: () => ascii("I begin") });
}

/** Gives chosen bytes, each once and in order. */
function scripted(...values: readonly Uint8Array[]): RandomBytes {
  const left = [...values];
  return (length) => {
    const value = left.shift();
    if (value?.length !== length) {
      throw new Error(`Cannot give ${length} bytes: ${value?.length ?? 0} are next`);
    }
    return value;
  };
}

function chosen(name: string, length: number): Uint8Array {
  return sha256(ascii(`holdfast signal vectors: ${name}`)).subarray(0, length);
}

if (import.meta.main) {
  await Deno.writeTextFile(SIGNAL_VECTORS, JSON.stringify(await signalVectors(), null, 2) + "\n");
}

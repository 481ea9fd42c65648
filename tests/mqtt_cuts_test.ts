/** The same packets, wherever the bytes between broker and client are cut (S35). */

import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { assertEquals } from "@std/assert";
import { systemClock } from "../internal/clock.ts";
import { mqttLibrary } from "../signal/_mqtt_library.ts";
import { MqttSession } from "../signal/_mqtt_session.ts";
import { type ClientPacket, connack, packet, packetsOf, publish } from "./_mqtt_script.ts";

const MESSAGES = [
  publish("a", "one"),
  publish("a", new Uint8Array(200)),
  publish("a/b", ""),
  publish("a", "last"),
];

/** What a broker sends as one run of bytes: the answer to the subscription, and messages right behind it. */
function answers(subscription: ClientPacket): Uint8Array {
  return Uint8Array.from(
    [packet(0x90, subscription.body.subarray(0, 2), 0, 0), ...MESSAGES].flatMap((p) => [...p]),
  );
}

/** How long that run is; the same each time. */
const LENGTH = 6 + MESSAGES.reduce((sum, { length }) => sum + length, 0);

/** A connection in memory to a broker whose every run of bytes arrives in the pieces that `cut` makes of it. */
function connection(cut: (bytes: Uint8Array) => readonly Uint8Array[]): Duplex {
  const pending = { bytes: new Uint8Array() };
  const stream: Duplex = new Duplex({
    read() {},
    write(chunk: Uint8Array, _encoding, done) {
      pending.bytes = Uint8Array.from([...pending.bytes, ...chunk]);
      for (const one of packetsOf(pending)) {
        const bytes = one.type === 1 ? connack() : one.type === 8 ? answers(one) : new Uint8Array();
        for (const piece of cut(bytes)) stream.push(Buffer.from(piece));
      }
      done();
    },
  });
  return stream;
}

/** What a session makes of it. */
async function received(cut: (bytes: Uint8Array) => readonly Uint8Array[]): Promise<readonly string[]> {
  const messages: string[] = [];
  const all = Promise.withResolvers<void>();
  const session = new MqttSession(connection(cut), {
    library: await mqttLibrary(),
    url: "mqtt://in.memory",
    version: 5,
    clientId: "client",
    keepalive: 5000,
    patience: 3500,
    maxIncoming: 1024,
    clock: systemClock,
    onMessage: (topic, payload) => {
      messages.push(`${topic} ${payload.length} ${new TextDecoder().decode(payload.subarray(0, 4))}`);
      if (messages.length === MESSAGES.length) all.resolve();
    },
  });
  await session.ready;
  assertEquals(await session.subscribe("a"), 0);
  await all.promise;
  session.end({ verdict: "later", error: new Error("done") });
  await session.ended;
  return messages;
}

const EXPECTED = ["a 3 one", "a 200 \0\0\0\0", "a/b 0 ", "a 4 last"];

Deno.test("packets cut at every byte are the same packets", async () => {
  for (let at = 0; at <= LENGTH; at++) {
    const cut = (bytes: Uint8Array) =>
      [bytes.subarray(0, at), bytes.subarray(at)].filter(({ length }) => length > 0);
    assertEquals(await received(cut), EXPECTED, `cut at ${at}`);
  }
});

Deno.test("packets that come byte by byte, or all at once, are the same packets", async () => {
  assertEquals(await received((bytes) => [...bytes].map((byte) => Uint8Array.of(byte))), EXPECTED);
  assertEquals(await received((bytes) => bytes.length > 0 ? [bytes] : []), EXPECTED);
});

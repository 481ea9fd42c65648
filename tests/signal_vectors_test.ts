/** The test vectors of the signal protocol, which a second implementation checks itself against. */

import { assert, assertEquals } from "@std/assert";
import { SIGNAL_VECTORS, type SignalVectors, signalVectors } from "../dev/signal_vectors.ts";
import { SecureChannels } from "../signal/_channel.ts";
import { openNotice, type Place } from "../signal/_notice.ts";
import { inboxTopic } from "../signal/_topics.ts";
import { parseCard } from "../signal/card.ts";
import { Identity } from "../signal/identity.ts";

const vectors: SignalVectors = JSON.parse(await Deno.readTextFile(SIGNAL_VECTORS));

function hex(text: string | number | undefined): Uint8Array {
  return Uint8Array.fromHex(`${text}`);
}

/** Both ends of the channel of the vectors, before it is there. */
function ends(): Readonly<Record<string, SecureChannels>> {
  const { random, initiator, responder } = vectors.channel;
  const draw = (...names: readonly string[]) => {
    const left = [...names];
    return () => hex(random[left.shift() ?? ""]);
  };
  const channels = (seed: string, random: () => Uint8Array): SecureChannels =>
    new SecureChannels({
      identity: new Identity(hex(seed)),
      now: () => 0,
      random,
      greeting: () => hex(vectors.channel.packets[0]?.content),
    });
  return {
    anna: channels(initiator, draw("initEphemeral", "initToken", "initHeader")),
    bob: channels(responder, draw("respToken", "respEphemeral")),
  };
}

Deno.test("the vectors are those that dev/signal_vectors.ts writes", async () => {
  assertEquals(await signalVectors(), vectors);
});

Deno.test("peers, cards and notices are read as the vectors say", () => {
  for (const { seed, id, publicKey, inbox } of vectors.identities) {
    const identity = new Identity(hex(seed));
    assertEquals([identity.id, identity.publicKey.toHex()], [id, publicKey]);
    assertEquals(inboxTopic(identity.publicKey), inbox);
  }
  for (const { card, id, brokers, serial } of vectors.cards) {
    assertEquals(parseCard(card), { id, brokers, serial });
  }
  for (const { topic, key, from, session, number, content, packet } of vectors.notices) {
    const place: Place = { topic: `${topic}`, key: hex(key), owner: null };
    assertEquals(openNotice(place, hex(packet)), { from, session, number, content: hex(content) } as never);
  }
});

Deno.test("both ends open what the vectors hold, and refuse what was changed", () => {
  const { anna, bob } = ends();
  if (!anna || !bob) throw new Error("Cannot go on: two ends are needed");
  const { init, resp, packets } = vectors.channel;
  const [, { id } = {}] = vectors.identities;
  assertEquals(anna.start(`${id}`)[0]?.bytes.toHex(), init);
  assertEquals(
    (bob.receive(bob.topic, hex(init)) as { send?: { bytes: Uint8Array } }).send?.bytes.toHex(),
    resp,
  );
  const established = anna.receive(anna.topic, hex(resp)) as { send?: { bytes: Uint8Array } };
  assertEquals(established.send?.bytes.toHex(), packets[0]?.packet);
  const repeated = "a packet that came before";
  for (const { what, to, packet } of vectors.refused) {
    if (what === repeated) continue;
    const end = to === "anna" ? anna : to === "bob" ? bob : undefined;
    if (end) assertEquals(end.receive(end.topic, hex(packet)).type, "dropped", `${what}`);
    else {
      const { key, topic } = vectors.notices.find(({ place }) => place === to) ?? {};
      assertEquals(
        openNotice({ topic: `${topic}`, key: hex(key), owner: null }, hex(packet)),
        null,
        `${what}`,
      );
    }
  }
  // None of that has kept out what is real.
  for (const { from, number, content, packet } of packets) {
    const end = from === "anna" ? bob : anna;
    const opened = end.receive(end.topic, hex(packet));
    assert(opened.type === "opened");
    assertEquals(
      { number: opened.number, content: opened.content },
      { number, content: hex(content) } as never,
    );
  }
  const again = vectors.refused.find(({ what }) => what === repeated);
  assertEquals(bob.receive(bob.topic, hex(again?.packet)).type, "copy");
  assertEquals(vectors.refused.length, 15);
});

import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { randomBytes } from "../internal/crypto.ts";
import { MAX_NOTICE, openNotice, type Place, presencePlace, roomPlace, sealNotice } from "./_notice.ts";
import { Identity } from "./identity.ts";

const ANNA = new Identity(new Uint8Array(32).fill(1));
const BOB = new Identity(new Uint8Array(32).fill(2));
const HELLO = new TextEncoder().encode("I am here");

function hello(place: Place, identity: Identity, content: Uint8Array = HELLO): Uint8Array {
  return sealNotice(place, {
    identity,
    session: "0011223344556677",
    number: 2 ** 40,
    content,
    random: randomBytes,
  });
}

Deno.test("a notice tells who knows the place what was said, and by whom", () => {
  const place = presencePlace(ANNA.publicKey);
  const packet = hello(place, ANNA);
  assertEquals(packet.length, 256);
  assertEquals(openNotice(presencePlace(ANNA.publicKey), packet), {
    from: ANNA.id,
    session: "0011223344556677",
    number: 2 ** 40,
    content: HELLO,
  });
});

Deno.test("nobody tells the presence of somebody else", () => {
  const place = presencePlace(ANNA.publicKey);
  assertEquals(openNotice(place, hello(place, BOB)), null);
});

Deno.test("a notice that was changed anywhere, cut, or brought to another place, is none", () => {
  const place = presencePlace(ANNA.publicKey);
  const packet = hello(place, ANNA);
  for (let at = 0; at < packet.length; at++) {
    const changed = packet.with(at, (packet[at] ?? 0) ^ 1);
    assertEquals(openNotice(place, changed), null, `byte ${at}`);
  }
  assertEquals(openNotice(place, packet.subarray(1)), null);
  assertEquals(openNotice(presencePlace(BOB.publicKey), packet), null);
  // Even where both places had one key.
  assertEquals(openNotice({ ...place, topic: "another" }, packet), null);
});

Deno.test("a room is known by its name and its secret, and its members sign for themselves", async () => {
  const [room, same, other, secret] = await Promise.all([
    roomPlace("kitchen", "caf\u00e9 at noon"),
    roomPlace("kitchen", "cafe\u0301 at noon"),
    roomPlace("cellar", "caf\u00e9 at noon"),
    roomPlace("kitchen", "cafe at noon"),
  ]);
  assertEquals(same, room);
  assertNotEquals(other.topic, room.topic);
  assertNotEquals(secret.topic, room.topic);
  assertEquals([ANNA, BOB].map((identity) => openNotice(room, hello(same, identity))?.from), [
    ANNA.id,
    BOB.id,
  ]);
  assertEquals(
    [other, secret].map((place) => openNotice({ ...place, topic: room.topic }, hello(room, BOB))),
    [
      null,
      null,
    ],
  );
});

Deno.test("a notice of too much is refused", () => {
  const place = presencePlace(ANNA.publicKey);
  const full = openNotice(place, hello(place, ANNA, new Uint8Array(MAX_NOTICE)));
  assertEquals(full?.content.length, MAX_NOTICE);
  assertThrows(
    () => hello(place, ANNA, new Uint8Array(MAX_NOTICE + 1)),
    RangeError,
    "8149 bytes are more than",
  );
});

Deno.test("notices of one content look different each time", () => {
  const place = presencePlace(ANNA.publicKey);
  const [one, two] = [hello(place, ANNA), hello(place, ANNA)];
  assert(one.subarray(2, 10).toHex() !== two.subarray(2, 10).toHex());
  let same = 0;
  for (let at = 2; at < 256; at++) if (one[at] === two[at]) same++;
  assert(same < 20, `${same} of 254 bytes are the same`);
});

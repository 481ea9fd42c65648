import { assertEquals, assertThrows } from "@std/assert";
import { formatCard, parseCard } from "./card.ts";
import { Identity, makeIdentity } from "./identity.ts";

const BOB = new Identity(new Uint8Array(32).fill(2));
const BROKERS = ["mqtts://a.example:8883", "wss://b.example/mqtt?x=1&y=2"];

Deno.test("a card tells who somebody is and where he is reached", () => {
  const card = formatCard(BOB, { brokers: BROKERS, serial: 7 });
  const expected = `holdfast:${BOB.id}?b=mqtts%3A%2F%2Fa.example%3A8883` +
    "&b=wss%3A%2F%2Fb.example%2Fmqtt%3Fx%3D1%26y%3D2&n=7&s=";
  assertEquals(card.slice(0, expected.length), expected);
  assertEquals(parseCard(` ${card}\n`), { id: BOB.id, brokers: BROKERS, serial: 7 });
});

Deno.test("a card that was changed anywhere is refused", () => {
  const card = formatCard(BOB, { brokers: BROKERS, serial: 7 });
  for (let at = 0; at < card.length; at++) {
    const letter = card[at] === "a" ? "b" : "a";
    assertThrows(
      () => parseCard(card.slice(0, at) + letter + card.slice(at + 1)),
      SyntaxError,
      "",
      `at ${at}`,
    );
    assertThrows(() => parseCard(card.slice(0, at) + card.slice(at + 1)), SyntaxError);
  }
  const other = makeIdentity();
  assertThrows(
    () => parseCard(card.replace(BOB.id, other.id)),
    SyntaxError,
    "Cannot read a card: its signature does not fit, so it was changed",
  );
});

Deno.test("a card with what it should not have is refused, also where it is signed", () => {
  const wrong: readonly (readonly [string, string])[] = [
    [`holdfast:bob?b=mqtt%3A%2F%2Fa&n=0`, "it is not"],
    [`holdfast:${"a".repeat(51)}c?b=mqtt%3A%2F%2Fa&n=0`, "its id is not one"],
    [`holdfast:${BOB.id}?n=0`, "it is not"],
    [`holdfast:${BOB.id}?b=%E0%A4&n=0`, "not percent-encoded"],
    [`holdfast:${BOB.id}?b=https%3A%2F%2Fa&n=0`, '"https://a" is not the address of a broker'],
    [`holdfast:${BOB.id}?b=mqtt%3A%2F%2Fme%3Ahunter2%40a&n=0`, 'broker at "a" tells a login'],
    [`holdfast:${BOB.id}?b=mqtt%3A%2F%2Fa%23b&n=0`, "is not the address of a broker"],
    [`holdfast:${BOB.id}?${"b=mqtt%3A%2F%2Fa&".repeat(9)}n=0`, "it names more than 8 brokers"],
    [`holdfast:${BOB.id}?b=mqtt%3A%2F%2Fa&n=9999999999999999`, "its serial is 9999999999999999"],
    [`holdfast:${BOB.id}?b=mqtt%3A%2F%2Fa&n=01`, "it is not"],
  ];
  for (const [text, why] of wrong) {
    const message = new TextEncoder().encode(`holdfast signal 1 card${text}`);
    const signature = BOB.sign(message).toBase64({ alphabet: "base64url", omitPadding: true });
    assertThrows(() => parseCard(`${text}&s=${signature}`), SyntaxError, why, text);
  }
  const card = formatCard(BOB, { brokers: BROKERS });
  assertThrows(() => parseCard("x".repeat(3000)), SyntaxError, "it has more than 2048 characters");
  // The last letter of a signature has four bits that are part of no byte.
  const last = String.fromCharCode(card.charCodeAt(card.length - 1) + 1);
  assertThrows(() => parseCard(card.slice(0, -1) + last), SyntaxError, "its signature is not base64url");
});

Deno.test("a card is not made of what would not be read", () => {
  const make = (...brokers: string[]) => () => formatCard(BOB, { brokers });
  assertThrows(make(), RangeError, "Cannot make a card: it names 1 to 8 brokers, not 0");
  assertThrows(make(...Array(9).fill("mqtt://a")), RangeError, "not 9");
  for (
    const broker of ["mqtt://a\n", " mqtt://a", "mqtt://a/\ud800", "mqtt://a/é", `mqtt://${"a".repeat(250)}`]
  ) {
    assertThrows(make(broker), TypeError, "is not the address of a broker");
  }
  assertThrows(make("http://a"), TypeError, 'Cannot make a card: "http://a" is not the address of a broker');
  const login = assertThrows(make("mqtt://me:hunter2@a"), TypeError, 'the broker at "a" tells a login');
  assertEquals(login.message.includes("hunter2"), false);
  assertThrows(
    make(...Array(8).fill(`mqtt://a/${"/".repeat(200)}`)),
    RangeError,
    "at most 2048 are read",
  );
  assertThrows(() => formatCard(BOB, { brokers: BROKERS, serial: -1 }), RangeError, "its serial is -1");
});

import { assert, assertEquals, assertThrows } from "@std/assert";
import { agree, agreementPair, verifyMessage } from "../internal/crypto.ts";
import { fromBase32, toBase32 } from "./_base32.ts";
import { agreementKeyOf, agreementPairOf } from "./_curve.ts";
import { formatIdentity, Identity, isPeerId, makeIdentity, parseIdentity } from "./identity.ts";

Deno.test("an id is the public key of RFC 8032 section 7.1, test 2, in base32", () => {
  const seed = Uint8Array.fromHex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
  const identity = new Identity(seed);
  assertEquals(
    identity.publicKey.toHex(),
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
  );
  assertEquals(identity.id, toBase32(identity.publicKey));
  assertEquals(identity.id.length, 52);
  assertEquals(fromBase32(identity.id), identity.publicKey);
  const message = Uint8Array.of(0x72);
  assert(verifyMessage(identity.publicKey, message, identity.sign(message)));
});

Deno.test("base32 is that of RFC 4648 section 10, in small letters, and each value has one text", () => {
  const vectors = {
    "": "",
    f: "my",
    fo: "mzxq",
    foo: "mzxw6",
    foob: "mzxw6yq",
    fooba: "mzxw6ytb",
    foobar: "mzxw6ytboi",
  };
  for (const [text, expected] of Object.entries(vectors)) {
    const bytes = new TextEncoder().encode(text);
    assertEquals(toBase32(bytes), expected);
    assertEquals(fromBase32(expected), bytes);
  }
  for (const wrong of ["mz", "mzxw7", "MY", "m1", "my=", "m", "mya"]) {
    assertEquals(fromBase32(wrong), null, wrong);
  }
});

Deno.test("the X25519 keys of an identity belong together, whoever makes them", () => {
  for (let n = 0; n < 20; n++) {
    const identity = makeIdentity();
    const pair = agreementPairOf(identity.seed);
    assertEquals(agreementKeyOf(identity.publicKey), pair.publicKey);
    const other = agreementPair(crypto.getRandomValues(new Uint8Array(32)));
    assertEquals(agree(pair.privateKey, other.publicKey), agree(other.privateKey, pair.publicKey));
  }
});

Deno.test("the base point of one curve is that of the other", () => {
  // RFC 7748 section 4.1: y = 4/5 and u = 9.
  const y = "58" + "66".repeat(31);
  assertEquals(agreementKeyOf(Uint8Array.fromHex(y))?.toHex(), "09" + "00".repeat(31));
});

Deno.test("32 bytes that are no point of the curve are nobody's id", () => {
  const prime = Uint8Array.fromHex("ed" + "ff".repeat(30) + "7f");
  const one = new Uint8Array(32).with(0, 1);
  const offCurve = new Uint8Array(32).with(0, 2);
  for (const key of [prime, prime.with(0, 0xee), new Uint8Array(32).fill(255), one, offCurve]) {
    assertEquals(agreementKeyOf(key), null, key.toHex());
    assertEquals(isPeerId(toBase32(key)), false);
  }
  assertEquals(agreementKeyOf(new Uint8Array(31)), null);
  assertEquals([isPeerId(makeIdentity().id), isPeerId(makeIdentity().id.toUpperCase()), isPeerId("")], [
    true,
    false,
    false,
  ]);
});

Deno.test("the text of an identity is read again, and one that is none is refused without a word of it", () => {
  const identity = makeIdentity({ comment: "anna\nat  home" });
  const text = formatIdentity(identity);
  assertEquals(text.split("\n").length, 2);
  assertEquals(parseIdentity(`\n# mine\n${text}`).comment, "anna at home");
  const key = identity.seed.toBase64();
  const wrong: Record<string, string> = {
    "": "it has 0 lines that say something, not 1",
    [text + text]: "it has 2 lines that say something, not 1",
    [`other ${key}`]: 'it does not begin with "holdfast-identity"',
    [`holdfast-identity ${key.slice(0, 40)}`]: "its key has 30 bytes, not 32",
    [`holdfast-identity ${key.slice(0, 42)}`]: "its key is not base64",
    "holdfast-identity": "its key has 0 bytes, not 32",
  };
  for (const [text, why] of Object.entries(wrong)) {
    const error = assertThrows(() => parseIdentity(text), SyntaxError);
    assertEquals(error.message, `Cannot read an identity: ${why}`);
  }
  assertThrows(() => new Identity(new Uint8Array(31)), TypeError, "its private key has 32 bytes, not 31");
});

Deno.test("neither printing nor JSON shows the private key", () => {
  const identity = makeIdentity();
  const shown = `${Deno.inspect(identity, { depth: 9 })}${JSON.stringify(identity)}${Object.keys(identity)}`;
  assertEquals(shown.includes(identity.seed.toBase64()) || shown.includes(identity.seed.join(", ")), false);
});

import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import {
  formatKey,
  formatPublicKey,
  KeyPair,
  makeKeyPair,
  makeSharedKey,
  parseKey,
  parsePublicKeys,
  SharedKey,
} from "./key_text.ts";

const bytes = Uint8Array.from({ length: 32 }, (_, n) => n);
const BASE64 = bytes.toBase64();

Deno.test("a shared key is one line, and read again as it was", () => {
  const key = new SharedKey(bytes, "office");
  assertEquals(formatKey(key), `holdfast-shared-key ${BASE64} office\n`);
  const again = parseKey(formatKey(key));
  assert(again.type === "shared");
  assertEquals([again.bytes, again.comment, again.fingerprint], [bytes, "office", key.fingerprint]);
});

Deno.test("a key pair is written with its private half, its line of a list is not", () => {
  const pair = new KeyPair(bytes, "anna");
  assertEquals(formatKey(pair), `holdfast-private-key ${BASE64} anna\n`);
  const again = parseKey(formatKey(pair));
  assert(again.type === "pair");
  assertEquals([again.seed, again.publicKey], [bytes, pair.publicKey]);
  assertEquals(formatPublicKey(pair).includes(BASE64), false);
  assertEquals(parsePublicKeys(formatPublicKey(pair)), [
    { publicKey: pair.publicKey, comment: "anna", fingerprint: pair.fingerprint },
  ]);
});

Deno.test("the public key is the one of RFC 8032 section 7.1, test 1", () => {
  const seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
  const publicKey = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
  assertEquals(new KeyPair(Uint8Array.fromHex(seed)).publicKey.toHex(), publicKey);
});

Deno.test("new keys differ, and so do the fingerprints of keys of different kinds", () => {
  const [one, two] = [makeSharedKey(), makeSharedKey()];
  assertNotEquals(one.bytes, two.bytes);
  const pair = makeKeyPair();
  assertNotEquals(new SharedKey(pair.publicKey).fingerprint, pair.fingerprint);
  assert(/^SHA256:[A-Za-z0-9+/]{43}$/.test(pair.fingerprint), pair.fingerprint);
  assert(/^SHA256:[A-Za-z0-9+/]{43}$/.test(one.fingerprint), one.fingerprint);
});

Deno.test("neither printing a key nor JSON shows the secret", () => {
  for (const key of [new SharedKey(bytes), new KeyPair(bytes)]) {
    for (const shown of [Deno.inspect(key, { depth: 9, showHidden: true }), JSON.stringify(key), `${key}`]) {
      assertEquals(shown.includes(BASE64), false, shown);
      assertEquals(shown.includes("0, 1, 2, 3"), false, shown);
      assertEquals(shown.includes("0,  1,  2"), false, shown);
      assertEquals(shown.includes('"3":3'), false, shown);
    }
  }
});

Deno.test("a list has comments, empty lines, line ends of Windows, and names with spaces", () => {
  const [anna, bert] = [new KeyPair(bytes, "anna at work"), new KeyPair(bytes.toReversed())];
  const text = `# who may come in\r\n\r\n${formatPublicKey(anna)}\r\n  # nobody\n\t${formatPublicKey(bert)}`;
  assertEquals(parsePublicKeys(text).map((key) => [key.comment, key.publicKey]), [
    ["anna at work", anna.publicKey],
    ["", bert.publicKey],
  ]);
  assertEquals(parsePublicKeys(""), []);
});

Deno.test("what is no key is refused by its line, without a word of what is there", () => {
  const secret = `holdfast-shared-key ${BASE64}`;
  const wrong: readonly (readonly [parse: (text: string) => unknown, text: string, why: string])[] = [
    [parseKey, "# nothing\n", "Cannot read a key: there is none"],
    [parseKey, `${secret}\n\n${secret}`, "Cannot read a key: line 3: there is a second key"],
    [parseKey, BASE64, "Cannot read a key: line 1: it does not begin with"],
    [parseKey, "holdfast-private-key", "the key has 0 bytes, not 32"],
    [parseKey, `holdfast-shared-key ${BASE64}A`, "what follows the first word is not base64"],
    [parseKey, "holdfast-shared-key YWJj", "the key has 3 bytes, not 32"],
    [parseKey, `secret ${BASE64}`, "it does not begin with holdfast-shared-key or holdfast-private-key"],
    [parseKey, `holdfast-public-key ${BASE64}`, "it is a public key, a shared or private one belongs here"],
    [parsePublicKeys, `\n${secret}`, "Cannot read a key: line 2: it is a secret key"],
    [parsePublicKeys, `holdfast-private-key ${BASE64}`, "it is a secret key"],
    [parsePublicKeys, `ssh-ed25519 ${BASE64}`, "it does not begin with holdfast-public-key"],
  ];
  for (const [parse, text, why] of wrong) {
    const error = assertThrows(() => parse(text), SyntaxError, why);
    assertEquals(
      `${error.message}${error.stack}${error.cause}`.includes(BASE64.slice(4, 12)),
      false,
      error.message,
    );
  }
});

Deno.test("a comment of more than one line, and a key of another length, are a caller's mistake", () => {
  assertThrows(
    () => formatKey(new SharedKey(bytes, "a\nholdfast-shared-key")),
    TypeError,
    'Cannot write a key with the comment "a\\nholdfast-shared-key": it must be one line',
  );
  assertThrows(() => formatPublicKey(new KeyPair(bytes, "a\u001b[2J")), TypeError, "one line");
  assertThrows(() => new SharedKey(bytes.subarray(1)), TypeError, "Cannot make a shared key of 31 bytes");
  assertThrows(() => new KeyPair(new Uint8Array(33)), TypeError, "Cannot make a private key of 33 bytes");
});

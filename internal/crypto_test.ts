import { assertEquals } from "@std/assert";
import {
  agree,
  agreementPair,
  ascii,
  concat,
  hkdfExpand,
  hkdfExtract,
  hmac,
  isSame,
  randomBytes,
  sha256,
  signingPublicKey,
  signMessage,
  verifyMessage,
} from "./crypto.ts";

/** The same by Web Crypto, which is another implementation. */
async function byWebCrypto(key: Uint8Array<ArrayBuffer>, salt: Uint8Array<ArrayBuffer>, info: string) {
  const material = await crypto.subtle.importKey("raw", key, "HKDF", false, ["deriveBits"]);
  const params = { name: "HKDF", hash: "SHA-256", salt, info: new TextEncoder().encode(info) };
  return new Uint8Array(await crypto.subtle.deriveBits(params, material, 256));
}

Deno.test("X25519 is the one of RFC 7748", () => {
  // Section 5.2: the base point 9 as key and as public key, once.
  const nine = concat(Uint8Array.of(9), new Uint8Array(31));
  const once = "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079";
  assertEquals(agreementPair(nine).publicKey.toHex(), once);
  assertEquals(agree(agreementPair(nine).privateKey, nine)?.toHex(), once);
  const [one, two] = [agreementPair(randomBytes(32)), agreementPair(randomBytes(32))];
  assertEquals(agree(one.privateKey, two.publicKey), agree(two.privateKey, one.publicKey));
});

Deno.test("X25519 gives nothing with a key of low order", () => {
  const own = agreementPair(randomBytes(32));
  assertEquals(agree(own.privateKey, new Uint8Array(32)), null);
  assertEquals(agree(own.privateKey, concat(Uint8Array.of(1), new Uint8Array(31))), null);
});

Deno.test("Ed25519 is the one of RFC 8032 section 7.1, test 2", () => {
  const seed = Uint8Array.fromHex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
  const publicKey = signingPublicKey(seed);
  assertEquals(publicKey.toHex(), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const message = Uint8Array.of(0x72);
  const signature = signMessage(seed, message);
  assertEquals(signature.toHex().slice(0, 32), "92a009a9f0d4cab8720e820b5f642540");
  assertEquals(verifyMessage(publicKey, message, signature), true);
  assertEquals(verifyMessage(publicKey, Uint8Array.of(0x73), signature), false);
  assertEquals(verifyMessage(signingPublicKey(seed.toReversed()), message, signature), false);
});

Deno.test("what is no point of the curve has signed nothing", () => {
  for (const first of [0, 2, 255]) {
    const key = new Uint8Array(32).fill(first);
    assertEquals(verifyMessage(key, ascii("x"), new Uint8Array(64).fill(1)), false);
  }
});

Deno.test("SHA-256 and HMAC are those of FIPS 180-4 and RFC 4231", () => {
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  assertEquals(sha256(ascii("abc")).toHex(), abc);
  assertEquals(sha256(ascii("a"), ascii(""), ascii("bc")).toHex(), abc);
  const test2 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
  assertEquals(hmac(ascii("Jefe"), ascii("what do ya want for nothing?")).toHex(), test2);
});

Deno.test("HKDF gives what Web Crypto gives", async () => {
  for (const info of ["", "holdfast session 1 client", "x".repeat(200)]) {
    const [key, salt] = [
      crypto.getRandomValues(new Uint8Array(64)),
      crypto.getRandomValues(new Uint8Array(32)),
    ];
    assertEquals(hkdfExpand(hkdfExtract(salt, key), info), await byWebCrypto(key, salt, info));
  }
});

Deno.test("values are the same only as a whole, and of one length", () => {
  const value = randomBytes(32);
  assertEquals(isSame(value, value.slice()), true);
  assertEquals(isSame(value, value.map((byte, n) => n === 31 ? byte ^ 1 : byte)), false);
  assertEquals(isSame(value, value.subarray(1)), false);
});

/** Hostile bytes for sealed records, for those who show who they are, and for key files. */

import { assert, assertEquals } from "@std/assert";
import { HandshakeSyntaxError } from "../pipes/resume/_handshake_frames.ts";
import { concat, isSame } from "../pipes/resume/_keys.ts";
import { SealedCodec, SealError } from "../pipes/resume/_seal.ts";
import { decodeIdentity, encodeIdentity } from "../pipes/resume/_seal_exchange.ts";
import {
  formatKey,
  formatPublicKey,
  KeyPair,
  parseKey,
  parsePublicKeys,
  SharedKey,
} from "../pipes/resume/key_text.ts";
import { fuzz, mutate, type Random } from "./_fuzz.ts";
import { CLIENT, secret, SHARED } from "./_handshakes.ts";
import { scale } from "./_require.ts";

Deno.test("records that were changed, cut and mixed are opened as they were sealed, up to the first that was not", () => {
  const keys = { sendKey: secret("a"), receiveKey: secret("b") };
  const back = { sendKey: secret("b"), receiveKey: secret("a") };
  const plain = [1, 2, 30, 400, 5000, 1, 70_000].map((length, n) => new Uint8Array(length).fill(n + 1));
  const sender = new SealedCodec(keys);
  const records = plain.map((piece) => sender.seal(piece).slice());
  const ends = fuzz(
    scale(1500, 30_000),
    (random) => {
      const n = random.below(records.length + 1);
      const list = records.map((record, at) => at === n ? mutate(random, record, records) : record);
      return { list: random.below(6) === 0 ? list.toReversed() : list, random };
    },
    ({ list, random }) => {
      const codec = new SealedCodec({ ...back, limit: random.one([65_564, 65_564, 65_564, 400]) });
      const opened: Uint8Array[] = [];
      let end = "all";
      try {
        for (const part of pieces(random, concat(...list))) opened.push(...codec.open(part));
        if (opened.length < records.length) end = "some";
      } catch (error) {
        if (!(error instanceof SealError)) throw error;
        end = error.message.replaceAll(/\d+/g, "N");
      }
      const got = concat(...opened);
      assert(isSame(got, concat(...plain).subarray(0, got.length)));
      if (random.below(4) === 0) codec.trim();
      return end;
    },
  );
  assertEquals([...ends.keys()].toSorted(), [
    "Cannot open a record: it is not what the other end sealed",
    "Cannot open a record: its length is N, not N to N",
    "all",
    "some",
  ]);
});

Deno.test("an identity is somebody's, nobody's, forged, or none", () => {
  const binding = secret("binding");
  const real = [encodeIdentity("client", CLIENT, binding), encodeIdentity("client", undefined, binding)];
  const ends = fuzz(
    scale(800, 20_000),
    (random) => random.below(4) === 0 ? random.one(real) : mutate(random, random.one(real), real),
    (bytes) => {
      try {
        const identity = decodeIdentity("client", bytes, binding);
        if (identity instanceof Uint8Array) assertEquals(identity, CLIENT.publicKey);
        return identity === null ? "nobody" : identity === "forged" ? "forged" : "client";
      } catch (error) {
        if (!(error instanceof HandshakeSyntaxError)) throw error;
        return "none";
      }
    },
  );
  assertEquals([...ends.keys()].toSorted(), ["client", "forged", "nobody", "none"]);
});

Deno.test("the text of keys is read to what makes the same text again, or refused without a word of it", () => {
  const texts = [
    formatKey(new SharedKey(SHARED, "office")),
    formatKey(new KeyPair(CLIENT.seed)),
    `# who\n\n${formatPublicKey(new KeyPair(CLIENT.seed, "a b"))}`,
    "holdfast-shared-key YWJj\n",
    `other ${SHARED.toBase64()}\n`,
  ].map((text) => new TextEncoder().encode(text));
  const ends = fuzz(
    scale(4000, 100_000),
    (random) => random.below(6) === 0 ? random.one(texts) : mutate(random, random.one(texts), texts),
    (bytes) => {
      const text = new TextDecoder().decode(bytes);
      const ends: string[] = [];
      for (const parse of [parseKey, parsePublicKeys]) {
        try {
          const read = parse(text);
          if (Array.isArray(read)) { for (const key of read) assertEquals(key.publicKey.length, 32); }
          else if ("type" in read && !/\p{Cc}/u.test(read.comment)) {
            assertEquals(parseKey(formatKey(read)).fingerprint, read.fingerprint);
          }
          ends.push("read");
        } catch (error) {
          if (!(error instanceof SyntaxError)) throw error;
          assert(/^Cannot read a key: (line \d+: )?[a-z0-9 ,;-]+$/i.test(error.message), error.message);
          assert(!error.message.includes(SHARED.toBase64().slice(0, 6)));
          ends.push("refused");
        }
      }
      return ends.join();
    },
  );
  for (const name of ["read,refused", "refused,read", "refused,refused"]) assert(ends.has(name), name);
});

/** Cuts bytes into pieces. */
function* pieces(random: Random, bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const length = random.one([1, 3, 12, 20, 44, 1000, 70_000]);
    yield bytes.slice(at, at += length);
  }
}

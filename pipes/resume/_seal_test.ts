import { assert, assertEquals, assertThrows } from "@std/assert";
import { createDecipheriv } from "node:crypto";
import { flip, secret } from "../../tests/_handshakes.ts";
import { concat } from "./_keys.ts";
import { RECORD_EXTRA, RECORD_LIMIT, RECORD_PLAIN, SealedCodec, SealError } from "./_seal.ts";

/** Two ends of a carrier. */
function ends(limit?: number): readonly [SealedCodec, SealedCodec] {
  const [one, two] = [secret("one"), secret("two")];
  return [
    new SealedCodec({ sendKey: one, receiveKey: two, ...(limit === undefined ? {} : { limit }) }),
    new SealedCodec({ sendKey: two, receiveKey: one, ...(limit === undefined ? {} : { limit }) }),
  ];
}

function bytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, n) => n * 7 + (n >> 8));
}

Deno.test("what is sealed is opened, in order and both ways", () => {
  const [one, two] = ends();
  for (const length of [1, 12, 1000, RECORD_PLAIN]) {
    for (const [from, to] of [[one, two], [two, one], [one, two]] as const) {
      const record = from.seal(bytes(length));
      assertEquals(record.length, length + RECORD_EXTRA);
      const opened = to.open(record);
      assertEquals(opened.map((piece) => piece.toHex()), [bytes(length).toHex()]);
    }
  }
});

Deno.test("a record is what RFC 8439 makes of it, with the counter as nonce and the length as additional data", () => {
  const [one] = ends();
  for (const counter of [0, 1, 2]) {
    const record = one.seal(bytes(50)).slice();
    assertEquals(new DataView(record.buffer).getUint32(0), 66);
    const nonce = new Uint8Array(12);
    nonce[11] = counter;
    const decipher = createDecipheriv("chacha20-poly1305", secret("one"), nonce, { authTagLength: 16 });
    decipher.setAAD(record.subarray(0, 4), { plaintextLength: 50 });
    decipher.setAuthTag(record.subarray(-16));
    assertEquals(decipher.update(record.subarray(4, -16)).toString("hex"), bytes(50).toHex());
    decipher.final();
  }
});

Deno.test("more than a record holds is sealed into several", () => {
  const [one, two] = ends();
  const much = bytes(2 * RECORD_PLAIN + 1);
  const records = one.seal(much);
  assertEquals(records.length, much.length + 3 * RECORD_EXTRA);
  const pieces = two.open(records);
  assertEquals(pieces.map((piece) => piece.length), [RECORD_PLAIN, RECORD_PLAIN, 1]);
  assertEquals(concat(...pieces).toHex(), much.toHex());
  assertEquals(one.seal(new Uint8Array(0)).length, 0);
});

Deno.test("records are opened however they are cut, out of memory that is used again", () => {
  const plain = [bytes(1), bytes(300), bytes(5), bytes(70), bytes(1000)];
  for (const cut of [1, 2, 3, 4, 5, 19, 21, 100, 333, 5000]) {
    const [one, two] = ends();
    const all = concat(...plain.map((piece) => one.seal(piece).slice()));
    const buffer = new Uint8Array(cut);
    const opened: Uint8Array[] = [];
    for (let at = 0; at < all.length; at += cut) {
      const part = all.subarray(at, at + cut);
      buffer.set(part);
      opened.push(...two.open(buffer.subarray(0, part.length)));
      buffer.fill(0xee);
    }
    assertEquals(opened.map((piece) => piece.toHex()), plain.map((piece) => piece.toHex()), `${cut} at once`);
  }
});

Deno.test("sealing uses one piece of memory again, and lets go of it when told to", () => {
  const [one, two] = ends();
  const first = one.seal(bytes(1000));
  two.open(first);
  const second = one.seal(bytes(900));
  assert(first.buffer === second.buffer);
  two.open(second);
  one.trim();
  two.trim();
  const third = one.seal(bytes(10));
  assert(third.buffer !== second.buffer);
  assertEquals(third.buffer.byteLength, 10 + RECORD_EXTRA);
  assertEquals(two.open(third).map((piece) => piece.toHex()), [bytes(10).toHex()]);
});

Deno.test("the beginning of a record outlives the letting go of memory", () => {
  const [one, two] = ends();
  const record = one.seal(bytes(100));
  two.open(record.subarray(0, 50));
  two.trim();
  assertEquals(two.open(record.subarray(50)).map((piece) => piece.toHex()), [bytes(100).toHex()]);
});

Deno.test("a record with any bit turned ends the carrier", () => {
  const [sender] = ends();
  const record = sender.seal(bytes(40)).slice();
  // A length that grew waits for more, which is then no part of the record.
  const more = concat(sender.seal(bytes(RECORD_PLAIN)).slice(), sender.seal(bytes(RECORD_PLAIN)));
  for (let bit = 0; bit < record.length * 8; bit++) {
    const [, two] = ends();
    const opened: Uint8Array[] = [];
    const error = assertThrows(() => {
      for (const part of [flip(record, bit), more]) opened.push(...two.open(part));
    }, SealError);
    assertEquals(opened, [], `bit ${bit}`);
    // And it stays ended, also for what would have been right.
    assertEquals(assertThrows(() => two.open(record), SealError), error);
  }
});

Deno.test("records that are left out, doubled, swapped, thrown back or of another carrier end the carrier", () => {
  const make = (): readonly Uint8Array[] => {
    const [one] = ends();
    return [one.seal(bytes(10)).slice(), one.seal(bytes(10)).slice(), one.seal(bytes(10)).slice()];
  };
  const [a, b, c] = make() as [Uint8Array, Uint8Array, Uint8Array];
  const other = new SealedCodec({ sendKey: secret("three"), receiveKey: secret("four") });
  const wrong: Readonly<Record<string, readonly [good: number, ...records: Uint8Array[]]>> = {
    "left out": [1, a, c],
    "the first left out": [0, b],
    "doubled": [1, a, a],
    "doubled later": [3, a, b, c, a],
    "swapped": [0, b, a],
    "cut": [1, a, b.subarray(0, -1), c],
    "thrown back": [0, ends()[1].seal(bytes(10)).slice()],
    "of another carrier": [0, other.seal(bytes(10)).slice()],
  };
  for (const [name, [good, ...records]] of Object.entries(wrong)) {
    const [, two] = ends();
    const opened: Uint8Array[] = [];
    assertThrows(
      () => {
        for (const record of records) opened.push(...two.open(record));
      },
      SealError,
      "Cannot open a record: it is not what the other end sealed",
    );
    assertEquals(opened.length, good, name);
  }
});

Deno.test("a length that no record has ends the carrier before more is kept", () => {
  for (
    const [limit, length] of [[400, 401], [400, 16], [400, 0], [RECORD_LIMIT, RECORD_LIMIT + 1]] as const
  ) {
    const [, two] = ends(limit);
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, length);
    two.open(head.subarray(0, 3));
    assertThrows(() => two.open(head.subarray(3)), SealError, `its length is ${length}, not 17 to ${limit}`);
  }
  const [one, two] = ends(400);
  const [small, large] = [one.seal(bytes(384)).slice(), one.seal(bytes(385)).slice()];
  assertEquals(two.open(small).length, 1);
  // Who has proven himself may send larger ones.
  two.limit = RECORD_LIMIT;
  assertEquals(two.open(large).length, 1);
});

Deno.test("the limit may change between two records that came together", () => {
  const [one, two] = ends(100);
  two.push(concat(one.seal(bytes(10)).slice(), one.seal(bytes(1000))));
  assertEquals(two.next()?.length, 10);
  assertThrows(() => two.push(bytes(1)), Error, "Cannot take bytes: those before were not opened");
  two.limit = RECORD_LIMIT;
  assertEquals(two.next()?.length, 1000);
  assertEquals(two.next(), null);
});

import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { scale, seed } from "../tests/_require.ts";
import { delimiter, fixed, type Framer, lengthPrefix, lines } from "./framing.ts";
import { PipeError } from "./pipe_error.ts";

const bytes = (...values: number[]): Uint8Array<ArrayBuffer> => new Uint8Array(values);
const text = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(value);

/** What a framer puts on the wire. */
function wire(framer: Framer, messages: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const parts = messages.flatMap((message) => {
    const { head, tail } = framer.wrap(message);
    return [head, message, tail];
  });
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** What a decoder makes of a stream that is cut at some places. */
function decode(framer: Framer, stream: Uint8Array<ArrayBuffer>, cuts: readonly number[]): number[][] {
  const decoder = framer.decoder();
  const ends = [...new Set(cuts.map((cut) => cut % (stream.length + 1)))].sort((a, b) => a - b);
  const messages: Uint8Array[] = [];
  let at = 0;
  for (const end of [...ends, stream.length]) {
    // The network's buffers are used again: nothing may depend on what a chunk holds later.
    messages.push(...decoder.push(stream.slice(at, end)));
    at = end;
  }
  messages.push(...decoder.end());
  return messages.map((message) => [...message]);
}

const FRAMERS: readonly (readonly [Framer, fc.Arbitrary<Uint8Array>])[] = [
  [lengthPrefix(), fc.uint8Array({ maxLength: 300 })],
  [lengthPrefix({ bytes: 1 }), fc.uint8Array({ maxLength: 255 })],
  [lengthPrefix({ bytes: 2, littleEndian: true }), fc.uint8Array({ maxLength: 700 })],
  [
    lines(),
    fc.uint8Array({ maxLength: 50 }).map((line) => line.filter((byte) => byte !== 10 && byte !== 13)),
  ],
  [delimiter("--"), fc.uint8Array({ maxLength: 50 }).map((one) => one.filter((byte) => byte !== 45))],
  [
    delimiter(new Uint8Array([0])),
    fc.uint8Array({ maxLength: 50 }).map((one) => one.filter((byte) => byte !== 0)),
  ],
  [fixed(7), fc.uint8Array({ minLength: 7, maxLength: 7 })],
];

for (const [n, [framer, message]] of FRAMERS.entries()) {
  Deno.test(`framing by ${framer.name} (${n}): byte by byte, in one chunk and cut anywhere, the messages are the same`, () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 20 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        (messages, cuts) => {
          const stream = wire(framer, messages);
          const expected = messages.map((one) => [...one]);
          assertEquals(decode(framer, stream, []), expected);
          assertEquals(decode(framer, stream, Array.from(stream.keys())), expected);
          assertEquals(decode(framer, stream, cuts), expected);
        },
      ),
      { seed: seed(), numRuns: scale(200, 2000) },
    );
  });
}

Deno.test("lines() takes CR LF and LF, and a last line without an end", () => {
  const decoder = lines().decoder();
  const read = decoder.push(text("one\r\ntwo\n\nfour\r"));
  assertEquals(read, [text("one"), text("two"), text("")]);
  assertEquals(decoder.push(text("\nrest")), [text("four")]);
  assertEquals(decoder.end(), [text("rest")]);
});

Deno.test("delimiter() finds an end that begins with a part of itself", () => {
  const decoder = delimiter("aab").decoder();
  assertEquals(decoder.push(text("xa")), []);
  assertEquals(decoder.push(text("aa")), []);
  assertEquals(decoder.push(text("by")), [text("xa")]);
  assertEquals(decoder.end(), [text("y")]);
});

Deno.test("a length that is too large, or negative, is refused before anything is kept for it", () => {
  for (const prefix of [bytes(0xff, 0xff, 0xff, 0xff), bytes(0x80, 0, 0, 0), bytes(0x01, 0, 0, 1)]) {
    assertThrows(() => lengthPrefix().decoder().push(prefix), PipeError, "16777216 are allowed");
  }
  // Announced and allowed, but never sent: it costs what has come.
  assertEquals(lengthPrefix().decoder().push(bytes(0x01, 0, 0, 0)), []);
});

Deno.test("hostile length prefixes give messages within the limit or the typed error, and nothing else", () => {
  const framer = lengthPrefix({ max: 1000 });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(39), (stream, cut) => {
      const decoder = framer.decoder();
      try {
        const messages = [
          ...decoder.push(stream.slice(0, cut)),
          ...decoder.push(stream.slice(cut)),
          ...decoder.end(),
        ];
        for (const message of messages) assertEquals(message.length <= 1000, true);
      } catch (error) {
        if (!(error instanceof PipeError) || error.code !== "protocol") throw error;
      }
    }),
    { seed: seed(), numRuns: scale(10_000, 100_000) },
  );
});

Deno.test("a line or message without end is refused at the limit", () => {
  for (const framer of [lines({ max: 10 }), delimiter("--", { max: 10 })]) {
    const decoder = framer.decoder();
    decoder.push(text("0123456789"));
    assertThrows(() => decoder.push(text("0123456789")), PipeError, "longer than 10 bytes");
  }
});

Deno.test("a stream that ends in the middle of a message is a broken one", () => {
  for (
    const [framer, stream, why] of [
      [lengthPrefix(), bytes(0, 0), "in the middle of a length"],
      [lengthPrefix(), bytes(0, 0, 0, 3, 1), "2 bytes before the end of a message"],
      [fixed(4), bytes(1), "after 1 bytes of 4"],
    ] as const
  ) {
    const decoder = framer.decoder();
    decoder.push(stream);
    assertThrows(() => decoder.end(), PipeError, why);
  }
});

Deno.test("what cannot be framed is refused, with the numbers", () => {
  assertThrows(
    () => lengthPrefix({ max: 3 }).wrap(bytes(1, 2, 3, 4)),
    RangeError,
    "may have 3 bytes by length prefix, got 4",
  );
  assertThrows(() => lengthPrefix({ bytes: 1 }).wrap(new Uint8Array(256)), RangeError, "may have 255 bytes");
  assertThrows(() => lines().wrap(text("a\nb")), RangeError, "contains its own end");
  assertThrows(() => fixed(4).wrap(bytes(1)), RangeError, "each message has 4 bytes, got 1");
  assertThrows(() => delimiter(""), RangeError, "it is empty");
  assertThrows(() => lengthPrefix({ bytes: 3 as 4 }), RangeError, "got 3");
  assertThrows(() => fixed(0), RangeError, "got 0");
});

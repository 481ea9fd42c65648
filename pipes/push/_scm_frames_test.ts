import { assert, assertEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import { seed } from "../../tests/_require.ts";
import {
  encodeFrame,
  encodeLine,
  FRAME_TYPES,
  type FrameType,
  ScmDecoder,
  type ScmFrame,
} from "./_scm_frames.ts";

const LIMITS = { maxText: 1000, maxBytes: 5000 };

/** Everything that comes out. */
function drain(decoder: ScmDecoder): ScmFrame[] {
  const frames: ScmFrame[] = [];
  for (let frame = decoder.next(); frame; frame = decoder.next()) frames.push(frame);
  return frames;
}

Deno.test("frames look like this", () => {
  assertEquals(
    encodeFrame("PUSH", 7, { text: { kind: "stream" }, bytes: new Uint8Array([1, 2]), descriptors: 1 })
      .toHex(),
    "48465053" + "01" + "02" + "01" + "00" + "0700000000000000" + "13000000" + "11000000" +
      new TextEncoder().encode('{"kind":"stream"}').toHex() + "0102",
  );
  assertEquals(
    encodeFrame("ACK", 7).toHex(),
    "48465053" + "01030000" + "0700000000000000" + "0000000000000000",
  );
  assertEquals(
    new TextDecoder().decode(encodeLine({ kind: "stream", metadata: null }, new Uint8Array([255]))),
    '{"kind":"stream","metadata":null,"prefix":"/w=="}\n',
  );
});

Deno.test("frames come out as they went in, however they are cut, each with its descriptor", () => {
  const frame = fc.record({
    type: fc.constantFrom(...Object.keys(FRAME_TYPES) as FrameType[]),
    id: fc.nat(),
    text: fc.option(fc.dictionary(fc.string(), fc.string({ maxLength: 20 }), { maxKeys: 3 }), {
      nil: undefined,
    }),
    bytes: fc.uint8Array({ maxLength: 300 }),
  });
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 400 })),
      (frames, cuts) => {
        const decoder = new ScmDecoder(LIMITS, "frames");
        const got: ScmFrame[] = [];
        let fd = 100;
        const expected = frames.map(({ type, id, text, bytes }) => {
          const descriptors = type === "PUSH" ? [fd++] : [];
          const data = encodeFrame(type, id, {
            ...(text ? { text } : {}),
            bytes,
            descriptors: descriptors.length,
          });
          for (let at = 0, cut = 0; at < data.length;) {
            const end = at + (cuts[cut++ % Math.max(1, cuts.length)] ?? data.length);
            // They travel with the first byte.
            decoder.feed(data.subarray(at, end), at === 0 ? descriptors : []);
            at = end;
            got.push(...drain(decoder));
          }
          return { type, id, text: text && { ...text }, bytes: new Uint8Array(bytes), descriptors };
        });
        assertEquals(JSON.stringify(got), JSON.stringify(expected));
        assert(!decoder.midway);
      },
    ),
    { seed: seed(), numRuns: 200 },
  );
});

Deno.test("garbage never becomes a descriptor more or less", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 60 }), fc.nat(3)), { maxLength: 8 }),
      fc.constantFrom<Uint8Array>(
        new Uint8Array(0),
        encodeFrame("PUSH", 1, { descriptors: 1 }).subarray(0, 20),
        new TextEncoder().encode('{"prefix":'),
      ),
      (pieces, beginning) => {
        const decoder = new ScmDecoder(LIMITS);
        let fd = 0;
        const out: number[] = [];
        try {
          if (beginning.length > 0) decoder.feed(beginning, [fd++]);
          for (const [data, count] of pieces) {
            decoder.feed(data, Array.from({ length: count }, () => fd++));
            for (const { descriptors } of drain(decoder)) out.push(...descriptors);
          }
        } catch (error) {
          assert(error instanceof SyntaxError, String(error));
        }
        out.push(...decoder.leftover());
        assertEquals(out, Array.from({ length: fd }, (_, index) => index));
      },
    ),
    { seed: seed(), numRuns: 500 },
  );
});

Deno.test("what is too long, too many or of another version is no frame", () => {
  const changed = (at: number, value: number): Uint8Array => {
    const frame = encodeFrame("PUSH", 1, { text: {}, descriptors: 1 });
    frame[at] = value;
    return frame;
  };
  const bad: (readonly [Uint8Array, number[], string])[] = [
    [changed(0, 0x47), [], "begins with something else"],
    [changed(4, 2), [1], "version 2"],
    [changed(5, 99), [1], "type 99"],
    [changed(6, 2), [1, 2], "2 descriptors"],
    [changed(6, 0), [1], "0 descriptors"],
    [changed(7, 1), [1], "flags 1"],
    [changed(15, 1), [1], "number"],
    [changed(17, 0xff), [1], "a body of"],
    [changed(21, 0xff), [1], "a text of"],
    [encodeFrame("PUSH", 1, { descriptors: 1 }), [], "0 came"],
    [encodeFrame("ACK", 1), [1], "too many descriptors"],
    [encodeFrame("ACK", 1, { bytes: new Uint8Array(5001) }), [], "a body of"],
    [new Uint8Array([0x48]), [1, 2], "too many descriptors"],
    [new TextEncoder().encode("{}\n"), [], "no descriptor"],
    [new TextEncoder().encode("{]\n"), [1], "no JSON"],
    [new TextEncoder().encode('{"prefix":1}\n'), [1], "no text"],
    [new TextEncoder().encode(`{${" ".repeat(8000)}`), [1], "too long"],
  ];
  for (const [data, descriptors, message] of bad) {
    const decoder = new ScmDecoder(LIMITS);
    decoder.feed(data, descriptors);
    assertThrows(() => drain(decoder), SyntaxError, message);
  }
});

Deno.test("a line with what was read before is taken apart", () => {
  const decoder = new ScmDecoder(LIMITS);
  decoder.feed(encodeLine({ kind: "stream", metadata: [1] }, new Uint8Array([1, 2, 3])), [9]);
  assertEquals(decoder.next()?.bytes, new Uint8Array([1, 2, 3]));
  assertEquals(decoder.mode, "plain");
});

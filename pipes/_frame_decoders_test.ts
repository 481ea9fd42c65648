import { assertEquals } from "@std/assert";
import { delimiter, fixed, type Framer, lengthPrefix, lines } from "./framing.ts";

const FRAMERS: readonly Framer[] = [
  lines(),
  delimiter(new Uint8Array([1, 2, 1])),
  fixed(5),
  lengthPrefix(),
  lengthPrefix({ bytes: 1 }),
  lengthPrefix({ bytes: 2, littleEndian: true }),
];

Deno.test("a decoder goes on, wherever the stream was cut, with what another one had pending", () => {
  for (const framer of FRAMERS) {
    const messages = ["first", "other", "third"].map((word) => new TextEncoder().encode(word));
    const stream = new Uint8Array(messages.flatMap((message) => {
      const { head, tail } = framer.wrap(message);
      return [...head, ...message, ...tail];
    }));
    for (let cut = 0; cut <= stream.length; cut++) {
      const [one, two] = [framer.decoder(), framer.decoder()];
      const before = one.push(stream.slice(0, cut));
      const pending = one.pending?.() ?? new Uint8Array();
      const after = [...two.push(pending), ...two.push(stream.slice(cut))];
      assertEquals([...before, ...after], messages, `${framer.name} cut at ${cut}`);
    }
  }
});

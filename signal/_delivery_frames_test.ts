import { assert, assertEquals } from "@std/assert";
import { chance } from "../tests/_chance.ts";
import { scale } from "../tests/_require.ts";
import {
  type AckFrame,
  DATA_OVERHEAD,
  type DataFrame,
  decodeFrames,
  type DeliveryFrame,
  encodeFrames,
  MAX_FRAGMENTS,
} from "./_delivery_frames.ts";

/** A frame made up by chance; every field takes its smallest and its largest value now and then. */
function frameOf(random: () => number): DeliveryFrame {
  const below = (limit: number): number => {
    const edge = random();
    return edge < 0.1 ? 0 : edge < 0.2 ? limit - 1 : Math.floor(random() * limit);
  };
  const session = Array.from({ length: 16 }, () => below(16).toString(16)).join("");
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => below(256));
  const kinds = ["message", "request", "response", "failure", "room"] as const;
  const which = below(3);
  if (which === 0) {
    const count = 1 + below(MAX_FRAGMENTS);
    const index = below(count);
    const seq = Math.max(index, below(2 ** 48));
    const kind = kinds[below(5)] ?? "message";
    const floor = Math.min(seq, below(2 ** 48));
    const wantsDone = below(2) === 1;
    const stream = below(2 ** 16);
    return {
      type: "data",
      session,
      stream,
      seq,
      floor,
      index,
      count,
      kind,
      wantsDone,
      ref: below(2 ** 48),
      bytes: bytes(below(300)),
    } satisfies DataFrame;
  }
  if (which === 1) return { type: "probe", session, stream: below(2 ** 16), floor: below(2 ** 48) };
  const streams = Array.from({ length: below(4) }, () => ({
    session,
    stream: below(2 ** 16),
    next: below(2 ** 48),
    selective: bytes(16),
    done: below(2 ** 48),
    doneSelective: bytes(16),
    limit: below(2 ** 48),
    pathsFrom: below(2 ** 48),
    paths: bytes(below(129)),
  }));
  return {
    type: "ack",
    incarnation: session,
    durable: below(2) === 1,
    brokers: Array.from({ length: below(9) }, () => below(2 ** 32)),
    up: below(256),
    streams,
  } satisfies AckFrame;
}

Deno.test("frames are read as they were written, several to a packet", () => {
  for (let run = 0; run < scale(500); run++) {
    const random = chance(run);
    const frames = Array.from({ length: Math.floor(random() * 4) }, () => frameOf(random));
    const packet = encodeFrames(frames);
    assertEquals(decodeFrames(packet), frames);
    const [first] = frames;
    if (frames.length === 1 && first?.type === "data") {
      assertEquals(packet.length, DATA_OVERHEAD + first.bytes.length);
    }
  }
});

Deno.test("frames that were cut, changed or made up are refused or read as something that holds the rules", () => {
  let [read, refused] = [0, 0];
  for (let run = 0; run < scale(3_000); run++) {
    const random = chance(100_000 + run);
    const packet = encodeFrames([frameOf(random), frameOf(random)]);
    const changes = 1 + Math.floor(random() * 3);
    for (let i = 0; i < changes; i++) {
      packet[Math.floor(random() * packet.length)] = Math.floor(random() * 256);
    }
    const cut = random() < 0.3 ? packet.subarray(0, Math.floor(random() * packet.length)) : packet;
    const frames = decodeFrames(cut);
    if (!frames) {
      refused++;
      continue;
    }
    read++;
    for (const frame of frames) {
      if (frame.type === "data") {
        assert(frame.index < frame.count && frame.count <= MAX_FRAGMENTS);
        assert(frame.floor <= frame.seq && frame.index <= frame.seq);
      }
      if (frame.type === "ack") {
        assert(frame.brokers.length <= 8);
        for (const { selective, doneSelective } of frame.streams) {
          assertEquals([selective.length, doneSelective.length], [16, 16]);
        }
      }
    }
    // What was read says the same when it is written again.
    assertEquals(decodeFrames(encodeFrames(frames)), frames);
  }
  assert(read > 100 && refused > 100, `${read} read, ${refused} refused`);
});

Deno.test("a packet that ends within a frame is refused at every length", () => {
  const random = chance(5);
  for (let run = 0; run < 50; run++) {
    const packet = encodeFrames([frameOf(random)]);
    for (let length = 1; length < packet.length; length++) {
      assertEquals(decodeFrames(packet.subarray(0, length)), null);
    }
  }
  assertEquals(decodeFrames(Uint8Array.of(9)), null);
});

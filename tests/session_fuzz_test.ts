/** Hostile bytes of a session: frames come out the same however the bytes are cut, and whatever they are, nothing breaks. */

import { assert, assertEquals } from "@std/assert";
import { encodeAddresses } from "../pipes/resume/_control.ts";
import { SessionCore } from "../pipes/resume/_core.ts";
import { encodeFrame, FRAME, FrameDecoder, type FrameSink } from "../pipes/resume/_frames.ts";
import { decodeSnapshot, encodeSnapshot } from "../pipes/resume/_snapshot.ts";
import { fuzz, mutate, type Random } from "./_fuzz.ts";
import { scale } from "./_require.ts";

/** What a decoder told, in words; the parts of one DATA frame joined. */
function decode(pieces: Iterable<Uint8Array>, stop: number): string[] {
  const told: string[] = [];
  const payload: number[] = [];
  let begin = 0;
  let left = stop || Infinity;
  const tell = (what: string): boolean => {
    told.push(what);
    return --left !== 0;
  };
  const sink: FrameSink = {
    data(position, length) {
      assert(length >= 1 && length <= 65_536);
      begin = position;
      payload.length = 0;
      return tell(`data ${position} ${length}`);
    },
    part(bytes, from, to, position) {
      assertEquals(position, begin + payload.length);
      assert(from < to && to <= bytes.length);
      payload.push(...bytes.subarray(from, to));
      told[told.length - 1] = `data ${begin} ${payload.map((byte) => byte.toString(16)).join(" ")}`;
      return true;
    },
    frame: (type, offset, bytes) => tell(`${type} ${offset} ${bytes.toHex()}`),
    violation: (reason) => void tell(`violation: ${reason}`),
  };
  const decoder = new FrameDecoder();
  for (const piece of pieces) {
    decoder.push(piece, sink);
    // Nobody pushes on after a violation, or after the session has ended.
    if (left <= 0 || told.at(-1)?.startsWith("violation")) break;
  }
  return told;
}

const TYPES = [...Object.values(FRAME), FRAME.data, FRAME.data, 0, 8, 200];
const OFFSETS = [0, 1, 2 ** 31, 2 ** 32, 2 ** 48 - 1];

function frame(random: Random): Uint8Array {
  const type = random.one(TYPES);
  const size = type === FRAME.data
    ? 1 + random.below(40)
    : type === FRAME.abort
    ? random.one([2, 20, 258, 259])
    : type === FRAME.addr
    ? random.one([1, 30, 4096, 4097])
    : random.one([0, 0, 0, 0, 0, 0, 1]);
  return encodeFrame(type, random.one(OFFSETS), random.bytes(size));
}

function stream(random: Random): Uint8Array {
  const frames = Array.from({ length: 1 + random.below(6) }, () => frame(random));
  const all = Uint8Array.from(frames.flatMap((bytes) => [...bytes]));
  return random.below(3) === 0 ? all : mutate(random, all, frames);
}

function* cut(bytes: Uint8Array, size: () => number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const next = at + size();
    const piece = bytes.slice(at, next);
    yield piece;
    // Whoever gave the bytes uses their memory again.
    piece.fill(0xaa);
    at = next;
  }
}

Deno.test("frames come out the same byte by byte, in any pieces and at once", () => {
  const ends = fuzz(
    scale(4000, 40_000),
    (random) => ({ bytes: stream(random), sizes: random.bytes(8), stop: random.one([0, 0, 0, 1, 2]) }),
    ({ bytes, sizes, stop }) => {
      const whole = decode([bytes], stop);
      let n = 0;
      assertEquals(decode(cut(bytes, () => 1), stop), whole);
      assertEquals(decode(cut(bytes, () => 1 + (sizes[n++ % 8] ?? 0) % 30), stop), whole);
      return whole.at(-1)?.split(/[ :]/)[0] ?? "nothing";
    },
  );
  for (const end of ["violation", "data", "nothing", ...[2, 3, 4, 5, 6, 7].map(String)]) {
    assert(ends.get(end), end);
  }
});

const ADDRESSES = [
  encodeAddresses([]),
  encodeAddresses(["tcp://a:1", "tcp://b:2"]),
  // Too long by one, too short by one, half a length, no UTF-8.
  Uint8Array.of(1, 0, 3, 65, 65),
  Uint8Array.of(1, 0, 1, 65, 65),
  Uint8Array.of(1, 0),
  Uint8Array.of(1, 0, 1, 0xff),
];

Deno.test("a session takes whatever bytes without throwing, and keeps to its bounds", () => {
  const ends = fuzz(
    scale(3000, 30_000),
    (random) => {
      const frames = Array.from({ length: 1 + random.below(8) }, () => {
        const type = random.one([1, 1, 1, 2, 3, 4, 5, 6, 7]);
        const offset = random.one([0, 0, 1, 5, 10, 20, 40]);
        if (type === FRAME.addr) return encodeFrame(type, 0, random.one(ADDRESSES));
        const size = type === FRAME.data ? random.one([1, 5, 10]) : type === FRAME.abort ? 6 : 0;
        return encodeFrame(type, offset, random.one([new Uint8Array(size), random.bytes(size)]));
      });
      const bytes = Uint8Array.from(frames.flatMap((frame) => [...frame]));
      return {
        bytes: random.below(4) === 0 ? mutate(random, bytes, frames) : bytes,
        read: random.below(2) === 0,
      };
    },
    ({ bytes, read }) => {
      let told = 0;
      const core = new SessionCore({ role: "client", window: 65_536, keepalive: 0, now: () => 0 });
      core.onEnd = () => told++;
      const line = core.attach(0);
      core.write(new Uint8Array(20));
      while (line.next());
      line.receive(bytes);
      assertEquals(told, core.failure ? 1 : 0);
      if (read) { while (core.read(new Uint8Array(7))); }
      let left = 10;
      while (line.next() && left > 0) left--;
      assert(left > 0, "it never stops to answer");
      assert(core.acknowledged <= core.sent && core.consumed <= core.received);
      return core.failure
        ? `${core.failure.by} ${core.failure.code === 1}`
        : core.received > 0
        ? "fed"
        : "fine";
    },
  );
  for (const end of ["local true", "remote false", "fed", "fine"]) assert(ends.get(end), end);
});

Deno.test("a snapshot brings the session back as it was, and a hostile one is refused", () => {
  const ends = fuzz(
    scale(500, 5000),
    (random) => ({ ops: random.bytes(12), spoil: random.below(3) === 0, random }),
    ({ ops, spoil, random }) => {
      const before = lived(ops);
      const bytes = before.snapshot();
      if (spoil) {
        const state = decodeSnapshot(bytes);
        const field = random.one(
          ["window", "sent", "acknowledged", "written", "received", "consumed"] as const,
        );
        const forged = encodeSnapshot({ ...state, [field]: random.below(200_000) });
        for (const hostile of [forged, mutate(random, bytes, [forged])]) {
          try {
            const { sent, acknowledged, received, consumed } = SessionCore.restore(hostile, () => 0);
            assert(acknowledged <= sent && consumed <= received);
          } catch (error) {
            assert(error instanceof SyntaxError, `${error}`);
          }
        }
        return "hostile";
      }
      const after = SessionCore.restore(bytes, () => 0);
      for (
        const fact of [
          "written",
          "sent",
          "acknowledged",
          "received",
          "consumed",
          "available",
          "complete",
        ] as const
      ) assertEquals(after[fact], before[fact], fact);
      assertEquals(after.snapshot(), bytes);
      assertEquals(rest(after), rest(before));
      return before.complete ? "complete" : "alive";
    },
  );
  for (const end of ["hostile", "alive", "complete"]) assert(ends.get(end), end);
});

/** A session that something has happened to. */
function lived(ops: Uint8Array): SessionCore {
  const core = new SessionCore({ role: "server", window: 65_536, keepalive: 5000, now: () => 0 });
  const line = core.attach(0);
  for (const op of ops) {
    const size = 1 + op * 37;
    const ended = core.complete || core.received > core.consumed + core.available;
    if (op % 7 === 0 && core.sent <= core.written) core.write(new Uint8Array(size).fill(op));
    else if (op % 7 === 1) { while (line.next()); }
    else if (op % 7 === 2) line.receive(encodeFrame(FRAME.ack, core.sent));
    else if (op % 7 === 3 && !ended && core.available < 20_000) {
      line.receive(encodeFrame(FRAME.data, core.received, new Uint8Array(size).fill(op)));
    } else if (op % 7 === 4) core.read(new Uint8Array(size));
    else if (op > 240) finish(core, line);
    if (op > 240) return core;
  }
  return core;
}

function finish(core: SessionCore, line: ReturnType<SessionCore["attach"]>): void {
  core.closeWrite();
  line.receive(encodeFrame(FRAME.fin, core.received));
  while (core.read(new Uint8Array(1000)) !== null);
  while (line.next());
  line.receive(encodeFrame(FRAME.ack, core.sent));
}

/** Everything that a session still has to say, on a new carrier, and to hand out. */
function rest(core: SessionCore): unknown {
  const line = core.attach(core.acknowledged);
  const sent: string[] = [];
  for (let bytes = line.next(); bytes; bytes = line.next()) {
    decode([bytes], 0).forEach((frame) => sent.push(frame.replace(/^data \d+ /, "")));
  }
  const into = new Uint8Array(core.available);
  core.read(into);
  return { sent: sent.join(" "), read: into.toHex() };
}

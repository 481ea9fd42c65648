import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { assert, assertEquals } from "@std/assert";
import { chance } from "../tests/_chance.ts";
import { scale } from "../tests/_require.ts";
import type { DataFrame } from "./_delivery_frames.ts";
import { type Arrival, CREDIT, Receiving } from "./_receiving.ts";

const NOTHING = new Uint8Array();

function frame(seq: number, fields: Partial<DataFrame> = {}): DataFrame {
  return {
    type: "data",
    session: "00".repeat(8),
    stream: 0,
    seq,
    floor: 0,
    index: 0,
    count: 1,
    kind: "message",
    wantsDone: false,
    ref: 0,
    bytes: NOTHING,
    ...fields,
  };
}

/** Takes everything in, and has done with it at once. */
function receiver(): { receiving: Receiving; got: Arrival[] } {
  const got: Arrival[] = [];
  const receiving: Receiving = new Receiving((arrival) => {
    got.push(arrival);
    receiving.done(arrival);
  }, false);
  return { receiving, got };
}

Deno.test("Receiving hands over each message once and in order, however its pieces are shuffled, repeated and given up", () => {
  for (let run = 0; run < scale(100); run++) {
    const random = chance(run);
    for (const stream of [0, 1]) {
      // Messages of one to four pieces, some of which their sender gives up.
      const messages: { seq: number; count: number; lost: boolean }[] = [];
      for (let seq = 0; seq < 200;) {
        const count = 1 + Math.floor(random() * 4);
        messages.push({ seq, count, lost: random() < 0.1 });
        seq += count;
      }
      const { receiving, got } = receiver();
      let floor = 0;
      for (let at = 0; at < messages.length; at += 5) {
        const group = messages.slice(at, at + 5);
        const frames = group.flatMap(({ seq, count, lost }) =>
          Array.from(
            { length: lost ? Math.floor(random() * count) : count },
            (_, index) =>
              frame(seq + index, { stream, index, count, floor, bytes: Uint8Array.of(index, seq & 255) }),
          )
        );
        const order = [...frames, ...frames].map((one) => ({ one, at: random() })).sort((x, y) =>
          x.at - y.at
        );
        for (const { one } of order) receiving.data(one, 0);
        // What was received is settled, what was lost is given up.
        const last = group.at(-1);
        if (last) floor = last.seq + last.count;
      }
      receiving.probe("00".repeat(8), stream, floor);
      const expected = messages.filter(({ lost }) => !lost).map(({ seq }) => seq);
      const seqs = got.map(({ seq }) => seq);
      assertEquals(stream === 0 ? seqs : [...seqs].sort((x, y) => x - y), expected, `run ${run}`);
      for (const { seq, count, data } of got) {
        assertEquals([...data], Array.from({ length: count }, (_, i) => [i, seq & 255]).flat());
      }
      assertEquals(receiving.buffered, 0);
      const [ack] = receiving.acks(1);
      assertEquals([ack?.next, ack?.done], [floor, floor]);
    }
  }
});

Deno.test("Receiving takes no more than it has told its sender, nor more bytes than it may hold", () => {
  const kept: Arrival[] = [];
  const receiving = new Receiving((arrival) => kept.push(arrival), false);
  for (let seq = 0; seq < CREDIT; seq++) assertEquals(receiving.data(frame(seq), 0), "new");
  assertEquals(receiving.data(frame(CREDIT), 0), "refused");
  for (const arrival of kept.splice(0, 10)) receiving.done(arrival);
  assertEquals(receiving.acks(1)[0]?.limit, CREDIT + 10);
  assertEquals(receiving.data(frame(CREDIT + 9), 0), "new");
  assertEquals(receiving.data(frame(CREDIT + 10), 0), "refused");
  const large = new Receiving(() => {}, false);
  let taken = 0;
  for (let stream = 0; stream < 16; stream += 2) {
    for (let seq = 0; seq < CREDIT; seq++) {
      if (large.data(frame(seq, { stream, bytes: new Uint8Array(4_000) }), 0) === "new") taken++;
    }
  }
  assertEquals(large.buffered, taken * 4_000);
  assert(large.buffered <= 4 * 1024 * 1024);
});

Deno.test("Receiving is not held up by numbers that a hostile sender makes up", () => {
  const { receiving, got } = receiver();
  const random = chance(3);
  for (let i = 0; i < 2_000; i++) {
    const seq = Math.floor(2 ** (48 * random()));
    const floor = Math.floor(seq * random());
    receiving.data(frame(seq, { floor, stream: Math.floor(random() * 100) }), 0);
    receiving.probe("11".repeat(8), 0, Math.floor(2 ** (48 * random())));
    receiving.acks(8);
  }
  assert(got.length <= 2_000);
  assertEquals(receiving.buffered <= 4 * 1024 * 1024, true);
});

Deno.test("Receiving remembers a peer in 8 KiB, however many messages it has sent", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const peers = 200;
  const each = scale(2_000, 50_000);
  const used = (): number => {
    collect();
    return Deno.memoryUsage().heapUsed + Deno.memoryUsage().external;
  };
  const before = used();
  const all = Array.from({ length: peers }, () => {
    const receiving: Receiving = new Receiving((arrival) => void receiving.done(arrival), false);
    for (let seq = 0; seq < each; seq++) {
      // The bytes of two brokers and an acknowledgement now and then.
      receiving.data(frame(seq, { floor: Math.max(0, seq - 10) }), seq % 3);
      receiving.data(frame(seq, { floor: Math.max(0, seq - 10) }), (seq + 1) % 3);
      if (seq % 10 === 0) receiving.acks(8);
    }
    return receiving;
  });
  const perPeer = (used() - before) / peers;
  assert(perPeer <= 8_192, `${Math.round(perPeer)} bytes`);
  assertEquals(all.every((receiving) => receiving.buffered === 0), true);
});

/** What a hostile end can try once the handshake is over: each ends loudly, or costs nothing. */

import { assert, assertEquals } from "@std/assert";
import { type Attachment, SessionCore } from "./_core.ts";
import { encodeFrame, FRAME, HEADER, MAX_POSITION, readHeader } from "./_frames.ts";
import { decodeSnapshot, encodeSnapshot } from "./_snapshot.ts";

const WINDOW = 65_536;
const bytes = (length: number): Uint8Array => new Uint8Array(length).map((_, n) => n % 251);

/** One end on trial; the other end is the test. */
class Trial {
  now = 0;
  readonly core: SessionCore;
  line: Attachment;

  constructor(core?: (now: () => number) => SessionCore) {
    const now = (): number => this.now;
    this.core = core?.(now) ?? new SessionCore({ role: "client", window: WINDOW, keepalive: 0, now });
    this.line = this.core.attach(this.core.sent);
  }

  send(type: number, offset: number, payload?: Uint8Array): void {
    this.line.receive(encodeFrame(type, offset, payload));
  }

  /** All frames that come out. */
  frames(): { type: number; offset: number; length: number }[] {
    const frames = [];
    for (let out = this.line.next(); out; out = this.line.next()) {
      for (let at = 0; at < out.length;) {
        const { type, offset, length } = readHeader(out, at);
        frames.push({ type, offset, length });
        at += HEADER + length;
      }
    }
    return frames;
  }

  read(length: number): number | null {
    return this.core.read(new Uint8Array(length));
  }

  /** It has to have ended by ABORT with code 1, with a reason, and takes nothing any more. */
  assertViolated(reason: RegExp): void {
    const { failure } = this.core;
    assert(failure, "no violation was found");
    assertEquals([failure.code, failure.by], [1, "local"]);
    assert(reason.test(failure.reason), failure.reason);
    const abort = this.frames().at(-1);
    assertEquals(abort?.type, FRAME.abort);
    assertEquals([this.core.memory, this.core.write(bytes(1)), this.read(1)], [0, 0, 0]);
    assertEquals(this.frames(), []);
  }
}

/** A session far on in its life. */
function at(position: number): Trial {
  return new Trial((now) =>
    SessionCore.restore(
      encodeSnapshot({
        role: "client",
        window: WINDOW,
        keepalive: 0,
        sent: position,
        acknowledged: position,
        written: position,
        finished: false,
        received: position,
        consumed: position,
        ended: false,
        ackedEnd: false,
        unacknowledged: [],
        unread: [],
      }),
      now,
    )
  );
}

Deno.test("attack 7: late data, ACKs and the loss of an old carrier change nothing after the switch", () => {
  const trial = new Trial();
  const { core, line: old } = trial;
  core.write(bytes(10));
  old.next();
  assert(old.next());
  old.receive(encodeFrame(FRAME.data, 0, bytes(5)));
  const now = core.attach(3);
  assertEquals([old.current, now.current], [false, true]);
  old.receive(encodeFrame(FRAME.data, 5, bytes(5)));
  old.receive(encodeFrame(FRAME.ack, 10));
  old.receive(encodeFrame(FRAME.abort, 0, Uint8Array.of(0, 9)));
  old.receive(encodeFrame(99, 0));
  old.detach();
  assertEquals(old.next(), null);
  assertEquals([core.received, core.acknowledged, core.failure, core.attached], [5, 0, null, true]);
  now.receive(encodeFrame(FRAME.data, 5, bytes(5)));
  assertEquals([core.received, now.current], [10, true]);
});

Deno.test("attack 7: half a frame of an old carrier is not continued by the new one", () => {
  const { core, line: old } = new Trial();
  old.receive(encodeFrame(FRAME.data, 0, bytes(10)).subarray(0, HEADER + 4));
  assertEquals(core.received, 4);
  const now = core.attach(0);
  now.receive(encodeFrame(FRAME.data, 0, bytes(10)));
  assertEquals([core.received, core.failure], [10, null]);
  const into = new Uint8Array(20);
  assertEquals(core.read(into), 10);
  assertEquals(into.subarray(0, 10), bytes(10));
});

Deno.test("attack 7: memory that an old carrier still reads is not given to anybody else", () => {
  const { core, line: old } = new Trial();
  core.write(bytes(3000));
  old.next();
  const view = old.next();
  assert(view);
  const before = view.slice();
  core.attach(3000).receive(encodeFrame(FRAME.ack, 3000));
  assertEquals(core.memory, 0);
  const others = Array.from({ length: 200 }, () => new Trial());
  for (const { core } of others) core.write(new Uint8Array(3000).fill(1));
  assertEquals(view, before);
});

Deno.test("attack 8: offsets from the future and from behind what was acknowledged are refused", () => {
  for (const offset of [1, 2 ** 31, 2 ** 32, MAX_POSITION]) {
    const ahead = new Trial();
    ahead.send(FRAME.data, offset, bytes(1));
    ahead.assertViolated(/missing/);
    const resumed = new Trial();
    resumed.line = resumed.core.attach(offset);
    resumed.assertViolated(/received up to/);
    const end = new Trial();
    end.send(FRAME.fin, offset);
    end.assertViolated(/end/);
  }
  const past = new Trial((now) => new SessionCore({ role: "server", window: WINDOW, keepalive: 0, now }));
  past.core.write(bytes(10));
  past.frames();
  past.send(FRAME.ack, 10);
  past.line = past.core.attach(9);
  past.assertViolated(/received up to 9/);
});

Deno.test("attack 8: a client takes no position from before its RESUME, and an ACK that overtook one", () => {
  const trial = new Trial();
  trial.core.write(bytes(10));
  trial.frames();
  trial.send(FRAME.ack, 4);
  trial.send(FRAME.ack, 8);
  trial.line = trial.core.attach(4, 4);
  assertEquals(trial.frames().map(({ type }) => type), [FRAME.ack, FRAME.data]);
  assertEquals(trial.core.failure, null);
  trial.line = trial.core.attach(3, 4);
  trial.assertViolated(/received up to 3/);
});

Deno.test("attack 8: nothing wraps near the last position", () => {
  const last = MAX_POSITION - 1;
  const trial = at(last - 2);
  assertEquals(trial.core.write(bytes(10)), 2);
  assertEquals(trial.core.failure?.code, 5);
  const peer = at(last - 2);
  peer.send(FRAME.data, last - 2, bytes(2));
  assertEquals([peer.core.received, peer.core.failure], [last, null]);
  peer.send(FRAME.fin, last);
  assertEquals(peer.core.received, MAX_POSITION);
  assertEquals([peer.read(9), peer.read(9), peer.core.consumed], [2, null, MAX_POSITION]);
  const beyond = at(last - 2);
  beyond.send(FRAME.data, last - 2, bytes(3));
  beyond.assertViolated(/beyond/);
  const end = at(MAX_POSITION - 1);
  end.core.closeWrite();
  assertEquals(end.frames().at(-1), { type: FRAME.fin, offset: MAX_POSITION - 1, length: 0 });
  end.send(FRAME.ack, MAX_POSITION);
  assertEquals([end.core.acknowledged, end.core.failure], [MAX_POSITION, null]);
});

Deno.test("attack 9: an ACK beyond what was sent is refused, one that goes back is ignored", () => {
  const trial = new Trial();
  trial.core.write(bytes(10));
  trial.send(FRAME.ack, 0);
  assertEquals(trial.core.failure, null);
  trial.frames();
  trial.send(FRAME.ack, 10);
  trial.send(FRAME.ack, 3);
  assertEquals([trial.core.acknowledged, trial.core.failure], [10, null]);
  trial.core.write(bytes(10));
  // Written, and not sent yet.
  trial.send(FRAME.ack, 11);
  trial.assertViolated(/acknowledges 11/);
  const end = new Trial();
  end.core.closeWrite();
  end.send(FRAME.ack, 1);
  end.assertViolated(/acknowledges 1/);
});

Deno.test("attack 10: lengths that do not belong to a frame's type are refused before anything is kept", () => {
  const lies: readonly (readonly [type: number, length: number])[] = [
    [FRAME.data, 0],
    [FRAME.data, 65_537],
    [FRAME.data, 2 ** 32 - 1],
    [FRAME.ack, 1],
    [FRAME.fin, 1],
    [FRAME.ping, 8],
    [FRAME.pong, 8],
    [FRAME.abort, 1],
    [FRAME.abort, 259],
    [FRAME.addr, 0],
    [FRAME.addr, 4097],
  ];
  for (const [type, length] of lies) {
    const header = encodeFrame(type, 0);
    new DataView(header.buffer).setUint32(2, length);
    const trial = new Trial();
    trial.line.receive(header);
    trial.assertViolated(new RegExp(`type ${type} with ${length} bytes`));
  }
});

Deno.test("attack 10: flags, types that are none, and a handshake in the middle of a session are refused", () => {
  for (const type of [0, 8, 15, 22, 255, ...[16, 17, 18, 19, 20, 21]]) {
    const trial = new Trial();
    trial.send(type, 0);
    trial.assertViolated(new RegExp(`a frame of type ${type}$`));
  }
  const flagged = new Trial();
  const frame = encodeFrame(FRAME.ping, 0);
  frame[1] = 128;
  flagged.line.receive(frame);
  flagged.assertViolated(/flags 128/);
});

Deno.test("attack 10: a drip of single bytes is understood, and keeps no more than one small frame", () => {
  const trial = new Trial();
  const reason = new Uint8Array(258).fill(65);
  const drip = [
    encodeFrame(FRAME.data, 0, bytes(50)),
    encodeFrame(FRAME.ping, 7),
    encodeFrame(FRAME.fin, 50),
    encodeFrame(FRAME.abort, 0, reason),
  ];
  for (const frame of drip) for (const byte of frame) trial.line.receive(Uint8Array.of(byte));
  assertEquals(trial.core.failure, { code: 0x4141, reason: "A".repeat(256), by: "remote" });
  assertEquals([trial.core.received, trial.core.memory], [51, 0]);
});

Deno.test("attack 10: a flood of PINGs, doubled data and old ACKs costs no memory and one answer", () => {
  const trial = new Trial();
  trial.frames();
  trial.send(FRAME.data, 0, bytes(10));
  const { memory } = trial.core;
  for (let n = 1; n <= 100_000; n++) {
    trial.send(FRAME.ping, n);
    trial.send(FRAME.data, 0, bytes(10));
    trial.send(FRAME.ack, 0);
  }
  assertEquals(trial.core.memory, memory);
  assertEquals(trial.frames(), [
    { type: FRAME.ack, offset: 0, length: 0 },
    { type: FRAME.pong, offset: 100_000, length: 0 },
  ]);
});

Deno.test("attack 13: who never acknowledges gets one window and no more, and is asked, not hung up on", () => {
  const trial = new Trial();
  assertEquals(trial.core.write(bytes(2 * WINDOW)), WINDOW);
  let writable = 0;
  trial.core.onWritable = () => writable++;
  for (let n = 0; n < 1000; n++) {
    trial.now += 1000;
    trial.core.tick();
    for (const { type, offset } of trial.frames()) if (type === FRAME.ping) trial.send(FRAME.pong, offset);
    assertEquals(trial.core.write(bytes(1000)), 0);
  }
  assert(trial.core.memory <= WINDOW + 128 * 1024, `${trial.core.memory}`);
  assertEquals([trial.core.failure, trial.core.suspicious, writable], [null, false, 0]);
  trial.send(FRAME.ack, 10);
  assertEquals([writable, trial.core.write(bytes(1000))], [1, 10]);
});

Deno.test("attack 13: writes of one byte each are bounded too, and go on with the next ACK", () => {
  const trial = new Trial();
  trial.frames();
  let written = 0;
  while (trial.core.write(bytes(1)) === 1) {
    written++;
    assertEquals(trial.line.next()?.length, HEADER + 1);
    trial.line.next();
  }
  assert(
    written < WINDOW && trial.core.memory <= WINDOW + 128 * 1024 + 4096,
    `${written} ${trial.core.memory}`,
  );
  // The other end may have consumed too little for an ACK of its own accord.
  assertEquals(trial.frames().map(({ type }) => type), [FRAME.ping]);
  let writable = 0;
  trial.core.onWritable = () => writable++;
  trial.send(FRAME.ack, written);
  assertEquals([writable, trial.core.memory, trial.core.write(bytes(1))], [1, 0, 1]);
});

Deno.test("attack 14: an application that does not read keeps one window, and more is refused", () => {
  const trial = new Trial();
  trial.frames();
  for (let position = 0; position < WINDOW; position += 1024) trial.send(FRAME.data, position, bytes(1024));
  assertEquals([trial.core.available, trial.core.failure], [WINDOW, null]);
  assert(trial.core.memory <= WINDOW + 128 * 1024, `${trial.core.memory}`);
  assertEquals(trial.frames(), []);
  // What was read makes room.
  trial.read(100);
  trial.send(FRAME.data, WINDOW, bytes(100));
  assertEquals(trial.core.failure, null);
  trial.send(FRAME.data, WINDOW + 100, bytes(1));
  trial.assertViolated(/beyond the window/);
});

Deno.test("attack 14: what was read is acknowledged after a quarter of the window, or 200 ms", () => {
  const trial = new Trial();
  trial.frames();
  trial.send(FRAME.data, 0, bytes(40_000));
  let woken = 0;
  trial.core.onOutput = () => woken++;
  trial.read(16_383);
  assertEquals([trial.frames(), woken, trial.core.deadline()], [[], 0, 200]);
  trial.read(1);
  assertEquals([trial.frames(), woken], [[{ type: FRAME.ack, offset: 16_384, length: 0 }], 1]);
  assertEquals(trial.core.deadline(), null);
  trial.now = 1000;
  trial.read(10);
  trial.now = 1199;
  trial.core.tick();
  assertEquals(trial.frames(), []);
  trial.now = 1200;
  trial.core.tick();
  assertEquals(trial.frames(), [{ type: FRAME.ack, offset: 16_394, length: 0 }]);
});

Deno.test("attack 15: a carrier that ends without FIN is no end, however much came", () => {
  const trial = new Trial();
  trial.send(FRAME.data, 0, bytes(5));
  trial.line.detach();
  assertEquals([trial.read(10), trial.read(10), trial.core.complete], [5, 0, false]);
  trial.line = trial.core.attach(0);
  trial.send(FRAME.fin, 5);
  assertEquals(trial.read(10), null);
});

Deno.test("attack 15: an end before, after or beside the end that was said is refused", () => {
  const ended = (): Trial => {
    const trial = new Trial();
    trial.send(FRAME.data, 0, bytes(5));
    trial.send(FRAME.fin, 5);
    return trial;
  };
  const early = new Trial();
  early.send(FRAME.data, 0, bytes(5));
  early.send(FRAME.fin, 4);
  early.assertViolated(/an end at 4/);
  for (const position of [4, 6, 0]) {
    const second = ended();
    second.send(FRAME.fin, position);
    second.assertViolated(/an end at/);
  }
  for (const [position, length] of [[5, 1], [6, 1], [4, 2]] as const) {
    const more = ended();
    more.send(FRAME.data, position, bytes(length));
    more.assertViolated(/after the end/);
  }
  const again = ended();
  again.send(FRAME.fin, 5);
  again.send(FRAME.data, 0, bytes(5));
  assertEquals(again.core.failure, null);
});

Deno.test("a snapshot that was changed anywhere is refused, and so is one that contradicts itself", () => {
  const { core } = new Trial();
  core.write(bytes(20));
  const snapshot = core.snapshot();
  for (let n = 0; n < snapshot.length; n++) {
    const changed = snapshot.slice();
    changed[n] = (changed[n] ?? 0) ^ 1;
    assertEquals(problem(() => decodeSnapshot(changed)), "SyntaxError", `byte ${n}`);
    assertEquals(problem(() => decodeSnapshot(snapshot.subarray(0, n))), "SyntaxError", `${n} bytes`);
  }
  const right = decodeSnapshot(snapshot);
  const wrong = [
    { window: 65_535 },
    { window: 67_108_865 },
    { sent: 21 },
    { acknowledged: 1 },
    { written: 19 },
    { written: MAX_POSITION },
    { received: 1 },
    { consumed: 1 },
    { ended: true },
    { ackedEnd: true },
    { unread: [bytes(1)] },
    { unacknowledged: [] },
  ];
  for (const change of wrong) {
    const forged = encodeSnapshot({ ...right, ...change });
    assertEquals(problem(() => decodeSnapshot(forged)), "SyntaxError", Object.keys(change)[0]);
  }
  core.abort(300, "enough");
  assertEquals(problem(() => core.snapshot()), "TypeError");
});

function problem(run: () => unknown): string {
  try {
    run();
    return "none";
  } catch (error) {
    return (error as Error).name;
  }
}

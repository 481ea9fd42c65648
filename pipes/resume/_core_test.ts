import { assert, assertEquals, assertThrows } from "@std/assert";
import { LARGE } from "./_chunks.ts";
import { type Attachment, SessionCore } from "./_core.ts";
import { encodeFrame, FRAME, HEADER, readHeader } from "./_frames.ts";

const bytes = (length: number): Uint8Array => new Uint8Array(length).map((_, n) => n % 251);

/** Two ends that are connected by nothing but their bytes. */
class Pair {
  now = 0;
  readonly client: SessionCore = this.#core("client");
  readonly server: SessionCore = this.#core("server");
  readonly lines: readonly [Attachment, Attachment] = [this.client.attach(0), this.server.attach(0)];

  #core(role: "client" | "server"): SessionCore {
    return new SessionCore({ role, window: 1_048_576, keepalive: 5000, now: () => this.now });
  }

  /** Brings everything over; gives the types of the frames. */
  run(): number[] {
    const types: number[] = [];
    for (let moved = true; moved;) {
      moved = false;
      for (const [from, to] of [this.lines, this.lines.toReversed()]) {
        for (let out = from?.next(); out; out = from?.next()) {
          for (let at = 0; at < out.length; at += HEADER + readHeader(out, at).length) {
            types.push(out[at] ?? 0);
          }
          to?.receive(out);
          moved = true;
        }
      }
    }
    return types;
  }
}

Deno.test("small writes join one frame while a write to the carrier is pending", () => {
  const { client, lines: [line] } = new Pair();
  line.next();
  let woken = 0;
  client.onOutput = () => woken++;
  assertEquals(line.next(), null);
  for (let n = 0; n < 100; n++) client.write(bytes(10));
  assertEquals(woken, 1);
  const first = line.next();
  assertEquals([first?.length, readHeader(first ?? bytes(12)).length], [HEADER + 1000, 1000]);
  client.write(bytes(10));
  client.write(bytes(10));
  assertEquals([line.next()?.length, line.next(), woken], [HEADER + 20, null, 1]);
});

Deno.test("an idle session holds no memory for bytes, whatever went over it", () => {
  const pair = new Pair();
  pair.client.write(bytes(200_000));
  pair.server.write(bytes(100));
  pair.run();
  assert(pair.client.memory >= 200_000 && pair.server.memory >= 200_000);
  const into = new Uint8Array(300_000);
  assertEquals(pair.server.read(into), 200_000);
  assertEquals(into.subarray(0, 200_000), bytes(200_000));
  assertEquals(pair.client.read(into), 100);
  pair.now = 200;
  pair.client.tick();
  pair.server.tick();
  pair.run();
  assertEquals([pair.client.memory, pair.server.memory], [0, 0]);
});

Deno.test("who waits for bytes reads them where they lie, across frames, in one go", () => {
  const { server, lines: [, line] } = new Pair();
  const into = new Uint8Array(100);
  const got: (number | null)[] = [];
  server.onReadable = () => got.push(server.read(into));
  assertEquals(server.read(into), 0);
  const frames = [encodeFrame(FRAME.data, 0, bytes(60)), encodeFrame(FRAME.data, 60, bytes(60))];
  line.receive(Uint8Array.from(frames.flatMap((frame) => [...frame])));
  assertEquals([got, server.available], [[100], 20]);
  assertEquals(into, Uint8Array.from([...bytes(60), ...bytes(40)]));
  assertEquals(server.read(into), 20);
  assertEquals(into.subarray(0, 20), bytes(60).subarray(40));
});

Deno.test("a writer waits for a slow carrier after 256 KiB, and goes on when half of it has left", () => {
  const { client, lines: [line] } = new Pair();
  let writable = 0;
  client.onWritable = () => writable++;
  assertEquals([client.write(bytes(500_000)), client.write(bytes(1))], [262_144, 0]);
  line.next();
  let left = 0;
  for (; writable === 0; left++) assert((line.next()?.length ?? LARGE + 1) <= LARGE);
  assertEquals([left, client.write(bytes(100_000))], [2, 100_000]);
  client.write(bytes(500_000));
  line.detach();
  assertEquals([writable, client.write(bytes(500_000))], [2, 500_000]);
});

Deno.test("both ends are complete when both FINs are acknowledged, and not before", () => {
  const pair = new Pair();
  const { client, server } = pair;
  const into = new Uint8Array(10);
  let ends = 0;
  client.onEnd = server.onEnd = () => ends++;
  client.write(bytes(5));
  client.closeWrite();
  client.closeWrite();
  assertThrows(() => client.write(bytes(1)), TypeError, "Cannot write: the end was written already");
  pair.run();
  assertEquals([server.received, server.read(into), server.read(into), server.read(into)], [
    6,
    5,
    null,
    null,
  ]);
  server.closeWrite();
  pair.run();
  assertEquals([client.acknowledged, client.complete, server.complete, ends], [6, false, false, 0]);
  assertEquals(client.read(into), null);
  pair.run();
  assertEquals([client.complete, server.complete, ends], [true, true, 2]);
  client.abort(0, "too late");
  assertEquals([client.failure, client.complete], [null, true]);
  // Who resumes then is told that everything arrived.
  const line = server.attach(server.sent);
  const ack = line.next();
  assertEquals([readHeader(ack ?? bytes(12)), line.next()], [{
    type: FRAME.ack,
    flags: 0,
    length: 0,
    offset: 6,
  }, null]);
});

Deno.test("an ABORT reaches the other end, also over the next carrier, with its reason cut between two characters", () => {
  const pair = new Pair();
  pair.lines[0].detach();
  pair.client.abort(4242, "ä".repeat(200));
  const line = pair.client.attach(0);
  const frame = line.next();
  assertEquals([frame?.length, line.next()], [HEADER + 2 + 256, null]);
  pair.lines[1].receive(frame ?? bytes(0));
  assertEquals(pair.server.failure, { code: 4242, reason: "ä".repeat(128), by: "remote" });
  assertEquals(pair.lines[1].next(), null);
});

Deno.test("a silent end is asked after the keepalive and doubted after two seconds, and heard again", () => {
  const pair = new Pair();
  const { client, lines: [line, far] } = pair;
  let suspicions = 0;
  client.onSuspicion = () => suspicions++;
  pair.run();
  assertEquals(client.deadline(), 5000);
  pair.now = 5000;
  client.tick();
  const ping = line.next();
  assertEquals([ping?.[0], client.deadline()], [FRAME.ping, 7000]);
  pair.now = 7000;
  client.tick();
  assertEquals([client.suspicious, suspicions, client.deadline()], [true, 1, null]);
  pair.now = 7010;
  far.receive(ping ?? bytes(0));
  pair.run();
  assertEquals([client.suspicious, client.srtt, client.deadline()], [false, 2010, 12_010]);
});

Deno.test("what is not acknowledged is asked about after three round trips, at least two seconds", () => {
  const pair = new Pair();
  const { client, server } = pair;
  pair.run();
  client.write(bytes(10));
  pair.run();
  assertEquals(client.deadline(), 2000);
  pair.now = 2000;
  client.tick();
  assertEquals(pair.run(), [FRAME.ping, FRAME.ack, FRAME.pong]);
  // The application over there reads slowly, and that is all.
  assertEquals([client.suspicious, client.deadline()], [false, 4000]);
  server.read(new Uint8Array(10));
  pair.now = 2200;
  server.tick();
  assertEquals(pair.run(), [FRAME.ack]);
  assertEquals(client.deadline(), 7200);
});

Deno.test("a process that slept doubts nobody before it has looked", () => {
  const pair = new Pair();
  const { client, lines: [line] } = pair;
  pair.run();
  pair.now = 5000;
  client.tick();
  line.next();
  pair.now = 30_000;
  client.tick();
  assertEquals([client.suspicious, client.deadline()], [false, 30_100]);
  pair.now = 30_100;
  client.tick();
  assert(client.suspicious);
});

Deno.test("the addresses of a server are told to each carrier, and a client's to nobody", () => {
  const pair = new Pair();
  const told: (readonly string[])[] = [];
  pair.client.onAddresses = (urls) => told.push(urls);
  pair.server.onAddresses = (urls) => told.push(urls);
  pair.server.sendAddresses(["tcp://a.example:1", "tcp://ä.example:2"]);
  pair.client.sendAddresses(["tcp://evil.example:3"]);
  pair.run();
  assertEquals(told, [["tcp://a.example:1", "tcp://ä.example:2"]]);
  const first = pair.server.attach(0).next() ?? bytes(0);
  assertEquals([first[0], first[HEADER]], [FRAME.ack, FRAME.addr]);
  assertThrows(
    () => pair.server.sendAddresses(["x".repeat(4094)]),
    RangeError,
    "255 and 4096 bytes are the most",
  );
});

Deno.test("a new carrier gets the frames that the other end has not received as a whole, and none before", () => {
  const { client, lines: [line] } = new Pair();
  line.next();
  for (let n = 0; n < 3; n++) {
    client.write(bytes(10));
    line.next();
  }
  const sentFrom = (position: number): readonly number[] => {
    const next = client.attach(position);
    next.next();
    const out = next.next();
    return out ? [out.length, readHeader(out).offset] : [];
  };
  assertEquals(sentFrom(10), [2 * (HEADER + 10), 10]);
  assertEquals(sentFrom(9), [3 * (HEADER + 10), 0]);
  assertEquals(sentFrom(20), [HEADER + 10, 20]);
  assertEquals(sentFrom(30), []);
});

Deno.test("the patience with what was sent begins when it is sent, not when anything was heard last", () => {
  const pair = new Pair();
  pair.run();
  pair.now = 4000;
  let told = 0;
  pair.client.onDeadline = () => told++;
  assertEquals(pair.client.deadline(), 5000);
  pair.client.write(bytes(10));
  pair.lines[0].next();
  assertEquals([pair.client.deadline(), told], [6000, 0]);
  // Nothing was to be waited for at the server, so it hears of a deadline that it did not know.
  assertEquals(pair.server.deadline(), null);
  pair.server.onDeadline = () => told++;
  pair.server.write(bytes(10));
  pair.lines[1].next();
  assertEquals([pair.server.deadline(), told], [6000, 1]);
});

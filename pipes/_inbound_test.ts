import { Buffer } from "node:buffer";
import { assert, assertEquals } from "@std/assert";
import { type FrameDecoder, type Framer, lengthPrefix, lines } from "./framing.ts";
import { Inbound, type InboundSink } from "./_inbound.ts";
import type { FillSink, Link } from "./_link.ts";
import { memoryLinks } from "./_memory_link.ts";
import type { Packet } from "./pipe.ts";

/** A link that gives what a test says, whatever way it is asked. */
class GivingLink {
  readonly link: Link;
  /** The memory that the reads were given, one after the other. */
  readonly buffers: ArrayBuffer[] = [];
  #into = new Uint8Array();
  #sink: FillSink | undefined;

  constructor() {
    const [link] = memoryLinks("test");
    this.link = Object.assign(link, {
      fill: (buffer: Uint8Array<ArrayBuffer>, sink: FillSink): void => {
        this.buffers.push(buffer.buffer);
        this.#into = buffer;
        this.#sink = sink;
      },
    });
  }

  give(bytes: Uint8Array): void {
    this.#into.set(bytes);
    this.#sink?.filled(bytes.length);
  }

  end(): void {
    this.#sink?.filled(null);
  }

  fail(error: unknown): void {
    this.#sink?.broke(error);
  }
}

/** Asks for messages one by one, and keeps all of them. */
class Keeping implements InboundSink {
  readonly got: (Uint8Array<ArrayBuffer> | null | unknown)[] = [];
  readonly #inbound: Inbound;

  constructor(inbound: Inbound) {
    this.#inbound = inbound;
    inbound.next(this);
  }

  fetched(packet: Packet | null): void {
    this.got.push(packet && packet.data);
    if (packet) this.#inbound.next(this);
  }

  failed(error: unknown): void {
    this.got.push(error);
  }
}

function bytes(length: number, value: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(length).fill(value);
}

function framed(...messages: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(messages.flatMap((message) => [message.length, ...message]));
}

Deno.test("what was received stays as it was, however often the memory it was read into is used again", () => {
  for (const framer of [null, lengthPrefix({ bytes: 1 }), lines()]) {
    const far = new GivingLink();
    const { got } = new Keeping(new Inbound(far.link, framer));
    const expected: Uint8Array[] = [];
    for (const [n, length] of [1, 64, 65, 3, 200, 200, 5, 64, 1, 120].entries()) {
      const message = bytes(length, 100 + n);
      expected.push(message);
      const end = framer?.name === "lines" ? new Uint8Array([...message, 10]) : message;
      far.give(framer?.name === "length prefix" ? framed(message) : end);
    }
    assertEquals(got, expected);
  }
});

Deno.test("a small message is no reason for a new buffer, and holds no large one", () => {
  for (const framer of [null, lengthPrefix({ bytes: 1 })]) {
    const far = new GivingLink();
    const { got } = new Keeping(new Inbound(far.link, framer));
    for (let n = 0; n < 10; n++) far.give(framer ? framed(bytes(64, n)) : bytes(64, n));
    assertEquals(new Set(far.buffers).size, 1);
    assertEquals(got.map((data) => (data as Uint8Array).buffer.byteLength), Array(10).fill(64));
    // From now on the reads are prepared for more.
    far.give(framer ? framed(bytes(250, 1)) : bytes(256, 1));
    far.give(framer ? framed(bytes(250, 2)) : bytes(250, 2));
    assert((got.at(-1) as Uint8Array).buffer.byteLength <= 1024, "it would hold the buffer for many");
  }
});

Deno.test("messages that come together stay apart, and one that comes in parts is put together", () => {
  const far = new GivingLink();
  const { got } = new Keeping(new Inbound(far.link, lengthPrefix({ bytes: 1 })));
  const many = [bytes(60, 1), bytes(0, 0), bytes(60, 2), bytes(3, 3)];
  far.give(framed(...many));
  const parts = framed(bytes(50, 4));
  far.give(parts.subarray(0, 20));
  far.give(parts.subarray(20));
  far.end();
  assertEquals(got, [...many, bytes(50, 4), null]);
});

Deno.test("what comes in large pieces is whole, and a piece that was smaller than expected holds no large memory", () => {
  for (const framer of [null, lengthPrefix()]) {
    const far = new GivingLink();
    const { got } = new Keeping(new Inbound(far.link, framer));
    const sent = Uint8Array.from({ length: 1 << 20 }, (_, n) => n * 7 + (n >> 8));
    const head = framer ? framer.wrap(sent).head : new Uint8Array();
    let rest = new Uint8Array([...head, ...sent]);
    while (rest.length > 0) {
      const room = far.buffers.at(-1)?.byteLength ?? 0;
      far.give(rest.subarray(0, room));
      rest = rest.subarray(room);
    }
    assert((far.buffers.at(-2)?.byteLength ?? 0) >= 64 * 1024, "it prepares for as much");
    const parts = got.splice(0) as Uint8Array[];
    assert(Buffer.concat(parts).equals(sent));
    far.give(framer ? new Uint8Array([0, 0, 0, 2, 8, 9, 0, 0, 0, 1, 7]) : new Uint8Array([8, 9, 7]));
    const small = got as Uint8Array[];
    assertEquals(Buffer.concat(small), Buffer.from([8, 9, 7]));
    assert(small.every(({ buffer }) => buffer.byteLength <= 16));
    far.give(framer ? framer.wrap(bytes(1, 1)).head : bytes(1, 1));
    assertEquals(far.buffers.at(-1)?.byteLength, 256, "it waits with little again");
  }
});

Deno.test("many messages at once, again and again, are those that were sent, however they are cut", () => {
  const far = new GivingLink();
  const { got } = new Keeping(new Inbound(far.link, lengthPrefix({ bytes: 2 })));
  const sent = Array.from({ length: 4000 }, (_, n) => bytes(n % 700 === 0 ? 40_000 : n % 300, n));
  let rest = new Uint8Array(
    sent.flatMap((message) => [message.length >> 8, message.length & 255, ...message]),
  );
  while (rest.length > 0) {
    const count = Math.min(far.buffers.at(-1)?.byteLength ?? 0, 1 + (rest.length * 31) % 70_000);
    far.give(rest.subarray(0, count));
    rest = rest.subarray(count);
  }
  assertEquals(got.length, sent.length);
  assert(sent.every((message, n) => Buffer.from(message).equals(got[n] as Uint8Array)));
});

Deno.test("a decoder of the application may keep what it was given", () => {
  const kept: Uint8Array<ArrayBuffer>[] = [];
  const decoder = (): FrameDecoder => ({
    push(chunk) {
      kept.push(chunk);
      return kept.length % 2 === 0 ? kept.slice(-2) : [];
    },
    end: () => [],
  });
  const framer: Framer = { name: "pairs", wrap: () => ({ head: bytes(0, 0), tail: bytes(0, 0) }), decoder };
  const far = new GivingLink();
  const { got } = new Keeping(new Inbound(far.link, framer));
  for (let n = 0; n < 6; n++) far.give(bytes(10 + 30 * n, n));
  assertEquals(got, Array.from({ length: 6 }, (_, n) => bytes(10 + 30 * n, n)));
});

Deno.test("what the old link gives after another took its place is nobody's, and the new one is read", () => {
  const [old, other] = [new GivingLink(), new GivingLink()];
  const inbound = new Inbound(old.link, null);
  const { got } = new Keeping(inbound);
  inbound.replace(other.link);
  old.give(bytes(3, 1));
  other.give(bytes(3, 2));
  inbound.replace(old.link);
  other.fail(new Error("gone"));
  old.give(bytes(3, 3));
  old.fail("the last word");
  assertEquals(got, [bytes(3, 2), bytes(3, 3), "the last word"]);
});

import { assertEquals, assertThrows } from "@std/assert";
import { FRAGMENT_BYTES } from "./_delivery_frames.ts";
import { bytesOf, floorOf, Outbox, type OutboxMessage } from "./outbox.ts";

function message(length: number, stream = 0): OutboxMessage {
  const data = Uint8Array.from({ length }, (_, i) => i % 251);
  return { stream, kind: "message", ref: 0, data, deadline: 1_000, level: "accepted" };
}

Deno.test("Outbox holds so many messages and bytes, and any one message while it is empty", () => {
  const outbox = new Outbox({ messages: 2, bytes: 1_000 });
  assertEquals(outbox.hasRoom(5_000), true);
  const first = outbox.add(message(600), 0);
  assertEquals([outbox.hasRoom(400), outbox.hasRoom(401)], [true, false]);
  const second = outbox.add(message(400), 0);
  assertEquals([outbox.messages, outbox.bytes, outbox.hasRoom(0)], [2, 1_000, false]);
  assertEquals([outbox.remove(first), outbox.remove(first)], [true, false]);
  assertEquals([outbox.messages, outbox.bytes, outbox.hasRoom(600)], [1, 400, true]);
  assertEquals(outbox.remove(second), true);
  assertEquals([outbox.messages, outbox.bytes], [0, 0]);
  assertThrows(() => new Outbox({ messages: 0 }), RangeError, "whole number from 1, got 0");
  assertThrows(() => new Outbox({ bytes: NaN }), RangeError, "at least 1, got NaN");
});

Deno.test("Outbox numbers the pieces of large messages one after the other, in each stream", () => {
  const outbox = new Outbox();
  const large = outbox.add(message(2 * FRAGMENT_BYTES + 1), 0);
  const empty = outbox.add(message(0), 0);
  const other = outbox.add(message(1, 3), 0);
  assertEquals(large.fragments.map(({ seq, index }) => [seq, index]), [[0, 0], [1, 1], [2, 2]]);
  assertEquals([empty.seq, empty.fragments.length, other.seq], [3, 1, 0]);
  const whole = large.fragments.flatMap((fragment) => [...bytesOf(large, fragment)]);
  assertEquals(Uint8Array.from(whole), large.data);
  const stream = outbox.stream(0);
  assertEquals(floorOf(stream), 0);
  outbox.remove(large);
  assertEquals(floorOf(stream), 3);
  outbox.remove(empty);
  assertEquals(floorOf(stream), 4);
  assertThrows(() => outbox.add(message(129 * FRAGMENT_BYTES), 0), RangeError, "got 490200");
});

Deno.test("Outbox goes on with the numbers of an earlier life, and lets what it left go out", () => {
  const outbox = new Outbox();
  outbox.stream(0, 2_000);
  const kept = outbox.add(message(1), 0, 990);
  const fresh = outbox.add(message(1), 0);
  assertEquals([kept.seq, fresh.seq], [990, 2_000]);
  assertEquals(floorOf(outbox.stream(0)), 990);
  assertEquals(outbox.stream(0).limit > 2_000, true);
});

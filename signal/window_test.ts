import { assertEquals, assertThrows } from "@std/assert";
import { chance } from "../tests/_chance.ts";
import { getBit, SeenWindow, WINDOW_SIZE } from "./window.ts";

Deno.test("SeenWindow says what a plain set of all numbers would say, however they are shuffled and repeated", () => {
  for (let run = 0; run < 20; run++) {
    const random = chance(run);
    const window = new SeenWindow();
    const seen = new Set<number>();
    for (let i = 0; i < 5_000; i++) {
      // Mostly near the watermark, sometimes long past or too far ahead.
      const seq = Math.max(0, window.next + Math.floor((random() - 0.3) * (random() < 0.1 ? 4_000 : 40)));
      const beyond = seq >= window.next + WINDOW_SIZE;
      const expected = seen.has(seq) ? "duplicate" : beyond ? "beyond" : "new";
      assertEquals(window.add(seq), expected, `run ${run}, number ${seq}`);
      if (!beyond) seen.add(seq);
    }
    for (let seq = 0; seq < window.next; seq++) assertEquals(seen.has(seq), true);
    assertEquals(seen.has(window.next), false);
    const selective = window.selective();
    for (let i = 0; i < 128; i++) assertEquals(getBit(selective, i), seen.has(window.next + i));
  }
});

Deno.test("SeenWindow gives up what its sender has given up, and keeps what came after", () => {
  const window = new SeenWindow();
  for (const seq of [0, 3, 4, 6]) window.add(seq);
  window.skipTo(3);
  assertEquals(window.next, 5);
  assertEquals([1, 2, 5, 6].map((seq) => window.look(seq)), ["duplicate", "duplicate", "new", "duplicate"]);
  window.skipTo(10 * WINDOW_SIZE);
  assertEquals(window.next, 10 * WINDOW_SIZE);
  assertEquals(window.look(6), "duplicate");
  assertEquals(window.selective(), new Uint8Array(16));
  window.skipTo(2);
  assertEquals(window.next, 10 * WINDOW_SIZE);
});

Deno.test("SeenWindow is the same after it was saved and read back", () => {
  const window = new SeenWindow();
  for (const seq of [0, 2, 5, 900]) window.add(seq);
  const again = new SeenWindow(window.next, window.save());
  for (let seq = 0; seq < 2_000; seq++) assertEquals(again.look(seq), window.look(seq));
  assertThrows(() => new SeenWindow(-1), RangeError, "whole number from 0, got -1");
  assertThrows(() => new SeenWindow(0, new Uint8Array(3)), RangeError, "got 3");
});

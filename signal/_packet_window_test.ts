import { assertEquals } from "@std/assert";
import { scale, seed } from "../tests/_require.ts";
import { Random } from "../tests/_fuzz.ts";
import { PACKET_WINDOW, PacketWindow } from "./_packet_window.ts";

Deno.test("a number is new once, and old when the window has gone by", () => {
  const window = new PacketWindow();
  for (const number of [3, 1, 2, PACKET_WINDOW]) {
    assertEquals(window.look(number), "new");
    window.note(number);
    assertEquals(window.look(number), "copy");
  }
  assertEquals([window.look(4), window.look(PACKET_WINDOW + 1)], ["new", "new"]);
  window.note(PACKET_WINDOW + 1);
  assertEquals([window.look(1), window.look(2), window.look(4)], ["old", "copy", "new"]);
  // A leap clears all of it, a smaller one what it leaps over.
  window.note(2 ** 32 - 1);
  assertEquals([window.look(PACKET_WINDOW + 1), window.look(2 ** 32 - 2)], ["old", "new"]);
});

Deno.test("the window says what a plain set says, in any order", () => {
  const random = new Random(seed());
  const window = new PacketWindow();
  const seen = new Set<number>();
  let highest = 0;
  for (let n = 0; n < scale(20_000, 1_000_000); n++) {
    const spread = random.one([1, 10, 300, PACKET_WINDOW, 2 * PACKET_WINDOW]);
    const number = Math.max(1, highest + random.one([1, 1, -1]) * random.below(spread));
    const expected = number <= highest - PACKET_WINDOW ? "old" : seen.has(number) ? "copy" : "new";
    assertEquals(window.look(number), expected, `seed ${seed()}, step ${n}, number ${number}`);
    if (expected !== "new" || random.below(4) === 0) continue;
    window.note(number);
    seen.add(number);
    highest = Math.max(highest, number);
  }
});

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { editDistance, nearest } from "./suggest.ts";

Deno.test("editDistance() counts insertions, removals, replacements and swaps of neighbours", () => {
  assertEquals(editDistance("watch", "watch"), 0);
  assertEquals(editDistance("wacth", "watch"), 1);
  assertEquals(editDistance("wach", "watch"), 1);
  assertEquals(editDistance("wwatch", "watch"), 1);
  assertEquals(editDistance("match", "watch"), 1);
  assertEquals(editDistance("", "wait"), 4);
});

Deno.test("editDistance() is symmetric, and zero for equal words only", () => {
  fc.assert(fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
    assertEquals(editDistance(a, b), editDistance(b, a));
    assertEquals(editDistance(a, b) === 0, a === b);
  }));
});

Deno.test("nearest() offers what was probably meant, and nothing where nothing is near", () => {
  const known = ["watch", "status", "external", "wait", "doctor"];
  assertEquals(nearest("wacth", known), "watch");
  assertEquals(nearest("STATUS", known), "status");
  assertEquals(nearest("ext", known), "external");
  assertEquals(nearest("foo", known), undefined);
  assertEquals(nearest("x", known), undefined);
  assertEquals(nearest("", known), undefined);
  assertEquals(nearest("w".repeat(10_000), known), undefined);
});

import { assertEquals } from "@std/assert";
import { columns, glossary, wrap } from "./columns.ts";
import { allPrintable, printable, styleFor, widthOf } from "./style.ts";

Deno.test("a style without colours changes nothing, one with colours takes no room", () => {
  assertEquals(styleFor(false).good("up"), "up");
  const painted = styleFor(true).good("up");
  assertEquals(painted, "\x1b[32mup\x1b[39m");
  assertEquals(widthOf(painted), 2);
  assertEquals(styleFor(true).dim(""), "");
});

Deno.test("printable() takes from foreign text the power to steer the terminal", () => {
  assertEquals(printable("v0\x1b[2J\r\n\x07\x9b"), "v0\\u001b[2J\\u000d\\u000a\\u0007\\u009b");
  assertEquals(printable("a\u202eb"), "a\\u202eb");
  assertEquals(printable("größe 名"), "größe 名");
  assertEquals(allPrintable({ a: ["\x1b", { b: "\x07" }], n: 1, none: null }), {
    a: ["\\u001b", { b: "\\u0007" }],
    n: 1,
    none: null,
  });
});

Deno.test("columns() aligns cells, coloured or not, and leaves no spaces at the end", () => {
  const { bad } = styleFor(true);
  assertEquals(columns([["a", "bb", ""], [bad("ccc"), "d"]]), ["a    bb", `${bad("ccc")}  d`]);
  assertEquals(columns([]), []);
});

Deno.test("wrap() breaks between words and never within one", () => {
  assertEquals(wrap("one two three", 7), ["one two", "three"]);
  assertEquals(wrap("incomprehensible", 7), ["incomprehensible"]);
});

Deno.test("glossary() goes on below the beginning of a text", () => {
  const text = "one two three four five six seven";
  assertEquals(glossary([["a", text], ["bb", "x"]], 24), [
    "a   one two three four",
    "    five six seven",
    "bb  x",
  ]);
});

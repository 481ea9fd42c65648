import { assertEquals, assertThrows } from "@std/assert";
import { checkFunction, checkNumber, checkWord } from "./_check.ts";

Deno.test("checkNumber() returns what fits", () => {
  assertEquals(checkNumber("make it", "size", 3, { from: 1, to: 3, whole: true }), 3);
  assertEquals(checkNumber("make it", "size", 0), 0);
});

Deno.test("checkNumber() names the option, what it must be and what it is", () => {
  const cases: [unknown, Parameters<typeof checkNumber>[3], typeof RangeError | typeof TypeError, string][] =
    [
      [0, { above: true }, RangeError, "Cannot make it: size must be a finite number above 0, got 0"],
      [
        1.5,
        { from: 1, whole: true },
        RangeError,
        "Cannot make it: size must be a whole number from 1, got 1.5",
      ],
      [2, { to: 1 }, RangeError, "Cannot make it: size must be a finite number from 0 to 1, got 2"],
      [NaN, {}, RangeError, "Cannot make it: size must be a finite number from 0, got NaN"],
      [Infinity, {}, RangeError, "Cannot make it: size must be a finite number from 0, got Infinity"],
      ["5", {}, TypeError, 'Cannot make it: size must be a finite number from 0, got "5"'],
    ];
  for (const [value, range, kind, message] of cases) {
    const error = assertThrows(() => checkNumber("make it", "size", value as number, range), kind);
    assertEquals(error.message, message);
  }
});

Deno.test("checkFunction() and checkWord() name the option, what it must be and what it is", () => {
  checkFunction("make it", "ping", () => {});
  checkWord("make it", "mode", "a", ["a", "b"]);
  const none = assertThrows(() => checkFunction("make it", "ping", 1), TypeError);
  assertEquals(none.message, "Cannot make it: ping must be a function, got 1");
  const other = assertThrows(() => checkWord("make it", "mode", "c", ["a", "b"]), TypeError);
  assertEquals(other.message, 'Cannot make it: mode must be "a" or "b", got "c"');
});

/** What we rely on in `@std/assert`: holds for the stand-in in `dev/std/` and for the real library alike. */

import {
  assert,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  equal,
  fail,
} from "@std/assert";

/** Runs what must fail an assertion, without `assertThrows`, which is under test itself. */
function failure(fn: () => unknown): AssertionError {
  try {
    fn();
  } catch (error) {
    if (error instanceof AssertionError) return error;
    throw error;
  }
  throw new Error("Cannot go on: the assertion did not fail");
}

Deno.test("equal values are equal", () => {
  const loop = (): unknown => {
    const self: Record<string, unknown> = { a: 1 };
    self["self"] = self;
    return self;
  };
  const pairs: readonly (readonly [unknown, unknown])[] = [
    [1, 1],
    [0, -0],
    [NaN, NaN],
    ["a", "a"],
    [1n, 1n],
    [[1, [2]], [1, [2]]],
    [{ a: { b: 1 } }, { a: { b: 1 } }],
    [{ a: 1, b: 2 }, { b: 2, a: 1 }],
    [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    [new Date(5), new Date(5)],
    [/a/g, /a/g],
    [new URL("http://a/"), new URL("http://a/")],
    [new Map([["a", { b: 1 }]]), new Map([["a", { b: 1 }]])],
    [new Set([{ a: 1 }, { b: 2 }]), new Set([{ b: 2 }, { a: 1 }])],
    [new Uint8Array([1, 2]), new Uint8Array([1, 2])],
    [new Uint8Array([1, 2]).buffer, new Uint8Array([1, 2]).buffer],
    [loop(), loop()],
  ];
  for (const [a, b] of pairs) {
    assertEquals(a, b);
    assertEquals(equal(b, a), true);
    assertMatch(failure(() => assertNotEquals(a, b)).message, /not to be/);
  }
});

Deno.test("unequal values are not equal, and the message shows both", () => {
  class Point {
    constructor(readonly x: number) {}
  }
  const pairs: readonly (readonly [unknown, unknown])[] = [
    [1, 2],
    [1, "1"],
    [null, undefined],
    [[1], [1, 2]],
    [[1, undefined], [1]],
    [{ a: undefined }, {}],
    [{ a: undefined }, { b: undefined }],
    [{ a: 1 }, { a: 1, b: 2 }],
    [new Point(1), new Point(2)],
    [new Point(1), { x: 1 }],
    [[], {}],
    [new Date(5), new Date(6)],
    [/a/g, /a/i],
    [new URL("http://a/"), new URL("http://b/")],
    [new Map([["a", 1]]), new Map([["a", 2]])],
    [new Set([1]), new Set([2])],
    [new Uint8Array([1, 2]), new Uint8Array([1, 3])],
    [new Uint8Array([1]), new Int8Array([1])],
  ];
  for (const [a, b] of pairs) {
    assertNotEquals(a, b);
    assertEquals(equal(b, a), false);
    assertMatch(failure(() => assertEquals(a, b)).message, /^Values are not equal\.\n/);
  }
  assertEquals(new Point(1), new Point(1));
  const { message, name } = failure(() => assertEquals({ found: "one" }, { found: "other" }, "the reason"));
  assertMatch(message, /^Values are not equal: the reason\n/);
  assertStringIncludes(message, '"one"');
  assertStringIncludes(message, '"other"');
  assertEquals(name, "AssertionError");
});

Deno.test("plain assertions pass and fail", () => {
  assert(1);
  assertEquals(failure(() => assert(0, "the reason")).message, "the reason");
  assertFalse("");
  assertEquals(failure(() => assertFalse("a", "the reason")).message, "the reason");
  const same = {};
  assertStrictEquals(same, same);
  assertStrictEquals(NaN, NaN);
  assertMatch(
    failure(() => assertStrictEquals({}, {})).message,
    /same structure but are not reference-equal/,
  );
  assertMatch(failure(() => assertStrictEquals(0, -0, "why")).message, /^Values are not strictly equal: why/);
  assertExists(0);
  for (const none of [null, undefined]) {
    assertMatch(failure(() => assertExists(none)).message, /null or undefined/);
  }
  assertInstanceOf(new TypeError(), Error);
  assertMatch(failure(() => assertInstanceOf(1, Error)).message, /instance of "Error" but was "number"/);
  assertMatch(failure(() => assertInstanceOf(null, Error)).message, /but was "null"/);
  assertMatch("abc", /b/);
  assertEquals(failure(() => assertMatch("abc", /d/)).message, 'Expected actual: "abc" to match: "/d/".');
  assertStringIncludes("abc", "bc");
  assertEquals(
    failure(() => assertStringIncludes("abc", "d", "why")).message,
    'Expected actual: "abc" to contain: "d": why',
  );
  assertArrayIncludes([{ a: 1 }, 2], [2, { a: 1 }]);
  assertMatch(failure(() => assertArrayIncludes([1], [1, 2])).message, /missing: \[\s*2,?\s*\]/);
  assertEquals(failure(() => fail("why")).message, "Failed assertion: why");
  assertEquals(failure(() => fail()).message, "Failed assertion.");
});

Deno.test("comparisons hold at their borders", () => {
  assertGreater(2, 1);
  assertGreaterOrEqual(2, 2);
  assertLess(1, 2);
  assertLessOrEqual(2, 2);
  assertEquals(failure(() => assertGreater(2, 2)).message, "Expect 2 > 2");
  assertEquals(failure(() => assertGreaterOrEqual(1, 2)).message, "Expect 1 >= 2");
  assertEquals(failure(() => assertLess(2, 2)).message, "Expect 2 < 2");
  assertEquals(failure(() => assertLessOrEqual(3, 2)).message, "Expect 3 <= 2");
  assertEquals(failure(() => assertLess(NaN, 2, "the reason")).message, "the reason");
});

Deno.test("an object matches when all that is expected is there, at any depth", () => {
  const actual = { type: "a", at: new Date(5), inner: { b: 1, c: [{ d: 1, e: 2 }, 3] } };
  assertObjectMatch(actual, { type: "a", inner: { c: [{ d: 1 }] } });
  assertObjectMatch(actual, { at: new Date(5) });
  for (
    const expected of [{ type: "b" }, { inner: { c: [{ d: 2 }] } }, { other: undefined }, { at: new Date(6) }]
  ) {
    failure(() => assertObjectMatch(actual, expected));
  }
});

Deno.test("assertThrows() returns what was thrown and looks at class and message", () => {
  const thrown = new TypeError("the message");
  const fn = (): never => {
    throw thrown;
  };
  assertStrictEquals(assertThrows(fn), thrown);
  assertStrictEquals(assertThrows(fn, Error, "message"), thrown);
  assertStrictEquals(assertThrows(fn, "why"), thrown);
  assertMatch(
    failure(() => assertThrows(fn, RangeError)).message,
    /instance of "RangeError", but was "TypeError"/,
  );
  assertMatch(
    failure(() => assertThrows(fn, Error, "other")).message,
    /include "other", but got "the message"/,
  );
  assertEquals(failure(() => assertThrows(() => 1)).message, "Expected function to throw.");
  const text = (): never => {
    // deno-lint-ignore no-throw-literal
    throw "text";
  };
  assertEquals(assertThrows(text), "text");
  assertMatch(failure(() => assertThrows(text, Error)).message, /non-Error object was thrown/);
});

Deno.test("assertRejects() resolves with the reason and looks at class and message", async () => {
  const reason = new TypeError("the message");
  const reject = (): Promise<never> => Promise.reject(reason);
  const failed = async (promise: Promise<unknown>): Promise<string> => {
    const error = await promise.then(() => undefined, (error) => error);
    if (!(error instanceof AssertionError)) throw new Error("Cannot go on: the assertion did not fail");
    return error.message;
  };
  assertStrictEquals(await assertRejects(reject), reason);
  assertStrictEquals(await assertRejects(reject, TypeError, "message"), reason);
  assertMatch(
    await failed(assertRejects(reject, RangeError)),
    /instance of "RangeError", but was "TypeError"/,
  );
  assertMatch(await failed(assertRejects(reject, Error, "other")), /include "other"/);
  assertEquals(await failed(assertRejects(() => Promise.resolve())), "Expected function to reject.");
  assertMatch(
    await failed(assertRejects(() => {
      throw reason;
    })),
    /throws when expected to reject/,
  );
  assertMatch(await failed(assertRejects(() => Promise.reject(1), Error)), /non-Error object was rejected/);
});

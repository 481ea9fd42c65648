/** A stand-in for `@std/assert`: the assertions our tests use. */

export { equal } from "./equal.ts";
export { AssertionError } from "./error.ts";
export { assertRejects, assertThrows } from "./errors.ts";
export {
  type ArrayLikeArg,
  assert,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertObjectMatch,
  assertStrictEquals,
  assertStringIncludes,
  fail,
  type Falsy,
} from "./values.ts";

import { assertEquals, assertThrows } from "@std/assert";
import { HoldfastError } from "../errors.ts";
import { shareLibrary, type Taken } from "./shared.ts";

/** A library whose last call failed with error number 12, and how often it was opened and closed. */
function counted(): { take: () => Taken<{ name: string }>; counts: { opened: number; closed: number } } {
  const counts = { opened: 0, closed: 0 };
  const take = shareLibrary(
    () => {
      counts.opened++;
      return {
        call: { name: "library" },
        errnoPlace: null,
        copy: (to) => to.set([12, 0, 0, 0]),
        close: () => void counts.closed++,
      };
    },
    (errno, operation) =>
      new HoldfastError(`Cannot ${operation}: error ${errno}`, { code: "system", operation }),
  );
  return { take, counts };
}

Deno.test("a library is opened for the first hold and closed with the last", () => {
  const { take, counts } = counted();
  const [one, two] = [take(), take()];
  assertEquals([one.first, two.first], [true, false]);
  one.held[Symbol.dispose]();
  one.held[Symbol.dispose]();
  assertEquals(counts, { opened: 1, closed: 0 }, "one hold let go twice counts once");
  two.held[Symbol.dispose]();
  assertEquals(counts, { opened: 1, closed: 1 });
  const again = take();
  assertEquals([again.first, counts.opened], [true, 2]);
  again.held[Symbol.dispose]();
});

Deno.test("a library that cannot be opened is tried again by the next", () => {
  let tries = 0;
  const take = shareLibrary<null>(() => {
    tries++;
    throw new Error("not there");
  }, () => new HoldfastError("", { code: "system", operation: "" }));
  assertThrows(take, Error, "not there");
  assertThrows(take, Error, "not there");
  assertEquals(tries, 2);
});

Deno.test("a result below zero is an error with the number that the library left", () => {
  const { take } = counted();
  using held = take().held;
  assertEquals([held.errno(), held.check(0, "read"), held.check(5, "read")], [12, 0, 5]);
  assertThrows(() => held.check(-1, "read"), HoldfastError, "Cannot read: error 12");
});

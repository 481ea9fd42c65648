import { assertEquals, assertRejects } from "@std/assert";
import { FakeClock } from "../../testing/fake_clock.ts";
import { raceEndpoints } from "./_race_endpoints.ts";

/** A race whose dials a test settles. */
function race(places: readonly string[], signal: AbortSignal = new AbortController().signal) {
  const clock = new FakeClock();
  const dials = new Map<string, PromiseWithResolvers<string> & { signal: AbortSignal }>();
  const discarded: string[] = [];
  const result = raceEndpoints<string, string>(places, {
    dial: (place, signal) => {
      const dial = Object.assign(Promise.withResolvers<string>(), { signal });
      dials.set(place, dial);
      return dial.promise;
    },
    discard: (late) => discarded.push(late),
    final: (error) => error instanceof RangeError,
    signal,
    clock,
  });
  return { clock, dials, discarded, result };
}

Deno.test("the next place begins after a quarter of a second, or as soon as one has failed", async () => {
  const { clock, dials, result } = race(["a", "b", "c"]);
  await clock.tickAsync(249);
  assertEquals([...dials.keys()], ["a"]);
  await clock.tickAsync(1);
  assertEquals([...dials.keys()], ["a", "b"]);
  dials.get("a")?.reject(new Error("Cannot: a"));
  await clock.tickAsync(0);
  assertEquals([...dials.keys()], ["a", "b", "c"]);
  dials.get("c")?.resolve("three");
  assertEquals(await result, { value: "three", place: "c" });
  assertEquals([dials.get("b")?.signal.aborted, clock.pending], [true, 0]);
});

Deno.test("what comes behind the first is discarded", async () => {
  const { clock, dials, discarded, result } = race(["a", "b"]);
  await clock.tickAsync(250);
  dials.get("b")?.resolve("two");
  dials.get("a")?.resolve("one");
  assertEquals(await result, { value: "two", place: "b" });
  await clock.tickAsync(0);
  assertEquals(discarded, ["one"]);
});

Deno.test("of several failures that of the best place counts where it ends the matter, else the last one", async () => {
  for (
    const [first, told] of [[new RangeError("Cannot: no"), "Cannot: no"], [
      new Error("x"),
      "Cannot: b",
    ]] as const
  ) {
    const { clock, dials, result } = race(["a", "b"]);
    const failed = assertRejects(() => result, Error, told);
    dials.get("a")?.reject(first);
    await clock.tickAsync(0);
    dials.get("b")?.reject(new Error("Cannot: b"));
    await failed;
    assertEquals(clock.pending, 0);
  }
});

Deno.test("a race that is called off ends all that is under way, and discards what comes of it", async () => {
  const controller = new AbortController();
  const { clock, dials, discarded, result } = race(["a", "b"], controller.signal);
  const failed = assertRejects(() => result, Error, "Cannot wait");
  controller.abort(new Error("Cannot wait"));
  await failed;
  assertEquals([dials.get("a")?.signal.aborted, clock.pending], [true, 0]);
  dials.get("a")?.resolve("late");
  await clock.tickAsync(0);
  assertEquals(discarded, ["late"]);
});

import { assertEquals } from "@std/assert";
import { judge, type Sighting } from "./_external_verdict.ts";

/** Each text is `server address:port saw address:port`, ports being optional. */
function verdict(texts: readonly string[], second?: string): unknown[] {
  const sightings = texts.map(sighting);
  const result = judge({
    family: 4,
    outcomes: [],
    sightings,
    second: second === undefined ? null : sighting(second),
    local: { address: null, port: 1 },
  });
  return result
    ? [result.address, result.port, result.agreed, result.answered, result.agreement, result.mapping]
    : [];
}

function sighting(text: string): Sighting {
  const [from, mapped] = text.split(" saw ").map((end) => {
    const [address = "", port = 1] = end.split(":");
    return { address, port: Number(port) };
  });
  if (!from || !mapped) throw new Error(`Cannot read the sighting "${text}"`);
  return { from, mapped };
}

Deno.test("judge() gives nothing when nobody has answered", () => {
  assertEquals(verdict([]), []);
});

Deno.test("judge() calls one answer single, and cannot tell the mapping", () => {
  assertEquals(verdict(["s1 saw a:5"]), ["a", 5, 1, 1, "single", "unknown"]);
});

Deno.test("judge() confirms what the majority says", () => {
  assertEquals(verdict(["s1 saw a", "s2 saw a"]), ["a", 1, 2, 2, "confirmed", "endpoint-independent"]);
  assertEquals(verdict(["s1 saw b", "s2 saw a", "s3 saw a"]), [
    "a",
    1,
    2,
    3,
    "confirmed",
    "endpoint-independent",
  ]);
});

Deno.test("judge() gives the first of equals as disputed", () => {
  assertEquals(verdict(["s1 saw b", "s2 saw a"]), ["b", 1, 1, 2, "disputed", "endpoint-dependent"]);
  assertEquals(
    verdict(["s1 saw b", "s2 saw a", "s3 saw a", "s4 saw b"]),
    ["b", 1, 2, 4, "disputed", "endpoint-dependent"],
  );
});

Deno.test("judge() gives the most frequent as disputed where it has not the majority", () => {
  assertEquals(verdict(["s1 saw b", "s2 saw a", "s3 saw a", "s4 saw c"]).slice(0, 5), [
    "a",
    1,
    2,
    4,
    "disputed",
  ]);
});

Deno.test("judge() knows an endpoint-dependent mapping by the port alone", () => {
  assertEquals(verdict(["s1 saw a:1", "s2 saw a:2"]), ["a", 1, 2, 2, "confirmed", "endpoint-dependent"]);
});

Deno.test("judge() leaves outvoted servers out of the mapping", () => {
  assertEquals(verdict(["s1 saw a:1", "liar saw b:9", "s2 saw a:1"]).at(-1), "endpoint-independent");
});

Deno.test("judge() takes two ports of one server for no proof of independence, but for one of dependence", () => {
  assertEquals(verdict(["s1:1 saw a:1", "s1:2 saw a:1"]).at(-1), "unknown");
  assertEquals(verdict(["s1:1 saw a:1", "s1:2 saw a:2"]).at(-1), "endpoint-dependent");
});

Deno.test("judge() compares with what the only server saw from its second address", () => {
  assertEquals(verdict(["s1 saw a:1"], "s2 saw a:1"), ["a", 1, 1, 1, "single", "endpoint-independent"]);
  assertEquals(verdict(["s1 saw a:1"], "s2 saw a:2"), ["a", 1, 1, 1, "single", "endpoint-dependent"]);
  assertEquals(verdict(["s1 saw a:1"], "s1:2 saw a:1"), ["a", 1, 1, 1, "single", "unknown"]);
});

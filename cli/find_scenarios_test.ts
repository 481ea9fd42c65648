import { assertEquals } from "@std/assert";
import { findScenarios } from "./find_scenarios.ts";

function ids(text: string): readonly string[] {
  return findScenarios(text, "linux").map(({ scenario }) => scenario.id);
}

Deno.test("findScenarios() takes a term for a word of its own only", () => {
  assertEquals(ids("close code 1006").includes("websocket-lost"), true);
  assertEquals(ids("request 11006 was served").includes("websocket-lost"), false);
  assertEquals(ids("PREFIXED_EMSGSIZE_X").includes("datagram-too-long"), false);
});

Deno.test("findScenarios() tells codes from words that are spelt the same", () => {
  assertEquals(ids("status: REFUSED").includes("resolver-failure"), true);
  assertEquals(ids("Connection refused").includes("resolver-failure"), false);
  assertEquals(ids("refused").includes("resolver-failure"), true);
});

Deno.test("findScenarios() looks for a plain word in a short text, and not in a long message", () => {
  assertEquals(ids("laptop sleep").includes("suspend"), true);
  assertEquals(ids("GET https://example.com/sleep answered with something else").includes("suspend"), false);
});

Deno.test("findScenarios() puts what the message is first, then what a code says, then what words say", () => {
  const found = ids("ECONNREFUSED, before that EMSGSIZE and no buffer space available");
  const places = ["port-closed", "datagram-too-long", "kernel-table-full"].map((id) => found.indexOf(id));
  assertEquals(places[0], 0);
  assertEquals(places, places.toSorted((a, b) => a - b));
  assertEquals(places.includes(-1), false);
});

Deno.test("findScenarios() names each scenario once", () => {
  const found = ids("ECONNRESET ETIMEDOUT Connection reset by peer, Connection timed out");
  assertEquals(found.length, new Set(found).size);
  assertEquals(found.length >= 4, true);
});

Deno.test("findScenarios() knows nothing of an empty text, and takes characters of patterns for what they are", () => {
  for (const text of ["", "   ", "(.*)", "[", "\\", "^$"]) assertEquals(ids(text), []);
});

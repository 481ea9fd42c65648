import { assert, assertEquals, assertThrows } from "@std/assert";
import { SCENARIO_IDS, type ScenarioId } from "./ids.ts";
import { scenarioOf, scenarios } from "./mod.ts";

Deno.test("scenarios has one for each name, in their order, with their numbers", () => {
  assertEquals(scenarios.map(({ id }) => id), [...SCENARIO_IDS]);
  assertEquals(scenarios.map(({ number }) => Number(number.slice(1))), SCENARIO_IDS.map((_, i) => i + 1));
  assertEquals([scenarios.length, scenarios.at(-1)?.number], [86, "F86"]);
});

Deno.test("every scenario says all there is to say, in sentences", () => {
  for (const { id, title, symptom, cause, detection, remedy, searchTerms } of scenarios) {
    for (const text of [symptom, cause, detection, remedy]) {
      assert(/^["'A-Za-z0-9]/.test(text) && /[.?]$/.test(text), `${id}: ${text}`);
      assert(!text.includes("  ") && text.trim() === text, `${id}: ${text}`);
    }
    assert(title !== "" && !title.endsWith("."), `${id}: ${title}`);
    assert(searchTerms.length >= 3, `${id} can be found by ${searchTerms.length} terms only`);
    assertEquals(new Set(searchTerms).size, searchTerms.length, id);
  }
});

Deno.test("every remedy in code has short lines and imports from this package only", () => {
  for (const { id, code } of scenarios) {
    assert(code.trim() === code && code !== "", id);
    for (const line of code.split("\n")) assert(line.length <= 110, `${id}: ${line}`);
    for (const [, from] of code.matchAll(/ from "([^"]+)"/g)) {
      assert(/^@holdfast\/net\/(recover|watch)$/.test(from ?? ""), `${id} imports ${from}`);
    }
  }
});

Deno.test("no title is there twice", () => {
  assertEquals(new Set(scenarios.map(({ title }) => title)).size, scenarios.length);
});

Deno.test("scenarioOf() finds by name and refuses a name that nothing has", () => {
  for (const id of SCENARIO_IDS) assertEquals(scenarioOf(id).id, id);
  assertThrows(
    () => scenarioOf("no-such-thing" as ScenarioId),
    RangeError,
    'Cannot find a scenario: nothing is called "no-such-thing"',
  );
});

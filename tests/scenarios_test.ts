/** The catalogue of failures against the tests that provoke them, and against its page. */

import { assert, assertEquals } from "@std/assert";
import { findTests } from "../dev/_failures_page.ts";
import { scenarios } from "../recover/scenarios/mod.ts";

const tests = await findTests();

Deno.test("every scenario that is said to be provoked or simulated has a test whose name begins with its own", () => {
  const missing = scenarios.filter(({ id, proof }) => /^(provoked|simulated)$/.test(proof) && !tests.has(id));
  assertEquals(missing.map(({ id }) => id), []);
});

Deno.test("every scenario that is known from documents alone has no test that provokes it", () => {
  const provoked = scenarios.filter(({ id, proof }) => proof === "documented" && tests.has(id));
  assertEquals(provoked.map(({ id }) => id), []);
});

Deno.test("the catalogue names the tests that are there", () => {
  for (const { id, test } of scenarios) {
    assertEquals(test, tests.get(id) ?? null, `run "deno task docs": ${id}`);
  }
});

Deno.test("docs/FAILURES.md has a chapter for each scenario, and every link within it leads somewhere", async () => {
  const page = await Deno.readTextFile(new URL("../docs/FAILURES.md", import.meta.url));
  const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replaceAll(/[^\w -]/g, "").replaceAll(" ", "-")
  );
  for (const { id } of scenarios) assert(headings.includes(id), id);
  for (const [, target = ""] of page.matchAll(/\]\(#([^)]+)\)/g)) assert(headings.includes(target), target);
});

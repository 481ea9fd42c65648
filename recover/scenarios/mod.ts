/** The catalogue of failures, as data. */

import { address } from "./address.ts";
import { connecting } from "./connecting.ts";
import { established } from "./established.ts";
import { host } from "./host.ts";
import { http } from "./http.ts";
import { SCENARIO_IDS, type ScenarioId } from "./ids.ts";
import { link } from "./link.ts";
import { names } from "./names.ts";
import { progress } from "./progress.ts";
import type { Scenario, ScenarioGroup, ScenarioText } from "./scenario.ts";
import { servers } from "./servers.ts";
import { TESTS } from "./_tests.ts";
import { tls } from "./tls.ts";
import { udp } from "./udp.ts";

/**
 * All failures that have a name, in the order of their numbers.
 *
 * @example
 * ```ts
 * import { scenarios } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * const [first] = scenarios;
 * assertEquals(first?.number, "F01");
 * assertEquals(scenarios.filter(({ searchTerms }) => searchTerms.includes("ECONNREFUSED")).length > 0, true);
 * ```
 */
export const scenarios: readonly Scenario[] = ordered({
  link: [...link, ...address],
  connecting,
  established: [...established, ...progress],
  servers,
  names,
  tls,
  http,
  udp,
  host,
});

/**
 * What is known about a failure.
 *
 * @param id Its name.
 * @returns Symptom, cause, detection, remedy and the rest.
 * @throws {RangeError} When nothing has that name.
 *
 * @example
 * ```ts
 * import { scenarioOf } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(scenarioOf("port-closed").title, "Nothing listens on that port");
 * ```
 */
export function scenarioOf(id: ScenarioId): Scenario {
  const scenario = scenarios[SCENARIO_IDS.indexOf(id)];
  if (!scenario) throw new RangeError(`Cannot find a scenario: nothing is called "${id}"`);
  return scenario;
}

/** Puts the groups together: each scenario at the place and with the number that its name has in the list of names. */
function ordered(groups: Readonly<Record<ScenarioGroup, readonly ScenarioText[]>>): readonly Scenario[] {
  const found: Scenario[] = [];
  for (const [group, texts] of Object.entries(groups) as [ScenarioGroup, readonly ScenarioText[]][]) {
    for (const text of texts) {
      const place = SCENARIO_IDS.indexOf(text.id);
      const number = `F${String(place + 1).padStart(2, "0")}`;
      found[place] = { ...text, number, group, test: TESTS[text.id] ?? null };
    }
  }
  return found;
}

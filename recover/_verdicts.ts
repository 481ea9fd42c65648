/** What each recognized failure means for its caller. */

import type { VerdictName } from "./_verdict_names.ts";
import { VERDICT_ROWS } from "./_verdict_rows.ts";
import type { Failure, FailureKind, FailureRetry, FailureSent, FailureWhere } from "./failure.ts";
import { SCENARIO_IDS, type ScenarioId } from "./scenarios/ids.ts";

export type { VerdictName } from "./_verdict_names.ts";

/** A failure but for what differs from one to the next. */
export interface Verdict extends Pick<Failure, "scenario" | "kind" | "where" | "retry" | "hint"> {
  /** Whether it was sent; `phase`: what was being done tells. */
  readonly sent: FailureSent | "phase";
}

/** Finds what a recognized failure means. */
export function verdictOf(name: VerdictName): Verdict {
  const [words, hint, scenario = name] = VERDICT_ROWS[name];
  const [kind, where, retry, sent] = words.split(" ") as [
    FailureKind,
    FailureWhere,
    FailureRetry,
    FailureSent | "phase",
  ];
  return { scenario: isScenario(scenario) ? scenario : null, kind, where, retry, sent, hint };
}

const SCENARIOS: ReadonlySet<string> = new Set(SCENARIO_IDS);

function isScenario(name: string): name is ScenarioId {
  return SCENARIOS.has(name);
}

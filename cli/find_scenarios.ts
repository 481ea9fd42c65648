/** From a pasted message, a code or a name to the scenarios that it may be. */

import { classifyText } from "../recover/classify.ts";
import { SCENARIO_IDS } from "../recover/scenarios/ids.ts";
import { scenarioOf, scenarios } from "../recover/scenarios/mod.ts";
import type { Scenario } from "../recover/scenarios/scenario.ts";

/** The systems whose numbers are known. */
export const SYSTEMS = ["linux", "darwin", "windows"] as const;

/** A system whose numbers are known. */
export type System = typeof SYSTEMS[number];

/** A scenario that was found. */
export interface Match {
  /** The scenario. */
  readonly scenario: Scenario;
  /** What it was found by: its name, a code or a piece of the message. */
  readonly by: string;
}

/** In more words than this, a plain word found among them may well mean something else. */
const FEW_WORDS = 4;

/**
 * Finds the scenarios that a text may be about.
 *
 * @param text A message, a code, a number, or the name or number of a scenario.
 * @param os The system that numbers in it are from; without it words count more than numbers.
 * @returns The likeliest first; empty when nothing is known.
 */
export function findScenarios(text: string, os?: System): readonly Match[] {
  const query = text.trim().replaceAll(/\s+/g, " ");
  const named = scenarios.find(({ id, number }) => [id, number.toLowerCase()].includes(query.toLowerCase()));
  if (named) return [{ scenario: named, by: named.id }];
  const failure = classifyText(query, os);
  const first = failure.scenario === null ? [] : [scenarioOf(failure.scenario)];
  const code = failure.code ?? "";
  const ranked = scenarios
    .map((scenario) => ({ scenario, found: termsIn(scenario, query, code) }))
    .filter(({ scenario, found }) => found.length > 0 && !first.includes(scenario))
    .sort((a, b) => weight(b.found[0]) - weight(a.found[0]) || b.found.length - a.found.length);
  return [
    ...first.map((scenario) => ({
      scenario,
      by: termsIn(scenario, query, code)[0] ?? (code || scenario.id),
    })),
    ...ranked.map(({ scenario, found }) => ({ scenario, by: found[0] ?? scenario.id })),
  ];
}

/** All words that a mistyped one may have been meant to be: names of scenarios, and codes. */
export function knownWords(): readonly string[] {
  const codes = scenarios.flatMap(({ searchTerms }) => searchTerms.filter((term) => /^E[A-Z]+$/.test(term)));
  return [...SCENARIO_IDS, ...new Set(codes)];
}

/** The terms of a scenario that stand in a text, the one that says most first. */
function termsIn({ searchTerms }: Scenario, query: string, code: string): readonly string[] {
  const few = query.split(" ").length <= FEW_WORDS;
  return searchTerms
    .filter((term) => term === code || ((few || !/^[a-z]+$/.test(term)) && stands(term, query)))
    .sort((a, b) => weight(b) - weight(a));
}

/** Whether a term stands in a text as a word of its own: "os error 10" is not in "os error 104". */
function stands(term: string, text: string): boolean {
  if (term.toLowerCase() === text.toLowerCase()) return true;
  // Codes are in capitals, and "REFUSED" of the resolver is not the "refused" of a connection.
  const flags = /^[A-Z_]+$/.test(term) ? "u" : "iu";
  return new RegExp(`(?<![\\p{L}\\p{N}_])${RegExp.escape(term)}(?![\\p{L}\\p{N}_])`, flags).test(text);
}

/** How much a term says: a code more than any words, and of words the longest. */
function weight(term = ""): number {
  return /^[A-Z][A-Z0-9_]{4,}$/.test(term) ? 1000 + term.length : term.length;
}

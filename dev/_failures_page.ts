/** The page about failures, and the table of the tests that bring them about: both written by `deno task docs`. */

import { CODES } from "../recover/_codes.ts";
import { verdictOf } from "../recover/_verdicts.ts";
import { SCENARIO_IDS, type ScenarioId } from "../recover/scenarios/ids.ts";
import type { Scenario, ScenarioGroup, ScenarioProof, ScenarioTest } from "../recover/scenarios/scenario.ts";
import { filesBelow, fileSystemPath, ROOT } from "./_files.ts";

const GROUPS: Readonly<Record<ScenarioGroup, string>> = {
  link: "Link, address, route",
  connecting: "Connecting",
  established: "Open connections",
  servers: "Servers and their sockets",
  names: "Names",
  tls: "TLS",
  http: "HTTP and WebSocket",
  udp: "UDP",
  host: "Machine, time, load, rights",
};

const PROOFS: Readonly<Record<ScenarioProof, string>> = {
  provoked: "Brought about for real, on Linux",
  simulated: "Brought about with made-up clocks and clients",
  table: "Codes and texts held against the tables of `classify()`",
  documented: "Known from documents",
};

/**
 * The page.
 *
 * @param scenarios The catalogue.
 * @param table Writes a Markdown table.
 * @returns Markdown, without its first line.
 */
export function failuresPage(
  scenarios: readonly Scenario[],
  table: (head: readonly string[], rows: readonly (readonly string[])[]) => string,
): string {
  const groups = Object.entries(GROUPS).map(([group, heading]) => ({
    heading,
    members: scenarios.filter((scenario) => scenario.group === group),
  }));
  const symptoms = groups.map(({ heading, members }) => {
    const rows = members.map(({ id, symptom }) => [escaped(firstSentence(symptom)), link(id)]);
    return `### ${heading}: what you see\n\n${table(["What you see", "Look at"], rows)}`;
  });
  const parts = groups.map(({ heading, members }) => `## ${heading}\n\n${members.map(chapter).join("\n\n")}`);
  return `
# Failures

The ${scenarios.length} ways in which networking fails that this package knows by name: what you see, why it is so, how to be sure,
and what to do. \`holdfast explain "MESSAGE"\` finds the right one for a pasted message, a code or a number;
\`classify(error)\` does it in a program, and \`scenarios\` is this page as data. Times are those measured with Deno 2.9 on
Linux, where nothing else is said.

- [By what you see](#by-what-you-see)
- [By code](#by-code)
- [By word](#by-word)
${groups.map(({ heading }) => `- [${heading}](#${anchor(heading)})`).join("\n")}

## By what you see

${symptoms.join("\n\n")}

## By code

The same number means different things on different systems. The runtime shows it as \`(os error 111)\`, often with no
other code; \`holdfast explain --os windows 64\` looks it up.

${table(["Code", "Linux", "macOS", "Windows", "Look at"], systemCodes(scenarios))}

## By word

Classes of errors, codes of libraries, and the status codes of HTTP and WebSocket.

${table(["Word", "Look at"], otherWords(scenarios))}

${parts.join("\n\n")}
`;
}

function chapter(
  { id, number, title, symptom, cause, detection, remedy, code, proof, test }: Scenario,
): string {
  const shown = test ? `${PROOFS[proof]}: \`${test.file}\`, "${escaped(test.name)}"` : PROOFS[proof];
  return `### ${id}

**${escaped(title)}** (${number})

- **You see:** ${escaped(symptom)}
- **Because:** ${escaped(cause)}
- **To be sure:** ${escaped(detection)}
- **What to do:** ${escaped(remedy)}

\`\`\`ts
${code}
\`\`\`

${shown}.`;
}

function link(id: string): string {
  return `[${id}](#${id})`;
}

/** The anchor that a heading of ours gets; they have no punctuation but commas. */
function anchor(heading: string): string {
  return heading.toLowerCase().replaceAll(",", "").replaceAll(" ", "-");
}

/** As text within Markdown. */
function escaped(text: string): string {
  return text.replaceAll(/[<>*_`[\]]/g, "\\$&");
}

/** The first sentence, and the next ones as long as it is too short to know anything again by. */
function firstSentence(text: string): string {
  let beginning = "";
  for (const sentence of text.split(/(?<=[.!?]) (?=["A-Z])/)) {
    beginning = beginning === "" ? sentence : `${beginning} ${sentence}`;
    if (beginning.length >= 60) break;
  }
  return beginning.replace(/\.$/, "");
}

/** What one would look up as a word: names of errors, classes, status codes. */
const WORD = /^(?:[A-Z][A-Z0-9_]{3,}|\d{3,5}|[A-Z][a-z]+(?:[A-Z][A-Za-z]+)+)$/;

/** The codes of systems with their numbers, and where to look. */
function systemCodes(scenarios: readonly Scenario[]): readonly (readonly string[])[] {
  const rows = Object.entries(CODES).map(([code, { numbers, verdict, at = {} }]) => {
    const meant = [verdict, ...Object.values(at)].map((name) => verdictOf(name).scenario);
    const ids = new Set([...meant.filter((id) => id !== null), ...havingTerm(scenarios, code)]);
    const { linux, darwin, windows } = numbers;
    return [
      `\`${code}\``,
      ...[linux, darwin, windows].map((all) => all.join(", ")),
      [...ids].map(link).join(", "),
    ];
  });
  return rows.filter((row) => row.at(-1) !== "").sort(([a = ""], [b = ""]) => a.localeCompare(b, "en"));
}

/** All other words, and where to look; numbers come last. */
function otherWords(scenarios: readonly Scenario[]): readonly (readonly string[])[] {
  const terms = new Set(scenarios.flatMap(({ searchTerms }) => searchTerms));
  const words = [...terms].filter((term) => WORD.test(term) && !(term in CODES));
  const order = (word: string): string => /^\d/.test(word) ? `~${word.padStart(6, "0")}` : word.toLowerCase();
  words.sort((a, b) => order(a) < order(b) ? -1 : 1);
  return words.map((word) => [`\`${word}\``, havingTerm(scenarios, word).map(link).join(", ")]);
}

function havingTerm(scenarios: readonly Scenario[], term: string): readonly ScenarioId[] {
  return scenarios.filter(({ searchTerms }) => searchTerms.includes(term)).map(({ id }) => id);
}

/**
 * The tests that bring scenarios about: those whose name begins with the name of a scenario and a colon.
 *
 * @returns By the scenario's name; the first one, where there are several.
 */
export async function findTests(): Promise<ReadonlyMap<string, ScenarioTest>> {
  const ids: ReadonlySet<string> = new Set(SCENARIO_IDS);
  const files = (await filesBelow(fileSystemPath(ROOT), [".ts"]))
    .filter((file) => /^tests\/(?:netns\/)?failures_\w+_test\.ts$/.test(file));
  const found = new Map<string, ScenarioTest>();
  for (const file of files.sort()) {
    const text = await Deno.readTextFile(new URL(file, ROOT));
    for (const [, quote = "", id = "", rest = ""] of text.matchAll(/(["`])([a-z0-9-]+)(: .*?)\1/g)) {
      if (!ids.has(id) || found.has(id) || (quote === "`" && rest.includes("${"))) continue;
      found.set(id, { file, name: id + rest });
    }
  }
  return found;
}

/** The table of {@linkcode findTests} as a module, so that the catalogue names its tests where no repository is at hand. */
export function testsModule(tests: ReadonlyMap<string, ScenarioTest>): string {
  const known = SCENARIO_IDS.flatMap((id) => {
    const test = tests.get(id);
    if (!test) return [];
    return [`  "${id}": { file: ${JSON.stringify(test.file)}, name: ${JSON.stringify(test.name)} },\n`];
  });
  return `// Generated by \`deno task docs\`; changes by hand are lost.

/** The tests that bring scenarios about. */

import type { ScenarioId } from "./ids.ts";
import type { ScenarioTest } from "./scenario.ts";

/** By the name of the scenario. */
export const TESTS: Readonly<Partial<Record<ScenarioId, ScenarioTest>>> = {
${known.join("")}};
`;
}

/** The page about failures, and the table of the tests that bring them about: both written by `deno task docs`. */

import { SCENARIO_IDS } from "../recover/scenarios/ids.ts";
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
  const codes = [...byCode(scenarios)].map(([code, ids]) => [`\`${code}\``, ids.map(link).join(", ")]);
  const parts = groups.map(({ heading, members }) => `## ${heading}\n\n${members.map(chapter).join("\n\n")}`);
  return `
# Failures

The ${scenarios.length} ways in which networking fails that this package knows by name: what you see, why it is so, how to be sure,
and what to do. \`holdfast explain "MESSAGE"\` finds the right one for a pasted message, a code or a number;
\`classify(error)\` does it in a program, and \`scenarios\` is this page as data. Times are those measured with Deno 2.9 on
Linux, where nothing else is said.

- [By what you see](#by-what-you-see)
- [By code or message](#by-code-or-message)
${groups.map(({ heading }) => `- [${heading}](#${anchor(heading)})`).join("\n")}

## By what you see

${symptoms.join("\n\n")}

## By code or message

The name of an error comes first, then numbers and status codes. The same number means different things on different
systems: \`holdfast explain --os windows 64\`.

${table(["Code", "Look at"], codes)}

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

/** Up to the first full stop before a capital letter. */
function firstSentence(text: string): string {
  const [sentence = text] = text.split(/(?<=[.!?]) (?=["A-Z])/);
  return sentence.replace(/\.$/, "");
}

/** What one would look up as a word: codes, classes, numbers. */
const CODE = /^(?:[A-Z][A-Z0-9_]{3,}|\d{3,5}|os error \d+|[A-Z][a-z]+(?:[A-Z][A-Za-z]+)+)$/;

function byCode(scenarios: readonly Scenario[]): ReadonlyMap<string, readonly string[]> {
  const found: Record<string, string[]> = {};
  for (const { id, searchTerms } of scenarios) {
    for (const term of searchTerms) if (CODE.test(term)) (found[term] ??= []).push(id);
  }
  return new Map(Object.entries(found).sort(([a], [b]) => order(a).localeCompare(order(b), "en")));
}

/** Words before numbers, and numbers by their size. */
function order(code: string): string {
  const number = /\d+$/.exec(code)?.[0];
  return number === undefined ? `0${code}` : `1${number.padStart(6, "0")}`;
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
    return test ? [`  ${JSON.stringify(id)}: ${JSON.stringify(test)},\n`] : [];
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

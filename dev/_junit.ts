/** Reads what `deno test --junit-path` writes: which tests ran, failed, were skipped. */

/** The tests of one run, by what became of them. Steps count as tests. */
export interface Tally {
  /** How many passed. */
  readonly passed: number;
  /** The names of those that failed. */
  readonly failed: readonly string[];
  /** The names of those that were skipped. */
  readonly skipped: readonly string[];
}

/** The tally of nothing. */
export const NOTHING: Tally = { passed: 0, failed: [], skipped: [] };

/** Counts the tests in a report. */
export function parseJunit(xml: string): Tally {
  const failed: string[] = [];
  const skipped: string[] = [];
  let passed = 0;
  for (const [, attributes = "", body = ""] of xml.matchAll(/<testcase ([^>]*)>([\s\S]*?)<\/testcase>/g)) {
    const name = unescape(/\bname="([^"]*)"/.exec(attributes)?.[1] ?? "");
    if (/^\s*<(failure|error)\b/.test(body)) failed.push(name);
    else if (/^\s*<skipped\b/.test(body)) skipped.push(name);
    else passed++;
  }
  return { passed, failed, skipped };
}

/** Adds tallies up. */
export function sum(tallies: readonly Tally[]): Tally {
  return {
    passed: tallies.reduce((total, tally) => total + tally.passed, 0),
    failed: tallies.flatMap((tally) => tally.failed),
    skipped: tallies.flatMap((tally) => tally.skipped),
  };
}

/** How many tests there were. */
export function countOf(tally: Tally): number {
  return tally.passed + tally.failed.length + tally.skipped.length;
}

/** The line that closes a run: `N passed, N failed`, and `, N skipped` where something was. */
export function summary(tally: Tally): string {
  const skipped = tally.skipped.length > 0 ? `, ${tally.skipped.length} skipped` : "";
  return `${tally.passed} passed, ${tally.failed.length} failed${skipped}`;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescape(text: string): string {
  return text.replace(/&(\w+);/g, (whole, name: string) => ENTITIES[name] ?? whole);
}

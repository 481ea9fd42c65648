/**
 * The test run: `deno task test [options] [FILE...]`.
 *
 * Each test file runs in a process of its own, so that one that hangs is named and ended. Files in `tests/netns/` run in
 * fresh namespaces, with the loopback interface up and no other. The last line is `N passed, N failed`.
 *
 * @module
 */

import { docFiles, fileSystemPath, type Kind, kindOf, ROOT, systemOf, testFiles } from "./_files.ts";
import { countOf, NOTHING, parseJunit, sum, summary, type Tally } from "./_junit.ts";
import { findNamespaces, type Namespaces } from "./_namespace.ts";
import { killAllOnSignal, run, type RunResult } from "./_process.ts";

const HELP = `Usage: deno task test [options] [FILE...]

  --only=KIND     unit, integration, netns or doc; may be given more than once
  --filter=TEXT   only tests whose name contains TEXT
  --std=DIR       run in a staged copy against the real standard library in DIR
  --bound=SECONDS how long one file may take (120, times the scale)
  --soak          full numbers: HOLDFAST_SCALE=10 and a random seed, unless they are given

Environment: HOLDFAST_SCALE (counts, 1), HOLDFAST_SEED (1), HOLDFAST_REQUIRE=all (a skip is a failure).`;

/** How many files run at the same time where nothing but the processor is shared; most of their time they wait. */
const SIDE_BY_SIDE = 2 * navigator.hardwareConcurrency;
/** How long one file may take at scale 1, in milliseconds. */
const BOUND = 120_000;
/** A file that measures time, or changes what all share, says so with this comment in one of its first lines. */
const ALONE = /^\/\/ runs alone\b/m;

interface Options {
  readonly only: readonly Kind[];
  readonly filter: string | undefined;
  readonly std: string | undefined;
  readonly soak: boolean;
  /** How long one file may take, in milliseconds. */
  readonly bound: number | undefined;
  readonly files: readonly string[];
}

interface Job {
  readonly name: string;
  readonly kind: Kind;
  readonly files: readonly string[];
  readonly alone: boolean;
}

interface Outcome {
  readonly job: Job;
  readonly tally: Tally;
  /** Why tests of it were skipped. */
  readonly reasons: readonly string[];
  readonly took: number;
}

interface Context {
  readonly root: string;
  readonly temp: string;
  readonly flags: readonly string[];
  readonly options: Options;
  readonly namespaces: Namespaces;
  readonly env: Readonly<Record<string, string>>;
}

const KINDS: readonly Kind[] = ["unit", "integration", "netns", "doc"];

function parseOptions(args: readonly string[]): Options {
  const only: Kind[] = [];
  const files: string[] = [];
  let filter: string | undefined;
  let std: string | undefined;
  let soak = false;
  let bound: number | undefined;
  for (const arg of args) {
    const [, name, value = ""] = /^--(\w+)(?:=(.*))?$/s.exec(arg) ?? [];
    const kind = KINDS.find((kind) => kind === value);
    if (name === undefined && !arg.startsWith("-")) files.push(arg.replace(/^\.\//, ""));
    else if (name === "only" && kind) only.push(kind);
    else if (name === "filter" && value !== "") filter = value;
    else if (name === "std" && value !== "") std = value;
    else if (name === "bound" && Number(value) > 0) bound = Number(value) * 1000;
    else if (arg === "--soak") soak = true;
    else throw new SyntaxError(`Cannot run the tests: unknown option "${arg}"\n\n${HELP}`);
  }
  return { only, filter, std, soak, bound, files };
}

/** What is to be run, in this order: what bears company first, then what runs alone. */
async function plan(root: string, options: Options): Promise<readonly Job[]> {
  const { only, files } = options;
  const wanted = (kind: Kind): boolean => only.length === 0 || only.includes(kind);
  const given = files.length > 0 ? files : await testFiles(root);
  const jobs: Job[] = [];
  for (const file of given) {
    const kind = kindOf(file);
    const text = await Deno.readTextFile(`${root}/${file}`);
    const alone = kind === "integration" || ALONE.test(text);
    if (kind !== "doc" && wanted(kind)) jobs.push({ name: file, kind, files: [file], alone });
  }
  const documents = files.length > 0 ? files.filter((file) => kindOf(file) === "doc") : await docFiles(root);
  if (wanted("doc") && documents.length > 0) {
    jobs.push({ name: "examples in the documentation", kind: "doc", files: documents, alone: false });
  }
  const order = (job: Job): number =>
    KINDS.indexOf(job.kind) + (job.alone ? 10 : 0) + (job.kind === "doc" ? -9 : 0);
  return jobs.sort((a, b) => order(a) - order(b));
}

/** Type-checks, and so downloads, all there is: a fresh namespace has no way out. */
async function checkTypes(context: Context, jobs: readonly Job[]): Promise<Outcome> {
  const given = context.options.files.length > 0 ? jobs.flatMap((job) => job.files) : [];
  const job: Job = { name: "types and downloads", kind: "unit", files: [], alone: true };
  const files = given.filter((file) => file.endsWith(".ts"));
  const args = ["check", "--quiet", ...context.flags, ...files];
  const result = await run(Deno.execPath(), { args, cwd: context.root, bound: 10 * BOUND });
  if (!result.ok) report(job, result);
  return { job, tally: { ...NOTHING, failed: result.ok ? [] : [job.name] }, reasons: [], took: result.took };
}

function command(job: Job, context: Context, junit: string): readonly [string, ...string[]] {
  const { filter } = context.options;
  const deno: [string, ...string[]] = [
    Deno.execPath(),
    "test",
    "-A",
    ...context.flags,
    `--junit-path=${junit}`,
  ];
  deno.push(job.kind === "doc" ? "--doc" : "--no-check");
  if (filter !== undefined) deno.push(`--filter=${filter}`);
  deno.push(...job.files);
  return job.kind === "netns" && context.namespaces.works ? context.namespaces.wrap(deno) : deno;
}

async function runJob(job: Job, context: Context): Promise<Outcome> {
  const { namespaces, options } = context;
  const system = systemOf(job.name);
  if (system !== undefined && system !== Deno.build.os) {
    return { job, tally: { ...NOTHING, skipped: [job.name] }, reasons: [`for ${system} only`], took: 0 };
  }
  if (job.kind === "netns" && !namespaces.works) {
    return {
      job,
      tally: { ...NOTHING, skipped: [job.name] },
      reasons: [`needs namespaces: ${namespaces.why}`],
      took: 0,
    };
  }
  const junit = await Deno.makeTempFile({ dir: context.temp, suffix: ".xml" });
  const [program, ...args] = command(job, context, junit);
  const env = { ...context.env, ...(job.kind === "netns" ? { HOLDFAST_NETNS: "1" } : {}) };
  const bound = options.bound ?? BOUND * Math.max(1, Number(context.env["HOLDFAST_SCALE"]));
  const result = await run(program, { args, cwd: context.root, env, bound });
  let tally = parseJunit(await Deno.readTextFile(junit));
  const { filter } = options;
  // What the filter left out stands in the report as skipped.
  if (filter !== undefined) {
    tally = {
      ...tally,
      skipped: tally.skipped.filter((name) => name.includes(filter)),
    };
  }
  if (!result.ok && tally.failed.length === 0) {
    const why = result.hung ? `still running after ${bound / 1000} s` : `ended with exit code ${result.code}`;
    tally = { ...tally, failed: [`${job.name} (${why})`] };
  }
  if (tally.failed.length > 0) report(job, result);
  const reasons = new Set([...result.output.matchAll(/^skipped: (.*)$/gm)].map(([, reason = ""]) => reason));
  if (countOf(tally) === 0 && filter === undefined) {
    tally = { ...tally, failed: [`${job.name} (it holds no tests)`] };
  }
  return { job, tally, reasons: [...reasons], took: result.took };
}

function report(job: Job, result: RunResult): void {
  console.log(`\n----- ${job.name} -----\n${result.output.trimEnd()}`);
  if (result.hung) console.log(`This file hung, and was ended after ${Math.round(result.took / 1000)} s.`);
  console.log(`----- end of ${job.name} -----\n`);
}

function tell({ job, tally, took }: Outcome): void {
  const counts = [`${tally.passed} passed`];
  if (tally.failed.length > 0) counts.push(`${tally.failed.length} FAILED`);
  if (tally.skipped.length > 0) counts.push(`${tally.skipped.length} skipped`);
  console.log(`${job.name.padEnd(48)} ${`${(took / 1000).toFixed(1)} s`.padStart(7)}  ${counts.join(", ")}`);
}

async function runAll(jobs: readonly Job[], context: Context): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  const work = async (queue: Job[]): Promise<void> => {
    for (let job = queue.shift(); job; job = queue.shift()) {
      const outcome = await runJob(job, context);
      if (sum([outcome.tally]).passed + outcome.tally.failed.length + outcome.tally.skipped.length > 0) {
        tell(outcome);
      }
      outcomes.push(outcome);
    }
  };
  const together = jobs.filter((job) => !job.alone);
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, () => work(together)));
  await work(jobs.filter((job) => job.alone));
  return outcomes;
}

/** Whether what was skipped belongs to another system: it is named, and counts as nothing. */
function isForeign({ reasons }: Outcome): boolean {
  return reasons.length > 0 && reasons.every((reason) => /^for .* only$/.test(reason));
}

/** With `HOLDFAST_REQUIRE=all` a skip is a failure. */
function strict(outcome: Outcome): Outcome {
  const { tally } = outcome;
  if (isForeign(outcome) || tally.skipped.length === 0 || Deno.env.get("HOLDFAST_REQUIRE") !== "all") {
    return outcome;
  }
  const failed = [...tally.failed, ...tally.skipped.map((name) => `${name} (skipped)`)];
  return { ...outcome, tally: { ...tally, failed, skipped: [] } };
}

/** Names what was skipped and what failed, and returns the totals. */
function close(outcomes: readonly Outcome[]): Tally {
  const all = sum(outcomes.map((outcome) => {
    return isForeign(outcome) ? { ...outcome.tally, skipped: [] } : outcome.tally;
  }));
  for (const outcome of outcomes) {
    const { job, tally, reasons } = outcome;
    if (tally.skipped.length === 0) continue;
    const what = isForeign(outcome) ? "Not for this system" : "Skipped";
    console.log(`\n${what}, in ${job.name}: ${reasons.join("; ") || "no reason given"}`);
    for (const name of tally.skipped) if (name !== job.name) console.log(`  ${name}`);
  }
  if (all.failed.length > 0) console.log("\nFailed:");
  for (const { job, tally } of outcomes) {
    for (const name of tally.failed) console.log(`  ${job.name}: ${name}`);
  }
  return all;
}

async function stage(std: string, temp: string): Promise<string> {
  const { stageWithStd } = await import("./stage.ts");
  const out = `${temp}/staged`;
  await stageWithStd({ std: await Deno.realPath(std), out });
  return out;
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(HELP);
    return 0;
  }
  const options = parseOptions(args);
  const start = performance.now();
  const temp = await Deno.makeTempDir({ prefix: "holdfast-test-" });
  killAllOnSignal(temp);
  try {
    const here = fileSystemPath(ROOT);
    const root = options.std === undefined ? here : await stage(options.std, temp);
    const scale = Deno.env.get("HOLDFAST_SCALE") ?? (options.soak ? "10" : "1");
    const seed = Deno.env.get("HOLDFAST_SEED") ??
      (options.soak ? `${crypto.getRandomValues(new Uint32Array(1))[0]}` : "1");
    const flags = options.std === undefined ? [] : ["--no-lock"];
    const env = { HOLDFAST_SCALE: scale, HOLDFAST_SEED: seed };
    const context: Context = { root, temp, flags, options, namespaces: await findNamespaces(), env };
    const jobs = await plan(root, options);
    const outcomes = [await checkTypes(context, jobs), ...await runAll(jobs, context)].map(strict);
    const all = close(outcomes);
    const ran = countOf(all) - all.skipped.length;
    if (ran === 0) console.log("\nNothing ran.");
    console.log(`\nseed ${seed}, scale ${scale}, ${((performance.now() - start) / 1000).toFixed(0)} s`);
    console.log(summary(all));
    return ran > 0 && all.failed.length === 0 ? 0 : 1;
  } finally {
    await Deno.remove(temp, { recursive: true });
  }
}

if (import.meta.main) {
  try {
    Deno.exitCode = await main(Deno.args);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    console.error(error.message);
    Deno.exitCode = 2;
  }
  // A listener for signals must not keep a finished run alive.
  Deno.exit();
}

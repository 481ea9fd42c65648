/**
 * Sabotage: `deno task sabotage [NAME...]`. Each one-line sabotage of `sabotages.ts` is made in a copy of the repository,
 * where the tests named with it must be green before and red after. One that stays green is a guarantee without a test.
 *
 * @module
 */

import { filesBelow, fileSystemPath, ROOT } from "./_files.ts";
import { killAllOnSignal, run } from "./_process.ts";
import { type Sabotage, SABOTAGES } from "./sabotages.ts";

/** How long the tests of one sabotage may take, in seconds; those that hang because of it are red as well. */
const BOUND = 60;

async function copyRepository(to: string): Promise<void> {
  const from = fileSystemPath(ROOT);
  for (const path of await filesBelow(from, [""])) {
    await Deno.mkdir(`${to}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.copyFile(`${from}/${path}`, `${to}/${path}`);
  }
}

/** Makes one sabotage in a text. */
export function apply({ name, find, replace }: Sabotage, text: string): string {
  const parts = text.split(find);
  if (parts.length !== 2) {
    throw new Error(`Cannot sabotage "${name}": "${find}" stands there ${parts.length - 1} times, not once`);
  }
  return parts.join(replace);
}

interface Verdict {
  readonly red: boolean;
  /** Why it is neither: the sabotage does not even compile, or there was nothing to run. */
  readonly void: string | undefined;
  readonly output: string;
}

async function runTests(copy: string, { test, filter }: Sabotage): Promise<Verdict> {
  const args = ["run", "-A", "dev/test.ts", `--bound=${BOUND}`, ...test];
  if (filter !== undefined) args.push(`--filter=${filter}`);
  const env = { TMPDIR: `${copy}/../tmp` };
  const { ok, stdout, output } = await run(Deno.execPath(), {
    args,
    cwd: copy,
    env,
    bound: 5 * BOUND * 1000,
  });
  const nothing = stdout.includes("Nothing ran.") ? "no test ran" : undefined;
  const types = stdout.includes("types and downloads: types and downloads")
    ? "it has wrong types"
    : undefined;
  return { red: !ok, void: nothing ?? types, output };
}

async function main(names: readonly string[]): Promise<number> {
  const wanted = SABOTAGES.filter(({ name }) =>
    names.length === 0 || names.some((part) => name.includes(part))
  );
  const temp = await Deno.makeTempDir({ prefix: "holdfast-sabotage-" });
  const copy = `${temp}/repository`;
  killAllOnSignal(temp);
  /** The tests known to be green without a sabotage. */
  const green = new Map<string, Verdict>();
  let failed = 0;
  const fail = (name: string, why: string, output = ""): void => {
    failed++;
    console.log(`FAILED ${name}: ${why}\n${output.trim()}`);
  };
  try {
    // A run that has to be killed cannot tidy up after itself.
    await Deno.mkdir(`${temp}/tmp`);
    await copyRepository(copy);
    for (const sabotage of wanted) {
      const key = JSON.stringify([sabotage.test, sabotage.filter]);
      const before = green.get(key) ?? await runTests(copy, sabotage);
      green.set(key, before);
      if (before.red || before.void) {
        fail(sabotage.name, before.void ?? "the tests are red without it", before.output);
        continue;
      }
      const path = `${copy}/${sabotage.file}`;
      const text = await Deno.readTextFile(path);
      await Deno.writeTextFile(path, apply(sabotage, text));
      const after = await runTests(copy, sabotage);
      await Deno.writeTextFile(path, text);
      if (after.void) fail(sabotage.name, after.void, after.output);
      else if (!after.red) fail(sabotage.name, `nothing noticed it in ${sabotage.test.join(" ")}`);
      else console.log(`red    ${sabotage.name}`);
    }
  } finally {
    await Deno.remove(temp, { recursive: true });
  }
  console.log(`\n${wanted.length - failed} sabotages noticed, ${failed} not`);
  return wanted.length > 0 && failed === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));

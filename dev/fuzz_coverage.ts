/**
 * Shows that a fuzz test reaches into parsers: runs the test file alone and reads the branch coverage of the sources.
 *
 * `deno run -A dev/fuzz_coverage.ts tests/stun_fuzz_test.ts 90 watch/_stun.ts`
 *
 * @module
 */

/** What a coverage report says about one file. */
interface Coverage {
  /** Branches that were found. */
  readonly found: number;
  /** Branches that were taken. */
  readonly hit: number;
  /** Lines that hold a branch never taken. */
  readonly missed: readonly number[];
}

/**
 * Reads the branch coverage of one file out of an LCOV report.
 *
 * @param lcov The report.
 * @param path The file's absolute path.
 * @returns Its coverage, or `undefined` where the report does not know the file.
 */
export function branchCoverage(lcov: string, path: string): Coverage | undefined {
  const record = lcov.split("end_of_record").find((part) => part.includes(`SF:${path}\n`));
  if (record === undefined) return undefined;
  // BRDA:<line>,<block>,<branch>,<taken>, where "-" or 0 is never.
  const branches = [...record.matchAll(/^BRDA:(\d+),\d+,\d+,(-|\d+)$/gm)];
  const missed = branches.filter(([, , taken]) => taken === "-" || taken === "0").map(([, line]) =>
    Number(line)
  );
  return { found: branches.length, hit: branches.length - missed.length, missed: [...new Set(missed)] };
}

async function deno(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    env: { NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  if (!success) throw new Error(`deno ${args.join(" ")}:\n${text(stdout)}${text(stderr)}`);
  return text(stdout);
}

async function main(args: readonly string[]): Promise<number> {
  const [test, least, ...sources] = args;
  if (test === undefined || sources.length === 0 || !(Number(least) >= 0)) {
    console.error("usage: deno run -A dev/fuzz_coverage.ts TEST PERCENT SOURCE...");
    return 2;
  }
  const folder = await Deno.makeTempDir({ prefix: "holdfast-fuzz-" });
  try {
    await deno("test", "-A", "--quiet", `--coverage=${folder}`, test);
    const lcov = await deno("coverage", "--quiet", "--lcov", folder);
    const reached = sources.map((source) =>
      isReached(source, test, Number(least), branchCoverage(lcov, Deno.realPathSync(source)))
    );
    return reached.every((one) => one) ? 0 : 1;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function isReached(source: string, test: string, least: number, coverage: Coverage | undefined): boolean {
  if (!coverage || coverage.found === 0) {
    console.error(`${source}: ${test} does not touch it`);
    return false;
  }
  const percent = 100 * coverage.hit / coverage.found;
  const missed = coverage.missed.length === 0 ? "" : `, never taken: line ${coverage.missed.join(", ")}`;
  const figures = `${coverage.hit} of ${coverage.found} branches (${percent.toFixed(1)} %)`;
  console.log(`${source}: ${figures} by ${test} alone, at least ${least} %${missed}`);
  return percent >= least;
}

if (import.meta.main) Deno.exit(await main(Deno.args));

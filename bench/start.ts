/** What it costs to begin: importing the module, starting the command. */

import { type Figure, figure, median } from "./_figure.ts";

const ROOT = new URL("..", import.meta.url).pathname;

async function run(args: readonly string[]): Promise<number> {
  const start = performance.now();
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    stdout: "null",
    stderr: "null",
  }).output();
  if (!success) throw new Error(`Cannot run deno ${args.join(" ")}`);
  return performance.now() - start;
}

/** Measures whole processes, variant beside variant. */
export async function start(rounds: number): Promise<Figure[]> {
  const bare = await Deno.makeTempFile({ suffix: ".ts" });
  const config = `--config=${ROOT}deno.json`;
  const variants = {
    bare: ["run", "--no-check", config, bare],
    again: ["run", "--no-check", config, bare],
    watch: ["run", "--no-check", config, `${ROOT}watch/mod.ts`],
    version: ["run", "--no-check", config, `${ROOT}cli/main.ts`, "--version"],
  };
  const samples = {
    bare: [] as number[],
    again: [] as number[],
    watch: [] as number[],
    version: [] as number[],
  };
  for (let round = -2; round < rounds; round++) {
    const names = Object.keys(variants) as (keyof typeof variants)[];
    if (round % 2 === 0) names.reverse();
    for (const name of names) {
      const took = await run(variants[name]);
      if (round >= 0) samples[name].push(took);
    }
  }
  await Deno.remove(bare);
  const base = median([...samples.bare, ...samples.again]);
  return [
    figure("start of bare Deno, p50", base, "ms", null, samples.bare.length * 2),
    figure("control: bare / bare, p50", median(samples.bare) / median(samples.again), "x", null, rounds),
    figure("import of ./watch beyond bare Deno, p50", median(samples.watch) - base, "ms", 15, rounds),
    figure("holdfast --version, p50", median(samples.version), "ms", 120, rounds),
  ];
}

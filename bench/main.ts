/**
 * The figures we claim, against what: `deno task bench [--json] [--quick] [--write] [GROUP ...]`.
 * With `--write` the table goes to docs/BENCHMARKS.md.
 *
 * Runs in network namespaces of its own. Ratios are the claim; a run whose control is off is void.
 */

import { findNamespaces } from "../dev/_namespace.ts";
import { type Figure, table } from "./_figure.ts";

const args = new Set(Deno.args);
const quick = args.delete("--quick");
const json = args.delete("--json");
const write = args.delete("--write");
const inside = args.delete("--inside");
const GROUPS = [
  "start",
  "latency",
  "events",
  "settled",
  "snapshot",
  "idle",
  "policies",
  "wake",
  "dial",
  "pipes",
  "pipes-ws",
  "relay",
  "sessions",
  "session-wake",
  "session-peers",
  "signal",
  "push",
] as const;

async function measure(group: string): Promise<Figure[]> {
  if (group === "start") return await (await import("./start.ts")).start(quick ? 5 : 20);
  if (group === "idle") return await (await import("./idle.ts")).idle(quick ? 10 : 60);
  if (group === "policies") return await (await import("./recover_overhead.ts")).overhead(quick ? 30 : 300);
  if (group === "dial") return await (await import("./recover_dial.ts")).dials(quick ? 3 : 11);
  if (group === "signal") {
    return await (await import("./signal.ts")).signals(quick ? 3 : 12, quick ? 200 : 2000);
  }
  if (group === "relay") return await (await import("./relay.ts")).relays(quick ? 5 : 40);
  if (group === "push") return await (await import("./push.ts")).pushes(quick ? 2 : 8);
  if (group === "pipes-ws") return await (await import("./pipes_ws.ts")).pipesWs(quick ? 10 : 60);
  if (group === "sessions") return await (await import("./sessions.ts")).sessions(quick ? 10 : 60);
  if (group === "session-wake") {
    return await (await import("./session_wake.ts")).sessionWake(quick ? 10 : 100, quick ? 1 : 5, 30_000);
  }
  if (group === "session-peers") {
    return await (await import("./session_peers.ts")).sessionPeers(quick ? 5 : 20);
  }
  if (group === "pipes") {
    return await (await import("./pipes.ts")).pipes(quick ? 10 : 60, 9000);
  }
  const { Kernel, makePair, ip } = await import("./_kernel.ts");
  const index = await makePair();
  using kernel = new Kernel();
  try {
    if (group === "latency") {
      return await (await import("./latency.ts")).latency(kernel, index, quick ? 5 : 60);
    }
    if (group === "events") {
      return await (await import("./network_event.ts")).networkEvents(kernel, index, quick ? 40 : 400);
    }
    if (group === "settled") {
      return await (await import("./settled.ts")).settled(kernel, index, quick ? 5 : 50);
    }
    if (group === "wake") {
      const { wakes } = await import("./recover_wake.ts");
      return await wakes(kernel, index, quick ? 2 : 6, quick ? 6000 : 30_000);
    }
    return await (await import("./snapshot.ts")).snapshots(kernel, index);
  } finally {
    await ip("link", "delete", "v0");
  }
}

/** The page for readers. */
function document(figures: readonly Figure[]): string {
  return `# Benchmarks

Written by \`deno task bench${quick ? " --quick" : ""} --write\` on ${
    new Date().toISOString().slice(0, 10)
  }: Deno ${Deno.version.deno}, ${Deno.build.target},
${navigator.hardwareConcurrency} cores. Variants run in interleaved slices of the same process; "control" compares a variant with itself,
and a run whose control is off is void. Ratios are the claim, absolute figures are information.

\`\`\`text
${table(figures)}
\`\`\`
`;
}

async function insideNamespace(): Promise<number> {
  const namespaces = await findNamespaces();
  if (!namespaces.works) {
    throw new Error(`Cannot measure: no network namespace to be had (${namespaces.why})`);
  }
  const [program, ...rest] = namespaces.wrap([
    Deno.execPath(),
    "run",
    "-A",
    import.meta.filename ?? "",
    "--inside",
    ...Deno.args,
  ]);
  const child = new Deno.Command(program, {
    args: rest,
    env: { HOLDFAST_NETNS: "1" },
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  return (await child.status).code;
}

if (!inside) Deno.exitCode = await insideNamespace();
else {
  const unknown = [...args].find((name) => !(GROUPS as readonly string[]).includes(name));
  if (unknown !== undefined) {
    console.error(`Cannot measure "${unknown}": the groups are ${GROUPS.join(", ")}`);
    Deno.exit(2);
  }
  const figures: Figure[] = [];
  for (const group of args.size > 0 ? args : GROUPS) {
    if (!json) console.error(`measuring ${group} ...`);
    figures.push(...await measure(group));
  }
  if (json) {
    for (const one of figures) console.log(JSON.stringify({ at: new Date().toISOString(), ...one }));
  } else console.log(table(figures));
  if (write) {
    const page = new URL("../docs/BENCHMARKS.md", import.meta.url);
    await Deno.writeTextFile(page, document(figures));
    await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", page.pathname] }).output();
  }
  // Run by itself for a verdict: a missed target is a failure.
  Deno.exitCode = figures.every(({ ok }) => ok) ? 0 : 1;
}

/** `holdfast doctor`. */

import { PLATFORMS, type Proof } from "../../internal/platforms.ts";
import { columns } from "../columns.ts";
import { MODULES } from "../command_table.ts";
import { EXIT } from "../failure.ts";
import { loadModule } from "../modules.ts";
import type { Context, Line } from "../spec.ts";
import { printable, type Style } from "../style.ts";

/** What works of one backend; the line of `--json`. */
export interface DoctorLine extends Line {
  /** The tag. */
  readonly type: "doctor";
  /** The module. */
  readonly module: string;
  /** Its backend. */
  readonly backend: string;
  /** Whether it works here and now. */
  readonly usable: boolean;
  /** Why not, or `null`. */
  readonly reason: string | null;
  /** The flags that it runs under. */
  readonly needs: readonly string[];
  /** Those of them that are missing. */
  readonly flags: readonly string[];
  /** What else to do, or `null`. */
  readonly hint: string | null;
}

/** How a feature is known to work on this system; the line of `--json`. */
export interface PlatformLine extends Line {
  /** The tag. */
  readonly type: "platform";
  /** The module, or `cli`. */
  readonly module: string;
  /** What it is. */
  readonly feature: string;
  /** The system, as in `Deno.build.os`. */
  readonly system: string;
  /** How it is known to work there. */
  readonly proof: Proof;
}

/** What docs/PLATFORMS.md says of a system. */
function platformLines(system: typeof Deno.build.os): PlatformLine[] {
  if (system !== "linux" && system !== "darwin" && system !== "windows") return [];
  return PLATFORMS.map((row) => ({
    type: "platform",
    module: row.module,
    feature: row.feature,
    system,
    proof: row[system],
  }));
}

/** Tells what works; fails when a module has no usable backend. */
export async function run({ json, emit, print, style }: Context): Promise<number> {
  const lines: DoctorLine[] = [];
  for (const module of MODULES) {
    const { probe } = await loadModule(module);
    for (const { backend, usable, reason = null, needs, flags = [], hint = null } of await probe()) {
      lines.push({ type: "doctor", module, backend, usable, reason, needs, flags, hint });
    }
  }
  const platform = platformLines(Deno.build.os);
  if (json) { for (const line of [...lines, ...platform]) await emit(line); }
  else await print([...formatDoctor(lines, style), "", ...formatPlatform(platform, style)].join("\n"));
  const healthy = MODULES.every((module) => lines.some((line) => line.module === module && line.usable));
  return healthy ? EXIT.fine : EXIT.failed;
}

/**
 * The findings as a table.
 *
 * @param lines One finding per backend.
 * @param style Colours.
 * @returns The lines.
 */
export function formatDoctor(lines: readonly DoctorLine[], style: Style): string[] {
  const rows = lines.map(({ module, backend, usable, reason, flags, hint }) => {
    const remedy = flags.length > 0 ? `add ${flags.join(" ")}` : hint ?? "";
    return [
      module,
      backend,
      usable ? style.good("usable") : style.bad("not usable"),
      printable(usable ? "" : reason ?? ""),
      printable(usable ? "" : remedy),
    ];
  });
  return columns([["MODULE", "BACKEND", "STATE", "WHY", "WHAT TO DO"].map(style.dim), ...rows]);
}

const PROOFS: Readonly<Record<Proof, string>> = {
  real: "tested on this system",
  wine: "tested under Wine",
  recorded: "tested on bytes recorded there",
  unproven: "written for it, never run there",
  none: "not there yet",
};

/**
 * What is known of the features on this system, as a table.
 *
 * @param lines One line per feature.
 * @param style Colours.
 * @returns The lines.
 */
export function formatPlatform(lines: readonly PlatformLine[], style: Style): string[] {
  const rows = lines.map(({ module, feature, proof }) => [module, feature, PROOFS[proof]]);
  return columns([["MODULE", "FEATURE", "PROOF ON THIS SYSTEM"].map(style.dim), ...rows]);
}

/** `holdfast doctor`. */

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

/** Tells what works; fails when a module has no usable backend. */
export async function run({ json, emit, print, style }: Context): Promise<number> {
  const lines: DoctorLine[] = [];
  for (const module of MODULES) {
    const { probe } = await loadModule(module);
    for (const { backend, usable, reason = null, needs, flags = [], hint = null } of await probe()) {
      lines.push({ type: "doctor", module, backend, usable, reason, needs, flags, hint });
    }
  }
  if (json) { for (const line of lines) await emit(line); }
  else await print(formatDoctor(lines, style).join("\n"));
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

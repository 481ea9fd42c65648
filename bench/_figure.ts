/** Figures: what was measured, against what, and whether the target was met. */

/** One line of the table. */
export interface Figure {
  /** The tag of the line with `--json`. */
  readonly type: "figure";
  /** What was measured. */
  readonly name: string;
  /** The measured value. */
  readonly value: number;
  /** Its unit; `x` for a ratio. */
  readonly unit: "ms" | "us" | "x" | "ticks" | "threads" | "attempts" | "messages" | "KiB";
  /** The most that it may be; `null` for information and controls. */
  readonly target: number | null;
  /** Whether the target is met. */
  readonly ok: boolean;
  /** How many samples stand behind it. */
  readonly samples: number;
  /** What else there is to say. */
  readonly note: string;
}

/** Makes a figure. */
export function figure(
  name: string,
  value: number,
  unit: Figure["unit"],
  target: number | null,
  samples: number,
  note: string = "",
): Figure {
  return { type: "figure", name, value, unit, target, ok: target === null || value <= target, samples, note };
}

/** The value below which a share of the samples lies (nearest rank). */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? NaN;
}

/** The value in the middle. */
export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5);
}

/** The table for people. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map(({ name, value, unit, target, ok, samples, note }) => [
    name,
    `${value.toFixed(value < 10 ? 3 : 1)} ${unit}`,
    target === null ? "" : `<= ${target} ${unit}`,
    target === null ? "" : ok ? "ok" : "MISSED",
    `n=${samples}`,
    note,
  ]);
  const widths = [0, 1, 2, 3, 4].map((n) => Math.max(...rows.map((row) => row[n]?.length ?? 0)));
  return rows.map((row) => row.map((cell, n) => cell.padEnd(widths[n] ?? 0)).join("  ").trimEnd()).join("\n");
}

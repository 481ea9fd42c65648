/** Values with a unit, as people type them. */

/** The longest time the runtime's timers can wait, rounded down to days, in milliseconds. */
const MAX_DURATION = 24 * 86_400_000;

const TIME: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const SIZE: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** What came of reading a value: the number, or what is wrong with it and what would be right. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly why: string; readonly hint: string };

/**
 * Reads a length of time: a number and `ms`, `s`, `m`, `h` or `d`.
 *
 * @param text For example `"30s"` or `"1.5h"`.
 * @returns Milliseconds, rounded.
 */
export function parseDuration(text: string): Parsed<number> {
  const parsed = withUnit(text, TIME, "30s", "a duration", "30s, 500ms, 2m or 1h");
  if (parsed.ok && parsed.value > MAX_DURATION) {
    return { ok: false, why: `"${text}" is more than 24 days`, hint: "The longest duration is 24d" };
  }
  return parsed;
}

/**
 * Reads a number of bytes: a number and `B`, `kB`, `MB`, `GB`, `KiB`, `MiB` or `GiB`.
 *
 * @param text For example `"4MiB"`.
 * @returns Bytes, rounded.
 */
export function parseSize(text: string): Parsed<number> {
  return withUnit(text, SIZE, "4MiB", "a size", "512B, 64KiB, 4MiB or 1GB");
}

/**
 * Reads a whole number.
 *
 * @param text For example `"3"`.
 * @returns The number, 0 or more.
 */
export function parseCount(text: string): Parsed<number> {
  if (/^\d{1,15}$/.test(text)) return { ok: true, value: Number(text) };
  return { ok: false, why: `"${text}" is not a whole number`, hint: "Write it in digits, for example 3" };
}

function withUnit(
  text: string,
  units: Readonly<Record<string, number>>,
  example: string,
  what: string,
  examples: string,
): Parsed<number> {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)([A-Za-z]*)$/.exec(text);
  const [, digits = "", unit = ""] = match ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  if (match && factor !== undefined) return { ok: true, value: Math.round(Number(digits) * factor) };
  if (match && unit === "") {
    const suffix = example.replace(/^\d+/, "");
    return { ok: false, why: `"${text}" has no unit`, hint: `Did you mean "${digits}${suffix}"?` };
  }
  return { ok: false, why: `"${text}" is not ${what}`, hint: `Write it as ${examples}` };
}

/** A length of time as people read it, for example `"0.3s"`, `"42s"`, `"3m 20s"`, `"2h 5m"`, `"4d 1h"`. */
export function formatDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${whole % 60}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)}h ${minutes % 60}m`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

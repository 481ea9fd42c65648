/** Lines for programs. */

import type { Line } from "./spec.ts";

/**
 * Writes a line of JSON: `type` and `at` first, and each `at` in it, a number in the API, as RFC 3339 with milliseconds.
 *
 * @param line What to tell.
 * @param now The time of a line that has none, in milliseconds since 1970.
 * @returns One line, without its end.
 */
export function jsonLine(line: Line, now: number = Date.now()): string {
  const { type, at = now, ...fields } = line;
  return JSON.stringify({ type, at, ...fields }, (key, value) => {
    return key === "at" && typeof value === "number" ? new Date(value).toISOString() : value;
  });
}

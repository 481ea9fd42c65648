/** From an error to what is told about it, and to the exit code. */

import { HoldfastError, isNotCapable, PermissionError, ToolMissingError } from "../internal/errors.ts";
import { printable } from "./style.ts";
import { UsageError } from "./usage_error.ts";

/** The exit codes. */
export const EXIT = {
  /** All went well. */
  fine: 0,
  /** Something failed. */
  failed: 1,
  /** The command line was wrong. */
  usage: 2,
  /** A permission is missing. */
  permission: 3,
  /** A program is missing. */
  tool: 4,
  /** The time was up. */
  timeout: 124,
  /** Ended by SIGINT. */
  interrupted: 130,
  /** Ended by SIGTERM. */
  terminated: 143,
} as const;

/** What is told about a failure; the line of `--json`. */
export interface Failure {
  /** The tag. */
  readonly type: "error";
  /** A stable name of the failure. */
  readonly code: string;
  /** What failed, and why. */
  readonly message: string;
  /** What to do about it, or `null`. */
  readonly hint: string | null;
  /** The permission flags to add; empty where that is not the cause. */
  readonly flags: readonly string[];
  /** The exit code. */
  readonly exit: number;
}

/**
 * What to tell about an error.
 *
 * @param error Whatever was thrown.
 * @returns Code, message, hint, flags and exit code.
 */
export function failureOf(error: unknown): Failure {
  const tell = (code: string, exit: number, hint?: string, flags: readonly string[] = []): Failure => {
    const message = error instanceof Error ? error.message : String(error);
    return { type: "error", code, message, hint: hint ?? null, flags, exit };
  };
  if (error instanceof UsageError) return tell("usage", EXIT.usage, error.hint);
  if (error instanceof PermissionError) return tell(error.code, EXIT.permission, error.hint, error.flags);
  if (error instanceof ToolMissingError) return tell(error.code, EXIT.tool, error.hint);
  if (error instanceof HoldfastError) {
    return tell(error.code, isTimeout(error) ? EXIT.timeout : EXIT.failed, error.hint);
  }
  if (isNotCapable(error)) {
    const [flag] = /--allow-\w+/.exec(error.message) ?? [];
    return tell("permission", EXIT.permission, flag && `Run again with ${flag}`, flag ? [flag] : []);
  }
  if (error instanceof RangeError) return tell("range", EXIT.usage);
  return tell("failed", EXIT.failed);
}

/** Whether the time was up: of the whole, or of connecting. */
function isTimeout(error: HoldfastError & { readonly failure?: { readonly kind: string } | null }): boolean {
  return error.code === "timeout" || (error.code === "connect" && error.failure?.kind === "timeout");
}

/**
 * The lines for people.
 *
 * @param failure What failed.
 * @returns The message, and the hint if there is one.
 */
export function failureText(failure: Failure): string {
  const lines = [`holdfast: ${printable(failure.message)}`];
  if (failure.hint !== null) lines.push(`  hint: ${printable(failure.hint)}`);
  return lines.join("\n");
}

/** What the steps of the readiness gate have in common. */

import type { Clock } from "../internal/clock.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { limited } from "./_limited.ts";
import type { ReadyTools } from "./_ready_tools.ts";
import type { ReadyStep, ReadyTarget } from "./ready.ts";

/** What a step works with. */
export interface StepContext {
  /** The network. */
  readonly network: NetworkView;
  /** The family that is needed; any, if none is named. */
  readonly family: 4 | 6 | undefined;
  /** What is to be reached in the end. */
  readonly target: ReadyTarget | undefined;
  /** Reaches the outside. */
  readonly tools: ReadyTools;
  /** Source of time. */
  readonly clock: Clock;
  /** Ends the step. */
  readonly signal: AbortSignal;
  /** Takes down what the step waits for, for the report in case the time is up. */
  waiting(detail: string): void;
}

/** How a step ended. */
export interface StepResult {
  /** The outcome. */
  readonly outcome: "ok" | "skipped" | "failed";
  /** What was found, for people. */
  readonly detail: string;
}

/** Makes the result of a step that went well. */
export function ok(detail: string): StepResult {
  return { outcome: "ok", detail };
}

/** Makes the result of a step that cannot be done here. */
export function skipped(detail: string): StepResult {
  return { outcome: "skipped", detail };
}

/**
 * Runs a step with a time limit, and makes its entry in the report.
 *
 * @param name The step's name.
 * @param limit Milliseconds it may take.
 * @param base What it works with; its `signal` is that of the caller, and of the whole gate.
 * @param run Does it.
 * @returns The entry: `limit` where the time was up, `failed` where it threw.
 * @throws The caller's reason, which `cancelled` tells from the end of the time.
 */
export async function runStep(
  name: ReadyStep["name"],
  limit: number,
  base: Omit<StepContext, "waiting">,
  run: (context: StepContext) => Promise<StepResult>,
): Promise<ReadyStep> {
  const { clock } = base;
  const began = clock.monotonic();
  let waiting = "no time was left";
  using own = limited(limit, base.signal, clock);
  const entry = (outcome: ReadyStep["outcome"], detail: string): ReadyStep => ({
    name,
    outcome,
    took: clock.monotonic() - began,
    detail,
  });
  if (own.signal.aborted) return entry("skipped", waiting);
  try {
    const { outcome, detail } = await run({
      ...base,
      signal: own.signal,
      waiting: (detail) => waiting = detail,
    });
    return entry(outcome, detail);
  } catch (error) {
    if (own.signal.aborted) return entry("limit", waiting);
    return entry("failed", messageOf(error));
  }
}

/** What an error says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

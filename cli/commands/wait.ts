/** `holdfast wait [HOST:PORT]`. */

import { isIPv4, isIPv6 } from "node:net";
import { PermissionError } from "../../internal/errors.ts";
import { ready, type ReadyReport, type ReadyStep } from "../../recover/ready.ts";
import { type NetworkWatcher, watchNetwork } from "../../watch/mod.ts";
import type { Family } from "../../watch/state.ts";
import { watchBackend } from "../backend_option.ts";
import { type Endpoint, formatEndpoint, parseEndpoint } from "../endpoint.ts";
import { EXIT } from "../failure.ts";
import { familyName } from "../format_state.ts";
import type { Context, Line } from "../spec.ts";
import { printable } from "../style.ts";
import { formatDuration } from "../units.ts";
import { UsageError } from "../usage_error.ts";
import { given } from "../values.ts";

/** What came of waiting; the line of `--json`. */
interface WaitLine extends Line {
  readonly type: "wait";
  /** What was waited for: `HOST:PORT`, or `null` for the network itself. */
  readonly target: string | null;
  /** Whether it came about. */
  readonly reached: boolean;
  /** For how many milliseconds it was waited. */
  readonly waited: number;
  /** How many connections were tried. */
  readonly attempts: number;
  /** The address that answered, or `null`. */
  readonly address: string | null;
  /** The families that were online at the end; empty where nothing could tell. */
  readonly families: readonly Family[];
  /** What was looked at, in order. */
  readonly steps: readonly ReadyStep[];
  /** Why it did not come about, or `null`. */
  readonly reason: string | null;
}

/** Waits until the machine is online, or until a target can be reached. */
export async function run(context: Context): Promise<number> {
  const { args: [text], values, signal } = context;
  const target = text === undefined ? undefined : parseEndpoint(text);
  const family = values.family();
  if (target) checkFamily(target, family);
  const began = performance.now();
  const timeout = values.number("timeout") ?? Infinity;
  await using watcher = await openWatcher(target, context);
  const left = Math.max(0, timeout - (performance.now() - began));
  const report = await ready(watcher, {
    timeout: left,
    signal,
    // Without a target there is nothing that could be tried all the same.
    ...(target ? { target } : { limit: Infinity }),
    ...given({ family }),
  });
  const reached = isReached(report, target !== undefined);
  const line: WaitLine = {
    type: "wait",
    target: target ? formatEndpoint(target) : null,
    reached,
    waited: Math.round(performance.now() - began),
    attempts: report.attempts,
    address: report.address,
    families: watcher?.state.families ?? [],
    steps: report.steps.map((step) => ({ ...step, took: Math.round(step.took) })),
    reason: reached ? null : reasonOf(report, target !== undefined),
  };
  return await tell(line, context);
}

/** A name server that says nothing is given its time, and no reason to call the network away. */
function isReached({ ready, steps }: ReadyReport, targeted: boolean): boolean {
  if (targeted) return ready;
  return steps.every(({ name, outcome }) => name === "resolver" || outcome === "ok" || outcome === "skipped");
}

/** What was waited for in the end. */
function reasonOf({ steps, attempts }: ReadyReport, targeted: boolean): string {
  const failed = steps.filter(({ outcome }) => outcome === "limit" || outcome === "failed");
  // Where time was up before the target was tried, it says nothing.
  const last = targeted && attempts > 0 ? failed.at(-1) : failed[0];
  return last?.detail ?? "no answer";
}

/** A view of the network is of use to reach a target, and not needed: without permission for it the back-off remains. */
async function openWatcher(
  target: Endpoint | undefined,
  { values, note, signal }: Context,
): Promise<NetworkWatcher | undefined> {
  const backend = watchBackend(values);
  try {
    return await watchNetwork({ backend, signal });
  } catch (error) {
    if (!target || backend !== "auto" || !(error instanceof PermissionError)) throw error;
    await note(`Cannot see the network's events (add ${error.flags.join(" ")}); trying once a second`);
    return undefined;
  }
}

function checkFamily({ hostname }: Endpoint, family: Family | undefined): void {
  const literal = isIPv4(hostname) ? 4 : isIPv6(hostname) ? 6 : undefined;
  if (family === undefined || literal === undefined || literal === family) return;
  throw new UsageError(
    `Cannot run "holdfast wait": ${hostname} is not an ${familyName(family)} address`,
    `Leave out "--family", or write "--family ${literal}"`,
  );
}

async function tell(
  line: WaitLine,
  { values, json, emit, print, complain, style }: Context,
): Promise<number> {
  const what = line.target ?? "the network";
  if (json) await emit(line);
  if (line.reached) {
    const how = line.address === null ? line.families.map(familyName).join(" and ") : printable(line.address);
    if (!json) {
      const time = formatDuration(line.waited);
      await print(`${style.good(line.target ? `${what} answers` : "online")} (${how}), after ${time}`);
    }
    return EXIT.fine;
  }
  // The time that was given, not the one it took to notice that it was over.
  const time = formatDuration(values.number("timeout") ?? line.waited);
  await complain(`Cannot reach ${what} within ${time}: ${printable(line.reason ?? "")}`);
  return EXIT.timeout;
}

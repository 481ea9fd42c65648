/** `holdfast wait [HOST:PORT]`. */

import { isIPv4, isIPv6 } from "node:net";
import { PermissionError } from "../../internal/errors.ts";
import { watchNetwork } from "../../watch/mod.ts";
import type { NetworkWatcher } from "../../watch/mod.ts";
import type { NetworkEvent } from "../../watch/events.ts";
import type { Family } from "../../watch/state.ts";
import { watchBackend } from "../backend_option.ts";
import { connectOnce } from "../connect.ts";
import { type Endpoint, formatEndpoint, parseEndpoint } from "../endpoint.ts";
import { EXIT } from "../failure.ts";
import { familyName } from "../format_state.ts";
import { reach } from "../reach.ts";
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
  /** Why it did not come about, or `null`. */
  readonly reason: string | null;
}

/** The events after which another attempt may work where the last one did not. */
const HOPEFUL = [
  "online",
  "addressadd",
  "addresschange",
  "gatewaychange",
  "dnschange",
  "identitychange",
  "wake",
] as const satisfies readonly NetworkEvent["type"][];

/** Waits until the machine is online, or until a target can be reached. */
export async function run(context: Context): Promise<number> {
  const { args: [text], values, signal } = context;
  const target = text === undefined ? undefined : parseEndpoint(text);
  const family = values.family();
  if (target) checkFamily(target, family);
  const began = performance.now();
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), values.number("timeout"));
  const both = AbortSignal.any([signal, deadline.signal]);
  const progress: Progress = { attempts: 0, families: [], reason: undefined };
  let address: string | null = null;
  let reached = false;
  try {
    address = await waitFor(target, family, context, both, progress);
    reached = true;
  } catch (error) {
    if (!deadline.signal.aborted || signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
  const line: WaitLine = {
    type: "wait",
    target: target ? formatEndpoint(target) : null,
    reached,
    waited: Math.round(performance.now() - began),
    attempts: progress.attempts,
    address,
    families: progress.families,
    reason: reached ? null : progress.reason ?? "no answer",
  };
  return await tell(line, context);
}

/** What is known so far; filled while waiting, and told also when the time is up. */
interface Progress {
  attempts: number;
  families: readonly Family[];
  reason: string | undefined;
}

async function waitFor(
  target: Endpoint | undefined,
  family: Family | undefined,
  context: Context,
  signal: AbortSignal,
  progress: Progress,
): Promise<string | null> {
  await using watcher = await openWatcher(target, context, signal);
  if (!target) {
    progress.reason = `not online${family === undefined ? "" : ` by ${familyName(family)}`}`;
    await watcher?.online({ signal, ...given({ family }) });
    progress.families = watcher?.state.families ?? [];
    return null;
  }
  try {
    return await reach({
      connect(attempt) {
        progress.attempts++;
        return connectOnce(target, family, attempt);
      },
      subscribe: (handler) => subscribe(watcher, handler),
      onFailure: (error) => progress.reason = error instanceof Error ? error.message : String(error),
      signal,
    });
  } finally {
    progress.families = watcher?.state.families ?? [];
  }
}

/** The network's events are of use to reach a target, and not needed: without permission for them the back-off remains. */
async function openWatcher(
  target: Endpoint | undefined,
  { values, note }: Context,
  signal: AbortSignal,
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

function subscribe(watcher: NetworkWatcher | undefined, handler: () => void): Disposable {
  const registrations = new DisposableStack();
  for (const type of HOPEFUL) {
    if (watcher) registrations.use(watcher.on(type, handler));
  }
  return registrations;
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

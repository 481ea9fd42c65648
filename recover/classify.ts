/** Knows a failure by name: from whatever was thrown, on whatever system, to what it means and what helps. */

import type { NetworkViewState } from "../internal/network_view.ts";
import { type Circumstances, decide } from "./_circumstances.ts";
import { find, type Finding, MAX_ERRORS, type Search } from "./_findings.ts";
import { isNodeText, readAddress, readPasted, readPhase } from "./_reading.ts";
import { type Verdict, verdictOf } from "./_verdicts.ts";
import type { Failure, FailureKind, FailureOperation, FailureSent } from "./failure.ts";

/** What is known around an error; each makes the answer more exact where the error alone cannot tell. */
export interface ClassifyContext {
  /** What was being done. */
  readonly operation?: FailureOperation | undefined;
  /**
   * The system that the error comes from: numbers mean different things on each.
   *
   * @default {Deno.build.os}
   */
  readonly os?: typeof Deno.build.os | undefined;
  /** The connection's or listener's own address, without port; a path for Unix sockets. */
  readonly localAddress?: string | undefined;
  /** The other end's address, without port; a path for Unix sockets. */
  readonly remoteAddress?: string | undefined;
  /** The network as it was then: a `NetworkView`'s `state`. */
  readonly network?: NetworkViewState | undefined;
  /** How many milliseconds it took to fail: a silent resolver takes 5000 and more for what a failing one does in 50. */
  readonly elapsed?: number | undefined;
  /** Whether anything was sent, where the caller knows. */
  readonly sent?: FailureSent | undefined;
}

/**
 * Knows a failure by name: the scenario it looks like, what kind it is, where its cause lies, when another attempt makes
 * sense, whether the other end may have got what was sent.
 *
 * Takes whatever was thrown: errors of Deno and Node, of `fetch`, TLS and resolvers on Linux, macOS and Windows,
 * `AggregateError`, WebSocket's `CloseEvent` and `ErrorEvent`, a `Response` (429, 503 and their like), text. The code counts
 * first, the class second, the system's number third, text last; where a runtime is known to give a wrong code, the number,
 * the text and the context count more. Looks below wrappers (`cause`, `errors`); of several errors in one, the most hopeful
 * of those that are known counts. An error that carries a `failure` already gives that one.
 *
 * Never throws, whatever it is given.
 *
 * @param error What was thrown, or came in place of an answer.
 * @param context What is known around it.
 * @returns What it is; `kind: "unknown"` where nothing tells.
 *
 * @example
 * ```ts
 * import { classify } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new TypeError("fetch failed", {
 *   cause: new Error("client error (Connect): tcp connect error: Connection refused (os error 111)"),
 * });
 * const failure = classify(error, { os: "linux" });
 * assertEquals(failure.scenario, "port-closed");
 * assertEquals(failure.sent, "no");
 * ```
 */
export function classify(error: unknown, context: ClassifyContext = {}): Failure {
  const os = context.os ?? here();
  const judge = (finding: Finding, one: unknown): Failure => failureOf(finding, one, context, os);
  const search: Search = { os, seen: new Set(), left: MAX_ERRORS, judge };
  return judge(find(error, search) ?? { code: null }, error);
}

/**
 * Knows a failure from its text alone, as a person pastes it: a message with or without its class, a code, a number, a
 * status. Words count more than numbers, unless the system is given, as texts are read on other machines than they come from.
 *
 * @param text The text.
 * @param os The system that it comes from.
 * @returns What it looks like; `error` is the text.
 *
 * @example
 * ```ts
 * import { classifyText } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(classifyText("Connection refused (os error 61)").code, "ECONNREFUSED");
 * assertEquals(classifyText("10061", "windows").scenario, "port-closed");
 * ```
 */
export function classifyText(text: string, os?: typeof Deno.build.os): Failure {
  const reading = readPasted(text, os, here()) ?? { code: null };
  const around = { phase: readPhase(text), address: readAddress(text.trim()), fromNode: isNodeText(text) };
  return failureOf({ ...around, ...reading }, text, {}, os ?? here());
}

/** A browser has no system that its errors tell of. */
function here(): typeof Deno.build.os | undefined {
  return globalThis.Deno?.build.os;
}

function failureOf(
  finding: Finding,
  error: unknown,
  context: ClassifyContext,
  os: typeof Deno.build.os | undefined,
): Failure {
  if (finding.failure !== undefined) return finding.failure;
  const around = circumstances(finding, context, os);
  const { verdict: name, code } = decide(finding, around);
  const verdict = verdictOf(name);
  const sent = context.sent ?? sentIn(around.phase, verdict, finding.sent);
  const hint = finding.hint ?? verdict.hint;
  return { ...verdict, sent, hint, code, retryAfter: finding.retryAfter ?? null, error };
}

/** What only one kind of call does; an error that names it knows better than its caller. */
const CERTAIN: ReadonlySet<FailureOperation> = new Set([
  "resolve",
  "connect",
  "handshake",
  "listen",
  "accept",
  "join",
]);

function circumstances(
  { phase: own, address }: Finding,
  { operation, localAddress, remoteAddress, network, elapsed, sent }: ClassifyContext,
  os: typeof Deno.build.os | undefined,
): Circumstances {
  const phase = own !== undefined && (operation === undefined || CERTAIN.has(own)) ? own : operation;
  const isLocal = phase === "listen";
  return {
    phase,
    os,
    local: localAddress ?? (isLocal ? address : undefined),
    remote: remoteAddress ?? (isLocal ? undefined : address),
    network,
    elapsed,
    sent,
  };
}

/** Kinds that an own system gives before a datagram leaves. */
const LOCAL_REFUSALS: ReadonlySet<FailureKind> = new Set([
  "offline",
  "unreachable",
  "permission",
  "exhausted",
]);

/** Whether something may have been sent: not before there was a connection, else as the verdict or an answer says. */
function sentIn(
  phase: FailureOperation | undefined,
  { sent, kind }: Verdict,
  told: FailureSent | undefined,
): FailureSent {
  if (phase !== undefined && CERTAIN.has(phase)) return "no";
  if (sent !== "phase") return sent;
  if (told !== undefined) return told;
  return phase === "send" && LOCAL_REFUSALS.has(kind) ? "no" : "maybe";
}

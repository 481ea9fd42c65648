/** Searches what was thrown, and all that lies below it, for clues. */

import { parseRetryAfter, verdictOfClose, verdictOfStatus } from "./_answers.ts";
import type { Clue } from "./_circumstances.ts";
import { codeEntry, codeOfClass, codeOfNumber, namedVerdict, type Os } from "./_codes.ts";
import { peek, peekHeader, peekList, peekNumber, peekText } from "./_hostile.ts";
import { mostSent } from "./_most_sent.ts";
import { isNodeText, readAddress, readExact, readMessage, readPhase, readVague } from "./_reading.ts";
import { operationOfSyscall } from "./_texts.ts";
import { type VerdictName, verdictOf } from "./_verdicts.ts";
import type { Failure, FailureOperation, FailureSent } from "./failure.ts";

/** What was found. */
export interface Finding extends Clue {
  /** What was being done, as the error itself tells it. */
  readonly phase?: FailureOperation | undefined;
  /** The address that the error names. */
  readonly address?: string | undefined;
  /** For how many milliseconds the other end asked to be left alone. */
  readonly retryAfter?: number | null;
  /** A hint that says more than the verdict's. */
  readonly hint?: string;
  /** Whether it was sent, where an answer tells. */
  readonly sent?: FailureSent;
  /** A failure that the error carries already. */
  readonly failure?: Failure;
}

/** A search: what it has seen, how much more it may look at, and how it judges one of several. */
export interface Search {
  /** The system whose numbers count. */
  readonly os: Os | undefined;
  /** The objects that were looked at. */
  readonly seen: Set<unknown>;
  /** How many more may be. */
  left: number;
  /** Makes a failure of one of several errors. */
  readonly judge: (finding: Finding, error: unknown) => Failure;
}

/** How many errors below one are looked at. */
export const MAX_ERRORS = 64;

/** Searches one error, and what lies below it. */
export function find(error: unknown, search: Search): Finding | null {
  if (typeof error === "string") return ofText(error, search);
  if (typeof error === "number") return ofCode(codeOfNumber(Math.abs(error), search.os));
  if ((typeof error !== "object" && typeof error !== "function") || error === null) return null;
  if (search.seen.has(error) || search.left === 0) return null;
  search.seen.add(error);
  search.left--;
  const failure = carried(error);
  if (failure !== null) return { code: failure.code, failure };
  return ofEvent(error, search) ?? ofErrors(error, search) ?? ofStatus(error) ?? ofError(error, search) ??
    ofCause(error, search) ?? weakly(error, search);
}

/** A failure that an error of ours brings along. */
function carried(error: unknown): Failure | null {
  const failure = peek(error, "failure");
  const words = ["kind", "where", "retry", "sent", "hint"].map((key) => peekText(failure, key));
  if (words.includes("")) return null;
  const isFailure = /^(local|path|remote|config)$/.test(words[1] ?? "") &&
    /^(now|later|after-change|never)$/.test(words[2] ?? "") && /^(no|maybe|yes)$/.test(words[3] ?? "");
  return isFailure ? failure as Failure : null;
}

/** Events of WebSocket, and any other that brings an error. */
function ofEvent(event: unknown, search: Search): Finding | null {
  const type = peekText(event, "type");
  if (type === "close" && typeof peek(event, "wasClean") === "boolean") {
    const code = peekNumber(event, "code");
    return code === undefined
      ? null
      : { code: null, verdict: verdictOfClose(code, peekText(event, "reason")) };
  }
  if (type !== "error" || peek(event, "target") === undefined) return null;
  const message = peekText(event, "message");
  const inner = find(peek(event, "error"), search) ?? ofText(message, search);
  const isWebSocket = /^wss?:/.test(peekText(peek(event, "target"), "url"));
  if (inner === null) return isWebSocket ? { code: null, verdict: "websocket-lost" } : null;
  // What fails before it opens has said so: "failed to connect to WebSocket".
  const opened = inner.phase === undefined && inner.verdict === undefined && inner.code !== null;
  const { kind } = verdictOf((inner.code === null ? undefined : codeEntry(inner.code)?.verdict) ?? "unknown");
  return opened && kind === "reset" ? { ...inner, verdict: "websocket-lost" } : inner;
}

/** Several errors in one: the most hopeful of those that are known counts, as any of them would have been enough. */
function ofErrors(error: unknown, search: Search): Finding | null {
  const errors = peekList(error, "errors", MAX_ERRORS);
  if (errors.length === 0) return null;
  const failures = errors.flatMap((one) => {
    const finding = find(one, search);
    return finding === null ? [] : [search.judge(finding, one)];
  });
  const [first, ...others] = failures;
  if (first === undefined) return null;
  const best = others.reduce((a, b) => promise(b) > promise(a) ? b : a, first);
  const sent = mostSent(failures.map((one) => one.sent));
  const retryAfter = failures.reduce<number | null>(
    (most, one) => one.retryAfter === null ? most : Math.max(most ?? 0, one.retryAfter),
    null,
  );
  return { code: best.code, failure: { ...best, sent, retryAfter, error } };
}

/** How much a failure promises: known before unknown, hopeful before hopeless, and the other end's word before ours. */
function promise({ kind, retry, where }: Failure): number {
  if (kind === "cancelled") return 0;
  if (kind === "unknown") return 1;
  const hope = { never: 1, "after-change": 2, later: 3, now: 4 }[retry];
  return 10 * hope + { config: 0, local: 1, path: 2, remote: 3 }[where];
}

/** Errors known by their name. */
const NAMED: Readonly<Record<string, VerdictName>> = {
  AbortError: "cancelled",
  TimeoutError: "timed-out",
  NotCapable: "permission-missing",
  NotSupported: "not-supported",
  Busy: "invalid-argument",
};

/** Codes of our own errors. */
const OURS: Readonly<Record<string, VerdictName>> = {
  "permission": "permission-missing",
  "tool-missing": "tool-missing",
  "closed": "cancelled",
  "timeout": "timed-out",
  "breaker-open": "breaker-open",
  "unsupported": "not-supported",
  "deadline": "timed-out",
  "limit-full": "limit-full",
  "dead-peer": "path-lost-idle",
  "offline": "no-default-route",
  "name-without-address": "name-without-address",
  "name-sinkholed": "name-sinkholed",
};

/** What an error says of itself: by code, class, number and text, in this order. */
function ofError(error: unknown, search: Search): Finding | null {
  const name = peekText(error, "name");
  const message = peekText(error, "message");
  const code = peekText(error, "code");
  const isOurs = peekText(error, "operation") !== "";
  const around = surroundings(error, name, message);
  const own = isOurs && Object.hasOwn(OURS, code) ? OURS[code] : undefined;
  const named = own ?? (Object.hasOwn(NAMED, name) ? NAMED[name] : undefined);
  if (named !== undefined) {
    return { ...around, ...hintOf(error, message, isOurs), code: null, verdict: named };
  }
  const exact = readExact(message);
  const strong = ofCode(code, error) ?? ofCode(codeOfClass(name), error);
  if (exact !== undefined) {
    return { ...around, code: strong === null || isWeak(strong) ? null : strong.code, verdict: exact };
  }
  if (strong !== null && !isWeak(strong)) return { ...around, ...strong };
  const read = readMessage(message, search.os);
  if (read === null || isWeak(read)) return null;
  return { ...around, ...read };
}

/** What an error says that could mean several things; with nothing better below it, it has to do. */
function weakly(error: unknown, search: Search): Finding | null {
  const name = peekText(error, "name");
  const message = peekText(error, "message");
  const code = peekText(error, "code");
  const around = surroundings(error, name, message);
  const found = ofNumber(error, code, search) ?? ofCode(code, error) ?? readMessage(message, search.os) ??
    ofCode(codeOfClass(name), error) ?? vaguely(message) ?? vaguely(name);
  if (found !== null) return { ...around, ...found };
  const isMistake = /^(Type|Range|Syntax|Reference|URI)Error$/.test(name);
  const verdict = isMistake ? "invalid-argument" : undefined;
  if (verdict !== undefined) return { ...around, code: null, verdict };
  return around.phase === undefined ? null : { ...around, code: null };
}

/** A status that an error carries, or an answer itself. */
function ofStatus(error: unknown): Finding | null {
  const response = peek(error, "response");
  const carrier = response === undefined || response === null ? error : response;
  const status = peekNumber(carrier, "status") ?? peekNumber(error, "status") ??
    peekNumber(error, "statusCode");
  if (status === undefined || !Number.isInteger(status) || status < 100 || status > 599) return null;
  // An error with a status that tells of none, or a process's exit status, is no answer.
  const isAnswer = typeof peek(peek(carrier, "headers"), "get") === "function";
  if (status < 400 && !isAnswer) return null;
  const wait = peekHeader(carrier, "retry-after");
  const retryAfter = wait === null ? null : parseRetryAfter(wait, peekHeader(carrier, "date"));
  return { code: null, verdict: verdictOfStatus(status), retryAfter, sent: "yes" };
}

/** What lies below: a cause, or what `using` and `Promise` wrap. */
function ofCause(error: unknown, search: Search): Finding | null {
  const outer = readPhase(peekText(error, "message"));
  for (const key of ["cause", "error", "suppressed"]) {
    const finding = find(peek(error, key), search);
    if (finding !== null) return finding.phase === undefined ? { ...finding, phase: outer } : finding;
  }
  return null;
}

type Around = Pick<Finding, "phase" | "address" | "fromNode">;

function surroundings(error: unknown, name: string, message: string): Around {
  const syscall = peekText(error, "syscall");
  const phase = operationOfSyscall(syscall) ?? readPhase(message) ?? (name === "Http" ? "accept" : undefined);
  const address = peekText(error, "address") || readAddress(message);
  return { phase, address, fromNode: syscall !== "" || isNodeText(message) };
}

function hintOf(error: unknown, message: string, isOurs: boolean): Pick<Finding, "hint"> {
  const own = isOurs ? peekText(error, "hint") : "";
  if (own !== "") return { hint: own };
  const [flag] = /--allow-[a-z]{2,16}\b/.exec(message) ?? [];
  return flag === undefined ? {} : { hint: `Run again with ${flag}` };
}

/** What was thrown is text, and nothing else. */
function ofText(text: string, search: Search): Finding | null {
  const found = readMessage(text, search.os) ?? vaguely(text);
  return found === null ? null : { ...surroundings(text, "", text), ...found };
}

function vaguely(text: string): Finding | null {
  const verdict = readVague(text);
  return verdict === undefined ? null : { code: null, verdict };
}

/** Node's `errno` is the system's number below 0; libuv's own numbers are -3000 to -4095. */
function ofNumber(error: unknown, code: string, { os }: Search): Finding | null {
  const errno = peekNumber(error, "errno");
  if (errno === undefined || code !== "" || (errno <= -3000 && errno > -4096)) return null;
  return ofCode(codeOfNumber(Math.abs(errno), os));
}

function ofCode(code: string | undefined, error?: unknown): Finding | null {
  if (code === undefined || code === "") return null;
  const named = namedVerdict(code);
  if (named !== undefined) return { code: null, verdict: named };
  if (codeEntry(code) === undefined) return null;
  return { code, verdict: code === "ENOTFOUND" ? nameVerdict(error) : undefined };
}

/** node:dns says ENOTFOUND for every empty answer to `resolve()`; `lookup()` keeps the two apart by a number. */
function nameVerdict(error: unknown): VerdictName {
  if (/^query[A-Z]/.test(peekText(error, "syscall"))) return "name-unknown-perhaps";
  return peekNumber(error, "errno") === -3007 ? "name-without-address" : "name-unknown";
}

function isWeak({ code, verdict }: Finding): boolean {
  return verdict === undefined && code !== null && codeEntry(code)?.weak === true;
}

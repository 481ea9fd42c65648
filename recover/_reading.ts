/** Reads a text for what it says of a failure. */

import { verdictOfClose, verdictOfStatus } from "./_answers.ts";
import { codeEntry, codeOfClass, codeOfNumber, namedVerdict, type Os } from "./_codes.ts";
import {
  BROAD_TEXTS,
  CODE_TEXTS,
  EXACT_TEXTS,
  MAX_TEXT,
  operationOfSyscall,
  PHASE_TEXTS,
  VAGUE_TEXTS,
} from "./_texts.ts";
import type { VerdictName } from "./_verdicts.ts";
import type { FailureOperation } from "./failure.ts";

/** What a text says. */
export interface Reading {
  /** The code it names, by name, number or words. */
  readonly code: string | null;
  /** What it says outright. */
  readonly verdict?: VerdictName | undefined;
}

/** What a text says that is more exact than any code. */
export function readExact(text: string): VerdictName | undefined {
  return firstOf(EXACT_TEXTS, text.slice(0, MAX_TEXT));
}

/** What the message of an error says of its cause. */
export function readMessage(text: string, os: Os | undefined): Reading | null {
  const short = text.slice(0, MAX_TEXT);
  const exact = firstOf(EXACT_TEXTS, short);
  const given = readCode(short);
  const code = readNumber(short, os) ?? strong(given) ?? firstOf(CODE_TEXTS, short) ?? given;
  return asReading(code, exact) ?? readStatus(short);
}

/** What a message says if nothing else does. */
export function readVague(text: string): VerdictName | undefined {
  return firstOf(VAGUE_TEXTS, text.slice(0, MAX_TEXT));
}

/**
 * What a piece of text says that a person asks about: a message with or without its class, a code, a number, a status.
 *
 * @param text The text.
 * @param os The system that it comes from, where somebody knows: else words count more than numbers.
 * @param here The system that numbers are held against then.
 */
export function readPasted(text: string, os: Os | undefined, here: Os | undefined): Reading | null {
  const short = text.slice(0, MAX_TEXT);
  const words = firstOf(CODE_TEXTS, short) ?? firstOf(BROAD_TEXTS, short);
  const number = readNumber(short, os ?? here);
  const given = readCode(short);
  const code = strong(given) ?? (os === undefined ? words ?? number : number ?? words) ?? given ??
    readClass(short) ?? readBareNumber(short, os ?? here);
  const exact = firstOf(EXACT_TEXTS, short);
  const found = asReading(code, exact) ?? readStatus(short) ?? readBareStatus(short);
  if (found !== null) return found;
  const verdict = firstOf(NAMED_ERRORS, short) ?? firstOf(VAGUE_TEXTS, short);
  return verdict === undefined ? null : { code: null, verdict };
}

/** What was being done, as a text tells it. */
export function readPhase(text: string): FailureOperation | undefined {
  const short = text.slice(0, MAX_TEXT);
  const [, syscall] = /\b([a-zA-Z]{4,27}) (?:E[A-Z]{2}|UNKNOWN\b)/.exec(short) ?? [];
  return (syscall === undefined ? undefined : operationOfSyscall(syscall)) ?? firstOf(PHASE_TEXTS, short);
}

/** Whether a text is that of an error of node:net. */
export function isNodeText(text: string): boolean {
  return /\b(connect|listen|bind) EINVAL\b/.test(text.slice(0, MAX_TEXT));
}

/** The address that a text ends with, or that of its URL. */
export function readAddress(text: string): string | undefined {
  const short = text.slice(0, MAX_TEXT);
  const [, host] = /\burl \(https?:\/\/(\[[^\]]{1,64}\]|[^/:)\s]{1,255})/.exec(short) ?? [];
  if (host !== undefined) return host.replace(/^\[|\]$/g, "");
  const [, node] = /\b(?:connect|listen|bind) E[A-Z]+:?(?: [a-z ]{1,64})? (\S{1,255})$/.exec(short) ?? [];
  return node?.startsWith("/") === true ? node : node?.replace(/:\d{1,5}$/, "");
}

/** Names of errors that say it all. */
const NAMED_ERRORS: readonly (readonly [RegExp, VerdictName])[] = [
  [/\bNotCapable\b|\bPermissionError\b/, "permission-missing"],
  [/\bAbortError\b/, "cancelled"],
  [/\bTimeoutError\b/, "timed-out"],
];

function firstOf<T>(rules: readonly (readonly [RegExp, T])[], text: string): T | undefined {
  return rules.find(([pattern]) => pattern.test(text))?.[1];
}

/** The first known code of the text, in the spelling of POSIX or of Winsock; weak ones only if there is no other. */
function readCode(text: string): string | undefined {
  let weak: string | undefined;
  for (const [token] of text.matchAll(/\b[A-Z][A-Z0-9_]{2,40}\b/g)) {
    const code = /^WSA[A-Z]/.test(token) ? posixOf(token) : token;
    if (namedVerdict(code) !== undefined) return code;
    const entry = codeEntry(code);
    if (entry !== undefined && entry.weak !== true) return code;
    if (entry !== undefined) weak ??= code;
  }
  return weak;
}

/** Winsock's names are those of POSIX behind three letters, and four of its own. */
function posixOf(token: string): string {
  const own: Readonly<Record<string, string>> = {
    WSAHOST_NOT_FOUND: "ENOTFOUND",
    WSATRY_AGAIN: "EAI_AGAIN",
    WSANO_RECOVERY: "EAI_FAIL",
    WSANO_DATA: "ENODATA",
  };
  return own[token] ?? token.slice(3);
}

function strong(code: string | undefined): string | undefined {
  return code === undefined || codeEntry(code)?.weak === true ? undefined : code;
}

/** The number as the runtime writes it, and as other languages do. */
function readNumber(text: string, os: Os | undefined): string | undefined {
  const [, digits] =
    /\b(?:os error|errno|winerror|socket error|error code)\b[ :=]{0,3}-?(\d{1,6})\b/i.exec(text) ?? [];
  return digits === undefined ? undefined : codeOfNumber(Number(digits), os);
}

function readBareNumber(text: string, os: Os | undefined): string | undefined {
  const [, digits] = /^\s*-?(\d{1,6})\s*$/.exec(text) ?? [];
  return digits === undefined ? undefined : codeOfNumber(Number(digits), os);
}

function readClass(text: string): string | undefined {
  for (const [word] of text.matchAll(/\b[A-Z][a-z]+[A-Za-z]{1,30}\b/g)) {
    const code = codeOfClass(word);
    if (code !== undefined) return code;
  }
  return undefined;
}

function asReading(code: string | undefined, exact: VerdictName | undefined): Reading | null {
  const known = code !== undefined && codeEntry(code) !== undefined ? code : null;
  const verdict = exact ?? (code === undefined ? undefined : namedVerdict(code));
  return known === null && verdict === undefined ? null : { code: known, verdict };
}

/** A status of HTTP, or a close code of WebSocket, that a message names as one. */
function readStatus(text: string): Reading | null {
  const [, status] = /\bstatus(?: code)?:? ([2-5]\d\d)\b/i.exec(text) ?? [];
  if (status !== undefined) return { code: null, verdict: verdictOfStatus(Number(status)) };
  const [, close] = /\bcode[ :=]{1,3}(10[01]\d)\b/i.exec(text) ?? [];
  return close === undefined ? null : { code: null, verdict: verdictOfClose(Number(close), "") };
}

/** A status as a person writes it: alone, after "HTTP", or before its phrase. */
function readBareStatus(text: string): Reading | null {
  const [, digits] = /^\s*(?:HTTP(?:\/[\d.]{1,3})? )?([45]\d\d)\b/i.exec(text) ?? [];
  if (digits !== undefined) return { code: null, verdict: verdictOfStatus(Number(digits)) };
  const [, close] = /^\s*(?:WebSocket\b[\w :]{0,32} )?(10[01]\d)\s*$/i.exec(text) ?? [];
  return close === undefined ? null : { code: null, verdict: verdictOfClose(Number(close), "") };
}

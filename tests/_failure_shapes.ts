/** What failures look like to a program, as they were recorded: Linux 6.18, Deno 2.9.6. One row per scenario and API. */

import type { ClassifyContext } from "../recover/classify.ts";

/** One recorded failure, and what it must be known as. */
export interface FailureShape {
  /** The API that gave it, and how it was brought about where that is not plain. */
  readonly from: string;
  /** What was thrown, or what the event handler got. */
  readonly error: unknown;
  /** What the caller knows. */
  readonly context: ClassifyContext;
  /** Scenario (`-` for none), kind, next attempt, and whether it was sent. */
  readonly expected: string;
}

/** Makes one. */
export function row(from: string, error: unknown, context: ClassifyContext, expected: string): FailureShape {
  return { from, error, context, expected };
}

/** An error of the runtime's own API: class, message, code. */
export function denoError(name: string, message: string, code?: string): Error {
  const error = name === "TypeError" ? new TypeError(message) : new Error(message);
  error.name = name;
  return code === undefined ? error : Object.assign(error, { code });
}

/** An error of node's API: message, and number; code and system call are in the message. */
export function nodeError(message: string, errno?: number, fields: object = {}): Error {
  const [, syscall = "", code = ""] = /^(\w+) ([A-Z_]+)/.exec(message) ?? [];
  const [, address] = / (\d[\d.]+|[\da-f:]+:[\da-f:]+?|\/\S+)(?::\d+)?$/.exec(message) ?? [];
  return Object.assign(new Error(message), { code, syscall, errno, address, ...fields });
}

/** What `fetch` throws. */
export function fetchFailed(cause: string): TypeError {
  return new TypeError("fetch failed", { cause: new Error(cause) });
}

/** What `fetch` throws when it could not connect. */
export function fetchConnect(cause: string, url = "http://10.9.2.2:8080/"): TypeError {
  return fetchFailed(`error sending request for url (${url}): client error (Connect): ${cause}`);
}

/** What a WebSocket that did not open tells. */
export function socketFailed(cause: string): ErrorEvent {
  const error = new DOMException(`failed to connect to WebSocket: ${cause}`, "NetworkError");
  return new ErrorEvent("error", { error, message: `NetworkError: ${error.message}` });
}

/** What a WebSocket that was open tells. */
export function socketBroke(message: string): ErrorEvent {
  return new ErrorEvent("error", { error: new Error(message), message });
}

/** What the runtime throws when the system's resolver gave no address. */
export function lookupError(why: string): Error {
  return new Error(`failed to lookup address information: ${why}`);
}

/** It happened while connecting. */
export const CONNECT: ClassifyContext = { operation: "connect" };

/** ENETUNREACH of the runtime's own API. */
export const UNREACHABLE: Error = denoError(
  "NetworkUnreachable",
  "Network is unreachable (os error 101)",
  "ENETUNREACH",
);
/** EHOSTUNREACH, which has no class. */
export const NO_HOST: Error = denoError("Error", "No route to host (os error 113)", "EHOSTUNREACH");
/** ETIMEDOUT. */
export const TIMED_OUT: Error = denoError("TimedOut", "Connection timed out (os error 110)", "ETIMEDOUT");
/** ECONNREFUSED. */
export const REFUSED: Error = denoError(
  "ConnectionRefused",
  "Connection refused (os error 111)",
  "ECONNREFUSED",
);
/** ECONNRESET. */
export const RESET: Error = denoError(
  "ConnectionReset",
  "Connection reset by peer (os error 104)",
  "ECONNRESET",
);
/** EMFILE, which has no class. */
export const TOO_MANY: Error = denoError("Error", "Too many open files (os error 24)", "EMFILE");
/** EADDRNOTAVAIL. */
export const NOT_AVAILABLE: Error = denoError(
  "AddrNotAvailable",
  "Cannot assign requested address (os error 99)",
  "EADDRNOTAVAIL",
);
/** What `Deno.resolveDns` gives for every empty answer. */
export const NO_RECORDS: Error = denoError(
  "NotFound",
  'proto error: no records found for Query { name: Name("nx.test."), query_type: A, query_class: IN }',
);
/** A program's own deadline. */
export const DEADLINE: DOMException = new DOMException(
  "The operation was aborted due to timeout",
  "TimeoutError",
);

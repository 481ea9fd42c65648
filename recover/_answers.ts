/** What the other end says in so many words: statuses of HTTP, `Retry-After`, close codes of WebSocket. */

import type { VerdictName } from "./_verdicts.ts";

/** Longest wait that is taken from another end: a day, in milliseconds. */
export const MAX_RETRY_AFTER = 86_400_000;

/** What a status of HTTP means (RFC 9110, 15). */
export function verdictOfStatus(status: number): VerdictName {
  const known = STATUSES.get(status);
  if (known !== undefined) return known;
  if (status >= 500) return "server-error";
  if (status >= 300) return "request-refused";
  return "not-a-failure";
}

/**
 * Reads `Retry-After` (RFC 9110, 10.2.3): seconds, or a date. The date is held against the server's own clock where it
 * says what that shows.
 *
 * @param value The header.
 * @param date The header `Date` of the same answer.
 * @returns Milliseconds from now, at most a day; `null` for anything else.
 */
export function parseRetryAfter(value: string, date: string | null): number | null {
  const text = value.slice(0, 64).trim();
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, MAX_RETRY_AFTER);
  const until = parseDate(text);
  if (until === null) return null;
  const now = (date === null ? null : parseDate(date.slice(0, 64).trim())) ?? Date.now();
  return Math.min(Math.max(until - now, 0), MAX_RETRY_AFTER);
}

/** What a close code of WebSocket means (RFC 6455, 7.4, and IANA's registry); 0 is what the runtime gives for 1006. */
export function verdictOfClose(code: number, reason: string): VerdictName {
  if (reason === "No response from ping frame.") return "websocket-half-open";
  if (code === 1015) return "tls-failed";
  const onPurpose = code === 1000 || REFUSALS.has(code) || (code >= 3000 && code <= 4999);
  return onPurpose ? "websocket-closed" : "websocket-lost";
}

const STATUSES: ReadonlyMap<number, VerdictName> = new Map<number, VerdictName>([
  [401, "not-authorized"],
  [403, "not-authorized"],
  [407, "proxy-wants-login"],
  [408, "request-too-slow"],
  [425, "overloaded"],
  [429, "overloaded"],
  [501, "request-refused"],
  [502, "proxy-refuses"],
  [503, "overloaded"],
  [504, "proxy-refuses"],
  [505, "request-refused"],
  // RFC 6585: the network wants a login first.
  [511, "captive-portal"],
]);

/** Protocol error, data that cannot be taken, policy, too big, extension missing. */
const REFUSALS: ReadonlySet<number> = new Set([1002, 1003, 1007, 1008, 1009, 1010]);

/** Only the form that RFC 9110 lets servers send: `Date.parse()` takes much else for a date. */
function parseDate(text: string): number | null {
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text)) return null;
  const time = Date.parse(text);
  return Number.isNaN(time) ? null : time;
}

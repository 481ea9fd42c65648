/** A tunnel through an HTTP proxy: the method CONNECT (RFC 9110 section 9.3.6, RFC 9112). */

import {
  type ProxyExchange,
  type ProxyLogin,
  type ProxyStep,
  type ProxyTarget,
  READ_ON,
} from "./_proxy_exchange.ts";
import { type ProxyErrorCode, ProxyRefusal } from "./_proxy_error.ts";

/** How many bytes the answer may have before the tunnel, interim answers included. */
export const MAX_HEAD: number = 16 * 1024;

/** How much of what a proxy says about itself is shown. */
const MAX_REASON = 100;

/** An answer of HTTP without its content. */
interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly headers: Headers;
}

/**
 * Begins to ask for a tunnel.
 *
 * @param target Where it is to lead.
 * @param login Who asks, where the proxy wants to know.
 */
export function connectExchange(target: ProxyTarget, login: ProxyLogin | null): ProxyExchange {
  return new ConnectExchange(target, login);
}

class ConnectExchange implements ProxyExchange {
  readonly hello: Uint8Array;
  readonly #head = new Uint8Array(MAX_HEAD);
  /** How much of the answer has come. */
  #length = 0;
  /** Where its line begins that is not complete. */
  #line = 0;
  /** Where the answer begins that is not complete. */
  #begin = 0;

  constructor({ hostname, port }: ProxyTarget, login: ProxyLogin | null) {
    const authority = `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
    const credentials = login && new TextEncoder().encode(`${login.user}:${login.password}`).toBase64();
    const lines = [
      `CONNECT ${authority} HTTP/1.1`,
      `Host: ${authority}`,
      ...(credentials === null ? [] : [`Proxy-Authorization: Basic ${credentials}`]),
    ];
    this.hello = new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`);
  }

  push(bytes: Uint8Array): ProxyStep {
    const known = this.#length;
    const taken = bytes.subarray(0, MAX_HEAD - known);
    this.#head.set(taken, known);
    this.#length += taken.length;
    for (let at = known; at < this.#length; at++) {
      if (this.#head[at] !== 0x0a) continue;
      const isLast = at - this.#line === 0 || (at - this.#line === 1 && this.#head[at - 1] === 0x0d);
      this.#line = at + 1;
      if (!isLast) continue;
      const answer = readAnswer(this.#head.subarray(this.#begin, at + 1));
      this.#begin = at + 1;
      // Interim answers may come first (RFC 9110 section 15.2); none of them opens a tunnel.
      if (answer.status < 200 && answer.status !== 101) continue;
      // Any 2xx does, and whatever it says of a content is to be ignored.
      if (answer.status >= 200 && answer.status < 300) {
        return { send: null, tunnel: bytes.slice(at + 1 - known) };
      }
      throw refusal(answer);
    }
    if (taken.length < bytes.length || this.#length === MAX_HEAD) {
      throw broken(`its answer has no end within ${MAX_HEAD} bytes`);
    }
    // What is no HTTP is known by its first bytes, and need not be read to its end.
    const begin = text(this.#head.subarray(this.#begin, Math.min(this.#begin + 5, this.#length)));
    if (!"HTTP/".startsWith(begin)) throw broken("it does not speak HTTP");
    return READ_ON;
  }
}

function readAnswer(head: Uint8Array): Answer {
  const [first = "", ...rest] = text(head).split(/\r?\n/).slice(0, -2);
  const [, digits, reason = ""] = /^HTTP\/1\.[01] ([1-5]\d\d)(?: ([^\0\r]*))?$/.exec(first) ?? [];
  if (digits === undefined) throw broken("its answer does not begin as one of HTTP/1");
  const headers = new Headers();
  for (const line of rest) {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\0\r]*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined || value === undefined) throw broken("its answer has a line that is no header");
    if (KEPT.has(name.toLowerCase())) headers.append(name, value);
  }
  return { status: Number(digits), reason, headers };
}

/** What of an answer tells when to try again, and what would help. */
const KEPT: ReadonlySet<string> = new Set(["retry-after", "date", "proxy-authenticate"]);

function refusal({ status, reason, headers }: Answer): ProxyRefusal {
  const said = reason.replace(/\p{Cc}/gu, "?").slice(0, MAX_REASON);
  const why = WHY.get(status);
  const words = [`status ${status}`, ...(said === "" ? [] : [`(${said})`])].join(" ");
  return new ProxyRefusal(codeOf(status), `it answered with ${words}${why ? `: ${why}` : ""}`, headers);
}

const WHY: ReadonlyMap<number, string> = new Map([
  [403, "it does not allow this host and port"],
  [407, "it wants a user and password, or other ones"],
  [502, "it cannot reach the server"],
  [503, "it cannot reach the server, or has too much to do"],
  [504, "the server did not answer it in time"],
]);

function codeOf(status: number): ProxyErrorCode {
  if (status === 401 || status === 407) return "proxy-auth";
  if (status === 408 || status === 429 || status >= 500) return "proxy-unreachable";
  return status === 101 || status < 400 ? "proxy-protocol" : "proxy-refused";
}

function broken(why: string): ProxyRefusal {
  return new ProxyRefusal("proxy-protocol", why);
}

/** Byte by byte: what stands in headers is ASCII, and nothing else may become something else here. */
function text(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

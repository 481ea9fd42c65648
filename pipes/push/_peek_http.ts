/** What an HTTP client says first: the head of an HTTP/1 request (RFC 9112), or the preface of HTTP/2 (RFC 9113). Pure. */

import { formatIp, parseIp } from "../../internal/ip.ts";
import { hostName } from "./_host_name.ts";

/** A client that speaks HTTP/1, and what it asks for. */
export interface Http1Route {
  /** What it is. */
  readonly kind: "http";
  /** The host, as a name or an address without brackets; `null` where the client names none. */
  readonly name: string | null;
  /** The port that stands with the host, or `null`. */
  readonly port: number | null;
  /** For example `"GET"`. */
  readonly method: string;
  /** What is asked for, as it was sent; each byte beyond ASCII is one character. */
  readonly target: string;
  /** The version of HTTP. */
  readonly version: "1.0" | "1.1";
}

/** A client that speaks HTTP/2 without TLS. Its requests are compressed; who they are for is not known yet. */
export interface Http2Route {
  /** What it is. */
  readonly kind: "http2";
  /** Not known. */
  readonly name: null;
}

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Tokens, and the visible characters of targets and values (RFC 9110 section 5.6.2 and 5.5).
const BEGINNING = /^([^ ]+) ([\x21-\x7e\x80-\xff]*)(?:(?<=[^ ]) ([^ ]*))?$/;
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/;
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e\x80-\xff]+) HTTP\/(1\.[01])$/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\x80-\xff\t]*)$/;

/**
 * Reads the head of a request. It has to be complete, and such that all servers read the same out of it: one host, no field
 * folded, no line that ends with LF alone.
 *
 * @param bytes The first bytes of a connection.
 * @returns The route; `"more"` while it is not all there; `"unknown"` when it is none.
 */
export function peekHttp(bytes: Uint8Array): Http1Route | Http2Route | "more" | "unknown" {
  const text = latin1(bytes);
  if (text.startsWith(PREFACE)) return { kind: "http2", name: null };
  if (PREFACE.startsWith(text)) return "more";
  // One empty line in front is no error (RFC 9112 section 2.2).
  const lines = text.replace(/^\r\n/, "").split("\r\n");
  // The last one has not ended.
  const open = lines.pop() ?? "";
  const [first, ...fields] = lines;
  if (first === undefined) return isBeginning(open) ? "more" : "unknown";
  const [, method = "", target = "", version] = REQUEST_LINE.exec(first) ?? [];
  if (version === undefined) return "unknown";
  const end = fields.indexOf("");
  const hosts: string[] = [];
  for (const field of end < 0 ? fields : fields.slice(0, end)) {
    const [line, name = "", value = ""] = FIELD.exec(field) ?? [];
    if (line === undefined) return "unknown";
    if (name.toLowerCase() === "host") hosts.push(value.trimEnd());
  }
  if (hosts.length > 1) return "unknown";
  if (end < 0) return "more";
  const [host] = hosts;
  if (host === undefined && version === "1.1") return "unknown";
  const authority = authorityOf(method, target, host ?? "");
  if (authority === null) return "unknown";
  return { kind: "http", ...authority, method, target, version: version === "1.0" ? "1.0" : "1.1" };
}

/** Whether this could be the beginning of a request line. */
function isBeginning(text: string): boolean {
  const [, method = "", target, version = ""] = BEGINNING.exec(text) ?? [];
  if (target === undefined) return text === "" || METHOD.test(text);
  return METHOD.test(method) && ["HTTP/1.0\r", "HTTP/1.1\r"].some((whole) => whole.startsWith(version));
}

interface Authority {
  readonly name: string | null;
  readonly port: number | null;
}

/** The target's own host counts for more than the field (RFC 9112 section 3.2.2). */
function authorityOf(method: string, target: string, host: string): Authority | null {
  const [, absolute] = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(target) ?? [];
  return readAuthority(method === "CONNECT" ? target : absolute ?? host);
}

function readAuthority(text: string): Authority | null {
  if (text === "") return { name: null, port: null };
  const [, v6, plain, digits] = /^(?:\[([0-9a-f:.]+)\]|([^:@[\]]+))(?::(\d{0,5}))?$/i.exec(text) ?? [];
  const name = v6 === undefined ? hostName(plain ?? "") : canonical(v6);
  const port = digits ? Number(digits) : null;
  return name === null || (port ?? 0) > 65_535 ? null : { name, port };
}

function canonical(v6: string): string | null {
  const address = parseIp(v6);
  return address?.length === 16 ? formatIp(address) : null;
}

/** One character per byte. */
function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) {
    text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  }
  return text;
}

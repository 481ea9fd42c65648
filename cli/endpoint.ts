/** `HOST:PORT` as people type it. */

import { UsageError } from "./usage_error.ts";

/** A host and a port. */
export interface Endpoint {
  /** A name or an address, an IPv6 address without brackets. */
  readonly hostname: string;
  /** 1 to 65535. */
  readonly port: number;
}

/**
 * Reads `HOST:PORT`; an IPv6 address stands in brackets.
 *
 * @param text For example `"example.com:443"` or `"[2001:db8::1]:443"`.
 * @returns Host and port.
 * @throws {UsageError} When it is neither.
 */
export function parseEndpoint(text: string): Endpoint {
  const wrong = (why: string, hint: string): UsageError =>
    new UsageError(`Cannot read "${text}": ${why}`, hint);
  const url = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(text);
  if (url) throw wrong("it is a URL", `Write it as HOST:PORT, for example "${url[1] || "example.com:443"}"`);
  if (/^[0-9a-f]*(:[0-9a-f.]*){2,}$/i.test(text)) {
    throw wrong("an IPv6 address needs brackets", `Write it as [ADDRESS]:PORT`);
  }
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(text);
  if (!match) throw wrong("it is not HOST:PORT", `Write it as HOST:PORT, for example "example.com:443"`);
  const [, bracketed, plain = "", port = ""] = match;
  const hostname = bracketed ?? plain;
  if (hostname === "") {
    throw wrong("the host is missing", `Write it as HOST:PORT, for example "localhost:443"`);
  }
  if (/[\s/@?#]/.test(hostname) || (bracketed !== undefined && !bracketed.includes(":"))) {
    throw wrong(`"${hostname}" is not a host`, `Write it as HOST:PORT, for example "example.com:443"`);
  }
  if (port === "") {
    throw wrong(
      "the port is missing",
      `Write it as HOST:PORT, for example "${plain || `[${bracketed}]`}:443"`,
    );
  }
  if (!/^\d{1,9}$/.test(port)) throw wrong(`"${port}" is not a port`, "A port is a number from 1 to 65535");
  if (Number(port) < 1 || Number(port) > 65535) {
    throw wrong(`port ${port} is out of range`, "A port is a number from 1 to 65535");
  }
  return { hostname, port: Number(port) };
}

/** Writes it back, brackets included. */
export function formatEndpoint({ hostname, port }: Endpoint): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

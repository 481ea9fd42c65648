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
 * @param defaultPort The port where none is given; without it a port is required.
 * @returns Host and port.
 * @throws {UsageError} When it is neither.
 */
export function parseEndpoint(text: string, defaultPort?: number): Endpoint {
  const wrong = (why: string, hint: string): UsageError =>
    new UsageError(`Cannot read "${text}": ${why}`, hint);
  const url = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(text)?.[1];
  const write = (host: string): string =>
    `Write it as HOST:PORT, for example "${host}:${defaultPort ?? 443}"`;
  if (url !== undefined) throw wrong("it is a URL", write(url.replace(/:\d+$/, "") || "example.com"));
  if (/^[0-9a-f]*(:[0-9a-f.]*){2,}$/i.test(text)) {
    throw wrong("an IPv6 address needs brackets", `Write it as [ADDRESS]:PORT`);
  }
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(text);
  if (!match) throw wrong("it is not HOST:PORT", write("example.com"));
  const [, bracketed, plain = "", port = defaultPort === undefined ? "" : String(defaultPort)] = match;
  const hostname = bracketed ?? plain;
  if (hostname === "") {
    throw wrong("the host is missing", write("localhost"));
  }
  if (/[\s/@?#]/.test(hostname) || (bracketed !== undefined && !bracketed.includes(":"))) {
    throw wrong(`"${hostname}" is not a host`, write("example.com"));
  }
  if (port === "") {
    throw wrong(
      "the port is missing",
      write(bracketed === undefined ? plain : `[${bracketed}]`),
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

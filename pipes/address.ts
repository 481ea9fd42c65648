/** Where an end of a pipe is, and the URLs that name it. */

/** What carries a pipe. */
export type Transport = "tcp" | "tls" | "udp" | "unix" | "ws" | "wss" | "memory" | "exec";

/** An end that has a host and a port. */
export interface HostAddress {
  /** What carries the pipe. */
  readonly transport: "tcp" | "tls" | "udp" | "ws" | "wss";
  /** An IP address, with a zone where a link-local one has it, or the name that was asked for. */
  readonly hostname: string;
  /** The port, 0 where none is known. */
  readonly port: number;
}

/** An end that is a Unix socket. */
export interface UnixAddress {
  /** What carries the pipe. */
  readonly transport: "unix";
  /** Path of the socket; empty for an end without a name. */
  readonly path: string;
}

/** An end in this process. */
export interface MemoryAddress {
  /** What carries the pipe. */
  readonly transport: "memory";
  /** The name that was listened on; empty for an end without a name. */
  readonly name: string;
}

/** An end that is a command, whose standard input and output carry the pipe. */
export interface ExecAddress {
  /** What carries the pipe. */
  readonly transport: "exec";
  /** The program's name or path, without its arguments, which may hold secrets; empty for our own end. */
  readonly command: string;
}

/** Where an end of a pipe is. */
export type PipeAddress = HostAddress | UnixAddress | MemoryAddress | ExecAddress;

/** A URL of a pipe, taken apart. */
export type PipeUrl =
  | (HostAddress & {
    /** What an HTTP request asks for, of `ws:` and `wss:`; `"/"` for the others. */
    readonly path: string;
  })
  | UnixAddress
  | MemoryAddress
  | ExecAddress;

const WITH_HOST = ["tcp", "tls", "udp", "ws", "wss"] as const;

const DEFAULT_PORT: Readonly<Record<string, number>> = { ws: 80, wss: 443 };

/**
 * Takes a URL of a pipe apart: `tcp://host:port`, `tls://host:port`, `udp://host:port`, `ws://host[:port]/path`,
 * `wss://host[:port]/path`, `unix:/path`, `memory:name`, `exec:`. IPv6 addresses stand in brackets, and may have a zone.
 *
 * @param url The URL.
 * @param use What it is for: port 0 means any port to listen on, and nothing to connect to.
 * @returns Its parts.
 * @throws {TypeError} When it is none of those; the message says what is wrong with it.
 *
 * @example
 * ```ts
 * import { parsePipeUrl } from "@holdfast/net/pipes";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parsePipeUrl("tcp://[fe80::1%eth0]:80"), {
 *   transport: "tcp",
 *   hostname: "fe80::1%eth0",
 *   port: 80,
 *   path: "/",
 * });
 * assertEquals(parsePipeUrl("unix:/run/app.sock"), { transport: "unix", path: "/run/app.sock" });
 * ```
 */
export function parsePipeUrl(url: string | URL, use: "connect" | "listen" = "connect"): PipeUrl {
  const text = String(url);
  const fail = (why: string): TypeError => new TypeError(`Cannot ${use} to "${shown(text)}": ${why}`);
  const [, scheme = "", rest = ""] = /^([a-z+]+):(.*)$/is.exec(text) ?? [];
  const transport = scheme.toLowerCase();
  if (transport === "unix") {
    const path = rest.replace(/^\/\/(?=\/)/, "");
    if (path === "" || path.includes("\0")) throw fail("a path must follow, as in unix:/run/app.sock");
    return { transport, path };
  }
  if (transport === "memory") {
    if (rest === "") throw fail("a name must follow, as in memory:chat");
    return { transport, name: rest };
  }
  if (transport === "exec") {
    if (use === "listen") throw fail("a command is started by connect(), and nobody comes to it");
    if (rest !== "") {
      throw fail('the command goes into the option exec, as in exec: ["ssh", "host", "agent"]');
    }
    return { transport, command: "" };
  }
  const withHost = WITH_HOST.find((one) => one === transport);
  if (withHost === undefined) {
    throw fail(`the scheme must be one of ${[...WITH_HOST, "unix", "memory", "exec"].join(", ")}`);
  }
  const match = /^\/\/(?:\[([^\]/]+)\]|([^/:?#[\]@\s]*))(?::(\d{1,5}))?([/?][^#]*)?$/.exec(rest);
  if (!match) throw fail(`it must read ${withHost}://HOST:PORT, with an IPv6 address in brackets`);
  const [, literal, name, port = String(DEFAULT_PORT[withHost] ?? ""), path = "/"] = match;
  const hostname = literal ?? name ?? "";
  if (hostname === "" && use === "connect") throw fail("the host is missing");
  if (port === "") throw fail("the port is missing");
  if (Number(port) > 65_535 || (use === "connect" && Number(port) === 0)) {
    throw fail(`the port must be ${use === "connect" ? 1 : 0} to 65535, got ${port}`);
  }
  if (path !== "/" && withHost !== "ws" && withHost !== "wss") {
    throw fail(`${withHost}: has no path, got "${shown(path)}"`);
  }
  return { transport: withHost, hostname, port: Number(port), path };
}

/** Splits the `resume+` off that asks for a session. */
export function splitResume(url: string | URL): { readonly prefix: boolean; readonly rest: string } {
  const text = String(url);
  const prefix = /^resume\+/i.test(text);
  return { prefix, rest: prefix ? text.slice("resume+".length) : text };
}

/** Writes an end as a URL, as messages and logs want it. */
export function formatPipeAddress(address: PipeAddress): string {
  if (address.transport === "unix") return `unix:${address.path}`;
  if (address.transport === "memory") return `memory:${address.name}`;
  if (address.transport === "exec") return `exec:${address.command}`;
  const { transport, hostname, port } = address;
  return `${transport}://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/** What a message may show of foreign text: no user and password, no control characters, not too much of it. */
function shown(text: string): string {
  return text.slice(0, 200).replace(/\/\/[^/@]*@/, "//...@").replace(/\p{Cc}/gu, "?");
}

/** Faults of HTTP/1.1, written by hand, as no HTTP server of the runtime's would commit them. */

import { type Link, onBytes } from "./_fault_server_link.ts";
import type { Fault, HttpBodyCutFault, RedirectFault } from "./fault.ts";

/** The faults that need a request. */
export type HttpFaults = Extract<
  Fault,
  {
    readonly type:
      | "http"
      | "http-status"
      | "http-header-stall"
      | "http-body-stall"
      | "http-body-cut"
      | "http-pooled-cut"
      | "redirect";
  }
>;

/** The head of a request. */
export interface RequestHead {
  /** The path asked for. */
  readonly path: string;
  /** Looks up a header; the empty string where there is none. */
  header(name: string): string;
}

/** Does to a connection what the fault says. */
export function serveHttpFault(fault: HttpFaults, link: Link): void {
  const { raw, stream } = link;
  let requests = 0;
  onRequest(link, (head) => {
    requests++;
    switch (fault.type) {
      case "http":
        return void stream.end(answer(200, fault.body ?? "ok"));
      case "http-status": {
        const { status, retryAfter } = fault;
        const headers = retryAfter === undefined ? [] : [`Retry-After: ${retryAfter}`];
        return void stream.end(answer(status, "", headers));
      }
      case "redirect":
        return void stream.end(portal(fault, head));
      case "http-header-stall":
        return void stream.write("HTTP/1.1 200 OK\r\nContent-");
      case "http-body-stall":
        return void stream.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nthe beginning");
      case "http-body-cut":
        return cutBody(fault, link);
      case "http-pooled-cut":
        if (requests > 1) return void raw.resetAndDestroy();
        return void stream.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
  });
}

/** The largest head that is read, in bytes; a client of a test sends some hundred. */
const MAX_HEAD = 65_536;

/**
 * Calls back for each request, once its head and the body of the length it tells have arrived.
 *
 * @param link The connection.
 * @param handler What to call, with the head.
 * @returns Ends the reading of requests; what arrives then waits for the next handler.
 */
export function onRequest(link: Link, handler: (head: RequestHead) => void): () => void {
  let text = "";
  let body = 0;
  let head: RequestHead | undefined;
  const advance = (): void => {
    while (true) {
      if (head === undefined) {
        const end = text.indexOf("\r\n\r\n");
        if (end < 0) {
          if (text.length > MAX_HEAD) link.raw.resetAndDestroy();
          return;
        }
        head = parseHead(text.slice(0, end));
        text = text.slice(end + 4);
        body = Number(head.header("content-length")) || 0;
      }
      const part = Math.min(body, text.length);
      body -= part;
      text = text.slice(part);
      if (body > 0) return;
      const whole = head;
      head = undefined;
      handler(whole);
    }
  };
  return onBytes(link, (bytes) => {
    // One character per byte, so that lengths are right whatever the body is.
    for (const byte of bytes) text += String.fromCharCode(byte);
    advance();
  });
}

function parseHead(text: string): RequestHead {
  const [first = "", ...lines] = text.split("\r\n");
  const headers = new Map(lines.map((line) => {
    const [name = "", ...value] = line.split(":");
    return [name.trim().toLowerCase(), value.join(":").trim()];
  }));
  return { path: first.split(" ")[1] ?? "", header: (name) => headers.get(name) ?? "" };
}

/** A whole answer, after which the connection is closed. */
function answer(status: number, body: string, headers: readonly string[] = []): string {
  const length = new TextEncoder().encode(body).length;
  const lines = [
    `HTTP/1.1 ${status} ${status < 400 ? "OK" : "Failed"}`,
    `Content-Length: ${length}`,
    "Connection: close",
    ...headers,
  ];
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

function portal({ status = 302 }: RedirectFault, { path }: RequestHead): string {
  if (status === 302 && path !== "/login") return answer(302, "", ["Location: /login"]);
  return answer(200, "<!doctype html><title>Log in</title><form method=post></form>", [
    "Content-Type: text/html",
  ]);
}

function cutBody({ framing = "length", how = "end" }: HttpBodyCutFault, { raw, stream }: Link): void {
  const head = framing === "length" ? "Content-Length: 1000" : "Transfer-Encoding: chunked";
  const part = framing === "length" ? "the beginning" : "d\r\nthe beginning\r\n";
  stream.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n${part}`, () => {
    how === "end" ? stream.end() : raw.resetAndDestroy();
  });
}

/** The runtime's way of answering requests, by Node's server of HTTP. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { AdoptedListener } from "./_adopted_listener.ts";
import type { HttpHandler, HttpServer } from "./serve_http.ts";

/**
 * Serves HTTP by Node's part.
 *
 * @param listener The listener, which it owns.
 * @param handler Answers each request, and throws nothing.
 * @param note Why it is nothing better.
 */
export async function serveByNode(
  listener: AdoptedListener,
  handler: HttpHandler,
  note: string | null,
): Promise<HttpServer> {
  const [{ createServer }, { Readable }] = await Promise.all([import("node:http"), import("node:stream")]);
  const { localAddress } = listener;
  let ending = false;
  const server = createServer((incoming, outgoing) => {
    const body = (): ReadableStream<Uint8Array<ArrayBuffer>> =>
      Readable.toWeb(incoming) as ReadableStream<Uint8Array<ArrayBuffer>>;
    // A connection that is kept alive would keep a server that ends waiting.
    outgoing.once("close", () => ending && server.closeIdleConnections());
    answer(incoming, outgoing, body, handler).catch(() => void outgoing.destroy());
  });
  await listener.serve(server);
  const { promise: finished, resolve } = Promise.withResolvers<void>();
  const shutdown = (): Promise<void> => {
    if (!ending) {
      ending = true;
      server.close(() => resolve());
      server.closeIdleConnections();
    }
    return finished;
  };
  return { localAddress, by: "node:http", note, finished, shutdown, [Symbol.asyncDispose]: shutdown };
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  body: () => ReadableStream<Uint8Array<ArrayBuffer>>,
  handler: HttpHandler,
): Promise<void> {
  const gone = new AbortController();
  outgoing.once("close", () => {
    if (!outgoing.writableFinished) gone.abort(new DOMException("The client went away", "AbortError"));
  });
  const request = requestOf(incoming, body, gone.signal);
  const response = request ? await handler(request) : new Response(null, { status: 400 });
  const cookies = response.headers.getSetCookie();
  outgoing.statusCode = response.status;
  if (response.statusText !== "") outgoing.statusMessage = response.statusText;
  for (const [name, value] of response.headers) if (name !== "set-cookie") outgoing.setHeader(name, value);
  if (cookies.length > 0) outgoing.setHeader("set-cookie", cookies);
  if (response.body === null || incoming.method === "HEAD") {
    await response.body?.cancel();
    outgoing.end();
    return;
  }
  for await (const chunk of response.body) {
    if (gone.signal.aborted) return;
    if (!outgoing.write(chunk)) await drained(outgoing);
  }
  outgoing.end();
}

/** The request, or `null` for one that the runtime has no form for. */
function requestOf(
  incoming: IncomingMessage,
  body: () => ReadableStream<Uint8Array<ArrayBuffer>>,
  signal: AbortSignal,
): Request | null {
  const { method = "GET", url = "/", headers, rawHeaders } = incoming;
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    pairs.push([rawHeaders[at] ?? "", rawHeaders[at + 1] ?? ""]);
  }
  // A target may be absolute (RFC 9112 section 3.2.2), and then says the host itself.
  const target = URL.canParse(url) ? url : `http://${headers.host ?? "localhost"}${url === "*" ? "/" : url}`;
  const hasBody = method !== "GET" && method !== "HEAD" &&
    (headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined);
  try {
    return new Request(target, { method, headers: pairs, signal, ...(hasBody ? { body: body() } : {}) });
  } catch {
    return null;
  }
}

/** Resolves when more can be written, or never will be. */
function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      outgoing.off("drain", done);
      outgoing.off("close", done);
      resolve();
    };
    outgoing.on("drain", done);
    outgoing.on("close", done);
    if (outgoing.destroyed) done();
  });
}

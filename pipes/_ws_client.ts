/** The client's end of a WebSocket: the request, over any link of bytes. */

import { isIP } from "node:net";
import type { ClientRequest, IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { HostAddress } from "./address.ts";
import type { Link } from "./_link.ts";
import { linkStream } from "./_link_stream.ts";
import { wsLibrary } from "./_ws_library.ts";
import type { NodeWebSocket } from "./_ws_link.ts";
import type { CheckedWebSocketOptions } from "./web_socket_options.ts";

/** What is asked for. */
export interface WsRequest extends CheckedWebSocketOptions {
  /** Where. */
  readonly url: HostAddress & { readonly path: string };
  /** Headers of the request. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The methods of a WebSocket of the library that only its opening needs. */
interface Opening extends NodeWebSocket {
  once(event: "unexpected-response", handler: (request: unknown, response: IncomingMessage) => void): unknown;
  once(event: "open" | "error", handler: (error: Error) => void): unknown;
  off(event: "error", handler: (error: Error) => void): unknown;
}

/**
 * Asks for a WebSocket on a connection that is ready for it.
 *
 * @param link The connection, which the WebSocket owns; it is ended where there is none.
 * @param request What is asked for.
 * @param signal Gives up.
 * @returns The WebSocket, open, and the stream below it.
 * @throws What went wrong with the connection; or an error with the `status` and `headers` of an answer that refuses.
 */
export async function openWs(
  link: Link,
  request: WsRequest,
  signal: AbortSignal,
): Promise<{ readonly socket: NodeWebSocket; readonly stream: Duplex }> {
  const { WebSocket } = await wsLibrary();
  signal.throwIfAborted();
  const { url, protocols, maxPayload, compression: perMessageDeflate, closeTimeout } = request;
  const stream = linkStream(link);
  const headers = { host: hostOf(url), ...lowerCased(request.headers) };
  // Deno.serve (2.9) understands the list with blanks only.
  const finishRequest = (sent: ClientRequest): void => {
    if (protocols.length > 0) sent.setHeader("sec-websocket-protocol", protocols.join(", "));
    sent.end();
  };
  const options = {
    maxPayload,
    perMessageDeflate,
    closeTimeout,
    finishRequest,
    createConnection: () => stream,
  };
  // TLS, where there is any, is below; and a name of ours would do as well, since the connection is there already.
  const socket: Opening = new WebSocket(`ws://localhost${url.path}`, [...protocols], { ...options, headers });
  const opened = Promise.withResolvers<void>();
  const aborted = (): void => {
    opened.reject(signal.reason);
    stream.destroy();
  };
  const failed = (error: Error): void => opened.reject(badAnswer(error));
  signal.addEventListener("abort", aborted, { once: true });
  socket.once("open", () => opened.resolve());
  socket.once("unexpected-response", (_request, response) => {
    opened.reject(refusal(response));
    stream.destroy();
  });
  // More than one may come, and what is not listened to ends the process.
  socket.on("error", failed);
  try {
    await opened.promise;
    return { socket, stream };
  } finally {
    signal.removeEventListener("abort", aborted);
    socket.off("error", failed);
    socket.on("error", () => {});
  }
}

/** The header that names the host; an IPv6 address without its zone, which means something on this machine only. */
function hostOf(
  { hostname, port, transport }: { hostname: string; port: number; transport: string },
): string {
  const name = isIP(hostname) === 6 ? `[${hostname.replace(/%.*/, "")}]` : hostname;
  return port === (transport === "wss" ? 443 : 80) ? name : `${name}:${port}`;
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** An answer that is no WebSocket; {@linkcode classify} reads its status, and how long to wait. */
function refusal({ statusCode: status = 0, headers: received }: IncomingMessage): Error {
  const error = new Error(`Cannot open a WebSocket: the server answered with status ${status}`);
  // A page, for example one to log in at, is fine by itself.
  if (status < 300) return Object.assign(error, { code: BAD_ANSWER });
  const headers = new Headers();
  for (const name of ["retry-after", "date", "location", "www-authenticate", "proxy-authenticate"]) {
    const value = received[name];
    if (typeof value === "string") headers.set(name, value);
  }
  return Object.assign(error, { status, headers });
}

/** What the library says of an answer has no name and no code of its own; what the system says has. */
function badAnswer(error: Error): Error {
  if ("code" in error || error.name !== "Error") return error;
  const why = `Cannot open a WebSocket: ${error.message}`;
  return Object.assign(new Error(why, { cause: error }), { code: BAD_ANSWER });
}

const BAD_ANSWER = "ERR_INVALID_HTTP_RESPONSE";

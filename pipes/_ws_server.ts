/** The server's end of a WebSocket: answers requests, over any link of bytes. */

import type { Buffer } from "node:buffer";
import { type IncomingMessage, Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { WsLibrary } from "./_ws_library.ts";
import type { NodeWebSocket } from "./_ws_link.ts";
import type { CheckedWebSocketOptions, WebSocketRequest } from "./web_socket_options.ts";

/** How requests are answered. */
export interface WsServerOptions extends CheckedWebSocketOptions {
  /** The path that has to be asked for. */
  readonly path: string;
  /** Says who may come in. */
  readonly allow: ((request: WebSocketRequest) => boolean | Promise<boolean>) | undefined;
}

/** One connection that may become a WebSocket. */
interface Candidate {
  readonly remoteAddress: WebSocketRequest["remoteAddress"];
  readonly upgraded: PromiseWithResolvers<NodeWebSocket>;
  /** What was wrong with the request, once that is known. */
  problem: { readonly why: string; readonly cause?: unknown } | undefined;
}

/** The parts of the library's server that are used. */
interface Upgrader {
  handleUpgrade(
    request: IncomingMessage,
    stream: Duplex,
    head: Buffer,
    done: (socket: NodeWebSocket) => void,
  ): void;
}

/** Answers the requests of one listener. It listens on nothing itself, and has nothing to be closed. */
export class WsServer {
  readonly #options: WsServerOptions;
  readonly #candidates = new WeakMap<Duplex, Candidate>();
  readonly #http: Server;
  readonly #upgrader: Upgrader;

  /**
   * @param library What answers requests for a WebSocket.
   * @param options How requests are answered.
   */
  constructor({ WebSocketServer }: WsLibrary, options: WsServerOptions) {
    const { maxPayload, compression: perMessageDeflate, closeTimeout, protocols } = options;
    this.#options = options;
    this.#upgrader = new WebSocketServer({
      ...{ noServer: true, clientTracking: false, maxPayload, perMessageDeflate, closeTimeout },
      handleProtocols: (offered: ReadonlySet<string>) => protocols.find((one) => offered.has(one)) ?? false,
    });
    this.#http = new Server({ keepAlive: false });
    this.#http.on("upgrade", (request, stream, head) => void this.#onUpgrade(request, stream, head));
    this.#http.on("request", (request, response) => this.#onRequest(request, response));
    this.#http.on(
      "clientError",
      (error, stream) => this.#refuse(stream, 400, "the request is none of HTTP", error),
    );
  }

  /**
   * Waits for the request of one connection, and answers it.
   *
   * @param stream The connection; it is ended where it becomes no WebSocket, after the answer.
   * @param remoteAddress Where it comes from.
   * @returns The WebSocket, open.
   * @throws What was wrong with the request or the connection.
   */
  upgrade(stream: Duplex, remoteAddress: WebSocketRequest["remoteAddress"]): Promise<NodeWebSocket> {
    const upgraded = Promise.withResolvers<NodeWebSocket>();
    const candidate: Candidate = { remoteAddress, upgraded, problem: undefined };
    this.#candidates.set(stream, candidate);
    const failed = (): void => {
      const { why, cause = stream.errored ?? undefined } = candidate.problem ??
        { why: "the connection ended" };
      upgraded.reject(new Error(`Cannot open a WebSocket: ${why}`, { cause }));
    };
    stream.once("close", failed);
    this.#http.emit("connection", stream);
    return upgraded.promise.finally(() => stream.off("close", failed));
  }

  async #onUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> {
    const candidate = this.#candidates.get(stream);
    if (!candidate) return void stream.destroy();
    // Whatever goes wrong with it, the end follows.
    stream.on("error", () => {});
    const { path, allow } = this.#options;
    try {
      const asked = request.url ?? "";
      if (pathOf(asked) !== pathOf(path)) {
        return this.#refuse(stream, 404, `the client asked for ${JSON.stringify(asked.slice(0, 200))}`);
      }
      const { remoteAddress } = candidate;
      if (allow && !await allow({ path: asked, headers: headersOf(request), remoteAddress })) {
        return this.#refuse(stream, 403, "the client is not let in");
      }
      candidate.problem = { why: "the client asked for none that we speak" };
      this.#upgrader.handleUpgrade(request, stream, head, (socket) => candidate.upgraded.resolve(socket));
    } catch (error) {
      this.#refuse(stream, 500, "it could not be decided", error);
    }
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const candidate = this.#candidates.get(request.socket);
    if (candidate) candidate.problem = { why: "the client asked for something else" };
    response.writeHead(426, { connection: "close", upgrade: "websocket" });
    response.end();
  }

  #refuse(stream: Duplex, status: number, why: string, cause?: unknown): void {
    const candidate = this.#candidates.get(stream);
    if (candidate) candidate.problem ??= { why, cause };
    if (stream.destroyed || !stream.writable) return void stream.destroy();
    const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, "connection: close", "content-length: 0"];
    stream.once("finish", () => stream.destroy());
    stream.end(`${lines.join("\r\n")}\r\n\r\n`);
  }
}

function pathOf(asked: string): string {
  return asked.replace(/\?.*$/s, "") || "/";
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    headers.append(rawHeaders[at] ?? "", rawHeaders[at + 1] ?? "");
  }
  return headers;
}

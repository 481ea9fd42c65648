/** HTTP over a listener from elsewhere. */

import { type Logger, logUncaught } from "../../internal/log.ts";
import type { HostAddress, UnixAddress } from "../address.ts";
import { closeDescriptor } from "./_adopt.ts";
import type { AdoptedListener } from "./_adopted_listener.ts";
import { tryCalls } from "./_descriptor_calls.ts";
import { serveByNode } from "./_node_http.ts";
import { transplant, transplantObstacle } from "./_transplant.ts";

/** Answers a request. */
export type HttpHandler = (request: Request) => Response | Promise<Response>;

/** What {@linkcode serveHttp} takes. */
export interface ServeHttpOptions {
  /**
   * What does the work: the runtime's own server, with the listener put in the place of its own, which Linux allows to who has
   * `--allow-ffi` for the C library and `--allow-net=127.0.0.1`; or Node's part of the runtime, which is always possible.
   *
   * @default {"auto"} The runtime's own where that can be done.
   */
  readonly by?: "auto" | "Deno.serve" | "node:http";
  /**
   * Where is reported what the handler throws; the client only hears of an error 500.
   *
   * @default {undefined} The process-wide logger, or the console where there is none.
   */
  readonly logger?: Logger | undefined;
}

/** A server of HTTP. */
export interface HttpServer extends AsyncDisposable {
  /** Where it listens. */
  readonly localAddress: HostAddress | UnixAddress;
  /** What does the work. */
  readonly by: "Deno.serve" | "node:http";
  /** Why it is not the runtime's own server, or `null` where it is, or was not asked for. */
  readonly note: string | null;
  /** Resolves when it has ended. */
  readonly finished: Promise<void>;
  /** Stops listening, and resolves when the requests under way are answered. Whoever else has the listener goes on. */
  shutdown(): Promise<void>;
}

/**
 * Serves HTTP on a listener that came from elsewhere: by {@linkcode receive}, or by {@linkcode listenFds}.
 *
 * Both ways give the handler the same requests. Only the runtime's own server can make a WebSocket of one
 * (`Deno.upgradeWebSocket`).
 *
 * @param listener The listener; it belongs to the server from now on.
 * @param handler Answers each request.
 * @param options What does the work.
 * @returns The server.
 * @throws {TypeError} With `by: "Deno.serve"` where that cannot be done; the listener is as before.
 *
 * @example
 * ```ts
 * import { listenFds, serveHttp } from "@holdfast/net/pipes/push";
 * import { assertEquals } from "@std/assert";
 *
 * const servers = [];
 * for (const { name, socket } of await listenFds()) {
 *   if (socket?.kind !== "listener") continue;
 *   servers.push(await serveHttp(socket, () => new Response(`served by ${name}`)));
 * }
 * // Started by systemd there is one for each of its lines, started by hand none.
 * assertEquals(servers, []);
 * ```
 */
export async function serveHttp(
  listener: AdoptedListener,
  handler: HttpHandler,
  options: ServeHttpOptions = {},
): Promise<HttpServer> {
  const { by = "auto", logger } = options;
  const answer = async (request: Request): Promise<Response> => {
    try {
      return await handler(request);
    } catch (error) {
      logUncaught(logger, "A handler of HTTP requests threw", error);
      return new Response("Internal Server Error", { status: 500 });
    }
  };
  if (by === "node:http") return await serveByNode(listener, answer, null);
  const obstacle = listener.transport === "unix"
    ? "a Unix socket cannot take the place of a listener of TCP"
    : await transplantObstacle();
  if (obstacle === null) return serveByRuntime(listener, answer);
  if (by === "Deno.serve") throw new TypeError(`Cannot serve HTTP by Deno.serve: ${obstacle}`);
  return await serveByNode(listener, answer, obstacle);
}

function serveByRuntime(
  listener: AdoptedListener,
  handler: (request: Request) => Promise<Response>,
): HttpServer {
  const { localAddress } = listener;
  // This one listens on a port that nobody knows, and only until the turn is over.
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
  const fd = listener.release();
  try {
    transplant(fd, server.addr.port);
  } catch (error) {
    void server.shutdown();
    using calls = tryCalls();
    void closeDescriptor(calls, fd);
    throw error;
  }
  return {
    localAddress,
    by: "Deno.serve",
    note: null,
    finished: server.finished,
    shutdown: () => server.shutdown(),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

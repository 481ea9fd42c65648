/** A server that fails in the way a test asks for, over TCP or TLS, until it is told to be well again. */

import { createServer, type Server, type Socket } from "node:net";
import { type Clock, systemClock } from "../internal/clock.ts";
import { HoldfastError } from "../internal/errors.ts";
import { serveHttpFault } from "./_fault_server_http.ts";
import { type Link, openLink } from "./_fault_server_link.ts";
import { serveStreamFault } from "./_fault_server_stream.ts";
import { serveWebSocketFault } from "./_fault_server_websocket.ts";
import type { Fault } from "./fault.ts";

/** How a {@linkcode FaultServer} is set up. */
export interface FaultServerOptions {
  /** What it does to each connection in the beginning. */
  readonly fault: Fault;
  /**
   * The IP address to listen on.
   *
   * @default {"127.0.0.1"}
   */
  readonly hostname?: string;
  /**
   * The TCP port to listen on.
   *
   * @default a free one
   */
  readonly port?: number;
  /** Certificate and key in PEM: with them the server speaks TLS, and its faults are inside. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /**
   * Source of time for `drip`.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** A running server. */
export interface FaultServer extends AsyncDisposable {
  /** The IP address it listens on. */
  readonly hostname: string;
  /** The port it listens on. */
  readonly port: number;
  /** What it does to new connections. */
  readonly fault: Fault;
  /** How many connections it has accepted so far. */
  readonly connections: number;
  /** How many of them are open now, as far as the server can know. */
  readonly open: number;
  /**
   * Changes what it does to new connections; those that are open go on as they began.
   *
   * @param fault The new behaviour; `{ type: "echo" }` or `{ type: "http" }` heals it.
   */
  setFault(fault: Fault): void;
  /**
   * Ends all open connections.
   *
   * @param how By a FIN, as if the process had died, or by an RST.
   */
  cut(how: "end" | "reset"): void;
  /**
   * Waits for connections.
   *
   * @param count How many, counted from the start of the server.
   * @returns Resolves when there have been that many; rejects when the server is closed before.
   */
  connected(count: number): Promise<void>;
  /** Closes the server and all its connections; safe twice. */
  close(): Promise<void>;
}

/**
 * Starts a server with the fault of your choice.
 *
 * Needs the permission `net` for its address.
 *
 * @param options The fault, where it listens, and whether it speaks TLS.
 * @returns The server, listening.
 *
 * @example
 * ```ts
 * import { startFaultServer } from "@holdfast/net/testing";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * await using server = await startFaultServer({ fault: { type: "http-body-cut" } });
 * const url = `http://127.0.0.1:${server.port}/`;
 * const broken = await fetch(url);
 * await assertRejects(() => broken.text(), TypeError);
 *
 * server.setFault({ type: "http", body: "well again" });
 * assertEquals(await (await fetch(url)).text(), "well again");
 * ```
 */
export async function startFaultServer(options: FaultServerOptions): Promise<FaultServer> {
  const { hostname = "127.0.0.1", port = 0 } = options;
  const server = new FakeServer(options);
  await server.listen(hostname, port);
  return server;
}

class FakeServer implements FaultServer {
  readonly #options: FaultServerOptions;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly #waiting = new Set<{ count: number; resolve: () => void; reject: (error: Error) => void }>();
  #fault: Fault;
  #closed: Promise<void> | undefined;
  connections = 0;
  hostname = "";
  port = 0;

  constructor(options: FaultServerOptions) {
    this.#options = options;
    this.#fault = options.fault;
    // Half-open, so that the other end's FIN does not bring ours; paused, so that nothing is read that should not be.
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (raw) => this.#take(raw));
  }

  get fault(): Fault {
    return this.#fault;
  }

  get open(): number {
    return this.#links.size;
  }

  listen(hostname: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: hostname, port }, () => {
        this.#server.off("error", reject);
        const address = this.#server.address();
        if (address === null || typeof address === "string") return;
        this.hostname = address.address;
        this.port = address.port;
        resolve();
      });
    });
  }

  setFault(fault: Fault): void {
    this.#fault = fault;
  }

  cut(how: "end" | "reset"): void {
    for (const { raw } of this.#links) how === "end" ? raw.destroy() : raw.resetAndDestroy();
  }

  connected(count: number): Promise<void> {
    if (this.connections >= count) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.add({ count, resolve, reject }));
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const { count, reject } of this.#waiting) {
      const why = `Cannot wait for ${count} connections: the fault server is closed`;
      reject(new HoldfastError(why, { code: "closed", operation: "wait for connections" }));
    }
    this.#waiting.clear();
    this.cut("end");
    await closed;
  }

  #take(raw: Socket): void {
    const { tls, clock = systemClock } = this.#options;
    const fault = this.#fault;
    const link = openLink(raw, { tls: belowTls(fault) ? undefined : tls, clock });
    this.#links.add(link);
    raw.once("close", () => this.#links.delete(link));
    serveFault(fault, link);
    this.connections++;
    for (const waiting of this.#waiting) {
      if (this.connections < waiting.count) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }
}

/** Whether a fault happens before any TLS could. */
function belowTls(fault: Fault): boolean {
  if (fault.type === "silent") return fault.handshake !== true;
  return fault.type === "half-handshake" || fault.type === "not-tls" || fault.type === "never-read";
}

function serveFault(fault: Fault, link: Link): void {
  switch (fault.type) {
    case "http":
    case "http-status":
    case "http-header-stall":
    case "http-body-stall":
    case "http-body-cut":
    case "http-pooled-cut":
    case "redirect":
      return serveHttpFault(fault, link);
    case "websocket":
    case "websocket-half-open":
    case "websocket-reset":
      return serveWebSocketFault(fault, link);
    default:
      return serveStreamFault(fault, link);
  }
}

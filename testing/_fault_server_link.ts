/** One connection of a fault server: the TCP socket, and the stream that is spoken on it. */

import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Clock } from "../internal/clock.ts";

/** One accepted connection. */
export interface Link {
  /** The TCP socket; cutting it is not seen by what is spoken above. */
  readonly raw: Socket;
  /** What is spoken: the same socket, or TLS on it. */
  readonly stream: Socket;
  /** Source of time. */
  readonly clock: Clock;
}

/** How a link is opened. */
export interface LinkOptions {
  /** Certificate and key, for TLS. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  /** Source of time. */
  readonly clock: Clock;
}

/** Takes an accepted socket, which is paused, and leaves it so. */
export function openLink(raw: Socket, options: LinkOptions): Link {
  const { tls, clock } = options;
  const stream = tls === undefined ? raw : new TLSSocket(raw, { isServer: true, ...tls });
  // What a client does to a server that fails on purpose is none of the server's business.
  raw.on("error", () => raw.destroy());
  if (stream !== raw) stream.on("error", () => raw.destroy());
  raw.setNoDelay(true);
  return { raw, stream, clock };
}

/**
 * Calls back for all that arrives, from now on.
 *
 * @returns Ends the calls; what arrives then waits for the next handler.
 */
export function onBytes({ stream }: Link, handler: (bytes: Uint8Array) => void): () => void {
  stream.on("data", handler);
  stream.resume();
  return () => {
    stream.off("data", handler);
    stream.pause();
  };
}

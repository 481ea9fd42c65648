/** Listeners over the runtime's own: TCP, TLS, Unix. */

import { closeQuietly } from "../recover/_connections.ts";
import type { PipeAddress } from "./address.ts";
import { connLink, type ConnLinkOptions, type StreamConn } from "./_conn_link.ts";
import type { Link, LinkListener } from "./_link.ts";

/** What the runtime's listeners have in common. */
export interface StreamListener {
  /** Waits for the next connection. */
  accept(): Promise<StreamConn>;
  /** Ends the listening. */
  close(): void;
  /** Lets a pending accept keep the process alive. */
  ref(): void;
  /** Lets a pending accept not keep the process alive. */
  unref(): void;
}

/** How a listener's connections become links. */
export interface ConnListenerOptions extends ConnLinkOptions {
  /** Where it listens. */
  readonly address: PipeAddress;
  /** What does the work, and why it is nothing better. */
  readonly report?: NonNullable<LinkListener["report"]>;
  /** Done to each connection before anything else. */
  readonly prepare?: (conn: StreamConn) => unknown;
  /** Done when it was closed. */
  readonly closed?: () => void | Promise<void>;
}

/** Makes a listener of links of a listener of connections. */
export function connListener(listener: StreamListener, options: ConnListenerOptions): LinkListener {
  return new ConnListener(listener, options);
}

class ConnListener implements LinkListener {
  readonly addresses: readonly PipeAddress[];
  readonly report: NonNullable<LinkListener["report"]>;
  readonly #listener: StreamListener;
  readonly #options: ConnListenerOptions;
  #accepting: Promise<unknown> | undefined;
  #closing: Promise<void> | undefined;

  constructor(listener: StreamListener, options: ConnListenerOptions) {
    this.#listener = listener;
    this.#options = options;
    this.addresses = [options.address];
    this.report = options.report ?? { by: "native", note: null };
    // Whoever waits for a connection keeps the process alive; a listener does not.
    listener.unref();
  }

  async accept(): Promise<Link | null> {
    if (this.#closing) return null;
    let conn: StreamConn;
    try {
      const accepting = this.#listener.accept();
      this.#accepting = accepting;
      conn = await accepting;
    } catch (error) {
      if (this.#closing) return null;
      throw error;
    }
    try {
      this.#options.prepare?.(conn);
      return connLink(conn, this.#options);
    } catch (error) {
      // It was over before it was looked at: nobody's but its own affair.
      closeQuietly(conn);
      throw Object.assign(new Error(`Cannot accept: ${(error as Error).message}`, { cause: error }), {
        code: "ECONNABORTED",
      });
    }
  }

  close(): Promise<void> {
    return this.#closing ??= (async () => {
      // Until a pending accept has been called off, the address is not free; that has to be waited for.
      this.#listener.ref();
      closeQuietly(this.#listener);
      await this.#accepting?.catch(() => {});
      await this.#options.closed?.();
    })();
  }
}

/** What a pipe over WebSocket can be told besides what every pipe is told. */

import { checkNumber } from "../recover/_check.ts";

/** When the other end is asked for a sign of life, by WebSocket's own ping. */
export interface WebSocketHeartbeatOptions {
  /**
   * How long the connection may be quiet before the other end is asked, in milliseconds.
   *
   * @default {15_000}
   */
  readonly interval?: number;
  /**
   * How long the answer may take, in milliseconds; the connection is dead when a second ping brings no answer either.
   *
   * @default {undefined} Three times the smoothed round-trip time, at least 2000.
   */
  readonly timeout?: number;
}

/** What both ends of a pipe over WebSocket take. */
export interface WebSocketOptions {
  /**
   * The subprotocols: of a client those it offers, best first; of a server those it speaks, best first, and a client that
   * offers none of them gets none.
   *
   * @default {[]}
   */
  readonly protocols?: readonly string[];
  /**
   * How many bytes a message of the other end may have; a longer one ends the pipe, before it is read.
   *
   * @default {16 * 1024 * 1024}
   */
  readonly maxPayload?: number;
  /**
   * Whether messages that are given as text are sent as binary messages as well. All that is received is bytes.
   *
   * @default {false} Text is sent as text.
   */
  readonly binary?: boolean;
  /**
   * Whether messages may be compressed (RFC 7692). It costs memory and time on each connection, and one packet of the other
   * end may become a thousand times its size before it is held back.
   *
   * @default {false}
   */
  readonly compression?: boolean;
  /**
   * How many bytes may wait for a reader before the other end is held back. Pings are seen, and answered, until then.
   *
   * @default {64 * 1024}
   */
  readonly readAhead?: number;
  /**
   * Notices an other end that is gone without a word, and measures the round-trip time. One that stops reading does not
   * answer either, and counts as gone after a while; one that we do not read from is not judged.
   *
   * @default {undefined} Nobody asks.
   */
  readonly heartbeat?: WebSocketHeartbeatOptions;
  /**
   * For how many milliseconds closing waits for the other end's goodbye.
   *
   * @default {2000}
   */
  readonly closeTimeout?: number;
}

/** What a client's end of a pipe over WebSocket takes. */
export interface WebSocketConnectOptions extends WebSocketOptions {
  /**
   * Headers of the request, for example `authorization` or `origin`.
   *
   * @default {{}}
   */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A client that asks for a WebSocket. */
export interface WebSocketRequest {
  /** The path and query that it asks for. */
  readonly path: string;
  /** The headers of its request. */
  readonly headers: Headers;
  /** Where it is. */
  readonly remoteAddress: { readonly hostname: string; readonly port: number };
}

/** What a server's end of pipes over WebSocket takes. */
export interface WebSocketListenOptions extends WebSocketOptions {
  /**
   * Says who may come in; the others are answered with 403. A server that browsers use with cookies has to look at `origin`
   * here, since any page may connect to it.
   *
   * @default {undefined} Everybody who asks for the path of the URL.
   */
  readonly allow?: (request: WebSocketRequest) => boolean | Promise<boolean>;
}

/** The options that have a default, filled in. */
export type CheckedWebSocketOptions =
  & Required<Omit<WebSocketOptions, "heartbeat">>
  & Pick<WebSocketOptions, "heartbeat">;

/** A word as HTTP has it (RFC 9110 section 5.6.2). */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Checks them, and fills in the defaults. */
export function checkWebSocketOptions(operation: string, options: WebSocketOptions): CheckedWebSocketOptions {
  const { protocols = [], binary = false, compression = false, heartbeat } = options;
  const { maxPayload = 16 * 1024 * 1024, readAhead = 64 * 1024, closeTimeout = 2000 } = options;
  for (const [index, protocol] of protocols.entries()) {
    if (!TOKEN.test(protocol) || protocols.indexOf(protocol) !== index) {
      const why = "a subprotocol is a word of HTTP and stands there once";
      throw new TypeError(`Cannot ${operation}: ${why}, got ${JSON.stringify(protocol)}`);
    }
  }
  // The library keeps the limit in 32 bits.
  checkNumber(operation, "maxPayload", maxPayload, { from: 1, to: 2 ** 31 - 1, whole: true });
  checkNumber(operation, "readAhead", readAhead);
  checkNumber(operation, "closeTimeout", closeTimeout, { to: 2 ** 31 - 1 });
  const { interval, timeout } = heartbeat ?? {};
  if (interval !== undefined) checkNumber(operation, "heartbeat.interval", interval, { above: true });
  if (timeout !== undefined) checkNumber(operation, "heartbeat.timeout", timeout, { above: true });
  return {
    protocols,
    maxPayload,
    binary,
    compression,
    readAhead,
    closeTimeout,
    ...(heartbeat ? { heartbeat } : {}),
  };
}

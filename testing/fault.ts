/** The ways in which a fault server can fail, as data. */

/** Echoes what it gets; ends when the other end does. Nothing is wrong with it. */
export interface EchoFault {
  /** The tag. */
  readonly type: "echo";
}

/** Accepts, reads, and never answers: a middlebox, or a process that hangs. */
export interface SilentFault {
  /** The tag. */
  readonly type: "silent";
  /**
   * Whether it does the TLS handshake before, where it speaks TLS.
   *
   * @default {false}
   */
  readonly handshake?: boolean;
}

/** Accepts and never reads: once the buffers between are full (some MiB), the other end's writes wait for ever. */
export interface NeverReadFault {
  /** The tag. */
  readonly type: "never-read";
}

/** Takes the first message of a TLS handshake and does not finish its answer. */
export interface HalfHandshakeFault {
  /** The tag. */
  readonly type: "half-handshake";
  /**
   * How many bytes of a TLS record it answers with, at most 11.
   *
   * @default {0}
   */
  readonly answer?: number;
  /**
   * What it does then: keep the connection open in silence, send a FIN, or an RST.
   *
   * @default {"silent"}
   */
  readonly then?: "silent" | "end" | "reset";
}

/** Echoes a number of bytes and sends an RST: a firewall, a load balancer, a process that died with unread data. */
export interface ResetFault {
  /** The tag. */
  readonly type: "reset";
  /**
   * How many bytes it echoes before. With 0 the RST follows the accept, and the other end's connect may see it.
   *
   * @default {0}
   */
  readonly after?: number;
}

/**
 * Echoes a number of bytes and sends a FIN (over TLS with its goodbye). What arrives later is met by an RST. It is what
 * the death of a process looks like from the other end.
 */
export interface EndFault {
  /** The tag. */
  readonly type: "end";
  /**
   * How many bytes it echoes before.
   *
   * @default {0}
   */
  readonly after?: number;
}

/** Echoes a number of bytes over TLS, and sends a FIN without TLS's goodbye (`close_notify`): the answer is cut. */
export interface CloseWithoutNotifyFault {
  /** The tag. */
  readonly type: "close-without-notify";
  /**
   * How many bytes it echoes before.
   *
   * @default {1}
   */
  readonly after?: number;
}

/** Sends one byte at a time, for ever: too little to be of use, too much for a deadline on silence. */
export interface DripFault {
  /** The tag. */
  readonly type: "drip";
  /**
   * Milliseconds between two bytes.
   *
   * @default {1000}
   */
  readonly interval?: number;
  /**
   * What it sends, byte by byte; after its end come dots.
   *
   * @default {""}
   */
  readonly text?: string;
}

/** Reads a part of what is sent, answers, and closes while the other end still writes. */
export interface EarlyReplyFault {
  /** The tag. */
  readonly type: "early-reply";
  /**
   * How many bytes it reads before.
   *
   * @default {1024}
   */
  readonly after?: number;
  /**
   * What it answers.
   *
   * @default {"too much"}
   */
  readonly text?: string;
}

/** Speaks plain HTTP where TLS is expected. */
export interface NotTlsFault {
  /** The tag. */
  readonly type: "not-tls";
}

/** Answers requests as it should. */
export interface HttpFault {
  /** The tag. */
  readonly type: "http";
  /**
   * The body of the answer.
   *
   * @default {"ok"}
   */
  readonly body?: string;
}

/** A captive portal: whatever is asked for, the answer is a page to log in at. */
export interface RedirectFault {
  /** The tag. */
  readonly type: "redirect";
  /**
   * 302 sends the asker to `/login` on the same server, where the page is; 200 gives him the page at once.
   *
   * @default {302}
   */
  readonly status?: 200 | 302;
}

/** Answers with a status, as an overloaded server does. */
export interface HttpStatusFault {
  /** The tag. */
  readonly type: "http-status";
  /** The status, for example 429 or 503. */
  readonly status: number;
  /** The value of `Retry-After`: seconds, or a date as HTTP writes it. */
  readonly retryAfter?: number | string;
}

/** Answers with a part of a head, and says no more. */
export interface HttpHeaderStallFault {
  /** The tag. */
  readonly type: "http-header-stall";
}

/** Answers with a head and a part of the body, and says no more. */
export interface HttpBodyStallFault {
  /** The tag. */
  readonly type: "http-body-stall";
}

/** Answers with a head and a part of the body, and closes. */
export interface HttpBodyCutFault {
  /** The tag. */
  readonly type: "http-body-cut";
  /**
   * How the length of the body is told: in advance, or by a last chunk that never comes.
   *
   * @default {"length"}
   */
  readonly framing?: "length" | "chunked";
  /**
   * Whether it closes by FIN or by RST.
   *
   * @default {"end"}
   */
  readonly how?: "end" | "reset";
}

/** Answers the first request of a connection and keeps it open; the next one on it is met by an RST. */
export interface HttpPooledCutFault {
  /** The tag. */
  readonly type: "http-pooled-cut";
}

/** A WebSocket that echoes messages, answers pings and closes as it should. */
export interface WebSocketFault {
  /** The tag. */
  readonly type: "websocket";
}

/** A WebSocket that opens, echoes some messages, and then says nothing any more, not even to a ping or a close. */
export interface WebSocketHalfOpenFault {
  /** The tag. */
  readonly type: "websocket-half-open";
  /**
   * How many messages it echoes before.
   *
   * @default {0}
   */
  readonly after?: number;
}

/** A WebSocket that opens, echoes some messages, and is then cut by an RST. */
export interface WebSocketResetFault {
  /** The tag. */
  readonly type: "websocket-reset";
  /**
   * How many messages it echoes before.
   *
   * @default {0}
   */
  readonly after?: number;
}

/** What a fault server does to a connection, and, so that it can be healed, what one does that is well. */
export type Fault =
  | EchoFault
  | SilentFault
  | NeverReadFault
  | HalfHandshakeFault
  | ResetFault
  | EndFault
  | CloseWithoutNotifyFault
  | DripFault
  | EarlyReplyFault
  | NotTlsFault
  | HttpFault
  | RedirectFault
  | HttpStatusFault
  | HttpHeaderStallFault
  | HttpBodyStallFault
  | HttpBodyCutFault
  | HttpPooledCutFault
  | WebSocketFault
  | WebSocketHalfOpenFault
  | WebSocketResetFault;

/** How a WebSocket ends that does not end well. */

/**
 * A WebSocket was closed with a code that tells of no clean end (RFC 6455 section 7.4): the `cause` of the
 * {@linkcode PipeError} that ended its pipe.
 */
export class WebSocketCloseError extends Error {
  /** The class's name. */
  override name = "WebSocketCloseError";
  /** As an event of the runtime's own WebSocket has it; {@linkcode classify} knows it by that. */
  readonly type = "close";
  /** Whether the other end said goodbye. */
  readonly wasClean: boolean;
  /** The code; 1006 where the connection was lost without one. */
  readonly code: number;
  /** What the other end said about it. */
  readonly reason: string;

  /**
   * Makes an error.
   *
   * @param code The code.
   * @param reason What the other end said about it.
   * @param cause What went wrong below, where that is known.
   */
  constructor(code: number, reason: string, cause?: unknown) {
    const lost = code === 1006 || code === 0;
    const below = cause instanceof Error ? ` (${cause.message})` : "";
    // What others wrote must not look like something that we did.
    const said = reason === "" ? "" : `, ${JSON.stringify(reason)}`;
    super(
      lost
        ? `the WebSocket was lost without a goodbye${below}`
        : `the WebSocket was closed with ${code}${said}`,
      cause instanceof Error ? { cause } : {},
    );
    this.code = code === 0 ? 1006 : code;
    this.reason = reason;
    this.wasClean = !lost;
  }
}

/**
 * Whether an end was meant: closed, going away, or closed without any code.
 *
 * @param code The code.
 * @param reason What was said about it; the runtime goes away as well where the other end did not answer its ping.
 */
export function isCleanClose(code: number, reason: string): boolean {
  return code === 1000 || code === 1005 || (code === 1001 && reason !== "No response from ping frame.");
}

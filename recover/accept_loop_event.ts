/** What an accept loop tells of. */

/** What `AcceptLoop.on()` tells of. */
export type AcceptLoopEvent =
  | {
    /** Accepting failed, and is tried again after a pause. */
    readonly type: "pause";
    /** When, in milliseconds since 1970. */
    readonly at: number;
    /** What the system said. */
    readonly error: unknown;
    /** For how many milliseconds. */
    readonly delay: number;
  }
  | {
    /** A connection was closed at once, because there were too many. */
    readonly type: "shed";
    /** When, in milliseconds since 1970. */
    readonly at: number;
    /** Too many in all, or from that address. */
    readonly reason: "connections" | "address";
    /** Where it came from. */
    readonly remoteAddr: Deno.Addr;
  }
  | {
    /** A connection was cut, because its first message did not come in time. */
    readonly type: "expired";
    /** When, in milliseconds since 1970. */
    readonly at: number;
    /** Where it came from. */
    readonly remoteAddr: Deno.Addr;
  };

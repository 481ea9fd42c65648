/** What a breaker does, and tells. */

import type { Failure } from "./failure.ts";

/** What a breaker does with calls. */
export type BreakerState =
  | {
    /** Calls go through. */
    readonly type: "closed";
  }
  | {
    /** Calls are turned away. */
    readonly type: "open";
    /** For how many milliseconds still. */
    readonly retryAfter: number;
    /** The failure that was one too many. */
    readonly failure: Failure;
  }
  | {
    /** A few calls go through as trials, the others are turned away. */
    readonly type: "half-open";
    /** The failure that was one too many. */
    readonly failure: Failure;
  }
  | {
    /** All calls are turned away until somebody calls `reset()`. */
    readonly type: "isolated";
  };

/** What happens to a breaker. */
export type BreakerEvent =
  | {
    /** Too many calls have failed: from now on they are turned away. */
    readonly type: "open";
    /** When, in milliseconds since 1970. */
    readonly at: number;
    /** What the calls depend on, the empty text without the option `key`. */
    readonly key: string;
    /** The network, as {@linkcode networkKey} names it. */
    readonly network: string;
    /** For how many milliseconds. */
    readonly retryAfter: number;
    /** The failure that was one too many. */
    readonly failure: Failure;
  }
  | {
    /** It lets trials through, or all calls again. */
    readonly type: "halfopen" | "close";
    /** When, in milliseconds since 1970. */
    readonly at: number;
    /** What the calls depend on, the empty text without the option `key`. */
    readonly key: string;
    /** The network, as {@linkcode networkKey} names it. */
    readonly network: string;
  };

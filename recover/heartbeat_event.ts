/** What a heartbeat tells of its connection. */

import type { DeadPeerError } from "./dead_peer_error.ts";

/** Whether somebody is at the other end, as far as is known; `closed` once the heartbeat was disposed. */
export type HeartbeatStatus = "alive" | "suspect" | "dead" | "closed";

/** What a heartbeat tells. */
export type HeartbeatEvent =
  | {
    /** A ping was answered. */
    readonly type: "pong";
    /** When, in milliseconds since 1970. */
    readonly at: number;
    /** How long that took, in milliseconds. */
    readonly rtt: number;
  }
  | {
    /** A ping was not answered in time; or after that there was a sign of life. */
    readonly type: "suspect" | "alive";
    /** When, in milliseconds since 1970. */
    readonly at: number;
  }
  | {
    /** The connection is dead; nothing comes after this. */
    readonly type: "dead";
    /** When, in milliseconds since 1970. */
    readonly at: number;
    /** Why. */
    readonly error: DeadPeerError;
  };

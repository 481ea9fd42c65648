/** What a pipe with a session shows besides what all pipes do. */

import type { Failure } from "../../recover/failure.ts";
import type { PipeAddress, Transport } from "../address.ts";
import type { PipeBase } from "../pipe.ts";

/**
 * What a session is now: `open` over a connection; `suspended` without one, to go on when there is one again; `closed` by
 * both ends; `lost`.
 */
export type SessionState = "open" | "suspended" | "closed" | "lost";

/** A session as it is now. */
export interface SessionInfo {
  /** Its name, 32 hexadecimal digits: the same at both ends, and in all logs. It opens nothing. */
  readonly id: string;
  /** What it is now. */
  readonly state: SessionState;
  /** How the connection below is protected: by a sealed carrier, by TLS, or not at all. */
  readonly secrecy: "sealed" | "tls" | "plain";
  /** The Ed25519 public key that the other end of a sealed session has proven to own, 32 bytes; `null` where it showed none. */
  readonly peerKey: Uint8Array | null;
  /** What the client said first; empty at the client. */
  readonly greeting: Uint8Array;
  /** Which connection it is, from 1; it goes up with every attempt. */
  readonly epoch: number;
  /** How many bytes were given to the session. */
  readonly sent: number;
  /** Of these, how many the other end's application has certainly got. */
  readonly acknowledged: number;
  /** How many bytes of the other end were handed to the application. */
  readonly received: number;
  /** How often it went on after a loss. */
  readonly resumes: number;
  /** How often it moved to another connection without being suspended. */
  readonly migrations: number;
  /** For how many milliseconds in all it had no connection. */
  readonly suspended: number;
}

/** A pipe whose session outlives its connections. */
export interface SessionPipe extends PipeBase<Transport, PipeAddress> {
  /** Whether it outlives its connection: it does. */
  readonly resumable: true;
  /** The session, always as it is now. */
  readonly session: SessionInfo;
  /**
   * Moves to a new connection while the old one works, which is closed afterwards. At the client only.
   *
   * @returns Resolves when the new one carries the session.
   * @throws {PipeError} When no other connection could be opened; the session then goes on as before.
   */
  migrate(): Promise<void>;
}

/** The connection below a session is lost; what is sent waits. */
export interface PipeSuspendedEvent {
  /** The tag. */
  readonly type: "suspended";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** What the connection was lost by. */
  readonly failure: Failure;
}

/** A suspended session has a connection again, and goes on where it was. */
export interface PipeResumedEvent {
  /** The tag. */
  readonly type: "resumed";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** For how many milliseconds it was suspended. */
  readonly after: number;
  /** How often that has happened by now. */
  readonly resumes: number;
}

/** A session that was open has moved to another connection. */
export interface PipeMigratedEvent {
  /** The tag. */
  readonly type: "migrated";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** Our end of the connection before. */
  readonly from: PipeAddress;
  /** Our end of the connection now. */
  readonly to: PipeAddress;
}

/** What happens to a session. */
export type PipeSessionEvent = PipeSuspendedEvent | PipeResumedEvent | PipeMigratedEvent;

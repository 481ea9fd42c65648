/** What a session's core is told, and what it shows. */

/** How a session is set up; what both ends agreed on. */
export interface SessionCoreOptions {
  /** Which end this is. */
  readonly role: "client" | "server";
  /** How many bytes may be sent and not acknowledged, in each direction. */
  readonly window: number;
  /** After how many milliseconds of silence the client asks; 0 for never. */
  readonly keepalive: number;
  /** The time in milliseconds, on a clock that never goes back. */
  readonly now: () => number;
}

/** Why a session is lost. */
export interface SessionFailure {
  /** The code of ABORT. */
  readonly code: number;
  /** What was wrong, in words. */
  readonly reason: string;
  /** Which end said so. */
  readonly by: "local" | "remote";
}

/** One carrier's side of a session. Once another carrier is attached, all calls do nothing. */
export interface Attachment {
  /** Whether it still carries the session. */
  readonly current: boolean;
  /**
   * Takes bytes in that came over the carrier, after the handshake.
   *
   * @param bytes However they are cut; the caller's again when this returns.
   */
  receive(bytes: Uint8Array): void;
  /**
   * What to write to the carrier next. Called again when that was written; it stays as it is until then.
   *
   * @returns The bytes; `null` when there is nothing now: `onOutput` of the core tells when there is.
   */
  next(): Uint8Array<ArrayBuffer> | null;
  /** The carrier is lost. */
  detach(): void;
}

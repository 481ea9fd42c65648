/**
 * Sessions that outlive their connections: the server's end, and the keys of sealed sessions. The client's end is `connect()` of
 * `@holdfast/net/pipes` with a URL that begins with `resume+`.
 *
 * @module
 */

export { serveSessions } from "./serve_sessions.ts";
export type {
  RestoredSession,
  SaveSessionsOptions,
  SessionDrainOptions,
  SessionServer,
  SessionServerStatus,
  SessionSnapshotOptions,
  SessionStatus,
  SessionUpgradeOptions,
  UpgradedSession,
} from "./session_server.ts";
export type {
  SessionCaller,
  SessionServerOptions,
  SessionServerSealOptions,
} from "./session_server_options.ts";
export {
  formatKey,
  formatPublicKey,
  KeyPair,
  type MakeKeyOptions,
  makeKeyPair,
  makeSharedKey,
  parseKey,
  parsePublicKeys,
  type PublicKey,
  SharedKey,
} from "./key_text.ts";
export { readKeyFile, readPublicKeysFile, writeKeyFile, writePublicKeysFile } from "./key_file.ts";
export { SessionHandshakeError } from "./handshake_error.ts";
export type { HandshakeFailureReason } from "./_handshake.ts";
export { SessionLost, type SessionLostOptions, type SessionLostReason } from "./session_lost.ts";
export type {
  PipeMigratedEvent,
  PipeResumedEvent,
  PipeSessionEvent,
  PipeSuspendedEvent,
  SessionInfo,
  SessionPipe,
  SessionState,
} from "./session.ts";
export type { ResumeMode, SessionIdentity, SessionOptions, SessionSealOptions } from "./session_options.ts";

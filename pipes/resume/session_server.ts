/** What a server of sessions is, and shows. */

import type { PipeAddress } from "../address.ts";
import type { Store } from "../../internal/store.ts";
import type { PipeServer } from "../server.ts";
import type { SessionInfo, SessionPipe, SessionState } from "./session.ts";

/** One session, as a server tells of it. It holds no secret. */
export interface SessionStatus {
  /** Its name, 32 hexadecimal digits. */
  readonly id: string;
  /** Whether it has a connection. */
  readonly state: SessionState;
  /** How the connection below is protected. */
  readonly secrecy: SessionInfo["secrecy"];
  /** The other end, or where it was last. */
  readonly remoteAddress: PipeAddress;
  /** Bytes that the server has sent. */
  readonly sent: number;
  /** Of these, how many the client's application has certainly got. */
  readonly acknowledged: number;
  /** Bytes that the server's application has got. */
  readonly received: number;
  /** How often it went on after a loss. */
  readonly resumes: number;
  /** For how many milliseconds in all it had no connection. */
  readonly suspended: number;
  /** Smoothed round-trip time in milliseconds; `null` before it was measured. */
  readonly roundTrip: number | null;
  /** Bytes of memory held for what is on its way. */
  readonly memory: number;
}

/** A server's sessions at one moment. */
export interface SessionServerStatus {
  /** Those that have a connection or may get one again. */
  readonly sessions: readonly SessionStatus[];
  /** Connections that have not proven anything yet. */
  readonly handshakes: number;
  /** Sessions that were offered to clients who have not answered, and those that are over and still remembered. */
  readonly remembered: number;
  /** Bytes of memory held for what is on its way, in all sessions. */
  readonly memory: number;
}

/** How {@linkcode SessionServer.drain} ends a server. */
export interface SessionDrainOptions {
  /**
   * How many milliseconds the sessions may take to end before they are given up.
   *
   * @default {Infinity}
   */
  readonly timeout?: number;
  /** Gives up what is still there when aborted. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Further URLs by which the clients can reach this server, or the one that takes its place. Clients go only to hosts that
   * their user has named.
   *
   * @default {[]}
   */
  readonly addresses?: readonly string[];
}

/** What {@linkcode SessionServer.upgrade} takes. */
export interface SessionUpgradeOptions {
  /** What `Deno.serve` tells of the request besides: where it came from. Behind a proxy that is the proxy. */
  readonly info?: { readonly remoteAddr: Deno.Addr };
  /**
   * After how many milliseconds without a sign of life the runtime asks the client for one, and again as many until it gives
   * the connection up; 0 for never. Counted in whole seconds.
   *
   * @default {30_000}
   */
  readonly idleTimeout?: number;
}

/** What {@linkcode SessionServer.upgrade} gives. */
export interface UpgradedSession {
  /** What the handler of the request has to return. */
  readonly response: Response;
  /** The session that begins by this request; `null` where it goes on with an earlier one, or where nothing came of it. */
  readonly session: Promise<SessionPipe | null>;
}

/** How sessions are kept for another process. */
export interface SessionSnapshotOptions {
  /**
   * 32 bytes that the snapshots are encrypted with. Without it, who can read the store can take the sessions over.
   *
   * @default {undefined} They are not encrypted.
   */
  readonly key?: Uint8Array | undefined;
  /**
   * How the keys in the store begin.
   *
   * @default {"session/"}
   */
  readonly prefix?: string;
}

/** What {@linkcode SessionServer.snapshot} takes. */
export interface SaveSessionsOptions extends SessionSnapshotOptions {
  /**
   * What the application wants to know of a session in the other process.
   *
   * @default {undefined} Nothing.
   */
  readonly state?: (pipe: SessionPipe) => Uint8Array;
}

/** A session of another process. */
export interface RestoredSession {
  /** The session, without a connection until its client comes. */
  readonly pipe: SessionPipe;
  /** What the application of the other process has left; empty where it has left nothing. */
  readonly state: Uint8Array;
}

/**
 * A server of sessions. Iterate it to get them; those that {@linkcode SessionServer.upgrade} begins are given there.
 *
 * Closing it ends the listening. The sessions that were handed out go on as long as they have a connection, and no longer,
 * as nobody could come back.
 */
export interface SessionServer extends PipeServer<SessionPipe> {
  /**
   * Tells how many sessions there are, and how each of them does.
   *
   * @returns All of it, as it is now.
   */
  status(): SessionServerStatus;
  /**
   * Takes a WebSocket request of a server of the application's own (`Deno.serve`) for a session.
   *
   * @param request The request.
   * @param options What else is known of it.
   * @returns What to answer, and the session.
   */
  upgrade(request: Request, options?: SessionUpgradeOptions): UpgradedSession;
  /**
   * Begins no new session, and waits until those that are there have ended, with or without a connection in the meantime.
   *
   * @param options How long that may take, and where else to go.
   * @returns How many had to be given up.
   */
  drain(options?: SessionDrainOptions): Promise<number>;
  /**
   * Puts all sessions into a store, for another process to go on with, and closes the server. The pipes that were handed out
   * end with an error. What was given to them by `send()` before is in the store, and so is what came and was not handed out;
   * a message that was handed out, also to a subscription, is the application's, which may leave it in its `state`.
   *
   * @param store Where to.
   * @param options Encryption, and what the application wants to keep besides.
   * @returns How many there were.
   * @throws {TypeError} When the framing of the pipes does not allow it; nothing has happened then.
   */
  snapshot(store: Store, options?: SaveSessionsOptions): Promise<number>;
  /**
   * Goes on with the sessions that another process has put into a store. Each of them is taken out of it, so that no two
   * processes go on with the same one.
   *
   * @param store Where from.
   * @param options How they were put there.
   * @returns The sessions, which wait for their clients.
   * @throws {SyntaxError} When one of them is damaged, or encrypted with another key; it stays in the store.
   */
  restore(store: Store, options?: SessionSnapshotOptions): Promise<readonly RestoredSession[]>;
}

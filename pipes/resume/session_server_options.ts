/** What sessions are told, at the end that is connected to. */

import type { SessionIdentity } from "./session_options.ts";
import type { PipeAddress } from "../address.ts";

/** Who asks for a session. */
export interface SessionCaller {
  /** The Ed25519 public key that the client of a sealed session has proven to own, 32 bytes; `null` where it showed none. */
  readonly publicKey: Uint8Array | null;
  /** What the client said first. */
  readonly greeting: Uint8Array;
  /** Where it comes from. */
  readonly address: PipeAddress;
}

/** Who the server of sealed sessions is, at least one of the first two, and whom it lets in. */
export interface SessionServerSealOptions {
  /** 32 bytes that only both ends know. */
  readonly key?: Uint8Array | undefined;
  /** Who the server is. */
  readonly identity?: SessionIdentity | undefined;
  /**
   * The Ed25519 public keys of those who are let in, also to go on with a session.
   *
   * @default {undefined} Everybody who knows the key, and `authorize` lets in.
   */
  readonly clients?: readonly Uint8Array[] | undefined;
}

/** What a server of sessions can be told of them. */
export interface SessionServerOptions {
  /**
   * The most bytes that may be on their way in one session, in each direction; the smaller wish of both ends counts.
   *
   * @default {4_194_304} 64 KiB to 64 MiB
   */
  readonly window?: number;
  /**
   * For how many milliseconds a session may be without a connection, at most, before it is lost.
   *
   * @default {120_000}
   */
  readonly expiry?: number;
  /**
   * After how many milliseconds of silence a client asks for a sign of life, at most; 0 leaves it to the client.
   *
   * @default {15_000}
   */
  readonly keepalive?: number;
  /**
   * Encrypts everything between both ends, whatever carries it. Without `key` it needs `clients` or `authorize`.
   *
   * @default {undefined} What carries the sessions protects them (TLS), or nothing does.
   */
  readonly seal?: SessionServerSealOptions | undefined;
  /**
   * Allows sessions that nothing protects, over TCP or WebSocket, with clients outside of this machine and its private networks:
   * who can read or change the path can read and change the bytes.
   *
   * @default {false}
   */
  readonly plain?: boolean;
  /**
   * Says who may begin a session.
   *
   * @default {undefined} Everybody who has come so far.
   */
  readonly authorize?: ((caller: SessionCaller) => boolean) | undefined;
  /**
   * How many sessions there may be, those without a connection among them. Others are told to come again.
   *
   * @default {`maxConnections`, or 10,000 where there is none}
   */
  readonly maxSessions?: number;
  /**
   * How many of them one client may have: one key where clients show one, else one address, a /64 in IPv6. A proxy in front has
   * one address.
   *
   * @default {`maxPerAddress`, or Infinity where there is none}
   */
  readonly maxPerPeer?: number;
  /**
   * How many new sessions may wait for who takes them. Others are told to come again.
   *
   * @default {128}
   */
  readonly backlog?: number;
  /**
   * How many bytes all sessions together may hold for what is on its way. Above it sessions without a connection are given up,
   * the oldest first, and new ones are told to come again.
   *
   * @default {268_435_456}
   */
  readonly memoryLimit?: number;
  /**
   * How many connections may be at the beginning at once, before they have proven anything; the next ones wait.
   *
   * @default {256}
   */
  readonly maxHandshakes?: number;
  /**
   * How many of them may come from one address, a /64 in IPv6; those above are closed at once.
   *
   * @default {64}
   */
  readonly maxHandshakesPerAddress?: number;
  /**
   * How many milliseconds a connection has to prove what it is, after TLS and WebSocket.
   *
   * @default {5000}
   */
  readonly handshakeTimeout?: number;
  /**
   * Makes safe what the application has made of the bytes that it got, for example in a database: the client may forget bytes
   * only when this has resolved for a position behind them. So after a crash of the server, what a client's `SessionLost` calls
   * acknowledged is safe, and exactly the rest is to be done again. Called with one position at a time for each session; when it
   * rejects, the session is lost. Messages have to be shorter than the window.
   *
   * @default {undefined} What was handed to the application is acknowledged.
   */
  readonly commit?: ((id: string, received: number) => Promise<void>) | undefined;
}

/** What sessions are told, at the end that connects. */

/** A key pair of Ed25519, as `makeKey()` and `readKey()` give it. */
export interface SessionIdentity {
  /** The private key, 32 bytes. */
  readonly seed: Uint8Array;
  /** The public key, 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** How a client knows the server of a sealed session, and who it is itself. At least one of the first two. */
export interface SessionSealOptions {
  /** What only both ends know: 32 bytes, or a `SharedKey`. */
  readonly key?: Uint8Array | { readonly bytes: Uint8Array } | undefined;
  /** The Ed25519 public keys, 32 bytes each, of which the server must own one; or a `PublicKey` or `KeyPair` each. */
  readonly serverKeys?: readonly (Uint8Array | { readonly publicKey: Uint8Array })[] | undefined;
  /** Who the client is. */
  readonly identity?: SessionIdentity | undefined;
}

/** What `connect()` can be told of a session. */
export interface SessionOptions {
  /**
   * How many bytes may be on their way, in each direction: so much memory a session may need at each end, for both. The
   * smaller wish of both ends counts.
   *
   * @default {4_194_304} 64 KiB to 64 MiB
   */
  readonly window?: number;
  /**
   * For how many milliseconds the session may be without a connection before it is lost. The smaller wish of both ends counts.
   *
   * @default {120_000}
   */
  readonly expiry?: number;
  /**
   * After how many milliseconds of silence the other end is asked for a sign of life; 0 for never.
   *
   * @default {15_000}
   */
  readonly keepalive?: number;
  /**
   * Encrypts everything between both ends, whatever carries it.
   *
   * @default {undefined} What carries the session protects it (TLS), or nothing does.
   */
  readonly seal?: SessionSealOptions | undefined;
  /**
   * Allows a session that nothing protects, over TCP or WebSocket, to leave the machine and its private networks: who can read
   * or change the path can read and change the bytes. Both ends must say so.
   *
   * @default {false}
   */
  readonly plain?: boolean;
  /**
   * What the server's application is told first, at most 256 bytes; for example which service is asked for.
   *
   * @default {undefined} Nothing.
   */
  readonly greeting?: Uint8Array | string | undefined;
  /**
   * Further URLs by which the same server can be reached; they are raced, the one that worked last first.
   *
   * @default {[]}
   */
  readonly endpoints?: readonly (string | URL)[];
}

/**
 * Whether a session must lie below the pipe (`require`), may (`prefer`: where the server answers that it knows none, the pipe is
 * an ordinary one), or not (`off`). Only TLS (by ALPN) and WebSocket (by subprotocol) can be asked.
 */
export type ResumeMode = "require" | "prefer" | "off";

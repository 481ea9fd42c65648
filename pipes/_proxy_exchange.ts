/** What is said to a proxy before it is a tunnel, as a state machine of bytes. */

/** A user and a password. */
export interface ProxyLogin {
  /** The user. */
  readonly user: string;
  /** The password. */
  readonly password: string;
}

/** What to connect to, as the proxy is told. */
export interface ProxyTarget {
  /** An address without zone, or a name in ASCII. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
}

/** What comes of bytes that were received. */
export interface ProxyStep {
  /** What is to be sent now, if anything. */
  readonly send: Uint8Array | null;
  /** The first bytes of the tunnel, once there is one; `null` before that. */
  readonly tunnel: Uint8Array | null;
}

/** The talk with a proxy. */
export interface ProxyExchange {
  /** What is said first. */
  readonly hello: Uint8Array;
  /**
   * Takes what was received.
   *
   * @param bytes Some bytes, which are the caller's again afterwards.
   * @returns What to do.
   * @throws {ProxyRefusal} When there will be no tunnel.
   */
  push(bytes: Uint8Array): ProxyStep;
}

/** Nothing to do but to read on. */
export const READ_ON: ProxyStep = { send: null, tunnel: null };

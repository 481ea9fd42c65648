/** The codes of ABORT in a tunnel, and what is said to them. See docs/PROTOCOLS.md, "Tunnel". */

/** What is behind the other end was reset. */
export const RESET = 4;

/** The target is not allowed. */
export const NOT_ALLOWED = 256;

/** The target could not be reached. */
export const UNREACHABLE = 257;

/** There are too many connections. */
export const FULL = 258;

/** The key is not let in any more. */
export const REVOKED = 259;

/** The greeting makes no sense, or has another version. */
export const NO_GREETING = 260;

/** The server cannot listen where it was asked to. */
export const NO_LISTENER = 261;

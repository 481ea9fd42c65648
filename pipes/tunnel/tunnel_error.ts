/** Why there is no connection through a tunnel. */

import { HoldfastError } from "../../internal/errors.ts";

/** The codes of {@linkcode TunnelError}. */
export type TunnelErrorCode =
  | "not-allowed"
  | "unreachable"
  | "full"
  | "revoked"
  | "version"
  | "key"
  | "foreign"
  | "listen"
  | "mode";

/** No connection through a tunnel, for a reason that one would want to know by name. */
export class TunnelError extends HoldfastError {
  /** The class's name. */
  override name = "TunnelError";
  /**
   * Which reason: the server does not let this key in, or not to this target (`not-allowed`); it cannot reach the target
   * (`unreachable`); it cannot listen where it was asked to (`listen`); it has too many connections (`full`); its list has the key no more (`revoked`); it speaks another version
   * of all this (`version`); it does not know the key, or is not the one that is known (`key`); it is no server of tunnels
   * (`foreign`); one end has TLS, or a key, and the other has not (`mode`).
   */
  declare readonly code: TunnelErrorCode;

  /**
   * Makes an error.
   *
   * @param message What failed and why.
   * @param options Its code, what was being done, and what lies below.
   */
  constructor(
    message: string,
    options: {
      readonly code: TunnelErrorCode;
      readonly operation: string;
      readonly cause?: unknown;
      readonly hint?: string;
    },
  ) {
    super(message, options);
  }
}

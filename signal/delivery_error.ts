/** Why a message was not delivered. */

import { HoldfastError } from "../internal/errors.ts";
import type { BrokerState } from "./_broker.ts";

/** What became of a message that was not delivered, as `code` says it. */
export type DeliveryFailure =
  /** Its deadline passed before the peer acknowledged it. */
  | "expired"
  /** The outbox was full, and nobody was to wait. */
  | "queue-full"
  /** The peer that sends was closed. */
  | "closed"
  /** The recipient listens at no broker that can be opened here. */
  | "unreachable"
  /** The recipient's handler failed on a request. */
  | "refused";

/** One broker, as it was when a message could not be delivered. */
export interface DeliveryPath {
  /** Its address. */
  readonly url: string;
  /** How its link was. */
  readonly state: BrokerState;
  /** Whether the message was published there. */
  readonly tried: boolean;
  /** Why the link was not up, where that is known. */
  readonly reason: Error | undefined;
}

/** What a {@linkcode DeliveryError} is made with. */
export interface DeliveryErrorOptions {
  /** What became of the message. */
  readonly code: DeliveryFailure;
  /** The recipient's id. */
  readonly to: string;
  /** Why, for the message's text. */
  readonly why: string;
  /** The brokers, as they were. */
  readonly paths?: readonly DeliveryPath[];
}

/**
 * A message was not acknowledged in time, or could not be sent at all. Where it has been published it may have arrived all the same.
 *
 * @example
 * ```ts
 * import { DeliveryError } from "@holdfast/net/signal";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new DeliveryError({ code: "expired", to: "bob", why: "no acknowledgement within 1000 ms" });
 * assertEquals(error.message, "Cannot send to bob: no acknowledgement within 1000 ms");
 * ```
 */
export class DeliveryError extends HoldfastError {
  /** The class's name. */
  override name = "DeliveryError";
  /** The recipient's id. */
  readonly to: string;
  /** The brokers, as they were. */
  readonly paths: readonly DeliveryPath[];

  /**
   * Makes an error.
   *
   * @param options What became of the message, and where it was tried.
   */
  constructor(options: DeliveryErrorOptions) {
    const { code, to, why, paths = [] } = options;
    const tried = paths.map(({ url, state, reason }) =>
      `${url} ${state}${reason ? ` (${reason.message})` : ""}`
    );
    super(`Cannot send to ${to}: ${why}${tried.length > 0 ? `; ${tried.join(", ")}` : ""}`, {
      code,
      operation: "send",
      cause: paths.find(({ reason }) => reason)?.reason,
    });
    this.to = to;
    this.paths = paths;
  }
}

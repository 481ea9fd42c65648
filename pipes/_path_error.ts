/** What a connection ends with that is given up for what its network does. */

import type { Failure, FailureKind, FailureRetry } from "../recover/failure.ts";
import { formatPipeAddress, type PipeAddress } from "./address.ts";
import type { PathEvent } from "./network_options.ts";
import { PipeError } from "./pipe_error.ts";

/** An event in words, and what it is as a failure. */
interface Meaning {
  readonly why: (event: PathEvent) => string;
  readonly kind: FailureKind;
  readonly scenario: Failure["scenario"];
  readonly retry: FailureRetry;
}

const MEANINGS: Readonly<Record<PathEvent["type"], Meaning>> = {
  addresslost: {
    why: (event) => `the own address ${event.type === "addresslost" ? event.address : ""} is gone`,
    kind: "address-gone",
    scenario: "address-gone",
    retry: "now",
  },
  offline: {
    why: () => "there is no network",
    kind: "offline",
    scenario: "no-default-route",
    retry: "after-change",
  },
  online: changed("the network was away"),
  gatewaychange: changed("the gateway is another one"),
  defaultinterfacechange: changed("the default interface is another one"),
  addresschange: changed("the addresses of the interface have changed"),
  wake: changed("the machine was asleep"),
};

/**
 * Makes the error of a connection that a policy ended.
 *
 * @param event What happened.
 * @param remoteAddress The other end.
 */
export function pathError(event: PathEvent, remoteAddress: PipeAddress): PipeError {
  const { why, kind, scenario, retry } = MEANINGS[event.type];
  const hint = "Connect again; what was sent last may not have arrived";
  const message = `Cannot go on with ${formatPipeAddress(remoteAddress)}: ${why(event)}`;
  const cause = new Error(message);
  return new PipeError(message, {
    code: "lost",
    operation: "use the pipe",
    failure: {
      scenario,
      kind,
      where: "local",
      retry,
      sent: "maybe",
      hint,
      code: null,
      retryAfter: null,
      error: cause,
    },
    hint,
  });
}

function changed(why: string): Meaning {
  return { why: () => why, kind: "reset", scenario: null, retry: "now" };
}

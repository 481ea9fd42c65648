/** What an error means at the step of dialling at which it was thrown. */

import { HoldfastError } from "../internal/errors.ts";
import type { NetworkViewState } from "../internal/network_view.ts";
import { isInReach } from "./_address_sort.ts";
import { SelfConnectError } from "./_connect.ts";
import { SINKHOLED } from "./_resolve.ts";
import { classify } from "./classify.ts";
import type { DialAttempt } from "./dial_error.ts";
import type { Failure, FailureOperation } from "./failure.ts";
import { TimeoutError } from "./timeout.ts";

const OPERATION: Readonly<Record<DialAttempt["step"], FailureOperation>> = {
  resolve: "resolve",
  connect: "connect",
  handshake: "handshake",
  proof: "read",
};

/** The network is away: nothing was tried. */
export function offlineError(address: string): HoldfastError {
  return new HoldfastError(`Cannot connect to ${address}: there is no network`, {
    code: "offline",
    operation: "connect",
    hint: "Wait for the network, for example by retry() with the option network",
  });
}

/** A name without any address. */
export function noAddressError(hostname: string): HoldfastError {
  return new HoldfastError(`Cannot find an address of "${hostname}": the name has none`, {
    code: "name-without-address",
    operation: "resolve",
    hint: "Check the name, and whether it has addresses of the family that is asked for",
  });
}

const OFFLINE = {
  scenario: "no-default-route",
  kind: "offline",
  where: "local",
  retry: "after-change",
} as const;

/** Where and when something was thrown. */
export interface DialContext {
  /** The network, where it is known. */
  readonly network: NetworkViewState | undefined;
  /** The address, where there is one yet. */
  readonly address?: string;
  /** How many milliseconds it took to fail. */
  readonly elapsed: number;
}

/**
 * Says what an error means.
 *
 * @param error What was thrown.
 * @param step What was being done.
 * @param context Where and when.
 */
export function failureOf(error: unknown, step: DialAttempt["step"], context: DialContext): Failure {
  const { network, address, elapsed } = context;
  const failure = classify(error, { operation: OPERATION[step], network, remoteAddress: address, elapsed });
  // What a proof of life sends is the caller's; before it nothing of his has left.
  const sent = step === "proof" ? {} : { sent: "no" as const };
  // The network as a whole may be fine, and this address's family still have no way.
  const cutOff = network && address !== undefined && !isInReach(address, network);
  const away = cutOff && failure.code === "ENETUNREACH" ? OFFLINE : {};
  return { ...failure, ...away, ...known(error, step), error, ...sent };
}

/** What is known better here than from the error alone. */
function known(error: unknown, step: DialAttempt["step"]): Partial<Failure> {
  if (error instanceof SelfConnectError) {
    return { scenario: "self-connect", kind: "refused", where: "remote", retry: "later" };
  }
  if (error instanceof TimeoutError) {
    if (step === "resolve") {
      return { scenario: "resolver-silent", kind: "dns", where: "path", retry: "later" };
    }
    const scenario = step === "connect" ? "connect-hangs" : "silent-after-accept";
    return { scenario, kind: "timeout", where: step === "connect" ? "path" : "remote", retry: "later" };
  }
  if (!(error instanceof HoldfastError)) return {};
  const { code, hint = "" } = error;
  if (code === "offline") return { ...OFFLINE, hint };
  if (code === SINKHOLED) {
    return { scenario: "name-sinkholed", kind: "dns", where: "path", retry: "after-change", hint };
  }
  if (code === "name-without-address") {
    return { scenario: code, kind: "dns", where: "config", retry: "after-change", hint };
  }
  return {};
}

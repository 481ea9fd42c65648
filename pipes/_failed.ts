/** Errors of connecting and listening, in one form whichever transport they come from. */

import { PermissionError } from "../internal/errors.ts";
import type { NetworkViewState } from "../internal/network_view.ts";
import { flagsOf, type Need } from "../internal/permissions.ts";
import { classify } from "../recover/classify.ts";
import { RetryError } from "../recover/retry_error.ts";
import { formatPipeAddress, type PipeUrl } from "./address.ts";
import { PipeError } from "./pipe_error.ts";
import { ProxyError } from "./_proxy_error.ts";

/** What is known around a failure. */
export interface FailedContext {
  /** What was being done. */
  readonly operation: "connect" | "listen";
  /** The network as it is. */
  readonly network?: NetworkViewState | undefined;
}

/**
 * Makes the error that the caller gets.
 *
 * @param place Where it was to go, or to listen.
 * @param error What was thrown.
 * @param context What is known around it.
 * @returns A {@linkcode PermissionError} where one is missing, else a {@linkcode PipeError}; a caller's mistake stays as it is.
 */
export function failedError(place: PipeUrl, error: unknown, { operation, network }: FailedContext): Error {
  if (error instanceof PipeError || error instanceof TypeError && !hasCode(error)) return error;
  if (error instanceof RangeError) return error;
  const failure = classify(error, { operation, network, ...around(place, operation) });
  const where = formatPipeAddress(place);
  if (failure.kind === "permission" && isOurs(failure.error)) {
    const own = [error, failure.error].find((one) => one instanceof PermissionError);
    const flags = own?.flags ?? flagsFor(place);
    return new PermissionError(
      `${operation} ${operation === "connect" ? "to" : "on"} ${where}`,
      flags,
      error,
    );
  }
  const tried = error instanceof RetryError && error.attempts > 1 ? `, ${error.attempts} attempts` : "";
  const why = failure.error instanceof Error ? failure.error.message : String(failure.error);
  const to = operation === "connect" ? "to" : "on";
  // Of several attempts the last one tells.
  const last = error instanceof RetryError ? error.errors.at(-1) : error;
  return new PipeError(`Cannot ${operation} ${to} ${where}: ${why}${tried}`, {
    code: last instanceof ProxyError ? last.code : operation,
    operation,
    failure,
    cause: error,
    hint: failure.hint,
  });
}

/** The flags by which the runtime allows a place. */
export function flagsFor(place: PipeUrl): readonly string[] {
  if (place.transport === "memory") return [];
  if (place.transport === "exec") return flagsOf([{ name: "run", command: place.command }]);
  if (place.transport === "unix") {
    const { path } = place;
    return [`--allow-net=unix:${path}`, `--allow-read=${path}`, `--allow-write=${path}`];
  }
  return flagsOf([netNeed(place.hostname || "0.0.0.0", place.port)]);
}

/** What the runtime has to allow for an address or a name; port 0 is any. */
export function netNeed(hostname: string, port: number): Need {
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return { name: "net", host: port === 0 ? host : `${host}:${port}` };
}

function around(
  place: PipeUrl,
  operation: "connect" | "listen",
): { localAddress?: string; remoteAddress?: string } {
  const name = place.transport === "unix" ? place.path : "hostname" in place ? place.hostname : "";
  if (name === "") return {};
  return operation === "listen" ? { localAddress: name } : { remoteAddress: name };
}

/** Whether it is the runtime that refuses; the system may as well, and has no flags. */
function isOurs(error: unknown): boolean {
  return error instanceof PermissionError || (error instanceof Error && error.name === "NotCapable");
}

/** Node's errors of sockets may be of that class, and have a code. */
function hasCode(error: object): boolean {
  return "code" in error;
}

/** What a pipe ends with, in words. */

import type { NetworkViewState } from "../internal/network_view.ts";
import { classify } from "../recover/classify.ts";
import type { FailureOperation } from "../recover/failure.ts";
import { formatPipeAddress, type PipeAddress, type Transport } from "./address.ts";
import type { PipeBase } from "./pipe.ts";
import { PipeError } from "./pipe_error.ts";

/**
 * The connection is lost.
 *
 * @param error What was thrown; a {@linkcode PipeError} stays as it is.
 * @param operation What was being done.
 * @param ends The addresses of both ends.
 * @param network The network as it is.
 */
export function lossError(
  error: unknown,
  operation: FailureOperation,
  ends: Pick<PipeBase<Transport, PipeAddress>, "localAddress" | "remoteAddress">,
  network: NetworkViewState | undefined,
): PipeError {
  if (error instanceof PipeError) return error;
  const { localAddress, remoteAddress } = ends;
  const failure = classify(error, {
    operation,
    network,
    ...("hostname" in localAddress ? { localAddress: localAddress.hostname } : {}),
    ...("hostname" in remoteAddress ? { remoteAddress: remoteAddress.hostname } : {}),
  });
  const why = error instanceof Error ? error.message : String(error);
  return new PipeError(`Cannot go on with ${formatPipeAddress(remoteAddress)}: ${why}`, {
    code: "lost",
    operation: "use the pipe",
    failure,
    cause: error,
    hint: failure.hint,
  });
}

/** The application has ended the pipe at once. */
export function abortedError(remoteAddress: PipeAddress, reason: unknown): PipeError {
  const why = reason instanceof Error ? reason.message : reason === undefined ? "by us" : String(reason);
  return new PipeError(`Cannot go on with ${formatPipeAddress(remoteAddress)}: aborted (${why})`, {
    code: "aborted",
    operation: "use the pipe",
    cause: reason,
  });
}

/** The pipe was closed. */
export function closedError(): PipeError {
  return new PipeError("Cannot use the pipe: it is closed", { code: "closed", operation: "use the pipe" });
}

/** Nothing can be sent any more. */
export function unwritableError(remoteAddress: PipeAddress, why: string): PipeError {
  return new PipeError(`Cannot send to ${formatPipeAddress(remoteAddress)}: ${why}`, {
    code: "closed",
    operation: "send",
  });
}

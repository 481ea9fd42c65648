/** Relays of `holdfast pipe A B`: what is told of them. */

import { HoldfastError } from "../internal/errors.ts";
import { formatPipeAddress, type PipeAddress } from "../pipes/address.ts";
import type { Pipe } from "../pipes/pipe.ts";
import { relay, type RelayFailure, type RelayFlow } from "../pipes/relay.ts";
import type { Context, Line } from "./spec.ts";
import { printable } from "./style.ts";

/** How a relay ended; a line of `--json`. */
export interface RelayLine extends Line {
  /** The tag. */
  readonly type: "relay";
  /** The other end of the first pipe, as a URL. */
  readonly a: string;
  /** The other end of the second pipe, as a URL. */
  readonly b: string;
  /** What went from the first to the second. */
  readonly aToB: RelayFlow;
  /** What went from the second to the first. */
  readonly bToA: RelayFlow;
  /** What failed first, or `null`. */
  readonly failure: { readonly pipe: "a" | "b"; readonly code: string; readonly message: string } | null;
}

/**
 * Relays between two pipes, and tells how that went.
 *
 * @param a The one.
 * @param b The other.
 * @param context Where to tell it, and the signal that ends it.
 * @returns Whether both ended well.
 */
export async function relayed(a: Pipe, b: Pipe, context: Context): Promise<boolean> {
  const { signal, json, emit, complain, note } = context;
  const { aToB, bToA, failure } = await relay(a, b, { signal });
  const [from, to] = [a, b].map(({ remoteAddress }) => formatPipeAddress(remoteAddress)) as [string, string];
  const failed = failure && told(failure);
  if (json) await emit<RelayLine>({ type: "relay", a: from, b: to, aToB, bToA, failure: failed });
  if (failed) await complain(printable(failed.message));
  else if (!json) await note(`${from} and ${to} have ended: ${aToB.bytes} bytes there, ${bToA.bytes} back`);
  return failed === null;
}

/**
 * Tells that there is nothing to relay to, and ends who came.
 *
 * @param client Who came.
 * @param url Where he was to be led.
 * @param error Why that could not be.
 * @param context Where to tell it.
 */
export async function notRelayed(
  client: Pipe,
  url: PipeAddress,
  error: unknown,
  context: Context,
): Promise<void> {
  const { signal, json, emit, complain } = context;
  client.abort(error);
  // It was us.
  if (signal.aborted) return;
  const [a, b] = [client.remoteAddress, url].map(formatPipeAddress) as [string, string];
  const failure = told({ pipe: "b", error });
  if (json) await emit<RelayLine>({ type: "relay", a, b, aToB: NOTHING, bToA: NOTHING, failure });
  await complain(printable(failure.message));
}

const NOTHING: RelayFlow = { bytes: 0, messages: 0, dropped: 0, ended: false };

function told({ pipe, error }: RelayFailure): NonNullable<RelayLine["failure"]> {
  return {
    pipe,
    code: error instanceof HoldfastError ? error.code : "failed",
    message: error instanceof Error ? error.message : String(error),
  };
}

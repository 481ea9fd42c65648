/** Asking for both families of a name at once, and not waiting long for the second (RFC 8305 section 3). */

import type { Clock } from "../internal/clock.ts";
import { orAbort } from "./_or_abort.ts";
import { TimeoutError } from "./timeout.ts";

/** Which addresses are asked for: IPv4's or IPv6's. */
export type AddressRecord = "A" | "AAAA";

/**
 * Looks addresses up.
 *
 * @param hostname The name.
 * @param type Which addresses.
 * @param options What calls it off.
 * @returns The addresses, none where the name has none of these.
 */
export type DialResolver = (
  hostname: string,
  type: AddressRecord,
  options: DialResolverOptions,
) => Promise<readonly string[]>;

/** What a {@linkcode DialResolver} takes. */
export interface DialResolverOptions {
  /** Calls it off: nobody needs the answer any more, or it takes too long. */
  readonly signal: AbortSignal;
}

/** How {@linkcode gather} asks. */
export interface GatherOptions {
  /** The name. */
  readonly hostname: string;
  /** What is asked for, the preferred one first. */
  readonly types: readonly AddressRecord[];
  /** Whom to ask, one after the other until one knows something. */
  readonly resolvers: readonly DialResolver[];
  /** For how many milliseconds an answer waits for that of the preferred type. */
  readonly resolutionDelay: number;
  /** After how many milliseconds nothing is waited for any longer. */
  readonly timeout: number;
  /** Source of time. */
  readonly clock: Clock;
  /** Calls it off. */
  readonly signal: AbortSignal;
  /** Gets addresses as soon as they may be used. */
  readonly found: (addresses: readonly string[]) => void;
}

/** A question that was not answered with addresses. */
export interface GatherFailure {
  /** What was asked for. */
  readonly type: AddressRecord;
  /** When it was asked, on the monotonic clock. */
  readonly started: number;
  /** When it failed. */
  readonly ended: number;
  /** What was thrown. */
  readonly error: unknown;
}

/**
 * Asks for a name's addresses.
 *
 * @param options Whom to ask for what, and who gets the answers.
 * @returns When there is nothing more to come: why not, per type that brought no address.
 * @throws The signal's reason.
 */
export async function gather(options: GatherOptions): Promise<readonly GatherFailure[]> {
  const { resolvers, timeout, clock, signal } = options;
  const late = new AbortController();
  const timer = clock.after(timeout, () => late.abort(new TimeoutError(timeout)), { ref: true });
  const both = AbortSignal.any([signal, late.signal]);
  try {
    let failures: readonly GatherFailure[] = [];
    for (const resolver of resolvers) {
      const stage = await askOne(resolver, options, both);
      signal.throwIfAborted();
      failures = stage.failures;
      // Whoever is silent is not asked in another way: that would be silent too, and could not be called off.
      if (stage.found || stage.silent) break;
    }
    return failures;
  } finally {
    timer.cancel();
  }
}

interface Stage {
  readonly found: boolean;
  readonly silent: boolean;
  readonly failures: readonly GatherFailure[];
}

async function askOne(resolver: DialResolver, options: GatherOptions, signal: AbortSignal): Promise<Stage> {
  const { hostname, types, resolutionDelay, clock } = options;
  const failures: GatherFailure[] = [];
  const [preferred] = types;
  let held: readonly string[] = [];
  let released = false;
  let found = false;
  const release = (): void => {
    released = true;
    if (held.length > 0) options.found(held);
    held = [];
  };
  let timer: { cancel(): void } | undefined;
  const ask = async (type: AddressRecord): Promise<void> => {
    const started = clock.monotonic();
    try {
      const addresses = await orAbort(resolver(hostname, type, { signal }), signal);
      if (addresses.length > 0) {
        found = true;
        if (type === preferred || released) options.found(addresses);
        else {
          held = addresses;
          timer = clock.after(resolutionDelay, release, { ref: true });
        }
      }
    } catch (error) {
      if (options.signal.aborted) return;
      failures.push({ type, started, ended: clock.monotonic(), error });
    }
    if (type === preferred) release();
  };
  try {
    await Promise.all(types.map(ask));
  } finally {
    timer?.cancel();
    if (!options.signal.aborted) release();
  }
  return { found, silent: failures.length > 0 && failures.every(({ error }) => isSilence(error)), failures };
}

function isSilence(error: unknown): boolean {
  return error instanceof Error && (error.name === "TimeoutError" || error.name === "TimedOut");
}

/** One connection to one of the addresses of a name, made by whatever makes connections: the fastest that lives. */

import { type Clock, systemClock } from "../internal/clock.ts";
import { HoldfastError } from "../internal/errors.ts";
import { parseIp } from "../internal/ip.ts";
import { familyOf, sortAddresses } from "../recover/_address_sort.ts";
import { failureOf } from "../recover/_dial_failure.ts";
import { gather } from "../recover/_gather.ts";
import { Race } from "../recover/_race.ts";
import { systemResolvers } from "../recover/_resolve.ts";
import { DialError, mostTelling } from "../recover/dial_error.ts";
import { TimeoutError } from "../recover/timeout.ts";
import type { ConnectOptions } from "./connect.ts";
import type { Link } from "./_link.ts";

/** For how many milliseconds one address is tried. */
const ATTEMPT = 10_000;

/** After how many milliseconds the next one is tried beside it (RFC 8305 section 5). */
const DELAY = 250;

/** Where to, and how. */
export interface RaceAddressesOptions extends Pick<ConnectOptions, "network" | "resolver"> {
  /** The name or address. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
  /** The only family to use. */
  readonly family?: 4 | 6 | undefined;
  /** Source of time. */
  readonly clock?: Clock | undefined;
  /** Makes one connection to one address. */
  readonly attempt: (target: { hostname: string; port: number }, signal: AbortSignal) => Promise<Link>;
}

/**
 * Connects.
 *
 * @param options Where to, and how.
 * @param signal Calls it off.
 * @throws {DialError} When no address could be reached, or an error of ours as the attempt threw it.
 */
export async function raceAddresses(options: RaceAddressesOptions, signal: AbortSignal): Promise<Link> {
  const { hostname, port, family, network, resolver, attempt, clock = systemClock } = options;
  const started = clock.monotonic();
  const race = new Race<Link>({
    delay: DELAY,
    clock,
    sort: (addresses, last) =>
      sortAddresses(
        addresses,
        { family: family ?? 6, known: [] },
        last === undefined ? undefined : familyOf(last),
      ),
    discard: (link) => link.abort(),
    attempt: async ({ address }, signal) => {
      const late = new AbortController();
      const timer = clock.after(ATTEMPT, () => late.abort(new TimeoutError(ATTEMPT)), { ref: true });
      try {
        return await attempt({ hostname: address, port }, AbortSignal.any([signal, late.signal]));
      } finally {
        timer.cancel();
      }
    },
  });
  const abort = (): void => race.abort(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  const stop = new AbortController();
  const looking = (async () => {
    if (parseIp(hostname.replace(/%.*$/, ""))) race.join([hostname]);
    else {
      await gather({
        hostname,
        clock,
        types: family === 4 ? ["A"] : family === 6 ? ["AAAA"] : ["AAAA", "A"],
        resolvers: resolver ? [resolver] : systemResolvers(hostname, port),
        resolutionDelay: 50,
        timeout: 3000,
        signal: stop.signal,
        found: (addresses) => race.join(addresses),
      });
    }
    race.complete();
  })().catch((error) => race.abort(error));
  try {
    if (signal.aborted) abort();
    const result = await race.result;
    if (result.won) return result.value;
  } finally {
    signal.removeEventListener("abort", abort);
    stop.abort();
    await looking;
  }
  const attempts = race.attempts.map(({ address, started: at, ended, error }) => ({
    address,
    family: familyOf(address),
    step: "connect" as const,
    started: at - started,
    ended: ended - started,
    outcome: "failed" as const,
    failure: failureOf(error, "connect", { network: network?.state, address, elapsed: ended - at }),
  }));
  const [refused] = race.attempts.flatMap(({ error }) => error instanceof HoldfastError ? [error] : []);
  const telling = mostTelling(attempts);
  if (refused && !(refused instanceof TimeoutError)) throw refused;
  if (telling) throw new DialError(`${hostname}:${port}`, telling, attempts);
  const none = new Deno.errors.NotFound(`${hostname} has no address${family ? ` of IPv${family}` : ""}`);
  throw new DialError(
    `${hostname}:${port}`,
    failureOf(none, "resolve", { network: network?.state, elapsed: clock.monotonic() - started }),
    [],
  );
}

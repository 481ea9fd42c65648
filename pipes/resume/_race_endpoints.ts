/** Several places that lead to the same server, tried one after the other and beside each other. */

import type { Clock, Timer } from "../../internal/clock.ts";

/** How long the next place waits for the one before, in milliseconds. */
const APART = 250;

/** How a race is run. */
export interface RaceEndpointsOptions<P, T> {
  /** Goes to one place. */
  readonly dial: (place: P, signal: AbortSignal) => Promise<T>;
  /** Ends what came too late. */
  readonly discard: (late: T) => void;
  /** Calls it off. */
  readonly signal: AbortSignal;
  /** Source of time. */
  readonly clock: Clock;
}

/**
 * The first place that gives something; the next one begins a moment later, or as soon as one has failed.
 *
 * @param places Where to, the best first.
 * @param options How.
 * @returns What it gave, and which one it was.
 * @throws What the best one has thrown where that ends the matter, as `final` tells; else what was thrown last.
 */
export function raceEndpoints<P, T>(
  places: readonly P[],
  options: RaceEndpointsOptions<P, T> & { readonly final: (error: unknown) => boolean },
): Promise<{ readonly value: T; readonly place: P }> {
  const { dial, discard, final, signal, clock } = options;
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly value: T; readonly place: P }>();
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  let begun = 0;
  let failed = 0;
  let first: unknown;
  let timer: Timer | undefined;
  const settle = (how: () => void): void => {
    if (over.signal.aborted) return;
    timer?.cancel();
    signal.removeEventListener("abort", aborted);
    // Those that are still under way end by this.
    over.abort(new DOMException("Another address was faster", "AbortError"));
    how();
  };
  const aborted = (): void => settle(() => reject(signal.reason));
  const begin = (): void => {
    timer?.cancel();
    const at = begun++;
    const place = places[at];
    if (place === undefined || over.signal.aborted) return;
    if (begun < places.length) timer = clock.after(APART, begin, { ref: true });
    dial(place, either).then((value) => {
      if (over.signal.aborted) discard(value);
      else settle(() => resolve({ value, place }));
    }, (error) => {
      if (at === 0) first = error;
      if (++failed === places.length) settle(() => reject(final(first) ? first : error));
      else if (begun < places.length) begin();
    });
  };
  if (signal.aborted) return Promise.reject(signal.reason);
  signal.addEventListener("abort", aborted, { once: true });
  begin();
  return promise;
}

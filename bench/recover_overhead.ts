/** What policies cost where nothing fails: ours, cockatiel's and p-retry's, in interleaved slices of one process. */

import * as cockatiel from "cockatiel";
import pRetry from "p-retry";
import { breaker, compose, retry, timeout } from "../recover/mod.ts";
import { type Figure, figure, median } from "./_figure.ts";

/** Calls in one slice. */
const SLICE = 2000;

/** A way to run a function that succeeds. */
type Variant = (work: () => Promise<number>) => Promise<number>;

function variants(): Readonly<Record<string, Variant>> {
  const two = compose(retry(), breaker());
  const three = compose(retry(), breaker(), timeout(5000));
  const theirRetry = (): cockatiel.IPolicy =>
    cockatiel.retry(cockatiel.handleAll, { maxAttempts: 5, backoff: new cockatiel.ExponentialBackoff() });
  const theirBreaker = (): cockatiel.IPolicy =>
    cockatiel.circuitBreaker(cockatiel.handleAll, {
      halfOpenAfter: 10_000,
      breaker: new cockatiel.ConsecutiveBreaker(5),
    });
  const theirTwo = cockatiel.wrap(theirRetry(), theirBreaker());
  const theirThree = cockatiel.wrap(
    theirRetry(),
    theirBreaker(),
    cockatiel.timeout(5000, cockatiel.TimeoutStrategy.Aggressive),
  );
  return {
    plain: (work) => work(),
    control: (work) => work(),
    two: (work) => two.execute(work),
    theirTwo: (work) => theirTwo.execute(work),
    three: (work) => three.execute(work),
    theirThree: (work) => theirThree.execute(work),
    pRetry: (work) => pRetry(work, { retries: 4 }),
  };
}

/**
 * Measures the cost of a call that succeeds.
 *
 * @param slices How many slices of each variant.
 */
export async function overhead(slices: number): Promise<Figure[]> {
  const all = Object.entries(variants());
  const times = Object.fromEntries(all.map(([name]) => [name, [] as number[]]));
  const work = (): Promise<number> => Promise.resolve(1);
  for (let n = -20; n < slices; n++) {
    // There and back, so that a drift of the machine hits all alike.
    for (const [name, variant] of n % 2 === 0 ? all : [...all].reverse()) {
      const start = performance.now();
      for (let i = 0; i < SLICE; i++) await variant(work);
      // The first slices warm the compiler up.
      if (n >= 0) times[name]?.push((performance.now() - start) * 1000 / SLICE);
    }
  }
  const of = (name: string): number => median(times[name] ?? []);
  const above = (name: string): number => of(name) - of("plain");
  const note = (name: string): string =>
    `${of(name).toFixed(2)} us a call, plain code ${of("plain").toFixed(2)}`;
  return [
    figure("policies: control, plain code beside itself", of("control") / of("plain"), "x", null, slices),
    figure("policies: retry and breaker, success", above("two"), "us", 2, slices, note("two")),
    figure(
      "policies: the same beside cockatiel",
      of("two") / of("theirTwo"),
      "x",
      null,
      slices,
      note("theirTwo"),
    ),
    figure(
      "policies: retry, breaker, timeout beside cockatiel",
      of("three") / of("theirThree"),
      "x",
      0.6,
      slices,
      `${of("three").toFixed(2)} us beside ${of("theirThree").toFixed(2)}`,
    ),
    figure(
      "policies: retry and breaker beside p-retry alone",
      of("two") / of("pRetry"),
      "x",
      null,
      slices,
      note("pRetry"),
    ),
  ];
}

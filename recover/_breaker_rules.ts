/** The options of a breaker, checked. */

import { type Clock, systemClock } from "../internal/clock.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { checkNumber } from "./_check.ts";
import { checkBackoff, checkFunctions, checkNetwork } from "./_check_shape.ts";
import type { CircuitRules } from "./_circuit.ts";
import { consecutiveTally, ratioTally, type Tally } from "./_tally.ts";
import { type Backoff, constant, exponential } from "./backoff.ts";
import type { BreakerOptions } from "./breaker.ts";
import { classify as defaultClassify } from "./classify.ts";
import type { Failure } from "./failure.ts";
import type { Attempt } from "./policy.ts";

/** The options of a breaker, complete. */
export interface BreakerRules extends CircuitRules {
  readonly network: NetworkView | undefined;
  readonly key: ((attempt: Attempt) => string) | undefined;
  readonly remember: number;
  readonly remembersSuccess: boolean;
  readonly counts: (failure: Failure) => boolean;
  readonly classify: (error: unknown) => Failure;
  readonly clock: Clock;
}

const MAKE = "make a breaker";

/** Checks the options, and completes them. */
export function breakerRules(options: BreakerOptions): BreakerRules {
  const { network, key, halfOpen = 1, remember = key ? 1024 : 32, clock = systemClock } = options;
  const { classify = (error: unknown) => defaultClassify(error, network ? { network: network.state } : {}) } =
    options;
  const { counts = isTheirs, random = Math.random } = options;
  checkNumber(MAKE, "halfOpen", halfOpen, { from: 1, whole: true });
  checkNumber(MAKE, "remember", remember, { from: 1, whole: true });
  checkFunctions(MAKE, { key, counts, classify, random });
  checkNetwork(MAKE, network);
  const tally = tallyOf(options);
  const coolDown = backoffOf(options.coolDown);
  const remembersSuccess = options.ratio !== undefined;
  return {
    tally,
    coolDown,
    halfOpen,
    random,
    network,
    key,
    remember,
    remembersSuccess,
    counts,
    classify,
    clock,
  };
}

function tallyOf({ consecutive, ratio, samples, window }: BreakerOptions): () => Tally {
  if (ratio === undefined) {
    if (samples !== undefined || window !== undefined) {
      throw new TypeError(`Cannot ${MAKE}: samples and window need ratio, which is missing`);
    }
    const limit = checkNumber(MAKE, "consecutive", consecutive ?? 5, { from: 1, whole: true });
    return () => consecutiveTally(limit);
  }
  if (consecutive !== undefined) {
    throw new TypeError(
      `Cannot ${MAKE}: either consecutive or ratio is needed, got ${consecutive} and ${ratio}`,
    );
  }
  const rules = {
    ratio: checkNumber(MAKE, "ratio", ratio, { above: true, to: 1 }),
    samples: checkNumber(MAKE, "samples", samples ?? 20, { from: 1, whole: true }),
    window: checkNumber(MAKE, "window", window ?? 10_000, { above: true }),
  };
  return () => ratioTally(rules);
}

function backoffOf(coolDown: number | Backoff | undefined): Backoff {
  if (coolDown === undefined) return exponential({ initial: 5000, max: 60_000, jitter: "equal" });
  if (typeof coolDown === "object") {
    checkBackoff(MAKE, "coolDown", coolDown);
    return coolDown;
  }
  return constant(checkNumber(MAKE, "coolDown", coolDown, { above: true }));
}

function isTheirs({ where }: Failure): boolean {
  return where === "remote" || where === "path";
}

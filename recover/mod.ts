/**
 * Knows each failure by name, and recovers from it: retry, timeout, breaker, hedge, limit and fallback that are aware of
 * the network; a readiness gate, a dialler, guards for servers, supervision of long-lived tasks.
 *
 * ```ts
 * import { compose, timeout } from "@holdfast/net/recover";
 *
 * const policy = compose(timeout(5000));
 * ```
 *
 * @module
 */

export type {
  Failure,
  FailureKind,
  FailureOperation,
  FailureRetry,
  FailureSent,
  FailureWhere,
} from "./failure.ts";
export { type Attempt, compose, type ExecuteOptions, type Policy } from "./policy.ts";
export { networkKey } from "./network_key.ts";
export type { ScenarioId } from "./scenarios/ids.ts";

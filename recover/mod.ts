/**
 * Knows each failure by name, and recovers from it: retry, timeout, breaker, hedge, limit and fallback that are aware of
 * the network; a readiness gate, a dialler, guards for servers, supervision of long-lived tasks.
 *
 * ```ts
 * import { compose, exponential, retry, timeout } from "@holdfast/net/recover";
 *
 * const policy = compose(retry({ maxAttempts: 5, backoff: exponential(), idempotent: true }), timeout(5000));
 * const load = (url: string) => policy.execute(({ signal }) => fetch(url, { signal }));
 * ```
 *
 * Give `network`, a watcher of `@holdfast/net/watch` or `browserNetwork()`, and nothing is tried while there is no
 * network, and at once when it is back.
 *
 * Permissions: policies need none; {@linkcode dial}, {@linkcode ready} and the servers need `--allow-net` for where they
 * connect to or listen. See {@linkcode permissions}.
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
export { classify, type ClassifyContext, classifyText } from "./classify.ts";
export { scenarioOf, scenarios } from "./scenarios/mod.ts";
export type {
  Scenario,
  ScenarioGroup,
  ScenarioProof,
  ScenarioTest,
  ScenarioText,
} from "./scenarios/scenario.ts";
export { SCENARIO_IDS, type ScenarioId } from "./scenarios/ids.ts";

export { type Attempt, compose, type ExecuteOptions, type Policy } from "./policy.ts";
export {
  type Backoff,
  type BackoffJitter,
  constant,
  custom,
  delayOf,
  exponential,
  type ExponentialOptions,
  linear,
  type LinearOptions,
} from "./backoff.ts";
export { budget, type BudgetOptions, type RetryBudget } from "./budget.ts";
export { retry, type RetryOptions, type RetryPolicy } from "./retry.ts";
export { RetryError, type RetryErrorOptions } from "./retry_error.ts";
export type {
  RetryAttemptEvent,
  RetryEvent,
  RetryFailureEvent,
  RetryGatedEvent,
  RetryGiveUpEvent,
  RetryResumedEvent,
  RetrySuccessEvent,
  RetrySuspendedEvent,
} from "./retry_event.ts";
export {
  timeout,
  TimeoutError,
  type TimeoutEvent,
  type TimeoutOptions,
  type TimeoutPolicy,
} from "./timeout.ts";
export { type Breaker, breaker, type BreakerOptions } from "./breaker.ts";
export type { BreakerEvent, BreakerState } from "./breaker_event.ts";
export { BreakerOpenError } from "./breaker_open_error.ts";
export { hedge, type HedgeEvent, type HedgeOptions, type HedgePolicy } from "./hedge.ts";
export { limit, type LimitEvent, LimitFullError, type LimitOptions, type LimitPolicy } from "./limit.ts";
export { fallback, type FallbackEvent, type FallbackOptions, type FallbackPolicy } from "./fallback.ts";

export {
  type PortalProbe,
  ready,
  readyGate,
  type ReadyGateOptions,
  type ReadyOptions,
  type ReadyReport,
  type ReadyStep,
  type ReadyTarget,
  type ReadyToolOptions,
  type ReadyTools,
} from "./ready.ts";
export {
  type AddressRecord,
  dial,
  type DialOptions,
  type DialProofOptions,
  type DialResolver,
  type DialResolverOptions,
  type DialResult,
  type DialTarget,
  type DialTlsOptions,
} from "./dial.ts";
export { type DialAttempt, DialError } from "./dial_error.ts";
export { type DialMemory, dialMemory, type DialMemoryOptions, type DialRecollection } from "./dial_memory.ts";
export { permissions } from "./permissions.ts";
export { networkKey } from "./network_key.ts";

export { type Heartbeat, heartbeat, type HeartbeatOptions } from "./heartbeat.ts";
export type { HeartbeatEvent, HeartbeatStatus } from "./heartbeat_event.ts";
export { DeadPeerError, type DeadPeerReason } from "./dead_peer_error.ts";
export {
  type ClockJumpEvent,
  type SuspendEvent,
  type SuspendWakeEvent,
  type SuspendWatchdog,
  suspendWatchdog,
  type SuspendWatchdogOptions,
} from "./suspend.ts";
export { type LoopLag, loopLag, type LoopLagOptions } from "./loop_lag.ts";
export { supervise, type Supervised, type SuperviseOptions } from "./supervise.ts";
export type {
  SupervisedEvent,
  SupervisedFailed,
  SupervisedRun,
  SupervisedStatus,
  SupervisedStopped,
  SupervisedWaiting,
} from "./supervised_event.ts";

export {
  type AcceptContext,
  type AcceptedConnection,
  type AcceptLoop,
  acceptLoop,
  type AcceptLoopOptions,
  type ConnectionSource,
  type DrainOptions,
} from "./accept_loop.ts";
export type { AcceptLoopEvent } from "./accept_loop_event.ts";
export {
  type GuardedServer,
  serve,
  type ServeEvent,
  type ServeGuardOptions,
  type ServeOptions,
} from "./serve.ts";

export type { BackendPermissions, ModulePermissions, Need } from "../internal/permissions.ts";
export type { EventOf, Tagged } from "../internal/events.ts";
export type { Clock, Timer } from "../internal/clock.ts";
export { fromLogTape, type Logger, type LogTapeLike, setLogger } from "../internal/log.ts";
export {
  HoldfastError,
  type HoldfastErrorOptions,
  PermissionError,
  ToolMissingError,
} from "../internal/errors.ts";
export {
  browserNetwork,
  type BrowserNetworkNavigator,
  type BrowserNetworkTarget,
  type NetworkView,
  type NetworkViewAddressEvent,
  type NetworkViewChange,
  type NetworkViewEvent,
  type NetworkViewIdentityEvent,
  type NetworkViewNeighbour,
  type NetworkViewOnlineEvent,
  type NetworkViewOnlineOptions,
  type NetworkViewOtherEvent,
  type NetworkViewResyncEvent,
  type NetworkViewRoute,
  type NetworkViewRouteEvent,
  type NetworkViewState,
  type NetworkViewWakeEvent,
} from "../internal/network_view.ts";
export { onShutdown, type ShutdownOptions } from "../internal/shutdown.ts";

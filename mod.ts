/**
 * Holdfast: parts for programs that must stay connected. This module re-exports what needs no further thought; each
 * module can be imported alone, for example `@holdfast/net/watch`.
 *
 * ```ts
 * import { watchNetwork } from "@holdfast/net";
 *
 * await using watcher = await watchNetwork();
 * console.log(watcher.state.online);
 * ```
 *
 * @module
 */

export {
  applyEvents,
  type BackendName,
  diffStates,
  equalStates,
  HoldfastError,
  type Logger,
  type NetworkChange,
  type NetworkEvent,
  type NetworkState,
  type NetworkWatcher,
  onShutdown,
  PermissionError,
  probeBackends,
  setLogger,
  snapshot,
  ToolMissingError,
  watchNetwork,
  type WatchOptions,
} from "./watch/mod.ts";
export {
  acceptLoop,
  breaker,
  browserNetwork,
  budget,
  classify,
  compose,
  constant,
  dial,
  DialError,
  exponential,
  type Failure,
  fallback,
  heartbeat,
  hedge,
  limit,
  linear,
  type NetworkView,
  type Policy,
  ready,
  readyGate,
  retry,
  RetryError,
  serve,
  supervise,
  timeout,
} from "./recover/mod.ts";

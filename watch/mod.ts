/**
 * Watches the network: what it is now, and every change - up and down, addresses, gateway, default interface, resolver,
 * public address, another network with the same addresses, sleep and wake.
 *
 * ```ts
 * import { watchNetwork } from "@holdfast/net/watch";
 *
 * await using watcher = await watchNetwork();
 * console.log(watcher.state.online, watcher.backend);
 * using _ = watcher.on("offline", ({ family }) => console.log(`IPv${family} is gone`));
 * ```
 *
 * Permissions: `--allow-ffi` sees everything at kernel speed on Linux; `--allow-run=ip` sees everything by a tool;
 * `--allow-sys=networkInterfaces` sees addresses, by polling. See {@linkcode permissions}.
 *
 * @module
 */

export { watchNetwork } from "./watch.ts";
export type {
  BackendReport,
  GraceOptions,
  NetworkWatcher,
  OnlineOptions,
  WatcherEvent,
  WatchOptions,
} from "./watcher.ts";
export { type BackendStatus, probeBackends, snapshot, type SnapshotOptions } from "./snapshot.ts";
export {
  type ExternalAddress,
  externalAddress,
  type ExternalAddressOptions,
  type ExternalAgreement,
  type ExternalFailure,
  type ExternalFamilyResult,
  type ExternalMapping,
  type ExternalServerOutcome,
} from "./external.ts";
export { permissions } from "./permissions.ts";
export { applyEvents, diffStates, equalStates, type Relevance } from "./diff.ts";
export {
  type Address,
  type AddressScope,
  type Blindness,
  type DefaultRoute,
  type DnsConfig,
  type ExternalAddresses,
  type ExternalFamily,
  type Family,
  type Interface,
  type InterfaceKind,
  isPlumbing,
  isUsableAddress,
  isUsableInterface,
  type NetworkState,
  onlineFamilies,
  routeOf,
} from "./state.ts";
export type {
  AddressChangeEvent,
  AddressConflictEvent,
  AddressEvent,
  AddressFields,
  BackendEvent,
  BackendName,
  DnsEvent,
  EventStamp,
  ExternalEvent,
  IdentityEvent,
  InterfaceChangeEvent,
  InterfaceEvent,
  InterfaceFields,
  Major,
  NetworkChange,
  NetworkEvent,
  NetworkIdentity,
  OnlineEvent,
  ResyncEvent,
  RouteEvent,
  WakeEvent,
} from "./events.ts";
export type { ReaderName, Reading, Source, SourceEvents, SourceFactory } from "./_reading.ts";
export type { PassedOver } from "./_select.ts";
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

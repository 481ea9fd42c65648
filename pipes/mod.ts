/**
 * One pipe for every transport: TCP, TLS, UDP, Unix sockets and within the process (WebSocket is on
 * `@holdfast/net/pipes/ws`), with web streams and messages, framing, backpressure, and the events of the network.
 *
 * ```ts
 * import { connect, lines, listen } from "@holdfast/net/pipes";
 *
 * await using server = await listen("tcp://127.0.0.1:0", { framing: lines() });
 * await using pipe = await connect(server.url, { framing: lines() });
 * await pipe.send("hello");
 * ```
 *
 * Permissions: `--allow-net` for where it connects to or listens; Unix sockets need `--allow-read` and `--allow-write` for
 * their path besides.
 *
 * @module
 */

export { connect, type ConnectOptions, type PipeTlsOptions, type PipeVia } from "./connect.ts";
export { listen, type ListenOptions, type PipeServerTlsOptions } from "./listen.ts";
export type { PipeServer, PipeServerEvent, PipeServerReport } from "./server.ts";
export { pipeFromConn, type PipeFromConnOptions, type PipeOfConn } from "./from_conn.ts";
export { relay, type RelayFailure, type RelayFlow, type RelayOptions, type RelayReport } from "./relay.ts";
export {
  type ExecAddress,
  formatPipeAddress,
  type HostAddress,
  type MemoryAddress,
  parsePipeUrl,
  type PipeAddress,
  type PipeUrl,
  type Transport,
  type UnixAddress,
} from "./address.ts";
export {
  delimiter,
  type DelimiterOptions,
  fixed,
  type FrameDecoder,
  type Framer,
  lengthPrefix,
  type LengthPrefixOptions,
  lines,
} from "./framing.ts";
export type {
  Detached,
  ExecPipe,
  MemoryPipe,
  Packet,
  Pipe,
  PipeAddressLostEvent,
  PipeBase,
  PipeData,
  PipeEndEvent,
  PipeErrorEvent,
  PipeEvent,
  PipeEventOf,
  PipeEventType,
  PipeFilter,
  PipeMessageEvent,
  PipeNetworkEvent,
  PipeOf,
  PipeProofEvent,
  PipeState,
  PipeStats,
  PipeUpEvent,
  RecvOptions,
  SendOptions,
  Subscription,
  TcpPipe,
  TlsPipe,
  UdpPipe,
  UnixPipe,
  WebSocketPipe,
} from "./pipe.ts";
export { PipeError, type PipeErrorCode } from "./pipe_error.ts";
export type { PipeOptions } from "./_pipe_options.ts";
export type { QueueOptions, QueuePolicy } from "./_subscriptions.ts";
export type {
  NetworkPolicies,
  NetworkPolicy,
  NetworkReaction,
  PathEvent,
  PipeHeartbeat,
  ReconnectOptions,
} from "./network_options.ts";
export {
  MAX_DATAGRAM,
  type UdpConnectOptions,
  type UdpListenOptions,
  type UdpMulticastOptions,
  type UdpOptions,
} from "./udp_options.ts";
export { permissions } from "./permissions.ts";
export type { Dialer, FillSink, Link, LinkListener } from "./_link.ts";
export { SessionLost, type SessionLostOptions, type SessionLostReason } from "./resume/session_lost.ts";
export type {
  PipeMigratedEvent,
  PipeResumedEvent,
  PipeSessionEvent,
  PipeSuspendedEvent,
  SessionInfo,
  SessionPipe,
  SessionState,
} from "./resume/session.ts";
export type {
  ResumeMode,
  SessionIdentity,
  SessionOptions,
  SessionSealOptions,
} from "./resume/session_options.ts";
export type {
  SessionCaller,
  SessionServerOptions,
  SessionServerSealOptions,
} from "./resume/session_server_options.ts";
export type { LinkProof, ListenContext, PipeTransport } from "./_transport.ts";

export type {
  AddressRecord,
  Attempt,
  Backoff,
  BackoffJitter,
  ClassifyContext,
  DialMemory,
  DialRecollection,
  DialResolver,
  DialResolverOptions,
  DrainOptions,
  ExecuteOptions,
  Failure,
  FailureKind,
  FailureOperation,
  FailureRetry,
  FailureSent,
  FailureWhere,
  Policy,
  RetryBudget,
  RetryOptions,
  ScenarioId,
} from "../recover/mod.ts";
export { SCENARIO_IDS } from "../recover/scenarios/ids.ts";
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

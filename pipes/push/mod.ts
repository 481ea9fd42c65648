/**
 * Live sockets to other processes: `pushTo()` hands connections, listeners and sockets for datagrams over, `receive()` takes
 * them, and the other end of a connection notices nothing. Until somebody has taken a socket it stays where it is.
 *
 * ```ts ignore
 * import { pushTo } from "@holdfast/net/pipes/push";
 *
 * await using channel = await pushTo(["/run/worker-1", "/run/worker-2"]);
 * for await (const conn of Deno.listen({ port: 8000 })) {
 *   channel.push(conn).catch(() => conn.close());
 * }
 * ```
 *
 * What TLS has agreed on cannot be pushed, and neither can what `Deno.serve` has accepted: push before the handshake, and
 * before the first request is read.
 *
 * Permissions: `--allow-ffi` with the path of the C library; Linux only.
 *
 * @module
 */

export {
  type Pushable,
  type PushChannel,
  type Pushed,
  type PushOptions,
  pushTo,
  type PushToOptions,
} from "./push.ts";
export {
  type PushReceiver,
  type PushReceiverEvent,
  type PushRefusedEvent,
  type PushResyncEvent,
  receive,
  type Received,
  type ReceivedBase,
  type ReceivedDatagram,
  type ReceivedListener,
  type ReceivedStream,
  type ReceiveOptions,
} from "./receive.ts";
export { type ListenersOffer, offerListeners, type OfferListenersOptions } from "./offer_listeners.ts";
export { takeListeners, type TakeListenersOptions, type Takeover } from "./take_listeners.ts";
export { probePush, type PushBackendState } from "./probe_push.ts";
export {
  type PushRoutedEvent,
  type PushRouter,
  type PushRouterEvent,
  type PushRouterResyncEvent,
  type PushUnroutedEvent,
  type RoutableListener,
  routePushes,
  type RoutePushesOptions,
} from "./route.ts";
export type { PushRoutes, RouteTable, RouteTarget, SeenRoute } from "./_choose_route.ts";
export type { OfferedListener } from "./_offered.ts";
export { MAX_PEEK, type Peeked, type PeekedRoute, peekRoute } from "./peek_route.ts";
export type { TlsRoute } from "./_peek_tls.ts";
export type { Http1Route, Http2Route } from "./_peek_http.ts";
export type { ProxiedAddress, ProxyRoute } from "./_peek_proxy.ts";
export {
  inetdSocket,
  type InheritedSocket,
  listenFds,
  type ListenFdsOptions,
  nginxListeners,
} from "./listen_fds.ts";
export { type HttpHandler, type HttpServer, serveHttp, type ServeHttpOptions } from "./serve_http.ts";
export { type SocketsToldBy, startWithSockets, type StartWithSocketsOptions } from "./inherit.ts";
export {
  type MessageEnd,
  pushToWorker,
  type PushToWorkerOptions,
  receiveInWorker,
  type WorkerReceived,
  type WorkerReceiver,
} from "./worker.ts";
export { type IpcEnd, type IpcReceiver, pushByIpc, type PushByIpcOptions, receiveByIpc } from "./ipc.ts";
export { PushError, type PushErrorCode } from "./push_error.ts";
export { permissions } from "./permissions.ts";
export type { Adopted, AdoptedKind } from "./_adopt.ts";
export type { AdoptedListener } from "./_adopted_listener.ts";
export type { AdoptedStream } from "./_adopted_stream.ts";
export type { ConnLinkOptions, StreamConn } from "../_conn_link.ts";
export type { AdoptedDatagram } from "./_adopted_datagram.ts";
export type { DescriptorsProcess, ProgramEnd, StandardStream } from "../../internal/exec_descriptors.ts";
export type { BareSocket } from "./_pushable.ts";
export type { PushPeer, TrustedUsers } from "./_scm_socket.ts";

export type {
  Detached,
  Packet,
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
  PipeProofEvent,
  PipeState,
  PipeStats,
  PipeUpEvent,
  RecvOptions,
  SendOptions,
  Subscription,
  TcpPipe,
  UnixPipe,
} from "../pipe.ts";
export type { PipeOptions } from "../_pipe_options.ts";
export type { Clock, Timer } from "../../internal/clock.ts";
export type { EventOf, Tagged } from "../../internal/events.ts";
export type { BackendPermissions, ModulePermissions, Need } from "../../internal/permissions.ts";
export { HoldfastError, type HoldfastErrorOptions, PermissionError } from "../../internal/errors.ts";

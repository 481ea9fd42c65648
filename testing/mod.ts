/**
 * Fakes for the tests of programs that use Holdfast: a network whose changes are scripted, a clock that a test turns;
 * servers that fail as they are told to, for TCP, TLS, HTTP, WebSocket, DNS and STUN; links that make the network bad.
 *
 * ```ts
 * import { fakeNetwork } from "@holdfast/net/testing";
 * import { watchNetwork } from "@holdfast/net/watch";
 *
 * const network = fakeNetwork();
 * await using watcher = await watchNetwork({ source: network.source });
 * network.setInterface("wlan0");
 * ```
 *
 * @module
 */

export { FakeClock, type FakeClockOptions } from "./fake_clock.ts";
export { type FakeNetwork, fakeNetwork, type FakeNetworkOptions } from "./fake_network.ts";
export {
  makeTestAuthority,
  type TestAuthority,
  type TestCertificate,
  type TestCertificateOptions,
} from "./certificates.ts";
export type { ChaosFaults, ChaosLaneFaults, UdpChaosFaults, UdpChaosLaneFaults } from "./chaos_faults.ts";
export { type ChaosCounts, type ChaosLink, type ChaosLinkOptions, startChaosLink } from "./chaos_link.ts";
export {
  startUdpChaosLink,
  type UdpChaosCounts,
  type UdpChaosLink,
  type UdpChaosLinkOptions,
} from "./udp_chaos_link.ts";
export {
  type DnsFault,
  type DnsQuestion,
  type DnsRecords,
  type DnsRule,
  type DnsServer,
  type DnsServerOptions,
  startDnsServer,
} from "./dns_server.ts";
export type {
  CloseWithoutNotifyFault,
  DripFault,
  EarlyReplyFault,
  EchoFault,
  EndFault,
  Fault,
  HalfHandshakeFault,
  HttpBodyCutFault,
  HttpBodyStallFault,
  HttpFault,
  HttpHeaderStallFault,
  HttpPooledCutFault,
  HttpStatusFault,
  NeverReadFault,
  NotTlsFault,
  RedirectFault,
  ResetFault,
  SilentFault,
  WebSocketFault,
  WebSocketHalfOpenFault,
  WebSocketResetFault,
} from "./fault.ts";
export { type FaultServer, type FaultServerOptions, startFaultServer } from "./fault_server.ts";
export {
  FakeSignalBroker,
  type SeenPacket,
  type SignalBrokerFaults,
  SignalBrokers,
  type SignalBrokersOptions,
} from "./signal_broker.ts";
export {
  startStunServer,
  type StunServer,
  type StunServerMode,
  type StunServerOptions,
} from "./stun_server.ts";
export type { Clock, Timer } from "../internal/clock.ts";

/**
 * Fakes for the tests of programs that use Holdfast: a network whose changes are scripted, a clock that a test turns, a
 * STUN server with faults.
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
  startStunServer,
  type StunServer,
  type StunServerMode,
  type StunServerOptions,
} from "./stun_server.ts";
export type { Clock, Timer } from "../internal/clock.ts";

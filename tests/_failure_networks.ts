/** Networks that failures happen in. */

import type { NetworkViewState } from "../internal/network_view.ts";

const ROUTE = { gateway: "10.9.1.1", interface: "vc", source: "10.9.1.2" };
const ROUTE6 = { gateway: "fd09:1::1", interface: "vc", source: "fd09:1::2" };
const V4 = { address: "10.9.1.2", prefix: 24 };
const V6 = { address: "fd09:1::2", prefix: 64 };

/** All is well. */
export const ON: NetworkViewState = {
  at: 0,
  online: true,
  families: [4, 6],
  interfaces: [{ name: "vc", addresses: [V4, V6] }],
  defaultRoute: { v4: ROUTE, v6: ROUTE6 },
};

/** No default route; the addresses are still there. */
export const OFF: NetworkViewState = {
  ...ON,
  online: false,
  families: [],
  defaultRoute: { v4: null, v6: null },
};

/** IPv4 only. */
export const NO_V6: NetworkViewState = {
  ...ON,
  families: [4],
  interfaces: [{ name: "vc", addresses: [V4] }],
  defaultRoute: { v4: ROUTE, v6: null },
};

/** Routes there, yet the interface has no carrier. */
export const NO_CARRIER: NetworkViewState = { ...ON, online: false, families: [] };

// A watcher's state says more than a view has to.
const SWITCHED = { name: "vc", up: false, running: false, kind: "veth", addresses: [V4] };
const BARE = { ...SWITCHED, up: true, running: true, addresses: [] };
const LOOPBACK = { name: "lo", up: true, kind: "loopback", addresses: [{ address: "127.0.0.1", prefix: 8 }] };
const FRESH = { address: "fd09:1::33", prefix: 64, tentative: true, conflict: false };
const TAKEN = { ...FRESH, tentative: false, conflict: true };

/** The only interface besides the loopback one is switched off. */
export const SWITCHED_OFF: NetworkViewState = { ...OFF, interfaces: [LOOPBACK, SWITCHED] };

/** Carrier and a route, and no address: those of a lease that is over. */
export const NO_ADDRESS: NetworkViewState = {
  ...ON,
  online: false,
  families: [],
  interfaces: [LOOPBACK, BARE],
  defaultRoute: { v4: null, v6: ROUTE6 },
};

/** An address is there and not ready. */
export const TENTATIVE: NetworkViewState = {
  ...ON,
  interfaces: [{ name: "vc", addresses: [V4, V6, FRESH] }],
};

/** An address is another machine's. */
export const WITH_CONFLICT: NetworkViewState = {
  ...ON,
  interfaces: [{ name: "vc", addresses: [V4, V6, TAKEN] }],
};

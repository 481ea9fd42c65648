/** One example of everything that a watcher can tell. */

import type { NetworkChange, NetworkEvent } from "../watch/events.ts";
import type { Address, DefaultRoute, Interface, NetworkState } from "../watch/state.ts";

/** The time at which all samples happen. */
export const AT = 1_700_000_000_000;

/** A usable address. */
export const ADDRESS: Address = {
  address: "10.0.0.2",
  family: 4,
  prefix: 24,
  scope: "global",
  temporary: false,
  tentative: false,
  deprecated: false,
  conflict: false,
  preferredLifetime: null,
  validLifetime: null,
};

/** An interface with a usable address, and one that is not usable yet. */
export const V0: Interface = {
  index: 7,
  name: "v0",
  kind: "veth",
  mac: "02:00:00:00:00:01",
  mtu: 1500,
  up: true,
  running: true,
  master: null,
  addresses: [
    ADDRESS,
    {
      ...ADDRESS,
      address: "fe80::1",
      family: 6,
      prefix: 64,
      scope: "link",
      tentative: true,
      validLifetime: 5000,
    },
  ],
};

/** An interface without carrier. */
export const ETH1: Interface = {
  ...V0,
  index: 8,
  name: "eth1",
  kind: "ethernet",
  running: false,
  mac: null,
  mtu: null,
  master: 9,
  addresses: [],
};

/** A default route. */
export const ROUTE: DefaultRoute = {
  gateway: "10.0.0.1",
  interface: "v0",
  index: 7,
  metric: 100,
  source: "10.0.0.2",
};

/** A machine that is online by IPv4. */
export const STATE: NetworkState = {
  at: AT,
  online: true,
  families: [4],
  interfaces: [V0, ETH1],
  defaultRoute: { v4: ROUTE, v6: null },
  dns: { servers: ["10.0.0.1", "9.9.9.9"], search: ["example.org"] },
  external: { v4: { address: "192.0.2.7", agreed: 2, answered: 2 }, v6: null },
  blind: [],
};

/** A machine about which nothing is known. */
export const NOTHING: NetworkState = {
  at: AT,
  online: false,
  families: [],
  interfaces: [],
  defaultRoute: { v4: null, v6: null },
  dns: null,
  external: null,
  blind: ["links", "routes", "dns"],
};

const IDENTITY = { gateway: "10.0.0.1", mac: "02:00:00:00:00:0a", network: "10.0.0.0/24" };
const ON_V0 = { at: AT, interface: "v0", index: 7 } as const;

/** The event of a type; unlike `Extract` also where one interface has several types. */
type EventOf<T, E = NetworkEvent> = E extends { readonly type: infer U } ? T extends U ? E : never : never;

/** One event of each type. */
export const EVENTS: { readonly [T in NetworkEvent["type"]]: EventOf<T> } = {
  online: { type: "online", at: AT, family: 4, families: [4] },
  offline: { type: "offline", at: AT, family: 4, families: [] },
  interfaceadd: { type: "interfaceadd", ...ON_V0, details: V0 },
  interfaceremove: { type: "interfaceremove", ...ON_V0, details: V0 },
  interfacechange: { type: "interfacechange", ...ON_V0, from: { running: true }, to: { running: false } },
  addressadd: { type: "addressadd", ...ON_V0, ...ADDRESS },
  addressremove: { type: "addressremove", ...ON_V0, ...ADDRESS },
  addresschange: {
    type: "addresschange",
    ...ON_V0,
    address: "2001:db8::2",
    family: 6,
    prefix: 64,
    from: { tentative: true },
    to: { tentative: false },
  },
  addressconflict: { type: "addressconflict", ...ON_V0, address: "2001:db8::2", family: 6 },
  gatewaychange: { type: "gatewaychange", at: AT, family: 4, from: ROUTE, to: null },
  defaultinterfacechange: {
    type: "defaultinterfacechange",
    at: AT,
    family: 4,
    from: ROUTE,
    to: { ...ROUTE, interface: "v1" },
  },
  routechange: {
    type: "routechange",
    at: AT,
    family: 4,
    from: ROUTE,
    to: { ...ROUTE, metric: 50, source: null },
  },
  dnschange: { type: "dnschange", at: AT, from: STATE.dns, to: null },
  identitychange: {
    type: "identitychange",
    at: AT,
    family: 4,
    from: IDENTITY,
    to: { ...IDENTITY, mac: "02:00:00:00:00:0b", network: null },
  },
  externalchange: { type: "externalchange", at: AT, from: null, to: STATE.external },
  wake: { type: "wake", at: AT, slept: 200_000 },
  backend: { type: "backend", at: AT, backend: "poll", reason: "fallback", detail: "ip-monitor ended" },
  resync: { type: "resync", at: AT, state: STATE },
};

/** A settled change with an event of each type in it. */
export const CHANGE: NetworkChange = {
  type: "change",
  at: AT,
  previous: STATE,
  next: NOTHING,
  events: Object.values(EVENTS),
  major: "required",
  reasons: ["the source address 10.0.0.2 is gone"],
};

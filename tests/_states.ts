/** Made-up states of the network for property tests: few names and numbers, so that they meet again and again. */

import fc from "fast-check";
import { sortAddresses, sortInterfaces } from "../watch/diff.ts";
import { toState } from "../watch/_reading.ts";
import type {
  Address,
  Blindness,
  DefaultRoute,
  DnsConfig,
  ExternalAddresses,
  Interface,
  NetworkState,
} from "../watch/state.ts";

const CIDRS = [
  "192.0.2.1/24",
  "192.0.2.1/32",
  "10.0.0.7/8",
  "2001:db8::1/64",
  "2001:db8::2/64",
  "fe80::1/64",
];

const anyAddress: fc.Arbitrary<Address> = fc.record({
  cidr: fc.constantFrom(...CIDRS),
  scope: fc.constantFrom("global", "global", "site", "link", "host"),
  temporary: fc.boolean(),
  tentative: fc.boolean(),
  deprecated: fc.boolean(),
  conflict: fc.boolean(),
  preferredLifetime: fc.option(fc.nat(1e6)),
  validLifetime: fc.option(fc.nat(1e6)),
}).map(({ cidr, ...rest }) => {
  const [address = "", prefix] = cidr.split("/");
  return { ...rest, address, prefix: Number(prefix), family: address.includes(":") ? 6 : 4 };
});

/** A list that may hold an address twice, as one with several peers does. */
const anyAddresses: fc.Arbitrary<Address[]> = fc.tuple(
  fc.uniqueArray(anyAddress, { selector: (a) => `${a.address}/${a.prefix}`, maxLength: 4 }),
  fc.integer({ min: 0, max: 9 }),
).map(([list, n]) => sortAddresses([...list, ...n === 0 ? list.slice(0, 1) : []]));

const NAMES = ["eth0", "eth1", "wlan0", "veth1", "docker0", "br0"];

const anyInterface: fc.Arbitrary<Omit<Interface, "name">> = fc.record({
  index: fc.integer({ min: 1, max: 5 }),
  kind: fc.constantFrom("ethernet", "wifi", "veth", "bridge", "tunnel"),
  mac: fc.constantFrom(null, "02:00:00:00:00:01", "02:00:00:00:00:02"),
  mtu: fc.constantFrom(1280, 1500),
  up: fc.boolean(),
  running: fc.boolean(),
  master: fc.constantFrom(null, null, 1, 2),
  addresses: anyAddresses,
});

const anyInterfaces: fc.Arbitrary<Interface[]> = fc.tuple(
  fc.uniqueArray(anyInterface, { selector: ({ index }) => index, maxLength: 4 }),
  fc.shuffledSubarray(NAMES, { minLength: 4 }),
).map(([list, names]) => sortInterfaces(list.map((iface, n) => ({ ...iface, name: names[n] ?? "" }))));

const anyDns: fc.Arbitrary<DnsConfig> = fc.record({
  servers: fc.subarray(["192.0.2.53", "2001:db8::53"]),
  search: fc.subarray(["a.example", "b.example"]),
});

const anyExternal: fc.Arbitrary<ExternalAddresses | null> = fc.option(fc.record({
  v4: fc.option(fc.record({
    address: fc.constantFrom("198.51.100.1", "198.51.100.2"),
    agreed: fc.nat(3),
    answered: fc.nat(3),
  })),
  v6: fc.constant(null),
}));

interface RouteSeed {
  readonly pick: number;
  readonly gateway: string | null;
  readonly metric: number | null;
  readonly source: string | null;
}

const anyRoute: fc.Arbitrary<RouteSeed | null> = fc.option(fc.record({
  pick: fc.nat(9),
  gateway: fc.constantFrom(null, "192.0.2.254", "fe80::ff"),
  metric: fc.constantFrom(null, 0, 100),
  source: fc.constantFrom(null, "192.0.2.1", "2001:db8::1"),
}));

function route(seed: RouteSeed | null, interfaces: readonly Interface[]): DefaultRoute | null {
  const iface = seed && interfaces[seed.pick % interfaces.length];
  if (!iface) return null;
  const { pick: _, ...rest } = seed;
  return { ...rest, interface: iface.name, index: iface.index };
}

/** What a reader that is blind to links sees: interfaces by their addresses, without numbers and properties. */
function withoutLinks(interfaces: readonly Interface[]): Interface[] {
  const address = { temporary: false, tentative: false, deprecated: false, conflict: false };
  const link = {
    index: 0,
    kind: "other",
    mac: null,
    mtu: null,
    up: true,
    running: true,
    master: null,
  } as const;
  return sortInterfaces(
    interfaces.filter(({ addresses }) => addresses.length > 0).map(({ name, addresses }) => ({
      ...link,
      name,
      addresses: addresses.map((one) => ({ ...one, ...address })),
    })),
  );
}

/**
 * Any state of the network.
 *
 * @param blindness What readings may be blind to; nothing, if it is empty.
 */
export function anyState(...blindness: Blindness[]): fc.Arbitrary<NetworkState> {
  return fc.record({
    at: fc.nat(1e6),
    interfaces: anyInterfaces,
    v4: anyRoute,
    v6: anyRoute,
    dns: anyDns,
    external: anyExternal,
    blind: fc.oneof({ weight: 2, arbitrary: fc.constant<Blindness[]>([]) }, {
      weight: 1,
      arbitrary: fc.subarray(blindness),
    }),
  }).map(({ at, interfaces, v4, v6, dns, external, blind }) =>
    toState({
      at,
      interfaces: blind.includes("links") ? withoutLinks(interfaces) : interfaces,
      // Without links no route can be told either.
      defaultRoute: blind.includes("routes") || blind.includes("links")
        ? { v4: null, v6: null }
        : { v4: route(v4, interfaces), v6: route(v6, interfaces) },
      dns: blind.includes("dns") ? null : dns,
      blind: blind.includes("links") && !blind.includes("routes") ? [...blind, "routes"] : blind,
    }, external)
  );
}

/** The parts of a state that events tell of, to be compared as a whole. */
export function essence(state: NetworkState): unknown {
  const { interfaces, defaultRoute, dns, external, families, online } = state;
  return {
    interfaces: interfaces.map((iface) => ({
      ...iface,
      addresses: [...new Map(iface.addresses.map((one) => [`${one.address}/${one.prefix}`, one])).values()]
        .map(({ preferredLifetime: _p, validLifetime: _v, ...rest }) => rest),
    })),
    defaultRoute,
    dns,
    external: [external?.v4?.address, external?.v6?.address],
    families,
    online,
  };
}

import { assertEquals } from "@std/assert";
import {
  type Address,
  type DefaultRoute,
  type Family,
  type Interface,
  isPlumbing,
  isUsableAddress,
  isUsableInterface,
  type NetworkState,
  onlineFamilies,
  routeOf,
} from "./state.ts";

function address(fields: Partial<Address> = {}): Address {
  return {
    address: "192.0.2.1",
    family: 4,
    prefix: 24,
    scope: "global",
    temporary: false,
    tentative: false,
    deprecated: false,
    conflict: false,
    preferredLifetime: null,
    validLifetime: null,
    ...fields,
  };
}

function iface(fields: Partial<Interface> = {}): Interface {
  return {
    index: 2,
    name: "eth0",
    kind: "ethernet",
    mac: null,
    mtu: 1500,
    up: true,
    running: true,
    master: null,
    addresses: [],
    ...fields,
  };
}

function route(fields: Partial<DefaultRoute> = {}): DefaultRoute {
  return { gateway: null, interface: "eth0", index: 2, metric: null, source: null, ...fields };
}

type Part = Pick<NetworkState, "interfaces" | "defaultRoute" | "blind">;

function part(fields: Partial<Part> = {}): Part {
  return { interfaces: [], defaultRoute: { v4: null, v6: null }, blind: [], ...fields };
}

Deno.test("an address is usable unless it is tentative, in conflict, or reaches no further than its link", () => {
  const table: readonly [Partial<Address>, boolean][] = [
    [{}, true],
    [{ scope: "site" }, true],
    [{ scope: "link" }, false],
    [{ scope: "host" }, false],
    [{ tentative: true }, false],
    [{ conflict: true }, false],
    [{ deprecated: true }, true],
    [{ temporary: true }, true],
  ];
  for (const [fields, usable] of table) {
    assertEquals([fields, isUsableAddress(address(fields))], [fields, usable]);
  }
});

Deno.test("an interface is usable for a family when it runs and has a usable address of it", () => {
  const both = iface({ addresses: [address(), address({ family: 6, address: "fe80::1", scope: "link" })] });
  assertEquals([isUsableInterface(both), isUsableInterface(both, 4), isUsableInterface(both, 6)], [
    true,
    true,
    false,
  ]);
  assertEquals(isUsableInterface({ ...both, running: false }), false);
  assertEquals(isUsableInterface(iface()), false);
});

Deno.test("routeOf() tells the route of a family", () => {
  const [v4, v6] = [route(), route({ metric: 1 })];
  assertEquals([routeOf({ defaultRoute: { v4, v6 } }, 4), routeOf({ defaultRoute: { v4, v6 } }, 6)], [
    v4,
    v6,
  ]);
});

Deno.test("a family is online by a default route through a usable interface, and by nothing less", () => {
  const usable = iface({ addresses: [address()] });
  const through = { v4: route(), v6: route() };
  const table: readonly [Partial<Part>, Family[]][] = [
    [{ interfaces: [usable], defaultRoute: through }, [4]],
    [{ interfaces: [usable] }, []],
    [{ interfaces: [iface()], defaultRoute: through }, []],
    [{ interfaces: [{ ...usable, index: 3 }], defaultRoute: through }, []],
    [{ interfaces: [{ ...usable, running: false }], defaultRoute: through }, []],
    [
      {
        interfaces: [iface({ addresses: [address(), address({ family: 6, address: "2001:db8::1" })] })],
        defaultRoute: through,
      },
      [4, 6],
    ],
  ];
  for (const [fields, families] of table) assertEquals(onlineFamilies(part(fields)), families);
});

Deno.test("where routes are out of sight, a usable address outside of container plumbing has to do", () => {
  const blind = ["links", "routes"] as const;
  const docker = iface({ name: "docker0", addresses: [address()] });
  const loopback = iface({ name: "lo", kind: "loopback", addresses: [address({ scope: "host" })] });
  assertEquals(onlineFamilies(part({ blind, interfaces: [docker, loopback] })), []);
  assertEquals(onlineFamilies(part({ blind, interfaces: [docker, iface({ addresses: [address()] })] })), [4]);
});

Deno.test("container plumbing is known by kind, by master and by name, unless a default route leads through it", () => {
  const bridge = iface({ index: 9, name: "br0", kind: "bridge" });
  const table: readonly (readonly [Partial<Interface>, boolean])[] = [
    [{}, false],
    [{ kind: "veth" }, true],
    [{ kind: "bridge" }, true],
    [{ master: 9 }, true],
    [{ master: 8 }, false],
    [{ kind: "veth", addresses: [address()] }, false],
    [{ kind: "veth", addresses: [address({ scope: "link" })] }, true],
    // An address that is not usable yet is meant to be.
    [{ kind: "veth", addresses: [address({ tentative: true })] }, false],
    [{ kind: "bridge", addresses: [address()] }, false],
    ...["docker0", "br-0123456789ab", "virbr0", "cni0", "cali12ab", "flannel.1", "podman1", "lxcbr0"]
      .map((name) => [{ name, addresses: [address()] }, true] as const),
    ...["br-lan", "dockerhub", "eth0", "wlan0", "br0"]
      .map((name) => [{ name, addresses: [address()] }, false] as const),
  ];
  for (const [fields, plumbing] of table) {
    const one = iface({ index: 5, ...fields });
    const state = part({ interfaces: [bridge, one] });
    assertEquals([fields, isPlumbing(one, state)], [fields, plumbing]);
    const v6 = route({ interface: one.name, index: 5 });
    assertEquals(isPlumbing(one, { ...state, defaultRoute: { v4: null, v6 } }), false);
  }
});

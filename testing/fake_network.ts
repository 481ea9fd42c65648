/** A network made up by a test: scripted states in, the watcher's real events out. */

import { formatIp, parseIp } from "../internal/ip.ts";
import type { Reading, Source, SourceEvents, SourceFactory } from "../watch/_reading.ts";
import { sortAddresses, sortInterfaces } from "../watch/diff.ts";
import type { BackendName } from "../watch/events.ts";
import type { Address, DefaultRoute, DnsConfig, Family, Interface } from "../watch/state.ts";

/** A made-up network; give `source` to `watchNetwork()`, then change it. */
export interface FakeNetwork {
  /** What `watchNetwork({ source })` takes. */
  readonly source: SourceFactory;
  /** How many sources are open, to prove that nothing was left behind. */
  readonly open: number;
  /** Changes several things at once, and tells the watcher once. */
  change(action: () => void): void;
  /** Adds an interface, or changes the one of that name; with the index of another one, that one is renamed. */
  setInterface(name: string, fields?: Partial<Omit<Interface, "name" | "addresses">>): void;
  /** Takes an interface away, with its addresses and the routes through it. */
  removeInterface(name: string): void;
  /** Adds an address in `address/prefix` form to an interface, or replaces it. */
  setAddress(
    name: string,
    cidr: string,
    fields?: Partial<Omit<Address, "address" | "prefix" | "family">>,
  ): void;
  /** Takes an address away. */
  removeAddress(name: string, cidr: string): void;
  /** Sets the default route of a family, or takes it away with `null`. */
  setDefaultRoute(family: Family, route: { readonly interface: string } & Partial<DefaultRoute> | null): void;
  /** Sets the resolver's configuration. */
  setDns(dns: DnsConfig | null): void;
  /** Sets the hardware address of a family's gateway, by which networks are told apart. */
  setGatewayMac(family: Family, mac: string | null): void;
  /** Makes it look as if the kernel had dropped messages. */
  overflow(): void;
  /** Makes the source fail, now and whenever it is opened, until called with `false`. */
  fail(broken?: boolean): void;
}

/** What {@linkcode fakeNetwork} takes. */
export interface FakeNetworkOptions {
  /**
   * The backend that the watcher will name.
   *
   * @default {"netlink"}
   */
  readonly backend?: BackendName;
  /** Tells the wall-clock time of readings, in milliseconds; by default the system's. */
  readonly now?: () => number;
}

/**
 * Makes a network up. It begins with a loopback interface and nothing else.
 *
 * @param options Its name and its clock.
 * @returns The network.
 *
 * @example
 * ```ts
 * import { fakeNetwork } from "@holdfast/net/testing";
 * import { watchNetwork } from "@holdfast/net/watch";
 * import { assertEquals } from "@std/assert";
 *
 * const network = fakeNetwork();
 * await using watcher = await watchNetwork({ source: network.source });
 * const gone: number[] = [];
 * using _ = watcher.on("offline", ({ family }) => gone.push(family));
 *
 * network.change(() => {
 *   network.setInterface("wlan0");
 *   network.setAddress("wlan0", "192.168.1.23/24");
 *   network.setDefaultRoute(4, { interface: "wlan0", gateway: "192.168.1.1" });
 * });
 * assertEquals(watcher.state.online, true);
 * network.setDefaultRoute(4, null);
 * assertEquals(gone, [4]);
 * ```
 */
export function fakeNetwork(options: FakeNetworkOptions = {}): FakeNetwork {
  return new Fake(options);
}

class Fake implements FakeNetwork {
  readonly #options: FakeNetworkOptions;
  readonly #listeners = new Set<SourceEvents>();
  #interfaces = new Map<string, Interface>();
  #routes: { v4: DefaultRoute | null; v6: DefaultRoute | null } = { v4: null, v6: null };
  #macs: { v4: string | null; v6: string | null } = { v4: null, v6: null };
  #dns: DnsConfig | null = { servers: [], search: [] };
  #nextIndex = 1;
  #batch = 0;
  #broken = false;

  constructor(options: FakeNetworkOptions) {
    this.#options = options;
    this.setInterface("lo", { kind: "loopback", mac: "00:00:00:00:00:00", mtu: 65536 });
    this.setAddress("lo", "127.0.0.1/8", { scope: "host" });
  }

  get open(): number {
    return this.#listeners.size;
  }

  readonly source: SourceFactory = (events: SourceEvents): Source => {
    this.#check();
    this.#listeners.add(events);
    return {
      backend: this.#options.backend ?? "netlink",
      reader: "netlink",
      read: () => this.#read(),
      [Symbol.asyncDispose]: () => {
        this.#listeners.delete(events);
        return Promise.resolve();
      },
    };
  };

  change(action: () => void): void {
    this.#batch++;
    try {
      action();
    } finally {
      this.#batch--;
      this.#tell();
    }
  }

  setInterface(name: string, fields: Partial<Omit<Interface, "name" | "addresses">> = {}): void {
    const old = this.#interfaces.get(name) ?? this.#rename(fields.index, name);
    const index = fields.index ?? old?.index ?? this.#nextIndex++;
    this.#nextIndex = Math.max(this.#nextIndex, index + 1);
    this.#interfaces.set(name, {
      kind: "ethernet",
      mac: `02:00:00:00:00:${index.toString(16).padStart(2, "0")}`,
      mtu: 1500,
      up: true,
      running: true,
      master: null,
      addresses: [],
      ...old,
      ...fields,
      index,
      name,
    });
    this.#tell();
  }

  removeInterface(name: string): void {
    this.#interface(name);
    this.#interfaces.delete(name);
    for (const key of ["v4", "v6"] as const) {
      if (this.#routes[key]?.interface === name) this.#routes[key] = null;
    }
    this.#tell();
  }

  setAddress(name: string, cidr: string, fields: Partial<Address> = {}): void {
    const { address, prefix, family } = parseCidr(cidr);
    const iface = this.#interface(name);
    const addresses = iface.addresses.filter((a) => a.address !== address || a.prefix !== prefix);
    addresses.push({
      scope: "global",
      temporary: false,
      tentative: false,
      deprecated: false,
      conflict: false,
      preferredLifetime: null,
      validLifetime: null,
      ...fields,
      address,
      prefix,
      family,
    });
    this.#interfaces.set(name, { ...iface, addresses: sortAddresses(addresses) });
    this.#tell();
  }

  removeAddress(name: string, cidr: string): void {
    const { address, prefix } = parseCidr(cidr);
    const iface = this.#interface(name);
    const addresses = iface.addresses.filter((a) => a.address !== address || a.prefix !== prefix);
    if (addresses.length === iface.addresses.length) {
      throw new TypeError(`Cannot remove address: interface "${name}" has no "${cidr}"`);
    }
    this.#interfaces.set(name, { ...iface, addresses });
    this.#tell();
  }

  setDefaultRoute(
    family: Family,
    route: { readonly interface: string } & Partial<DefaultRoute> | null,
  ): void {
    const iface = route && this.#interface(route.interface);
    const source = iface?.addresses.find((a) => a.family === family && a.scope === "global")?.address ?? null;
    this.#routes[`v${family}`] = iface &&
      { gateway: null, metric: 0, source, ...route, index: iface.index } as DefaultRoute;
    this.#tell();
  }

  setDns(dns: DnsConfig | null): void {
    this.#dns = dns;
    this.#tell();
  }

  setGatewayMac(family: Family, mac: string | null): void {
    this.#macs[`v${family}`] = mac;
    this.#tell();
  }

  overflow(): void {
    for (const events of [...this.#listeners]) events.overflow("made up by a test");
    this.#tell();
  }

  fail(broken = true): void {
    this.#broken = broken;
    if (!broken) return;
    for (const events of [...this.#listeners]) {
      events.failed(new Error("Cannot read: made to fail by a test"));
    }
  }

  #interface(name: string): Interface {
    const iface = this.#interfaces.get(name);
    if (!iface) throw new TypeError(`Cannot change the network: there is no interface "${name}"`);
    return iface;
  }

  /** The interface of an index, if it has another name until now. */
  #rename(index: number | undefined, name: string): Interface | undefined {
    const old = [...this.#interfaces.values()].find((iface) => iface.index === index);
    if (!old) return undefined;
    this.#interfaces.delete(old.name);
    for (const key of ["v4", "v6"] as const) {
      const route = this.#routes[key];
      if (route?.interface === old.name) this.#routes[key] = { ...route, interface: name };
    }
    return old;
  }

  #check(): void {
    if (this.#broken) throw new Error("Cannot read: made to fail by a test");
  }

  #tell(): void {
    if (this.#batch > 0) return;
    for (const events of [...this.#listeners]) events.hint();
  }

  #read(): Reading {
    this.#check();
    return {
      at: (this.#options.now ?? Date.now)(),
      interfaces: sortInterfaces([...this.#interfaces.values()]),
      defaultRoute: { ...this.#routes },
      gatewayMac: { ...this.#macs },
      dns: this.#dns,
      blind: this.#dns === null ? ["dns"] : [],
    };
  }
}

function parseCidr(cidr: string): { address: string; prefix: number; family: Family } {
  const [address = "", bits = "", ...rest] = cidr.split("/");
  const bytes = parseIp(address);
  const prefix = Number(bits);
  if (!bytes || rest.length > 0 || !/^\d+$/.test(bits) || prefix > bytes.length * 8) {
    throw new TypeError(
      `Cannot use address "${cidr}": expected address/prefix, for example "192.168.1.23/24"`,
    );
  }
  return { address: formatIp(bytes), prefix, family: bytes.length === 4 ? 4 : 6 };
}

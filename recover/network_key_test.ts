import { assertEquals, assertNotEquals } from "@std/assert";
import type { NetworkView, NetworkViewEvent, NetworkViewState } from "../internal/network_view.ts";
import { networkKey } from "./network_key.ts";

class View implements NetworkView {
  readonly handlers: ((event: NetworkViewEvent) => void)[] = [];
  constructor(public state: NetworkViewState) {}
  online(): Promise<void> {
    return Promise.resolve();
  }
  subscribe(handler: (event: NetworkViewEvent) => void): Disposable {
    this.handlers.push(handler);
    return { [Symbol.dispose]: () => void this.handlers.splice(this.handlers.indexOf(handler), 1) };
  }
  wake(): void {}
}

function state(name: string, gateway: string, source: string, prefix = 24): NetworkViewState {
  return {
    at: 0,
    online: true,
    families: [4],
    interfaces: [{ name, addresses: [{ address: source, prefix }] }],
    defaultRoute: { v4: { gateway, interface: name, source }, v6: null },
  };
}

Deno.test("networkKey() is the same in the same network, whatever address was given out", () => {
  const home = new View(state("wlan0", "192.0.2.1", "192.0.2.7"));
  const key = networkKey(home);
  home.state = state("wlan0", "192.0.2.1", "192.0.2.200");
  assertEquals(networkKey(home), key);
});

Deno.test("networkKey() tells interfaces, gateways and prefixes apart", () => {
  const keys = [
    state("wlan0", "192.0.2.1", "192.0.2.7"),
    state("eth0", "192.0.2.1", "192.0.2.7"),
    state("wlan0", "192.0.2.2", "192.0.2.7"),
    state("wlan0", "192.0.2.1", "192.0.2.7", 25),
    state("wlan0", "192.0.2.1", "198.51.100.7"),
  ].map((one) => networkKey(new View(one)));
  assertEquals(new Set(keys).size, keys.length);
});

Deno.test("networkKey() tells networks with the same addresses apart by their gateways, and knows them again", () => {
  const view = new View(state("wlan0", "192.0.2.1", "192.0.2.7"));
  networkKey(view);
  const to = (mac: string): string => {
    const change: NetworkViewEvent = {
      type: "identitychange",
      at: 0,
      family: 4,
      to: { gateway: "192.0.2.1", mac },
    };
    for (const handler of view.handlers) handler(change);
    return networkKey(view);
  };
  const first = to("02:00:00:00:00:01");
  assertNotEquals(to("02:00:00:00:00:02"), first);
  assertEquals(to("02:00:00:00:00:01"), first);
  assertEquals(view.handlers.length, 1, "one subscription for all calls");
});

Deno.test("networkKey() is empty without a view and without a default route", () => {
  assertEquals(networkKey(undefined), "");
  const none = { ...state("wlan0", "192.0.2.1", "192.0.2.7"), defaultRoute: { v4: null, v6: null } };
  assertEquals(networkKey(new View(none)), "");
});

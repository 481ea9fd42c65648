import { assert } from "@std/assert";
import type { NetworkViewState } from "../internal/network_view.ts";
import { sameNetwork } from "./_same_network.ts";

const STATE: NetworkViewState = {
  at: 1,
  online: true,
  families: [4],
  interfaces: [{ name: "wlan0", addresses: [{ address: "192.168.1.23", prefix: 24 }] }],
  defaultRoute: { v4: { gateway: "192.168.1.1", interface: "wlan0", source: "192.168.1.23" }, v6: null },
};

Deno.test("sameNetwork() sees no change in another reading of the same", () => {
  assert(sameNetwork(STATE, STATE));
  assert(sameNetwork(STATE, { ...structuredClone(STATE), at: 2 }));
});

Deno.test("sameNetwork() sees a change of families, routes, addresses or the network itself", () => {
  const { v4 } = STATE.defaultRoute;
  const changes: Partial<NetworkViewState>[] = [
    { online: false },
    { families: [4, 6] },
    { interfaces: [] },
    { interfaces: [{ name: "wlan0", addresses: [{ address: "192.168.1.24", prefix: 24 }] }] },
    { defaultRoute: { v4: null, v6: null } },
    { defaultRoute: { v4: null, v6: v4 } },
    { defaultRoute: { v4: v4 && { ...v4, gateway: "192.168.1.2" }, v6: null } },
    { defaultRoute: { v4: v4 && { ...v4, interface: "eth0" }, v6: null } },
  ];
  for (const change of changes) assert(!sameNetwork(STATE, { ...STATE, ...change }), JSON.stringify(change));
});

/** A network that a test can change, with a watcher on it: the watcher is real, the network is made up and online. */

import { type NetworkWatcher, watchNetwork } from "@holdfast/net/watch";
import { type FakeNetwork, fakeNetwork } from "../testing/fake_network.ts";

/** The two. */
export interface Online extends AsyncDisposable {
  readonly network: FakeNetwork;
  readonly watcher: NetworkWatcher;
}

/** Makes a network with one interface and a way out. */
export async function online(): Promise<Online> {
  const network = fakeNetwork();
  network.change(() => {
    network.setInterface("wlan0");
    network.setAddress("wlan0", "192.0.2.9/24");
    network.setDefaultRoute(4, { interface: "wlan0" });
  });
  const watcher = await watchNetwork({ source: network.source });
  return { network, watcher, [Symbol.asyncDispose]: () => watcher[Symbol.asyncDispose]() };
}

/** The least of a network: it is there or not, and counts who listens. */

import type { NetworkView, NetworkViewEvent, NetworkViewState } from "../internal/network_view.ts";

/** A network view with a switch. */
export class NetworkSwitch implements NetworkView {
  #state: NetworkViewState;
  readonly #handlers = new Set<(event: NetworkViewEvent) => void>();

  /** @param online Whether it is there in the beginning. */
  constructor(online: boolean) {
    this.#state = stateOf(online ? 1 : null);
  }

  get state(): NetworkViewState {
    return this.#state;
  }

  /** How many listen. */
  get listeners(): number {
    return this.#handlers.size;
  }

  /** Which network is there, by number; `null` for none. */
  set(network: number | null): void {
    const before = this.#state;
    this.#state = stateOf(network);
    const { online, families } = this.#state;
    const family = 4;
    if (online !== before.online) {
      this.#tell({ type: online ? "online" : "offline", at: 0, family, families });
    }
    const [from, to] = [before.defaultRoute.v4, this.#state.defaultRoute.v4];
    this.#tell({ type: "gatewaychange", at: 0, family, from, to });
  }

  subscribe(handler: (event: NetworkViewEvent) => void): Disposable {
    const entry = (event: NetworkViewEvent): void => handler(event);
    this.#handlers.add(entry);
    return { [Symbol.dispose]: () => void this.#handlers.delete(entry) };
  }

  online(): Promise<void> {
    return Promise.reject(new TypeError("Cannot wait for this network: nobody needs it"));
  }

  wake(): void {}

  #tell(event: NetworkViewEvent): void {
    for (const handler of [...this.#handlers]) if (this.#handlers.has(handler)) handler(event);
  }
}

function stateOf(network: number | null): NetworkViewState {
  if (network === null) {
    return { at: 0, online: false, families: [], interfaces: [], defaultRoute: { v4: null, v6: null } };
  }
  const source = `10.${network}.0.9`;
  return {
    at: 0,
    online: true,
    families: [4],
    interfaces: [{ name: "wlan0", addresses: [{ address: source, prefix: 16 }] }],
    defaultRoute: { v4: { interface: "wlan0", gateway: `10.${network}.0.1`, source }, v6: null },
  };
}

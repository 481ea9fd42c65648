/** The least network that policies take, changed by a test. */

import { Broadcast } from "../internal/events.ts";
import type { NetworkView, NetworkViewEvent, NetworkViewState } from "../internal/network_view.ts";

/** A network view that is what a test says. */
export class TestView implements NetworkView {
  readonly #events = new Broadcast<NetworkViewEvent>({
    resync: () => ({ type: "resync", at: 0, state: this.state }),
  });
  readonly #waiting = new Set<() => void>();
  /** How many registrations there are. */
  subscribers = 0;
  /** How often it was told to wake. */
  woken = 0;

  constructor(public state: NetworkViewState = viewState("192.0.2.1")) {}

  online(): Promise<void> {
    return this.state.online ? Promise.resolve() : new Promise((resolve) => this.#waiting.add(resolve));
  }

  subscribe(handler: (event: NetworkViewEvent) => void): Disposable {
    this.subscribers++;
    const registration = this.#events.subscribe(handler);
    return {
      [Symbol.dispose]: () => {
        this.subscribers--;
        registration[Symbol.dispose]();
      },
    };
  }

  wake(): void {
    this.woken++;
  }

  /** Tells an event. */
  tell(event: NetworkViewEvent): void {
    this.#events.publish(event);
  }

  /** Becomes another network, and tells what that means. */
  change(next: NetworkViewState, major: "required" | "advised" | "none" = "required"): void {
    const previous = this.state;
    this.state = next;
    this.tell({ type: "change", at: next.at, previous, next, major, reasons: [] });
    if (!next.online) return;
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

/** The state of a network that has this gateway, or none at all. */
export function viewState(gateway: string | null, source: string = "192.0.2.7"): NetworkViewState {
  const route = gateway === null ? null : { gateway, interface: "eth0", source };
  return {
    at: 0,
    online: route !== null,
    families: route ? [4] : [],
    interfaces: [{ name: "eth0", addresses: [{ address: source, prefix: 24 }] }],
    defaultRoute: { v4: route, v6: null },
  };
}

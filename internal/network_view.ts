/** What other modules see of the network: the least that a watcher has to give, and the browser's version of it. */

import { holdProcess } from "./clock.ts";
import { HoldfastError } from "./errors.ts";
import { Broadcast } from "./events.ts";

/** The route that traffic to the public network takes. */
export interface NetworkViewRoute {
  /** Address of the next hop, or `null` where the interface itself is the way. */
  readonly gateway: string | null;
  /** Name of the interface. */
  readonly interface: string;
  /** The source address the system prefers for it, or `null` where unknown. */
  readonly source: string | null;
}

/** What is known of the network at one moment. A watcher's `NetworkState` is one. */
export interface NetworkViewState {
  /** When it was read, in milliseconds since 1970. */
  readonly at: number;
  /** Whether some family has a usable way to the public network. */
  readonly online: boolean;
  /** The families that have one, in order. */
  readonly families: readonly (4 | 6)[];
  /** The interfaces and their addresses; empty where they are out of sight. */
  readonly interfaces: readonly {
    /** The interface's name. */
    readonly name: string;
    /** Its addresses. */
    readonly addresses: readonly {
      /** The address in its canonical text form, without zone. */
      readonly address: string;
      /** Length of the network prefix in bits, where it is known. */
      readonly prefix?: number;
    }[];
  }[];
  /** The default route per family, or `null` where there is none or it is out of sight. */
  readonly defaultRoute: {
    /** That of IPv4. */
    readonly v4: NetworkViewRoute | null;
    /** That of IPv6. */
    readonly v6: NetworkViewRoute | null;
  };
  /** The name servers of plain look-ups, `null` or missing where they are out of sight. */
  readonly dns?: { readonly servers: readonly string[] } | null;
}

/** A family got (or lost) its usable way to the public network. */
export interface NetworkViewOnlineEvent {
  /** Which of the two. */
  readonly type: "online" | "offline";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** The family that changed. */
  readonly family: 4 | 6;
  /** The families that are online now. */
  readonly families: readonly (4 | 6)[];
}

/** An address came, went, or became (un)usable. */
export interface NetworkViewAddressEvent {
  /** Which of them. */
  readonly type: "addressadd" | "addressremove" | "addresschange" | "addressconflict";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** Name of the interface. */
  readonly interface: string;
  /** The address. */
  readonly address: string;
  /** Its family. */
  readonly family: 4 | 6;
}

/** The default route of a family changed. */
export interface NetworkViewRouteEvent {
  /** What about it changed. */
  readonly type: "gatewaychange" | "defaultinterfacechange" | "routechange";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** The family. */
  readonly family: 4 | 6;
  /** The route as it was, `null` for none. */
  readonly from: NetworkViewRoute | null;
  /** The route as it is, `null` for none. */
  readonly to: NetworkViewRoute | null;
}

/** The machine woke from sleep. */
export interface NetworkViewWakeEvent {
  /** The tag. */
  readonly type: "wake";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** For how many milliseconds it slept. */
  readonly slept: number;
}

/** A settled change: the network has been quiet since. */
export interface NetworkViewChange {
  /** The tag. */
  readonly type: "change";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** The settled state before. */
  readonly previous: NetworkViewState;
  /** The settled state now. */
  readonly next: NetworkViewState;
  /** What it means for connections: the old path is gone, another network or gateway, neither. */
  readonly major: "required" | "advised" | "none";
  /** Why it is that much, one line each. */
  readonly reasons: readonly string[];
}

/** It is another network, even if all addresses should be the same. */
export interface NetworkViewIdentityEvent {
  /** The tag. */
  readonly type: "identitychange";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** The family in which it showed. */
  readonly family: 4 | 6;
  /** The network it is now. */
  readonly to: {
    /** Address of the gateway. */
    readonly gateway: string;
    /** Hardware address of the gateway. */
    readonly mac: string;
  };
}

/** In place of events that were lost. */
export interface NetworkViewResyncEvent {
  /** The tag. */
  readonly type: "resync";
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** The state now; what was known before is void. */
  readonly state: NetworkViewState;
}

/** What a watcher tells besides, and nobody has to understand. */
export interface NetworkViewOtherEvent {
  /** What happened. */
  readonly type:
    | "interfaceadd"
    | "interfaceremove"
    | "interfacechange"
    | "dnschange"
    | "externalchange"
    | "backend";
  /** When, in milliseconds since 1970. */
  readonly at: number;
}

/** What happens to a network. Every event of a watcher is one. */
export type NetworkViewEvent =
  | NetworkViewOnlineEvent
  | NetworkViewAddressEvent
  | NetworkViewRouteEvent
  | NetworkViewWakeEvent
  | NetworkViewChange
  | NetworkViewIdentityEvent
  | NetworkViewResyncEvent
  | NetworkViewOtherEvent;

/** What {@linkcode NetworkView.online} takes. */
export interface NetworkViewOnlineOptions {
  /**
   * The family that has to be online.
   *
   * @default {undefined} Any will do.
   */
  readonly family?: 4 | 6;
  /** Calls the wait off. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * What is known of the next hop of a family's default route: its hardware address is `resolved`, it is `unresolved` (not
 * asked for yet, or it does not answer), or nobody can tell, which a route without gateway and an interface without
 * neighbours count as.
 */
export type NetworkViewNeighbour = "resolved" | "unresolved" | "unknown";

/** The network, as modules that need to know about it take it: a watcher is one, {@linkcode browserNetwork} makes one. */
export interface NetworkView {
  /** The state now, always complete. */
  readonly state: NetworkViewState;
  /**
   * Waits until the network is usable; keeps the process alive meanwhile.
   *
   * @param options The family that is needed, and what calls the wait off.
   * @returns Resolves at once when it is usable already; rejects with the signal's reason.
   */
  online(options?: NetworkViewOnlineOptions): Promise<void>;
  /**
   * Calls a handler for every event. Does not keep the process alive.
   *
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  subscribe(handler: (event: NetworkViewEvent) => void): Disposable;
  /** Says that something may have changed unseen, after sleep for instance: the network is read again at once. */
  wake(): void;
  /**
   * Reads what is known of the next hop now, where the view can tell at all.
   *
   * @param family The family whose default route is meant.
   * @returns What the system's neighbour table says.
   */
  neighbour?(family: 4 | 6): Promise<NetworkViewNeighbour>;
}

/** What {@linkcode browserNetwork} uses of `globalThis`. */
export type BrowserNetworkTarget = Pick<EventTarget, "addEventListener" | "removeEventListener">;

/** What {@linkcode browserNetwork} uses of `navigator`. */
export interface BrowserNetworkNavigator {
  /** Whether the browser sees a network; a browser that does not say is taken to be online. */
  readonly onLine?: boolean;
}

/**
 * The network as a browser sees it: `navigator.onLine`, and the events `online` and `offline`.
 *
 * That is all there is: no interface, no route, no family (online means both). A browser that is online again may be in
 * another network, so that change is an advised one; losing the network asks nothing of anybody.
 *
 * @param target Where the events come from.
 * @param navigator Who knows the state.
 * @returns A view of the network; disposing it ends the events, and rejects those who wait.
 *
 * @example
 * ```ts
 * import { browserNetwork } from "@holdfast/net/watch";
 * import { assertEquals } from "@std/assert";
 *
 * const page = new EventTarget();
 * const navigator = { onLine: true };
 * using network = browserNetwork(page, navigator);
 * navigator.onLine = false;
 * page.dispatchEvent(new Event("offline"));
 * assertEquals(network.state.online, false);
 * ```
 */
export function browserNetwork(
  target: BrowserNetworkTarget = globalThis,
  navigator: BrowserNetworkNavigator = globalThis.navigator as BrowserNetworkNavigator,
): NetworkView & Disposable {
  return new BrowserNetwork(target, navigator);
}

class BrowserNetwork implements NetworkView, Disposable {
  readonly #target: BrowserNetworkTarget;
  readonly #navigator: BrowserNetworkNavigator;
  readonly #events: Broadcast<NetworkViewEvent>;
  readonly #closed = new AbortController();
  #state: NetworkViewState;

  constructor(target: BrowserNetworkTarget, navigator: BrowserNetworkNavigator) {
    this.#target = target;
    this.#navigator = navigator;
    this.#state = read(navigator);
    this.#events = new Broadcast<NetworkViewEvent>({
      resync: () => ({ type: "resync", at: Date.now(), state: this.#state }),
    });
    target.addEventListener("online", this.wake);
    target.addEventListener("offline", this.wake);
  }

  get state(): NetworkViewState {
    return this.#state;
  }

  /** A field, for it is the listener as well. */
  readonly wake = (): void => {
    if (this.#closed.signal.aborted) return;
    const previous = this.#state;
    const next = read(this.#navigator);
    this.#state = next;
    const { at, online, families } = next;
    if (previous.online === online) return;
    const type = online ? "online" : "offline";
    for (const family of [4, 6] as const) this.#events.publish({ type, at, family, families });
    const major = online ? "advised" : "none";
    this.#events.publish({ type: "change", at, previous, next, major, reasons: [`the browser is ${type}`] });
  };

  async online(options: NetworkViewOnlineOptions = {}): Promise<void> {
    const signal = AbortSignal.any([this.#closed.signal, ...(options.signal ? [options.signal] : [])]);
    signal.throwIfAborted();
    if (this.#state.online) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const aborted = (): void => reject(signal.reason);
    using _online = this.#events.on("online", () => resolve());
    using _hold = holdProcess();
    signal.addEventListener("abort", aborted, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", aborted);
    }
  }

  subscribe(handler: (event: NetworkViewEvent) => void): Disposable {
    return this.#events.subscribe(handler);
  }

  [Symbol.dispose](): void {
    this.#target.removeEventListener("online", this.wake);
    this.#target.removeEventListener("offline", this.wake);
    this.#events.end();
    this.#closed.abort(
      new HoldfastError("Cannot wait for the network: the view was closed", {
        code: "closed",
        operation: "wait for the network",
      }),
    );
  }
}

function read(navigator: BrowserNetworkNavigator): NetworkViewState {
  const online = navigator.onLine !== false;
  return {
    at: Date.now(),
    online,
    families: online ? [4, 6] : [],
    interfaces: [],
    defaultRoute: { v4: null, v6: null },
  };
}

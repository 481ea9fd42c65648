/** What a watcher is, what it takes and what it tells: the public face of {@linkcode watchNetwork}. */

import type { Clock } from "../internal/clock.ts";
import type { EventOf } from "../internal/events.ts";
import type { NetworkViewNeighbour } from "../internal/network_view.ts";
import type { Logger } from "../internal/log.ts";
import type { ReaderName, SourceFactory } from "./_reading.ts";
import type { PassedOver } from "./_select.ts";
import type { BackendName, NetworkChange, NetworkEvent } from "./events.ts";
import type { ExternalAddressOptions } from "./external.ts";
import type { Family, Interface, NetworkState } from "./state.ts";

/** How lost carrier is given time to come back, in milliseconds. */
export interface GraceOptions {
  /**
   * Before single events and the state show it.
   *
   * @default {0}
   */
  readonly events?: number;
  /**
   * Before settled changes show it.
   *
   * @default {1000}
   */
  readonly settled?: number;
}

/** What {@linkcode watchNetwork} takes. */
export interface WatchOptions {
  /**
   * How to watch: the best way that works, or one by name, which is then tried whatever the permissions say.
   *
   * @default {"auto"}
   */
  readonly backend?: BackendName | "auto";
  /**
   * Which interfaces count: `false` leaves one out as if it did not exist, `true` counts it fully, `undefined` counts
   * it unless it is container plumbing, whose addresses raise no events of their own. A default route through an
   * interface that is left out is no default route.
   */
  readonly filter?: (iface: Interface) => boolean | undefined;
  /**
   * Quiet time before a settled change, in milliseconds.
   *
   * @default {150}
   */
  readonly quiet?: number;
  /**
   * How long a settled change may be put off while the network does not become quiet, in milliseconds.
   *
   * @default {1000}
   */
  readonly ceiling?: number;
  /** Time given to lost carrier; a number stands for both fields. */
  readonly grace?: number | GraceOptions;
  /** Asks STUN servers for the public addresses: at the start, after major changes and on a slow timer. */
  readonly external?: ExternalAddressOptions;
  /**
   * Time between two readings of the `poll` backend, in milliseconds.
   *
   * @default {2000}
   */
  readonly pollInterval?: number;
  /** A source of one's own in place of the system's, for tests: see `fakeNetwork()` in `@holdfast/net/testing`. */
  readonly source?: SourceFactory;
  /** Source of time, for tests. */
  readonly clock?: Clock;
  /** Where trouble is reported. */
  readonly logger?: Logger;
  /** Closes the watcher. */
  readonly signal?: AbortSignal | undefined;
}

/** How a watcher sees the network. */
export interface BackendReport {
  /** The backend in use. */
  readonly backend: BackendName;
  /** What the network is read with. */
  readonly reader: ReaderName;
  /** The better backends that do not work here, and why. */
  readonly passedOver: readonly PassedOver[];
  /** The last failure of a backend, if there was one. */
  readonly lastError?: unknown;
}

/** What to wait for. */
export interface OnlineOptions {
  /** The family that must be online; any, if none is given. */
  readonly family?: Family;
  /** Calls the wait off. */
  readonly signal?: AbortSignal | undefined;
}

/** Everything that {@linkcode NetworkWatcher.on} and {@linkcode NetworkWatcher.subscribe} tell of. */
export type WatcherEvent = NetworkEvent | NetworkChange;

/** Watches the network until it is closed. Iterating gives settled changes; `events` gives single ones at once. */
export interface NetworkWatcher extends AsyncIterable<NetworkChange>, AsyncDisposable {
  /** The state of the network now. */
  readonly state: NetworkState;
  /** Single events, at kernel speed; each iteration has a queue of its own. */
  readonly events: AsyncIterable<NetworkEvent>;
  /** The backend in use. */
  readonly backend: BackendName;
  /** How the network is seen, and what stands in the way of seeing it better. */
  readonly report: BackendReport;
  /** Calls a handler for each event of a type (`"change"`: settled ones). Does not keep the process alive. */
  on<T extends WatcherEvent["type"]>(
    type: T,
    handler: (event: EventOf<WatcherEvent, T>) => void,
  ): Disposable;
  /** Calls a handler for every event. Does not keep the process alive. */
  subscribe(handler: (event: WatcherEvent) => void): Disposable;
  /** Resolves when an address is usable, with a default route to go by. */
  online(options?: OnlineOptions): Promise<void>;
  /** Reads the network anew, for a caller who knows that something happened. */
  refresh(): Promise<NetworkState>;
  /** Like `refresh()`, without waiting for it. */
  wake(): void;
  /**
   * Reads what the system's neighbour table says of the gateway of a family now: whether its hardware address is known.
   * Where the backend cannot see the table, the route has no gateway or the interface no neighbours, it is `"unknown"`.
   */
  neighbour(family: Family): Promise<NetworkViewNeighbour>;
  /** Ends all iterations, and lets go of everything. Safe twice. */
  close(): Promise<void>;
}

/** The watcher: the network's state, always current, and every change of it as it happens. */

import { type Clock, holdProcess, systemClock, type Timer } from "../internal/clock.ts";
import { HoldfastError } from "../internal/errors.ts";
import { Broadcast, type EventOf } from "../internal/events.ts";
import type { Logger } from "../internal/log.ts";
import { CarrierGrace } from "./_carrier.ts";
import type { Hub } from "./_hub.ts";
import { acquireHub } from "./_hubs.ts";
import { IdentityTracker } from "./_identity.ts";
import { MajorJudge } from "./_major.ts";
import { type ReaderName, type Reading, type SourceFactory, toState } from "./_reading.ts";
import type { PassedOver } from "./_select.ts";
import { asLastSeen, diffStates } from "./diff.ts";
import type { ExternalSchedule } from "./_external_schedule.ts";
import type { ExternalAddressOptions } from "./external.ts";
import type { BackendName, NetworkChange, NetworkEvent } from "./events.ts";
import { type Family, type Interface, isPlumbing, type NetworkState } from "./state.ts";

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
  readonly signal?: AbortSignal;
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
  readonly signal?: AbortSignal;
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
  /** Ends all iterations, and lets go of everything. Safe twice. */
  close(): Promise<void>;
}

/**
 * Watches the network.
 *
 * Every published state is one complete reading, and events are the difference of two of them, so a lost message never
 * loses a change. Watchers of a process share one source.
 *
 * Permissions: `--allow-ffi` (the C library: backend `netlink`), or `--allow-run=ip` (`ip-monitor`), or
 * `--allow-sys=networkInterfaces` (`poll`, which sees addresses only); `--allow-read=/etc,/run/systemd/resolve` lets
 * the latter two see the resolver; `external` needs `--allow-net` for its servers.
 *
 * @param options How to watch.
 * @returns The watcher, with its first state.
 * @throws {PermissionError} When permissions are what is missing; the error names the flags.
 * @throws {HoldfastError} `unsupported` when no backend works here.
 * @throws {TypeError} When an option is not what it should be.
 *
 * @example
 * ```ts
 * import { watchNetwork } from "@holdfast/net/watch";
 * import { assert } from "@std/assert";
 *
 * await using watcher = await watchNetwork();
 * using _ = watcher.on("gatewaychange", ({ from, to }) => console.log(from?.gateway, "->", to?.gateway));
 * assert(watcher.state.interfaces.length > 0);
 * ```
 */
export async function watchNetwork(options: WatchOptions = {}): Promise<NetworkWatcher> {
  const { backend = "auto", pollInterval = 2000, source, clock, logger, signal } = options;
  signal?.throwIfAborted();
  const times = timesOf(options);
  positive("pollInterval", pollInterval);
  const hub = await acquireHub({ backend, pollInterval, source, clock, logger });
  let watcher: Watcher;
  try {
    signal?.throwIfAborted();
    watcher = new Watcher(hub, options, times);
  } catch (error) {
    await hub.release();
    throw error;
  }
  try {
    // Loaded only when wanted: it brings the runtime's UDP sockets along.
    if (options.external) watcher.askOutside(await import("./_external_schedule.ts"));
    signal?.throwIfAborted();
    return watcher;
  } catch (error) {
    // It may have closed itself already, so that the hold on the hub must not be given back here.
    await watcher.close();
    throw error;
  }
}

/** The times of a watcher, in milliseconds. */
interface Times {
  readonly quiet: number;
  readonly ceiling: number;
  readonly events: number;
  readonly settled: number;
}

function timesOf({ quiet = 150, ceiling = 1000, grace = {} }: WatchOptions): Times {
  const one = typeof grace === "number";
  const { events = 0, settled = 1000 } = one ? { events: grace, settled: grace } : grace;
  const times = {
    quiet,
    ceiling,
    ...(one ? { grace } : { "grace.events": events, "grace.settled": settled }),
  };
  for (const [name, value] of Object.entries(times)) {
    if (typeof value === "number" && value >= 0 && Number.isFinite(value)) continue;
    throw new RangeError(`Cannot watch the network: ${name} must be milliseconds from 0, got ${value}`);
  }
  return { quiet, ceiling, events, settled };
}

function positive(name: string, value: number): void {
  if (value > 0 && Number.isFinite(value)) return;
  throw new RangeError(`Cannot watch the network: ${name} must be milliseconds above 0, got ${value}`);
}

class Watcher implements NetworkWatcher {
  readonly #hub: Hub;
  readonly #options: WatchOptions;
  readonly #times: Times;
  readonly #clock: Clock;
  readonly #stack = new DisposableStack();
  readonly #single: Broadcast<NetworkEvent>;
  readonly #changes: Broadcast<NetworkChange>;
  readonly #waiters = new Set<() => void>();
  readonly #grace = new CarrierGrace();
  readonly #identity = new IdentityTracker();
  readonly #judge: MajorJudge;
  #external: ExternalSchedule | undefined;
  /** The state as read, without grace. */
  #raw: NetworkState;
  #state: NetworkState;
  #settled: NetworkState;
  /** What single events, and settled changes, have told until now: the states, with what they could not see as seen last. */
  #told: NetworkState;
  #toldSettled: NetworkState;
  /** Whether differences are being published. */
  #showing = false;
  /** Events of the batch that no difference of states can show. */
  #extras: NetworkEvent[] = [];
  /** When the batch began, on the monotonic clock. */
  #batchSince: number | null = null;
  #settling: Timer | undefined;
  #expiring: Timer | undefined;
  #closing: Promise<void> | undefined;

  constructor(hub: Hub, options: WatchOptions, times: Times) {
    this.#hub = hub;
    this.#options = options;
    this.#times = times;
    this.#clock = options.clock ?? systemClock;
    this.#raw = this.#filtered(hub.reading, null);
    this.#state =
      this.#settled =
      this.#told =
      this.#toldSettled =
        this.#raw;
    this.#grace.note(this.#raw.interfaces, this.#clock.monotonic());
    this.#identity.update({ ...hub.reading, ...this.#raw });
    this.#judge = new MajorJudge(this.#settled);
    const { logger, clock = systemClock, signal } = options;
    this.#single = new Broadcast<NetworkEvent>({ resync: () => this.#resync(), logger, clock });
    this.#changes = new Broadcast<NetworkChange>({
      resync: () => this.#missed(),
      logger,
      clock,
      capacity: 64,
    });
    this.#stack.use(hub.subscribe({
      reading: (reading) => this.#onReading(reading),
      backend: (reason, detail) =>
        this.#note({ type: "backend", at: this.#clock.now(), backend: hub.backend, reason, detail }),
      wake: (slept) => this.#note({ type: "wake", at: this.#clock.now(), slept }),
    }));
    if (signal) {
      const abort = (): void => void this.close();
      signal.addEventListener("abort", abort, { once: true });
      this.#stack.defer(() => signal.removeEventListener("abort", abort));
    }
  }

  askOutside({ createExternalSchedule }: typeof import("./_external_schedule.ts")): void {
    const { external: options } = this.#options;
    if (!options || this.#closing) return;
    this.#external = createExternalSchedule({
      options,
      onResult: (external) => this.#show({ ...this.#raw, at: this.#clock.now(), external }),
      clock: this.#clock,
      logger: this.#options.logger,
    });
    this.#external.refresh();
  }

  get state(): NetworkState {
    return this.#state;
  }

  get events(): AsyncIterable<NetworkEvent> {
    return this.#single;
  }

  get backend(): BackendName {
    return this.#hub.backend;
  }

  get report(): BackendReport {
    const { backend, reader, passed, lastError } = this.#hub;
    return { backend, reader, passedOver: passed, ...(lastError === undefined ? {} : { lastError }) };
  }

  [Symbol.asyncIterator](): AsyncIterator<NetworkChange> {
    return this.#changes[Symbol.asyncIterator]();
  }

  on<T extends WatcherEvent["type"]>(
    type: T,
    handler: (event: EventOf<WatcherEvent, T>) => void,
  ): Disposable {
    const broadcast = (type === "change" ? this.#changes : this.#single) as Broadcast<WatcherEvent>;
    return broadcast.on(type, handler);
  }

  subscribe(handler: (event: WatcherEvent) => void): Disposable {
    const stack = new DisposableStack();
    stack.use(this.#single.subscribe(handler));
    stack.use(this.#changes.subscribe(handler));
    return stack;
  }

  online(options: OnlineOptions = {}): Promise<void> {
    const { family, signal } = options;
    if (family !== undefined && family !== 4 && family !== 6) {
      return Promise.reject(
        new TypeError(`Cannot wait for the network: family must be 4 or 6, got ${family}`),
      );
    }
    const isOnline = (): boolean =>
      family === undefined ? this.#state.online : this.#state.families.includes(family);
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      if (isOnline()) return resolve();
      if (this.#closing) return reject(closedError());
      const hold = holdProcess(this.#clock);
      const done = (finish: () => void): void => {
        hold[Symbol.dispose]();
        this.#waiters.delete(check);
        signal?.removeEventListener("abort", abort);
        finish();
      };
      const check = (): void => {
        if (isOnline()) done(resolve);
        else if (this.#closing) done(() => reject(closedError()));
      };
      const abort = (): void => done(() => reject(signal?.reason));
      this.#waiters.add(check);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  async refresh(): Promise<NetworkState> {
    await this.#hub.refresh();
    return this.#state;
  }

  wake(): void {
    if (!this.#closing) this.#hub.hint();
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    // Synchronously, so that nothing is told after close() was called.
    this.#stack.dispose();
    this.#settling?.cancel();
    this.#expiring?.cancel();
    this.#single.end();
    this.#changes.end();
    queueMicrotask(() => this.#checkWaiters());
    await Promise.all([this.#external?.close(), this.#hub.release()]);
  }

  #checkWaiters(): void {
    for (const check of [...this.#waiters]) check();
  }

  /** A reading without the interfaces that the filter leaves out. */
  #filtered(reading: Reading, external: NetworkState["external"]): NetworkState {
    const { filter } = this.#options;
    if (!filter) return toState(reading, external);
    const interfaces = reading.interfaces.filter((iface) => filter(iface) !== false);
    const names = new Set(interfaces.map(({ name }) => name));
    const { v4, v6 } = reading.defaultRoute;
    const defaultRoute = {
      v4: v4 && names.has(v4.interface) ? v4 : null,
      v6: v6 && names.has(v6.interface) ? v6 : null,
    };
    return toState({ ...reading, interfaces, defaultRoute }, external);
  }

  #onReading(reading: Reading): void {
    const state = this.#filtered(reading, this.#raw.external);
    this.#grace.note(state.interfaces, this.#clock.monotonic());
    this.#show(state);
    for (const event of this.#identity.update({ ...reading, ...state })) this.#note(event);
  }

  /** Publishes what is different in a new state. */
  #show(raw: NetworkState): void {
    this.#raw = raw;
    // What a handler causes is told after what it was called for.
    if (this.#showing) return;
    this.#showing = true;
    try {
      let shown: NetworkState;
      do this.#showOnce(shown = this.#raw); while (shown !== this.#raw);
    } finally {
      this.#showing = false;
    }
    this.#checkWaiters();
  }

  #showOnce(raw: NetworkState): void {
    if (this.#closing) return;
    const { state, due } = this.#grace.view(raw, this.#clock.monotonic(), this.#times.events);
    const events = this.#differences(this.#told, state);
    this.#told = asLastSeen(this.#told, state);
    this.#state = state;
    this.#expiring?.cancel();
    this.#expiring = due === null ? undefined : this.#clock.after(due, () => this.#show(this.#raw));
    for (const event of events) this.#single.publish(event);
    if (events.length > 0) this.#settleLater();
  }

  #differences(before: NetworkState, after: NetworkState): NetworkEvent[] {
    const { filter } = this.#options;
    return diffStates(
      before,
      after,
      (iface, within) => filter?.(iface) === true || !isPlumbing(iface, within),
    );
  }

  /** Publishes an event that is no difference of states. */
  #note(event: NetworkEvent): void {
    if (this.#closing) return;
    this.#single.publish(event);
    this.#extras.push(event);
    this.#settleLater();
  }

  /** Puts the settled change off until it is quiet, but not beyond the ceiling. */
  #settleLater(): void {
    const { quiet, ceiling } = this.#times;
    const now = this.#clock.monotonic();
    this.#batchSince ??= now;
    this.#settleIn(Math.max(0, Math.min(quiet, this.#batchSince + ceiling - now)));
  }

  #settleIn(delay: number): void {
    this.#settling?.cancel();
    // A handler may have closed the watcher.
    if (this.#closing) return;
    this.#settling = this.#clock.after(delay, () => this.#settle());
  }

  #settle(): void {
    this.#batchSince = null;
    this.#settling = undefined;
    const { state: next, due } = this.#grace.view(this.#raw, this.#clock.monotonic(), this.#times.settled);
    if (due !== null) this.#settleIn(due);
    const previous = this.#settled;
    const differences = this.#differences(this.#toldSettled, next);
    this.#toldSettled = asLastSeen(this.#toldSettled, next);
    const events = [...this.#extras, ...differences];
    this.#extras = [];
    if (differences.length === 0 && !events.some(({ type }) => type === "identitychange")) return;
    this.#settled = next;
    const { major, reasons } = this.#judge.judge(next, events);
    const change: NetworkChange = {
      type: "change",
      at: this.#clock.now(),
      previous,
      next,
      events,
      major,
      reasons,
    };
    this.#changes.publish(change);
    if (major !== "none" && !this.#closing) this.#external?.refresh();
  }

  #resync(): NetworkEvent {
    return { type: "resync", at: this.#clock.now(), state: this.#state };
  }

  /** What a reader of settled changes gets in place of those it was too slow for. */
  #missed(): NetworkChange {
    const state = this.#settled;
    const at = this.#clock.now();
    return {
      type: "change",
      at,
      previous: state,
      next: state,
      events: [{ type: "resync", at, state }],
      major: "required",
      reasons: ["changes were missed: the reader was too slow"],
    };
  }
}

function closedError(): HoldfastError {
  const operation = "wait for the network";
  return new HoldfastError(`Cannot ${operation}: the watcher was closed`, { code: "closed", operation });
}

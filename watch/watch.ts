/** The watcher: the network's state, always current, and every change of it as it happens. */

import { type Clock, holdProcess, systemClock, type Timer } from "../internal/clock.ts";
import { HoldfastError } from "../internal/errors.ts";
import { Broadcast, type EventOf } from "../internal/events.ts";
import type { NetworkViewNeighbour } from "../internal/network_view.ts";
import { CarrierGrace } from "./_carrier.ts";
import type { ExternalSchedule } from "./_external_schedule.ts";
import type { Hub } from "./_hub.ts";
import { acquireHub } from "./_hubs.ts";
import { IdentityTracker } from "./_identity.ts";
import { neighbourOf } from "./_neighbour.ts";
import { type Reading, toState } from "./_reading.ts";
import { Settler } from "./_settle.ts";
import { type Times, timesOf } from "./_times.ts";
import { asLastSeen, diffStates } from "./diff.ts";
import type { BackendName, NetworkChange, NetworkEvent } from "./events.ts";
import { type Family, isPlumbing, type NetworkState } from "./state.ts";
import type { BackendReport, NetworkWatcher, OnlineOptions, WatcherEvent, WatchOptions } from "./watcher.ts";

/**
 * Watches the network.
 *
 * Every published state is one complete reading, and events are the difference of two of them, so a lost message never
 * loses a change. Watchers of a process share one source.
 *
 * Permissions on Linux: `--allow-ffi` (the C library: backend `netlink`), or `--allow-run=ip` (`ip-monitor`), or
 * `--allow-sys=networkInterfaces` (`poll`, which sees addresses only); `--allow-read=/etc,/run/systemd/resolve` lets
 * the latter two see the resolver. On macOS and Windows likewise: the system's libraries, or its tools, or `poll`, as
 * `permissions` lists them. `external` needs `--allow-net` for its servers.
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
  readonly #settler: Settler;
  #external: ExternalSchedule | undefined;
  /** The state as read, without grace. */
  #raw: NetworkState;
  #state: NetworkState;
  /** What single events have told until now: the state, with what it could not see as seen last. */
  #told: NetworkState;
  /** Whether differences are being published. */
  #showing = false;
  #expiring: Timer | undefined;
  #closing: Promise<void> | undefined;

  constructor(hub: Hub, options: WatchOptions, times: Times) {
    this.#hub = hub;
    this.#options = options;
    this.#times = times;
    this.#clock = options.clock ?? systemClock;
    this.#raw = this.#filtered(hub.reading, null);
    this.#state = this.#told = this.#raw;
    this.#grace.note(this.#raw.interfaces, this.#clock.monotonic());
    this.#identity.update({ ...hub.reading, ...this.#raw });
    const { logger, clock = systemClock, signal } = options;
    this.#single = new Broadcast<NetworkEvent>({ resync: () => this.#resync(), logger, clock });
    this.#changes = new Broadcast<NetworkChange>({
      resync: () => this.#settler.missed(),
      logger,
      clock,
      capacity: 64,
    });
    this.#settler = this.#stack.use(
      new Settler(this.#raw, {
        clock,
        quiet: times.quiet,
        ceiling: times.ceiling,
        view: () => this.#grace.view(this.#raw, this.#clock.monotonic(), times.settled),
        differences: (before, after) => this.#differences(before, after),
        publish: (change) => this.#publishChange(change),
      }),
    );
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

  async neighbour(family: Family): Promise<NetworkViewNeighbour> {
    if (family !== 4 && family !== 6) {
      throw new TypeError(`Cannot tell of the gateway: family must be 4 or 6, got ${family}`);
    }
    if (this.#closing) throw closedError("tell of the gateway");
    // The last reading is no news of a neighbour.
    if (this.#hub.down) return "unknown";
    const reading = await this.#hub.fresh();
    return neighbourOf({ ...reading, ...this.#filtered(reading, null) }, family);
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
    if (events.length > 0) this.#settler.later();
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
    this.#settler.later(event);
  }

  #publishChange(change: NetworkChange): void {
    this.#changes.publish(change);
    if (change.major !== "none" && !this.#closing) this.#external?.refresh();
  }

  #resync(): NetworkEvent {
    return { type: "resync", at: this.#clock.now(), state: this.#state };
  }
}

function closedError(operation = "wait for the network"): HoldfastError {
  return new HoldfastError(`Cannot ${operation}: the watcher was closed`, { code: "closed", operation });
}

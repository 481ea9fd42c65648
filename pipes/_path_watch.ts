/** One subscription per network, and one look at the own addresses, for all the pipes of the process. */

import { type Clock, systemClock, type Timer } from "../internal/clock.ts";
import { isNotCapable } from "../internal/errors.ts";
import type { NetworkView, NetworkViewEvent, NetworkViewState } from "../internal/network_view.ts";
import { wouldPrompt } from "../internal/permissions.ts";
import { addressKey, addressKeys, concern, type PipePath } from "./_path.ts";
import type { PipeNetworkEvent } from "./pipe.ts";

/** Who is told what happens to a path. */
export interface PathOwner {
  /** The path. */
  readonly path: PipePath;
  /** Its own address is gone; called once. */
  addressLost(): void;
  /** Something happened that concerns it. */
  changed(event: PipeNetworkEvent): void;
}

/** How often the own addresses are looked at where no network is given, in milliseconds. */
const LOOK = 5000;

/** For so long a look at the own addresses is good, in milliseconds: many connections may fail at once. */
const FRESH = 50;

/**
 * Tells somebody what happens to a path, until disposed.
 *
 * @param owner Who is told.
 * @param network The network. Without one, or with one that shows no addresses, those of the runtime are looked at now and then.
 * @param clock Source of time.
 */
export function watchPath(
  owner: PathOwner,
  network: NetworkView | undefined,
  clock: Clock = systemClock,
): Disposable {
  const view = network && of(views, network, () => new ViewWatch(network));
  const blind = !network || network.state.interfaces.length === 0;
  const addresses = blind && owner.path.key !== null ? addressesOf(clock) : undefined;
  view?.join(owner);
  addresses?.join(owner);
  return {
    [Symbol.dispose]() {
      view?.leave(owner);
      addresses?.leave(owner);
    },
  };
}

/**
 * Whether the own address of a path is gone.
 *
 * @param path The path.
 * @param network The network, if there is a view of it.
 * @param clock Source of time.
 * @returns `false` also where nobody can tell.
 */
export function isAddressGone(
  { key }: PipePath,
  network: NetworkView | undefined,
  clock: Clock = systemClock,
): boolean {
  if (key === null) return false;
  const shown = network && addressKeys(network.state);
  if (shown?.has(key)) return false;
  // A view may hide interfaces, so what the runtime shows counts more.
  const there = addressesOf(clock).read()?.has(key);
  return there === undefined ? Boolean(shown) : !there;
}

const views = new WeakMap<NetworkView, ViewWatch>();
const clocks = new WeakMap<Clock, AddressWatch>();

function addressesOf(clock: Clock): AddressWatch {
  return of(clocks, clock, () => new AddressWatch(clock));
}

function of<K extends WeakKey, V>(map: WeakMap<K, V>, key: K, make: () => V): V {
  const value = map.get(key) ?? make();
  map.set(key, value);
  return value;
}

/** Follows a network, while there is a pipe. */
class ViewWatch {
  readonly #network: NetworkView;
  /** The paths, and whether the view has shown the own address of each: a pipe may be quicker, and a view may hide some. */
  readonly #owners = new Map<PathOwner, "unseen" | "seen" | "lost">();
  #subscription: Disposable | undefined;
  #state: NetworkViewState | undefined;
  #keys: ReadonlySet<string | null> | null = null;

  constructor(network: NetworkView) {
    this.#network = network;
  }

  join(owner: PathOwner): void {
    this.#subscription ??= this.#network.subscribe((event) => this.#on(event));
    this.#owners.set(owner, "unseen");
    // It may have gone before anybody looked; told when the caller has had time to listen.
    if (this.#present(owner) === false) queueMicrotask(() => this.#check(owner, true));
    else this.#check(owner, false);
  }

  leave(owner: PathOwner): void {
    this.#owners.delete(owner);
    if (this.#owners.size > 0) return;
    this.#subscription?.[Symbol.dispose]();
    this.#subscription = undefined;
  }

  #on(event: NetworkViewEvent): void {
    for (const owner of [...this.#owners.keys()]) {
      this.#check(owner, event.type === "change");
      const told = this.#owners.has(owner) ? concern(owner.path, event) : null;
      if (told) owner.changed(told);
    }
  }

  /** Looks for the own address; whether one that the view does not show is there, the runtime tells when all is quiet. */
  #check(owner: PathOwner, quiet: boolean): void {
    const before = this.#owners.get(owner);
    const present = this.#present(owner);
    if (present === undefined || before === undefined) return;
    if (present) {
      this.#owners.set(owner, "seen");
      return;
    }
    if (before === "lost") return;
    if (before === "unseen" && !(quiet && isHidden(owner.path.key) === false)) return;
    this.#owners.set(owner, "lost");
    owner.addressLost();
  }

  /** Whether the view shows the own address; `undefined` where it cannot tell. */
  #present({ path: { key } }: PathOwner): boolean | undefined {
    const { state } = this.#network;
    if (state !== this.#state) {
      this.#state = state;
      this.#keys = addressKeys(state);
    }
    return key === null ? undefined : this.#keys?.has(key);
  }
}

/** Whether the runtime shows an address that the view does not. */
function isHidden(key: string | null): boolean | undefined {
  return addressesOf(systemClock).read()?.has(key);
}

/** Looks at the addresses that the runtime shows, while there is a pipe. */
class AddressWatch {
  readonly #clock: Clock;
  readonly #owners = new Set<PathOwner>();
  #timer: Timer | undefined;
  #keys: ReadonlySet<string | null> | null = null;
  #readAt = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  join(owner: PathOwner): void {
    this.#owners.add(owner);
    this.#timer ??= this.#clock.after(LOOK, () => this.#look());
  }

  /** The addresses that there are; `null` where the runtime does not tell without asking a person. */
  read(): ReadonlySet<string | null> | null {
    const now = this.#clock.monotonic();
    if (now - this.#readAt < FRESH) return this.#keys;
    this.#readAt = now;
    return this.#keys = systemKeys();
  }

  leave(owner: PathOwner): void {
    this.#owners.delete(owner);
    if (this.#owners.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #look(): void {
    this.#timer = undefined;
    const keys = this.read();
    // Who is not allowed to look now hardly will be later.
    if (keys === null) return;
    for (const owner of [...this.#owners]) {
      if (!keys.has(owner.path.key) && this.#owners.delete(owner)) owner.addressLost();
    }
    if (this.#owners.size > 0) this.#timer ??= this.#clock.after(LOOK, () => this.#look());
  }
}

function systemKeys(): ReadonlySet<string | null> | null {
  try {
    if (!globalThis.Deno?.networkInterfaces || wouldPrompt([{ name: "sys", kind: "networkInterfaces" }])) {
      return null;
    }
    return new Set(Deno.networkInterfaces().map(({ address }) => addressKey(address)));
  } catch (error) {
    // Then nobody can tell, and silence alone decides.
    if (isNotCapable(error)) return null;
    throw error;
  }
}

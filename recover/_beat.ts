/** One heartbeat: asks, waits, judges. */

import { type Clock, systemClock, type Timer } from "../internal/clock.ts";
import type { NetworkViewEvent } from "../internal/network_view.ts";
import { Listeners } from "./_listeners.ts";
import { hasLocalAddress, localAddressOf } from "./_local_address.ts";
import { onWake } from "./_wake_ticker.ts";
import { classify as defaultClassify } from "./classify.ts";
import { DeadPeerError, type DeadPeerReason } from "./dead_peer_error.ts";
import type { Heartbeat, HeartbeatOptions } from "./heartbeat.ts";
import type { HeartbeatEvent, HeartbeatStatus } from "./heartbeat_event.ts";

/** The least time for an answer, in milliseconds. */
const LEAST_TIMEOUT = 2000;

/** A timer this much too late, in milliseconds, shows that the event loop stood still. */
const LATE = 50;
/** How many times in a row a deadline is put off for that: a loop that is always late must not keep the dead alive. */
const MAX_EXTENSIONS = 10;

/** While a ping is this young, in milliseconds, a change of the network does not cause another one. */
const YOUNG = 1000;

/** Events of a network after which an answer is worth more than before. */
const TELLING: ReadonlySet<NetworkViewEvent["type"]> = new Set<NetworkViewEvent["type"]>([
  "online",
  "addressadd",
  "addressremove",
  "gatewaychange",
  "defaultinterfacechange",
  "identitychange",
  "resync",
]);

interface Asked {
  readonly suspect: boolean;
  readonly last: boolean;
  readonly round: AbortController;
}

type State =
  /** Nothing is asked; after the interval it will be. */
  | { readonly type: "quiet" }
  /** Asked; `last` when there is no other chance. What answers any question of the round will do. */
  | { readonly type: "asked" } & Asked
  | { readonly type: "dead" | "closed" };

/** The state machine; its options have been checked. */
export class Beat implements Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #interval: number;
  readonly #clock: Clock;
  readonly #listeners = new Listeners<HeartbeatEvent>();
  readonly #dead = new AbortController();
  readonly #resources = new DisposableStack();
  readonly #address: string | null;
  #state: State = { type: "quiet" };
  #rtt: number | null = null;
  /** The last sign of life, and the last ping. */
  #heard: number;
  #asked = -Infinity;
  #due = 0;
  #extensions = 0;
  #failure: unknown;
  #timer: Timer | undefined;

  constructor(options: HeartbeatOptions, interval: number) {
    const { network, localAddress, signal, clock = systemClock } = options;
    this.#options = options;
    this.#interval = interval;
    this.#clock = clock;
    this.#address = localAddress === undefined ? null : localAddressOf(localAddress);
    this.#heard = clock.monotonic();
    if (signal?.aborted) {
      this.#state = { type: "closed" };
      return;
    }
    const close = (): void => this[Symbol.dispose]();
    signal?.addEventListener("abort", close);
    this.#resources.defer(() => signal?.removeEventListener("abort", close));
    if (network) this.#resources.use(network.subscribe((event) => this.#onNetwork(event)));
    this.#resources.use(onWake(clock, () => this.#ask()));
    this.#arm(interval);
    if (this.#address === null) return;
    // It may have gone before anybody looked; told when the caller had time to listen.
    const first = clock.after(0, () => void this.#checkAddress());
    this.#resources.defer(() => first.cancel());
  }

  get status(): HeartbeatStatus {
    const state = this.#state;
    if (state.type === "asked") return state.suspect ? "suspect" : "alive";
    return state.type === "quiet" ? "alive" : state.type;
  }

  get rtt(): number | null {
    return this.#rtt;
  }

  get signal(): AbortSignal {
    return this.#dead.signal;
  }

  alive(): void {
    this.#heard = this.#clock.monotonic();
    const state = this.#state;
    if (state.type !== "asked") return;
    state.round.abort();
    this.#state = { type: "quiet" };
    this.#failure = undefined;
    this.#arm(this.#interval);
    if (state.suspect) this.#listeners.tell(() => ({ type: "alive", at: this.#clock.now() }));
  }

  check(): void {
    if (this.#state.type === "quiet") this.#ask();
  }

  on<T extends HeartbeatEvent["type"]>(
    type: T,
    handler: (event: HeartbeatEvent & { readonly type: T }) => void,
  ): Disposable {
    return this.#listeners.on(type, handler as (event: HeartbeatEvent) => void);
  }

  [Symbol.dispose](): void {
    if (this.#state.type !== "dead") this.#end({ type: "closed" });
  }

  #onNetwork(event: NetworkViewEvent): void {
    if (this.#checkAddress()) return;
    if (event.type === "wake") return this.#ask();
    const major = event.type === "change" && event.major !== "none";
    if (!major && !TELLING.has(event.type)) return;
    if (this.#clock.monotonic() - this.#asked < YOUNG) return;
    // The deadline stays, or a network that keeps changing would keep the dead alive.
    if (this.#state.type === "asked") this.#send(this.#state.round);
    else this.#ask();
  }

  /** Declares the connection dead if its local address has gone, and tells whether it is dead or closed. */
  #checkAddress(): boolean {
    if (this.#over) return true;
    if (this.#address === null || hasLocalAddress(this.#address, this.#options.network)) return false;
    this.#die("address-gone");
    return true;
  }

  get #over(): boolean {
    return this.#state.type === "dead" || this.#state.type === "closed";
  }

  #arm(milliseconds: number): void {
    this.#timer?.cancel();
    this.#due = this.#clock.monotonic() + milliseconds;
    this.#timer = this.#clock.after(milliseconds, () => this.#onTimer());
  }

  #onTimer(): void {
    const now = this.#clock.monotonic();
    const state = this.#state;
    if (state.type === "quiet") {
      const left = this.#heard + this.#interval - now;
      return left > 0 ? this.#arm(left) : this.#ask();
    }
    if (state.type !== "asked") return;
    const late = now - this.#due;
    if (late > LATE && this.#extensions++ < MAX_EXTENSIONS) {
      // The answer may have come meanwhile, and nobody has read it yet.
      return this.#arm(Math.min(late, this.#timeout));
    }
    if (this.#checkAddress()) return;
    if (state.last) return this.#die("silence");
    this.#state = { ...state, suspect: true, last: true };
    this.#send(state.round);
    this.#startDeadline();
    if (!state.suspect) this.#listeners.tell(() => ({ type: "suspect", at: this.#clock.now() }));
  }

  get #timeout(): number {
    return this.#options.timeout ?? Math.max(3 * (this.#rtt ?? 0), LEAST_TIMEOUT);
  }

  /** Begins a round: whatever was on the way before counts no more, but who was suspect stays so. */
  #ask(): void {
    if (this.#checkAddress()) return;
    const before = this.#state;
    if (before.type === "asked") before.round.abort();
    const round = new AbortController();
    this.#state = { type: "asked", suspect: before.type === "asked" && before.suspect, last: false, round };
    this.#send(round);
    this.#startDeadline();
  }

  #startDeadline(): void {
    if (this.#state.type !== "asked") return;
    this.#extensions = 0;
    this.#arm(this.#timeout);
  }

  #send(round: AbortController): void {
    const asked = this.#asked = this.#clock.monotonic();
    Promise.try(this.#options.ping, round.signal).then(
      () => this.#answered(round, asked),
      (error) => this.#failed(round, error),
    );
  }

  #answered(round: AbortController, asked: number): void {
    if (this.#state.type !== "asked" || this.#state.round !== round) return;
    const rtt = this.#clock.monotonic() - asked;
    // The smoothing of RFC 6298, section 2.
    this.#rtt = this.#rtt === null ? rtt : this.#rtt + (rtt - this.#rtt) / 8;
    this.alive();
    this.#listeners.tell(() => ({ type: "pong", at: this.#clock.now(), rtt }));
  }

  /** A ping that fails is no answer; only where the connection is certainly gone there is nothing to wait for. */
  #failed(round: AbortController, error: unknown): void {
    if (this.#state.type !== "asked" || this.#state.round !== round) return;
    this.#failure = error;
    const { kind } = (this.#options.classify ?? defaultClassify)(error);
    if (kind === "reset") this.#die("reset");
    else if (kind === "address-gone") this.#die("address-gone");
  }

  #die(reason: DeadPeerReason): void {
    const error = new DeadPeerError(reason, this.#failure);
    this.#end({ type: "dead" });
    this.#dead.abort(error);
    this.#listeners.tell(() => ({ type: "dead", at: this.#clock.now(), error }));
  }

  #end(state: State & { readonly type: "dead" | "closed" }): void {
    const before = this.#state;
    this.#state = state;
    this.#timer?.cancel();
    this.#resources.dispose();
    if (before.type === "asked") before.round.abort();
  }
}

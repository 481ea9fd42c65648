/** Settled changes: what a batch of events comes to once the network is quiet. */

import type { Clock, Timer } from "../internal/clock.ts";
import { MajorJudge } from "./_major.ts";
import { asLastSeen } from "./diff.ts";
import type { NetworkChange, NetworkEvent } from "./events.ts";
import type { NetworkState } from "./state.ts";

/** What a {@linkcode Settler} is given by its watcher; times in milliseconds. */
export interface SettlerOptions {
  /** Source of time. */
  readonly clock: Clock;
  /** How long it must be quiet. */
  readonly quiet: number;
  /** How long a change may be put off at most. */
  readonly ceiling: number;
  /** The state as settled changes see it, and in how many milliseconds it may change by itself (`null`: not at all). */
  readonly view: () => { readonly state: NetworkState; readonly due: number | null };
  /** What lies between two states. */
  readonly differences: (before: NetworkState, after: NetworkState) => NetworkEvent[];
  /** Where a change goes. */
  readonly publish: (change: NetworkChange) => void;
}

/** Waits for quiet, but not beyond the ceiling, and makes one change of all that happened. */
export class Settler implements Disposable {
  readonly #options: SettlerOptions;
  readonly #judge: MajorJudge;
  #settled: NetworkState;
  /** What settled changes have told until now: the state, with what it could not see as seen last. */
  #told: NetworkState;
  /** Events of the batch that no difference of states can show. */
  #extras: NetworkEvent[] = [];
  /** When the batch began, on the monotonic clock. */
  #since: number | null = null;
  #timer: Timer | undefined;
  #closed = false;

  /**
   * @param state The first settled state.
   * @param options Times and ways.
   */
  constructor(state: NetworkState, options: SettlerOptions) {
    this.#options = options;
    this.#settled = this.#told = state;
    this.#judge = new MajorJudge(state);
  }

  /** Tells no more changes. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  /**
   * Notes that something happened.
   *
   * @param extra An event that no difference of states can show.
   */
  later(extra?: NetworkEvent): void {
    if (extra) this.#extras.push(extra);
    const { clock, quiet, ceiling } = this.#options;
    const now = clock.monotonic();
    this.#since ??= now;
    this.#settleIn(Math.max(0, Math.min(quiet, this.#since + ceiling - now)));
  }

  /** What a reader of changes gets in place of those it was too slow for. */
  missed(): NetworkChange {
    const state = this.#settled;
    const at = this.#options.clock.now();
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

  #settleIn(delay: number): void {
    this.#timer?.cancel();
    // A handler may have closed the watcher.
    if (this.#closed) return;
    this.#timer = this.#options.clock.after(delay, () => this.#settle());
  }

  #settle(): void {
    const { clock, view, differences, publish } = this.#options;
    this.#since = null;
    this.#timer = undefined;
    const { state: next, due } = view();
    if (due !== null) this.#settleIn(due);
    const previous = this.#settled;
    const found = differences(this.#told, next);
    this.#told = asLastSeen(this.#told, next);
    const events = [...this.#extras, ...found];
    this.#extras = [];
    if (found.length === 0 && !events.some(({ type }) => type === "identitychange")) return;
    this.#settled = next;
    const { major, reasons } = this.#judge.judge(next, events);
    publish({ type: "change", at: clock.now(), previous, next, events, major, reasons });
  }
}

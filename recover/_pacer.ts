/** When the next attempt starts: after a back-off, or as soon as the network allows; never while there is no network. */

import { type Clock, systemClock, type Timer } from "../internal/clock.ts";
import { type Logger, loggerOr } from "../internal/log.ts";
import type { NetworkView, NetworkViewEvent, NetworkViewState } from "../internal/network_view.ts";
import { FlapDamper } from "./_flap_damper.ts";
import { sameNetwork } from "./_same_network.ts";

/** What a {@linkcode Pacer} takes. */
export interface PacerOptions {
  /** The network; without it, only time and {@linkcode Pacer.wake} end a pause. */
  readonly network?: NetworkView | undefined;
  /**
   * Waits until the network is ready for use; asked when it came back, and not for longer than `gateLimit`. What it throws
   * is not the end: the attempt is made all the same.
   */
  readonly ready?: ((signal: AbortSignal) => Promise<void>) | undefined;
  /**
   * How long readiness is waited for, in milliseconds.
   *
   * @default {3000}
   */
  readonly gateLimit?: number;
  /**
   * Over how many milliseconds the attempts are spread that the network's return causes.
   *
   * @default {200}
   */
  readonly wakeSpread?: number;
  /**
   * How long to believe that there is no network before trying all the same, in milliseconds.
   *
   * @default {30_000}
   */
  readonly safetyPoll?: number;
  /**
   * Where chance comes from, 0 to 1.
   *
   * @default {Math.random}
   */
  readonly random?: () => number;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
  /**
   * Where it is said that the network was not ready in time.
   *
   * @default {undefined} The process-wide logger.
   */
  readonly logger?: Logger | undefined;
}

/** What somebody who pauses is doing. */
export type PaceState =
  | {
    /** Waits for a time, which the network's return may cut short. */
    readonly type: "backing-off";
    /** For how many milliseconds. */
    readonly delay: number;
  }
  | {
    /** Waits for the network. */
    readonly type: "suspended";
    /** Because there is none, or because nothing else can help than a change of it. */
    readonly reason: "offline" | "change";
  }
  | {
    /** The network is there; waits until it is ready for use. */
    readonly type: "gated";
  };

/**
 * What ended a pause: its time was up, the network came (back), the application said so, or nothing had changed for so long
 * that a try is due all the same. After `deadline` there is nothing more to try.
 */
export type PaceEnd = "elapsed" | "network" | "wake" | "poll" | "deadline";

/** How things stood at one moment; see {@linkcode Pacer.mark}. */
export interface PaceMark {
  /** The state of the network, where there is one. */
  readonly state: NetworkViewState | undefined;
  /** How many times the network had woken anybody. */
  readonly wakes: number;
}

/** What {@linkcode Pacer.pause} takes. */
export interface PauseOptions {
  /** How long to wait in milliseconds; `Infinity` waits for a change of the network. */
  readonly delay: number;
  /** Calls the pause off. */
  readonly signal?: AbortSignal | undefined;
  /** When there is nothing more to try, on the monotonic clock. */
  readonly deadline?: number | undefined;
  /** Whether the time is to be waited out even if the network changes. */
  readonly whole?: boolean;
  /** Whether to wait for readiness also when it was not the network that ended the pause. */
  readonly gate?: boolean;
  /** How things stood when the attempt before began, lest a change be missed that came while it was under way. */
  readonly since?: PaceMark | undefined;
  /** Told each state that is entered. */
  readonly enter?: (state: PaceState) => void;
}

/** Events after which an attempt may succeed that failed before, given that there is a network. */
const HOPEFUL: ReadonlySet<NetworkViewEvent["type"]> = new Set<NetworkViewEvent["type"]>([
  "online",
  "addressadd",
  "addresschange",
  "gatewaychange",
  "defaultinterfacechange",
  "routechange",
  "identitychange",
  "dnschange",
  "wake",
  "resync",
]);

/**
 * Paces the attempts of any number of tasks that share a network. Between an attempt that failed and the next one, each
 * task calls {@linkcode Pacer.pause}.
 *
 * It owns nothing while nobody pauses. A pause keeps the process alive.
 */
export class Pacer {
  readonly #options: PacerOptions;
  readonly #network: NetworkView | undefined;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #damper = new FlapDamper();
  readonly #sleepers = new Set<Sleeper>();
  #subscription: Disposable | undefined;
  /** A wake that was held back. */
  #owed: Timer | undefined;

  /**
   * Makes a pacer.
   *
   * @param options The network, the gate and the times.
   */
  constructor(options: PacerOptions = {}) {
    this.#options = options;
    this.#network = options.network;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
  }

  /** Whether there is a network, as far as is known. */
  get online(): boolean {
    return this.#network?.state.online ?? true;
  }

  /** Whether the network has been flapping of late. */
  get flapping(): boolean {
    return this.#damper.flapping(this.#clock.monotonic());
  }

  /** Remembers how things stand; for the moment before an attempt. */
  mark(): PaceMark {
    return this.#network ? { state: this.#network.state, wakes: this.#damper.wakes } : NOTHING;
  }

  /** Whether the network was read anew since then, which it is when something happens to it, and sometimes without. */
  stirred(since: PaceMark): boolean {
    return this.#network?.state !== since.state;
  }

  /** Ends every pause now, whatever it waits for. */
  wake(): void {
    for (const sleeper of [...this.#sleepers]) sleeper.end("wake");
  }

  /**
   * Waits until the next attempt may start.
   *
   * @param options How long, and what calls it off.
   * @returns Why the pause is over.
   * @throws The signal's reason.
   */
  async pause(options: PauseOptions): Promise<PaceEnd> {
    const { signal, enter, deadline = Infinity, gate = false } = options;
    let { delay, whole = false, since } = options;
    signal?.throwIfAborted();
    for (;;) {
      const offline = !this.online && !whole;
      const suspended = offline || delay === Infinity;
      let end: PaceEnd;
      if (since && !whole && this.#missed(since)) {
        end = "network";
      } else {
        enter?.(suspended ? stateOf(offline) : { type: "backing-off", delay });
        const time = suspended ? this.#options.safetyPoll ?? 30_000 : delay;
        end = await this.#sleep(time, { signal, deadline, network: !whole });
      }
      whole = false;
      since = undefined;
      if (end === "wake" || end === "deadline") return end;
      if (end === "elapsed" && suspended) return "poll";
      if (end === "network" || (gate && this.online)) {
        const stop = await this.#approach(options, deadline, end === "network");
        if (stop) return stop;
      }
      // It may have gone meanwhile.
      if (this.online) return end;
      delay = 0;
    }
  }

  /** From the network's return to the attempt: readiness, then a moment by chance, lest all start in the same one. */
  async #approach(
    { signal, enter }: PauseOptions,
    deadline: number,
    spread: boolean,
  ): Promise<"wake" | "deadline" | undefined> {
    const { ready, gateLimit = 3000, wakeSpread = 200, logger } = this.#options;
    let end: PaceEnd = "elapsed";
    if (ready) {
      enter?.({ type: "gated" });
      const gate = new AbortController();
      const open = (sleeper: Sleeper): void => {
        Promise.try(ready, gate.signal).catch((error) => {
          if (!gate.signal.aborted) loggerOr(logger).debug("The network is not ready, trying anyway", error);
        }).then(() => sleeper.end("elapsed"));
      };
      try {
        end = await this.#sleep(gateLimit, { signal, deadline, network: false }, open);
      } finally {
        gate.abort();
      }
    }
    if (end === "elapsed" && spread) {
      end = await this.#sleep(this.#random() * wakeSpread, { signal, deadline, network: false });
    }
    return end === "wake" || end === "deadline" ? end : undefined;
  }

  /** Whether a change came during the attempt that would have cut the pause short, had it begun already. */
  #missed({ state, wakes }: PaceMark): boolean {
    const now = this.#network?.state;
    if (!state || !now?.online) return false;
    if (wakes !== this.#damper.wakes) return true;
    return !sameNetwork(state, now) && this.#damper.change(this.#clock.monotonic());
  }

  #sleep(time: number, how: SleepOptions, begun?: (sleeper: Sleeper) => void): Promise<PaceEnd> {
    const { signal, deadline, network } = how;
    const { promise, resolve, reject } = Promise.withResolvers<PaceEnd>();
    // Called off by a listener that was told of the state.
    if (signal?.aborted) {
      reject(signal.reason);
      return promise;
    }
    const settle = (): void => {
      timer.cancel();
      signal?.removeEventListener("abort", aborted);
      this.#leave(sleeper);
    };
    const sleeper: Sleeper = {
      network,
      end(why) {
        settle();
        resolve(why);
      },
    };
    const aborted = (): void => {
      settle();
      reject(signal?.reason);
    };
    const left = Math.max(0, deadline - this.#clock.monotonic());
    const [until, end] = left <= time ? [left, "deadline"] as const : [time, "elapsed"] as const;
    const timer = this.#clock.after(until, () => sleeper.end(end), { ref: true });
    signal?.addEventListener("abort", aborted, { once: true });
    this.#join(sleeper);
    begun?.(sleeper);
    return promise;
  }

  #join(sleeper: Sleeper): void {
    this.#sleepers.add(sleeper);
    if (!sleeper.network || !this.#network) return;
    this.#subscription ??= this.#network.subscribe((event) => this.#onEvent(event));
    this.#armOwed();
  }

  #leave(sleeper: Sleeper): void {
    if (!this.#sleepers.delete(sleeper)) return;
    for (const other of this.#sleepers) if (other.network) return;
    this.#subscription?.[Symbol.dispose]();
    this.#subscription = undefined;
    this.#owed?.cancel();
    this.#owed = undefined;
    this.#damper.forgive();
  }

  #onEvent(event: NetworkViewEvent): void {
    if (!HOPEFUL.has(event.type) || !this.online) return;
    if (this.#damper.change(this.#clock.monotonic())) this.#rouse();
    else this.#armOwed();
  }

  /** Makes up for a wake that was held back, if there still is a network then; else its return is the wake. */
  #armOwed(): void {
    const { owed } = this.#damper;
    if (owed === null || this.#owed) return;
    this.#owed = this.#clock.after(Math.max(0, owed - this.#clock.monotonic()), () => {
      this.#owed = undefined;
      if (!this.online) return;
      this.#damper.pay(this.#clock.monotonic());
      this.#rouse();
    });
  }

  #rouse(): void {
    this.#owed?.cancel();
    this.#owed = undefined;
    for (const sleeper of [...this.#sleepers]) if (sleeper.network) sleeper.end("network");
  }
}

/** What there is to remember without a network. */
const NOTHING: PaceMark = { state: undefined, wakes: 0 };

interface Sleeper {
  /** Whether the network wakes it. */
  readonly network: boolean;
  end(why: PaceEnd): void;
}

interface SleepOptions {
  readonly signal: AbortSignal | undefined;
  readonly deadline: number;
  readonly network: boolean;
}

function stateOf(offline: boolean): PaceState {
  return { type: "suspended", reason: offline ? "offline" : "change" };
}

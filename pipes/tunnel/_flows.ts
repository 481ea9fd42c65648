/** The connections in one end of a tunnel, and who hears of them. */

import { type Clock, systemClock } from "../../internal/clock.ts";
import type { EventOf } from "../../internal/events.ts";
import { Listeners } from "../../recover/_listeners.ts";
import type { SessionPipe } from "../resume/session.ts";
import { Flow, type FlowFacts } from "./_flow.ts";
import type { TunnelConnection, TunnelDrainOptions, TunnelEvent } from "./tunnel.ts";

/** Them. */
export class Flows {
  readonly #clock: Clock;
  readonly #flows = new Set<Flow>();
  readonly #listeners = new Listeners<TunnelEvent>();
  #changed: PromiseWithResolvers<void> = Promise.withResolvers();

  /** @param clock Source of time. */
  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** All of them. */
  get all(): Iterable<Flow> {
    return this.#flows;
  }

  /** How many there are. */
  get size(): number {
    return this.#flows.size;
  }

  /** All of them, as they are now. */
  get status(): readonly TunnelConnection[] {
    return [...this.#flows].map((flow) => flow.status);
  }

  /** See `Tunnel.on`. */
  on<T extends TunnelEvent["type"]>(
    type: T,
    handler: (event: EventOf<TunnelEvent, T>) => void,
  ): Disposable {
    return this.#listeners.on(type, handler);
  }

  /** Tells everybody. */
  tell(event: TunnelEvent): void {
    this.#listeners.tell(() => event);
  }

  /** Tells of something wrong that ends nothing. */
  trouble(message: string): void {
    this.tell({ type: "trouble", at: this.#clock.now(), message });
  }

  /** Tells of a connection that did not come about. */
  refused(from: string, target: string | null, code: string, message: string): void {
    this.tell({ type: "refused", at: this.#clock.now(), from, target, code, message });
  }

  /** Tells where it listens. */
  listening(address: string, target: string | null, side: "here" | "server"): void {
    this.tell({ type: "listening", at: this.#clock.now(), address, target, side });
  }

  /**
   * Looks after a connection while something is done with it.
   *
   * @param session What carries it.
   * @param facts What is known of it.
   * @param work What is done.
   */
  async keep(session: SessionPipe, facts: FlowFacts, work: (flow: Flow) => Promise<void>): Promise<void> {
    const flow = new Flow(session, facts, this.#clock, (event) => this.tell(event));
    this.#flows.add(flow);
    try {
      await work(flow);
    } finally {
      this.#flows.delete(flow);
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
  }

  /** Ends all that a function picks; tells how many. */
  abort(code: number, why: string, which: (flow: Flow) => boolean = () => true): number {
    const chosen = [...this.#flows].filter(which);
    for (const flow of chosen) flow.abort(code, why);
    return chosen.length;
  }

  /** Waits until they have ended; see `Tunnel.drain`. */
  async drain({ timeout = Infinity, signal }: TunnelDrainOptions = {}): Promise<number> {
    let cut: number | undefined;
    const over = (): void => {
      cut ??= this.size;
      this.#changed.resolve();
    };
    const timer = timeout === Infinity ? undefined : this.#clock.after(timeout, over, { ref: true });
    signal?.addEventListener("abort", over, { once: true });
    if (signal?.aborted) over();
    while (cut === undefined && this.size > 0) await this.#changed.promise;
    timer?.cancel();
    signal?.removeEventListener("abort", over);
    return cut ?? 0;
  }
}

/** Grace for lost carrier: a wireless card that roams loses it for less than a second, and nothing else changes. */

import type { Interface, NetworkState } from "./state.ts";
import { onlineFamilies } from "./state.ts";

/** Remembers since when interfaces that are switched on have been without the carrier they had. */
export class CarrierGrace {
  /** Interface index to the monotonic time of the loss. */
  readonly #lost = new Map<number, number>();
  /** The interfaces that had carrier in the last reading. */
  #running = new Set<number>();

  /**
   * Takes a reading in.
   *
   * @param interfaces The interfaces as they are.
   * @param now Monotonic time in milliseconds.
   */
  note(interfaces: readonly Interface[], now: number): void {
    const present = new Set(interfaces.map(({ index }) => index));
    for (const index of this.#lost.keys()) if (!present.has(index)) this.#lost.delete(index);
    for (const { index, up, running } of interfaces) {
      if (running || !up) this.#lost.delete(index);
      else if (this.#running.has(index)) this.#lost.set(index, now);
    }
    this.#running = new Set(interfaces.filter(({ running }) => running).map(({ index }) => index));
  }

  /**
   * The state as those see it who give a lost carrier some time to come back.
   *
   * @param state The state as it is.
   * @param now Monotonic time in milliseconds.
   * @param grace How much time in milliseconds.
   * @returns The state, and how many milliseconds from now it may change by itself (`null`: not at all).
   */
  view(state: NetworkState, now: number, grace: number): { state: NetworkState; due: number | null } {
    const held = [...this.#lost].filter(([, since]) => now - since < grace);
    if (held.length === 0) return { state, due: null };
    const indexes = new Set(held.map(([index]) => index));
    const interfaces = state.interfaces.map((iface) =>
      indexes.has(iface.index) ? { ...iface, running: true } : iface
    );
    const families = onlineFamilies({ ...state, interfaces });
    const due = Math.min(...held.map(([, since]) => since + grace - now));
    return { state: { ...state, interfaces, families, online: families.length > 0 }, due };
  }
}

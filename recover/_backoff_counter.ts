/** How far a task has got in its back-off, and when it may begin again. */

import type { NetworkView } from "../internal/network_view.ts";
import { type Backoff, delayOf } from "./backoff.ts";
import type { FailureKind } from "./failure.ts";
import { networkKey } from "./network_key.ts";

/**
 * Counts the waits of one task.
 *
 * What failed in one network, or only for want of any, says nothing about the one that is there now: then the waits begin
 * again with the first. A network that came back the same is no reason.
 */
export class BackoffCounter {
  readonly #backoff: Backoff;
  readonly #network: NetworkView | undefined;
  readonly #random: () => number;
  #step = 0;
  #previous = 0;
  /** The network in which the attempt before began, or failed if it was the first; `""` where unknown. */
  #key: string;
  /** Whether everything that failed since the first wait failed for want of a network. */
  #offline = true;

  constructor(backoff: Backoff, network: NetworkView | undefined, random: () => number) {
    this.#backoff = backoff;
    this.#network = network;
    this.#random = random;
    this.#key = networkKey(network);
  }

  /** An attempt begins. */
  begin(): void {
    this.#key = networkKey(this.#network) || this.#key;
  }

  /** An attempt has failed. */
  failed(kind: FailureKind): void {
    if (kind !== "offline") this.#offline = false;
  }

  /** The next wait in milliseconds. */
  next(): number {
    return this.#previous = delayOf(this.#backoff, this.#step++, this.#previous, this.#random);
  }

  /** The network is usable again, or another one. */
  resume(): void {
    const key = networkKey(this.#network);
    const other = key !== "" && this.#key !== "" && key !== this.#key;
    if (!this.#offline && !other) return;
    this.#step = this.#previous = 0;
    this.#offline = true;
    this.#key = key;
  }
}

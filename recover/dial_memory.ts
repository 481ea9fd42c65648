/** What worked before, per network. */

import { checkNumber } from "./_check.ts";

/** What is known of a target in a network. */
export interface DialRecollection {
  /** The family that works in this network while the other one is dead, or `null` where that has not shown. */
  readonly family: 4 | 6 | null;
  /** The target's addresses that worked, the latest first. */
  readonly addresses: readonly string[];
}

/** Remembers for {@linkcode dial} what worked, per network. Make one with {@linkcode dialMemory}. */
export interface DialMemory {
  /**
   * What is known.
   *
   * @param network The network, by its {@linkcode networkKey}.
   * @param target The target, `host:port`.
   * @returns What worked there before.
   */
  recall(network: string, target: string): DialRecollection;
  /**
   * Remembers that an address worked.
   *
   * @param network The network.
   * @param target The target.
   * @param address The address.
   */
  worked(network: string, target: string, address: string): void;
  /**
   * Forgets an address, which has failed.
   *
   * @param network The network.
   * @param target The target.
   * @param address The address.
   */
  failed(network: string, target: string, address: string): void;
  /**
   * Remembers which family works, after the other one was silent.
   *
   * @param network The network.
   * @param family The family.
   */
  prefer(network: string, family: 4 | 6): void;
  /** Forgets everything. */
  clear(): void;
}

/** What {@linkcode dialMemory} takes. */
export interface DialMemoryOptions {
  /**
   * How many targets, and how many networks, are remembered; those that were used longest ago go first.
   *
   * @default {256}
   */
  readonly capacity?: number;
}

/** How many addresses of one target are worth remembering. */
const MAX_ADDRESSES = 8;

/**
 * Makes a memory of what worked. It lives as long as the process, and never grows beyond its capacity.
 *
 * @param options How much it can hold.
 * @returns The memory, empty.
 * @throws {RangeError} When the capacity is not a whole number from 1.
 *
 * @example
 * ```ts
 * import { dialMemory } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * const memory = dialMemory();
 * memory.worked("home", "a.test:443", "192.0.2.1");
 * assertEquals(memory.recall("home", "a.test:443").addresses, ["192.0.2.1"]);
 * assertEquals(memory.recall("office", "a.test:443").addresses, []);
 * ```
 */
export function dialMemory(options: DialMemoryOptions = {}): DialMemory {
  const { capacity = 256 } = options;
  checkNumber("make a memory for dial()", "capacity", capacity, { from: 1, whole: true });
  const targets = new Recent<readonly string[]>(capacity);
  const families = new Recent<4 | 6>(capacity);
  const keyOf = (network: string, target: string): string => JSON.stringify([network, target]);
  const others = (key: string, address: string): readonly string[] =>
    (targets.get(key) ?? []).filter((other) => other !== address);
  return {
    recall: (network, target) => ({
      family: families.get(network) ?? null,
      addresses: targets.get(keyOf(network, target)) ?? [],
    }),
    worked(network, target, address) {
      const key = keyOf(network, target);
      targets.set(key, [address, ...others(key, address)].slice(0, MAX_ADDRESSES));
    },
    failed(network, target, address) {
      const key = keyOf(network, target);
      const left = others(key, address);
      if (left.length > 0) targets.set(key, left);
      else targets.delete(key);
    },
    prefer: (network, family) => families.set(network, family),
    clear() {
      targets.clear();
      families.clear();
    },
  };
}

/** A map that forgets what was used longest ago. */
class Recent<V> {
  readonly #entries = new Map<string, V>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get(key: string): V | undefined {
    const value = this.#entries.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }

  set(key: string, value: V): void {
    // A map keeps the order in which its keys came.
    this.#entries.delete(key);
    this.#entries.set(key, value);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > this.#capacity && oldest !== undefined) this.#entries.delete(oldest);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }
}

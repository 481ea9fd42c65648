/** One reading, and a look at which backends would work. */

import type { BackendName } from "./events.ts";
import { openedHub } from "./_hubs.ts";
import { toState } from "./_reading.ts";
import { notAsked, openFirst, type PassedOver, passedOver, rungs } from "./_select.ts";
import type { NetworkState } from "./state.ts";
import { systemClock } from "../internal/clock.ts";
import { flagsOf, wouldPrompt } from "../internal/permissions.ts";
import { HoldfastError } from "../internal/errors.ts";

/** What {@linkcode snapshot} takes. */
export interface SnapshotOptions {
  /**
   * What to read with: the best that works, or one backend's own way.
   *
   * @default {"auto"}
   */
  readonly backend?: BackendName | "auto";
  /** Calls it off. */
  readonly signal?: AbortSignal;
}

/**
 * Reads the network once.
 *
 * While a watcher of the same backend is open its source is used, which spares opening one.
 *
 * Permissions: as for `watchNetwork()`.
 *
 * @param options What to read with.
 * @returns The state now.
 * @throws {PermissionError} When permissions are what is missing.
 * @throws {HoldfastError} `unsupported` when nothing works here.
 *
 * @example
 * ```ts
 * import { snapshot } from "@holdfast/net/watch";
 * import { assertEquals } from "@std/assert";
 *
 * const { online, families } = await snapshot();
 * assertEquals(online, families.length > 0);
 * ```
 */
export async function snapshot(options: SnapshotOptions = {}): Promise<NetworkState> {
  const { backend = "auto", signal } = options;
  signal?.throwIfAborted();
  const open = openedHub({ backend, pollInterval: 2000 });
  if (open) {
    const hub = await open;
    if (hub.retain()) {
      try {
        const reading = await hub.fresh();
        signal?.throwIfAborted();
        return toState(reading);
      } finally {
        await hub.release();
      }
    }
  }
  const { value } = await openFirst(backend, async (rung) => {
    using reader = await rung.reader();
    return await reader.read(signal);
  });
  signal?.throwIfAborted();
  return toState(value);
}

/** Whether a backend works here, and what stands in its way. */
export interface BackendStatus extends Partial<Omit<PassedOver, "backend">> {
  /** The backend. */
  readonly backend: BackendName;
  /** Whether it works with the permissions given. */
  readonly usable: boolean;
  /** The flags that it runs under. */
  readonly needs: readonly string[];
}

/**
 * Tries every backend of this system, best first.
 *
 * @returns One entry each; nobody is asked for a permission.
 */
export async function probeBackends(): Promise<BackendStatus[]> {
  const found: BackendStatus[] = [];
  for (const rung of rungs()) {
    const { backend } = rung;
    const needs = flagsOf(rung.needs);
    if (wouldPrompt(rung.needs)) {
      found.push({ ...notAsked(rung), usable: false, needs });
      continue;
    }
    try {
      const silent = { hint() {}, overflow() {}, failed() {} };
      await using source = await rung.open(silent, { clock: systemClock, pollInterval: 60_000 });
      await source.read();
      found.push({ backend, usable: true, needs });
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      found.push({ ...passedOver(backend, error), usable: false, needs });
    }
  }
  return found;
}

/** Opening what a hub reads with. */

import type { Clock } from "../internal/clock.ts";
import type { HubOptions } from "./_hub_types.ts";
import { prove, type ProvenSource } from "./_prove.ts";
import { type Opened, openFirst, type Rung, rungs } from "./_select.ts";

/** Opens the caller's own source, or the first of the system's that works. */
export async function openBest(options: HubOptions, clock: Clock): Promise<Opened<ProvenSource>> {
  const { backend, source } = options;
  return source
    ? { value: await prove(source), rank: 0, passed: [] }
    : await openFirst(backend, (rung) => openRung(rung, options, clock), rungsOf(options));
}

/** Opens one of the ways to watch, and proves that it works. */
export async function openRung(
  rung: Rung,
  { pollInterval }: HubOptions,
  clock: Clock,
): Promise<ProvenSource> {
  return await prove((events) => rung.open(events, { clock, pollInterval }));
}

/** The ways to watch, best first. */
export function rungsOf({ rungs: given }: HubOptions): readonly Rung[] {
  return given ?? rungs();
}

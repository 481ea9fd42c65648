/** The last step of readiness: the target itself. */

import type { Clock } from "../internal/clock.ts";
import type { NetworkView, NetworkViewEvent } from "../internal/network_view.ts";
import type { Limited } from "./_limited.ts";
import { reach } from "./_reach.ts";
import { messageOf } from "./_ready_step.ts";
import type { ReadyReport, ReadyStep } from "./ready.ts";

/** The events after which another attempt may work where the last one did not. */
const HOPEFUL: ReadonlySet<NetworkViewEvent["type"]> = new Set<NetworkViewEvent["type"]>([
  "online",
  "addressadd",
  "addresschange",
  "gatewaychange",
  "dnschange",
  "identitychange",
  "wake",
]);

/** What came of trying the target. */
export type Reached = Pick<ReadyReport, "attempts" | "address">;

/**
 * Tries the target until it works.
 *
 * @param network Whose changes make for another attempt at once.
 * @param clock Source of time.
 * @param all Ends it.
 * @param connect One attempt; the address that answered.
 * @returns The entry of the report, and what came of it.
 * @throws {PermissionError} When the runtime forbids it.
 * @throws The signal's reason, where it is not that the time is up.
 */
export async function targetStep(
  network: NetworkView | undefined,
  clock: Clock,
  all: Limited,
  connect: (signal: AbortSignal) => Promise<string | null>,
): Promise<readonly [ReadyStep, Reached]> {
  const began = clock.monotonic();
  let attempts = 0;
  let why = "no answer";
  const told = (
    outcome: ReadyStep["outcome"],
    detail: string,
    address: string | null = null,
  ): readonly [ReadyStep, Reached] => [
    { name: "target", outcome, took: clock.monotonic() - began, detail },
    { attempts, address },
  ];
  try {
    const address = await reach({
      connect(signal) {
        attempts++;
        return connect(signal);
      },
      subscribe: (handler) =>
        network?.subscribe(({ type }) => HOPEFUL.has(type) && handler()) ?? { [Symbol.dispose]() {} },
      onFailure: (error) => why = messageOf(error),
      signal: all.signal,
      clock,
    });
    return told("ok", address === null ? "the probe is satisfied" : `${address} answers`, address);
  } catch (error) {
    if (all.expired) return told("limit", why);
    throw error;
  }
}

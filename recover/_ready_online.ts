/** The first step of the readiness gate: a usable address, a default route, carrier. */

import type { NetworkViewState } from "../internal/network_view.ts";
import { limited } from "./_limited.ts";
import { isNear } from "./_near.ts";
import { ok, skipped, type StepContext, type StepResult } from "./_ready_step.ts";

/** What is told of a target that needs neither route nor gateway. */
export const NEAR = "the way there leads through no gateway";

/** Waits until the network is online, or the target turns out to be near. */
export async function onlineStep(context: StepContext): Promise<StepResult> {
  const { network, family, signal, clock, target } = context;
  const near = (): boolean => target !== undefined && isNear(target.hostname, network.state);
  if (near()) return skipped(NEAR);
  using stop = limited(Infinity, signal, clock);
  const { promise, resolve, reject } = Promise.withResolvers<StepResult>();
  const look = (): void => {
    context.waiting(whyOffline(network.state, family));
    if (near()) resolve(skipped(NEAR));
  };
  using _ = network.subscribe(look);
  look();
  const online = network.online({ signal: stop.signal, ...(family === undefined ? {} : { family }) });
  online.then(() => resolve(ok(`online by ${familiesOf(network.state.families)}`)), reject);
  return await promise;
}

/** Names families for people. */
export function familiesOf(families: readonly (4 | 6)[]): string {
  return families.map((family) => `IPv${family}`).join(" and ") || "nothing";
}

function whyOffline(state: NetworkViewState, family: 4 | 6 | undefined): string {
  const families = family === undefined ? [4, 6] as const : [family];
  const routes = families.map((one) => state.defaultRoute[`v${one}`]).filter((route) => route !== null);
  const what = `not online${family === undefined ? "" : ` by IPv${family}`}`;
  if (routes.length === 0) return `${what}: no default route`;
  return `${what}: no usable address, or no carrier, on ${
    routes.map((route) => route.interface).join(" and ")
  }`;
}

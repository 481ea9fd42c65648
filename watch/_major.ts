/** What a settled change means for those who hold connections. */

import type { Major, NetworkEvent } from "./events.ts";
import { type DefaultRoute, type Family, isUsableAddress, type NetworkState, routeOf } from "./state.ts";

/** The path that a family's connections were made on. */
interface Path {
  readonly route: DefaultRoute;
  /** Its loss has been told, and it has not been replaced since. */
  readonly lost: boolean;
}

/** Remembers the path of each family across times without one, and judges each settled change. */
export class MajorJudge {
  readonly #paths = new Map<Family, Path>();

  /** @param state The first settled state. */
  constructor(state: NetworkState) {
    for (const family of state.families) this.#keep(state, family);
  }

  /**
   * Judges a change.
   *
   * @param next The settled state after it.
   * @param events What happened.
   */
  judge(next: NetworkState, events: readonly NetworkEvent[]): { major: Major; reasons: string[] } {
    const required: string[] = [];
    const advised: string[] = [];
    for (const family of [4, 6] as const) {
      const path = this.#paths.get(family);
      if (path) {
        const loss = lossOf(path.route, next);
        // Where routes are out of sight it may be the same way or another one.
        const back = next.families.includes(family) && !next.blind.includes("routes");
        const to = routeOf(next, family);
        if (loss && !path.lost) required.push(loss);
        else if (path.lost && back && to?.source !== path.route.source) {
          required.push(`IPv${family} is back with another source address: ${to?.source ?? "unknown"}`);
        } else if (back && to) advised.push(...otherWay(path.route, to, family));
        this.#paths.set(family, { route: path.route, lost: path.lost || loss !== null });
      }
      for (const event of events) {
        if (event.type !== "identitychange" || event.family !== family) continue;
        advised.push(`another IPv${family} network: gateway ${event.to.gateway} is now ${event.to.mac}`);
      }
      if (next.families.includes(family)) this.#keep(next, family);
    }
    const major = required.length > 0 ? "required" : advised.length > 0 ? "advised" : "none";
    return { major, reasons: [...required, ...advised] };
  }

  #keep(state: NetworkState, family: Family): void {
    const route = routeOf(state, family);
    if (route) this.#paths.set(family, { route, lost: false });
  }
}

/** Why connections on a path are dead, if they are. */
function lossOf(route: DefaultRoute, next: NetworkState): string | null {
  const iface = next.interfaces.find(({ index, name }) =>
    index === 0 ? name === route.interface : index === route.index
  );
  if (!iface) return `interface ${route.interface} is gone`;
  if (!iface.running) return `interface ${iface.name} is ${iface.up ? "without carrier" : "switched off"}`;
  const { source } = route;
  if (source === null || iface.addresses.some((a) => a.address === source && isUsableAddress(a))) return null;
  return `source address ${source} is gone from ${iface.name}`;
}

function otherWay(from: DefaultRoute, to: DefaultRoute, family: Family): string[] {
  if (from.index !== to.index) {
    return [`IPv${family} now goes by ${to.interface} instead of ${from.interface}`];
  }
  if (from.gateway === to.gateway) return [];
  return [`IPv${family} gateway is now ${to.gateway ?? "none"} instead of ${from.gateway ?? "none"}`];
}

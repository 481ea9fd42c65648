/** Whether a watcher's state is what the kernel has, by readings of all kinds and by what `ip` says of it. */

import { type BackendName, diffStates, type NetworkState, snapshot } from "@holdfast/net/watch";
import { describe } from "./_describe.ts";
import { ipRows, type Observer, type Row } from "./_network.ts";

/** Public addresses other than those that the watcher itself looks up. */
const PUBLIC = { v4: "1.1.1.1", v6: "2606:4700:4700::1111" };

/** What both a state and the tool tell of a network. */
interface Facts {
  /** Name to what is known of the interface. */
  readonly interfaces: Readonly<Record<string, unknown>>;
  readonly v4: string | null;
  readonly v6: string | null;
}

function factsOf(state: NetworkState): Facts {
  const way = (route: NetworkState["defaultRoute"]["v4"]): string | null =>
    route && `${route.interface} ${route.gateway ?? "-"} ${route.source ?? "-"}`;
  const interfaces = state.interfaces.map(({ name, index, mtu, up, running, addresses }) => {
    const texts = addresses.map(({ address, prefix, tentative, deprecated, conflict }) =>
      [`${address}/${prefix}`, tentative && "tentative", deprecated && "deprecated", conflict && "dadfailed"]
        .filter(Boolean).join(" ")
    );
    return [name, { index, mtu, up, running, addresses: texts.sort() }] as const;
  });
  return {
    interfaces: Object.fromEntries(interfaces),
    v4: way(state.defaultRoute.v4),
    v6: way(state.defaultRoute.v6),
  };
}

/** The same by `ip -j address` and `ip -j route get`. */
async function factsByTool(): Promise<Facts> {
  const [links, v4, v6] = await Promise.all([
    ipRows("address"),
    ipRows("route", "get", PUBLIC.v4),
    ipRows("route", "get", PUBLIC.v6),
  ]);
  return { interfaces: Object.fromEntries(links.map(linkByTool)), v4: wayByTool(v4), v6: wayByTool(v6) };
}

function linkByTool(row: Row): readonly [string, unknown] {
  const flags = row["flags"] as string[];
  const up = flags.includes("UP");
  const running = up && !flags.includes("NO-CARRIER") && ["UP", "UNKNOWN"].includes(String(row["operstate"]));
  const addresses = (row["addr_info"] as Row[]).map((info) =>
    [
      `${info["local"]}/${info["prefixlen"]}`,
      ...["tentative", "deprecated", "dadfailed"].filter((flag) => info[flag] === true),
    ].join(" ")
  );
  const { ifname, ifindex: index, mtu } = row;
  return [String(ifname), { index, mtu, up, running, addresses: addresses.sort() }];
}

function wayByTool([row]: readonly Row[]): string | null {
  return row ? `${row["dev"]} ${row["gateway"] ?? "-"} ${row["prefsrc"] ?? "-"}` : null;
}

/** Where a state differs from fresh readings and from the tool; empty where all agree. */
async function disagreements(state: NetworkState, backend: BackendName): Promise<string[]> {
  const [own, native, tool] = await Promise.all([
    snapshot({ backend }),
    snapshot({ backend: "netlink" }),
    factsByTool(),
  ]);
  const found = [own, native].flatMap((fresh, n) =>
    diffStates(state, fresh, () => true).map((event) =>
      `${n === 0 ? backend : "netlink"}: ${describe(event)}`
    )
  );
  const [mine, its] = [JSON.stringify(sorted(factsOf(state))), JSON.stringify(sorted(tool))];
  if (mine !== its) found.push(`ip: the state has ${mine}\n  the tool says ${its}`);
  return found;
}

function sorted(facts: Facts): unknown {
  return { ...facts, interfaces: Object.entries(facts.interfaces).sort(([a], [b]) => a < b ? -1 : 1) };
}

/**
 * Checks that the watcher's state is what the kernel has.
 *
 * Where it is not, the kernel has just changed something and the watcher has yet to tell it: so its next event is
 * waited for, and what is missed for good never agrees.
 */
export async function assertAgreement(observer: Observer): Promise<void> {
  const { watcher, events } = observer;
  while (true) {
    const seen = events.length;
    const found = await disagreements(watcher.state, watcher.backend);
    if (found.length === 0) return;
    await observer.until(`agreement with the kernel:\n  ${found.join("\n  ")}`, () => events.length > seen);
  }
}

/** A Windows of made-up tables behind a watcher and the readiness gate, for the tests here and under Wine. */

import { silentLogger } from "../internal/log.ts";
import { parseIp } from "../internal/ip.ts";
import type { ReadyReport } from "../recover/ready.ts";
import { ready } from "../recover/ready.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import type { WindowsBytes } from "../watch/_read_windows.ts";
import { openWindowsSource } from "../watch/_source_windows.ts";
import { watchNetwork } from "../watch/watch.ts";
import type { NetworkWatcher } from "../watch/watcher.ts";
import { socketAddress } from "../watch/_windows_tables.ts";
import { FakeWindows } from "./_fake_windows.ts";
import { adapter, buildAdapters, buildNeighbourTable, buildRoute } from "./_windows_tables.ts";

/** NL_DAD_STATE (nldef.h). */
export const DAD = { tentative: 1, duplicate: 2, preferred: 4 } as const;
/** NL_NEIGHBOR_STATE (nldef.h). */
export const NEIGHBOUR = { unreachable: 0, incomplete: 1, reachable: 5 } as const;

/** What the tables show. */
export interface World {
  /** Of the machine's address. */
  dad: number;
  /** Of the gateway. */
  neighbour: number;
}

/** A watcher of a made-up Windows. */
export interface Stage extends AsyncDisposable {
  readonly windows: FakeWindows;
  readonly clock: FakeClock;
  readonly watcher: NetworkWatcher;
}

/** Opens a watcher of a world, which may change; `windows.fire()` tells of it. */
export async function watchWindows(world: World): Promise<Stage> {
  const windows = new FakeWindows({ tables: () => tables(world) });
  const clock = new FakeClock();
  const watcher = await watchNetwork({
    source: (events) => openWindowsSource(events, clock, { acquire: () => windows.acquire() }),
    clock,
    logger: silentLogger,
  });
  return { windows, clock, watcher, [Symbol.asyncDispose]: () => watcher.close() };
}

/** What came of {@linkcode foundingFailure}. */
export interface Founding {
  /** Whether the network was online, and to whom something had been sent, before and after the address was usable. */
  readonly before: readonly [boolean, readonly string[]];
  readonly after: readonly [boolean, readonly string[]];
  /** What was known of the gateway while it did not answer. */
  readonly neighbour: string;
  /** What the gate says in the end. */
  readonly report: ReadyReport;
}

/** The address is being checked for a second; then the gateway answers nobody for another one. */
export async function foundingFailure(): Promise<Founding> {
  const world: World = { dad: DAD.tentative, neighbour: NEIGHBOUR.unreachable };
  await using stage = await watchWindows(world);
  const { windows, clock, watcher } = stage;
  const sent: string[] = [];
  const tools = { provoke: (gateway: string) => Promise.resolve(void sent.push(gateway)) };
  const reported = ready(watcher, { family: 4, limit: 60_000, clock, tools });
  await clock.tickAsync(1000);
  const before = [watcher.state.online, [...sent]] as const;
  world.dad = DAD.preferred;
  windows.fire();
  await clock.tickAsync(500);
  const after = [watcher.state.online, [...sent]] as const;
  world.neighbour = NEIGHBOUR.incomplete;
  await clock.tickAsync(500);
  const neighbour = await watcher.neighbour(4);
  world.neighbour = NEIGHBOUR.reachable;
  await clock.tickAsync(500);
  return { before, after, neighbour, report: await reported };
}

function ip(text: string): Uint8Array {
  const bytes = parseIp(text);
  if (!bytes) throw new TypeError(`Cannot use address "${text}"`);
  return bytes;
}

function tables({ dad, neighbour }: World): WindowsBytes {
  const address = {
    address: ip("192.168.1.23"),
    prefix: 24,
    dadState: dad,
    suffixOrigin: 3,
    preferred: 1800,
    valid: 3600,
  };
  return {
    adapters: buildAdapters([adapter({ addresses: [address] })]),
    links: null,
    v4: {
      route: {
        row: buildRoute({ index: 7, nextHop: ip("192.168.1.1"), metric: 0 }),
        source: socketAddress(ip("192.168.1.23")),
      },
      routes: null,
      neighbours: buildNeighbourTable([
        { index: 7, address: ip("192.168.1.1"), mac: Uint8Array.of(2, 0, 0, 0, 1, 1), state: neighbour },
      ]),
    },
    v6: { route: null, routes: null, neighbours: null },
  };
}

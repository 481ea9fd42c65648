/** The readiness gate on Windows, by tables made up: an address that is being checked, a gateway that does not answer. */

import { assert, assertEquals } from "@std/assert";
import { silentLogger } from "../internal/log.ts";
import { parseIp } from "../internal/ip.ts";
import { ready } from "../recover/ready.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import type { WindowsBytes } from "../watch/_read_windows.ts";
import { openWindowsSource } from "../watch/_source_windows.ts";
import { watchNetwork } from "../watch/watch.ts";
import { FakeWindows } from "./_fake_windows.ts";
import { adapter, buildAdapters, buildNeighbourTable, buildRoute } from "./_windows_tables.ts";
import { socketAddress } from "../watch/_windows_tables.ts";

function ip(text: string): Uint8Array {
  const bytes = parseIp(text);
  assert(bytes, text);
  return bytes;
}

/** NL_DAD_STATE and NL_NEIGHBOR_STATE (nldef.h). */
const DAD = { tentative: 1, duplicate: 2, preferred: 4 } as const;
const NEIGHBOUR = { unreachable: 0, incomplete: 1, reachable: 5 } as const;

interface World {
  dad: number;
  neighbour: number;
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

Deno.test("on Windows the gate waits for the address to be preferred, then for the gateway to be reachable", async () => {
  const world: World = { dad: DAD.tentative, neighbour: NEIGHBOUR.unreachable };
  const windows = new FakeWindows({ tables: () => tables(world) });
  const clock = new FakeClock();
  const acquire = () => windows.acquire();
  await using watcher = await watchNetwork({
    source: (events) => openWindowsSource(events, clock, { acquire }),
    clock,
    logger: silentLogger,
  });
  const sent: string[] = [];
  const tools = { provoke: (gateway: string) => Promise.resolve(void sent.push(gateway)) };
  const reported = ready(watcher, { family: 4, limit: 60_000, clock, tools });

  await clock.tickAsync(1000);
  assertEquals([watcher.state.online, sent], [false, []], "a tentative address is not usable");
  world.dad = DAD.preferred;
  windows.fire();
  await clock.tickAsync(500);
  assertEquals([watcher.state.online, sent], [true, ["192.168.1.1"]], "the gateway is called");
  world.neighbour = NEIGHBOUR.incomplete;
  await clock.tickAsync(500);
  assertEquals(await watcher.neighbour(4), "unresolved");
  world.neighbour = NEIGHBOUR.reachable;
  await clock.tickAsync(500);

  const report = await reported;
  const steps = report.steps.map(({ name, outcome, detail }) => [name, outcome, detail]);
  assertEquals(steps, [
    ["online", "ok", "online by IPv4"],
    ["gateway", "ok", "192.168.1.1 is there"],
    ["resolver", "skipped", "the resolver is out of sight"],
  ]);
  assertEquals([report.ready, report.gated, report.steps[0]?.took], [true, "passed", 1000]);
});

Deno.test("on Windows an address that somebody else has never opens the gate, which ends by its limit", async () => {
  const world: World = { dad: DAD.duplicate, neighbour: NEIGHBOUR.reachable };
  const windows = new FakeWindows({ tables: () => tables(world) });
  const clock = new FakeClock();
  await using watcher = await watchNetwork({
    source: (events) => openWindowsSource(events, clock, { acquire: () => windows.acquire() }),
    clock,
    logger: silentLogger,
  });
  const reported = ready(watcher, { clock });
  await clock.tickAsync(3000);
  const report = await reported;
  assertEquals([report.ready, report.gated, report.took], [false, "limit", 3000]);
  assertEquals(
    report.steps[0]?.detail,
    "not online: no usable address, or no carrier, on Ethernet",
  );
});

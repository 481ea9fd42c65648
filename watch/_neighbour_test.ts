import { assert, assertEquals, assertRejects } from "@std/assert";
import { HoldfastError } from "../internal/errors.ts";
import { parseIp } from "../internal/ip.ts";
import { FakeMac, HOME, ROUTER_MAC } from "../tests/_darwin.ts";
import { FakeWindows } from "../tests/_fake_windows.ts";
import {
  adapter,
  buildAdapters,
  buildNeighbourTable,
  buildRoute,
  foreignAddress,
} from "../tests/_windows_tables.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { type FakeNetwork, fakeNetwork } from "../testing/fake_network.ts";
import { silentLogger } from "../internal/log.ts";
import { neighbourOf } from "./_neighbour.ts";
import { sysctlReader } from "./_read_sysctl.ts";
import { readWindows } from "./_read_windows.ts";
import type { Reading } from "./_reading.ts";
import { parseGatewayMac } from "./_route_text.ts";
import { watchNetwork } from "./watch.ts";
import type { NetworkWatcher } from "./watcher.ts";

const MAC = "02:00:00:00:01:01";

/** A network with a gateway, a watcher of it, and what it says of the gateway. */
async function stage(
  fields: Parameters<FakeNetwork["setInterface"]>[1] = {},
): Promise<{ readonly network: FakeNetwork; readonly watcher: NetworkWatcher; readonly clock: FakeClock }> {
  const clock = new FakeClock();
  const network = fakeNetwork({ now: () => clock.now() });
  network.change(() => {
    network.setInterface("eth0", fields);
    network.setAddress("eth0", "192.168.1.2/24");
    network.setDefaultRoute(4, { interface: "eth0", gateway: "192.168.1.1" });
  });
  const watcher = await watchNetwork({ source: network.source, clock, logger: silentLogger });
  return { network, watcher, clock };
}

Deno.test("a gateway is unresolved until its hardware address is known, and again when that is gone", async () => {
  const { network, watcher } = await stage();
  await using _ = watcher;
  assertEquals(await watcher.neighbour(4), "unresolved");
  network.setGatewayMac(4, MAC);
  assertEquals(await watcher.neighbour(4), "resolved");
  network.setGatewayMac(4, null);
  assertEquals(await watcher.neighbour(4), "unresolved");
});

Deno.test("nobody knows of a gateway where there is none, nor where hardware addresses are not asked for", async () => {
  const { network, watcher } = await stage();
  await using _ = watcher;
  assertEquals(await watcher.neighbour(6), "unknown", "no route");
  network.setDefaultRoute(4, { interface: "eth0" });
  assertEquals(await watcher.neighbour(4), "unknown", "the interface is the way");
  for (const fields of [{ kind: "tunnel" }, { mac: null }] as const) {
    const other = await stage(fields);
    await using _ = other.watcher;
    assertEquals(await other.watcher.neighbour(4), "unknown", JSON.stringify(fields));
    other.network.setGatewayMac(4, MAC);
    assertEquals(await other.watcher.neighbour(4), "resolved", "what the table says counts all the same");
  }
});

Deno.test("an interface that the filter leaves out has no gateway", async () => {
  const { network } = await stage();
  await using watcher = await watchNetwork({ source: network.source, filter: () => false });
  assertEquals(await watcher.neighbour(4), "unknown");
});

Deno.test("a source that has failed says nothing of a gateway", async () => {
  const { network, watcher } = await stage();
  await using _ = watcher;
  network.setGatewayMac(4, MAC);
  network.fail();
  assertEquals(await watcher.neighbour(4), "unknown");
});

Deno.test("neighbour() refuses what is no family, and a watcher that is closed", async () => {
  const { watcher } = await stage();
  const error = await assertRejects(() => watcher.neighbour(5 as 4), TypeError);
  assertEquals(error.message, "Cannot tell of the gateway: family must be 4 or 6, got 5");
  await watcher.close();
  const closed = await assertRejects(() => watcher.neighbour(4), HoldfastError);
  assertEquals([closed.code, closed.message], [
    "closed",
    "Cannot tell of the gateway: the watcher was closed",
  ]);
});

Deno.test("a gateway that Windows cannot reach is unresolved; without a neighbour table nobody knows", () => {
  const gateway = parseIp("192.168.1.1");
  assert(gateway);
  const none = { route: null, routes: null, neighbours: null };
  const of = (neighbours: Uint8Array | null, one = adapter()): string => {
    const route = {
      row: buildRoute({ index: 7, nextHop: gateway, metric: 0 }),
      source: foreignAddress(),
    };
    const windows = new FakeWindows({
      tables: () => ({
        adapters: buildAdapters([one]),
        links: null,
        v4: { route, routes: null, neighbours },
        v6: none,
      }),
    });
    return neighbourOf(readWindows(windows), 4);
  };
  const row = { index: 7, address: gateway, mac: Uint8Array.of(2, 0, 0, 0, 1, 1) };
  assertEquals([0, 1, 2, 3, 4, 5, 6].map((state) => of(buildNeighbourTable([{ ...row, state }]))), [
    "unresolved",
    "unresolved",
    ...Array<string>(5).fill("resolved"),
  ]);
  assertEquals(of(null), "unknown");
  assertEquals(of(buildNeighbourTable([]), adapter({ type: 53, mac: new Uint8Array() })), "unknown");
});

Deno.test("a gateway of macOS is unresolved while its entry is incomplete, or rejected for silence", () => {
  const of = (flags: number, mac: readonly number[]): string => {
    const entry = { index: 6, flags, destination: "192.168.1.1", gateway: mac };
    const fake = new FakeMac({ ...HOME, neighbours: [entry] });
    using reader = sysctlReader(() => fake.system());
    return neighbourOf(reader.read() as Reading, 4);
  };
  assertEquals(of(0x20405, ROUTER_MAC), "resolved");
  assertEquals(of(0x20405, []), "unresolved");
  assertEquals(of(0x2040d, ROUTER_MAC), "unresolved");
  const route = { interface: "en0", index: 6, metric: null, source: null, gateway: "192.168.1.1" };
  const netstat = (mac: string, flags: string) => parseGatewayMac(`192.168.1.1 ${mac} ${flags} en0`, route);
  assertEquals(netstat("2:0:0:0:1:1", "UHLWIir"), MAC);
  assertEquals([netstat("(incomplete)", "UHLWIir"), netstat("2:0:0:0:1:1", "UHLRW")], [null, null]);
});

/** What a watcher says of the gateway, against the kernel's own entry. */

import { type BackendName, watchNetwork } from "@holdfast/net/watch";
import { assertEquals } from "@std/assert";
import { requires } from "../_require.ts";
import { ip, Network } from "./_network.ts";

const GATEWAYS = { 4: "10.0.0.1", 6: "fe80::1" } as const;

/** The states of neigh(7), and what each says. */
const STATES = {
  permanent: "resolved",
  reachable: "resolved",
  stale: "resolved",
  delay: "resolved",
  probe: "resolved",
  incomplete: "unresolved",
  failed: "unresolved",
} as const;

for (const backend of ["netlink", "ip-monitor", "poll"] as const satisfies readonly BackendName[]) {
  Deno.test({
    name: `${backend}: neighbour() tells the state of the kernel's own entry`,
    ...requires({ root: true, netns: true, tools: ["ip"] }),
    async fn() {
      await using network = await Network.make();
      await network.plug("v0", "far0");
      await ip(
        "link set v0 up",
        "address add 10.0.0.2/24 dev v0",
        "address add 2001:db8::2/64 dev v0 nodad",
        "route add default via 10.0.0.1",
        "route add default via fe80::1 dev v0",
      );
      await using watcher = await watchNetwork({ backend, pollInterval: 60_000 });
      for (const family of [4, 6] as const) {
        const gateway = GATEWAYS[family];
        assertEquals(await watcher.neighbour(family), "unresolved", `IPv${family}, never asked for`);
        for (const [state, told] of Object.entries(STATES)) {
          await ip(`neighbour replace ${gateway} lladdr 02:00:00:00:00:01 dev v0 nud ${state}`);
          assertEquals(await watcher.neighbour(family), told, `IPv${family}, ${state}`);
        }
        await ip(`neighbour replace ${gateway} lladdr 02:00:00:00:00:01 dev v0 nud permanent`);
      }
      await ip("link set v0 arp off", "neighbour flush dev v0 nud permanent");
      assertEquals(await watcher.neighbour(4), "unknown", "an interface that resolves nothing");
    },
  });
}

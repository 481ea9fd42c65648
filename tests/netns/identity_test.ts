/** Another network that uses the same addresses, told by the gateway's hardware address. */

import { assertEquals, assertRejects } from "@std/assert";
import { describe } from "./_describe.ts";
import { gatewayIs, isOffline, isOnline, type Lab, majorOf, path4, registerFor } from "./_lab.ts";
import { ip } from "./_network.ts";

const ONE = "02:00:00:00:00:01";
const TWO = "02:00:00:00:00:02";
const THREE = "02:00:00:00:00:03";

/** Whether the watcher has just told of another network. */
function another({ observer }: Lab): () => boolean {
  const before = observer.events.length;
  return () => observer.events.slice(before).some(({ type }) => type === "identitychange");
}

/** Says something to the gateway, which nobody there listens to, so that its hardware address is looked for. */
async function speak(): Promise<void> {
  await assertRejects(() => Deno.connect({ hostname: "10.0.0.1", port: 9 }), Deno.errors.ConnectionRefused);
}

/** Makes a network in the namespace `far`: a bridge, and a gateway at it. */
async function addNetwork({ network, far }: Lab, bridge: string, mac: string): Promise<void> {
  const gateway = await network.namespace(`gw-${bridge}`);
  await far(
    `link add ${bridge} type bridge`,
    `link set ${bridge} up`,
    `link add ${bridge}p type veth peer name eth0 netns gw-${bridge}`,
    `link set ${bridge}p master ${bridge} up`,
  );
  await gateway(
    `link set eth0 address ${mac} addrgenmode none`,
    "link set eth0 up",
    "address add 10.0.0.1/24 dev eth0",
  );
}

for (const backend of ["netlink", "ip-monitor", "poll"] as const) {
  const test = registerFor(backend);

  test("the same gateway address on other hardware is another network", async (lab) => {
    const { step, quietly, observer } = lab;
    const neighbour = (mac: string, gateway = "10.0.0.1") =>
      ip(`neighbour replace ${gateway} lladdr ${mac} dev v0 nud permanent`);
    await path4(lab);
    await quietly("the hardware address becomes known", async () => {
      await neighbour(ONE);
      await observer.watcher.refresh();
    });
    const moved = await step("other hardware", () => neighbour(TWO), another(lab), [
      `identitychange 4 ${ONE} -> ${TWO}`,
    ]);
    assertEquals(majorOf(moved), {
      major: "advised",
      reasons: `another IPv4 network: gateway 10.0.0.1 is now ${TWO}`,
    });
    await quietly("a neighbour that is no gateway", () => neighbour(THREE, "10.0.0.77"));
    await quietly("the same hardware, forgotten and found again", async () => {
      await ip("neighbour delete 10.0.0.1 dev v0");
      await observer.watcher.refresh();
      await neighbour(TWO);
      await observer.watcher.refresh();
    });
    await step(
      "an IPv6 path",
      () => ip("address add 2001:db8::2/64 dev v0 nodad", "route add default via fe80::1 dev v0"),
      gatewayIs("fe80::1", 6),
      [
        "addressadd v0 2001:db8::2/64",
        "gatewaychange 6 none -> fe80::1@v0",
        "defaultinterfacechange 6 none -> v0",
        "online 6",
      ],
    );
    await quietly("its gateway's hardware address becomes known", async () => {
      await neighbour(ONE, "fe80::1");
      await observer.watcher.refresh();
    });
    await step("other IPv6 hardware", () => neighbour(THREE, "fe80::1"), another(lab), [
      `identitychange 6 ${ONE} -> ${THREE}`,
    ]);
  });

  test(
    "roaming to a network with the same addresses is told, and coming back to the same one is not",
    async (lab) => {
      const { far, observer, step } = lab;
      await addNetwork(lab, "lan1", ONE);
      await addNetwork(lab, "lan2", TWO);
      const roam = async (bridge: string): Promise<void> => {
        await far("link set far0 down");
        await observer.until("offline", () => isOffline(4)(observer.watcher.state));
        await far(`link set far0 master ${bridge}`, "link set far0 up");
        await observer.until("online", () => isOnline(4)(observer.watcher.state));
        await speak();
      };
      await far("link set far0 master lan1");
      await path4(lab);
      await speak();
      await observer.watcher.refresh();

      let mtu = 1500;
      const stay = async (bridge: string): Promise<void> => {
        mtu -= 1;
        const batch = await step(
          "back to the same network, and a sentinel",
          async () => {
            await roam(bridge);
            await ip(`link set v0 mtu ${mtu}`);
          },
          ({ interfaces }) => interfaces.some((iface) => iface.name === "v0" && iface.mtu === mtu),
          [`interfacechange v0 mtu=${mtu}`],
        );
        assertEquals(batch.events.map(describe), [
          "interfacechange v0 running=false",
          "offline 4",
          "interfacechange v0 running=true",
          "online 4",
          `interfacechange v0 mtu=${mtu}`,
        ]);
      };
      await stay("lan1");
      const moved = await step("another network", () => roam("lan2"), another(lab), [
        `identitychange 4 ${ONE} -> ${TWO}`,
      ]);
      assertEquals(majorOf(moved).major, "advised");
      await stay("lan2");
    },
    // The kernel tells of carrier at most once a second; here its loss is to be no change by itself.
    { grace: { settled: 10_000 } },
  );
}

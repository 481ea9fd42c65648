/** What every backend must tell of interfaces. */

import type { NetworkState } from "@holdfast/net/watch";
import { assert, assertEquals } from "@std/assert";
import { assertAgreement } from "./_agreement.ts";
import { describe, interfaceOf } from "./_describe.ts";
import { ip } from "./_network.ts";
import { goesBy, has, isOffline, isOnline, majorOf, path4, type Register } from "./_lab.ts";

/** Registers the part of the suite that is about links. */
export function aboutLinks(test: Register): void {
  test(
    "an interface that is switched off takes its IPv4 path along at once, and does not bring it back by itself",
    async (lab) => {
      await path4(lab);
      const off = await lab.step("off", () => ip("link set v0 down"), isOffline(4), [
        "interfacechange v0 up=false running=false",
        "gatewaychange 4 10.0.0.1@v0 -> none",
        "defaultinterfacechange 4 v0 -> none",
        "offline 4",
      ]);
      assertEquals(majorOf(off), { major: "required", reasons: "interface v0 is switched off" });
      await lab.step("on", () => ip("link set v0 up"), (s) => interfaceOf(s, "v0")?.running === true, [
        "interfacechange v0 up=true running=true",
      ]);
      const route = () => ip("route add default via 10.0.0.1");
      const back = await lab.step("the route again", route, isOnline(4), [
        "gatewaychange 4 none -> 10.0.0.1@v0",
        "defaultinterfacechange 4 none -> v0",
        "online 4",
      ]);
      assertEquals(majorOf(back), { major: "none", reasons: "" });
    },
    // So long a grace would be noticed, were it given to what the administrator does.
    { grace: { settled: 60_000 } },
  );

  test("lost carrier is told at once, and settles as a loss when it is not back within a second", async (lab) => {
    await path4(lab);
    const { observer, far } = lab;
    const times: Record<string, number> = {};
    observer.watcher.on("offline", () => times["single"] = performance.now());
    observer.watcher.on("change", () => times["settled"] = performance.now());
    const lost = await lab.step("carrier lost", () => far("link set far0 down"), isOffline(4), [
      "interfacechange v0 running=false",
      "offline 4",
    ]);
    assertEquals(lost.changes.length, 1);
    assertEquals(majorOf(lost), { major: "required", reasons: "interface v0 is without carrier" });
    const waited = (times["settled"] ?? 0) - (times["single"] ?? 0);
    assert(
      waited >= 999,
      `the settled loss came ${waited} ms after the single one, before the grace was over`,
    );
    await lab.step("carrier back", () => far("link set far0 up"), isOnline(4), [
      "interfacechange v0 running=true",
      "online 4",
    ]);
  });

  test(
    "carrier that comes back within the grace leaves no settled change",
    async (lab) => {
      await path4(lab);
      const { observer, far } = lab;
      const settled = observer.changes.length;
      const told = observer.events.length;
      await far("link set far0 down");
      await observer.until("offline", () => isOffline(4)(observer.watcher.state));
      await far("link set far0 up");
      await observer.until("online", () => isOnline(4)(observer.watcher.state));
      assertEquals(observer.events.slice(told).map(describe), [
        "interfacechange v0 running=false",
        "offline 4",
        "interfacechange v0 running=true",
        "online 4",
      ]);
      const mtu = () => ip("link set v0 mtu 1400");
      const after = await lab.step("a sentinel", mtu, (s) => interfaceOf(s, "v0")?.mtu === 1400, [
        "interfacechange v0 mtu=1400",
      ]);
      assertEquals(observer.changes.slice(settled), after.changes);
    },
    // The kernel tells of carrier at most once a second, so the usual grace is too close.
    { grace: { settled: 10_000 } },
  );

  test("a renamed interface keeps its addresses and its path", async (lab) => {
    const { step } = lab;
    await path4(lab);
    const batch = await step("a rename", () => ip("link set v0 name wan0"), goesBy("wan0"), [
      'interfacechange wan0 name="wan0"',
    ]);
    assertEquals(majorOf(batch), { major: "none", reasons: "" });
    await step("an address", () => ip("address add 10.0.5.2/24 dev wan0"), has("wan0", "10.0.5.2"), [
      "addressadd wan0 10.0.5.2/24",
    ]);
  });

  test("an interface that is moved to another namespace is gone with all it had", async (lab) => {
    const { step } = lab;
    await path4(lab);
    const away = () => ip("link set v0 netns far");
    const batch = await step("the move", away, (s) => interfaceOf(s, "v0") === undefined, [
      "addressremove v0 10.0.0.2/24",
      "interfaceremove v0",
      "gatewaychange 4 10.0.0.1@v0 -> none",
      "defaultinterfacechange 4 v0 -> none",
      "offline 4",
    ]);
    assertEquals(majorOf(batch), { major: "required", reasons: "interface v0 is gone" });
  });

  test("containers that come and go raise no event of an address, the path or being online", async (lab) => {
    const { network, observer, step } = lab;
    await path4(lab);
    const box = await network.namespace("box");
    const first = observer.events.length;
    await step(
      "a bridge",
      () =>
        ip("link add docker0 type bridge", "address add 172.17.0.1/16 dev docker0", "link set docker0 up"),
      (s) => has("docker0", "172.17.0.1")(s) && interfaceOf(s, "docker0")?.up === true,
      ["interfaceadd docker0"],
    );
    for (const n of [1, 2, 3]) {
      const started = await observer.step(
        "a container starts",
        async () => {
          await ip(
            `link add vethc${n} type veth peer name eth${n}`,
            `link set vethc${n} master docker0`,
            `link set vethc${n} up`,
            `link set eth${n} netns box`,
          );
          await box(
            `link set eth${n} up`,
            `address add 172.17.0.${n + 1}/16 dev eth${n}`,
          );
        },
        (s) => interfaceOf(s, `vethc${n}`)?.running === true && interfaceOf(s, "docker0")?.running === true,
      );
      assert(started.net.includes(`interfaceadd vethc${n}`));
      await assertAgreement(observer);
      const gone = (s: NetworkState): boolean => interfaceOf(s, `vethc${n}`) === undefined;
      const ended = await observer.step("and ends", () => ip(`link delete vethc${n}`), gone);
      assert(ended.net.includes(`interfaceremove vethc${n}`));
      assertEquals(majorOf(ended), { major: "none", reasons: "" });
      await assertAgreement(observer);
    }
    await observer.step("no bridge", () => ip("link delete docker0"), (s) => !interfaceOf(s, "docker0"));
    const kinds = new Set(observer.events.slice(first).map(({ type }) => type));
    assertEquals([...kinds].sort(), ["interfaceadd", "interfacechange", "interfaceremove"]);
  });
}

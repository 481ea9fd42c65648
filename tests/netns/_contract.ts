/** What every backend must do: one suite, run on the real kernel in a namespace of its own. */

import {
  type BackendName,
  HoldfastError,
  isUsableAddress,
  type NetworkState,
  type WatchOptions,
} from "@holdfast/net/watch";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { requires } from "../_require.ts";
import { assertAgreement } from "./_agreement.ts";
import { addressOf, type Batch, describe, interfaceOf, ip, ip6, Network, Observer } from "./_network.ts";

/** What a test works with: an interface `v0`, cabled to `far0` in the namespace `far`, and who watches. */
interface Lab {
  readonly network: Network;
  readonly observer: Observer;
  /** Runs commands of `ip` at the far end. */
  readonly far: (...commands: readonly string[]) => Promise<void>;
  /** {@linkcode Observer.step}, and a comparison of the result with the kernel's own view. */
  step(
    what: string,
    act: () => Promise<void>,
    reached: (state: NetworkState) => boolean,
    net: readonly string[],
  ): Promise<Batch>;
  /** {@linkcode Observer.quietly}, and the same comparison. */
  quietly(what: string, act: () => Promise<void>): Promise<void>;
}

/** Runs a function in a lab whose interface is plugged in, and switched off. */
async function inLab(options: WatchOptions, work: (lab: Lab) => Promise<void>): Promise<void> {
  await using network = await Network.make();
  await using observer = await Observer.open(options);
  const far = await network.plug("v0", "far0");
  await work({
    network,
    observer,
    far,
    async step(what, act, reached, net) {
      const batch = await observer.step(what, act, reached);
      assertEquals(batch.net, net, what);
      await assertAgreement(observer);
      return batch;
    },
    async quietly(what, act) {
      await observer.quietly(what, act);
      await assertAgreement(observer);
    },
  });
}

const isOnline = (family: 4 | 6) => ({ families }: NetworkState): boolean => families.includes(family);
const isOffline = (family: 4 | 6) => ({ families }: NetworkState): boolean => !families.includes(family);
const gatewayIs = (gateway: string | null, family: 4 | 6 = 4) => ({ defaultRoute }: NetworkState): boolean =>
  ((family === 4 ? defaultRoute.v4 : defaultRoute.v6)?.gateway ?? null) === gateway;
const goesBy = (name: string, family: 4 | 6 = 4) => ({ defaultRoute }: NetworkState): boolean =>
  (family === 4 ? defaultRoute.v4 : defaultRoute.v6)?.interface === name;
const has = (name: string, address: string) => (state: NetworkState): boolean =>
  addressOf(state, name, address) !== undefined;

/** Gives `v0` a path to the public network. */
async function path4({ step }: Lab): Promise<void> {
  await step(
    "an IPv4 path",
    () => ip("link set v0 up", "address add 10.0.0.2/24 dev v0", "route add default via 10.0.0.1"),
    isOnline(4),
    [
      "interfaceadd v0",
      "addressadd v0 10.0.0.2/24",
      "gatewaychange 4 none -> 10.0.0.1@v0",
      "defaultinterfacechange 4 none -> v0",
      "online 4",
    ],
  );
}

/** Adds a second interface, `w0`, with an address and no default route. */
async function second({ network, step }: Lab): Promise<void> {
  await network.plug("w0", "far1");
  await step(
    "a second interface",
    () => ip("link set w0 up", "address add 10.0.1.2/24 dev w0"),
    (state) => interfaceOf(state, "w0")?.running === true && has("w0", "10.0.1.2")(state),
    ["interfaceadd w0", "addressadd w0 10.0.1.2/24"],
  );
}

function majorOf({ changes }: Batch): { major: string; reasons: string } {
  const rank = { none: 0, advised: 1, required: 2 };
  const [worst] = changes.toSorted((a, b) => rank[b.major] - rank[a.major]);
  return { major: worst?.major ?? "none", reasons: worst?.reasons.join("; ") ?? "" };
}

/**
 * Registers the suite.
 *
 * @param backend The backend that it is run for.
 */
export function contract(backend: BackendName): void {
  const test = (
    name: string,
    work: (lab: Lab) => Promise<void>,
    options: WatchOptions = {},
  ): void =>
    Deno.test({
      name: `${backend}: ${name}`,
      ...requires({ netns: true, tools: ["ip"] }),
      // Half the usual quiet time, as there are some hundred and fifty changes to wait for.
      fn: () => inLab({ backend, pollInterval: 100, quiet: 75, ...options }, work),
    });

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

  test("IPv4 addresses that come, go, and replace each other are told", async (lab) => {
    const { step, quietly } = lab;
    await path4(lab);
    await step("another", () => ip("address add 10.0.5.2/24 dev v0"), has("v0", "10.0.5.2"), [
      "addressadd v0 10.0.5.2/24",
    ]);
    const remove = () => ip("address delete 10.0.5.2/24 dev v0");
    await step("its end", remove, (s) => !has("v0", "10.0.5.2")(s), ["addressremove v0 10.0.5.2/24"]);
    await quietly("the same again", () => ip("address replace 10.0.0.2/24 dev v0"));
    await quietly(
      "other lifetimes",
      () => ip("address change 10.0.0.2/24 dev v0 valid_lft 1000 preferred_lft 500"),
    );
    const replace = () =>
      ip(
        "address delete 10.0.0.2/24 dev v0",
        "address add 10.0.0.9/24 dev v0",
        "route add default via 10.0.0.1",
      );
    const replaced = (s: NetworkState): boolean => has("v0", "10.0.0.9")(s) && isOnline(4)(s);
    const other = await step("another in its place", replace, replaced, [
      "addressremove v0 10.0.0.2/24",
      "addressadd v0 10.0.0.9/24",
      "routechange 4 metric 0 source 10.0.0.2 -> metric 0 source 10.0.0.9",
    ]);
    assertEquals(majorOf(other), { major: "required", reasons: "source address 10.0.0.2 is gone from v0" });
    const widen = () => ip("address add 10.0.0.9/16 dev v0", "address delete 10.0.0.9/24 dev v0");
    const wide = (s: NetworkState): boolean =>
      interfaceOf(s, "v0")?.addresses.map(({ prefix }) => prefix).join() === "16";
    await step("another prefix", widen, wide, ["addressremove v0 10.0.0.9/24", "addressadd v0 10.0.0.9/16"]);
  });

  test("IPv6 addresses that come, grow old and go are told, and their lifetimes are not", async (lab) => {
    const { step, quietly } = lab;
    const address = "2001:db8::2";
    const up = () =>
      ip(
        "link set v0 up",
        `address add ${address}/64 dev v0 nodad`,
        "route add default via 2001:db8::1 dev v0",
      );
    await step("an IPv6 path", up, isOnline(6), [
      "interfaceadd v0",
      `addressadd v0 ${address}/64`,
      "gatewaychange 6 none -> 2001:db8::1@v0",
      "defaultinterfacechange 6 none -> v0",
      "online 6",
    ]);
    const change = `address change ${address}/64 dev v0`;
    await quietly("lifetimes", () => ip(`${change} valid_lft 1000 preferred_lft 500`));
    await quietly("lifetimes again", () => ip(`${change} valid_lft 1000 preferred_lft 500`));
    const old = (s: NetworkState): boolean => addressOf(s, "v0", address)?.deprecated === true;
    await step("old age", () => ip(`${change} valid_lft 1000 preferred_lft 0`), old, [
      `addresschange v0 ${address}/64 deprecated=true`,
    ]);
    await step("its end", () => ip(`address delete ${address}/64 dev v0`), isOffline(6), [
      `addressremove v0 ${address}/64 deprecated`,
      // The route stays, and the kernel has no other address to send from.
      "routechange 6 metric 1024 source 2001:db8::2 -> metric 1024 source ::1",
      "offline 6",
    ]);
  });

  test("an IPv6 address is not usable, and online() waits, until duplicate detection is over", async (lab) => {
    const { observer: { watcher, events }, observer, step } = lab;
    const told: string[] = [];
    watcher.subscribe((event) => void told.push(describe(event as (typeof events)[number])));
    const begin = () =>
      ip(
        "link set v0 up",
        "address add fe80::2/64 dev v0 nodad",
        "route add default via fe80::1 dev v0",
      );
    await step("a link-local address", begin, gatewayIs("fe80::1", 6), [
      "interfaceadd v0",
      "addressadd v0 fe80::2/64",
      "gatewaychange 6 none -> fe80::1@v0",
      "defaultinterfacechange 6 none -> v0",
    ]);
    let seen: NetworkState | undefined;
    const online = watcher.online({ family: 6 }).then(() => {
      seen = watcher.state;
      told.push("resolved");
    });
    const address = "2001:db8::2";
    await step("an address", () => ip(`address add ${address}/64 dev v0`), isOnline(6), [
      `addressadd v0 ${address}/64`,
      "routechange 6 metric 1024 source fe80::2 -> metric 1024 source 2001:db8::2",
      "online 6",
    ]);
    await online;
    const single = told.filter((line) => /2001|online|resolved/.test(line));
    assertEquals(single, [
      `addressadd v0 ${address}/64 tentative`,
      `addresschange v0 ${address}/64 tentative=false`,
      "routechange 6 metric 1024 source fe80::2 -> metric 1024 source 2001:db8::2",
      "online 6",
      "resolved",
    ]);
    const found = seen && addressOf(seen, "v0", address);
    assert(found && isUsableAddress(found), "the address was usable when online() resolved");
    await observer.watcher.online({ family: 6, signal: AbortSignal.timeout(1000) });
  });

  test("an IPv6 address that another has is a conflict, and never usable", async (lab) => {
    const { far, observer, step } = lab;
    const address = "2001:db8::5";
    await far(`address add ${address}/64 dev far0 nodad`);
    const up = () => ip("link set v0 up", "route add ::/0 dev v0");
    await step("a default route", up, goesBy("v0", 6), [
      "interfaceadd v0",
      "gatewaychange 6 none -> link@v0",
      "defaultinterfacechange 6 none -> v0",
    ]);
    const taken = (s: NetworkState): boolean => addressOf(s, "v0", address)?.conflict === true;
    const batch = await step("the same address", () => ip(`address add ${address}/64 dev v0`), taken, [
      `addressadd v0 ${address}/64 tentative conflict`,
      `addressconflict v0 ${address}`,
    ]);
    assertEquals(batch.events.filter(({ type }) => type === "addressconflict").length, 1);
    assertEquals(observer.events.filter(({ type }) => type === "online"), []);
    await step("its end", () => ip(`address delete ${address}/64 dev v0`), (s) => !has("v0", address)(s), [
      `addressremove v0 ${address}/64 tentative conflict`,
    ]);
  });

  test("another gateway is told, though the kernel never announces the end of the old one", async (lab) => {
    const { step } = lab;
    await path4(lab);
    const replace = () => ip("route replace default via 10.0.0.254");
    const batch = await step("another gateway", replace, gatewayIs("10.0.0.254"), [
      "gatewaychange 4 10.0.0.1@v0 -> 10.0.0.254@v0",
    ]);
    assertEquals(majorOf(batch), {
      major: "advised",
      reasons: "IPv4 gateway is now 10.0.0.254 instead of 10.0.0.1",
    });
    const six = () =>
      ip("address add 2001:db8::2/64 dev v0 nodad", "route add default via 2001:db8::1 dev v0");
    await step("IPv6 too", six, isOnline(6), [
      "addressadd v0 2001:db8::2/64",
      "gatewaychange 6 none -> 2001:db8::1@v0",
      "defaultinterfacechange 6 none -> v0",
      "online 6",
    ]);
    const replaceSix = () => ip("route replace default via 2001:db8::ff dev v0");
    await step("another IPv6 gateway", replaceSix, gatewayIs("2001:db8::ff", 6), [
      "gatewaychange 6 2001:db8::1@v0 -> 2001:db8::ff@v0",
    ]);
  });

  test("of two default routes the lower metric wins, and its end moves the path back", async (lab) => {
    const { step, quietly } = lab;
    await path4(lab);
    await second(lab);
    const change = () => ip("route add default via 10.0.0.1 metric 100", "route delete default metric 0");
    const metric = ({ defaultRoute: { v4 } }: NetworkState): boolean => v4?.metric === 100;
    await step("a metric", change, metric, [
      "routechange 4 metric 0 source 10.0.0.2 -> metric 100 source 10.0.0.2",
    ]);
    await quietly("a worse route", () => ip("route add default via 10.0.1.1 metric 200"));
    const add = () => ip("route add default via 10.0.1.1 metric 50");
    const better = await step("a better route", add, goesBy("w0"), [
      "gatewaychange 4 10.0.0.1@v0 -> 10.0.1.1@w0",
      "defaultinterfacechange 4 v0 -> w0",
    ]);
    assertEquals(majorOf(better), { major: "advised", reasons: "IPv4 now goes by w0 instead of v0" });
    const remove = () => ip("route delete default metric 50");
    const back = await step("its end", remove, goesBy("v0"), [
      "gatewaychange 4 10.0.1.1@w0 -> 10.0.0.1@v0",
      "defaultinterfacechange 4 w0 -> v0",
    ]);
    assertEquals(majorOf(back), { major: "advised", reasons: "IPv4 now goes by v0 instead of w0" });
    const off = await step("the winner off", () => ip("link set v0 down"), goesBy("w0"), [
      "interfacechange v0 up=false running=false",
      "gatewaychange 4 10.0.0.1@v0 -> 10.0.1.1@w0",
      "defaultinterfacechange 4 v0 -> w0",
    ]);
    assertEquals(majorOf(off), { major: "required", reasons: "interface v0 is switched off" });
  });

  test("a policy rule moves the path to another table's default route, and back", async (lab) => {
    const { step, quietly } = lab;
    await path4(lab);
    await second(lab);
    await quietly("a table that no rule names", () => ip("route add default via 10.0.1.1 table 100"));
    const toVpn = ["gatewaychange 4 10.0.0.1@v0 -> 10.0.1.1@w0", "defaultinterfacechange 4 v0 -> w0"];
    const back = ["gatewaychange 4 10.0.1.1@w0 -> 10.0.0.1@v0", "defaultinterfacechange 4 w0 -> v0"];
    await step("the rule", () => ip("rule add priority 50 lookup 100"), goesBy("w0"), toVpn);
    await step("no rule", () => ip("rule delete priority 50"), goesBy("v0"), back);
    const six = () =>
      ip(
        "address add 2001:db8::2/64 dev v0 nodad",
        "address add 2001:db8:1::2/64 dev w0 nodad",
        "route add default via 2001:db8::1 dev v0",
        "route add default via 2001:db8:1::1 dev w0 table 100",
      );
    await step("IPv6 too", six, isOnline(6), [
      "addressadd v0 2001:db8::2/64",
      "addressadd w0 2001:db8:1::2/64",
      "gatewaychange 6 none -> 2001:db8::1@v0",
      "defaultinterfacechange 6 none -> v0",
      "online 6",
    ]);
    await step("the IPv6 rule", () => ip6("rule add priority 50 lookup 100"), goesBy("w0", 6), [
      "gatewaychange 6 2001:db8::1@v0 -> 2001:db8:1::1@w0",
      "defaultinterfacechange 6 v0 -> w0",
    ]);
    await step("no IPv6 rule", () => ip6("rule delete priority 50"), goesBy("v0", 6), [
      "gatewaychange 6 2001:db8:1::1@w0 -> 2001:db8::1@v0",
      "defaultinterfacechange 6 w0 -> v0",
    ]);
  });

  test("two halves of the address space that hide the default route are the path", async (lab) => {
    const { step } = lab;
    await path4(lab);
    await second(lab);
    const halves = ["0.0.0.0/1", "128.0.0.0/1"];
    const add = () => ip(...halves.map((half) => `route add ${half} via 10.0.1.1`));
    await step("the halves", add, goesBy("w0"), [
      "gatewaychange 4 10.0.0.1@v0 -> 10.0.1.1@w0",
      "defaultinterfacechange 4 v0 -> w0",
    ]);
    const remove = () => ip(...halves.map((half) => `route delete ${half}`));
    await step("their end", remove, goesBy("v0"), [
      "gatewaychange 4 10.0.1.1@w0 -> 10.0.0.1@v0",
      "defaultinterfacechange 4 w0 -> v0",
    ]);
  });

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

  test("online() resolves at once, gives up with the signal, and ends with the watcher", async (lab) => {
    const { watcher } = lab.observer;
    const reason = new Error("no more time");
    const controller = new AbortController();
    const aborted = assertRejects(() => watcher.online({ signal: controller.signal }));
    const late = watcher.online({ family: 4 });
    controller.abort(reason);
    assert(await aborted === reason);
    assert(await assertRejects(() => watcher.online({ signal: controller.signal })) === reason);
    await path4(lab);
    await Promise.all([late, watcher.online(), watcher.online({ family: 4 })]);
    const never = assertRejects(() => watcher.online({ family: 6 }), HoldfastError, "the watcher was closed");
    await watcher.close();
    assertEquals((await never).code, "closed");
    await assertRejects(() => watcher.online({ family: 6 }), HoldfastError, "the watcher was closed");
  });
}

/** What every backend must tell of addresses. */

import { HoldfastError, isUsableAddress, type NetworkState } from "@holdfast/net/watch";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { addressOf, describe, interfaceOf } from "./_describe.ts";
import { ip } from "./_network.ts";
import { gatewayIs, goesBy, has, isOffline, isOnline, majorOf, path4, type Register } from "./_lab.ts";

/** Registers the part of the suite that is about addresses. */
export function aboutAddresses(test: Register): void {
  test("IPv4 addresses that come, go, and replace each other are told", async (lab) => {
    const { step, quietly } = lab;
    await path4(lab);
    await step("another", () => ip("address add 10.0.5.2/24 dev v0"), has("v0", "10.0.5.2"), [
      "addressadd v0 10.0.5.2/24",
    ]);
    const remove = () => ip("address delete 10.0.5.2/24 dev v0");
    await step("its end", remove, (s) => !has("v0", "10.0.5.2")(s), ["addressremove v0 10.0.5.2/24"]);
    // No route but the local one comes and goes with such an address, so that nothing else speaks of it.
    await step("a single address", () => ip("address add 10.0.6.2/32 dev v0"), has("v0", "10.0.6.2"), [
      "addressadd v0 10.0.6.2/32",
    ]);
    const single = () => ip("address delete 10.0.6.2/32 dev v0");
    await step("its end", single, (s) => !has("v0", "10.0.6.2")(s), ["addressremove v0 10.0.6.2/32"]);
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

  test("IPv6 addresses that come, replace each other, grow old and go are told, and their lifetimes are not", async (lab) => {
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
    const renumber = (from: string, to: string) => () =>
      ip(`address add ${to}/64 dev v0 nodad`, `address delete ${from}/64 dev v0`);
    const other = "2001:db8::3";
    const renumbered = await step("another", renumber(address, other), (s) => !has("v0", address)(s), [
      `addressremove v0 ${address}/64`,
      `addressadd v0 ${other}/64`,
      `routechange 6 metric 1024 source ${address} -> metric 1024 source ${other}`,
    ]);
    assertEquals(majorOf(renumbered), {
      major: "required",
      reasons: `source address ${address} is gone from v0`,
    });
    await step("and back", renumber(other, address), (s) => !has("v0", other)(s), [
      `addressremove v0 ${other}/64`,
      `addressadd v0 ${address}/64`,
      `routechange 6 metric 1024 source ${other} -> metric 1024 source ${address}`,
    ]);
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
    const waiting = { family: 6, signal: AbortSignal.timeout(10_000) } as const;
    const never = assertRejects(() => watcher.online(waiting), HoldfastError, "the watcher was closed");
    await watcher.close();
    assertEquals((await never).code, "closed");
    await assertRejects(() => watcher.online(waiting), HoldfastError, "the watcher was closed");
  });
}

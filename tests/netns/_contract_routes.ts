/** What every backend must tell of the path to the public network. */

import type { NetworkState } from "@holdfast/net/watch";
import { assertEquals } from "@std/assert";
import { ip, ip6 } from "./_network.ts";
import { gatewayIs, goesBy, isOnline, majorOf, path4, type Register, second } from "./_lab.ts";

/** Registers the part of the suite that is about routes. */
export function aboutRoutes(test: Register): void {
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
}

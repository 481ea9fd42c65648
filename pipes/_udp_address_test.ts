import { assertEquals } from "@std/assert";
import { viewState } from "../tests/_view.ts";
import { canonical, chooseAddress, endKey, isMulticast, needsZone, udpAddress } from "./_udp_address.ts";
import { groupAddress } from "./_udp_group.ts";

Deno.test("an end is the same in every spelling, and with a zone that only one side knows", () => {
  const key = (hostname: string): string => endKey(udpAddress(canonical(hostname), 9));
  assertEquals(key("fe80:0::0005%eth0"), key("FE80::5"));
  assertEquals(key("::ffff:192.0.2.1"), key("::FFFF:c000:201"));
  assertEquals(key("192.0.2.1") === key("192.0.2.2"), false);
  assertEquals(canonical("FE80:0::1%eth0"), "fe80::1%eth0");
});

Deno.test("groups are known, and which addresses mean nothing without an interface", () => {
  const groups = ["224.0.0.1", "239.255.255.255", "ff02::fb", "ff0e::1", "ff02::fb%eth0"];
  assertEquals(groups.map(isMulticast), Array(5).fill(true));
  assertEquals(["223.255.255.255", "240.0.0.1", "fe80::1", "255.255.255.255", "name"].map(isMulticast), [
    ...Array(5).fill(false),
  ]);
  assertEquals(["fe80::1", "febf::1", "ff02::fb", "ff01::1", "ff12::1"].map(needsZone), Array(5).fill(true));
  assertEquals(["fd00::1", "ff05::2", "2001:db8::1", "224.0.0.251", "127.0.0.1"].map(needsZone), [
    ...Array(5).fill(false),
  ]);
});

Deno.test({
  name: "who hears a group is bound to it, where that is possible",
  ignore: Deno.build.os === "windows",
  fn() {
    const groups = ["239.1.2.3", "ff05::2", "ff02::fb%eth0", "ff02::fb"];
    assertEquals(groups.map(groupAddress), ["239.1.2.3", "ff05::2", "ff02::fb%eth0", "::"]);
  },
});

Deno.test("of a name's addresses the one whose family has a way out is taken, IPv4 where both have", () => {
  const both = ["2001:db8::1", "192.0.2.1"];
  const online = (...families: readonly (4 | 6)[]) => ({ ...viewState(null, "10.0.0.7"), families });
  const choose = (...families: readonly (4 | 6)[]) => chooseAddress(both, { state: online(...families) });
  assertEquals([choose(4, 6), choose(4), choose(6), choose()], [
    "192.0.2.1",
    "192.0.2.1",
    "2001:db8::1",
    "192.0.2.1",
  ]);
  assertEquals(chooseAddress(both, { family: 6, state: online(4) }), "2001:db8::1");
  assertEquals(chooseAddress(["192.0.2.1"], { family: 6 }), undefined);
  assertEquals(chooseAddress(["::1", "127.0.0.1"], {}), "127.0.0.1");
});

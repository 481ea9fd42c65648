import { assertEquals } from "@std/assert";
import type { NetworkViewState } from "../internal/network_view.ts";
import { isInReach, isLinkLocal6, isOwnMachine, sortAddresses } from "./_address_sort.ts";

const ADDRESSES = ["1.1.1.1", "2.2.2.2", "3.3.3.3", "::1", "::2"];

Deno.test("sortAddresses() takes the families by turns, the preferred one first", () => {
  assertEquals(sortAddresses(ADDRESSES, { family: 6, known: [] }), [
    "::1",
    "1.1.1.1",
    "::2",
    "2.2.2.2",
    "3.3.3.3",
  ]);
  assertEquals(sortAddresses(ADDRESSES, { family: 4, known: [] }), [
    "1.1.1.1",
    "::1",
    "2.2.2.2",
    "::2",
    "3.3.3.3",
  ]);
  assertEquals(sortAddresses([], { family: 4, known: ["9.9.9.9"] }), []);
});

Deno.test("sortAddresses() goes on with the other family than that of the attempt before", () => {
  const order = { family: 6, known: [] } as const;
  assertEquals(sortAddresses(ADDRESSES, order, 6).slice(0, 2), ["1.1.1.1", "::1"]);
  assertEquals(sortAddresses(ADDRESSES, order, 4).slice(0, 2), ["::1", "1.1.1.1"]);
});

Deno.test("sortAddresses() puts what is known to work first, and only what is there", () => {
  const order = { family: 6, known: ["9.9.9.9", "3.3.3.3", "::2"] } as const;
  assertEquals(sortAddresses(ADDRESSES, order), ["3.3.3.3", "::2", "1.1.1.1", "::1", "2.2.2.2"]);
});

Deno.test("isInReach() is true for families that are online, and for what needs no gateway", () => {
  const state: NetworkViewState = {
    at: 0,
    online: true,
    families: [4],
    interfaces: [{ name: "v0", addresses: [{ address: "2001:db8:1::2", prefix: 64 }] }],
    defaultRoute: { v4: null, v6: null },
  };
  const reach = (address: string): boolean => isInReach(address, state);
  assertEquals(["192.0.2.1", "::1", "fe80::1%v0", "2001:db8:1::99"].map(reach), [true, true, true, true]);
  assertEquals(["2001:db8:2::99", "2600::1"].map(reach), [false, false]);
  assertEquals(isInReach("192.0.2.1", { ...state, families: [] }), false);
});

Deno.test("isOwnMachine() knows the answers of a sinkhole, isLinkLocal6() what needs a zone", () => {
  assertEquals(["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.9.9.9", "::"].map(isOwnMachine), Array(5).fill(true));
  assertEquals(["128.0.0.1", "::1", "10.0.0.1", "x"].map(isOwnMachine), Array(4).fill(false));
  assertEquals(["fe80::1", "FEBF::1", "fec0::1", "2001::1"].map(isLinkLocal6), [true, true, false, false]);
});

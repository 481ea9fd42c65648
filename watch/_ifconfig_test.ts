import { assertEquals, assertThrows } from "@std/assert";
import { HoldfastError } from "../internal/errors.ts";
import { parseIfconfig } from "./_ifconfig.ts";

const HOME = Deno.readTextFileSync(new URL("../tests/fixtures/darwin/ifconfig.txt", import.meta.url));

function one(...lines: string[]): ReturnType<typeof parseIfconfig>[number] | undefined {
  return parseIfconfig(["en0: flags=8863<UP,RUNNING> mtu 1500 index 6", ...lines, ""].join("\n"))[0];
}

Deno.test("interfaces have number, kind, hardware address, size and state", () => {
  const found = parseIfconfig(HOME).map(({ index, name, kind, mac, mtu, up, running, master }) => [
    ...[index, name, kind, mac, mtu],
    ...[up, running, master],
  ]);
  assertEquals(found, [
    [1, "lo0", "loopback", null, 16384, true, true, null],
    [2, "gif0", "tunnel", null, 1280, false, false, null],
    [6, "en0", "wifi", "02:00:00:00:00:06", 1500, true, true, null],
    [7, "en5", "ethernet", "02:00:00:00:00:07", 1500, true, false, null],
    [10, "awdl0", "other", "02:00:00:00:00:0a", 1500, true, true, null],
    [12, "bridge0", "bridge", "02:00:00:00:00:0c", 1500, true, false, null],
    [15, "utun0", "tunnel", null, 1380, true, true, null],
  ]);
});

Deno.test("addresses have prefix, scope, state and lifetimes", () => {
  const en0 = parseIfconfig(HOME).find(({ name }) => name === "en0");
  assertEquals(
    en0?.addresses.map((a) => [
      ...[`${a.address}/${a.prefix}`, a.scope, a.temporary, a.tentative, a.deprecated, a.conflict],
      ...[a.preferredLifetime, a.validLifetime],
    ]),
    [
      ["192.168.1.23/24", "global", false, false, false, false, null, null],
      ["2001:db8:1::2/64", "global", false, false, false, true, null, null],
      ["2001:db8:1::23/64", "global", false, false, false, false, 604_800_000, 2_592_000_000],
      ["2001:db8:1::beef/64", "global", true, false, false, false, 86_400_000, 604_800_000],
      ["2001:db8:1::dead/64", "global", true, false, true, false, 0, 3_600_000],
      ["fe80::ff:fe00:6/64", "link", false, false, false, false, null, null],
    ],
  );
  const utun0 = parseIfconfig(HOME).find(({ name }) => name === "utun0");
  assertEquals(utun0?.addresses.map(({ address, prefix, tentative }) => [address, prefix, tentative]), [
    ["10.8.0.6", 32, false],
    ["fe80::1234", 64, true],
  ]);
});

Deno.test("a detached address, and one with nothing left of its time, are deprecated", () => {
  const addresses = one(
    "\tinet6 2001:db8::1 prefixlen 64 detached autoconf",
    "\tinet6 2001:db8::2 prefixlen 64 autoconf pltime 0 vltime 9",
  )?.addresses;
  assertEquals(addresses?.map(({ deprecated }) => deprecated), [true, true]);
});

Deno.test("what is no address, has no prefix or one that does not fit is left out", () => {
  const addresses = one(
    "\tinet 10.0.0.256 netmask 0xff000000",
    "\tinet 10.0.0.1",
    "\tinet 10.0.0.1 netmask",
    "\tinet 10.0.0.1 netmask 255.0.0.0",
    "\tinet 2001:db8::1 netmask 0xff000000",
    "\tinet6 10.0.0.1 prefixlen 8",
    "\tinet6 2001:db8::1 prefixlen 129",
    "\tinet6 2001:db8::1 prefixlen -1",
    "\tinet6 2001:db8::1 prefixlen x",
    "\tinet6",
    "\tinet 10.0.0.2 netmask 0x0",
    "\tinet 10.0.0.3 netmask 0xffffffff",
  )?.addresses;
  assertEquals(addresses?.map(({ address, prefix }) => [address, prefix]), [["10.0.0.2", 0], [
    "10.0.0.3",
    32,
  ]]);
});

Deno.test("a hardware address that has not six bytes is none", () => {
  assertEquals(one("\tether 02:00:00:00:00:06")?.mac, "02:00:00:00:00:06");
  assertEquals(one("\tether 2:0:0:0:0:6")?.mac, "02:00:00:00:00:06");
  assertEquals(one("\tlladdr 02:00:00:00:00:00:00:06")?.mac, null);
  assertEquals([one("\tether nonsense")?.mac, one()?.mac], [null, null]);
});

Deno.test("the medium's state and the type count, the one of the line is enough", () => {
  assertEquals([one()?.running, one("\tstatus: active")?.running], [true, true]);
  assertEquals(one("\tstatus: inactive")?.running, false);
  const kind = (name: string, type: string): unknown =>
    parseIfconfig(`${name}: flags=8863<UP,RUNNING> mtu 1500 index 6\n\ttype: ${type}\n`)[0]?.kind;
  assertEquals(kind("xyz0", "Cellular"), "cellular");
  assertEquals(kind("xyz0", "USB Ethernet"), "ethernet");
  assertEquals(kind("xyz0", "IP over FireWire"), "other");
  assertEquals(kind("en3", "IP over Thunderbolt"), "ethernet");
});

Deno.test("without a number and a size they are not known, and the interface is there all the same", () => {
  const [iface] = parseIfconfig("stf0: flags=0<>\n");
  assertEquals([iface?.index, iface?.mtu, iface?.up, iface?.running], [0, null, false, false]);
});

Deno.test("no output is no interface, and anything else is refused by its first words", () => {
  assertEquals(parseIfconfig("\n"), []);
  const error = assertThrows(() => parseIfconfig("Usage: ifconfig\n"), HoldfastError);
  assertEquals([error.message, error.code], [
    'Cannot parse the output of "ifconfig": expected an interface, got "Usage: ifconfig"',
    "protocol",
  ]);
});

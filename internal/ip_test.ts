import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { formatIp, isLoopback, isUnicast, networkOf, parseIp, sharePrefix } from "./ip.ts";

function canonical(text: string): string | null {
  const bytes = parseIp(text);
  return bytes && formatIp(bytes);
}

Deno.test("parseIp() and formatIp() turn every way to write an address into the one of RFC 5952", () => {
  const cases: Record<string, string> = {
    "192.0.2.1": "192.0.2.1",
    "0.0.0.0": "0.0.0.0",
    "255.255.255.255": "255.255.255.255",
    "::": "::",
    "::1": "::1",
    "1::": "1::",
    "2001:0DB8:0000:0000:0000:0000:0002:0001": "2001:db8::2:1",
    "2001:db8:0:1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
    "2001:db8::1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
    "2001:0:0:1:0:0:0:1": "2001:0:0:1::1",
    "2001:db8:0:0:1:0:0:1": "2001:db8::1:0:0:1",
    "1:2:3:4:5:6:0:0": "1:2:3:4:5:6::",
    "0:0:3:4:5:6:7:8": "::3:4:5:6:7:8",
    "::ffff:c000:201": "::ffff:192.0.2.1",
    "::ffff:192.0.2.1": "::ffff:192.0.2.1",
    "64:ff9b::192.0.2.33": "64:ff9b::c000:221",
    "1:2:3:4:5:6:192.0.2.1": "1:2:3:4:5:6:c000:201",
    "FE80::A": "fe80::a",
  };
  for (const [text, expected] of Object.entries(cases)) assertEquals(canonical(text), expected, text);
});

Deno.test("parseIp() refuses what is not exactly an address", () => {
  const cases = [
    "",
    " ",
    "localhost",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.04",
    "+1.2.3.4",
    "1.2.3.-4",
    "1.2.3.4 ",
    "1.2.3.",
    "0x7f.0.0.1",
    "2130706433",
    "1e1.0.0.1",
    ":",
    ":::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "1::2::3",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    "12345::",
    "g::",
    "fe80::1%eth0",
    "[::1]",
    "1.2.3.4::",
    "1.2.3.4::1",
    "::1.2.3.4:5",
    "::1.2.3",
    "1:2:3:4:5:6:7:1.2.3.4",
  ];
  for (const text of cases) assertEquals(parseIp(text), null, JSON.stringify(text));
});

Deno.test("formatIp() refuses any length but 4 and 16", () => {
  for (const length of [0, 3, 5, 15, 17]) {
    assertThrows(() => formatIp(new Uint8Array(length)), RangeError, `got ${length}`);
  }
});

Deno.test("parseIp() reads back what formatIp() writes, also from the middle of a buffer", () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  // Zeros and the mapped prefix are where the writer decides something.
  const sparse = fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 })
    .map((values) => Uint8Array.from(values));
  fc.assert(fc.property(fc.oneof(bytes(4), bytes(16), sparse), (address) => {
    const inside = new Uint8Array([9, ...address, 9]).subarray(1, 1 + address.length);
    const text = formatIp(inside);
    assertEquals(parseIp(text), Uint8Array.from(address), text);
    // The runtime's URL parser is another writer of the same form, but for the mapped addresses.
    const host = address.length === 16 ? `[${text}]` : text;
    if (!text.startsWith("::ffff:")) assertEquals(new URL(`http://${host}/`).hostname, host);
  }));
});

Deno.test("isUnicast() and isLoopback() know the ranges", () => {
  const of = (text: string): Uint8Array => parseIp(text) ?? new Uint8Array();
  for (const text of ["1.1.1.1", "127.0.0.1", "223.255.255.255", "::1", "fe80::1", "2001:db8::1"]) {
    assert(isUnicast(of(text)), text);
  }
  for (
    const text of ["0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255", "255.255.255.255", "::", "ff02::1"]
  ) {
    assert(!isUnicast(of(text)), text);
  }
  for (const text of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]) {
    assert(isLoopback(of(text)), text);
  }
  for (const text of ["126.0.0.1", "::2", "1::1", "::", "::ffff:10.0.0.1"]) {
    assert(!isLoopback(of(text)), text);
  }
});

Deno.test("networkOf() keeps the first bits, and sharePrefix() compares them within one family", () => {
  const bytes = (text: string): Uint8Array => parseIp(text) ?? new Uint8Array();
  const network = (text: string, prefix: number): string => formatIp(networkOf(bytes(text), prefix));
  assertEquals([0, 8, 12, 20, 32].map((prefix) => network("172.31.255.9", prefix)), [
    "0.0.0.0",
    "172.0.0.0",
    "172.16.0.0",
    "172.31.240.0",
    "172.31.255.9",
  ]);
  assertEquals(network("2001:db8:1:2ff::9", 57), "2001:db8:1:280::");
  assert(sharePrefix(bytes("10.1.2.3"), bytes("10.1.3.3"), 23));
  assert(!sharePrefix(bytes("10.1.2.3"), bytes("10.1.3.3"), 24));
  assert(!sharePrefix(bytes("10.0.0.0"), bytes("a00::"), 8), "another family");
});

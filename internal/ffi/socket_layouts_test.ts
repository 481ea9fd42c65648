import { assertEquals, assertThrows } from "@std/assert";
import {
  DARWIN_SOCKETS,
  decodeName,
  decodeRights,
  encodeHeader,
  encodePath,
  encodeRights,
  LINUX_SOCKETS,
  putNumber,
  rightsSpace,
} from "./socket_layouts.ts";

const SYSTEMS = [["Linux", LINUX_SOCKETS], ["macOS", DARWIN_SOCKETS]] as const;

Deno.test("room for descriptors is what the macros of the systems say", () => {
  const spaces = (layout: typeof LINUX_SOCKETS): number[] =>
    [1, 2, 3, 253].map((count) => rightsSpace(layout, count));
  assertEquals(spaces(LINUX_SOCKETS), [24, 24, 32, 1032]);
  assertEquals(spaces(DARWIN_SOCKETS), [16, 20, 24, 1024]);
});

Deno.test("control data with two descriptors is laid out as each system has it", () => {
  const linux = new Uint8Array(24);
  assertEquals(encodeRights(LINUX_SOCKETS, [5, 258], linux), 24);
  assertEquals(linux.toHex(), "180000000000000001000000010000000500000002010000");
  const darwin = new Uint8Array(20);
  assertEquals(encodeRights(DARWIN_SOCKETS, [5, 258], darwin), 20);
  assertEquals(darwin.toHex(), "14000000ffff0000010000000500000002010000");
});

Deno.test("a message's header is laid out as each system has it", () => {
  const addresses = { iov: 0x1122334455667788n, control: 0x99aabbccddeeff00n };
  const linux = new Uint8Array(64).fill(0xff);
  encodeHeader(LINUX_SOCKETS, linux, addresses);
  putNumber(new DataView(linux.buffer), LINUX_SOCKETS.header.controllen, 24);
  assertEquals(
    linux.subarray(0, 56).toHex(),
    "00000000000000000000000000000000" + "8877665544332211" + "0100000000000000" + "00ffeeddccbbaa99" +
      "1800000000000000" + "0000000000000000",
  );
  const darwin = new Uint8Array(64).fill(0xff);
  encodeHeader(DARWIN_SOCKETS, darwin, addresses);
  putNumber(new DataView(darwin.buffer), DARWIN_SOCKETS.header.controllen, 16);
  assertEquals(
    darwin.subarray(0, 48).toHex(),
    "00000000000000000000000000000000" + "8877665544332211" + "0100000000000000" + "00ffeeddccbbaa99" +
      "10000000" + "00000000",
  );
});

for (const [system, layout] of SYSTEMS) {
  Deno.test(`descriptors come out of control data of ${system} as they went in`, () => {
    for (const count of [0, 1, 2, 3, 4, 16, 253]) {
      const descriptors = Array.from({ length: count }, (_, index) => index * 7 + 3);
      const control = new Uint8Array(4096).fill(0xff);
      const size = encodeRights(layout, descriptors, control);
      assertEquals(decodeRights(layout, control.subarray(0, size)), descriptors);
    }
  });

  Deno.test(`control data of ${system} that was cut gives what is there, and two pieces give both`, () => {
    const control = new Uint8Array(256);
    const size = encodeRights(layout, [11, 12, 13], control);
    assertEquals(decodeRights(layout, control.subarray(0, layout.control.data + 4)), [11]);
    assertEquals(decodeRights(layout, control.subarray(0, layout.control.data - 1)), []);
    encodeRights(layout, [14], control.subarray(size));
    assertEquals(decodeRights(layout, control.subarray(0, size + rightsSpace(layout, 1))), [11, 12, 13, 14]);
    // Of another kind: there are no descriptors in it.
    control[layout.control.type] = 2;
    assertEquals(decodeRights(layout, control.subarray(0, size)), []);
    // A length that cannot be.
    control.fill(0xff, 0, 8);
    assertEquals(decodeRights(layout, control.subarray(0, size)), []);
    control.fill(0, 0, 8);
    assertEquals(decodeRights(layout, control.subarray(0, size)), []);
  });

  Deno.test(`a path becomes an address of ${system} and comes out again`, () => {
    for (const path of ["/run/a.sock", "ä", "x".repeat(layout.pathRoom - 1)]) {
      const bytes = encodePath(layout, path);
      assertEquals(layout.lengthFirst ? bytes[1] : bytes[0], 1);
      assertEquals(decodeName(layout, bytes), { family: "unix", path });
    }
    for (const path of ["", "a\0b", "x".repeat(layout.pathRoom)]) {
      assertThrows(() => encodePath(layout, path), RangeError, "Cannot use the path");
    }
  });
}

Deno.test("addresses of hosts are read as each system writes them", () => {
  const four = Uint8Array.fromHex("0200" + "1f90" + "7f000001" + "0000000000000000");
  assertEquals(decodeName(LINUX_SOCKETS, four), {
    family: "inet",
    hostname: "127.0.0.1",
    port: 8080,
    zone: 0,
  });
  const six = Uint8Array.fromHex("1c1e" + "1f90" + "00000000" + "fe80" + "00".repeat(13) + "01" + "03000000");
  assertEquals(decodeName(DARWIN_SOCKETS, six), {
    family: "inet6",
    hostname: "fe80::1",
    port: 8080,
    zone: 3,
  });
  assertEquals(decodeName(LINUX_SOCKETS, six), null);
  assertEquals(decodeName(LINUX_SOCKETS, four.subarray(0, 6)), null);
  assertEquals(decodeName(LINUX_SOCKETS, new Uint8Array(1)), null);
});

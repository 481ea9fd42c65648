import { assertEquals } from "@std/assert";
import { PacketMeter } from "./_mqtt_meter.ts";

/** A packet of a type with so many bytes behind its header. */
function packet(type: number, length: number): Uint8Array {
  const header = [type << 4];
  let left = length;
  do {
    header.push(left > 127 ? left % 128 | 0x80 : left);
    left = Math.floor(left / 128);
  } while (left > 0);
  // Bytes that would be headers of endless packets, were they taken for headers.
  return Uint8Array.from([...header, ...Array.from({ length }, () => 0xff)]);
}

Deno.test("a meter sees each packet once, wherever the bytes are cut", () => {
  const bytes = Uint8Array.from([...packet(2, 2), ...packet(3, 300), ...packet(13, 0), ...packet(3, 128)]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const meter = new PacketMeter(300);
    assertEquals(meter.push(bytes.subarray(0, cut)), null);
    assertEquals(meter.push(bytes.subarray(cut)), null);
    assertEquals(meter.packets, 4);
  }
  const meter = new PacketMeter(300);
  for (const byte of bytes) assertEquals(meter.push(Uint8Array.of(byte)), null);
  assertEquals(meter.packets, 4);
});

Deno.test("a meter refuses a packet when its header says that it is too long", () => {
  const header = packet(3, 301).subarray(0, 3);
  assertEquals(new PacketMeter(300).push(header), "a packet has 301 bytes, and 300 are allowed");
  assertEquals(new PacketMeter(301).push(header), null);
  const longest = Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f);
  assertEquals(new PacketMeter(300).push(longest), "a packet has 268435455 bytes, and 300 are allowed");
});

Deno.test("a meter refuses a length of more than four bytes", () => {
  const endless = Uint8Array.of(0x30, 0x80, 0x80, 0x80, 0x80);
  assertEquals(new PacketMeter(300).push(endless), "the length of a packet has more than four bytes");
});

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  addressMessage,
  interfaceMessage,
  joined,
  linkAddress,
  message,
  netmask,
  routeMessage,
  sockaddr,
  struct,
} from "../tests/_darwin_bytes.ts";
import { formatIp, parseIp } from "../internal/ip.ts";
import {
  buildLookUp,
  parseAddress,
  parseLink,
  parseRoute,
  parseRouteMessages,
  RouteSocketError,
  type RouteSocketMessage,
  RTF,
} from "./_route_socket.ts";

function only(bytes: Uint8Array): RouteSocketMessage {
  const [first, ...rest] = [...parseRouteMessages(bytes)];
  assert(first && rest.length === 0);
  return first;
}

const text = (bytes: Uint8Array | undefined): string | undefined => bytes && formatIp(bytes);

Deno.test("messages follow each other by their lengths, and those of another version are passed over", () => {
  const other = message(0xc, struct(20));
  other[2] = 4;
  const bytes = joined(message(0x7, struct(92)), other, message(0xe, struct(112)));
  assertEquals([...parseRouteMessages(bytes)].map((one) => [one.type, one.bytes.length]), [[7, 92], [
    14,
    112,
  ]]);
  assertEquals([...parseRouteMessages(new Uint8Array())], []);
});

Deno.test("a length that leads nowhere or outside is refused with the bytes that are left", () => {
  const message = (length: number, size: number): Uint8Array => struct(size, [0, 2, length], [2, 1, 5]);
  for (const [length, size] of [[0, 16], [3, 16], [17, 16], [4, 3]] as const) {
    assertThrows(
      () => [...parseRouteMessages(message(length, size))],
      RouteSocketError,
      `Cannot parse routing message: length ${size < 4 ? 0 : length} with ${size} bytes left`,
    );
  }
});

Deno.test("an interface is read from if_msghdr2 and its if_data64", () => {
  const en0 = interfaceMessage({
    index: 513,
    name: "en0",
    type: 6,
    flags: 0x8863,
    mtu: 9000,
    mac: [2, 0, 0, 0, 0, 6],
    addresses: [],
  });
  assertEquals(parseLink(only(en0)), {
    index: 513,
    flags: 0x8863,
    hardware: 6,
    mtu: 9000,
    name: "en0",
    mac: Uint8Array.of(2, 0, 0, 0, 0, 6),
  });
});

Deno.test("an interface without a name, or cut short, is refused", () => {
  assertThrows(() => parseLink(only(message(0x12, struct(160)))), RouteSocketError, "without a name");
  assertThrows(
    () => parseLink(only(message(0x12, struct(159)))),
    RouteSocketError,
    "159 bytes, at least 160",
  );
  const long = linkAddress(1, "en0", [1, 2, 3, 4, 5, 6]);
  long[6] = 200;
  const bytes = message(0x12, struct(160), [, , , , long]);
  assertThrows(() => parseLink(only(bytes)), RouteSocketError, "link address of 211 bytes in 20");
});

Deno.test("addresses have the prefix of their netmask, however short the kernel cuts it", () => {
  for (const prefix of [0, 1, 7, 8, 9, 24, 31, 32]) {
    const found = parseAddress(only(addressMessage(6, { address: "10.1.2.3", prefix })));
    assertEquals([found.index, text(found.address), found.prefix], [6, "10.1.2.3", prefix]);
  }
  for (const prefix of [0, 3, 48, 64, 127, 128]) {
    const found = parseAddress(only(addressMessage(6, { address: "2001:db8::1", prefix })));
    assertEquals([text(found.address), found.prefix], ["2001:db8::1", prefix]);
  }
  // A mask of length 0 still takes 4 bytes, or what follows would be read from the wrong place.
  assertEquals(netmask(0, 4).length, 0);
});

Deno.test("a link-local address comes without the interface's index in it, others as they are", () => {
  const found = parseAddress(only(addressMessage(0x102, { address: "fe80::7", prefix: 64 })));
  assertEquals(text(found.address), "fe80::7");
  const site = message(0xc, struct(20), [, , netmask(64, 6), , , sockaddr("2001:db8::7", 0x102)]);
  assertEquals(text(parseAddress(only(site)).address), "2001:102::7");
});

Deno.test("an address of another family is none", () => {
  const bytes = message(0xc, struct(20, [12, 2, 4]), [, , , , , linkAddress(4, "en0", [])]);
  assertEquals(parseAddress(only(bytes)), { index: 4, address: undefined, prefix: 0 });
});

Deno.test("an address that is cut short ends in zeros, and without a netmask is a single host", () => {
  const short = Uint8Array.of(6, 2, 0, 0, 10, 1);
  const found = parseAddress(only(message(0xc, struct(20), [, , , , , short])));
  assertEquals([text(found.address), found.prefix], ["10.1.0.0", 32]);
});

Deno.test("the last address of a notification need not be filled up", () => {
  const bytes = message(0xc, struct(20), [, , netmask(8, 4), , , Uint8Array.of(6, 2, 0, 0, 10, 1)]).slice(
    0,
    -2,
  );
  bytes.set(struct(2, [0, 2, bytes.length]));
  assertEquals(text(parseAddress(only(bytes)).address), "10.1.0.0");
});

Deno.test("an address that leads outside its message is refused", () => {
  const bytes = message(0xc, struct(20), [, , , , , sockaddr("10.0.0.1")]);
  bytes[20] = 17;
  assertThrows(() => parseAddress(only(bytes)), RouteSocketError, "address of 17 bytes with 16 left");
});

Deno.test("addresses that are announced and not there are absent", () => {
  const bytes = message(4, struct(92), [sockaddr("10.0.0.0")], 12);
  bytes[12] = 0xff;
  const { destination, gateway, source, mac, prefix } = parseRoute(only(bytes));
  assertEquals([text(destination), gateway, source, mac, prefix], [
    "10.0.0.0",
    undefined,
    undefined,
    undefined,
    32,
  ]);
});

Deno.test("the answer to a look-up tells way, source, and whose it is", () => {
  const bytes = routeMessage(4, {
    index: 6,
    flags: 0x843,
    destination: "0.0.0.0",
    prefix: 0,
    gateway: "192.168.1.1",
    source: "192.168.1.23",
  }, { pid: 4711, seq: 12, errno: 3 });
  const route = parseRoute(only(bytes));
  assertEquals([route.index, route.flags, route.pid, route.seq, route.errno], [6, 0x843, 4711, 12, 3]);
  assertEquals([text(route.gateway), text(route.source)], ["192.168.1.1", "192.168.1.23"]);
  assertEquals([text(route.destination), route.prefix, route.mac], ["0.0.0.0", 0, undefined]);
});

Deno.test("a table's route (rt_msghdr2) has counters where an answer has its numbers", () => {
  const bytes = routeMessage(0x14, { index: 6, flags: 3, destination: "::", prefix: 0, gateway: "fe80::1" }, {
    pid: 9,
    seq: 9,
    errno: 9,
  });
  const { pid, seq, errno, gateway, prefix } = parseRoute(only(bytes));
  assertEquals([pid, seq, errno, text(gateway), prefix], [0, 0, 0, "fe80::1", 0]);
});

Deno.test("a neighbour has a hardware address in its gateway's place", () => {
  const entry = { index: 6, flags: RTF.LLINFO, destination: "fe80::1", gateway: [2, 0, 0, 0, 1, 1] };
  const { destination, gateway, mac } = parseRoute(only(routeMessage(4, entry)));
  assertEquals([text(destination), gateway, mac], ["fe80::1", undefined, Uint8Array.of(2, 0, 0, 0, 1, 1)]);
  const unresolved = parseRoute(only(routeMessage(4, { ...entry, gateway: [] })));
  assertEquals(unresolved.mac, new Uint8Array());
});

Deno.test("what is parsed stays when the buffer is used again", () => {
  const bytes = joined(
    interfaceMessage({ index: 1, name: "en0", type: 6, flags: 1, mac: [1, 2, 3, 4, 5, 6], addresses: [] }),
    addressMessage(1, { address: "10.0.0.1", prefix: 8 }),
  );
  const [first, second] = [...parseRouteMessages(bytes)];
  assert(first && second);
  const [{ mac }, { address }] = [parseLink(first), parseAddress(second)];
  bytes.fill(0xff);
  assertEquals([mac, address], [Uint8Array.of(1, 2, 3, 4, 5, 6), Uint8Array.of(10, 0, 0, 1)]);
});

Deno.test("a look-up is written as the kernel reads it, byte by byte", () => {
  const four = buildLookUp(0x11, parseIp("198.41.0.4") ?? new Uint8Array(), 258);
  const header = struct(92, [0, 2, 128], [2, 1, 5], [3, 1, 0x11], [12, 4, 0x11], [20, 4, 258]);
  const link = struct(20, [0, 1, 20], [1, 1, 18]);
  assertEquals(four, joined(header, sockaddr("198.41.0.4"), link) as Uint8Array<ArrayBuffer>);
  const six = buildLookUp(4, parseIp("2001:503:ba3e::2:30") ?? new Uint8Array(), 1);
  const header6 = struct(92, [0, 2, 140], [2, 1, 5], [3, 1, 4], [12, 4, 0x11], [20, 4, 1]);
  assertEquals(six, joined(header6, sockaddr("2001:503:ba3e::2:30"), link) as Uint8Array<ArrayBuffer>);
});

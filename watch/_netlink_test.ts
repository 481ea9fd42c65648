import { assert, assertEquals, assertThrows } from "@std/assert";
import { formatIp, parseIp } from "../internal/ip.ts";
import { HoldfastError } from "../internal/errors.ts";
import { bodies, datagrams } from "../tests/_recordings.ts";
import {
  AF,
  buildRequests,
  FLAG,
  FOREVER,
  NetlinkError,
  parseAddress,
  parseAttributes,
  parseError,
  parseLink,
  parseMessages,
  parseNeighbour,
  parseRoute,
  TYPE,
} from "./_netlink.ts";

/** A message body: a fixed header of numbers at their places, then attributes. */
function body(
  size: number,
  fields: readonly (readonly [at: number, bits: 8 | 16 | 32, value: number])[],
  attributes: readonly (readonly [number: number, value: Uint8Array | readonly number[]])[] = [],
): Uint8Array {
  const head = new Uint8Array(size);
  const view = new DataView(head.buffer);
  for (const [at, bits, value] of fields) {
    if (bits === 8) view.setUint8(at, value);
    else if (bits === 16) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
  }
  const request = { type: 0, head, attributes: attributes.map(([n, v]) => [n, Uint8Array.from(v)] as const) };
  return buildRequests([request], 1).subarray(16);
}

const text = (value: string): number[] => [...new TextEncoder().encode(`${value}\0`)];
const u32 = (value: number): Uint8Array => new Uint8Array(new Uint32Array([value]).buffer);
const ip = (address: string): Uint8Array => parseIp(address) ?? new Uint8Array();

Deno.test("requests are written as their parser reads them: aligned, numbered, flagged", () => {
  const bytes = buildRequests([
    { type: TYPE.GETLINK, flags: FLAG.DUMP, head: new Uint8Array(16), attributes: [[29, u32(8)]] },
    {
      type: TYPE.GETROUTE,
      head: Uint8Array.of(2, 32, 0),
      attributes: [[1, Uint8Array.of(1, 2, 3)], [4, u32(7)]],
    },
    { type: TYPE.GETADDR, head: new Uint8Array() },
  ], 41);
  const messages = [...parseMessages(bytes)];
  assertEquals(messages.map(({ type, flags, seq }) => [type, flags, seq]), [
    [TYPE.GETLINK, FLAG.REQUEST | FLAG.DUMP, 41],
    [TYPE.GETROUTE, FLAG.REQUEST, 42],
    [TYPE.GETADDR, FLAG.REQUEST, 43],
  ]);
  const [link, route] = messages.map((message) => message.body);
  assertEquals(parseAttributes(link ?? bytes, 16), new Map([[29, u32(8)]]));
  assertEquals(parseAttributes(route ?? bytes, 4), new Map([[1, Uint8Array.of(1, 2, 3)], [4, u32(7)]]));
});

Deno.test("a datagram that is cut, or whose lengths lead outside, is refused with its numbers", () => {
  const [good = new Uint8Array()] = datagrams();
  assert([...parseMessages(good)].length > 0);
  assertEquals([...parseMessages(new Uint8Array())], []);
  const table: readonly [Uint8Array, string][] = [
    [good.subarray(0, 15), "15 bytes left, less than a header"],
    [good.subarray(0, 16), "with 16 bytes left"],
    [Uint8Array.of(15, 0, 0, 0, ...new Uint8Array(12)), "length 15 with 16 bytes left"],
    [Uint8Array.of(0, 0, 0, 0, ...new Uint8Array(12)), "length 0 with 16 bytes left"],
    [Uint8Array.of(255, 255, 255, 255, ...new Uint8Array(12)), "length 4294967295 with 16 bytes left"],
  ];
  for (const [bytes, message] of table) {
    const error = assertThrows(() => [...parseMessages(bytes)], NetlinkError, message);
    assert(error instanceof HoldfastError);
    assertEquals([error.name, error.code, error.operation], [
      "NetlinkError",
      "protocol",
      "parse netlink message",
    ]);
  }
});

Deno.test("attributes: flags of the number are cleared, the last of a number wins, a rest too short for one is padding", () => {
  const bytes = Uint8Array.of(5, 0, 3, 0x80, 1, 0, 0, 0, 5, 0, 3, 0x40, 2, 0, 0, 0, 9, 9);
  assertEquals(parseAttributes(bytes, 0), new Map([[3, Uint8Array.of(2)]]));
  assertEquals(parseAttributes(bytes, 18), new Map());
  assertThrows(
    () => parseAttributes(Uint8Array.of(3, 0, 1, 0), 0),
    NetlinkError,
    "attribute length 3 with 4",
  );
  assertThrows(
    () => parseAttributes(Uint8Array.of(9, 0, 1, 0), 0),
    NetlinkError,
    "attribute length 9 with 4",
  );
});

Deno.test("parseLink() reads every field, and does without the optional ones", () => {
  const full = body(16, [[2, 16, 1], [4, 32, 7], [8, 32, 0x11043]], [
    [1, [2, 0, 0, 0, 0, 1]],
    [3, text("eth0")],
    [4, u32(1500)],
    [10, u32(9)],
    [16, [6]],
    [18, body(0, [], [[1, text("veth")]])],
  ]);
  assertEquals(parseLink(full), {
    hardware: 1,
    index: 7,
    flags: 0x11043,
    name: "eth0",
    mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
    mtu: 1500,
    operstate: 6,
    master: 9,
    kind: "veth",
  });
  assertEquals(parseLink(body(16, [])), {
    hardware: 0,
    index: 0,
    flags: 0,
    name: "",
    mac: undefined,
    mtu: undefined,
    operstate: 0,
    master: undefined,
    kind: undefined,
  });
  assertThrows(() => parseLink(new Uint8Array(15)), NetlinkError, "link of 15 bytes, at least 16 expected");
});

Deno.test("a name without its NUL, and a number that is too short, are taken as far as they go", () => {
  const link = parseLink(body(16, [], [[3, [0x65, 0x74, 0x68]], [4, [1, 2]], [16, []], [18, []]]));
  assertEquals([link.name, link.mtu, link.operstate, link.kind], ["eth", undefined, 0, undefined]);
});

Deno.test("parseAddress() prefers the own address to the peer's and the long flags to the short ones", () => {
  const peer = [1, ip("10.9.0.2")] as const;
  const times = [...u32(1800), ...u32(3600), ...u32(0), ...u32(0)];
  const fields = [[0, 8, AF.INET], [1, 8, 32], [2, 8, 0x80], [3, 8, 253], [4, 32, 3]] as const;
  assertEquals(parseAddress(body(8, fields, [peer, [2, ip("10.9.0.1")], [6, times], [8, u32(0x180)]])), {
    family: AF.INET,
    prefix: 32,
    scope: 253,
    index: 3,
    flags: 0x180,
    address: ip("10.9.0.1"),
    preferred: 1800,
    valid: 3600,
  });
  const short = parseAddress(body(8, fields, [peer, [6, [1, 2, 3]]]));
  assertEquals([short.flags, formatIp(short.address), short.preferred, short.valid], [
    0x80,
    "10.9.0.2",
    FOREVER,
    FOREVER,
  ]);
});

Deno.test("parseAddress() refuses an address that is missing, or of a length or prefix that its family has not", () => {
  const v6 = [[0, 8, AF.INET6]] as const;
  assertThrows(() => parseAddress(body(8, v6)), NetlinkError, "address of 0 bytes in family 10");
  assertThrows(
    () => parseAddress(body(8, v6, [[1, [1, 2, 3, 4]]])),
    NetlinkError,
    "address of 4 bytes in family 10",
  );
  assertThrows(
    () => parseAddress(body(8, [[0, 8, 7]], [[1, [1, 2, 3, 4]]])),
    NetlinkError,
    "address of 4 bytes in family 7",
  );
  assertThrows(
    () => parseAddress(new Uint8Array(7)),
    NetlinkError,
    "address of 7 bytes, at least 8 expected",
  );
});

Deno.test("parseRoute() reads gateway, interface, source, metric and table", () => {
  const fields = [[0, 8, AF.INET], [4, 8, 254], [7, 8, 1]] as const;
  const attributes = [
    [4, u32(2)],
    [5, ip("192.168.1.1")],
    [6, u32(100)],
    [7, ip("192.168.1.23")],
    [15, u32(1000)],
  ] as const;
  assertEquals(parseRoute(body(12, fields, attributes)), {
    family: AF.INET,
    type: 1,
    table: 1000,
    oif: 2,
    gateway: ip("192.168.1.1"),
    source: ip("192.168.1.23"),
    metric: 100,
  });
  const bare = parseRoute(body(12, fields));
  assertEquals([bare.table, bare.oif, bare.gateway, bare.source, bare.metric], [
    254,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("parseRoute() takes the first of several next hops, and a gateway of the other family", () => {
  const hop = (index: number, attributes: Parameters<typeof body>[2]): Uint8Array => {
    const bytes = body(8, [[4, 32, index]], attributes);
    new DataView(bytes.buffer, bytes.byteOffset).setUint16(0, bytes.length, true);
    return bytes;
  };
  const first = hop(5, [[5, ip("10.0.0.1")]]);
  const two = Uint8Array.of(...first, ...hop(6, [[5, ip("10.0.0.2")]]));
  const route = parseRoute(body(12, [], [[9, two]]));
  assertEquals([route.oif, route.gateway], [5, ip("10.0.0.1")]);
  const via = [18, [AF.INET6, 0, ...ip("fe80::1")]] as const;
  assertEquals(parseRoute(body(12, [], [via])).gateway, ip("fe80::1"));
  assertEquals(parseRoute(body(12, [], [[9, hop(5, [via])]])).gateway, ip("fe80::1"));
  assertEquals(parseRoute(body(12, [], [[9, first.subarray(0, 7)]])).oif, undefined);
  for (const length of [7, 200]) {
    const wrong = Uint8Array.from(first);
    new DataView(wrong.buffer).setUint16(0, length, true);
    assertThrows(() => parseRoute(body(12, [], [[9, wrong]])), NetlinkError, `next hop length ${length}`);
  }
});

Deno.test("a gateway, source or neighbour whose address is no IP address has none", () => {
  for (const length of [0, 3, 5, 15, 17]) {
    const bytes = new Uint8Array(length);
    const route = parseRoute(body(12, [], [[5, bytes], [7, bytes]]));
    const neighbour = parseNeighbour(body(12, [], [[1, bytes]]));
    assertEquals([route.gateway, route.source, neighbour.address], [undefined, undefined, undefined]);
  }
});

Deno.test("parseNeighbour() reads state and addresses", () => {
  const bytes = body(12, [[4, 32, 2], [8, 16, 0x80]], [[1, ip("10.0.0.1")], [2, [2, 0, 0, 0, 0, 9]]]);
  assertEquals(parseNeighbour(bytes), {
    index: 2,
    state: 0x80,
    address: ip("10.0.0.1"),
    mac: Uint8Array.of(2, 0, 0, 0, 0, 9),
  });
  assertThrows(() => parseNeighbour(new Uint8Array(11)), NetlinkError, "neighbour of 11 bytes");
});

Deno.test("parseError() turns the sign and does without a number", () => {
  assertEquals(parseError(u32(-101 >>> 0)), 101);
  assertEquals(parseError(u32(0)), 0);
  assertEquals(parseError(new Uint8Array(3)), 0);
});

Deno.test("what is parsed does not change with the buffer it came from", () => {
  for (const [type, parse] of [[TYPE.NEWLINK, parseLink], [TYPE.NEWADDR, parseAddress]] as const) {
    const [recorded = new Uint8Array()] = bodies(type);
    const buffer = recorded.slice();
    const parsed = parse(buffer);
    const before = structuredClone(parsed);
    buffer.fill(0xff);
    assertEquals(parsed, before);
  }
});

Deno.test("every recorded message is parsed by the parser of its type", () => {
  const counts: Record<number, number> = {};
  for (const datagram of datagrams()) {
    for (const { type, body } of parseMessages(datagram)) {
      counts[type] = (counts[type] ?? 0) + 1;
      if (type === TYPE.NEWLINK || type === TYPE.DELLINK) assert(parseLink(body).index > 0);
      else if (type === TYPE.NEWADDR || type === TYPE.DELADDR) assert(parseAddress(body).index > 0);
      else if (type === TYPE.NEWROUTE || type === TYPE.DELROUTE) assert(parseRoute(body).family > 0);
      else if (type === TYPE.NEWNEIGH || type === TYPE.DELNEIGH) assert(parseNeighbour(body).index > 0);
    }
  }
  for (const type of [2, 3, 16, 17, 20, 21, 24, 25, 28]) {
    assert((counts[type] ?? 0) > 0, `no message of type ${type}`);
  }
});

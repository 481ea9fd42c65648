/** Hostile bytes for what reads macOS: whatever they are, data comes out or the typed error. */

import { assert, assertEquals } from "@std/assert";
import { HoldfastError } from "../internal/errors.ts";
import { formatIp, parseIp } from "../internal/ip.ts";
import { diffStates } from "../watch/diff.ts";
import { parseIfconfig } from "../watch/_ifconfig.ts";
import { SysctlReader } from "../watch/_read_sysctl.ts";
import { toState } from "../watch/_reading.ts";
import {
  parseAddress,
  parseLink,
  parseRoute,
  parseRouteMessages,
  RouteSocketError,
  type RouteSocketMessage,
} from "../watch/_route_socket.ts";
import { isRouteNews, parseGatewayMac, parseRouteGet } from "../watch/_route_text.ts";
import { parseScutilDns } from "../watch/_scutil.ts";
import { isNews } from "../watch/_source_routing_socket.ts";
import { FakeMac, HOME, type MacNetwork } from "./_darwin.ts";
import {
  addressMessage,
  interfaceMessage,
  joined,
  linkAddress,
  message,
  routeMessage,
  struct,
} from "./_darwin_bytes.ts";
import { fuzz, mutate, type Random } from "./_fuzz.ts";
import { scale } from "./_require.ts";

const V4 = {
  index: 6,
  flags: 3,
  destination: "0.0.0.0",
  prefix: 0,
  gateway: "192.168.1.1",
  source: "192.168.1.23",
};

/** One message of each kind. */
const MESSAGES = [
  ...HOME.interfaces.map(interfaceMessage),
  ...HOME.interfaces.flatMap((one) => one.addresses.map((address) => addressMessage(one.index, address))),
  ...(HOME.neighbours ?? []).map((one) => routeMessage(4, one)),
  ...[1, 2, 3, 4, 7, 0x14].map((type) => routeMessage(type, V4, { pid: 1, seq: 2 })),
  routeMessage(1, { index: 6, flags: 0x20405, destination: "fe80::1", gateway: [] }),
  routeMessage(1, { index: 6, flags: 3, destination: "ff02::", prefix: 16, gateway: "fe80::1" }),
  routeMessage(2, { index: 6, flags: 3, destination: "169.254.0.0", prefix: 16 }),
  message(0xe, struct(112)),
  message(0xf, struct(16), [, , , , linkAddress(6, "en0", []), linkAddress(6, "", [1, 0, 94, 0, 0, 1])]),
];
const BATCHES = [joined(...MESSAGES), joined(...MESSAGES.slice(0, 3)), ...MESSAGES];
const GATEWAYS = new Set(["6 fe80::1", "6 192.168.1.1"]);

/** "read", or the code of the only error allowed. */
function outcome(action: () => void, error: typeof HoldfastError): string {
  try {
    action();
    return "read";
  } catch (thrown) {
    if (!(thrown instanceof error)) throw thrown;
    return thrown.code;
  }
}

function checkIp(bytes: Uint8Array | undefined): void {
  if (bytes) assert(formatIp(bytes) !== "");
}

function parseAll(one: RouteSocketMessage, as: number): void {
  if (as === 0) {
    const { name, mac } = parseLink(one);
    assert(!name.includes("\0") && mac.length < 256 && mac.buffer !== one.bytes.buffer);
  } else if (as === 1) {
    const { address, prefix } = parseAddress(one);
    checkIp(address);
    assert(prefix >= 0 && prefix <= (address?.length ?? 0) * 8);
  } else {
    const { destination, gateway, source, prefix } = parseRoute(one);
    for (const bytes of [destination, gateway, source]) checkIp(bytes);
    assert(prefix >= 0 && prefix <= (destination?.length ?? 0) * 8);
  }
}

/** How a message of a type is read. */
function kindOf(type: number): number {
  return type === 0x12 || type === 0xe ? 0 : type === 0xc || type === 0xd ? 1 : 2;
}

Deno.test("routing messages of any bytes are read, or refused by a RouteSocketError", () => {
  const make = (random: Random): Uint8Array =>
    random.below(20) === 0 ? random.bytes(random.below(200)) : mutate(random, random.one(BATCHES), MESSAGES);
  const ends = fuzz(scale(2500, 100_000), make, (bytes) => {
    isNews(bytes, GATEWAYS);
    return outcome(() => {
      let size = 0;
      for (const one of parseRouteMessages(bytes)) {
        size += one.bytes.length;
        parseAll(one, kindOf(one.type));
      }
      assert(size <= bytes.length, "no byte is in two messages");
    }, RouteSocketError);
  });
  // A fuzz that ends one way only proves little.
  assertEquals([...ends.keys()].toSorted(), ["protocol", "read"]);
});

Deno.test("one message of any bytes, taken for any kind, is read or refused by a RouteSocketError", () => {
  const make = (random: Random): { bytes: Uint8Array; as: number; type: number } => {
    const bytes = mutate(random, random.one(MESSAGES), MESSAGES);
    const type = bytes[3] ?? 0;
    return { bytes, type, as: random.below(10) === 0 ? random.below(3) : kindOf(type) };
  };
  const ends = fuzz(
    scale(2500, 100_000),
    make,
    ({ bytes, type, as }) => outcome(() => parseAll({ type, bytes }, as), RouteSocketError),
  );
  assertEquals([...ends.keys()].toSorted(), ["protocol", "read"]);
});

/** The made-up Mac with states of addresses and media, and answers, that nobody would expect. */
function oddNetwork(random: Random): MacNetwork {
  const number = (): number => random.one([0, 1, 2, 3, 4, 8, 0x10, 0x80, 0xff, 0x1000, 0x7fffffff, -1]);
  const interfaces = HOME.interfaces.map((one) => ({
    ...one,
    type: random.below(3) === 0 ? random.one([1, 6, 23, 24, 135, 136, 144, 209, 255]) : one.type,
    name: random.below(3) === 0 ? random.one(["xyz0", "en9", "vlan0", "bridge1"]) : one.name,
    ...(random.below(2) === 0 ? { media: { status: number(), active: number() } } : {}),
    addresses: one.addresses.map((address) => ({
      ...address,
      flags: number(),
      preferred: number(),
      expire: number(),
      errno: random.one([0, 0, 0, 0, 0, 0, 0, 49]),
    })),
  }));
  const way = random.one([HOME.v4, HOME.v4, HOME.v4, undefined]);
  const v4 = way &&
    { ...way, flags: way.flags ^ random.one([0, 0, 2, 8, 0x1000]), index: random.one([6, 6, 6, 99]) };
  const { v6, neighbours = [], resolver = null } = HOME;
  return {
    interfaces,
    neighbours,
    resolver,
    ...(v4 ? { v4 } : {}),
    ...(v6 && random.below(4) > 0 ? { v6 } : {}),
  };
}

Deno.test("a reading of any tables and answers is a whole state, or refused by an error of ours", () => {
  const make = (
    random: Random,
  ): { network: MacNetwork; odd: number; bytes: (from: Uint8Array) => Uint8Array } => ({
    network: oddNetwork(random),
    odd: random.below(6),
    bytes: (from) => mutate(random, from, MESSAGES),
  });
  const ends = fuzz(scale(1000, 20_000), make, ({ network, odd, bytes }) =>
    outcome(() => {
      const mac = new FakeMac(network);
      // The table's size is asked first; one that then is larger than the room for it would be asked for again.
      if (odd < 2) mac.table = (what, table) => what === [6, 2][odd] ? bytes(table) : table;
      if (odd === 2) mac.answer = (seq) => [bytes(routeMessage(4, V4, { pid: Deno.pid, seq }))];
      using reader = new SysctlReader(mac.system());
      const state = toState(reader.read());
      assertEquals(diffStates(state, structuredClone(state)), []);
    }, HoldfastError));
  assertEquals([...ends.keys()].toSorted(), ["protocol", "read"]);
});

function fixture(name: string): Uint8Array {
  return Deno.readFileSync(new URL(`./fixtures/darwin/${name}`, import.meta.url));
}

const IFCONFIG = fixture("ifconfig.txt");
const GETS = ["route-get-4.txt", "route-get-6.txt", "route-get-tunnel.txt"].map(fixture);
const [NETSTAT, SCUTIL, MONITOR] = [
  fixture("netstat.txt"),
  fixture("scutil-dns.txt"),
  fixture("route-monitor.txt"),
];
const TEXTS = [IFCONFIG, ...GETS, NETSTAT, SCUTIL, MONITOR];
const decoder = new TextDecoder();

/** One of some outputs, changed in some places, and where it was taken from. */
function makeText(outputs: readonly Uint8Array[]): (random: Random) => string {
  return (random) => {
    let bytes = random.one(outputs);
    for (let left = random.below(6); left > 0; left--) bytes = mutate(random, bytes, TEXTS);
    return decoder.decode(bytes);
  };
}

Deno.test("output of ifconfig, whatever it is, is interfaces or refused by an error of ours", () => {
  const lines = decoder.decode(IFCONFIG).split(/\n(?=\S)/).map((part) =>
    new TextEncoder().encode(`${part}\n`)
  );
  const ends = fuzz(scale(5000, 100_000), makeText([IFCONFIG, ...lines, ...lines]), (text) =>
    outcome(() => {
      for (const { index, addresses, mac } of parseIfconfig(text)) {
        assert(Number.isInteger(index) && index >= 0);
        assert(mac === null || mac.length === 17);
        for (const { address, prefix } of addresses) {
          const bytes = parseIp(address);
          assert(bytes && prefix >= 0 && prefix <= bytes.length * 8);
        }
      }
    }, HoldfastError));
  assertEquals([...ends.keys()].toSorted(), ["protocol", "read"]);
});

Deno.test("output of route and netstat, whatever it is, is a route or none, an address or none", () => {
  const interfaces = parseIfconfig(decoder.decode(IFCONFIG));
  const ways = GETS.map((bytes) => parseRouteGet(decoder.decode(bytes), 4, interfaces));
  const table = makeText([NETSTAT]);
  const make = (random: Random): { text: string; of: number } => {
    const of = random.below(3);
    return {
      of,
      text: of === 0 ? makeText(GETS)(random) : of === 1 ? table(random) : makeText([MONITOR])(random),
    };
  };
  // Three parsers share the inputs.
  const ends = fuzz(scale(15_000, 300_000), make, ({ text, of }) => {
    if (of === 0) {
      const route = parseRouteGet(text, 4, interfaces);
      if (route?.gateway) assert(parseIp(route.gateway));
      return route ? "route" : "no route";
    }
    if (of === 1) {
      const macs = [null, ...ways].map((way) => parseGatewayMac(text, way));
      for (const mac of macs) assert(mac === null || mac.length === 17);
      return macs.some((mac) => mac !== null) ? "address" : "no address";
    }
    return text.split("\n").some(isRouteNews) ? "news" : "no news";
  });
  assertEquals([...ends.keys()].toSorted(), [
    "address",
    "news",
    "no address",
    "no news",
    "no route",
    "route",
  ]);
});

Deno.test("output of scutil, whatever it is, is a configuration or refused by an error of ours", () => {
  const ends = fuzz(scale(5000, 100_000), makeText([SCUTIL]), (text) =>
    outcome(() => {
      const { servers, search } = parseScutilDns(text);
      assert(servers.length <= 64 && search.length <= 64);
      for (const server of servers) assert(parseIp(server.split("%")[0] ?? ""));
    }, HoldfastError));
  assertEquals([...ends.keys()].toSorted(), ["protocol", "read"]);
});

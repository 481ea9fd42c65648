import { assert, assertEquals, assertThrows } from "@std/assert";
import { HoldfastError } from "../internal/errors.ts";
import { FakeMac, HOME, ROUTER_MAC } from "../tests/_darwin.ts";
import { requires } from "../tests/_require.ts";
import {
  addressMessage,
  joined,
  type MacRoute,
  message,
  routeMessage,
  struct,
} from "../tests/_darwin_bytes.ts";
import { isNews, openRoutingSocketSource } from "./_source_routing_socket.ts";
import type { Source, SourceEvents } from "./_reading.ts";

/** Events as words. */
function recorder(): { told: string[]; events: SourceEvents } {
  const told: string[] = [];
  return {
    told,
    events: {
      hint: () => told.push("hint"),
      overflow: () => told.push("overflow"),
      failed: (error) => told.push(`failed: ${(error as Error).message}`),
    },
  };
}

function opened(mac: FakeMac): { source: Source; told: string[] } {
  const { told, events } = recorder();
  const source = openRoutingSocketSource(events, mac.machine);
  return { source, told };
}

const NETWORK_CHANGE = "com.apple.system.config.network_change";
const DNS_CHANGE = "com.apple.system.SystemConfiguration.dns_configuration";

const MISS = routeMessage(7, { index: 0, flags: 0x40, destination: "192.0.2.1" });
const DEFAULT: MacRoute = {
  index: 6,
  flags: 0x843,
  destination: "0.0.0.0",
  prefix: 0,
  gateway: "192.168.1.1",
};

Deno.test("the handler stands before anything is armed, and falls after everything is disarmed", async () => {
  const mac = new FakeMac(HOME);
  const { source } = opened(mac);
  assertEquals(mac.log, [
    "socket 30 2",
    "fcntl 2 1",
    "socket 17 3",
    "fcntl 2 1",
    "setsockopt 65535 4098 262144",
    "listen",
    "fcntl 6 pid",
    "fcntl 4 68",
    `signal 23 for ${NETWORK_CHANGE}`,
    `signal 23 for ${DNS_CHANGE}`,
  ]);
  mac.log.length = 0;
  await source[Symbol.asyncDispose]();
  assertEquals(mac.log, [
    "cancel",
    "cancel",
    "fcntl 4 4",
    "unlisten",
    "cancel",
    "cancel",
    "close routing socket",
  ]);
  assertEquals([...mac.open], []);
  await source[Symbol.asyncDispose]();
});

Deno.test("a source that cannot be opened leaves nothing open, whatever it was that failed", () => {
  const cases: [keyof FakeMac["fails"], number[], string][] = [
    ["socket", [55], "Cannot open socket for interface requests: error 55"],
    ["socket", [0, 1], "Cannot open routing socket: error 1"],
    ["fcntl", [0, 0, 1], "Cannot arm routing socket for SIGIO: error 1"],
    ["fcntl", [0, 0, 0, 25], "Cannot arm routing socket for SIGIO: error 25"],
    [
      "notify_register_check",
      [0, 1000000],
      "Cannot register for network notifications: notify(3) status 1000000",
    ],
    ["notify_register_signal", [0, 7], "Cannot register for network notifications: notify(3) status 7"],
  ];
  for (const [call, numbers, text] of cases) {
    const mac = new FakeMac(HOME);
    mac.fails[call] = numbers;
    const { events } = recorder();
    const error = assertThrows(() => openRoutingSocketSource(events, mac.machine), HoldfastError);
    assertEquals([error.message, error.code, [...mac.open]], [text, "system", []]);
    assertEquals(mac.log.filter((line) => line.endsWith("listen")).length % 2, 0);
  }
});

Deno.test("a message is a hint, taken out of the socket to the last", async () => {
  const mac = new FakeMac(HOME);
  const { source, told } = opened(mac);
  mac.receive(routeMessage(1, DEFAULT), MISS, routeMessage(2, DEFAULT));
  assertEquals([told, mac.queue], [["hint"], []]);
  await source[Symbol.asyncDispose]();
});

Deno.test("failed look-ups raise no hint, however many there are", async () => {
  const mac = new FakeMac(HOME);
  const { source, told } = opened(mac);
  for (let n = 0; n < 100; n++) mac.receive(MISS, MISS);
  assertEquals(told, []);
  assertEquals(mac.queue, [], "and yet they do not fill the socket");
  await source[Symbol.asyncDispose]();
});

Deno.test("a reading is not the cause of another one: what it asks is heard by nobody, itself included", async () => {
  const mac = new FakeMac(HOME);
  const { source, told } = opened(mac);
  await source.read();
  mac.receive(routeMessage(4, DEFAULT, { pid: Deno.pid, seq: 2 }));
  mac.signal();
  assertEquals(told, []);
  await source[Symbol.asyncDispose]();
});

Deno.test("a settled network and another resolver are hints without any message, each told once", async () => {
  const mac = new FakeMac(HOME);
  const { source, told } = opened(mac);
  mac.signal();
  assertEquals(told, [], "the first look at a name says nothing");
  mac.post(NETWORK_CHANGE);
  mac.signal();
  mac.post(DNS_CHANGE);
  assertEquals(told, ["hint", "hint"]);
  mac.post("com.apple.system.timezone");
  assertEquals(told.length, 2);
  await source[Symbol.asyncDispose]();
});

Deno.test("where the system cannot tell any more whether there was a post, each signal is one", async () => {
  const mac = new FakeMac(HOME);
  const { source, told } = opened(mac);
  mac.fails.notify_check = [5];
  mac.signal();
  assertEquals(told, ["hint"]);
  await source[Symbol.asyncDispose]();
});

Deno.test("a socket that overflows says so, and is read on", async () => {
  const mac = new FakeMac(HOME);
  const { source, told } = opened(mac);
  mac.receive(55, MISS);
  assertEquals([told, mac.queue], [["overflow", "hint"], []]);
  await source[Symbol.asyncDispose]();
});

Deno.test("a socket that fails is told to whoever can replace the source", async () => {
  const mac = new FakeMac(HOME);
  const { source, told } = opened(mac);
  mac.receive(9);
  assertEquals(told, ["failed: Cannot receive routing message: EBADF"]);
  await source[Symbol.asyncDispose]();
  mac.receive(routeMessage(1, DEFAULT));
  assertEquals(told.length, 1, "a signal after the end is nothing");
});

Deno.test("a reading that something happened under is taken again, three times at most", async () => {
  const mac = new FakeMac(HOME);
  const { source } = opened(mac);
  const lookUps = (): number => mac.log.splice(0).filter((line) => line.startsWith("look up")).length;
  await source.read();
  assertEquals(lookUps(), 2);
  mac.queue.push(routeMessage(1, DEFAULT));
  await source.read();
  assertEquals(lookUps(), 4);
  mac.queue.push(MISS);
  await source.read();
  assertEquals(lookUps(), 2, "noise is nothing that happened");
  mac.table = (_what, table) => (mac.queue.push(routeMessage(1, DEFAULT)), table);
  await source.read();
  assertEquals(lookUps(), 6);
  await source[Symbol.asyncDispose]();
});

Deno.test("the time asleep is what one clock is ahead of the other", async () => {
  const mac = new FakeMac(HOME);
  const { source } = opened(mac);
  Object.assign(mac.clocks, { 6: 5000.5, 8: 3000.25 });
  assertEquals(source.sleepClock?.(), 2_000_250);
  delete mac.clocks[8];
  assertThrows(() => source.sleepClock?.(), HoldfastError, "Cannot read clock");
  await source[Symbol.asyncDispose]();
});

Deno.test("a gateway's neighbour entry is news, any other's is not", async () => {
  const mac = new FakeMac(HOME);
  const { source, told } = opened(mac);
  const entry: MacRoute = { index: 6, flags: 0x20405, destination: "192.168.1.1", gateway: ROUTER_MAC };
  mac.receive(routeMessage(1, entry));
  assertEquals(told, [], "no reading has found a gateway yet");
  await source.read();
  mac.receive(
    routeMessage(1, { ...entry, destination: "192.168.1.9" }),
    routeMessage(1, { ...entry, index: 7 }),
  );
  assertEquals(told, []);
  mac.receive(routeMessage(2, entry));
  mac.receive(routeMessage(1, { ...entry, flags: 0x405, destination: "fe80::1" }));
  assertEquals(told, ["hint", "hint"]);
  await source[Symbol.asyncDispose]();
});

Deno.test("news is told from noise by type, flags and destination", () => {
  const news = (bytes: Uint8Array): boolean => isNews(bytes, new Set());
  const route = (type: number, more: Partial<MacRoute> = {}): boolean =>
    news(routeMessage(type, { ...DEFAULT, ...more }));
  assertEquals([7, 4, 0x11, 0xb].map((type) => route(type)), [false, false, false, false]);
  assertEquals([0xf, 0x10].map((type) => news(message(type, struct(16)))), [false, false]);
  assertEquals([1, 2, 3, 6].map((type) => route(type)), [true, true, true, true]);
  for (const type of [0xc, 0xd]) assert(news(addressMessage(6, { address: "10.0.0.1", prefix: 8 }, type)));
  assert(news(message(0xe, struct(112))), "an interface goes on or off");
  assert(news(message(0x12, struct(160))));
  for (const destination of ["169.254.0.0", "224.0.0.0", "239.255.255.250", "fe80::", "ff02::"]) {
    assertEquals(route(1, { destination }), false, destination);
  }
  for (const destination of ["169.253.0.0", "223.0.0.0", "240.0.0.0", "10.0.0.0", "2001:db8::", "fec0::"]) {
    assertEquals(route(1, { destination }), true, destination);
  }
  assert(news(message(1, struct(92), [], 12)), "a route to nowhere that we know");
  assert(news(joined(MISS, routeMessage(1, DEFAULT))));
  assertEquals(news(joined(MISS, MISS)), false);
  assert(news(MISS.subarray(0, 50)), "what cannot be understood may be anything");
  assert(news(message(1, struct(91))));
});

Deno.test({
  name: "on macOS itself the source opens, reads, and closes",
  ...requires({ os: ["darwin"] }),
  async fn() {
    const { told, events } = recorder();
    const source = openRoutingSocketSource(events);
    const { interfaces } = await source.read();
    assert(interfaces.some(({ name, kind }) => name === "lo0" && kind === "loopback"));
    assert((source.sleepClock?.() ?? -1) >= 0);
    await source[Symbol.asyncDispose]();
    assertEquals(told.filter((word) => word.startsWith("failed")), []);
  },
});

/** A day of a made-up Mac, on every system: bytes of the kernel in, states and events out. */

import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { silentLogger } from "../internal/log.ts";
import { applyEvents, equalStates } from "../watch/diff.ts";
import type { NetworkEvent } from "../watch/events.ts";
import { openRoutingSocketSource } from "../watch/_source_routing_socket.ts";
import { type NetworkWatcher, watchNetwork } from "../watch/mod.ts";
import { FakeMac, HOME, type MacNetwork } from "./_darwin.ts";
import { addressMessage, type MacInterface, message, routeMessage, struct } from "./_darwin_bytes.ts";

const MISS = routeMessage(7, { index: 0, flags: 0x40, destination: "192.0.2.1" });
const IFINFO = message(0xe, struct(112, [12, 2, 6]));

interface Stage extends AsyncDisposable {
  readonly mac: FakeMac;
  readonly watcher: NetworkWatcher;
  /** Changes the network and tells of it; what the watcher then says, in short. */
  step(network: Partial<MacNetwork>, tell: () => void): string[];
}

async function stage(network: MacNetwork = HOME): Promise<Stage> {
  const mac = new FakeMac(network);
  const watcher = await watchNetwork({
    source: (events) => openRoutingSocketSource(events, mac.machine),
    clock: new FakeClock({ now: 1_700_000_000_000 }),
    logger: silentLogger,
  });
  const told: NetworkEvent[] = [];
  watcher.subscribe((event) => {
    if (event.type !== "change") told.push(event);
  });
  return {
    mac,
    watcher,
    step(change, tell) {
      mac.network = { ...mac.network, ...change };
      const before = watcher.state;
      tell();
      const events = told.splice(0);
      assert(
        equalStates(applyEvents(before, events), watcher.state),
        "events lead from one state to the next",
      );
      return events.map(short);
    },
    [Symbol.asyncDispose]: async () => {
      await watcher.close();
      assertEquals([...mac.open], [], "nothing is left open");
    },
  };
}

function short(event: NetworkEvent): string {
  switch (event.type) {
    case "addressadd":
    case "addressremove":
    case "addressconflict":
    case "addresschange":
      return `${event.type} ${event.interface} ${event.address}`;
    case "interfacechange":
      return `${event.type} ${event.interface} ${Object.keys(event.to)}`;
    case "gatewaychange":
    case "defaultinterfacechange":
    case "routechange":
      return `${event.type} ${event.family} ${event.to?.gateway ?? "-"} ${event.to?.interface ?? "-"}`;
    case "online":
    case "offline":
      return `${event.type} ${event.family}`;
    case "dnschange":
      return `${event.type} ${event.to?.servers}`;
    default:
      return event.type;
  }
}

/** The network with one of its interfaces changed. */
function withInterface(name: string, change: (iface: MacInterface) => MacInterface): readonly MacInterface[] {
  return HOME.interfaces.map((iface) => iface.name === name ? change(iface) : iface);
}

Deno.test("a Mac at home is online by both families", async () => {
  await using test = await stage();
  const { watcher } = test;
  assertEquals([watcher.backend, watcher.report.reader], ["routing-socket", "sysctl"]);
  assertEquals(watcher.state.families, [4, 6]);
});

Deno.test("a network that was left and another one that was joined are told step by step", async () => {
  await using test = await stage();
  const { mac, watcher } = test;
  const media = { status: 1, active: 0x80 };
  const away = withInterface("en0", (en0) => ({ ...en0, media, addresses: [] }));

  const lost = withInterface("en0", (en0) => ({ ...en0, media }));
  assertEquals(test.step({ interfaces: lost }, () => mac.receive(IFINFO)), [
    "interfacechange en0 running",
    "offline 4",
    "offline 6",
  ]);
  const nothing = { v4: undefined, v6: undefined } as unknown as Partial<MacNetwork>;
  const gone = addressMessage(6, { address: "192.168.1.23", prefix: 24 }, 0xd);
  assertEquals(test.step({ ...nothing, interfaces: away }, () => mac.receive(gone)), [
    "addressremove en0 192.168.1.23",
    "addressremove en0 2001:db8:1::23",
    "addressremove en0 2001:db8:1::beef",
    "addressremove en0 fe80::ff:fe00:6",
    "gatewaychange 4 - -",
    "defaultinterfacechange 4 - -",
    "gatewaychange 6 - -",
    "defaultinterfacechange 6 - -",
  ]);

  // Another access point: an address first, then a way, then a resolver, of which the kernel knows nothing.
  const addresses = [{ address: "172.20.10.4", prefix: 28 }];
  const elsewhere = withInterface("en0", (en0) => ({ ...en0, addresses }));
  assertEquals(
    test.step(
      { interfaces: elsewhere },
      () => mac.receive(IFINFO, addressMessage(6, { address: "172.20.10.4", prefix: 28 })),
    ),
    ["interfacechange en0 running", "addressadd en0 172.20.10.4"],
  );
  const v4 = {
    index: 6,
    flags: 0x843,
    destination: "0.0.0.0",
    prefix: 0,
    gateway: "172.20.10.1",
    source: "172.20.10.4",
  };
  assertEquals(test.step({ v4 }, () => mac.receive(routeMessage(1, v4))), [
    "gatewaychange 4 172.20.10.1 en0",
    "defaultinterfacechange 4 172.20.10.1 en0",
    "online 4",
  ]);
  const post = (): void => mac.post("com.apple.system.SystemConfiguration.dns_configuration");
  assertEquals(test.step({ resolver: "nameserver 172.20.10.1\n" }, post), ["dnschange 172.20.10.1"]);
  assertEquals(watcher.state.families, [4]);

  // The router's hardware address is known a moment later, and it is another network's.
  const neighbours = [{ index: 6, flags: 0x20405, destination: "172.20.10.1", gateway: [2, 0, 0, 0, 9, 1] }];
  const settled = (): void => mac.post("com.apple.system.config.network_change");
  assertEquals(test.step({ neighbours }, settled), ["identitychange"]);
});

Deno.test("an address is not usable while it is tested, nor when another has it", async () => {
  await using test = await stage({ ...HOME, v4: undefined } as unknown as MacNetwork);
  const { mac } = test;
  const state = (flags: number): readonly MacInterface[] =>
    withInterface(
      "en0",
      (en0) => ({ ...en0, addresses: [{ address: "2001:db8:1::99", prefix: 64, flags }] }),
    );
  const told = (flags: number): string[] =>
    test.step({ interfaces: state(flags) }, () => mac.receive(IFINFO));
  assertEquals(told(2).filter((line) => line.startsWith("o")), ["offline 6"], "tentative");
  assertEquals(told(0).filter((line) => line.startsWith("o")), ["online 6"]);
  assertEquals(told(4), [
    "addresschange en0 2001:db8:1::99",
    "addressconflict en0 2001:db8:1::99",
    "routechange 6 fe80::1 en0",
    "offline 6",
  ]);
});

Deno.test("a VPN that takes the way over is another interface, though the default route still stands", async () => {
  await using test = await stage();
  const utun = { index: 15, flags: 0x801, destination: "128.0.0.0", prefix: 1, source: "10.8.0.6" };
  const interfaces = withInterface("utun0", (utun0) => ({
    ...utun0,
    addresses: [...utun0.addresses, { address: "10.8.0.6", prefix: 32 }],
  }));
  assertEquals(test.step({ interfaces, v4: utun }, () => test.mac.receive(routeMessage(1, utun))), [
    "addressadd utun0 10.8.0.6",
    "gatewaychange 4 - utun0",
    "defaultinterfacechange 4 - utun0",
  ]);
});

Deno.test("noise, and the radio of AirDrop, raise no event and no reading", async () => {
  await using test = await stage();
  const { mac } = test;
  mac.log.length = 0;
  assertEquals(test.step({}, () => mac.receive(...Array<Uint8Array>(1000).fill(MISS))), []);
  assertEquals(mac.log, [], "not even a reading");
  const interfaces = withInterface("awdl0", (awdl0) => ({
    ...awdl0,
    addresses: [{ address: "fe80::ab", prefix: 64 }],
  }));
  const told = test.step(
    { interfaces },
    () => mac.receive(addressMessage(10, { address: "fe80::ab", prefix: 64 })),
  );
  assertEquals(told, ["interfacechange awdl0 addresses"]);
});

Deno.test("messages that were lost lose nothing: the next one tells of all", async () => {
  await using test = await stage();
  const { mac } = test;
  const interfaces = withInterface("en0", (en0) => ({ ...en0, addresses: en0.addresses.slice(0, 2) }));
  const told = test.step({ interfaces, resolver: null }, () => mac.receive(55, IFINFO));
  assertEquals(told.includes("backend"), true);
  assertEquals(told.filter((line) => line !== "backend"), [
    "addressremove en0 2001:db8:1::23",
    "addressremove en0 2001:db8:1::beef",
    "routechange 6 fe80::1 en0",
    "dnschange ",
    "offline 6",
  ]);
});

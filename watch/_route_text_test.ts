import { assertEquals } from "@std/assert";
import { parseIfconfig } from "./_ifconfig.ts";
import { isRouteNews, parseGatewayMac, parseRouteGet } from "./_route_text.ts";
import type { DefaultRoute } from "./state.ts";

function fixture(name: string): string {
  return Deno.readTextFileSync(new URL(`../tests/fixtures/darwin/${name}`, import.meta.url));
}

const interfaces = parseIfconfig(fixture("ifconfig.txt"));

Deno.test("the way of each family has gateway, interface and source", () => {
  const way = { interface: "en0", index: 6, metric: null };
  assertEquals(parseRouteGet(fixture("route-get-4.txt"), 4, interfaces), {
    ...way,
    gateway: "192.168.1.1",
    source: "192.168.1.23",
  });
  assertEquals(parseRouteGet(fixture("route-get-6.txt"), 6, interfaces), {
    ...way,
    gateway: "fe80::1",
    source: "2001:db8:1::beef",
  });
});

Deno.test("a tunnel that took half of the world has no gateway", () => {
  assertEquals(parseRouteGet(fixture("route-get-tunnel.txt"), 4, interfaces), {
    gateway: null,
    interface: "utun0",
    index: 15,
    metric: null,
    source: "10.8.0.6",
  });
});

Deno.test("no way, a way by an unknown interface, and a refusal are none", () => {
  const text = fixture("route-get-4.txt");
  assertEquals(parseRouteGet("", 4, interfaces), null);
  assertEquals(parseRouteGet("   route to: 198.41.0.4\n", 4, interfaces), null);
  assertEquals(parseRouteGet(text.replace("en0", "en9"), 4, interfaces), null);
  assertEquals(parseRouteGet(text.replace("STATIC", "REJECT"), 4, interfaces), null);
  assertEquals(parseRouteGet(text.replace("STATIC", "BLACKHOLE"), 4, interfaces), null);
  assertEquals(parseRouteGet(text.replace(/flags: .*/, ""), 4, interfaces)?.interface, "en0");
  assertEquals(parseRouteGet(text.replace("192.168.1.1", "nonsense"), 4, interfaces)?.gateway, null);
});

function route(gateway: string | null, name: string = "en0"): DefaultRoute {
  return { gateway, interface: name, index: 6, metric: null, source: null };
}

Deno.test("the gateway's hardware address stands in the table of routes", () => {
  const table = fixture("netstat.txt");
  assertEquals(parseGatewayMac(table, route("192.168.1.1")), "02:00:00:00:01:01");
  assertEquals(parseGatewayMac(table, route("fe80::1")), "02:00:00:00:01:01");
  assertEquals(parseGatewayMac(table, route("fe80::1", "lo0")), null, "not known");
  assertEquals(parseGatewayMac(table, route("192.168.1.2")), null);
  assertEquals(parseGatewayMac(table, route("192.168.1.1", "en1")), null);
  assertEquals([parseGatewayMac(table, null), parseGatewayMac(table, route(null))], [null, null]);
  assertEquals(parseGatewayMac("10.0.0.1 2.0.0.0.1.f UHL en0", route("10.0.0.1")), "02:00:00:00:01:0f");
  assertEquals(parseGatewayMac("10.0.0.1 2.0.0.0.1.f UH en0", route("10.0.0.1")), null, "no neighbour");
  assertEquals(parseGatewayMac("10.0.0.1 2.0.0.0.1.xx UHL en0", route("10.0.0.1")), null);
});

Deno.test("of what the monitor prints, routes, interfaces and addresses are news; failed look-ups never are", () => {
  const news = fixture("route-monitor.txt").split("\n").filter(isRouteNews).map((line) => line.split(":")[0]);
  assertEquals(news, ["RTM_ADD", "RTM_IFINFO", "RTM_NEWADDR"]);
  assertEquals(isRouteNews("RTM_CHANGE: Change Metrics or flags: len 1"), true);
  assertEquals(isRouteNews("RTM_MISS: Lookup failed on this address: len 120, flags:<UP"), false);
  assertEquals(isRouteNews("a line that names RTM_ADD"), false);
});

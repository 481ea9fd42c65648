import { assertEquals, assertThrows } from "@std/assert";
import { HoldfastError } from "../internal/errors.ts";
import { parseScutilDns } from "./_scutil.ts";

const HOME = Deno.readTextFileSync(new URL("../tests/fixtures/darwin/scutil-dns.txt", import.meta.url));

Deno.test("the first resolver is the one of plain look-ups", () => {
  assertEquals(parseScutilDns(HOME), {
    servers: ["192.168.1.1", "fe80::1%en0"],
    search: ["lan", "corp.example"],
  });
});

Deno.test("without a network there is no server", () => {
  const none = { servers: [], search: [] };
  assertEquals(parseScutilDns("No DNS configuration available\n"), none);
  assertEquals(parseScutilDns("DNS configuration\n\nDNS configuration (for scoped queries)\n"), none);
});

Deno.test("a first resolver that serves one domain only names no server of ours", () => {
  const only = "DNS configuration\n\nresolver #1\n  domain   : local\n  options  : mdns\n";
  assertEquals(parseScutilDns(only), { servers: [], search: [] });
});

Deno.test("what is no address is no server, and a list ends somewhere", () => {
  const lines = Array.from({ length: 100 }, (_, n) => `  nameserver[${n}] : 10.0.0.${n}`);
  const { servers } = parseScutilDns(
    ["DNS configuration", "resolver #1", "  nameserver[0] : x", ...lines].join("\n"),
  );
  assertEquals([servers.length, servers[0], servers[63]], [64, "10.0.0.0", "10.0.0.63"]);
});

Deno.test("what is not written by scutil is refused by its first words", () => {
  const error = assertThrows(() => parseScutilDns("usage: scutil"), HoldfastError);
  assertEquals(
    error.message,
    'Cannot parse the output of "scutil": expected "DNS configuration", got "usage: scutil"',
  );
});

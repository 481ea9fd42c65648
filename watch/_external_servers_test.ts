import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { HoldfastError, PermissionError } from "../internal/errors.ts";
import { locate, parseServer } from "./_external_servers.ts";

Deno.test("parseServer() reads hosts, ports and stun: addresses", () => {
  const cases: Record<string, [string, number, 4 | 6 | null]> = {
    "stun.example.org": ["stun.example.org", 3478, null],
    "stun.example.org.": ["stun.example.org.", 3478, null],
    "stun.example.org:19302": ["stun.example.org", 19302, null],
    "stun:stun.example.org": ["stun.example.org", 3478, null],
    "STUN:stun.example.org:1": ["stun.example.org", 1, null],
    "localhost:65535": ["localhost", 65535, null],
    "192.0.2.1": ["192.0.2.1", 3478, 4],
    "stun:192.0.2.1:3479": ["192.0.2.1", 3479, 4],
    "2001:DB8::1": ["2001:db8::1", 3478, 6],
    "::1": ["::1", 3478, 6],
    "[2001:db8:0::1]": ["2001:db8::1", 3478, 6],
    "stun:[::1]:5": ["::1", 5, 6],
  };
  for (const [text, [host, port, literal]] of Object.entries(cases)) {
    assertEquals(parseServer(text), { text, host, port, literal });
  }
});

Deno.test("parseServer() refuses what it cannot ask, and names the value", () => {
  const cases: Record<string, string> = {
    "": '"" is not a host name',
    "stun:": '"" is not a host name',
    ":3478": '"" is not a host name',
    "host:": "it is not host, host:port",
    "host:0": "the port must be 1 to 65535, got 0",
    "host:65536": "the port must be 1 to 65535, got 65536",
    "host:123456": "it is not host, host:port",
    "host:x": "it is not host, host:port",
    "stuns:host": "only stun: servers over UDP",
    "turn:host": "only stun: servers over UDP",
    "stun://host": '"//host" is not a host name',
    "[1.2.3.4]:1": '"1.2.3.4" is not an IPv6 address',
    "[::1": "it is not host, host:port",
    "[fe80::1%eth0]:1": '"fe80::1%eth0" is not an IPv6 address',
    "1.2.3": '"1.2.3" is not a host name',
    "2130706433": '"2130706433" is not a host name',
    "0x7f000001": '"0x7f000001" is not a host name',
    "a b": '"a b" is not a host name',
    "-a.example": '"-a.example" is not a host name',
    "a..example": '"a..example" is not a host name',
    [`${"a".repeat(64)}.example`]: "is not a host name",
    [`${"a.".repeat(127)}example`]: "is not a host name",
  };
  for (const [text, why] of Object.entries(cases)) {
    assertThrows(() => parseServer(text), TypeError, why, text);
    assertThrows(() => parseServer(text), TypeError, `Cannot read STUN server "${text}": `);
  }
});

Deno.test("locate() gives an address as it is, to its own family", async () => {
  const server = parseServer("[2001:db8::1]:5");
  assertEquals(await locate(server, 6), { family: 6, address: "2001:db8::1", port: 5 });
  assertEquals(await locate(server, 4), null);
});

Deno.test("locate() looks a name up", async () => {
  assertEquals(await locate(parseServer("localhost:7"), 4), { family: 4, address: "127.0.0.1", port: 7 });
});

Deno.test("locate() says why a name is not found", async () => {
  const error = await assertRejects(() => locate(parseServer("no-such-host.invalid"), 4), HoldfastError);
  assertEquals(error.code, "unresolved");
  assertEquals(error.message.startsWith('Cannot look up "no-such-host.invalid": E'), true, error.message);
});

Deno.test({
  name: "locate() names the flag that a look-up needs",
  permissions: { net: ["127.0.0.1"] },
  fn: async () => {
    const error = await assertRejects(() => locate(parseServer("localhost"), 4), PermissionError);
    assertEquals(error.flags, ["--allow-net=localhost"]);
  },
});

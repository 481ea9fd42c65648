import { assert, assertEquals, assertThrows } from "@std/assert";
import { formatPipeAddress, parsePipeUrl } from "./address.ts";

Deno.test("parsePipeUrl() takes every scheme apart, and formatPipeAddress() writes it back", () => {
  for (
    const [url, address] of [
      ["tcp://host.test:80", { transport: "tcp", hostname: "host.test", port: 80, path: "/" }],
      ["tls://192.0.2.1:443", { transport: "tls", hostname: "192.0.2.1", port: 443, path: "/" }],
      ["udp://[2001:db8::1]:53", { transport: "udp", hostname: "2001:db8::1", port: 53, path: "/" }],
      ["tcp://[fe80::1%eth0]:80", { transport: "tcp", hostname: "fe80::1%eth0", port: 80, path: "/" }],
      ["unix:/run/a.sock", { transport: "unix", path: "/run/a.sock" }],
      ["memory:chat", { transport: "memory", name: "chat" }],
    ] as const
  ) {
    const parsed = parsePipeUrl(url);
    assertEquals(parsed, address);
    assertEquals(formatPipeAddress(parsed), url);
  }
});

Deno.test("parsePipeUrl() knows the default ports and the paths of WebSocket", () => {
  assertEquals(parsePipeUrl("wss://host.test/chat?room=1"), {
    transport: "wss",
    hostname: "host.test",
    port: 443,
    path: "/chat?room=1",
  });
  assertEquals(parsePipeUrl(new URL("ws://host.test:8080")), {
    transport: "ws",
    hostname: "host.test",
    port: 8080,
    path: "/",
  });
  assertEquals(parsePipeUrl("unix:///run/a.sock"), { transport: "unix", path: "/run/a.sock" });
});

Deno.test("parsePipeUrl() lets the system choose the port, and all addresses, for those who listen", () => {
  assertEquals(parsePipeUrl("tcp://:0", "listen"), { transport: "tcp", hostname: "", port: 0, path: "/" });
});

Deno.test("parsePipeUrl() says what is wrong with a URL", () => {
  for (
    const [url, why] of [
      ["host:80", "the scheme must be one of tcp, tls, udp, ws, wss, unix, memory"],
      ["http://host:80", "the scheme must be one of"],
      ["tcp://host", "the port is missing"],
      ["tcp://:80", "the host is missing"],
      ["tcp://host:0", "the port must be 1 to 65535, got 0"],
      ["tcp://host:99999", "the port must be 1 to 65535, got 99999"],
      ["tcp://2001:db8::1:80", "with an IPv6 address in brackets"],
      ["tcp://host:80/path", 'tcp: has no path, got "/path"'],
      ["unix:", "a path must follow"],
      ["memory:", "a name must follow"],
    ] as const
  ) {
    const error = assertThrows(() => parsePipeUrl(url), TypeError, why);
    assert(error.message.includes(url), error.message);
  }
});

Deno.test("parsePipeUrl() shows neither passwords nor control characters", () => {
  const error = assertThrows(() => parsePipeUrl("tcp://user:secret@host:80\x1b[2J"), TypeError);
  assert(!error.message.includes("secret") && !error.message.includes("\x1b"), error.message);
});
